"""Do settings survive text and JSON, and does every bad one come out as a UserError?"""

import json
import math

import pytest
from hypothesis import HealthCheck, assume, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from tfpg.config import ALGORITHMS, Config, Ppo, Trpo, settings
from tfpg.errors import UserError
from tfpg.settings import difference, from_dict, override, parse, to_dict

# The machine may be busy, and Hypothesis builds its table of characters at the first text.
patient = examples(deadline=None, suppress_health_check=[HealthCheck.too_slow])
CONFIGS = {name: Config(algorithm=algorithm()) for name, algorithm in ALGORITHMS.items()}


def texts_of(setting) -> st.SearchStrategy[str]:
    """Right texts for a setting, by its type and bounds."""
    bounds = setting.bounds
    if "choices" in bounds:
        return st.sampled_from(bounds["choices"])
    if setting.name == "env_args":
        values = st.integers() | st.booleans() | st.lists(st.integers(), max_size=3)
        return st.dictionaries(st.text(max_size=5), values, max_size=3).map(json.dumps)
    optional = not isinstance(setting.kind, type) and type(None) in getattr(setting.kind, "__args__", ())
    kinds = [kind for kind in getattr(setting.kind, "__args__", (setting.kind,)) if kind is not type(None)]
    if setting.kind == tuple[int, ...]:
        return st.lists(st.integers(1, 512), min_size=1, max_size=4).map(lambda sizes: ",".join(map(str, sizes)))
    if kinds[0] is bool:
        return st.sampled_from(["true", "false", "True", "0", "yes"])
    if kinds[0] is int:
        return st.integers(bounds.get("low", -10**6), bounds.get("high", 10**6)).map(str)
    if kinds[0] is float:
        low, high = bounds.get("low", bounds.get("above", -1e6)), bounds.get("high", bounds.get("below", 1e6))
        numbers = st.floats(low, high, exclude_min="above" in bounds, exclude_max="below" in bounds).map(repr)
        return numbers | st.just("none") if optional else numbers
    return st.text()


@st.composite
def overrides(draw):
    """A configuration and right texts for some of its settings."""
    config = draw(st.sampled_from(list(CONFIGS.values())))
    divided = ("rollout.num_steps", "rollout.num_envs", "value.minibatches", "ppo.minibatches", "total_steps")
    free = [setting for setting in settings(config) if setting.name not in divided]
    chosen = draw(st.lists(st.sampled_from(free), unique_by=lambda setting: setting.name, max_size=6))
    texts = {setting.name: draw(texts_of(setting)) for setting in chosen}
    try:
        override(config, texts)
    except UserError as error:  # a setting beside which another has no effect, or that excludes another
        assume("has no effect" not in str(error) and "does not apply" not in str(error))
        raise
    return config, texts


@pytest.mark.parametrize(("changes", "name"), [
    ({"ppo.shared_weights": "true", "value.epochs": "3"}, "value.epochs"),
    ({"ppo.value_coefficient": "1"}, "ppo.value_coefficient"),
    ({"optimiser.kind": "sgd", "optimiser.adam_epsilon": "1e-8"}, "optimiser.adam_epsilon"),
    ({"code_level.reward_clip": "5"}, "code_level.reward_clip")])
def test_a_setting_that_nothing_would_read_is_refused(changes, name):
    with pytest.raises(UserError, match=f"{name} has no effect"):
        override(CONFIGS["ppo"], changes)


def test_a_minibatch_of_one_pair_is_refused_where_it_would_be_normalised():
    with pytest.raises(UserError, match="one pair a minibatch"):
        override(CONFIGS["ppo"], {"ppo.minibatches": "2048"})
    assert override(CONFIGS["ppo"], {"ppo.minibatches": "2048", "ppo.advantage_norm": "batch"})


@patient
@given(overrides())
def test_any_configuration_survives_json(case):
    config = override(*case)

    assert from_dict(json.loads(json.dumps(to_dict(config)))) == config
    assert difference(to_dict(config), json.loads(json.dumps(to_dict(config)))) == []


@patient
@given(overrides())
def test_an_override_changes_what_it_names_and_nothing_else(case):
    config, texts = case
    before, after = to_dict(config), to_dict(override(config, texts))

    assert {name for name in after if after[name] != before[name]} <= set(texts)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.just(10**400) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3), max_leaves=5)


@patient
@given(JSON)
def test_any_json_is_a_configuration_or_a_user_error(value):
    with pytest.raises(UserError):
        from_dict(value)


@patient
@given(st.sampled_from(list(CONFIGS.values())), st.data())
def test_a_configuration_with_damaged_values_is_a_configuration_or_a_user_error(config, data):
    values = to_dict(config)
    for name in data.draw(st.lists(st.sampled_from(list(values)), min_size=1, max_size=3)):
        values[name] = data.draw(JSON)
    try:
        read = from_dict(values)
    except UserError:
        return
    assert from_dict(to_dict(read)) == read


@patient
@given(st.sampled_from(list(CONFIGS)), st.data())
def test_any_text_on_the_command_line_is_a_value_or_a_user_error(name, data):
    setting = data.draw(st.sampled_from(list(settings(CONFIGS[name]))))
    try:
        override(CONFIGS[name], {setting.name: data.draw(st.text() | st.from_regex(r"-?[0-9.eE_,infa-]{0,8}"))})
    except UserError as error:
        assert str(error)


BAD = [
    ("seed", "x", "seed=x is not an integer."),
    ("seed", "", "seed= is not an integer."),
    ("seed", "1.5", "seed=1.5 is not an integer."),
    ("seed", "1e999", "seed=1e999 is not an integer."),
    ("trpo.delta", "small", "trpo.delta=small is not a number."),
    ("trpo.delta", "none", "trpo.delta=none is not a number."),
    ("trpo.delta_final", "off", "trpo.delta_final=off is not a number or none."),
    ("trpo.delta", "nan", "trpo.delta=nan is not a finite number."),
    ("code_level.anneal", "maybe", "code_level.anneal=maybe is not true or false."),
    ("network.hidden", "64;64", "network.hidden=64;64 is not integers with commas between them."),
    ("env_args", "[1]", "env_args=[1] is not a JSON object."),
    ("env_args", "{", "env_args={ is not a JSON object."),
    ("env_args", '{"a": NaN}', 'env_args={"a": NaN} is not a JSON object.'),
    ("trpo.dleta", "1", "there is no setting trpo.dleta: did you mean trpo.delta?"),
    ("ppo.step_size", "1",
     ("ppo.step_size does not apply to trpo, whose algorithm is trpo: its settings are trpo.delta, trpo.delta_final, "
      "trpo.cg_iterations, trpo.damping, trpo.fisher_fraction, trpo.backtracks, trpo.backtrack_ratio, "
      "trpo.accept_ratio, trpo.entropy_coefficient, trpo.advantage_norm.")),
]


@pytest.mark.parametrize("name, text, sentence", BAD)
def test_a_bad_text_is_one_sentence_that_names_the_setting(name, text, sentence):
    with pytest.raises(UserError) as error:
        override(Config(), {name: text})
    assert str(error.value) == sentence


@pytest.mark.parametrize("text, value", [("1e6", 1_000_000), ("1_000", 1000), ("2048", 2048), ("2.048e3", 2048)])
def test_integers_may_be_written_as_people_write_them(text, value):
    assert parse("total_steps", int, text) == value


def test_none_switches_off_what_can_be_off():
    assert override(Config(algorithm=Ppo()), {"ppo.clip_epsilon": "None"}).algorithm.clip_epsilon is None


def test_task_arguments_are_ordered_so_that_equal_ones_are_equal():
    one, two = (override(Config(), {"env_args": text}) for text in ('{"b": 1, "a": [2, 3]}', '{"a": [2, 3], "b": 1}'))
    assert one == two
    assert one.env_args == (("a", (2, 3)), ("b", 1))


def test_task_arguments_are_stored_as_plain_json():
    config = override(Config(), {"env_args": '{"a": [2, 3]}'})
    assert to_dict(config)["env_args"] == {"a": [2, 3]}


def test_difference_names_each_setting_that_differs_and_those_that_only_one_has():
    old = to_dict(Config(algorithm=Trpo(delta=0.1), seed=1))
    new = to_dict(Config(algorithm=Trpo(delta=0.2), seed=1))
    del old["env"]

    assert difference(old, new) == ["env: (not set) → Hopper-v5", "trpo.delta: 0.1 → 0.2"]


def test_between_two_algorithms_the_settings_that_only_one_of_them_has_are_not_differences():
    old, new = (to_dict(Config(algorithm=each, preset=each.name)) for each in (Trpo(), Ppo()))
    assert difference(old, new) == ["algorithm: trpo → ppo", "preset: trpo → ppo"]


def test_differences_are_written_as_flags_take_them():
    old, new = ({"code_level.anneal": value, "code_level.value_clip": clip} for value, clip in ((False, None), (True, 0.2)))
    assert difference(old, new) == ["code_level.anneal: false → true", "code_level.value_clip: none → 0.2"]


@pytest.mark.parametrize("damage, sentence", [
    (lambda values: values.pop("seed"), "the configuration lacks seed."),
    (lambda values: values.update(sed=1), "there is no setting sed: did you mean seed?"),
    (lambda values: values.update(algorithm="trop"),
     "algorithm='trop' in the configuration is unknown: did you mean trpo?"),
    (lambda values: values.update(env_args={"a": math.inf}),
     "env_args={'a': inf} is not a JSON object of finite values."),
    (lambda values: values.update({"trpo.delta": 10**400}), "trpo.delta=inf is not a finite number."),
])
def test_a_damaged_configuration_is_one_sentence(damage, sentence):
    values = to_dict(Config())
    damage(values)
    with pytest.raises(UserError) as error:
        from_dict(values)
    assert str(error.value) == sentence
