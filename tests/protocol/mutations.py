"""Events in which something is wrong, and what must be left of them."""

from copy import deepcopy

import hypothesis.strategies as st

from rtnb.protocol.codec import to_dict
from tests.protocol.samples import CLIENT_SAMPLES, SERVER_SAMPLES

WIRE_NAMES = st.sampled_from([*CLIENT_SAMPLES, *SERVER_SAMPLES, "response.sung"])
DOCUMENTS = [
    to_dict(event)
    for events in [*CLIENT_SAMPLES.values(), *SERVER_SAMPLES.values()]
    for event in events
]
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | WIRE_NAMES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["type", "id", "x"]), inner, max_size=3)
    ),
    max_leaves=4,
)


def places(value):
    """Every container of a document with every key in it."""
    pairs = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, inner in pairs:
        yield value, key
        yield from places(inner)


@st.composite
def mutated(draw):
    """A document of a sample in which up to three places are changed."""
    document = deepcopy(draw(st.sampled_from(DOCUMENTS)))
    for _ in range(draw(st.integers(1, 3))):
        found = list(places(document)) or [({"type": ""}, "type")]
        container, key = draw(st.sampled_from(found))
        if draw(st.booleans()):
            container[key] = draw(VALUES)
        else:
            del container[key]
    return document


def holds(whole, part):
    """Whether everything in `part` is in `whole` too; lists are the same."""
    if isinstance(part, dict):
        return all(key in whole and holds(whole[key], part[key]) for key in part)
    if isinstance(part, list):
        return len(whole) == len(part) and all(map(holds, whole, part))
    return whole == part
