import pytest

from rtnb.audio import EXAMPLES, Clip, transcript_of
from rtnb.errors import AudioFormatError


@pytest.mark.parametrize("name", EXAMPLES)
def test_each_example_is_heard_and_written(name):
    clip = Clip.example(name)
    assert clip.sample_rate == 16_000
    assert clip.peak > 0.1
    words = len(transcript_of(name).split())
    assert 2 < words / clip.duration < 4


@pytest.mark.parametrize("use", [transcript_of, Clip.example])
def test_an_unknown_example_names_those_there_are(use):
    with pytest.raises(AudioFormatError, match=r"'austen'.*austen-0870, austen-0880"):
        use("austen")
