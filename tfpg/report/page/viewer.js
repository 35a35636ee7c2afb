"use strict";
// Two landscapes of one policy beside each other, turned together: with the mouse, a finger, buttons or the arrow keys.
(() => {
  const HOME = { eye: { x: 1.04, y: -1.33, z: 1.32 }, center: { x: -0.03, y: -0.03, z: -0.16 }, up: { x: 0, y: 0, z: 1 } };
  const SIDES = ["left", "right"], STEP = Math.PI / 18;

  const fill = (select, names, wanted) => {
    select.replaceChildren(...names.map((name, index) => new Option(name, String(index))));
    const place = names.indexOf(wanted);
    select.value = String(place < 0 ? 0 : place);
  };

  const start = (grounds) => {
    const data = JSON.parse(grounds.querySelector("script.surfaces").textContent);
    const find = (selector) => grounds.querySelector(selector);
    const policy = find("select.policy"), step = find("select.step");
    const surface = Object.fromEntries(SIDES.map((side) => [side, find(`select.surface.${side}`)]));
    const scene = Object.fromEntries(SIDES.map((side) => [side, find(`div.scene.${side}`)]));
    const says = Object.fromEntries(SIDES.map((side) => [side, find(`p.says.${side}`)]));
    let camera = structuredClone(HOME), turning = false;

    const surfaces = () => data.policies[Number(policy.value)].steps[Number(step.value)].surfaces;
    const name = (select) => select.selectedOptions.length ? select.selectedOptions[0].text : "";

    const drawn = (one) => {
      const style = getComputedStyle(document.documentElement), colour = (word) => style.getPropertyValue(word).trim();
      const axis = (title) => ({ title: { text: title, font: { size: 11 } }, color: colour("--quiet"), gridcolor: colour("--line"),
        zeroline: false, showbackground: false, tickfont: { size: 10 }, nticks: 5 });
      const ground = { type: "surface", x: one.x, y: one.y, z: one.z, surfacecolor: one.z, colorscale: one.colours, cmin: one.low,
        cmax: one.high, hovertext: one.hover, hoverinfo: "text", connectgaps: false, showscale: true,
        colorbar: { thickness: 10, len: 0.62, x: 1.0, tickfont: { size: 10, color: colour("--quiet") }, outlinewidth: 0 },
        contours: { x: { highlight: false }, y: { highlight: false }, z: { highlight: false } },
        lighting: { ambient: 0.86, diffuse: 0.35, specular: 0.04, roughness: 0.9 } };
      const line = one.y.indexOf(0);
      const along = line < 0 ? [] : [{ type: "scatter3d", mode: "lines", x: one.x, y: one.x.map(() => 0), z: one.z[line],
        line: { color: "#d55e00", width: 6 }, hoverinfo: "skip" }];
      const places = { type: "scatter3d", mode: "markers+text", x: one.places.map((p) => p.x), y: one.places.map((p) => p.y),
        z: one.places.map((p) => p.z), text: one.places.map((p) => p.name), textposition: "top center",
        textfont: { color: colour("--ink"), size: 12 }, hoverinfo: "skip",
        marker: { size: 5, color: one.places.map((_, index) => index ? "#d55e00" : "#ffffff"), line: { color: "#000000", width: 1.5 } } };
      return { traces: [ground, ...along, places], layout: {
        margin: { l: 0, r: 0, t: 0, b: 0 }, showlegend: false, paper_bgcolor: "rgba(0,0,0,0)", font: { color: colour("--ink") },
        scene: { camera: structuredClone(camera), aspectmode: "manual", aspectratio: { x: 1, y: 1, z: 0.56 }, dragmode: "orbit",
          xaxis: axis(one.x_name), yaxis: axis(one.y_name), zaxis: { ...axis(one.unit), range: [one.low, one.high] } } } };
    };

    const show = (side) => {
      const one = surfaces()[Number(surface[side].value)], { traces, layout } = drawn(one);
      says[side].textContent = one.says;
      scene[side].setAttribute("aria-label", `${name(policy)}, ${name(step)}: ${one.name}. ${one.says}.`);
      return Plotly.react(scene[side], traces, layout, { displayModeBar: false, responsive: true, scrollZoom: false }).then((plot) => {
        if (plot.followed) return;
        plot.followed = true;
        const other = scene[side === "left" ? "right" : "left"];
        const follow = (event) => {
          const seen = event && event["scene.camera"];
          if (!seen || turning) return;
          camera = structuredClone(seen);
          turning = true;
          Plotly.relayout(other, { "scene.camera": structuredClone(seen) }).finally(() => { turning = false; });
        };
        plot.on("plotly_relayout", follow);
        plot.on("plotly_relayouting", follow);
      });
    };

    const turnTo = () => {
      turning = true;
      return Promise.all(SIDES.map((side) => Plotly.relayout(scene[side], { "scene.camera": structuredClone(camera) })))
        .finally(() => { turning = false; });
    };

    const turn = (how) => {
      if (how === "home") { camera = structuredClone(HOME); return turnTo(); }
      const { x, y, z } = camera.eye;
      let radius = Math.hypot(x, y, z), around = Math.atan2(y, x), up = Math.asin(z / radius);
      if (how === "left") around -= STEP;
      if (how === "right") around += STEP;
      if (how === "up") up = Math.min(up + STEP / 2, 1.5);
      if (how === "down") up = Math.max(up - STEP / 2, -0.2);
      if (how === "in") radius = Math.max(radius / 1.15, 0.6);
      if (how === "out") radius = Math.min(radius * 1.15, 5);
      camera.eye = { x: radius * Math.cos(up) * Math.cos(around), y: radius * Math.cos(up) * Math.sin(around), z: radius * Math.sin(up) };
      return turnTo();
    };

    const chooseSurfaces = () => {
      const names = surfaces().map((one) => one.name), held = names.find((each) => each.includes("held-out"));
      const kept = SIDES.map((side) => name(surface[side]));
      fill(surface.left, names, names.includes(kept[0]) ? kept[0] : names[0]);
      fill(surface.right, names, names.includes(kept[1]) ? kept[1] : held || names[names.length - 1]);
      SIDES.forEach(show);
    };
    const chooseStep = () => {
      fill(step, data.policies[Number(policy.value)].steps.map((one) => one.name), name(step));
      chooseSurfaces();
    };

    fill(policy, data.policies.map((one) => one.name), "");
    policy.addEventListener("change", chooseStep);
    step.addEventListener("change", chooseSurfaces);
    SIDES.forEach((side) => surface[side].addEventListener("change", () => show(side)));
    grounds.querySelectorAll("[data-turn]").forEach((button) => button.addEventListener("click", () => turn(button.dataset.turn)));
    const keys = { ArrowLeft: "left", ArrowRight: "right", ArrowUp: "up", ArrowDown: "down", "+": "in", "-": "out", Home: "home" };
    SIDES.forEach((side) => scene[side].addEventListener("keydown", (event) => {
      if (keys[event.key] && !event.ctrlKey && !event.metaKey && !event.altKey) { event.preventDefault(); turn(keys[event.key]); }
    }));
    document.addEventListener("theme", () => SIDES.forEach(show));
    chooseStep();
  };

  // Each scene takes one of the browser's few WebGL contexts, so they are made when they come near.
  const seen = new IntersectionObserver((entries) => entries.filter((entry) => entry.isIntersecting).forEach((entry) => {
    seen.unobserve(entry.target);
    start(entry.target);
  }), { rootMargin: "600px" });
  document.querySelectorAll(".grounds").forEach((grounds) => seen.observe(grounds));
})();
