"""Results on disk: no damage to the numbers passes unseen."""

import resource

import numpy as np
import pytest
import xarray as xr

from tfpg.diagnostics import results
from tfpg.diagnostics.statistics import estimates
from tfpg.errors import UserError


@pytest.fixture
def dataset():
    draw = np.random.default_rng(0)
    return xr.Dataset({"x": (("policy", "episode"), draw.normal(size=(2, 300)), {"units": "reward"}),
                       "x_count": ("policy", np.array([300, 300])), "accepted": ("policy", np.array([True, False]))},
                      {"policy": ["greedy", "stochastic"], "episode": np.arange(300)}, {"seed": 3, "task": "Hopper-v5", "σ": 0.5})


@pytest.mark.parametrize("compact", [False, True])
def test_what_was_saved_is_read(dataset, tmp_path, compact):
    assert results.load(results.save(dataset, tmp_path / "a" / "r.nc", compact=compact)).identical(dataset)
    assert [entry.name for entry in (tmp_path / "a").iterdir()] == ["r.nc"]


def test_a_variable_without_dimensions_is_refused(tmp_path):
    with pytest.raises(ValueError, match="x: no dimensions"):
        results.save(xr.Dataset({"x": 1.0}), tmp_path / "r.nc")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match="absent.nc"):
        results.load(tmp_path / "absent.nc")


def test_a_compact_file_of_many_small_arrays_is_less_than_a_fifth_as_long(tmp_path):
    many = xr.Dataset({f"x{i}": ("episode", np.arange(5.0), {"units": "reward"}) for i in range(100)})
    sizes = [results.save(many, tmp_path / "r.nc", compact=compact).stat().st_size for compact in (False, True)]
    assert sizes[1] < sizes[0] / 5, sizes
    assert results.load(tmp_path / "r.nc").identical(many)


@pytest.mark.parametrize("found", [
    {"x": ("episode", np.arange(5.0))},
    {"x": ("episode", np.arange(5, dtype=np.int64)), "name": ("episode", ["a", "bb", "c", "dd", "é"])},
    {"x": ("episode", np.array([2**40, 1]))},  # more than 32 bits
    {"x": ("episode", np.tile(np.arange(200.0), 50))},  # packs well
    {"x": ("episode", np.array([np.nan, np.inf, -0.0, 1e-300])), "flag": ("episode", np.array([True, False, True, True]))},
    {"x": ("episode", np.array([1, 2], np.int8)), "y": ("episode", np.array([1, 2], np.float32))},
])
def test_a_compact_file_holds_what_was_saved_whichever_of_its_formats_is_the_shorter(found, tmp_path):
    dataset = xr.Dataset(found, attrs={"seed": 2**31 - 1, "words": "π ≥ 0"})
    loaded = results.load(results.save(dataset, tmp_path / "r.nc", compact=True))
    assert loaded.identical(dataset)
    assert all(loaded[name].dtype == dataset[name].dtype and loaded[name].dtype.isnative for name in found if dataset[name].dtype.kind != "U")
    assert loaded.encoding["source"] == str(tmp_path / "r.nc")  # a report's link
    assert xr.open_dataset(tmp_path / "r.nc")["x"].shape == dataset["x"].shape  # as anybody would open it


def test_a_compact_file_with_a_seed_of_more_than_32_bits_holds_it(dataset, tmp_path):
    dataset.attrs["seed"] = 2**40
    assert results.load(results.save(dataset, tmp_path / "r.nc", compact=True)).attrs["seed"] == 2**40


@pytest.mark.parametrize("compact", [False, True])
def test_flipped_bits_never_change_a_number_in_silence(dataset, tmp_path, compact):
    """The sums cover the arrays; a flip elsewhere may pass (unused bytes), but then the arrays are whole."""
    path = results.save(dataset, tmp_path / "r.nc", compact=compact)
    whole, draw = path.read_bytes(), np.random.default_rng(0)
    found = 0
    for _ in range(60):
        data = bytearray(whole)
        data[int(draw.integers(len(data)))] ^= 1 << int(draw.integers(8))
        path.write_bytes(data)
        try:
            loaded = results.load(path)
        except UserError as error:
            assert "r.nc is damaged" in str(error)
            found += 1
        else:
            for name in set(dataset.variables) & set(loaded.variables):
                if loaded[name].shape == dataset[name].shape and loaded[name].dtype == dataset[name].dtype:
                    np.testing.assert_array_equal(loaded[name], dataset[name])
    assert found > 5


@pytest.mark.parametrize("last", [512, 4096])
@pytest.mark.parametrize("length", [4, 4_000])
def test_a_compact_file_that_lost_its_last_block_or_got_more_is_named(length, last, tmp_path):
    """As a crash of the machine leaves it, with its line of sums gone."""
    dataset = xr.Dataset({f"x{i}": ("episode", np.arange(length, dtype=float)) for i in range(20)})
    path = results.save(dataset, tmp_path / "r.nc", compact=True)
    whole = path.read_bytes()
    assert whole.startswith(b"CDF" if length < 100 else b"\x89HDF")
    for damaged in (whole[:len(whole) // last * last].ljust(len(whole), b"\0"), whole + b"\0", whole[:-results._LENGTH]):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match="r.nc is damaged"):
            results.load(path)


def test_a_truncated_file_is_named(dataset, tmp_path):
    path = results.save(dataset, tmp_path / "r.nc")
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(UserError, match="r.nc is damaged"):
        results.load(path)


def test_a_full_disk_is_one_sentence_and_leaves_nothing(dataset, tmp_path, capfd):
    """HDF5 would say it in its own words, from destructors too, and put its half-written file back."""
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    for size in (100, 4_000, 8_000):
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, most))
        try:
            with pytest.raises(UserError, match="^cannot write .*/r.nc: file too large.$"):
                results.save(dataset, tmp_path / "r.nc")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr().err == ""


def test_counts_that_are_not_the_dimensions_are_spread_over_them():
    found = estimates.means(np.arange(12.0).reshape(2, 2, 3))
    variables = results.estimate("value", found, ("a", "b"), (2, 2), "episodes", units="1")
    assert {name: np.shape(variable[1]) for name, variable in variables.items()} == dict.fromkeys(
        ("value", "value_stderr", "value_low", "value_high", "value_count"), (2, 2))
    np.testing.assert_array_equal(variables["value"][1], [[1, 4], [7, 10]])
    assert variables["value_count"][2] == {"units": "episodes"} and variables["value"][2] == {"units": "1"}
