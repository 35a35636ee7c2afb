"""Is there a setting that nothing reads? Looked up in the source: the authors' TRPO+ had a gradient clip without effect."""

import ast
import dataclasses
import functools
import pathlib

import pytest

from tfpg.config import ALGORITHMS, CodeLevel, Config

ROOT = pathlib.Path(__file__).parents[1] / "tfpg"
# config and settings store and check; the others write a run down, name it, or say it to another library: no effect of a setting.
STORING = ("config.py", "settings.py")
RECORDING = ("report", "diagnostics", "benchmark", "snapshot.py", "run_directory.py", "checkpoint.py")
SECTIONS = {item.name: item.default_factory for item in dataclasses.fields(Config)
            if item.default_factory is not dataclasses.MISSING and item.name != "algorithm"} | ALGORITHMS
PLAIN = [item.name for item in dataclasses.fields(Config) if item.name not in (*SECTIONS, "algorithm")]
FIELDS = [(section, item.name) for section, kind in SECTIONS.items() for item in dataclasses.fields(kind)]


def reads(source):
    """(owner, field) of every attribute read: a.b.c gives (b, c) and (a, b), `case Ppo(x=y)` gives (ppo, x)."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
            owner = node.value
            name = owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", None)
            yield name, node.attr
        elif isinstance(node, ast.MatchClass) and isinstance(node.cls, ast.Name):
            yield from ((node.cls.id.lower(), attribute) for attribute in node.kwd_attrs)


@functools.cache
def read(excluded):
    """What is read in tfpg, certain files and folders left out."""
    paths = (path for path in ROOT.rglob("*.py") if path.relative_to(ROOT).parts[0] not in excluded)
    return frozenset(pair for path in paths for pair in reads(path.read_text()))


def owners(section, name):
    """What a section is called where it is read. `algorithm` says which one only if no other has a field of that name."""
    shared = sum(name in {item.name for item in dataclasses.fields(kind)} for kind in ALGORITHMS.values()) > 1
    return {section, "algorithm"} if section in ALGORITHMS and not shared else {section}


@pytest.mark.parametrize(("section", "name"), FIELDS, ids=[".".join(field) for field in FIELDS])
def test_every_setting_of_a_section_is_read_by_what_trains(section, name):
    assert any((owner, name) in read(STORING + RECORDING) for owner in owners(section, name))


@pytest.mark.parametrize("name", PLAIN)
def test_every_setting_outside_the_sections_is_read(name):
    # total_steps is read as the number of iterations; the preset is a label, for what records and draws
    name = {"total_steps": "num_iterations"}.get(name, name)
    assert ("config", name) in read(STORING if name == "preset" else STORING + RECORDING)


def test_writing_passing_or_naming_a_setting_is_not_reading_it():
    source = "trpo.delta = 1\nTrpo(delta=1)\n'trpo.delta'\ndelta = 1\nother.delta\n"
    assert {pair for pair in reads(source) if pair[1] == "delta"} == {("other", "delta")}
    assert ("trpo", "delta") in set(reads("match a:\n    case Trpo(delta=d):\n        pass"))
    assert ("value", "epochs") in set(reads("config.value.epochs"))


@pytest.mark.parametrize("name", [item.name for item in dataclasses.fields(CodeLevel)])
def test_each_code_level_optimisation_is_read_on_one_line(name):
    paths = [path for path in ROOT.rglob("*.py") if path.relative_to(ROOT).parts[0] not in STORING + RECORDING]
    found = [path.name for path in paths for pair in reads(path.read_text()) if pair == ("code_level", name)]
    assert len(found) == 1, found
