"use strict";
// Light or dark: as the system has it, until the reader says otherwise. Where a link leads into a folded part, it opens.
(() => {
  const root = document.documentElement, button = document.getElementById("theme");
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  let chosen = null;
  const apply = () => {
    const theme = chosen || (system.matches ? "dark" : "light");
    root.dataset.theme = theme;
    button.textContent = theme === "dark" ? "light page" : "dark page";
    button.setAttribute("aria-pressed", String(theme === "dark"));
    document.dispatchEvent(new Event("theme"));
  };
  button.addEventListener("click", () => { chosen = root.dataset.theme === "dark" ? "light" : "dark"; apply(); });
  system.addEventListener("change", apply);
  apply();
  const unfold = () => {
    const place = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const folded = place && place.closest("details");
    if (folded) { folded.open = true; place.scrollIntoView(); }
  };
  window.addEventListener("hashchange", unfold);
  unfold();
})();
