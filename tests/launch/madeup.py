"""A study's directory with made-up results: everything that a report reads, in a second, nothing trained."""

import json

import numpy as np

from launch.shared import commandline
from tests.diagnostics.trust_regions.test_over_agents import agent as region
from tests.report import studied, surfaces
from tests.report.test_gradients import made as gradients
from tfpg import settings, storage
from tfpg.diagnostics import results
from tfpg.run_directory import RunDirectory

STEPS = 30


def run(directory, preset="ppo", seed=0, *, env="Hopper-v5", finished=True, looks=(), **changes):
    """One run. Args: looks: trust_region, landscapes, gradients, values."""
    config = settings.override(commandline.load_preset(preset, env), {"seed": str(seed), "total_steps": str(2048 * STEPS), **changes})
    with RunDirectory.open(directory, config, ["python", "-m", "launch.train"]) as made:
        rows = [{"iteration": k, "env_steps": 2048 * (k + 2), "rollout/return": 100.0 * (1 + seed) + 10 * k, "rollout/episodes": 8.0,
                 "rollout/length": 250.0} for k in range(STEPS if finished else STEPS // 2)]
        made.metrics.write_text("".join(json.dumps(row) + "\n" for row in rows))
        if finished:
            made.finish(**{"final/return": rows[-1]["rollout/return"], "final/best_return": rows[-1]["rollout/return"]})
    own = {"task": env, "preset": preset, "run_seed": seed}
    if "trust_region" in looks:
        ratio = 8.0 if preset == "trpo" else 2.0
        found = region(seed, preset=preset, task=env, kl=0.02 * (1 + 0.1 * seed), ratio=ratio, iterations=STEPS)
        names = ("outside_fraction", "without_gradient", "normaliser_mean_kl")
        if preset == "trpo":
            names += ("predicted_kl", "fisher_kl", "expected_gain", "actual_gain", "accepted_fraction")
        for name in names[:2]:
            found[name] = ("iteration", "pool"), np.full((STEPS, 2), 0.3)
        for name in names[2:]:
            found[name] = "iteration", np.linspace(0.1, 0.5, STEPS)
        if preset != "trpo":
            found = found.assign_coords(epoch=np.arange(1, 11))
            found["epoch_mean_kl"] = ("iteration", "epoch"), np.full((STEPS, 10), 0.01)
            found["epoch_max_ratio"] = ("iteration", "epoch"), np.full((STEPS, 10), 1.5)
            found["ratio_high"] = "iteration", np.full(STEPS, 1.2)
        results.save(found, made.diagnostics / "trust_region" / f"{made.path.name}.nc")
    if "landscapes" in looks:
        for iteration in (0, 150):
            where = made.diagnostics / "landscapes" / f"{iteration:06d}-small"
            for name, dataset in (("return", surfaces.returns(updates=surfaces.UPDATES)), ("surrogate", surfaces.surrogates(updates=surfaces.UPDATES)),
                                  ("slices", _slices()), ("concentration", surfaces.concentrations()), ("updates", surfaces.updated())):
                results.save(dataset.assign_attrs(iteration=iteration, scale="small", **own), where / f"{name}.nc")
    for iteration in (0, 150):
        if "gradients" in looks:
            results.save(gradients(preset=preset, iteration=iteration).assign_attrs(scale="small", **own),
                         made.diagnostics / "gradients" / f"{iteration:06d}-small" / "gradients.nc")
        if "values" in looks:
            results.save(studied.study(preset=preset, iteration=iteration).assign_attrs(scale="small", **own),
                         made.diagnostics / "values" / f"{iteration:06d}-small" / "values.nc")
    return made


def _slices():
    """Along one step, as they are stored: what is one number of it is an attribute."""
    found = surfaces.slices(with_update=False)
    single = {str(name): each.item() for name, each in found.variables.items() if not each.dims}
    return found.drop_vars(list(single)).assign_attrs(single)


def study(directory, *, seeds=3):
    """TRPO and PPO on Hopper-v5 with every look (landscapes of TRPO), an unfinished PPO-M, an ablation of two toggles, of which one cell has the preset's own
    settings, and one job that is not done."""
    for preset in ("trpo", "ppo"):
        for seed in range(seeds):
            looks = ["trust_region", *(("gradients", "values") if seed == 0 else ())]
            if preset == "trpo" and seed == 0:  # drawing them takes longest
                looks.append("landscapes")
            run(directory / "runs" / f"{preset}-Hopper-v5-{seed}", preset, seed, looks=looks)
    run(directory / "runs" / "ppo_m-Hopper-v5-0", "ppo_m", finished=False)
    for anneal in ("true", "false"):
        for scaling in ("returns", "none"):
            for seed in range(2):
                name = f"ppo-Hopper-v5-{seed}-{anneal}-{scaling}"
                clip = {"code_level.reward_clip": "none"} if scaling == "none" else {}
                run(directory / "runs" / name, "ppo", seed, **{"code_level.anneal": anneal, "code_level.reward_scaling": scaling, **clip})
    storage.write_json(directory / "study.json", {"name": "madeup", "about": "Nothing was trained for it.", "jobs": {"train.ppo_m-Hopper-v5-0": "x"}})
    return directory
