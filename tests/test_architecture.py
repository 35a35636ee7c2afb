"""The floors of the house, read from the source of every module."""

import ast
import functools
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]
# Modules directly in tfpg stand alone; packages are named once. Whoever adds one says here on which floor it lives.
FLOORS = {
    "types": 0, "config": 0, "settings": 0, "seeds": 0, "errors": 0, "clock": 0, "beside": 0, "storage": 0, "sums": 0, "lock": 0,
    "study": 0, "shown": 0,
    "numerics": 1,
    "models": 2, "envs": 2, "objectives": 2, "importing": 2,
    "algos": 3,
    "training": 4, "snapshot": 4, "checkpoint": 4, "run_directory": 4, "runtime": 4,
    "diagnostics": 5,
    "report": 6, "benchmark": 6, "studies": 6, "claims": 6,
}
# Rooms of launch; the commands stand on top, and with them studies, which reads their flags, and publishing, which calls them.
LAUNCH = {"shared": 7, "training": 8, "instruments": 9, "benchmarking": 9, "reporting": 9, "studies": 10, "publishing": 10}
COMMANDS = 10
LIGHT = ("tfpg", "tfpg.config", "tfpg.settings", "tfpg.seeds", "tfpg.errors", "tfpg.types", "tfpg.study")
HEAVY = {"tensorflow", "keras", "tf_keras", "tensorflow_probability", "gymnasium", "envpool", "matplotlib", "xarray"}
SOURCES = [path for folder in ("tfpg", "launch", "configs") for path in sorted((ROOT / folder).rglob("*.py"))]


@functools.cache
def tree_of(path):
    return ast.parse(path.read_text())


def name_of(path):
    """tfpg/algos/trpo.py → ("tfpg", "algos", "trpo"); a package's __init__ is the package."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return parts[:-1] if parts[-1] == "__init__" else parts


@functools.cache
def imported(path):
    """Every module named by an import statement, wherever it stands: a tuple of its parts, names imported included."""
    return tuple(_imported(path))


def _imported(path):
    package = name_of(path) if path.stem == "__init__" else name_of(path)[:-1]
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (tuple(alias.name.split(".")) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[:len(package) - node.level + 1] if node.level else ()
            base += tuple(node.module.split(".")) if node.module else ()
            yield from (base + (alias.name,) for alias in node.names)


def place(module):
    """(floor, room) of one of our modules; rooms are packages, and the modules directly in tfpg one room a floor."""
    if module[0] == "configs":
        return 0, "configs"
    if module[0] == "launch":
        if module[1:2] == ("instruments",) and len(module) > 2:
            return LAUNCH["instruments"], ".".join(module[:3])
        floor = LAUNCH.get(module[1], COMMANDS) if len(module) > 1 else 0
        return floor, "launch" if floor == COMMANDS else ".".join(module[:2])
    if len(module) == 1 or (len(module) == 2 and module[1].startswith("__")):
        return 0, "tfpg"
    floor = FLOORS[module[1]]
    is_package = (ROOT / "tfpg" / module[1]).is_dir()
    return floor, module[1] if is_package else f"tfpg, floor {floor}"


def imports(*room):
    """(importing file, imported module) of every import statement in a room."""
    for path in SOURCES:
        if name_of(path)[:len(room)] == room:
            yield from ((str(path.relative_to(ROOT)), module) for module in imported(path))


def test_every_module_has_a_floor():
    rooms = {path.stem for path in (ROOT / "tfpg").iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert rooms - {"__init__"} <= set(FLOORS)
    assert {path.parent.name for path in (ROOT / "launch").glob("*/__init__.py")} == set(LAUNCH)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_down_or_sideways_within_a_room(path):
    floor, room = place(name_of(path))
    for module in imported(path):
        if module[0] in ("tfpg", "launch", "configs"):
            to_floor, to_room = place(module)
            assert to_room in ("tfpg", room) or to_floor < floor or to_floor == floor == 0, ".".join(module)


def test_numerics_knows_tensors_and_types_only():
    ours = {module[1] for _, module in imports("tfpg", "numerics") if module[0] == "tfpg"}
    assert ours <= {"numerics", "types"}
    others = {module[0] for _, module in imports("tfpg", "numerics")} - set(sys.stdlib_module_names)
    assert others <= {"tfpg", "tensorflow", "numpy"}


@pytest.mark.parametrize(("library", "home"), [
    ("gymnasium", "tfpg/envs/"), ("envpool", "tfpg/envs/"), ("matplotlib", "tfpg/report/"), ("absl", "launch/")])
def test_a_library_is_used_only_where_it_lives(library, home):
    assert [path for path, module in imports() if module[0] == library and not path.startswith(home)] == []


def test_tensorboard_is_written_in_one_file():
    named = {path for path, module in imports() if module[:2] == ("tensorflow", "summary")}
    used = {str(path.relative_to(ROOT)) for path in SOURCES for node in ast.walk(tree_of(path))
            if isinstance(node, ast.Attribute) and node.attr == "summary"
            and isinstance(node.value, ast.Name) and node.value.id in ("tf", "tensorflow")}
    assert named | used <= {"tfpg/report/summaries.py"}


@pytest.mark.parametrize(("room", "forbidden"), [
    ("diagnostics", ("tfpg", "training")), ("diagnostics", ("tfpg", "algos", "agent")),
    ("diagnostics", ("tfpg", "report")), ("report", ("tfpg", "diagnostics")), ("envs", ("tfpg", "models")),
    ("objectives", ("tfpg", "models")), ("objectives", ("tfpg", "envs"))])
def test_some_doors_stay_shut(room, forbidden):
    assert [path for path, module in imports("tfpg", room) if module[:len(forbidden)] == forbidden] == []


def test_the_light_modules_import_no_heavy_library():
    code = f"import sys, {', '.join(LIGHT)}, configs; print(*({HEAVY!r} & set(sys.modules)))"
    printed = subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True, timeout=60)
    assert printed.split() == []


def test_presets_import_nothing_heavy():
    for path, module in imports("configs"):
        assert module[0] not in HEAVY, path
        assert module[0] != "tfpg" or ".".join(module[:2]) in LIGHT, path
