"""Every combination of settings is scored as if it were alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtnb.errors import ConfigError
from rtnb.vad import ServerVad, SpeechProbability, score, segment
from rtnb.vad.grid import FIGURES, Grid, measure
from rtnb.vad.policies import find_turns

GRID = Grid.of([0.0, 0.4, 0.5, 0.9], [0, 32, 33, 200, 500], [0, 100, 5000])


def test_a_grid_has_every_combination_once():
    grid = Grid.of([0.5, 0.4, 0.5], 200, None)
    assert list(grid.settings()) == [(0.5, 200, 300), (0.4, 200, 300)]
    assert len(list(GRID.settings())) == 4 * 5 * 3


def test_a_grid_takes_arrays():
    grid = Grid.of(np.array([0.5]), np.arange(100, 400, 100), np.int64(0))
    assert grid == Grid((0.5,), (100, 200, 300), (0,))
    assert {type(each) for each in grid.silence_duration_ms} == {int}


@pytest.mark.parametrize(
    ("axes", "told"),
    [
        ([[0.5, 1.5], None, None], r"threshold is 1\.5"),
        ([None, [200.5], None], r"silence_duration_ms is 200\.5: give whole"),
        ([None, None, -1], "prefix_padding_ms is -1 ms"),
        ([[], None, None], "threshold has no value to try"),
        ([["loud"], None, None], "threshold is 'loud'"),
    ],
)
def test_settings_that_cannot_be_are_refused(axes, told):
    with pytest.raises(ConfigError, match=told):
        Grid.of(*axes)


levels = st.sampled_from([0.0, 0.1, 0.3, 0.36, 0.45, 0.6, 0.95])


@settings(max_examples=40)
@given(
    pieces=st.lists(st.tuples(levels, st.integers(1, 40)), max_size=12),
    labels=st.none() | st.just([(0.2, 0.9), (2.0, 3.5), (3.6, 4.0)]),
    hop=st.sampled_from([(512, 16_000), (160, 16_000)]),
)
def test_a_grid_measures_what_one_setting_after_the_other_does(pieces, labels, hop):
    p = np.array([level for level, count in pieces for _ in range(count)], np.float32)
    probability = SpeechProbability(p, *hop)
    figures = measure(probability, GRID, labels)
    assert figures.shape == (len(list(GRID.settings())), len(FIGURES))
    for row, (threshold, silence, prefix) in zip(
        figures.tolist(), GRID.settings(), strict=True
    ):
        chosen = ServerVad(
            threshold=threshold, silence_duration_ms=silence, prefix_padding_ms=prefix
        )
        alone = score(find_turns(probability, chosen), probability, reference=labels)
        figures_alone = [each for part in alone for each in part]
        assert row[2:] == pytest.approx(figures_alone, nan_ok=True)
        assert row[0] == probability.duration / 60
        assert row[2] == len(segment(probability, chosen))
