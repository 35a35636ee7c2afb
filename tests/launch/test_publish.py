"""launch.publish: what is kept of runs says the same as they do, is small, names no machine, and a study goes on from it."""

import json
import re
from pathlib import Path

import pytest

from launch import claims, publish, study
from launch.publishing import front as place
from tests.launch import madeup, test_study
from tests.launch.grounds import command
from tests.report import surfaces
from tfpg.diagnostics import results
from tfpg.report import landscapes
from tfpg.report.page import pictures


def verdicts(directory):
    code, out, err = command(claims, str(directory), "--json")
    assert code == 0, err
    found = json.loads(out)
    return found["verdicts"], found["final_returns"]


@pytest.fixture(autouse=True, scope="module")
def undrawn():
    """The page is launch.report's, tested there: its figures take half a minute each time."""
    def page(arguments):
        file = Path(arguments[0]) / "report" / "report.html"
        file.parent.mkdir(exist_ok=True)
        file.write_text(" ".join(arguments))
        return 0

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(publish.report, "main", page)
        yield


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    source, output = madeup.study(tmp_path_factory.mktemp("study")), tmp_path_factory.mktemp("kept") / "results"
    path = source / "runs" / "trpo-Hopper-v5-0" / "diagnostics" / "evaluation-000030.nc"
    results.save(results.load(next(source.glob("runs/*/diagnostics/trust_region/*.nc"))).assign_attrs(
        run=str(source / "runs" / "trpo-Hopper-v5-0"), policy=f"{source}/runs/trpo-Hopper-v5-0/policies/000000"), path)
    (source / "runs" / "trpo-Hopper-v5-0" / "policies" / "000000" / "saved_model.pb").parent.mkdir()
    code, out, err = command(publish, str(source), f"--output={output}")
    assert code == 0, out + err
    return source, output, out


def test_verdicts_and_scores_of_what_is_kept_are_those_of_the_runs(published):
    source, output, _ = published
    assert verdicts(output) == verdicts(source)
    assert len(verdicts(output)[0]) > 5


def test_only_settings_returns_and_results_are_kept(published):
    _, output, _ = published
    kept = {path.name if path.suffix != ".nc" else ".nc" for path in (output / "runs").rglob("*") if path.is_file()}
    assert kept == {"config.json", "finished.json", "metrics.jsonl", ".nc"}
    for path in output.rglob("runs/**/*.nc"):
        assert not {"episode", "parameter", "cluster", "centre_episode"} & set(results.load(path).dims), path
    row = json.loads((output / "runs" / "ppo-Hopper-v5-0" / "metrics.jsonl").read_text().splitlines()[0])
    assert set(row) == {"iteration", "env_steps", "rollout/return", "rollout/episodes", "crc32"}


def test_nothing_that_is_kept_names_a_directory_of_the_machine(published):
    source, output, _ = published
    for path in output.rglob("*"):
        if path.is_file() and path.suffix in (".json", ".jsonl", ".html", ".md"):
            assert str(source) not in path.read_text(), path
    kept = results.load(output / "runs" / "trpo-Hopper-v5-0" / "diagnostics" / "evaluation-000030.nc")
    assert kept.attrs["run"] == "runs/trpo-Hopper-v5-0"
    assert kept.attrs["policy"] == "runs/trpo-Hopper-v5-0/policies/000000"


def test_the_text_beside_has_verdicts_scores_and_the_commands(published):
    source, output, out = published
    text = (output / "README.md").read_text()
    assert "| C5 | TRPO keeps its mean-KL region (SEED, IM) | **" in text
    assert "| PPO | Hopper-v5 | 3 | 0, 1, 2 |" in text and "| PPO, variants of its settings | Hopper-v5 | " in text
    assert "| TRPO | Hopper-v5 | 3 | " in text and "2,043 [1,948, 2,136], Hopper-v2" in text
    assert "python -m launch.study madeup" in text
    assert "| C7 | Hopper-v5 | PPO: log of the largest" in text and "PPO: PPO" not in text
    assert f"python -m launch.publish {source.name}" in text
    assert "ppo_m-Hopper-v5-0 is not finished." in text and "ppo_m-Hopper-v5-0 is not finished." in out
    assert (output / "report" / "report.html").read_text() == f"{output} --linked"


def test_the_verdicts_and_a_figure_stand_in_the_projects_readme_and_somebodys_findings_in_the_results(tmp_path, monkeypatch):
    madeup.run(tmp_path / "study" / "runs" / "trpo-Hopper-v5-0", "trpo", 0, looks=("trust_region",))
    readme, output = tmp_path / "README.md", tmp_path / "results"
    readme.write_text(f"# mine\n\n{place.FIRST}\nearlier words\n{place.LAST}\n\nmore\n")
    output.mkdir()
    (output / "findings.md").write_text("It moves.\n")
    page = publish.report.main

    def with_figure(arguments):
        code = page(arguments)
        (output / "report" / "figures").mkdir()
        (output / "report" / "figures" / "landscape-own.png").write_bytes(pictures.linked("a", landscapes.surface(surfaces.returns())).png)
        return code

    monkeypatch.setattr(publish.report, "main", with_figure)
    arguments = [str(tmp_path / "study"), f"--output={output}", f"--readme={readme}"]
    assert command(publish, *arguments, "--figure=landscape-own")[0] == 0
    written, results_text = readme.read_text(), (output / "README.md").read_text()
    assert written.startswith("# mine\n\n") and written.endswith("\n\nmore\n") and "earlier words" not in written
    assert "[![True return" in written and "(results/report/figures/landscape-own.png)" in written and "(results/README.md)" in written
    table = results_text[results_text.index("|  | claim"):results_text.index("A claim holds where")].strip()
    assert "| C5 | TRPO keeps" in table and table in written
    assert "\n\nIt moves.\n\n" in results_text and "--figure=landscape-own" in results_text
    assert command(publish, *arguments, "--figure=landscape-own")[0] == 0
    assert readme.read_text() == written
    code, _, err = command(publish, *arguments, "--figure=landscape-on")
    assert code == 2 and err.count("\n") == 1 and "did you mean landscape-own?" in err


def test_a_readme_without_a_place_for_results_is_refused_before_anything_is_written(tmp_path):
    madeup.run(tmp_path / "study" / "runs" / "trpo-Hopper-v5-0", "trpo", 0)
    (tmp_path / "README.md").write_text("# mine\n")
    for name, sentence in (("README.md", "has no place for results"), ("absent.md", "there is no file")):
        code, _, err = command(publish, str(tmp_path / "study"), f"--output={tmp_path / 'kept'}", f"--readme={tmp_path / name}")
        assert code == 2 and err.count("\n") == 1 and sentence in err, err
        assert not (tmp_path / "kept").exists()


def test_the_verdicts_in_the_readme_of_this_project_are_those_of_its_results():
    here = Path(__file__).parents[2]
    front = (here / "README.md").read_text().partition(place.FIRST)[2].partition(place.LAST)[0]
    table = front[front.index("|  | claim"):].strip()
    assert len(table.splitlines()) == 13 and table in (here / "results" / "README.md").read_text()
    figure = re.search(r"\((results/report/figures/[^)]*)\)", front)
    assert figure and (here / figure[1]).is_file()


def test_what_was_published_before_stays_and_an_agent_published_anew_takes_its_place(tmp_path):
    output = tmp_path / "kept"
    for name, made in (("first", [("trpo", "Hopper-v5", ("trust_region",))]), ("second", [("trpo", "Walker2d-v5", ()), ("trpo", "Hopper-v5", ())])):
        for preset, env, looks in made:
            madeup.run(tmp_path / name / "runs" / f"{preset}-{env}-0", preset, 0, env=env, looks=looks)
        assert command(publish, str(tmp_path / name), f"--output={output}")[0] == 0
        assert len(list(output.glob("runs/trpo-Hopper-v5-0/diagnostics/*/*.nc"))) == len(made) % 2
    assert {row["task"] for row in verdicts(output)[1]} == {"Hopper-v5", "Walker2d-v5"}


def test_a_damaged_result_is_named_and_costs_itself_alone(tmp_path):
    made = madeup.run(tmp_path / "study" / "runs" / "trpo-Hopper-v5-0", "trpo", 0, looks=("trust_region",))
    path = next(made.diagnostics.glob("trust_region/*.nc"))
    path.write_bytes(path.read_bytes()[:-100])
    code, out, _ = command(publish, str(tmp_path / "study"), f"--output={tmp_path / 'kept'}")
    assert code == 0
    assert f"missing: {path} is damaged" in out
    assert not list((tmp_path / "kept").rglob("runs/**/*.nc"))
    assert [each.name for each in (tmp_path / "kept").glob("runs/*/*")]  # settings and returns


def test_a_directory_of_runs_is_never_published_over(tmp_path):
    madeup.run(tmp_path / "study" / "runs" / "trpo-Hopper-v5-0", "trpo", 0)
    madeup.run(tmp_path / "other" / "runs" / "trpo-Hopper-v5-0", "trpo", 0)
    for output in ("study", "other"):
        code, _, err = command(publish, str(tmp_path / "study"), f"--output={tmp_path / output}")
        assert code == 2 and err.count("\n") == 1 and ("another directory" in err or "elsewhere" in err), err
    assert (tmp_path / "other" / "runs" / "trpo-Hopper-v5-0" / "policies").is_dir()


@pytest.mark.parametrize(("arguments", "sentence"), [
    ([], "which results?"),
    (["nowhere", "--figure=landscape"], "--figure has no effect without --readme"),
    (["nowhere"], "there is no directory"),
])
def test_bad_input_is_one_sentence(arguments, sentence):
    code, _, err = command(publish, *arguments)
    assert code == 2 and sentence in err and err.count("\n") == 1


def test_runs_of_which_none_is_finished_are_nothing_to_publish(tmp_path):
    madeup.run(tmp_path / "ppo-Hopper-v5-0", finished=False)
    code, _, err = command(publish, str(tmp_path), f"--output={tmp_path / 'kept'}")
    assert code == 2 and "is finished: there is nothing to publish" in err
    assert not (tmp_path / "kept").exists()


@pytest.mark.long
def test_a_study_goes_on_from_what_was_published_and_makes_agents_of_which_something_is_missing_anew(tmp_path):
    code, out, err = test_study.run(tmp_path)
    assert code == 0, out + err
    code, out, err = command(publish, str(tmp_path / "study"), f"--output={tmp_path / 'kept'}")
    assert code == 0, out + err
    elsewhere, file = tmp_path / "elsewhere", str(tmp_path / "mine.py")
    code, out, err = command(study, file, f"--output={elsewhere}", f"--published={tmp_path / 'kept'}")
    assert code == 0, out + err
    assert "1 agents, of which everything is done" in out and "2 of 2 jobs are done" in out
    assert not (elsewhere / "runs" / "trpo-CartPole-v1-0" / "policies").exists()
    assert "machine" not in json.loads((elsewhere / "jobs" / "train.trpo-CartPole-v1-0.json").read_text())["where"]

    (tmp_path / "mine.py").write_text(test_study.STUDY.format(seeds="[0]", episodes=4))  # another look, so the published agent lacks it
    code, out, err = command(study, file, f"--output={tmp_path / 'third'}", f"--published={tmp_path / 'kept'}")
    assert code == 0, out + err
    assert "of 1 agents" in out and "anew" in out
    assert (tmp_path / "third" / "runs" / "trpo-CartPole-v1-0" / "policies").exists()


def test_a_study_from_where_nothing_was_published_is_refused(tmp_path):
    code, _, err = command(study, "smoke", f"--output={tmp_path / 'study'}", f"--published={tmp_path}")
    assert code == 2 and "holds no published study" in err
