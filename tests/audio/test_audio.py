import json
import subprocess
import sys

import pytest

import rtnb.audio


def test_every_name_is_there():
    assert [name for name in rtnb.audio.__all__ if not hasattr(rtnb.audio, name)] == []
    assert dir(rtnb.audio) == sorted(rtnb.audio.__all__)


def test_no_module_hides_a_name():
    program = (
        "import pkgutil, rtnb.audio\n"
        "for module in pkgutil.iter_modules(rtnb.audio.__path__, 'rtnb.audio.'):\n"
        "    __import__(module.name)\n"
        "for name in rtnb.audio.__all__:\n"
        "    assert type(getattr(rtnb.audio, name)) is not type(pkgutil), name\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_another_name_is_not_there():
    with pytest.raises(AttributeError, match="no attribute 'Tape'"):
        _ = rtnb.audio.Tape


def test_importing_loads_nothing_heavy():
    program = (
        "import json, sys, rtnb.audio; light = 'numpy' not in sys.modules\n"
        "from rtnb.audio import Clip, StreamingResampler, ulaw_encode\n"
        "print(json.dumps([light, *sorted(sys.modules)]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    light, *loaded = json.loads(done.stdout)
    assert light
    assert not {"soundfile", "soxr", "av"} & set(loaded)
