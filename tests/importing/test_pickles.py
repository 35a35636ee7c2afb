"""A pickle is read and never run: what it says is found, what it would do is a record or a refusal."""

import collections
import os
import pickle
import subprocess

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfpg.errors import UserError
from tfpg.importing import arrays, pickles
from tfpg.importing.pickles import Damaged, Global

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.lists(inner).map(tuple), max_leaves=20)


@settings(max_examples=100, deadline=None)
@given(PLAIN, st.integers(3, pickle.HIGHEST_PROTOCOL))
def test_plain_values_are_what_python_makes_of_them(value, protocol):
    # Python's own unpickler is the oracle
    assert pickles.read(pickle.dumps(value, protocol), ()) == pickle.loads(pickle.dumps(value, protocol))


@pytest.mark.parametrize("array", [
    np.arange(6, dtype=np.float32).reshape(2, 3), np.asfortranarray(np.arange(6.0).reshape(2, 3)), np.array(3.5), np.float64(2.5),
    np.int64(-7), np.arange(3, dtype=">i4"), np.array([True, False]), np.zeros((0, 4)), 3, 2.5])
@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_arrays_are_what_numpy_wrote(array, protocol):
    found = arrays.numpy_array(pickles.read(pickle.dumps(array, protocol), arrays.NUMPY))
    np.testing.assert_array_equal(found, array)
    assert found.shape == np.shape(array) and found.dtype.kind == np.asarray(array).dtype.kind


class Evil:
    """Would run a command when it is unpickled."""

    def __init__(self, call, *arguments):
        self._reduced = call, arguments

    def __reduce__(self):
        return self._reduced


@pytest.mark.parametrize("protocol", range(3, 6))
@pytest.mark.parametrize(("call", "name"), [
    (os.system, f"{os.system.__module__}.system"), (subprocess.check_output, "subprocess.check_output"), (eval, "builtins.eval")])
def test_what_would_run_a_command_is_refused_by_its_name_and_not_run(call, name, protocol, tmp_path):
    command = f"__import__('os').mkdir('{tmp_path}/run')" if call is eval else f"mkdir {tmp_path}/run"
    data = pickle.dumps(Evil(call, command), protocol)
    with pytest.raises(UserError, match=f"it names {name}, which no such file needs"):
        pickles.read(data, arrays.NUMPY)
    made = pickles.read(data)  # where all names are allowed, it is a record
    assert isinstance(made.kind, Global) and made.arguments == (command,)
    assert not (tmp_path / "run").exists()


def test_names_are_never_imported():
    assert pickles.read(b"cno.such.module\nThing\n.") == Global("no.such.module", "Thing")


def test_a_mapping_and_its_state_are_kept():
    made = pickles.read(pickle.dumps(collections.OrderedDict(a=1, b=(2,))), {Global("collections", "OrderedDict")})
    assert made.items == {"a": 1, "b": (2,)}


@pytest.mark.parametrize("data", [b"", b".", b"no pickle", b"\x80\x04", b"K\x01", b"K\x01K\x02R.", b"(.", b"h\x05.", b"]K\x01K\x02s.",
                                  b"K\x01\x93.", b"}]K\x01s.", b"\x80\x04\x8a\xff.", b"K\x01K\x02b."])
def test_what_is_no_pickle_is_damaged(data):
    with pytest.raises(Damaged):
        pickles.read(data)


@pytest.mark.parametrize("data", [b"(ios\nsystem\n.", b"(cos\nsystem\no.", b"\x82\x01."])
def test_opcodes_that_nothing_here_needs_are_refused(data):
    with pytest.raises(UserError, match="it has the opcode (INST|OBJ|EXT1), which nothing"):
        pickles.read(data)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_a_value_or_one_of_two_errors(data):
    try:
        pickles.read(data, arrays.NUMPY)
    except (Damaged, UserError) as error:
        assert "\n" not in str(error)


def test_a_place_of_the_memo_takes_no_memory():
    # LONG_BINPUT 2³¹ − 1: Python's unpickler makes a memo of that many places
    assert pickles.read(b"K\x07r\xff\xff\xff\x7f.") == 7


@pytest.mark.parametrize(("shape", "data"), [((3,), b"\0" * 8), ((-1,), b""), ((2**62,), b"\0" * 8)])
def test_an_array_whose_bytes_do_not_fill_its_shape_is_damaged(shape, data):
    made = pickles.Made(Global("numpy._core.numeric", "_frombuffer"), (data, pickles.Made(Global("numpy", "dtype"), ("f8",)), shape, "C"))
    with pytest.raises(Damaged):
        arrays.numpy_array(made)


def test_an_array_of_objects_is_damaged():
    with pytest.raises(Damaged, match="an array of type 'O8'"):
        arrays.numpy_array(pickles.read(pickle.dumps(np.array([None, {}]), 4), arrays.NUMPY))
