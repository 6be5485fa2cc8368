"""A person at the panel: Talk is pressed, speech is heard, answered and played."""

import pytest

from rtnb.audio import Clip

pytestmark = pytest.mark.browser

RATE = 16_000
CELLS = [
    "import rtnb\nsession = rtnb.connect()",
    "panel = rtnb.Panel(session)\npanel",
]


@pytest.fixture
def spoken(microphone):
    """A sentence, and enough silence for its answer before the file begins again."""
    return microphone(
        Clip.silence(1.5, RATE), Clip.example("austen-0880"), Clip.silence(14.0, RATE)
    )


def open_panel(open_page, spoken, **options):
    lab = open_page(spoken, **options).open(CELLS)
    for index in range(len(CELLS)):
        lab.run(index)
    lab.page.get_by_role("button", name="Talk").first.wait_for(timeout=20_000)
    return lab


def test_a_person_talks_and_is_answered(open_page, spoken):
    lab = open_panel(open_page, spoken)
    lab.page.get_by_role("button", name="Talk").first.click()
    lab.page.wait_for_timeout(14_000)
    lab.page.screenshot(path="/tmp/panel.png", full_page=True)
    print(lab.console)
    print(lab.value("[t.text for t in session.turns]"))
    print(lab.value("[panel.port.state, panel.port.transport, panel.port.message]"))
