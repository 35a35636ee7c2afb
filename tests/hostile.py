"""JSON of which one place says something else: what a file from a stranger may hold, whose sums are right."""

import copy

from hypothesis import strategies as st

VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-2**70, 2**70), st.floats(), st.text(max_size=12), st.just([]), st.just({}), st.just("../../etc"),
    st.lists(st.integers(-3, 3), max_size=3), st.dictionaries(st.text(max_size=4), st.integers(), max_size=2), st.just("a" * 5000),
    st.just("<script>alert(1)</script>"), st.just("\x1b[2J\nlaunch: all is well"))


def places(value, place=()):
    """Every place in it, itself included."""
    yield place
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inside:
        yield from places(each, (*place, key))


@st.composite
def changed(draw, original):
    """The original with one place replaced, or left out."""
    place = draw(st.sampled_from(list(places(original))))
    other = draw(VALUES)
    if not place:
        return other
    result = copy.deepcopy(original)
    holder = result
    for key in place[:-1]:
        holder = holder[key]
    if isinstance(holder, dict) and draw(st.booleans()):
        del holder[place[-1]]
    else:
        holder[place[-1]] = other
    return result
