"""Does a file survive kills, damage and a disk that refuses?"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from tfpg import storage
from tfpg.errors import UserError

ROOT = Path(__file__).resolve().parent.parent
ARRAYS = {"theta": np.arange(5, dtype=np.float32), "slots/count": np.float32(3), "path": np.array(["a", "δ"]),
          "empty": np.zeros((0, 3)), "file": np.array([True])}
patient = examples(deadline=None, suppress_health_check=list(HealthCheck))


class Kill(BaseException):
    """Stands for a kill: nothing may tidy up after it."""


@pytest.fixture
def recorded(tmp_path):
    """A directory with a manifest."""
    storage.create_manifest(tmp_path)
    return tmp_path


def names(directory):
    return sorted(entry.name for entry in directory.iterdir())


# Writing and reading


def test_arrays_come_back_as_they_were(tmp_path):
    storage.write_npz(tmp_path / "a.npz", **ARRAYS)
    read = storage.read_npz(tmp_path / "a.npz")

    assert list(read) == list(ARRAYS)
    for name, value in ARRAYS.items():
        np.testing.assert_array_equal(read[name], value)
        assert read[name].dtype == np.asarray(value).dtype and read[name].shape == np.shape(value)


def test_equal_arrays_make_equal_bytes(tmp_path):
    storage.write_npz(tmp_path / "a.npz", **ARRAYS)
    storage.write_npz(tmp_path / "b.npz", **ARRAYS)

    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_objects_are_refused_and_leave_nothing_behind(tmp_path):
    with pytest.raises(ValueError):
        storage.write_npz(tmp_path / "a.npz", good=np.zeros(3), bad=np.array([{}, None], dtype=object))
    assert names(tmp_path) == []


def test_a_pickle_is_not_read(tmp_path):
    np.savez(tmp_path / "a.npz", evil=np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(UserError, match="a.npz is damaged"):
        storage.read_npz(tmp_path / "a.npz")


@patient
@given(st.data())
def test_a_flipped_byte_or_a_cut_is_a_user_error_or_does_no_harm(tmp_path, data):
    path = tmp_path / "a.npz"
    storage.write_npz(path, **ARRAYS)
    content = bytearray(path.read_bytes())
    position = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        content[position] ^= data.draw(st.integers(1, 255))
    else:
        del content[position:]
    path.write_bytes(content)
    try:
        read = storage.read_npz(path)
    except UserError as error:
        assert str(path) in str(error)
        return
    assert list(read) == list(ARRAYS)  # a date in the archive's index: no data
    for name, value in ARRAYS.items():
        np.testing.assert_array_equal(read[name], value)


def test_no_array_disappears_by_a_flipped_bit_of_the_list_of_arrays(tmp_path):
    path = tmp_path / "a.npz"
    storage.write_npz(path, **ARRAYS)
    whole = path.read_bytes()
    for place in range(whole.index(b"PK\1\2"), len(whole)):
        for bit in (0, 2, 7):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << bit]) + whole[place + 1:])
            try:
                found = storage.read_npz(path)
            except UserError:
                continue
            assert list(found) == list(ARRAYS), (place, bit)


@patient
@given(st.binary(max_size=200))
def test_any_bytes_read_as_arrays_or_json_are_a_user_error_or_a_value(tmp_path, content):
    path = tmp_path / "x"
    path.write_bytes(content)
    for read in (storage.read_npz, storage.read_json, storage.read_records):
        try:
            read(path)
        except UserError as error:
            assert str(path) in str(error)


@pytest.mark.parametrize("read", [storage.read_npz, storage.read_json])
def test_a_missing_file_is_a_sentence(tmp_path, read):
    with pytest.raises(UserError) as error:
        read(tmp_path / "none")
    assert str(error.value) == f"cannot read {tmp_path / 'none'}: no such file or directory."


def test_json_keeps_letters_and_refuses_nan(tmp_path):
    storage.write_json(tmp_path / "a.json", {"δ": ["\udcff", 1.5, None]})

    assert storage.read_json(tmp_path / "a.json") == {"δ": ["\udcff", 1.5, None]}
    assert "δ" in (tmp_path / "a.json").read_text(encoding="utf-8")
    with pytest.raises(ValueError):
        storage.write_json(tmp_path / "b.json", {"a": float("nan")})
    assert names(tmp_path) == ["a.json"]


def test_a_new_file_has_the_rights_that_the_user_gives_to_new_files(tmp_path):
    (tmp_path / "plain").write_text("x")
    storage.write_text(tmp_path / "ours", "x")

    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    storage.write_text(tmp_path / "a", "old")
    with pytest.raises(KeyboardInterrupt), storage.atomically(tmp_path / "a") as temporary:
        temporary.write_text("half of the new")
        raise KeyboardInterrupt

    assert (tmp_path / "a").read_text() == "old"
    assert names(tmp_path) == ["a"]


def test_a_directory_that_refuses_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("x")
    for write in (lambda path: storage.write_text(path, "x"), lambda path: storage.append_line(path, "x")):
        with pytest.raises(UserError) as error:
            write(tmp_path / "file" / "a")
        assert str(error.value) == f"cannot write {tmp_path / 'file' / 'a'}: not a directory."


def test_a_full_disk_is_one_sentence():
    with pytest.raises(UserError, match="^cannot write /dev/full: no space left on device.$"):
        storage.append_line("/dev/full", "x")


def test_a_directory_is_replaced_as_a_whole(recorded):
    for content in ("old", "new"):
        with storage.atomically(recorded / "policy") as temporary:
            (temporary / "variables").mkdir(parents=True)
            (temporary / "variables" / content).write_text(content)

    assert names(recorded / "policy" / "variables") == ["new"]
    assert storage.verify(recorded) == []
    assert names(recorded) == ["manifest.jsonl", "policy"]


# Lines


def test_a_torn_last_line_is_passed_over_and_cut_off_by_the_next(tmp_path):
    path = tmp_path / "metrics.jsonl"
    storage.append_line(path, '{"a": 1}')
    with open(path, "a") as file:
        file.write('{"a": 2')

    assert storage.read_records(path) == [{"a": 1}]
    storage.append_line(path, '{"a": 3}')
    assert path.read_text() == '{"a": 1}\n{"a": 3}\n'


@patient
@given(lines=st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\n"), max_size=20), max_size=5),
       torn=st.text(st.characters(codec="utf-8", exclude_characters="\n")))
def test_lines_come_back_as_they_were(tmp_path, lines, torn):
    path = tmp_path / "lines"
    path.unlink(missing_ok=True)
    for line in lines:
        storage.append_line(path, line)
    if lines:
        with open(path, "ab") as file:
            file.write(torn.encode())

    assert storage.read_lines(path) == lines
    for keep in range(len(lines), -1, -1):
        storage.cut_lines(path, keep)
        assert storage.read_lines(path) == lines[:keep]


def test_a_torn_line_longer_than_a_block_is_cut_off(tmp_path):
    (tmp_path / "a").write_text("first\n" + "x" * 10_000)
    storage.append_line(tmp_path / "a", "y" * 9_000)
    assert storage.read_lines(tmp_path / "a") == ["first", "y" * 9_000]


def test_no_file_is_no_lines(tmp_path):
    assert storage.read_lines(tmp_path / "none") == []
    storage.cut_lines(tmp_path / "none", 0)


def test_a_line_break_within_a_line_is_refused(tmp_path):
    with pytest.raises(ValueError):
        storage.append_line(tmp_path / "a", "x\ny")


def test_cutting_back_to_more_lines_than_there_are_is_damage(tmp_path):
    storage.append_line(tmp_path / "a", "x")
    with pytest.raises(UserError, match="a is damaged: it has 1 complete lines where 2 are needed.$"):
        storage.cut_lines(tmp_path / "a", 2)
    assert storage.read_lines(tmp_path / "a") == ["x"]


def test_a_damaged_line_is_named_by_its_number(tmp_path):
    (tmp_path / "a").write_text('{"x": 1}\n{"x"\n')
    with pytest.raises(UserError, match="a is damaged: line 2 is no JSON object.$"):
        storage.read_records(tmp_path / "a")


# The manifest


def test_every_write_below_a_manifest_is_recorded_and_damage_is_named(recorded):
    (recorded / "iterates").mkdir()
    storage.write_npz(recorded / "iterates" / "000000.npz", theta=np.zeros(3))
    storage.write_json(recorded / "config.json", {})
    assert storage.verify(recorded) == []

    content = bytearray((recorded / "iterates" / "000000.npz").read_bytes())
    content[len(content) // 2] ^= 1
    (recorded / "iterates" / "000000.npz").write_bytes(content)
    (recorded / "config.json").unlink()

    assert storage.verify(recorded) == [
        f"{recorded / 'config.json'} is missing.",
        f"{recorded / 'iterates' / '000000.npz'} is damaged: it differs from its recorded sum."]
    assert len(storage.verify(recorded / "iterates")) == 1
    assert storage.verify(recorded / "policies") == []


def test_damage_inside_a_recorded_directory_is_named(recorded):
    with storage.atomically(recorded / "policy") as temporary:
        temporary.mkdir()
        (temporary / "weights").write_text("good")
    (recorded / "policy" / "weights").write_text("evil")

    assert storage.verify(recorded / "policy") == [
        f"{recorded / 'policy' / 'weights'} is damaged: it differs from its recorded sum."]


def test_rewriting_and_removing_keep_the_manifest_right(recorded):
    for text in ("one", "two"):
        storage.write_text(recorded / "a", text)
        storage.write_text(recorded / "ab", text)
    storage.remove(recorded / "a")

    assert names(recorded) == ["ab", "manifest.jsonl"]
    assert storage.verify(recorded) == []


def test_a_moved_directory_still_verifies(recorded, tmp_path_factory):
    storage.write_text(recorded / "a", "x")
    moved = tmp_path_factory.mktemp("elsewhere") / "run"
    recorded.rename(moved)
    assert storage.verify(moved) == []


def test_what_no_manifest_covers_cannot_be_verified(tmp_path):
    with pytest.raises(UserError, match="cannot be verified: there is no manifest.jsonl in it or above it.$"):
        storage.verify(tmp_path)


def test_a_manifest_of_somebody_else_is_left_alone(tmp_path):
    (tmp_path / "manifest.jsonl").write_text('{"name": "my data"}\n')
    storage.write_text(tmp_path / "a", "x")
    assert (tmp_path / "manifest.jsonl").read_text() == '{"name": "my data"}\n'


@pytest.mark.parametrize("line", ["[]", "{}", '{"path": "a", "sums": 3}', "garbage"])
def test_a_damaged_manifest_is_a_user_error_that_names_it(recorded, line):
    with open(recorded / "manifest.jsonl", "a") as file:
        file.write(line + "\n")
    with pytest.raises(UserError, match="manifest.jsonl is damaged: line "):
        storage.verify(recorded)


@pytest.mark.parametrize("old", [None, "old"])
def test_a_kill_between_record_and_rename_is_made_good(recorded, monkeypatch, old):
    if old:
        storage.write_text(recorded / "a", old)
    with monkeypatch.context() as patch, pytest.raises(Kill):
        patch.setattr(storage, "_install", lambda *_: (_ for _ in ()).throw(Kill))
        storage.write_text(recorded / "a", "new")

    assert storage.verify(recorded) == []  # as it was before: nothing is damaged
    assert (recorded / "a").exists() == bool(old)
    storage.write_text(recorded / "b", "next")  # the next writer finishes it
    assert (recorded / "a").read_text() == "new"
    assert storage.verify(recorded) == []


def test_a_kill_between_the_two_renames_that_replace_a_directory_is_made_good(recorded, monkeypatch):
    def write(text):
        with storage.atomically(recorded / "policy") as temporary:
            temporary.mkdir()
            (temporary / "weights").write_text(text)

    write("old")
    with monkeypatch.context() as patch, pytest.raises(Kill):
        patch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(Kill))
        write("new")

    assert not (recorded / "policy").exists()
    assert storage.verify(recorded) == []  # nothing is damaged: the new one is there, not yet under its name
    storage.settle(recorded)
    assert (recorded / "policy" / "weights").read_text() == "new"
    assert storage.verify(recorded) == []


def test_a_torn_last_record_is_a_write_that_never_was(recorded):
    storage.write_text(recorded / "a", "old")
    with open(recorded / "manifest.jsonl", "a") as file:
        file.write('{"path": "a", "su')

    assert storage.verify(recorded) == []
    storage.write_text(recorded / "b", "x")
    assert storage.verify(recorded) == []
    assert [json.loads(line)["path"] for line in storage.read_lines(recorded / "manifest.jsonl")[1:]] == ["a", "b"]


def test_stray_temporaries_go_and_everything_else_stays(recorded):
    (recorded / ".tfpg-tmp-1-abcd-x").write_text("half")
    (recorded / ".tfpg-tmp-1-abcd-y").mkdir()
    storage.write_text(recorded / "a", "x")
    storage.remove_temporaries(recorded)
    assert names(recorded) == ["a", "manifest.jsonl"]


WRITER = """
import sys, itertools
import numpy as np
from tfpg import storage
root = sys.argv[1]
print("begun", flush=True)
for i in itertools.count():
    storage.write_npz(f"{root}/latest.npz", i=np.full(1000, i))
    storage.append_line(f"{root}/lines", str(i))
    with storage.atomically(f"{root}/policy") as temporary:
        temporary.mkdir()
        (temporary / "a").write_text(str(i))
        (temporary / "b").write_text(str(i))
"""


@pytest.mark.parametrize("kills", [5, pytest.param(60, marks=pytest.mark.long)])
def test_kills_at_any_moment_leave_whole_files_and_a_true_manifest(recorded, kills):
    random = np.random.default_rng(0)
    for _ in range(kills):
        process = subprocess.Popen([sys.executable, "-c", WRITER, str(recorded)], cwd=ROOT, stdout=subprocess.PIPE)
        process.stdout.readline()
        time.sleep(random.uniform(0.005, 0.1))
        process.send_signal(signal.SIGKILL)
        process.communicate()

        assert storage.verify(recorded) == []
        storage.settle(recorded)
        assert storage.verify(recorded) == []
        if (recorded / "latest.npz").exists():
            assert len(set(storage.read_npz(recorded / "latest.npz")["i"])) == 1
        if (recorded / "policy").exists():
            assert (recorded / "policy" / "a").read_text() == (recorded / "policy" / "b").read_text()
        assert all(line.isdigit() for line in storage.read_lines(recorded / "lines"))


def test_two_processes_may_write_below_one_manifest(recorded):
    code = ("import sys\nfrom tfpg import storage\n"
            "for i in range(40): storage.write_text(f'{sys.argv[1]}/{sys.argv[2]}{i}', 'x')")
    writers = [subprocess.Popen([sys.executable, "-c", code, str(recorded), name], cwd=ROOT) for name in "ab"]

    assert [writer.wait(60) for writer in writers] == [0, 0]
    assert storage.verify(recorded) == []
    assert len(storage.read_lines(recorded / "manifest.jsonl")) == 1 + 80
