import json
import subprocess
import sys

import pytest

import rtnb.vad


def test_every_name_is_there():
    assert [name for name in rtnb.vad.__all__ if not hasattr(rtnb.vad, name)] == []
    assert dir(rtnb.vad) == sorted(rtnb.vad.__all__)


def test_no_module_hides_a_name():
    program = (
        "import pkgutil, rtnb.vad\n"
        "for module in pkgutil.iter_modules(rtnb.vad.__path__, 'rtnb.vad.'):\n"
        "    __import__(module.name)\n"
        "for name in rtnb.vad.__all__:\n"
        "    assert type(getattr(rtnb.vad, name)) is not type(pkgutil), name\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_another_name_is_not_there():
    with pytest.raises(AttributeError, match="no attribute 'Gate'"):
        _ = rtnb.vad.Gate


def test_settings_load_without_numpy():
    program = (
        "import json, sys; from rtnb.vad import ServerVad\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert "numpy" not in json.loads(done.stdout)
