"""Models that other packages run."""

import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

from rtnb.audio import EXAMPLES, Clip
from rtnb.errors import ConfigError, MissingExtra
from rtnb.vad import SileroVad
from rtnb.vad.foreign import OnnxVad, WebrtcVad


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder from which packages are imported."""
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


class TestWebrtc:
    def test_a_mode_says_yes_or_no_every_ten_milliseconds(self):
        import webrtcvad

        clip = Clip.example("austen-0880")
        found = WebrtcVad((2,)).stream().push(clip.samples)
        judge = webrtcvad.Vad(2)
        pcm = clip.to_pcm16()
        frames = [pcm[at : at + 320] for at in range(0, len(pcm) - 319, 320)]
        assert found.tolist() == [judge.is_speech(frame, 16_000) for frame in frames]
        assert 0 < found.mean() < 1

    def test_all_modes_vote(self):
        samples = Clip.example("austen-0890").samples
        alone = [WebrtcVad((mode,)).stream().push(samples) for mode in range(4)]
        together = WebrtcVad().stream().push(samples)
        assert together == pytest.approx(np.mean(alone, axis=0))
        assert {0.25, 0.5, 0.75} & set(together.tolist())

    def test_it_says_who_it_is(self):
        assert WebrtcVad().name == "webrtc"
        assert WebrtcVad((3,)).name == "webrtc-3"
        assert WebrtcVad().version == version("webrtcvad-wheels")

    def test_nothing_gives_nothing(self):
        found = WebrtcVad().stream().push(np.zeros(100, np.float32))
        assert found.shape == (0,)
        assert found.dtype == np.float32

    def test_without_the_package_the_command_is_named(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "webrtcvad", None)
        with pytest.raises(MissingExtra, match=r'pip install "rtnb\[webrtc-vad\]"'):
            WebrtcVad()


class TestOnnx:
    @pytest.mark.parametrize("name", EXAMPLES)
    def test_it_is_our_network(self, silero_onnx, name):
        samples = Clip.example(name).samples
        theirs = OnnxVad(silero_onnx).stream().push(samples)
        assert np.abs(theirs - SileroVad().probabilities(samples)).max() < 1e-5

    def test_chunks_do_not_matter(self, silero_onnx):
        samples = Clip.example("austen-0880").samples
        model = OnnxVad(silero_onnx)
        stream = model.stream()
        chunks = np.split(samples, range(1000, len(samples), 1000))
        chunked = np.concatenate([stream.push(chunk) for chunk in chunks])
        assert np.array_equal(chunked, model.stream().push(samples))

    def test_its_version_is_that_of_the_bytes(self, silero_onnx):
        model = OnnxVad(silero_onnx, release="6.2.3")
        assert model.version.startswith("6.2.3+")
        assert model.version.removeprefix("6.2.3+") == OnnxVad(silero_onnx).version
        assert len(OnnxVad(silero_onnx).version) == 12

    def test_the_installed_package_is_used_but_not_imported(self, silero_onnx, site):
        data = site / "silero_vad" / "data"
        data.mkdir(parents=True)
        (data.parent / "__init__.py").write_text("raise RuntimeError('imported')")
        (data / "silero_vad.onnx").write_bytes(silero_onnx.read_bytes())
        info = site / "silero_vad-5.1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Name: silero-vad\nVersion: 5.1.2\n")
        model = OnnxVad.installed()
        assert model.version == f"5.1.2+{OnnxVad(silero_onnx).version}"

    def test_without_the_package_the_command_is_named(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "silero_vad", None)
        with pytest.raises(ConfigError, match="pip install --no-deps silero-vad"):
            OnnxVad.installed()

    def test_without_onnxruntime_the_command_is_named(self, monkeypatch, tmp_path):
        monkeypatch.setitem(sys.modules, "onnxruntime", None)
        path = tmp_path / "some.onnx"
        path.write_bytes(b"")
        with pytest.raises(MissingExtra, match=r'pip install "rtnb\[onnx\]"'):
            OnnxVad(path)

    @pytest.mark.parametrize(
        ("name", "reason"),
        [("missing.onnx", "No such file"), ("", "Is a directory")],
    )
    def test_a_file_that_cannot_be_read_is_refused(self, tmp_path, name, reason):
        with pytest.raises(ConfigError, match=reason):
            OnnxVad(tmp_path / name)

    def test_what_is_not_onnx_is_refused(self, tmp_path):
        path = tmp_path / "notes.onnx"
        path.write_text("no network")
        with pytest.raises(ConfigError, match="not an ONNX file"):
            OnnxVad(path)

    def test_another_network_is_refused(self, silero_onnx):
        path = silero_onnx.with_name("silero_vad_16k_sequence.onnx")
        with pytest.raises(ConfigError, match="takes c, h, input, not"):
            OnnxVad(Path(path))
