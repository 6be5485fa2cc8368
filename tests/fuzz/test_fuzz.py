"""A part of the million, as long as it takes to say so; see `tests.fuzz`."""

import pytest

from tests.fuzz.mutator import Fuzzer


@pytest.mark.parametrize("seed", [1, 2])
def test_mutated_events_do_no_harm(seed):
    fuzzer = Fuzzer(seed)
    for _ in range(4000):
        fuzzer.step()
    assert fuzzer.sessions == 8
    assert len(fuzzer.outcomes) > 25
