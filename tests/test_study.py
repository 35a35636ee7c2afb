"""Is a study read as it was meant, and is a mistake named before anything runs?"""

import pytest

from tfpg.errors import UserError
from tfpg.study import Agents, Look, groups


def agents(**changed):
    return Agents(**{"tasks": ["Hopper-v5"], "algorithms": ["ppo"], "seeds": range(2), **changed})


def test_lists_ranges_and_single_values_become_tuples():
    found = agents(tasks="Hopper-v5", looks=Look("landscape", iterations=150))
    assert (found.tasks, found.seeds, found.looks[0].iterations) == (("Hopper-v5",), (0, 1), (150,))


def test_a_look_without_limits_is_at_every_agent_and_one_with_them_at_those():
    look = Look("values", iterations=[0], seeds=[1], algorithms=["ppo"])
    assert Look("values", iterations=[0]).at("Hopper-v5", "trpo", 7)
    assert look.at("Hopper-v5", "ppo", 1)
    assert not look.at("Hopper-v5", "ppo", 0)
    assert not look.at("Hopper-v5", "trpo", 1)


@pytest.mark.parametrize(("make", "sentence"), [
    (lambda: Look("landscap", iterations=[0]), r"^there is no instrument landscap: did you mean landscape\?$"),
    (lambda: Look("landscape"), "needs iterations"),
    (lambda: Look("steps"), "looks at films: its look needs iterations"),
    (lambda: Look("trust_region", iterations=[0]), "takes no iterations"),
    (lambda: Look("values", iterations=[0], shares=2), "^shares=2 of a look of values: a landscape alone is split, into 1 or more jobs.$"),
    (lambda: Look("landscape", iterations=[0], shares=0), "^shares=0 of a look of landscape: "),
    (lambda: Look("landscape", iterations=[0], shares=True), "^shares=True of a look of landscape: "),
    (lambda: Look("evaluate", iterations=[0], scale="small"), "evaluate has no scale"),
    (lambda: agents(seeds=[]), "have no seeds"),
    (lambda: agents(seeds=[1, 1]), "name one of their seeds twice: 1, 1"),
    (lambda: agents(variants={}), "no variants"),
    (lambda: agents(settings=["total_steps"]), "the settings of a study's Agents must be a dict by name"),
    (lambda: agents(variants=["x"]), "the variants of a study's Agents must be a dict by name"),
    (lambda: agents(variants={"x": None}), "the variant 'x' of a study's Agents must be a dict by name"),
    (lambda: agents(looks=["values"]), r"looks are Look\(…\), not 'values'"),
    (lambda: agents(seeds=[True]), "seeds are whole numbers, not True"),
    (lambda: Look("values", iterations=[1.5]), "iterations are whole numbers, not 1.5"),
    (lambda: Look("values", iterations=[0], flags=["x"]), "the flags of a look of values must be a dict"),
    (lambda: agents(looks=[Look("trust_region", algorithms=["ppoo"])]),
     r"pointed at algorithms ppoo, of which there is no agent: did you mean ppo\?"),
    (lambda: agents(looks=[Look("trust_region", seeds=[99])]), "pointed at seeds 99, of which there is no agent"),
    (lambda: groups(None), r"must be Agents\(…\) or a tuple of them, not NoneType"),
    (lambda: groups([agents(), "ppo"]), "must be Agents"),
    (lambda: groups(()), "must be Agents"),
])
def test_a_mistake_is_one_sentence(make, sentence):
    with pytest.raises(UserError, match=sentence):
        make()


def test_one_group_or_several_are_a_study():
    assert groups(agents()) == (agents(),)
    assert len(groups((agents(), agents(seeds=[5])))) == 2
