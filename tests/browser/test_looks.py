"""How the panel looks: it is photographed, and nothing of it sticks out."""

from __future__ import annotations

import pytest

from rtnb.audio import Clip
from tests.browser.conftest import PANEL

pytestmark = pytest.mark.browser

NARROW, WIDE = 700, 1280
THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}
THEME = "theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme})"
THEMED = "light => document.body.dataset.jpThemeLight === light"
STICKS_OUT = """panel => {
  const {left, right} = panel.getBoundingClientRect();
  return [...panel.querySelectorAll('*')].filter(each => {
    const box = each.getBoundingClientRect();
    const hidden = !box.width || each.closest('.rtnb-hidden, .rtnb-lines');
    return !hidden && (box.left < left - 1 || box.right > right + 1);
  }).map(each => `${each.tagName}.${each.className}: ${each.textContent.slice(0, 40)}`);
}"""


def test_the_panel_fits(open_page, tmp_path):
    heard = (
        Clip.silence(1.5, 16_000),
        Clip.example("austen-0880"),
        Clip.silence(9, 16_000),
    )
    lab = open_page(*heard, viewport=(WIDE, 1400))
    lab.show("import rtnb\nsession = rtnb.connect()", PANEL)
    lab.execute("panel.timeline.seconds = 14")
    lab.hide_sidebar()
    lab.talk.click()
    lab.until("session.turns and session.turns[0].done")
    lab.panel.screenshot(path=tmp_path / "panel.png")
    lab.panel.get_by_label("Voice").select_option("sage")
    lab.panel.get_by_role("alert").get_by_text("voice not changed").wait_for()
    lab.until("panel.voice.value == 'alloy'")
    for name, theme in THEMES.items():
        lab.page.evaluate(THEME, theme)
        lab.page.wait_for_function(THEMED, arg=str(name == "light").lower())
        for width in (WIDE, NARROW):
            lab.page.set_viewport_size({"width": width, "height": 1400})
            lab.panel.scroll_into_view_if_needed()
            lab.panel.screenshot(path=tmp_path / f"{name}-{width}.png")
            lab.page.screenshot(path=tmp_path / f"page-{name}-{width}.png")
            assert lab.panel.evaluate(STICKS_OUT) == []
