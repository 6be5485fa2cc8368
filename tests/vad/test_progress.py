"""Progress is told or drawn, late and quietly."""

import io
import sys
from types import SimpleNamespace

import pytest

from rtnb.vad.progress import PATIENCE_S, new_bar, progress


class Bar:
    """Keeps what it is told."""

    def __init__(self, total):
        self.total = total
        self.done = 0.0
        self.closed = False

    def update(self, more):
        self.done += more

    def close(self):
        self.closed = True


@pytest.fixture
def bars():
    return []


def run(instants, done, bars, total=100.0):
    """Work of which so much is done at these instants."""
    times = iter([0.0, *instants])

    def bar(total_s):
        bars.append(Bar(total_s))
        return bars[-1]

    with progress(total, clock=lambda: next(times), bar=bar) as show:
        for seconds in done:
            show(seconds)


def test_short_work_shows_no_bar(bars):
    run([0.1, 0.5, PATIENCE_S - 0.01], [30, 60, 99], bars)
    assert bars == []


def test_long_work_shows_a_bar_from_where_it_is(bars):
    run([0.5, PATIENCE_S, 1.5], [20, 40, 60], bars)
    (bar,) = bars
    assert (bar.total, bar.done, bar.closed) == (100.0, 60, True)


def test_no_bar_for_the_last_step(bars):
    run([PATIENCE_S + 1], [100], bars)
    assert bars == []


def test_a_sound_longer_than_its_header_says_fills_the_bar(bars):
    run([2.0], [50, 120], bars)
    assert bars[0].done == 100.0


def test_a_failure_closes_the_bar(bars):
    with pytest.raises(RuntimeError):
        run([2.0], iter_and_fail(), bars)
    assert bars[0].closed


def iter_and_fail():
    yield 50
    raise RuntimeError


def test_the_caller_is_told_instead():
    told = []
    with progress(10.0, lambda done, total: told.append((done, total))) as show:
        show(4.0)
        show(12.0)
    assert told == [(4.0, 10.0), (12.0, 12.0)]


def test_the_bar_is_silent_where_nobody_looks(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    bar = new_bar(60.0)
    bar.update(30.0)
    bar.close()
    assert sys.stderr.getvalue() == ""
    assert capsys.readouterr().out == ""


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_the_bar_is_drawn_in_a_terminal(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    bar = new_bar(60.0)
    bar.update(30.0)
    bar.refresh()
    bar.close()
    assert "listening:  50%" in sys.stderr.getvalue()


@pytest.fixture
def notebook(monkeypatch):
    """What tqdm takes for a notebook, just started; gives the notebook's bar."""
    import IPython  # noqa: F401 - tqdm looks for it among the modules
    import tqdm.notebook

    monkeypatch.setitem(sys.modules, "ipykernel.zmqshell", SimpleNamespace())
    for name in ("tqdm.auto", "tqdm.autonotebook"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return tqdm.notebook


def test_a_notebook_has_a_widget(notebook):
    bar = new_bar(60.0)
    bar.update(30.0)
    assert isinstance(bar, notebook.tqdm)
    bar.close()
    for widget in (*bar.container.children, bar.container):
        widget.close()


def test_a_notebook_without_widgets_has_a_bar_of_text(notebook, monkeypatch):
    monkeypatch.setattr(notebook, "IProgress", None)
    monkeypatch.setattr(sys, "stderr", Terminal())
    bar = new_bar(60.0)
    bar.update(60.0)
    bar.close()
    assert not isinstance(bar, notebook.tqdm)
    assert "listening" in sys.stderr.getvalue()
