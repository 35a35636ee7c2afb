"""Is a job known by its command, and is it plain at any time what can be begun?"""

import dataclasses
import json

import pytest

from tfpg.errors import UserError
from tfpg.studies import plan
from tfpg.studies.jobs import DONE, FAILED, Ending, Job, Ledger, Progress, final, put_first, summed


def job(name, *needs, product="product", arguments=("make", "product")):
    return Job(name, "tests.studies.worker", arguments, needs, product, pairs=10, seconds=2.0, megabytes=1.0)


GOOD, BAD = Ending(DONE, 1, 0.5, "here", 0), Ending(FAILED, 2, 0.5, "here", 1, "the motor is hot.")


@pytest.fixture
def ledger(tmp_path):
    (tmp_path / "product").write_text("made")
    return Ledger(tmp_path)


@pytest.mark.parametrize("ending", [GOOD, BAD, Ending(FAILED, 1, 3.0, "here", None, "signal 9 ended it")])
def test_an_ending_comes_back_as_it_was_written(ledger, ending):
    ledger.write(job("a"), ending)
    assert ledger.ending(job("a")) == ending


def test_a_job_that_never_ended_has_no_ending(ledger):
    assert ledger.ending(job("a")) is None


def test_the_same_name_with_another_command_is_another_job(ledger):
    ledger.write(job("a"), GOOD)
    assert ledger.ending(job("a", arguments=("make", "other"))) is None


def test_costs_and_needs_are_no_part_of_a_jobs_identity():
    assert job("a").identity == dataclasses.replace(job("a", "b"), pairs=99, seconds=1.0).identity


def test_what_changes_no_result_is_no_part_of_a_jobs_identity_and_its_basis_is():
    assert dataclasses.replace(job("a"), aside=("--snapshots=3",)).identity == job("a").identity
    assert dataclasses.replace(job("a"), basis=job("b", arguments=("x",)).identity).identity != job("a").identity


def test_a_job_whose_product_is_empty_is_to_be_done_again(ledger):
    ledger.write(job("a"), GOOD)
    (ledger.directory / "product").write_text("")
    assert ledger.ending(job("a")) is None


def test_a_record_of_no_known_state_counts_as_none(ledger):
    first, second = job("a"), job("b")
    ledger.write(first, BAD)
    ledger.write(second, GOOD)
    plan.write(ledger.directory, "some", "about", [first, second])
    study = plan.read(ledger.directory)
    assert plan.undone(study) == plan.Undone({"a": "the motor is hot."}, [])
    for name, state in (("a", "failed"), ("b", "done")):
        path = ledger.jobs / f"{name}.json"
        path.write_text(path.read_text().replace(f'"{state}"', '"gailed"'))
    assert plan.undone(study) == plan.Undone({}, ["a", "b"])
    assert ledger.ending(first) is None and ledger.ending(second) is None


def test_what_is_done_is_not_blocked_by_what_it_once_needed():
    progress = Progress([job("a"), job("b", "a")], {"b": GOOD})
    progress.ended(progress.jobs["a"], BAD)
    assert progress.blocked == []


def test_a_job_whose_product_is_gone_is_to_be_done_again(ledger):
    ledger.write(job("a"), GOOD)
    (ledger.directory / "product").unlink()
    assert ledger.ending(job("a")) is None


def test_a_cut_product_is_named_and_the_job_is_to_be_done_again(ledger):
    ledger.write(job("a"), GOOD)
    assert ledger.damage(job("a")) is None
    (ledger.directory / "product").write_text("mad")
    assert ledger.damage(job("a")) == f"{ledger.directory}/product has 3 bytes where a left 4"
    assert ledger.ending(job("a")) is None
    ledger.write(job("a"), GOOD)  # once it was run again
    assert ledger.ending(job("a")) == GOOD


def test_of_a_directory_the_results_count_and_what_else_changes_there_does_not(ledger):
    directory = ledger.directory / "landscape"
    directory.mkdir()
    for name in ("return.nc", "slices.nc", "return.png", "numbers.txt"):
        (directory / name).write_text("made")
    ledger.write(job("a", product="landscape"), GOOD)
    (directory / "return.png").write_text("drawn anew")
    (directory / "numbers.txt").unlink()
    (directory / "film.nc").write_text("looked at later")
    assert ledger.ending(job("a", product="landscape")) == GOOD
    (directory / "slices.nc").unlink()
    assert ledger.damage(job("a", product="landscape")) == f"{directory}/slices.nc is gone where a left 4"
    assert ledger.ending(job("a", product="landscape")) is None


def test_a_record_of_an_earlier_version_knows_no_sizes_and_counts(ledger):
    ledger.write(job("a"), GOOD)
    record = json.loads((ledger.jobs / "a.json").read_text())
    assert record.pop("sizes") == {"product": 4}
    (ledger.jobs / "a.json").write_text(json.dumps(record))
    assert (ledger.ending(job("a")), ledger.damage(job("a"))) == (GOOD, None)


def test_once_a_job_is_done_nothing_is_left_to_do_of_what_only_played_a_part_of_it(ledger):
    parts = [dataclasses.replace(job(name, product=f"shares/{name}"), towards="whole") for name in ("1-of-3", "2-of-3", "3-of-3")]
    whole = job("whole", *(each.name for each in parts))
    assert ledger.endings([*parts, whole]) == {}
    ledger.write(whole, BAD)
    assert Progress([*parts, whole], ledger.endings([*parts, whole])).next() == parts[0]
    ledger.write(whole, GOOD)
    progress = Progress([*parts, whole], ledger.endings([*parts, whole]))
    assert (progress.next(), len(progress.done), progress.left) == (None, 4, [])


@pytest.mark.parametrize("content", ["", "{", "[]", '"text"', "{}", "null"])
def test_a_damaged_record_is_none(ledger, content):
    ledger.write(job("a"), GOOD)
    (ledger.jobs / "a.json").write_text(content)
    assert ledger.ending(job("a")) is None


def test_a_record_names_the_command_that_anybody_can_repeat(ledger):
    ledger.write(job("a"), BAD)
    record = json.loads((ledger.jobs / "a.json").read_text())
    assert record["command"] == ["python", "-m", "tests.studies.worker", "make", "product"]
    assert record["reason"] == "the motor is hot."


def test_jobs_are_begun_in_order_when_their_needs_are_done():
    progress = Progress([job("a"), job("b", "a"), job("c")], {})
    order = []
    while (each := progress.next()) is not None:
        progress.begun(each)
        order.append(each.name)
        if each.name == "c":  # nothing can be begun: b waits for a
            assert progress.next() is None
            for name in ("a", "c"):
                progress.ended(progress.jobs[name], GOOD)
    assert order == ["a", "c", "b"]


def test_what_needs_a_failed_job_is_blocked_and_the_rest_goes_on():
    progress = Progress([job("a"), job("b", "a"), job("c", "b"), job("d")], {})
    progress.ended(progress.jobs["a"], BAD)
    assert [each.name for each in progress.failed] == ["a"]
    assert [each.name for each in progress.blocked] == ["b", "c"]
    assert progress.next().name == "d"
    assert [each.name for each in progress.left] == ["d"]


def test_a_failure_of_an_earlier_day_is_tried_again_and_what_is_done_is_not():
    progress = Progress([job("a"), job("b")], {"a": GOOD, "b": BAD, "of another edition": GOOD})
    assert progress.next().name == "b"
    assert [each.name for each in progress.done] == ["a"]


@pytest.mark.parametrize("jobs", [[job("b", "a"), job("a")], [job("b", "nobody")], [job("a", "a")]])
def test_a_need_must_stand_before(jobs):
    with pytest.raises(ValueError, match="must stand before"):
        Progress(jobs, {})


def test_costs_add_up():
    assert summed([job("a"), job("b")]) == (20, 4.0, 2.0)


@pytest.mark.parametrize(("ending", "last"), [
    (GOOD, True), (BAD, False), (dataclasses.replace(BAD, attempts=3), True),
    (dataclasses.replace(BAD, attempts=1, code=2), False)])
def test_an_attempt_is_the_last_when_it_worked_or_the_number_is_reached(ending, last):
    assert final(ending, 3) == last


def test_jobs_that_are_asked_for_come_first_each_behind_what_it_needs():
    jobs = [job("train.a"), job("look.a", "train.a"), job("train.b"), job("look.b", "train.b"), job("again.b", "look.b")]
    assert [each.name for each in put_first(jobs, ["again.*", "train.*"])] == ["train.b", "look.b", "again.b", "train.a", "look.a"]
    assert put_first(jobs, []) == jobs
    assert Progress(put_first(jobs, ["look.b"]), {}).next().name == "train.b"


def test_a_pattern_that_no_job_matches_is_refused_with_the_nearest_kind():
    with pytest.raises(UserError, match=r"no job of the study is called trian\.a: did you mean train\.\*\?"):
        put_first([job("train.a"), job("look.a", "train.a")], ["trian.a"])
