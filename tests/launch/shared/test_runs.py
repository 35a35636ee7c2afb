"""Does --run find a run, and name the nearest one where there is none?"""

import pytest

from launch.shared import runs
from tfpg import storage
from tfpg.errors import UserError


@pytest.mark.parametrize(("given", "sentence"), [
    ("runs/c", "there is no directory {0}/runs/c: choose one of a, b in {0}/runs."),
    ("runs", "{0}/runs is no run directory but holds such: choose one of a, b in {0}/runs."),
    ("runs/a/policies", "{0}/runs/a/policies is a part of a run, --run takes the whole: did you mean {0}/runs/a?"),
    ("runs/a/policies/000150", "{0}/runs/a/policies/000150 is a part of a run, --run takes the whole: did you mean {0}/runs/a?"),
    ("other", "there is no directory {0}/other."),
    ("empty", "{0}/empty is no run directory: it has no config.json."),
])
def test_what_is_no_run_is_named_with_the_nearest_that_is(tmp_path, given, sentence):
    (tmp_path / "runs" / "a" / "policies" / "000150").mkdir(parents=True)
    for name in ("runs/b", "empty"):
        (tmp_path / name).mkdir()
    for name in ("a", "b"):
        storage.write_json(tmp_path / "runs" / name / "config.json", {})
    with pytest.raises(UserError) as error:
        runs.named(str(tmp_path / given))
    assert str(error.value) == sentence.format(tmp_path)
