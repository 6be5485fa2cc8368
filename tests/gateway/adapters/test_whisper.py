"""faster-whisper, by a stand-in.

No weights are here to try it with. The stand-in takes what ``WhisperModel`` and its
``transcribe`` are documented to take (faster-whisper 1.2) and refuses anything else, so
these tests show that it is called rightly, not how well it hears.
"""

import asyncio
import sys
import threading
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from rtnb.errors import ConfigError, EngineError, MissingExtra
from rtnb.gateway.adapters.settings import SttSettings
from rtnb.gateway.adapters.whisper import WhisperRecogniser, check

SPEECH = np.zeros(16_000, np.float32)
PATIENCE_S = 20.0


class WhisperModel:
    fails = None
    segments = (" Hello", " there.")

    def __init__(  # noqa: PLR0917 - as it is there
        self,
        model_size_or_path: str,
        device: str = "auto",
        device_index: int = 0,
        compute_type: str = "default",
        cpu_threads: int = 0,
        num_workers: int = 1,
        download_root=None,
        local_files_only: bool = False,
    ):
        if self.fails:
            raise self.fails
        self.made.append((model_size_or_path, device, compute_type, local_files_only))

    def transcribe(  # noqa: PLR0917 - as it is there
        self,
        audio: np.ndarray,
        language=None,
        task: str = "transcribe",
        beam_size: int = 5,
        initial_prompt=None,
        word_timestamps: bool = False,
        vad_filter: bool = False,
    ):
        assert (audio.dtype, audio.ndim) == (np.float32, 1)
        self.asked.append((len(audio), language, initial_prompt))
        return self._decoded(), SimpleNamespace(language="en")

    def _decoded(self):
        for text in self.segments:
            if isinstance(text, Exception):
                raise text
            yield SimpleNamespace(text=text, start=0.0, end=1.0)


@pytest.fixture
def whisper(monkeypatch):
    """The stand-in, installed."""
    model = type("WhisperModel", (WhisperModel,), {"made": [], "asked": []})
    module = ModuleType("faster_whisper")
    module.WhisperModel = model
    module.__spec__ = SimpleNamespace(name="faster_whisper")
    monkeypatch.setitem(sys.modules, "faster_whisper", module)
    return model


@pytest.fixture
def absent(monkeypatch):
    monkeypatch.setitem(sys.modules, "faster_whisper", None)


def settings(name="small", **options):
    return SttSettings(url=f"faster-whisper:{name}", **options)


def recognise(chosen, *, start=True):
    async def run():
        recogniser = WhisperRecogniser(chosen)
        if start:
            await recogniser.start()
        listening = recogniser.utterance()
        listening.feed(SPEECH[:4000])
        listening.feed(SPEECH[4000:])
        assert await listening.judge() is None
        try:
            return await listening.finish()
        finally:
            await recogniser.close()

    return asyncio.run(asyncio.wait_for(run(), PATIENCE_S))


@pytest.mark.parametrize("start", [True, False])
def test_a_go_is_written_down(whisper, start):
    heard = recognise(settings(language="en", prompt="Ada"), start=start)
    assert (heard.text, heard.seconds) == ("Hello there.", 1.0)
    assert whisper.asked == [(16_000, "en", "Ada")]


def test_nothing_is_fetched_unless_it_was_asked_for(whisper):
    recognise(settings())
    recognise(settings(download=True, device="cuda", compute_type="float16"))
    assert whisper.made == [
        ("small", "auto", "default", True),
        ("small", "cuda", "float16", False),
    ]


def test_a_directory_is_opened_where_it_is(whisper, tmp_path, monkeypatch):
    (tmp_path / "my-model").mkdir()
    (tmp_path / "my-model" / "model.bin").touch()
    monkeypatch.setenv("HOME", str(tmp_path))
    chosen = settings("~/my-model")
    assert str(tmp_path / "my-model") in check(chosen)
    recognise(chosen)
    assert whisper.made[0][0] == str(tmp_path / "my-model")


def test_no_words_are_no_transcript(whisper):
    whisper.segments = ()
    with pytest.raises(EngineError, match=r"no words recognised in 1\.0 s"):
        recognise(settings())


def test_a_model_that_cannot_be_loaded_says_what_to_do(whisper):
    whisper.fails = OSError("not in the cache")
    with pytest.raises(EngineError, match=r"not in the cache.*set download = true"):
        recognise(settings())


def test_a_model_that_fails_at_work_is_said_in_words(whisper):
    whisper.segments = (" Hello", RuntimeError("out of memory"))
    with pytest.raises(EngineError, match=r"failed \(RuntimeError: out of memory\)"):
        recognise(settings())


@pytest.mark.parametrize("by", ["its task", "the go itself"])
def test_a_go_that_is_given_up_ends_at_the_next_segment(whisper, by):
    begun, on = threading.Event(), threading.Event()
    decoded = []

    def decode(self):
        for text in (" one", " two", " three"):
            decoded.append(text)
            begun.set()
            assert on.wait(PATIENCE_S)
            yield SimpleNamespace(text=text)

    whisper._decoded = decode

    async def run():
        recogniser = WhisperRecogniser(settings())
        listening = recogniser.utterance()
        finishing = asyncio.create_task(listening.finish())
        await asyncio.to_thread(begun.wait, PATIENCE_S)
        if by == "its task":
            finishing.cancel()
            await asyncio.gather(finishing, return_exceptions=True)
        else:
            listening.cancel()
        on.set()
        await asyncio.gather(finishing, return_exceptions=True)
        await recogniser.close()

    asyncio.run(run())
    assert decoded == [" one"]


def test_without_the_package_the_extra_is_named(absent):
    with pytest.raises(MissingExtra, match=r"rtnb\[whisper\]"):
        recognise(settings())


def test_check_names_what_is_missing(whisper, tmp_path):
    with pytest.raises(ConfigError, match=r"has no model\.bin"):
        check(settings(str(tmp_path)))
    with pytest.raises(ConfigError, match="there is no directory"):
        check(settings(str(tmp_path / "none")))
    assert "if it was fetched before" in check(settings("Systran/faster-whisper-tiny"))
    assert "fetched if need be" in check(settings(download=True))


@pytest.mark.skipif("faster_whisper" in sys.modules, reason="it is installed")
def test_check_asks_for_the_package(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"rtnb\[whisper\]"):
        check(settings())
