"""Parts of long computations: read where they were computed before, named where they are damaged."""

import numpy as np
import pytest

from tfpg.diagnostics.parts import Parts, digest
from tfpg.errors import UserError

FACTS, SHAPES = {"policy": "a", "pairs": 64}, {"sums": (3, None), "count": ()}


def counting():
    calls = []

    def compute():
        calls.append(None)
        return {"sums": np.full((3, 4), -1 / 3), "count": np.array(len(calls))}

    return calls, compute


def test_a_part_is_computed_once_and_read_back_to_the_last_bit(tmp_path):
    calls, compute = counting()
    first, again = (Parts(tmp_path / "parts").kept(FACTS, SHAPES, compute) for _ in range(2))
    assert len(calls) == 1
    for name in SHAPES:
        np.testing.assert_array_equal(first[name], again[name])
        assert first[name].dtype == again[name].dtype


def test_other_facts_are_another_part_whatever_their_order(tmp_path):
    calls, compute = counting()
    parts = Parts(tmp_path)
    parts.kept(FACTS, SHAPES, compute)
    parts.kept({"pairs": 64, "policy": "a"}, SHAPES, compute)
    assert len(calls) == 1
    parts.kept({**FACTS, "pairs": 65}, SHAPES, compute)
    assert len(calls) == 2


def test_without_a_directory_nothing_is_kept():
    calls, compute = counting()
    for _ in range(2):
        Parts(None).kept(FACTS, SHAPES, compute)
    assert len(calls) == 2


@pytest.mark.parametrize("shapes", [{"sums": (3, 5), "count": ()}, {"sums": (3, None)}, {"sums": (3,), "count": ()}])
def test_a_part_of_other_names_or_shapes_is_refused(shapes, tmp_path):
    Parts(tmp_path).kept(FACTS, SHAPES, counting()[1])
    with pytest.raises(UserError, match="is damaged"):
        Parts(tmp_path).kept(FACTS, shapes, counting()[1])


def test_a_digest_tells_values_shapes_and_types_apart():
    x = np.arange(6, dtype=np.float32)
    made = {digest(x), digest(x.reshape(2, 3)), digest(x.astype(np.float64)), digest(x + 1), digest(x[:3], x[3:])}
    assert len(made) == 5
    assert digest(x) == digest(np.arange(12, dtype=np.float32)[::2] / 2)
