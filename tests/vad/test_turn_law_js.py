"""The page's turn law gives what Python's gives, sample for sample."""

import json
import math
import shutil
import subprocess
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtnb.vad import SemanticVad, ServerVad, SpeechProbability, segment
from rtnb.vad.scoring import score
from rtnb.vad.semantic import JudgedPauses, SentenceEnds

FILTER = Path(__file__).parents[1] / "js" / "turn_law_lines.mjs"
NO_NODE = "no Node on this machine; Debian and Ubuntu have it: apt-get install nodejs"

LEVELS = [0.0, 0.005, 0.01, 0.1, 0.15, 0.16, 0.3, 0.35, 0.5, 0.65, 0.9, 1.0]
levels = st.one_of(st.sampled_from(LEVELS), st.floats(0, 1))
traces = st.lists(st.tuples(levels, st.integers(1, 20)), max_size=40)
hops_ms = st.sampled_from([(512, 16_000), (160, 16_000), (256, 8_000)])
server_vads = st.builds(
    ServerVad,
    threshold=levels,
    prefix_padding_ms=st.integers(0, 2000),
    silence_duration_ms=st.integers(0, 500),
)


class Page:
    """The page's law, asked over the pipes of one Node process."""

    def __init__(self, node):
        self._process = subprocess.Popen(
            [node, FILTER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def answer(self, probability, settings, *, labels=None, sentences=None):
        question = {
            "p": probability.p.tolist(),
            "settings": settings,
            "hopMs": probability.hop_ms,
            "labels": labels,
            "sentenceEnds": None,
        }
        if sentences is not None:
            question["sentenceEnds"] = {
                "hops": sentences.hops.tolist(),
                "p": sentences.p.tolist(),
            }
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self):
        self._process.communicate(timeout=10)
        assert self._process.returncode == 0


@pytest.fixture(scope="module")
def page():
    node = shutil.which("node") or shutil.which("nodejs")
    if node is None:
        pytest.skip(NO_NODE)
    page = Page(node)
    yield page
    page.close()


def wire(settings):
    return json.loads(msgspec.json.encode(settings))


def turns(probability, settings, **given):
    return [
        [
            turn.audio_start_ms,
            turn.audio_end_ms,
            turn.started_hop,
            -1 if turn.stopped_hop is None else turn.stopped_hop,
            turn.ended,
        ]
        for turn in segment(probability, settings, **given)
    ]


def trace(runs, grid=(512, 16_000)):
    p = np.repeat(
        np.array([level for level, _ in runs], np.float32),
        np.array([hops for _, hops in runs], int),
    )
    return SpeechProbability(p, *grid)


@given(runs=traces, grid=hops_ms, settings=server_vads)
def test_the_page_finds_the_turns_that_python_finds(page, runs, grid, settings):
    probability = trace(runs, grid)
    answer = page.answer(probability, wire(settings))
    assert answer["turns"] == turns(probability, settings)


@pytest.mark.parametrize("seed", range(4))
def test_in_noise_too_at_every_threshold(page, seed):
    """Levels on the float32 grid around the very levels that are compared."""
    rng = np.random.default_rng(seed)
    for threshold in np.round(np.linspace(0, 1, 41), 3).tolist():
        near = np.float32([threshold, max(0, threshold - 0.15), 0.01, 0.5])
        around = np.concatenate(
            [near, np.nextafter(near, np.float32(0)), np.nextafter(near, np.float32(1))]
        )
        probability = SpeechProbability(rng.choice(around, 400))
        settings = ServerVad(
            threshold=threshold, silence_duration_ms=int(rng.integers(0, 200))
        )
        answer = page.answer(probability, wire(settings))
        assert answer["turns"] == turns(probability, settings)


def test_what_is_not_set_has_the_default_of_python(page):
    probability = trace([(0.9, 20), (0.34, 30), (0.5, 4), (0.36, 9), (0.0, 40)])
    answer = page.answer(probability, {})
    assert answer["turns"] == turns(probability, ServerVad())


@given(
    runs=st.lists(st.tuples(levels, st.integers(1, 70)), max_size=30),
    grid=hops_ms,
    settings=st.builds(
        SemanticVad, eagerness=st.sampled_from(["low", "medium", "high", "auto"])
    ),
    judge=st.data(),
)
def test_semantic_turns_too(page, runs, grid, settings, judge):
    probability = trace(runs, grid)
    asked = JudgedPauses.of(probability).judged
    judgement = st.one_of(st.none(), levels)
    drawn = judge.draw(st.lists(judgement, min_size=len(asked), max_size=len(asked)))
    told = [(hop, p) for hop, p in zip(asked, drawn, strict=True) if p is not None]
    sentences = SentenceEnds(
        np.array([hop for hop, _ in told], np.int32),
        np.array([p for _, p in told], np.float32),
    )
    answer = page.answer(probability, wire(settings), sentences=sentences)
    assert answer["turns"] == turns(probability, settings, sentences=sentences)


def test_a_pause_that_nobody_judged_counts_as_in_python(page):
    probability = trace([(0.9, 20), (0.0, 40), (0.9, 4), (0.0, 90)])
    answer = page.answer(probability, {"type": "semantic_vad"})
    assert answer["turns"] == turns(probability, SemanticVad())
    assert answer["turns"][0][-1] == "sentence"


def counted(probability, settings, labels):
    """The counters as `rtnb.vad.scoring` has them."""
    timing = score(segment(probability, settings), probability, reference=labels).timing
    return {
        "turns": timing.turns,
        "cutIns": timing.cut_ins,
        "delayMs": None if math.isnan(timing.delay_ms) else timing.delay_ms,
    }


references = st.lists(
    st.tuples(st.integers(0, 8_000_000), st.integers(1, 2_000_000)), max_size=12
)


@given(runs=traces, grid=hops_ms, settings=server_vads)
def test_the_page_counts_as_python_does(page, runs, grid, settings):
    probability = trace(runs, grid)
    answer = page.answer(probability, wire(settings))
    assert answer["counters"] == counted(probability, settings, None)


@given(runs=traces, grid=hops_ms, settings=server_vads, spans=references)
def test_the_page_counts_by_labels_as_python_does(page, runs, grid, settings, spans):
    probability = trace(runs, grid)
    pairs = sorted((start / 1e6, (start + length) / 1e6) for start, length in spans)
    labels = {
        "startMs": [1000 * start for start, _ in pairs],
        "endMs": [1000 * end for _, end in pairs],
    }
    answer = page.answer(probability, wire(settings), labels=labels)
    assert answer["counters"] == counted(probability, settings, pairs)


def test_labels_at_the_very_edges_count_as_in_python(page):
    """A label from the end of the turn's second on, or up to its end, is no cut-in."""
    probability = trace([(0.9, 10), (0.0, 60)])
    end_s = 17 * 0.032
    for edge in (end_s, end_s + 0.001, end_s + 0.999, end_s + 1.0):
        for pairs in ([(edge, 3.0)], [(0.1, edge)], [(0.0, 0.3), (edge, 3.0)]):
            labels = {
                "startMs": [1000 * start for start, _ in pairs],
                "endMs": [1000 * end for _, end in pairs],
            }
            answer = page.answer(probability, {}, labels=labels)
            assert answer["counters"] == counted(probability, ServerVad(), pairs)
