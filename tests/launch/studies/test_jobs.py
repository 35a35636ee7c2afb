"""Is a study file turned into the jobs that it means, and is every mistake named before anything runs?"""

import dataclasses

import pytest
from absl import flags

from launch import landscape
from launch.studies import costs as studycosts
from launch.studies import jobs as studyjobs
from launch.studies import shares as studyshares
from tfpg.errors import UserError
from tfpg.study import Agents, Look

SHORT = {"total_steps": 4 * 2048}


def agents(*groups):
    return studyjobs.agents(groups)


def made(*groups):
    return studyjobs.jobs(agents(*groups))


def some(**changed):
    return Agents(**{"tasks": ["CartPole-v1"], "algorithms": ["ppo", "trpo"], "seeds": [0, 1], "settings": SHORT, **changed})


def test_every_agent_has_a_training_and_every_look_its_jobs_after_it():
    jobs = made(some(looks=[Look("trust_region", seeds=[0]), Look("landscape", iterations=[0, -1], scale="smoke", algorithms=["ppo"])]))
    assert [job.name for job in jobs] == [
        "train.ppo-CartPole-v1-0", "trust_region.ppo-CartPole-v1-0", "landscape.ppo-CartPole-v1-0.000000", "landscape.ppo-CartPole-v1-0.000003",
        "train.trpo-CartPole-v1-0", "trust_region.trpo-CartPole-v1-0",
        "train.ppo-CartPole-v1-1", "landscape.ppo-CartPole-v1-1.000000", "landscape.ppo-CartPole-v1-1.000003",
        "train.trpo-CartPole-v1-1"]
    assert {job.needs for job in jobs if not job.name.startswith("train")} == {
        (f"train.{preset}-CartPole-v1-{seed}",) for preset, seed in (("ppo", 0), ("ppo", 1), ("trpo", 0))}


def test_a_training_keeps_the_policies_that_are_looked_at():
    training = made(some(looks=[Look("values", iterations=[2, 0]), Look("evaluate", iterations=[-1])]))[0]
    assert training.aside == ("--snapshots=0,2",)  # the last one is kept in any case
    assert training.product == "runs/ppo-CartPole-v1-0/finished.json"


def test_a_look_at_a_film_is_one_job_of_all_its_iterations_and_keeps_no_policy():
    training, job = made(some(algorithms=["ppo"], seeds=[0], looks=[Look("steps", iterations=[-1, 0], scale="smoke", flags={"count": 2})]))
    assert training.aside == ("--snapshots=",)
    assert (job.name, job.module, job.product) == ("steps.ppo-CartPole-v1-0", "launch.steps", "runs/ppo-CartPole-v1-0/diagnostics/steps/smoke")
    assert job.arguments == ("--run=runs/ppo-CartPole-v1-0", "--iterations=0,3", "--scale=smoke", "--count=2")
    assert job.pairs == 2 * (2 * 2 * 16 + 2 * 64) * studycosts.LENGTH  # two checkpoints, two updates each, 16 episodes of both ends


def test_adding_seeds_and_looks_elsewhere_leaves_the_other_jobs_what_they_are():
    before = {job.name: job.identity for job in made(some(looks=[Look("trust_region")]))}
    after = {job.name: job.identity for job in made(some(seeds=[0, 1, 2], looks=[Look("trust_region"), Look("evaluate", iterations=[0, -1])]))}
    assert before.items() < after.items()


def test_a_look_at_agents_of_other_settings_is_another_job():
    looks = [Look("trust_region")]
    before, after = (made(some(settings=settings, looks=looks)) for settings in (SHORT, {**SHORT, "value.epochs": 3}))
    pairs = list(zip(before, after, strict=True))
    assert all(old.name == new.name and old.identity != new.identity for old, new in pairs)


def test_a_finished_run_that_did_not_keep_a_policy_is_named(tmp_path):
    kept = tmp_path / "runs/ppo-CartPole-v1-0/policies/000003"
    kept.mkdir(parents=True)
    (tmp_path / "runs/ppo-CartPole-v1-0/finished.json").write_text("{}")
    studyjobs.refuse_unkept(made(some(looks=[Look("evaluate", iterations=[-1])])), tmp_path)
    with pytest.raises(UserError, match="did not keep its policy of iteration 2"):
        studyjobs.refuse_unkept(made(some(looks=[Look("evaluate", iterations=[2])])), tmp_path)


def test_a_setting_reaches_the_command_and_the_configuration():
    agent, *_ = agents(some(settings={**SHORT, "ppo.step_size": 1e-5, "network.hidden": (32, 16), "code_level.value_clip": None},
                            algorithms=["ppo"]))
    assert (agent.config.algorithm.step_size, agent.config.network.hidden, agent.config.code_level.value_clip) == (1e-5, (32, 16), None)
    assert {"--ppo.step_size=1e-05", "--network.hidden=32,16", "--code_level.value_clip=none"} <= set(agent.flags)


def test_variants_are_agents_of_their_own():
    found = agents(some(variants={"": {}, "slow": {"value.step_size": 1e-5}}, algorithms=["ppo"], seeds=[3]))
    assert [agent.label for agent in found] == ["ppo-CartPole-v1-3", "ppo-CartPole-v1-3-slow"]


def test_an_agent_of_two_groups_is_trained_once_and_looked_at_for_both():
    found = agents(some(looks=[Look("trust_region")]), some(seeds=[1], looks=[Look("evaluate", iterations=[0])]))
    looks = {agent.label: [look.instrument for look in agent.looks] for agent in found}
    assert looks["ppo-CartPole-v1-0"] == ["trust_region"]
    assert looks["ppo-CartPole-v1-1"] == ["trust_region", "evaluate"]


def test_seed_after_seed_so_that_a_study_broken_off_is_balanced():
    seeds = [agent.config.seed for agent in agents(some(seeds=[4, 0, 2]))]
    assert seeds == [0, 0, 2, 2, 4, 4]


@pytest.mark.parametrize(("group", "sentence"), [
    (lambda: some(algorithms=["ppoo"]), r"there is no preset algo=ppoo: did you mean ppo\?"),
    (lambda: some(settings={"ppo.step_siz": 1.0}, algorithms=["ppo"]), "there is no setting ppo.step_siz: did you mean ppo.step_size"),
    (lambda: some(settings={"seed": 3}), "settings name seed, which its tasks, algorithms and seeds say"),
    (lambda: some(tasks=["CartPole-v7x"]), "there is no task CartPole-v7x"),
    (lambda: some(looks=[Look("values", iterations=[4])]), "looks at iteration 4 of ppo-CartPole-v1-0, which has iterations 0 to 3"),
    (lambda: some(looks=[Look("values", iterations=[0], scale="tiny")]), "a look of values has scale=tiny"),
    (lambda: some(looks=[Look("values", iterations=[0], flags={"repeat": 3})]), r"a look of values: there is no flag --repeat"),
    (lambda: some(looks=[Look("values", iterations=[0], flags={"output": "x"})]), "sets output, which the study decides"),
    (lambda: some(looks=[Look("steps", iterations=[4])]), "looks at iteration 4 of ppo-CartPole-v1-0, which has iterations 0 to 3"),
    (lambda: some(looks=[Look("steps", iterations=[0], flags={"iterations": "3"})]), "sets iterations, which the study decides"),
    (lambda: some(looks=[Look("values", iterations=[0], flags={"scale": "paper"})]), "has its scale among its flags"),
    (lambda: some(looks=[Look("values", iterations=[0]), Look("values", iterations=[0], scale="smoke")]), "twice, with different flags"),
])
def test_a_mistake_is_named_before_anything_runs(group, sentence):
    with pytest.raises(UserError, match=sentence):
        made(group())


def test_two_agents_of_one_name_and_other_settings_are_refused():
    with pytest.raises(UserError, match=r"would share the run ppo-CartPole-v1-0, with other settings \(total_steps: 8192 → 4096\)"):
        agents(some(), some(settings={"total_steps": 4096}))


@pytest.mark.parametrize("name", ["smoke", "hopper", "paper"])
def test_our_studies_are_whole(name):
    named = studyjobs.load(name)
    found = studyjobs.agents(named.groups)
    assert named.about
    assert all(agent.config.runtime.env_threads == 1 for agent in found)
    jobs = studyjobs.jobs(found)
    assert {job.name for job in jobs if job.module == "launch.train"} == {f"train.{agent.label}" for agent in found}


def test_the_ablation_is_the_whole_factorial_with_four_step_sizes():
    _, ablation = studyjobs.load("paper").groups
    cells = {tuple(settings[name] for name in ("code_level.value_clip", "code_level.reward_scaling", "code_level.initialisation",
                                               "code_level.anneal")) for settings in ablation.variants.values()}
    assert (len(cells), len(ablation.variants)) == (16, 64)
    assert {agent.config.algorithm.step_size for agent in agents(dataclasses.replace(ablation, seeds=(0,)))} == {1e-5, 8e-5, 1.5e-4, 2.2e-4}


@pytest.mark.parametrize(("content", "sentence"), [
    ("", r"STUDY must be Agents\(…\) or a tuple of them, not NoneType"),
    ("STUDY = 1 / 0", "raised ZeroDivisionError: division by zero"),
    ("from tfpg.study import Look\nLook('x')", "there is no instrument x"),
    ("STUDY = (", "raised SyntaxError"),
])
def test_a_broken_study_file_is_one_sentence(tmp_path, content, sentence):
    file = tmp_path / "mine.py"
    file.write_text(content)
    with pytest.raises(UserError, match=sentence):
        studyjobs.load(str(file))


@pytest.mark.parametrize(("named", "sentence"), [
    ("smok", r"there is no study smok: did you mean smoke\?"),
    ("nowhere/mine.py", "there is no such file"),
    ("../ppo", "there is no such file"),
])
def test_an_unknown_study_is_one_sentence(named, sentence):
    with pytest.raises(UserError, match=sentence):
        studyjobs.load(named)


@pytest.mark.parametrize(("value", "text"), [
    (None, "none"), (True, "true"), (3, "3"), (1e-5, "1e-05"), (0.1, "0.1"), ((64, 64), "64,64"), ("returns", "returns"),
    ({"xml_file": "a.xml"}, '{"xml_file": "a.xml"}')])
def test_values_are_written_as_flags_take_them(value, text):
    assert studyjobs.as_text(value) == text


def test_a_landscapes_pairs_are_those_of_its_surfaces():
    budget = planned("--scale=smoke")
    recomputed = 8_192  # pairs of the second step, once
    assert studycosts.landscape_pairs(budget, ["return"]) == 2 * 25 * 1_000 + recomputed
    slices, concentration, updates = 18 * 5 * 1_000 + 3 * 10_000, 25 * 1_000, 8 * (2_048 + 8 * 500)
    assert studycosts.landscape_pairs(budget, None) == 2 * 25 * 1_000 + 4_096 + slices + concentration + updates + recomputed


def test_a_landscapes_own_flags_count_in_its_cost():
    # 4 × 3 points of 500 pairs for two steps, and 8,192 pairs of the second.
    assert studycosts.landscape_pairs(planned("--scale=smoke", "--points=4,3", "--pairs=500"), ["return"]) == 2 * 12 * 500 + 8_192


def planned(*given):
    """A landscape's plan, from its launcher's flags."""
    values = flags.FlagValues()
    landscape.define(values)
    return landscape.plan_of(studyjobs.commandline.parsed(values, ["landscape", *given]))


# Landscapes in shares


def landscapes(**look):
    """The jobs that look, of one agent on Humanoid, which is slow."""
    group = Agents(tasks=["Humanoid-v5"], algorithms=["ppo"], seeds=[0], settings=SHORT,
                   looks=[Look("landscape", **{"iterations": [2], "scale": "small", **look})])
    return [job for job in made(group) if job.module == "launch.landscape"]


def test_a_long_landscape_is_what_all_need_then_shares_then_the_landscape():
    first, *shares, whole = landscapes(shares=3)
    name = "landscape.ppo-Humanoid-v5-0.000002"
    assert [job.name for job in (first, *shares, whole)] == [f"{name}.first", f"{name}.1-of-3", f"{name}.2-of-3", f"{name}.3-of-3", name]
    assert first.needs == ("train.ppo-Humanoid-v5-0",)
    assert all(job.needs == ("train.ppo-Humanoid-v5-0", first.name) for job in shares)
    assert whole.needs == ("train.ppo-Humanoid-v5-0", *(job.name for job in shares))
    directory = "runs/ppo-Humanoid-v5-0/diagnostics/landscapes/000002-small"
    assert (whole.product, shares[1].product) == (directory, f"{directory}/shares/2-of-3.json")
    assert [job.arguments[-1] for job in (first, *shares)] == ["--share=first", "--share=1/3", "--share=2/3", "--share=3/3"]
    assert {job.towards for job in (first, *shares)} == {name}


def test_a_landscape_is_split_so_that_no_share_is_expected_to_take_two_hours():
    whole, = landscapes(shares=1)
    shares = [job for job in landscapes() if "-of-" in job.name]
    # 30 million pairs in 3,400 a second and what is made of them are 3.5 h: two shares
    assert 1 < whole.seconds / studyshares.LONGEST < 2 == len(shares)
    assert all(job.seconds < studyshares.LONGEST for job in shares)
    assert len(landscapes(scale="smoke")) == 1


def test_the_shares_of_a_landscape_play_all_of_it_and_no_more():
    whole, = landscapes(shares=1)
    pairs = sum(job.pairs for job in landscapes(shares=7))
    assert whole.pairs <= pairs < whole.pairs + 7


def test_another_number_of_shares_leaves_what_all_need_and_the_landscape_what_they_are():
    (whole,), three, four = (landscapes(shares=shares) for shares in (1, 3, 4))
    assert whole.identity == three[-1].identity == four[-1].identity
    assert three[0].identity == four[0].identity
    assert {job.identity for job in three[1:-1]}.isdisjoint(job.identity for job in four[1:-1])


def test_a_look_that_names_a_share_itself_is_refused():
    with pytest.raises(UserError, match="sets share, which the study decides"):
        landscapes(flags={"share": "1/2"})
