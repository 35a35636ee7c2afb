"""How is a run's configuration changed from text, stored as JSON and compared? Settings by dotted name."""

from __future__ import annotations

import dataclasses
import json
import math
import types
from typing import Any

from tfpg.config import ALGORITHMS, Config, Ppo, Setting, settings
from tfpg.errors import UserError, nearest


def override(config: Config, changes: dict[str, str]) -> Config:
    """`config` with some settings changed: dotted names and their values as text.

    Errors: UserError for an unknown name (with the nearest one), a setting of another algorithm, a bad value."""
    known = {setting.name: setting for setting in settings(config)}
    for name in changes:
        if name not in known:
            raise UserError(_unknown(name, config, known))
    changed = replace(config, {name: parse(name, known[name].kind, text) for name, text in changes.items()})
    for name, why in _unread(changed):
        if name in changes:
            raise UserError(f"{name} has no effect {why}.")
    return changed


def _unread(config: Config) -> list[tuple[str, str]]:
    """Settings that nothing reads beside the others, with the reason: asked for by name they are a mistake."""
    shared = isinstance(config.algorithm, Ppo) and config.algorithm.shared_weights
    found = [(f"value.{name}", "with ppo.shared_weights: the policy's steps move V too")
             for name in ("step_size", "epochs", "minibatches") if shared]
    if not shared:
        found.append(("ppo.value_coefficient", "without ppo.shared_weights"))
    if config.optimiser.kind == "sgd":
        found.append(("optimiser.adam_epsilon", "with optimiser.kind=sgd"))
    if config.code_level.reward_scaling == "none" and config.code_level.reward_clip is not None:
        found.append(("code_level.reward_clip", "without code_level.reward_scaling"))
    return found


def replace(config: Config, values: dict[str, Any]) -> Config:
    """`config` with some settings, by dotted name, set to typed values."""
    plain: dict[str, Any] = {}
    nested: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        section, _, leaf = name.rpartition(".")
        if section:
            nested.setdefault("algorithm" if section in ALGORITHMS else section, {})[leaf] = value
        else:
            plain[leaf] = value
    for section, changes in nested.items():
        plain[section] = dataclasses.replace(getattr(config, section), **changes)
    return dataclasses.replace(config, **plain)


def parse(name: str, kind: Any, text: str) -> Any:
    """The value of a setting of type `kind` from its text on a command line."""
    optional = isinstance(kind, types.UnionType)
    if optional and text.strip().lower() == "none":
        return None
    base = next(k for k in kind.__args__ if k is not type(None)) if optional else kind
    try:
        if name == "env_args":
            return freeze(json.loads(text))
        if base is bool:
            return {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}[text.strip().lower()]
        if base is int:
            number = float(text.replace("_", "")) if any(c in text for c in ".eE") else int(text)
            if number != int(number):
                raise ValueError
            return int(number)
        if base is float:
            return float(text)
        if base is str:
            return text
        return tuple(int(part) for part in text.replace("(", "").replace(")", "").split(",") if part.strip())
    except (ValueError, KeyError, OverflowError, RecursionError):
        words = {bool: "true or false", int: "an integer", float: "a number"}
        expected = "a JSON object" if name == "env_args" else words.get(base, "integers with commas between them")
        raise UserError(f"{name}={text} is not {expected}{' or none' if optional else ''}.") from None


def freeze(arguments: Any) -> tuple[tuple[str, Any], ...]:
    """A JSON object as a hashable, ordered tuple of pairs."""
    if not isinstance(arguments, dict):
        raise ValueError(arguments)  # noqa: TRY004  what json.loads raises, too: the text was wrong
    json.dumps(arguments, allow_nan=False)  # nan differs from itself: a run could never be continued
    return tuple(sorted((key, tuple(value) if isinstance(value, list) else value) for key, value in arguments.items()))


def to_dict(config: Config) -> dict[str, Any]:
    """The configuration as plain JSON values, by dotted name."""
    values: dict[str, Any] = {"algorithm": config.algorithm.name}
    for setting in settings(config):
        value = setting.value
        if setting.name == "env_args":
            value = {key: list(item) if isinstance(item, tuple) else item for key, item in value}
        values[setting.name] = list(value) if isinstance(value, tuple) else value
    return values


def from_dict(values: dict[str, Any]) -> Config:
    """The inverse of `to_dict`. Errors: UserError for unknown or missing names and bad values."""
    if not isinstance(values, dict):
        raise UserError("the configuration is not a table of settings by name.")
    values = dict(values)
    name = values.pop("algorithm", None)
    if not isinstance(name, str) or name not in ALGORITHMS:
        raise UserError(f"algorithm={name!r} in the configuration is unknown: {nearest(name, ALGORITHMS)}")
    config = Config(algorithm=ALGORITHMS[name]())
    known = {setting.name: setting for setting in settings(config)}
    missing = [known_name for known_name in known if known_name not in values]
    if missing:
        raise UserError(f"the configuration lacks {', '.join(missing)}.")
    for key, value in values.items():
        if key not in known:
            raise UserError(_unknown(key, config, known))
        if key == "env_args":
            try:
                values[key] = freeze(value)
            except (ValueError, RecursionError):
                raise UserError(f"{key}={value!r} is not a JSON object of finite values.") from None
        elif isinstance(value, list):
            values[key] = tuple(value)
        elif isinstance(value, int) and float in getattr(known[key].kind, "__args__", (known[key].kind,)):
            # No float holds 2**1023 · 2 and more: inf, which the check refuses in words.
            values[key] = value if isinstance(value, bool) else float(value) if abs(value) < 2**1023 else math.inf
    return replace(config, values)


def difference(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """The settings in which two configurations (as by `to_dict`) differ, a line each: name: old → new, written as flags take them.

    Between two algorithms those that only one of them has are none."""
    names = list(new) + [name for name in old if name not in new]
    if old.get("algorithm") != new.get("algorithm"):
        names = [name for name in names if name in old and name in new]

    def shown(values: dict[str, Any], name: str) -> str:
        value = values.get(name, "(not set)")
        return str(value).lower() if value is None or isinstance(value, bool) else str(value)

    return [f"{name}: {shown(old, name)} → {shown(new, name)}" for name in names if name not in old or name not in new or old[name] != new[name]]


def _unknown(name: str, config: Config, known: dict[str, Setting]) -> str:
    section, _, _ = name.rpartition(".")
    if section in ALGORITHMS and section != config.algorithm.name:
        own = ", ".join(n for n in known if n.startswith(config.algorithm.name + "."))
        return (f"{name} does not apply to {config.preset}, whose algorithm is {config.algorithm.name}: "
                f"its settings are {own}.")
    return f"there is no setting {name}: {nearest(name, known)}"
