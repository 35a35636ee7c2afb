"""How does a command line become a configuration, and an error one sentence and an exit code?

Every launcher is a body, `body(flags) -> exit code or None`, and a function that defines its flags on a FlagValues of
its own. `run` joins them. Exit codes: 0 done, 2 bad input, 1 the run could not go on, 130 interrupted.
Nothing here imports TensorFlow, so --help and bad flags are answered at once."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import re
import shutil
import sys
import textwrap
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn, TextIO

from absl import app, flags

import tfpg.config
from tfpg import settings
from tfpg.config import ALGORITHMS, Config, Setting, all_settings
from tfpg.errors import RunError, UserError, nearest

Body = Callable[[flags.FlagValues], int | None]
Define = Callable[[flags.FlagValues], None]

_CONFIGS = Path(__file__).resolve().parents[2] / "configs"
_PACKAGE = "_tfpg_configs"  # private: a user's own `configs` on sys.path keeps its name and never shadows ours
_OWN_KINDS = {"int": "INTEGER", "float": "NUMBER", "bool": "true|false"}  # absl's names of a launcher's own flags
_ABSL_REPEATS = ";\n    repeat this option to specify a list of values"
_NEEDED = ("policy", "run", "dir", "study", "from")  # without which a command does nothing
_OTHER_WORDS = {"policy": _NEEDED, "run": _NEEDED, "dir": _NEEDED, "preset": ("algo",), "task": ("env",),
                "output": ("workdir",), "workdir": ("output", "dir", "run")}  # what other launchers or libraries call it
_HELP = ("--help", "-h", "-help", "--h", "--helpfull", "--helpshort")


# Presets


def presets() -> tuple[str, ...]:
    """The names that --algo takes."""
    return _configs().PRESETS


def load_preset(name: str, env: str) -> Config:
    """The preset `name` for the task `env`. Errors: UserError for an unknown preset."""
    if name not in presets():
        raise UserError(f"there is no preset algo={name}: {nearest(name, presets())}")
    return importlib.import_module(f"{_PACKAGE}.{name}").config(env)


def configuration(name: str) -> types.ModuleType:
    """A module of configs/ by its name, ours whatever else is called configs."""
    _configs()
    return importlib.import_module(f"{_PACKAGE}.{name}")


def _configs() -> types.ModuleType:
    if _PACKAGE not in sys.modules:
        spec = importlib.util.spec_from_file_location(
            _PACKAGE, _CONFIGS / "__init__.py", submodule_search_locations=[str(_CONFIGS)])
        assert spec is not None and spec.loader is not None  # a file of Python has both
        module = importlib.util.module_from_spec(spec)
        sys.modules[_PACKAGE] = module
        spec.loader.exec_module(module)
    return sys.modules[_PACKAGE]


# Settings as flags


def define_settings(values: flags.FlagValues) -> None:
    """Adds --algo, --env, --seed, --total_steps, --workdir and one flag for every setting by its dotted name."""
    flags.DEFINE_string("algo", Config.preset, f"preset: {' | '.join(presets())}", flag_values=values)
    for setting in _flag_settings():
        text = _Text()  # validated by tfpg.settings.parse, which knows the setting's type and words its errors
        flag = flags.Flag(text, None, setting.name, None, setting.text, boolean=setting.kind is bool)
        values[setting.name] = flag
    flags.DEFINE_string("workdir", None, "directory of the run; default runs/<algo>-<env>-<seed>", flag_values=values)


def resolve(values: flags.FlagValues) -> Config:
    """The configuration that the flags ask for: the preset of --algo for the task of --env, then what was set by name.

    Errors: UserError for an unknown preset, a bad value, a setting of another algorithm."""
    given: dict[str, Any] = {
        setting.name: values[setting.name].value for setting in _flag_settings() if values[setting.name].present}
    return settings.override(load_preset(values.algo, given.get("env", Config.env)), given)


def _flag_settings() -> Iterator[Setting]:
    return (setting for setting in all_settings() if setting.name != "preset")  # --algo names the preset


def define_whole(name: str, default: int | None, words: str, *, low: int = 1, high: int | None = None,
                 values: flags.FlagValues) -> None:
    """A launcher's own flag for a whole number; 1e6 is one."""
    parser = _Whole(lower_bound=low, upper_bound=high)
    parser.syntactic_help = f"a whole number {f'of at least {low}' if high is None else f'from {low} to {high}'}"
    flags.DEFINE(parser, name, default, words, flag_values=values, serializer=flags.ArgumentSerializer())


class _Whole(flags.IntegerParser):
    """Takes 2048, 100_000 and 1e6."""

    def convert(self, argument):
        try:
            number = float(argument)
        except ValueError:
            number = float("nan")
        if not number.is_integer():
            raise ValueError(f"{argument} is not {self.syntactic_help}")
        return int(argument) if isinstance(argument, int) else int(number)


class _Text(flags.ArgumentParser):
    """Takes the text as it stands."""

    def parse(self, argument):
        return argument if argument is None or isinstance(argument, str) else str(argument).lower()


# Running


def run(body: Body, argv: list[str] | None = None, *, program: str, about: str, define: Define, word: str | None = None) -> int:
    """Parses the command line, runs `body(flags)` and turns what goes wrong into one sentence and an exit code.

    Args: argv: the arguments without the program's name, in process (for tests); None takes the real command line
    through absl.app.run and ends the process. program: "launch.train". about: what it does, for --help.
    define: adds the launcher's flags to its own FlagValues, which begin empty at each call. word: a flag whose value may stand alone.
    Returns: the exit code."""

    def parse(arguments: list[str]) -> flags.FlagValues | None:
        flags.FLAGS.mark_as_parsed()  # absl's global flags are not ours; app.run insists that they are parsed
        values = flags.FlagValues()
        define(values)
        if any(argument in _HELP for argument in arguments[1:]):
            say(help_text(values, program, about))
            return None
        return parsed(values, [program, *arguments[1:]], word)

    def main(values: flags.FlagValues | None) -> int:
        return 0 if values is None else body(values) or 0

    if argv is None:
        _end(_guarded(program, lambda: app.run(main, flags_parser=parse)))
    return _guarded(program, lambda: main(parse([program, *argv])))


def parsed(values: flags.FlagValues, argv: list[str], word: str | None = None) -> flags.FlagValues:
    """A command line by the flags of a launcher. Args: argv: program and arguments. word: as of `run`. Errors: UserError in one sentence."""
    try:
        left_over = values(argv)[1:]
    except flags.UnrecognizedFlagError as error:
        names = [f"--{name}" for name in values] + [f"--no{name}" for name in values if values[name].boolean]
        raise UserError(f"there is no flag --{error.flagname}: {_nearest_flag(error.flagname, names)}") from None
    except flags.IllegalFlagValueError as error:
        raise UserError(_illegal(values, str(error))) from None
    except flags.Error as error:
        message = str(error)
        raise UserError(f"{message[:1].lower()}{message[1:].rstrip('.')}.") from None
    if word is not None and left_over and not values[word].present:
        values[word].parse(left_over.pop(0))
    if left_over:
        raise UserError(f"the argument {left_over[0]!r} stands alone: {_taken_by(left_over[0], values, word)}")
    return values


def _illegal(values: flags.FlagValues, message: str) -> str:
    """absl's words for a value that a flag cannot have, where they are Python's, in ours."""
    found = re.match(r"flag --(\w+)=(.*?): ", message, re.DOTALL)
    parser = values[found[1]].parser if found is not None and found[1] in values else None
    if found is None or parser is None or isinstance(parser, _Whole):
        return f"{message.rstrip('.')}."
    if choices := getattr(parser, "enum_values", None):
        return f"{found[0]}{nearest(found[2], choices)}"
    if isinstance(parser, flags.BooleanParser):
        return f"{found[0]}{found[2]} is not true or false."
    bounds = [(words, getattr(parser, bound, None)) for words, bound in (("at least", "lower_bound"), ("at most", "upper_bound"))]
    limits = " and ".join(f"{words} {value:.10g}" for words, value in bounds if value is not None)
    kind = "whole number" if isinstance(parser, flags.IntegerParser) else "number"
    return f"{found[0]}{found[2]} is not a {kind}{f' of {limits}' if limits else ''}."


def _taken_by(argument: str, values: flags.FlagValues, word: str | None) -> str:
    """The flag that was probably meant by an argument without one: a preset's, or that without which the command does nothing."""
    if "algo" in values and argument in presets():
        return f"did you mean --algo={argument}?"
    needed = [name for name in _NEEDED if name in values and name != word]
    return f"did you mean --{needed[0]}={argument}?" if needed else "every setting is a flag, --name=value."


def _nearest_flag(name: str, names: list[str]) -> str:
    """The nearest flag, also when the section before the dot was left out or another launcher's or library's word for it was used;
    the whole list would be no help."""
    if other := [f"--{known}" for known in _OTHER_WORDS.get(name, ()) if f"--{known}" in names]:
        return f"did you mean {other[0]}?"
    leaves = [known for known in names if known.rpartition(".")[2] == name.rpartition(".")[2]]
    if leaves:
        return f"did you mean {' or '.join(leaves)}?"
    hint = nearest(f"--{name}", names)
    return hint if hint.startswith("did you mean") else "--help lists them."


def _guarded(program: str, action: Callable[[], int]) -> int:
    try:
        return action()
    except UserError as error:
        say(f"{program}: {error}", sys.stderr)
        return 2
    except RunError as error:
        say(f"{program}: {error}", sys.stderr)
        if getattr(error, "hangs", False):  # a thread sits in an environment that never returns: no orderly end
            _flush()
            os._exit(1)
        return 1
    except KeyboardInterrupt as error:
        message = str(error) or "interrupted; what was stored stays, and the same command goes on."
        say(f"{program}: {message}", sys.stderr)
        return 130


def _end(code: int) -> NoReturn:
    _flush()
    # Where Ctrl-C fell into exec("…"), as imports run it, Python notes that nobody handled it and at the end of `python -m` kills
    # itself by the signal, whatever the exit code. The next exec takes the note back.
    exec("")  # noqa: S102
    sys.exit(code)


def say(text: str, stream: TextIO | None = None) -> None:
    """One line or several on standard output, whatever the terminal can write and however early its reader leaves."""
    stream = sys.stdout if stream is None else stream
    encoding = getattr(stream, "encoding", None) or "utf-8"
    try:
        print(text.encode(encoding, "replace").decode(encoding), file=stream, flush=True)
    except OSError:
        _hush(stream)


def _hush(stream: TextIO) -> None:
    """Nobody can read it any more: the reader (head, less) has seen enough, or the disk that takes it is full. That costs words and
    no result, and Python's own flush at the end stays quiet."""
    with contextlib.suppress(OSError, ValueError):  # a stream without a file
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            _hush(stream)


# Help


def help_text(values: flags.FlagValues, program: str, about: str) -> str:
    """The launcher's own flags, then the settings section by section, wrapped at the terminal's width."""
    width = min(max(shutil.get_terminal_size().columns, 60), 120)
    # A launcher without settings may have a flag of the same name, as evaluate has its own --seed.
    by_name = {setting.name: setting for setting in _flag_settings()
               if setting.name in values and isinstance(values[setting.name].parser, _Text)}
    varying = _set_by_presets() if by_name else {}
    groups: dict[str, list[str]] = {"": []}
    for name in values:
        if name in by_name:
            setting = by_name[name]
            entry = _entry(f"--{name}={_kind_words(setting)}", _setting_words(setting, varying.get(name, set())), width)
        else:
            entry = _entry(*_own_words(values[name]), width)
        groups.setdefault(name.rpartition(".")[0], []).append(entry)
    head = f"usage: python -m {program} [--name=value …]\n\n{textwrap.fill(about, width)}"
    ordered = sorted(groups, key=lambda group: (group != "", group not in ALGORITHMS))
    sections = [textwrap.fill(_heading(group), width) + "\n\n" + "\n".join(groups[group]) for group in ordered]
    return "\n\n".join([head, *sections])


def _entry(head: str, text: str, width: int) -> str:
    return f"  {head}\n" + textwrap.fill(" ".join(text.split()), width, initial_indent=" " * 6, subsequent_indent=" " * 6)


def _heading(group: str) -> str:
    if not group:
        return "Flags:"
    section = ALGORITHMS.get(group) or next(
        kind for kind in vars(tfpg.config).values()
        if isinstance(kind, type) and kind.__name__.lower() == group.replace("_", ""))
    return f"{group}: {(section.__doc__ or group).splitlines()[0]}"


def _kind_words(setting: Setting) -> str:
    if setting.name == "env_args":
        return "JSON"
    if "choices" in setting.bounds:
        return "|".join(setting.bounds["choices"])
    optional = isinstance(setting.kind, types.UnionType)
    base = next(kind for kind in setting.kind.__args__ if kind is not type(None)) if optional else setting.kind
    words = {bool: "true|false", int: "INTEGER", float: "NUMBER", str: "TEXT"}.get(base, "INTEGER,INTEGER,…")
    return words + ("|none" if optional else "")


def _own_words(flag: flags.Flag) -> tuple[str, str]:
    """A launcher's own flag: its name and kind; what it is, its range, its default. absl's additions to the help are said our way."""
    text = flag.help.removesuffix(_ABSL_REPEATS)
    choices = getattr(flag.parser, "enum_values", None)
    if choices:
        text = text.partition(">: ")[2]
    elif text != flag.help and "may be given often" not in text:
        text += "; may be given often"
    bounds = [(words, getattr(flag.parser, bound, None)) for words, bound in (("at least", "lower_bound"), ("at most", "upper_bound"))]
    limits = [f"{words} {value:.10g}" for words, value in bounds if value is not None]
    default = f"default {_as_text(flag.default)}"
    if flag.default is None:
        default = "needed" if flag.name in _NEEDED else "" if re.search("default|unless|needed$", text) else "not given by default"
    head = f"--{flag.name}={'|'.join(choices) if choices else _OWN_KINDS.get(flag.flag_type(), 'TEXT')}"
    return head, "; ".join(filter(None, [text, " and ".join(limits), default]))


def _setting_words(setting: Setting, by_presets: set) -> str:
    words = {"low": "at least", "above": "above", "high": "at most", "below": "below"}
    limits = [f"{words[bound]} {setting.bounds[bound]}" for bound in words if bound in setting.bounds]
    default = "from the preset" if len(by_presets) > 1 else _as_text(next(iter(by_presets), setting.value))
    return "; ".join([setting.text, *([" and ".join(limits)] if limits else []), f"default {default}"])


def _as_text(value) -> str:
    if isinstance(value, (tuple, list)):
        return ",".join(map(str, value)) or "empty"
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def _set_by_presets() -> dict[str, set]:
    """The values that the presets give to each setting over the tasks of the table and one beside it."""
    _configs()
    tasks = [*importlib.import_module(f"{_PACKAGE}.environments").TASKS, "any other task"]
    found: dict[str, set] = {}
    for name in presets():
        for task in tasks:
            for setting in tfpg.config.settings(load_preset(name, task)):
                if setting.name != "env":
                    found.setdefault(setting.name, set()).add(setting.value)
    return found
