"""Event files, read back with TensorBoard's own reader: what is in them, what `cut` leaves, what HParams shows."""

import os
import struct

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from tensorboard.plugins.hparams import metadata as hparams_metadata

from tests.report.records import PPO, TRPO, N, T, iteration, small
from tfpg.config import all_settings
from tfpg.errors import UserError
from tfpg.report import figures
from tfpg.report.metrics import metrics
from tfpg.report.summaries import ABSENT, Summaries, configuration_table, cut, hyperparameters

CONFIG = small(TRPO)


def write(directory, indices, *, final=False, **options):
    with Summaries(directory, **options) as summaries:
        for index in indices:
            record = iteration(CONFIG, index, kl=index / 64)
            summaries.write(record, metrics(record, CONFIG))
        if final:
            summaries.hparams(CONFIG, {"final/return": 7.0}, env_steps=record.env_steps)


def accumulated(directory):
    return EventAccumulator(str(directory), size_guidance={"scalars": 0, "tensors": 0, "images": 0}).Reload()


def curve(directory, tag="trust_region/train/mean_kl"):
    return [(event.step, event.value) for event in accumulated(directory).Scalars(tag)]


def expected(indices):
    return [((index + 2) * T * N, index / 64) for index in indices]


def event_files(directory):
    return sorted(directory.glob("events*"))


def test_events_hold_every_metric_at_its_environment_step(tmp_path):
    write(tmp_path, range(3))
    events = accumulated(tmp_path)
    for index in range(3):
        numbers = metrics(iteration(CONFIG, index, kl=index / 64), CONFIG)
        assert set(events.Tags()["scalars"]) == set(numbers)
        for tag, value in numbers.items():
            event = events.Scalars(tag)[index]
            assert event.step == (index + 2) * T * N
            assert event.value == np.float32(value)


def test_tensorboard_takes_them_for_scalars_of_today(tmp_path):
    """EventFileLoader brings events to the form that TensorBoard 2 works with: tensors of the scalars plugin."""
    write(tmp_path, [0])
    [path] = event_files(tmp_path)
    values = [value for event in EventFileLoader(str(path)).Load() for value in event.summary.value]
    assert {value.metadata.plugin_data.plugin_name for value in values} == {"scalars"}


def test_an_iteration_is_one_event(tmp_path):
    write(tmp_path, range(4))
    [path] = event_files(tmp_path)
    assert sum(event.HasField("summary") for event in EventFileLoader(str(path)).Load()) == 4


def test_flushed_events_are_in_the_file_while_it_is_open(tmp_path):
    record = iteration(CONFIG, 0)
    with Summaries(tmp_path) as summaries:
        summaries.write(record, metrics(record, CONFIG))
        summaries.flush()
        assert len(curve(tmp_path)) == 1


def test_cut_drops_exactly_the_later_events(tmp_path):
    write(tmp_path, range(6), final=True)
    cut(tmp_path, 5 * T * N)  # iteration k ends at (k + 2)·T·N: iterations 0 … 3 stay
    assert curve(tmp_path) == expected(range(4))
    assert "final/return" not in accumulated(tmp_path).Tags()["scalars"]
    assert hparams_metadata.SESSION_START_INFO_TAG in accumulated(tmp_path).summary_metadata


def test_cut_leaves_a_file_that_loses_nothing_untouched(tmp_path):
    write(tmp_path, range(3))
    [path] = event_files(tmp_path)
    before = path.read_bytes(), path.stat().st_ino
    cut(tmp_path, 4 * T * N)
    assert (path.read_bytes(), path.stat().st_ino) == before


@pytest.mark.parametrize("missing", [1, 4, 5, 40])
def test_cut_takes_off_a_record_torn_at_any_place(tmp_path, missing):
    write(tmp_path, range(4))
    [path] = event_files(tmp_path)
    os.truncate(path, path.stat().st_size - missing)
    cut(tmp_path, 10**9)
    assert curve(tmp_path) == expected(range(3))
    [path] = event_files(tmp_path)
    size = path.stat().st_size
    cut(tmp_path, 10**9)  # now whole: nothing more to take off
    assert path.stat().st_size == size


def test_cut_takes_off_a_torn_header_and_zeros(tmp_path):
    for tail in (b"\x01\x02\x03", struct.pack("<Q", 2**40), bytes(64)):
        directory = tmp_path / tail.hex()
        write(directory, range(2))
        [path] = event_files(directory)
        with path.open("ab") as file:
            file.write(tail)
        cut(directory, 10**9)
        assert curve(directory) == expected(range(2))


def test_cut_removes_files_without_any_summary_left(tmp_path):
    write(tmp_path, range(4))
    write(tmp_path, range(4, 6))
    (tmp_path / "events.out.tfevents.0000000000.empty").touch()
    cut(tmp_path, 5 * T * N)
    assert len(event_files(tmp_path)) == 1
    assert curve(tmp_path) == expected(range(4))


def test_a_run_continued_twice_is_one_curve(tmp_path):
    write(tmp_path, range(5))
    cut(tmp_path, 4 * T * N)
    write(tmp_path, range(3, 7))
    cut(tmp_path, 7 * T * N)
    write(tmp_path, range(6, 9))
    assert curve(tmp_path) == expected(range(9))


def test_cut_of_a_directory_without_events_does_nothing(tmp_path):
    cut(tmp_path, 0)
    assert list(tmp_path.iterdir()) == []


def test_hyperparameters_have_the_same_keys_and_types_in_every_run():
    trpo, ppo = hyperparameters(TRPO), hyperparameters(PPO)
    clipped = hyperparameters(small(PPO))
    assert list(trpo) == list(ppo) == list(clipped)
    assert set(trpo) == {"algorithm", *(setting.name for setting in all_settings())}
    kinds = [[float if isinstance(v, int | float) and not isinstance(v, bool) else type(v) for v in row.values()]
             for row in (trpo, ppo, clipped)]
    assert kinds[0] == kinds[1] == kinds[2]


def test_hyperparameters_of_the_other_algorithm_are_marked():
    row = hyperparameters(TRPO)
    assert row["trpo.delta"] == "0.13" and row["ppo.clip_epsilon"] == ABSENT and row["code_level.value_clip"] == "none"
    assert row["algorithm"] == "trpo" and row["rollout.num_steps"] == 2048 and row["network.hidden"] == "[64, 64]"


def test_hparams_row_and_final_scores_are_in_the_event_file(tmp_path):
    write(tmp_path, [0], final=True)
    found = accumulated(tmp_path)
    start = hparams_metadata.parse_session_start_info_plugin_data(
        found.summary_metadata[hparams_metadata.SESSION_START_INFO_TAG].plugin_data.content)
    assert set(start.hparams) == set(hyperparameters(TRPO))
    assert start.group_name.startswith("trpo Hopper-v5 0 ")
    assert start.hparams["rollout.num_steps"].number_value == T * N
    assert [event.value for event in found.Scalars("final/return")] == [7.0]


def test_pictures_texts_and_histograms_reach_the_file(tmp_path):
    record = iteration(CONFIG, 0)
    picture = figures.png(figures.overview([]), dpi=20)
    with Summaries(tmp_path, histograms=True) as summaries:
        summaries.write(record, metrics(record, CONFIG))
        summaries.figure("run/overview", picture, env_steps=16)
        summaries.text("run/configuration", configuration_table(CONFIG))
    found = accumulated(tmp_path)
    [image] = found.Images("run/overview")
    assert image.encoded_image_string == picture and image.step == 16
    assert image.width == 20 * 10 and image.height < image.width  # inches at 20 dots each
    plugins = {tag: value.plugin_data.plugin_name for tag, value in found.summary_metadata.items()}
    assert plugins["run/configuration"] == "text" and plugins["policy/actions"] == "histograms"


def test_configuration_table_has_a_row_for_each_setting_that_applies():
    table = configuration_table(TRPO)
    assert "| trpo.delta | 0.13 |" in table and "ppo.clip_epsilon" not in table
    cells = {line.replace("\\|", "").count("|") for line in table.splitlines()}
    assert cells == {4}


def test_a_directory_that_takes_no_event_file_is_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot write an event file of TensorBoard in .*/file/below: .*\.$"):
        Summaries(tmp_path / "file" / "below")
