"""The tuner in a real JupyterLab: what is dragged in the page is what Python finds."""

from __future__ import annotations

import pytest

from rtnb.audio import Clip

pytestmark = pytest.mark.browser

SOUND = """import rtnb
from rtnb.audio import Clip, EXAMPLES
clip = sum((Clip.example(name) + Clip.silence(0.7, 16_000) for name in EXAMPLES),
           Clip.silence(0.5, 16_000))"""
TUNER = "tuner = rtnb.VadTuner(clip)\ntuner"
BENCH = """() => [...globalThis[Symbol.for('rtnb')].tuners.values()].at(-1)"""


@pytest.fixture
def tuner(open_page):
    lab = open_page(Clip.silence(1))
    lab.open([SOUND, TUNER])
    lab.run(0)
    lab.run(1)
    lab.hide_sidebar()
    lab.page.locator(".rtnb-tuner").wait_for()
    lab.page.wait_for_function(f"() => ({BENCH})().store.chosen")
    return lab


def test_it_looks(tuner, tmp_path):
    tuner.page.locator(".rtnb-tuner").screenshot(path="/tmp/rtnb-D-1.png")
    print(tuner.console)
