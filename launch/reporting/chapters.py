"""What does a report show, chapter by chapter? Results in, sections with figures and tables out; what is not there is left out."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from launch import commandline, gathering, pictures
from launch.gathering import Results, own_result
from launch.reporting.drawing import Drawer, slug
from launch.reporting.verdicts import number
from tfpg import settings
from tfpg.claims import published
from tfpg.diagnostics import ablations, learning
from tfpg.diagnostics.trust_regions import over_agents
from tfpg.errors import UserError
from tfpg.report import ablations as ablation_figures
from tfpg.report import (
    captions,
    gradients,
    metrics,
    side_by_side,
    steps,
    trust_regions,
    values,
    within_run,
)
from tfpg.report import learning as learning_figures
from tfpg.report.page import grounds
from tfpg.report.page.contents import Cell, Grounds, Link, Picture, Section, Table
from tfpg.run_directory import RunDirectory

_TURNED = ("return", "surrogate", "concentration")
_DRAWN = (*_TURNED, "slices", "updates", "film")
_EVIDENCE = {"slices": ("C1", "C3"), "concentration": ("C4",)}  # surfaces that claims are judged from
_AS_LONG = 1.2  # as the published agents: at most so many times longer or shorter
_FREE = ("seed", "runtime.env_threads", "rollout.patience")


class Chapter(NamedTuple):
    """A section, and what verdicts point to in it."""

    section: Section | None
    links: dict[tuple[str, str], list[Link]]  # (instrument, task) ↦ figures and data


# Scores and learning curves


def scores(found: Results, draw: Drawer) -> Chapter:
    """Learning curves and final scores, beside what was published of agents trained as long."""
    agents = _agents(found)
    curves, tables, parts, links = [], [], [], {}
    tasks = list(dict.fromkeys(agent.task for agent in agents))
    for task in tasks:
        try:
            curves.append(learning.curves([agent for agent in agents if agent.task == task]))
        except UserError as error:
            draw.missing.append(f"no learning curves of {task}: {error}")
    if curves:
        kept = [draw.data(slug("learning", each.attrs["task"]), each) for each in curves]
        parts.append(draw.picture("learning-curves", lambda: learning_figures.curves(curves), kept, says=_curves_say(curves)))
    if any(agent.finished for agent in agents):
        summary = learning.scores(agents)
        kept = draw.data("scores", summary)
        theirs = _published(found)
        parts.append(draw.picture("final-scores", lambda: learning_figures.scores(summary, theirs), [kept], says=_scores_say(summary)))
        tables.append(_score_table(summary, theirs))
        links = {("scores", task): [Link("figure", "#final-scores"), *draw.links([kept])] for task in tasks}
    words = ("Final: the mean over the episodes of the last 5 iterations, then over agents. IQM: the interquartile mean over agents.",)
    return Chapter(_section("scores", "Learning curves and scores", words, [*parts, *tables]), links)


def _agents(found: Results) -> list[learning.Agent]:
    """All that learn: agents of presets; where there are none, those of variants, under names of their own."""
    runs = [*((run, run.config.preset, True) for run in found.runs), *((run, run.config.preset, False) for run in found.unfinished)]
    agents = []
    for run, name, finished in runs or [(run, _variant(run), True) for run in found.variants]:
        try:
            rows = metrics.read(run.metrics)
        except UserError:  # named by who gathered
            continue
        scores, config = metrics.final_scores(rows), run.config
        if finished and rows and not np.isfinite(scores["final/return"]):
            found.missing.append(f"{run.path} has no score, for no episode ended in it: it does not count in any mean.")
        agents.append(learning.Agent(config.env, name, config.seed, rows, scores["final/return"], scores["final/best_return"], finished))
    return [agent for agent in agents if agent.rows]


def _variant(run: RunDirectory) -> str:
    """ppo: anneal=false"""
    changed = gathering.changed(run.config)
    return f"{run.config.preset}: " + ", ".join(f"{name.rpartition('.')[2]}={json.dumps(value)}" for name, value in changed.items())


def _published(found: Results) -> dict[tuple[str, str], learning_figures.Published]:
    """By task and preset, where the agents were trained for about as many steps."""
    shown = {}
    for run in found.runs:
        config = run.config
        paper = published.of(config.env, config.preset)
        usual = commandline.load_preset(config.preset, config.env).rollout
        alike = (config.rollout.num_steps, config.env_args) == (usual.num_steps, ()) and not gathering.changed(config)
        if paper is not None and alike and abs(np.log(config.total_steps / published.STEPS)) < np.log(_AS_LONG):
            shown[config.env, config.preset] = learning_figures.Published(*paper, f"{published.family(config.env)}-{published.VERSION}")
    return shown


def _curves_say(curves: Sequence[xr.Dataset]) -> str:
    said = []
    for each in curves:
        last = [(captions.named(preset), row[np.isfinite(row)][-1]) for preset, row in zip(
            each["preset"].values.tolist(), each["mean_return"].values, strict=True) if np.isfinite(row).any()]
        said.append(f"At the end on {each.attrs['task']}: {', '.join(f'{name} {number(value)}' for name, value in last)}")
    return ". ".join(said)


def _scores_say(summary: xr.Dataset) -> str:
    rows = (summary.isel(group=group) for group in range(summary.sizes["group"]))
    return "Final scores: " + ", ".join(f"{captions.named(row['preset'].item())} on {row['task'].item()} {_interval(row, 'final_return')}"
                                        for row in rows)


def _score_table(summary: xr.Dataset, theirs: Mapping[tuple[str, str], learning_figures.Published]) -> Table:
    rows = []
    for group in range(summary.sizes["group"]):
        one = summary.isel(group=group)
        task, preset = one["task"].item(), one["preset"].item()
        paper = theirs.get((task, preset))
        said = f"{number(paper.mean)} [{number(paper.low)}, {number(paper.high)}] ({paper.task})" if paper else "–"
        rows.append((Cell(f"{captions.named(preset)}, {task}"), Cell(str(int(one["final_return_count"])), "number"),
                     *(Cell(_interval(one, name), "number") for name in ("final_return", "iqm_return", "best_return")), Cell(said, "number")))
    return Table("score-table", "Scores with 95 % intervals over agents", ("agents of", "n", "final, mean", "final, IQM", "best iteration, mean",
                                                                        "published final mean"), tuple(rows))


# Trust regions


def regions(found: Results, draw: Drawer) -> Chapter:
    """KL and ratio through training, over agents; the first agent of each algorithm from within."""
    parts: list[Picture | None] = []
    links: dict[tuple[str, str], list[Link]] = {}
    for task, some in _by(found.trust_regions, "task").items():
        name = slug("trust-regions", task)
        try:
            window = within_run.WINDOW if max(d.sizes["iteration"] for d in some) >= within_run.LONG else 1
            summary = over_agents.over_seeds(some, window=window)
        except UserError as error:
            draw.missing.append(f"no figure of trust regions on {task}: {error}")
            continue
        kept = draw.data(name, summary)
        parts.append(draw.picture(name, functools.partial(trust_regions.over_seeds, summary, title=f"Trust regions, {task}"), [kept, *some]))
        links["trust_region", task] = [Link("figure", f"#{name}"), *draw.links([kept])]
        for preset, own in _by(some, "preset").items():
            first = min(own, key=lambda d: int(d.attrs["run_seed"]))
            parts.append(draw.picture(slug("inside", preset, task), functools.partial(within_run.inside, first), [first]))
    words = ("How far each update moved the policy, on its own pairs and on held-out pairs of the old policy. Dotted: TRPO's δ, 1 + ε.",)
    return Chapter(_section("trust-regions", "Trust regions", words, parts), links)


# Landscapes


def grounds_of(found: Results, draw: Drawer) -> Chapter:
    """Surfaces to turn, then what they rest on."""
    policies = [policy for run in found.runs for policy in _policies(run)]
    if not policies:
        return Chapter(None, {})
    scales = {policy.scale for policy in policies}
    turnable = grounds.viewer(policy.surfaces(draw, _TURNED) for policy in policies) if len(scales) == 1 else grounds.viewer(
        (policy.surfaces(draw, _TURNED) for policy in policies), names=[f"scale {policy.scale}" for policy in policies])
    parts: list[Any] = [Grounds("viewer", turnable)] if turnable["policies"] else []
    links: dict[tuple[str, str], list[Link]] = {}
    runs: dict[tuple[str, str, str, int], list[_Policy]] = {}
    for policy in policies:
        config = policy.run.config
        runs.setdefault((config.env, config.preset, policy.scale, config.seed), []).append(policy)
    shown: set[tuple[str, str, str]] = set()
    for (task, preset, scale, _), of_run in sorted(runs.items(), key=lambda item: item[0]):
        if (task, preset, scale) in shown:  # the others can be turned, and have their figures beside their data
            continue
        shown.add((task, preset, scale))
        loaded = [policy.surfaces(draw, _DRAWN) for policy in of_run]
        parts += _panels(loaded, draw, slug(preset, task, scale))
        for policy in loaded:
            for name, picture in _stills(policy, draw):
                parts.append(picture)
                for claim in _EVIDENCE.get(name, ()):
                    if picture is not None:
                        links.setdefault((claim, task), []).append(_to_figure(preset, picture.name))
    others = len({key[:2] + key[3:] for key in runs}) - len({key[:2] for key in shown})
    words = [("True return and surrogate over the algorithm's step and a random direction. The surface illustrates; statements are made from the "
             "slices, where the step is compared with random directions of equal norm. Points that were not computed are holes. Surfaces are "
             "shown on scales of their own.")]
    if others:
        words.append(f"Still figures are of the first seed of each algorithm; {others} more agents' landscapes can be turned, and have "
                     "theirs beside their data.")
    return Chapter(_section("landscapes", "Landscapes", words, parts), links)


class _Policy(NamedTuple):
    """Where the landscapes of one policy lie."""

    run: RunDirectory
    directory: Path

    @property
    def scale(self) -> str:
        return self.directory.name.partition("-")[2]

    def surfaces(self, draw: Drawer, names: Sequence[str]) -> dict[str, xr.Dataset]:
        """By name. What is damaged or another's is named, once, and left out."""
        surfaces = {}
        for name in names:
            path = self.directory / f"{name}.nc"
            try:
                if path.exists():
                    surfaces[name] = own_result(path, self.run.config, name)
            except UserError as error:
                if str(error) not in draw.missing:
                    draw.missing.append(str(error))
        return surfaces


def _policies(run: RunDirectory) -> list[_Policy]:
    """Those of a run that were looked at, in the order of their iterations."""
    return [_Policy(run, directory) for directory in sorted((run.diagnostics / "landscapes").glob("*")) if directory.is_dir()]


def _panels(of_run: Sequence[dict[str, xr.Dataset]], draw: Drawer, name: str) -> list[Picture | None]:
    """All checkpoints of a run beside each other, each on its own scale, for the run's own step and the recomputed one."""
    both = [policy[surface] for policy in of_run for surface in ("return", "surrogate") if surface in policy]
    made = []
    for update in range(min((each.sizes.get("update", 1) for each in both), default=0)):
        pairs = int(both[0]["update"][update]) if "update" in both[0].dims else 0
        label = "own" if update == 0 else f"recomputed-{pairs}"
        title = f"True return and surrogate: {captions.names(both)[0]}, {'the own step' if update == 0 else f'the step from {pairs:,} pairs'}"
        make = functools.partial(side_by_side.panels, both, shared=False, update=update, pool="heldout", title=title)
        made.append(draw.picture(slug("landscape", name, label), make, both))
    return made


def _stills(policy: dict[str, xr.Dataset], draw: Drawer) -> Iterable[tuple[str, Picture | None]]:
    """Slices, concentration, repeated updates and film of one policy."""
    for name in ("slices", "concentration", "updates", "film"):
        if name in policy:
            dataset = policy[name]
            label = slug(name, *(dataset.attrs.get(each, "") for each in ("preset", "task", "run_seed", "iteration", "scale")))
            yield name, draw.picture(label, functools.partial(pictures.DRAWERS[name], dataset), [dataset],
                                     says=_slices_say(dataset) if name == "slices" else "")


def _to_figure(preset: str, name: str) -> Link:
    return Link(f"figure: {captions.named(preset)}", f"#{name}")


def _slices_say(dataset: xr.Dataset) -> str:
    if "rank_slope" not in dataset:
        return ""
    rank, low, high = (np.ravel(dataset[f"rank_slope{end}"].values)[0] for end in ("", "_low", "_high"))
    return f"The slope along the step ranks {rank:g} [{low:g}, {high:g}] among the step and random directions of equal norm"


# Steps


def gains(found: Results, draw: Drawer) -> Chapter:
    """What single updates did to the true return, around checkpoints."""
    parts, links = [], {}
    for task, of_task in _by(found.steps, "task").items():
        for preset, scale, some in _by_scale(of_task):
            picture = draw.picture(slug("steps", preset, task, scale), functools.partial(steps.gains, some), some)
            parts.append(picture)
            if picture is not None:
                links.setdefault(("steps", task), []).append(_to_figure(preset, picture.name))
    words = (("The true return after an update less that before it, both played on the same start states and noise, over updates around each "
             "checkpoint."),)
    return Chapter(_section("steps", "What single updates do", words, parts), links)


# Gradients and values


def agreement(found: Results, draw: Drawer) -> Chapter:
    """Gradient quality of the first agent of each algorithm; noise scales of all."""
    parts, links = [], {}
    for task, some in _by(found.gradients, "task").items():
        for preset, scale, own in _by_scale(some):
            shown, name = _first_seed(own), slug("gradients", preset, task, scale)
            picture = draw.picture(name, functools.partial(gradients.agreement, shown), shown)
            parts.append(picture)
            if picture is not None:
                links.setdefault(("gradients", task), []).append(_to_figure(preset, picture.name))
        for scale, own in _by(some, "scale").items():
            parts.append(draw.picture(slug("noise-scale", task, scale), functools.partial(gradients.noise_scales, own), own))
    words = (("How well independent estimates of the gradient, and of the algorithm's step, agree with each other and with what very many "
             "pairs say, against the pairs behind each. Of the first seed of each algorithm; noise scales are of all."),)
    return Chapter(_section("gradients", "Gradient estimates", words, parts), links)


def predictions(found: Results, draw: Drawer) -> Chapter:
    """Value prediction and baselines of the first agent of each algorithm."""
    parts, links = [], {}
    for task, some in _by(found.values, "task").items():
        for preset, scale, own in _by_scale(some):
            shown, name = _first_seed(own), slug("values", preset, task, scale)
            make = functools.partial(values.by_iteration, shown) if len(shown) > 1 else functools.partial(values.study, shown[0])
            picture = draw.picture(name, make, shown)
            parts.append(picture)
            if picture is not None:
                links.setdefault(("values", task), []).append(_to_figure(preset, picture.name))
    words = ("Whether the value net predicts returns or only its own targets, and what three baselines do to the gradient. Of the first seed.",)
    return Chapter(_section("values", "Value prediction", words, parts), links)


# Ablations


def toggles(found: Results, draw: Drawer) -> Chapter:
    """1 − CDF of the score by toggle, for each factorial among the variants."""
    parts: list[Any] = []
    for (task, preset), variants in _by_agent(found.variants).items():
        runs = [*variants, *_preset_cell(variants, found)]
        agents = []
        for run in runs:
            try:
                score = metrics.final_scores(metrics.read(run.metrics))
            except UserError as error:
                draw.missing.append(str(error))
                continue
            agents.append(ablations.Agent(settings.to_dict(run.config), score["final/return"], score["final/best_return"]))
        try:
            dataset = ablations.ablation(agents, free=_FREE).assign_attrs(task=task, preset=captions.named(preset))
        except UserError as error:
            draw.missing.append(f"no ablation of {preset} on {task}: {error}")
            continue
        kept = draw.data(slug("ablation", preset, task), dataset)
        for score in ablations.SCORES:
            parts.append(draw.picture(slug("ablation", preset, task, score), functools.partial(
                ablation_figures.exceedance, dataset, score=score), [kept], says=_toggles_say(dataset, score)))
        parts.append(_toggle_table(dataset, task, preset))
    words = ("Agents of a factorial of code-level optimisations: the share of them that reaches at least a score, with each toggle and without it.",)
    return Chapter(_section("ablations", "Code-level optimisations", words, parts), {})


def _preset_cell(variants: Sequence[RunDirectory], found: Results) -> list[RunDirectory]:
    """Runs of the preset itself that are a cell of the variants' factorial: its own, else agents of the same seeds.

    They are that where they differ from a variant in code-level optimisations alone."""
    def apart(run: RunDirectory) -> tuple:
        return tuple((name, str(value)) for name, value in settings.to_dict(run.config).items()
                     if not name.startswith("code_level.") and name not in _FREE)

    alike, seeds = {apart(run) for run in variants}, {run.config.seed for run in variants}
    for some in (found.copies, found.runs):
        if cell := [run for run in some if apart(run) in alike and run.config.seed in seeds]:
            return cell
    return []


def _toggles_say(dataset: xr.Dataset, score: str) -> str:
    chosen = dataset.sel(score=score)
    return "Main effects: " + ", ".join(f"{name.removeprefix('code_level.')} {number(float(effect))}" for name, effect in zip(
        dataset["toggle"].values.tolist(), chosen["effect"].values, strict=True))


def _toggle_table(dataset: xr.Dataset, task: str, preset: str) -> Table:
    rows = []
    for toggle in dataset["toggle"].values.tolist():
        one = dataset.sel(toggle=toggle)
        rows.append((f"{toggle}: {one['on'].item()} against {one['off'].item()}",
                     Cell(" + ".join(str(int(n)) for n in one["agents"].sel(score="final").values), "number"),
                     *(Cell(_interval(one.sel(score=score), "effect"), "number") for score in ablations.SCORES)))
    return Table(slug("effects", preset, task), f"Main effects of {captions.named(preset)} on {task}, with 95 % intervals",
                 ("toggle", "agents with + without", "final score", "best iteration"), tuple(rows))


# Small things


def _section(name: str, title: str, words: Sequence[str], parts: Iterable[Any]) -> Section | None:
    parts = tuple(part for part in parts if part is not None)
    return Section(name, title, tuple(words), parts) if parts else None


def _by(datasets: Iterable[xr.Dataset], attribute: str) -> dict[str, list[xr.Dataset]]:
    found: dict[str, list[xr.Dataset]] = {}
    for dataset in datasets:
        found.setdefault(str(dataset.attrs.get(attribute, "")), []).append(dataset)
    return found


def _by_scale(datasets: Iterable[xr.Dataset]) -> Iterable[tuple[str, str, list[xr.Dataset]]]:
    """preset, scale, datasets."""
    return ((preset, scale, some) for preset, own in _by(datasets, "preset").items() for scale, some in _by(own, "scale").items())


def _by_agent(runs: Sequence[RunDirectory]) -> dict[tuple[str, str], list[RunDirectory]]:
    found: dict[tuple[str, str], list[RunDirectory]] = {}
    for run in runs:
        found.setdefault((run.config.env, run.config.preset), []).append(run)
    return found


def _first_seed(datasets: Sequence[xr.Dataset]) -> list[xr.Dataset]:
    """One agent's, in the order of its iterations."""
    first = min(int(d.attrs["run_seed"]) for d in datasets)
    return sorted((d for d in datasets if int(d.attrs["run_seed"]) == first), key=lambda d: int(d.attrs["iteration"]))


def _interval(one: xr.Dataset, name: str) -> str:
    value, low, high = (float(one[name + end]) for end in ("", "_low", "_high"))
    return number(value) + (f" [{number(low)}, {number(high)}]" if np.isfinite([low, high]).all() else "")


CHAPTERS: tuple[Callable[[Results, Drawer], Chapter], ...] = (scores, regions, grounds_of, gains, agreement, predictions, toggles)
