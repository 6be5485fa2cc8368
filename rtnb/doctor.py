"""``rtnb doctor``: what is installed, what is missing and the command that adds it.

The packages to look for, their least versions and their extras are read from the
installed metadata of rtnb, so nothing here has to be kept in step. What can be tried is
tried: the voice speaks, the gateway starts and answers. A key is never shown, only
whether it is set.

The main job is to talk to the embedded engine in a notebook. A finding is `required`
when that job cannot run without it.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from packaging.requirements import Requirement
from packaging.version import Version
from typing_extensions import override

from rtnb import lab
from rtnb.errors import EngineError, MissingExtra, RtnbError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

State: TypeAlias = Literal["ok", "missing", "broken", "note"]

PYTHON = Version("3.11")
"""The oldest Python that rtnb runs on (``requires-python``)."""

KEYS = ("OPENAI_API_KEY", "AZURE_OPENAI_API_KEY", "AZURE_OPENAI_ENDPOINT")
"""Environment variables that `connect` reads; none is needed for the main job."""

LAB_EXTENSIONS = {
    "ipywidgets": "@jupyter-widgets/jupyterlab-manager",
    "anywidget": "anywidget",
    "ipywebrtc": "jupyter-webrtc",
}
"""Python packages, and the front-end extension of JupyterLab that each brings."""

EXTRAS = {
    "labels": "reads and writes WebVTT and TextGrid labels",
    "webrtc-vad": "the speech model webrtc",
    "onnx": "other versions of Silero, as speech models",
    "cluster": "sweeps on a Dask cluster",
    "whisper": "recognition by faster-whisper",
    "mcp": "tools of MCP servers, called by the gateway",
    "models": "answers, ears and voices of your own servers",
    "tls": "wss and https with a certificate of its own",
}
"""Extras that nothing waits for, and what each is good for."""

NEST_ASYNCIO_CALLED = (
    "called; on ipykernel 7.4 widget messages can be lost while run_until_complete() "
    "waits, so prefer await"
)
"""Measured with nest_asyncio 1.6.0; audio over the media socket is not concerned."""

WEIGHTS_SHA256 = "d82ea6c6188c799391dbae173aeae3e7cb556de8fc2daac6455f2167bbb435b8"
"""Of ``rtnb/vad/silero_vad_6.2.npz``, as converted by `rtnb.vad.convert`."""

TURN_SECONDS = 60.0
"""How long the gateway may take to answer; a slow machine needs a second or two."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One line of the report.

    Attributes
    ----------
    section, name : str
        What was looked at.
    state : {"ok", "missing", "broken", "note"}
        A note asks for nothing.
    found : str
        A version or a fact.
    remedy : str
        The command or the sentence that mends it; empty when nothing is to be done.
    required : bool
        Whether the main job cannot run without it.
    """

    section: str
    name: str
    state: State
    found: str
    remedy: str = ""
    required: bool = False


@dataclass(frozen=True)
class Report:
    """What `examine` found, printable as text."""

    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether the main job can run."""
        return not self.failures

    @property
    def failures(self) -> tuple[Finding, ...]:
        """The findings that keep the main job from running."""
        return tuple(
            finding
            for finding in self.findings
            if finding.required and finding.state in {"missing", "broken"}
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain values, for JSON."""
        findings = [asdict(finding) for finding in self.findings]
        return {"ok": self.ok, "findings": findings}

    @override
    def __str__(self) -> str:
        width = max((len(finding.name) for finding in self.findings), default=0)
        lines: list[str] = []
        section = None
        for finding in self.findings:
            if finding.section != section:
                section = finding.section
                lines += ["", section]
            state = "-" if finding.state == "note" else finding.state
            lines.append(f"  {state:<8} {finding.name:<{width}}  {finding.found}")
            if finding.remedy:
                lines.append(f"  {'':<8} {'':<{width}}  -> {finding.remedy}")
        return "\n".join([*lines[1:], "", self._verdict()])

    def _verdict(self) -> str:
        if self.ok:
            return "Everything the main job needs is here: rtnb lab"
        names = ", ".join(finding.name for finding in self.failures)
        return f"The main job cannot run yet; mend: {names}"


def examine(environ: Mapping[str, str] = os.environ) -> Report:
    """Look at everything rtnb needs, and try what can be tried.

    Parameters
    ----------
    environ : mapping of str to str
        Where to look for keys.

    Returns
    -------
    Report
        Its `ok` says whether the main job can run.

    Notes
    -----
    Starts a gateway process, holds one short turn with it and ends it, which takes a
    second or two.
    """
    return Report(
        (
            *_python(),
            *_packages("Packages", extra="", required=True),
            *_data(),
            *_packages("Local engine", extra="local", besides=[""], required=True),
            *_voice(),
            *_packages("Notebook", extra="lab", besides=["", "local"]),
            *_lab_extensions(),
            *_extras(),
            *_kernel(),
            *_gateway(),
            *_models(),
            *_keys(environ),
            *_developer(),
        )
    )


def check_requirement(
    requirement: Requirement, installed: str | None
) -> tuple[State, str]:
    """Compare an installed version with what is needed.

    Parameters
    ----------
    requirement : packaging.requirements.Requirement
        What is needed.
    installed : str or None
        The version that is there, if any.

    Returns
    -------
    state : {"ok", "missing", "broken"}
    found : str
        The fact in words.
    """
    needed = f"needs {requirement.specifier}" if requirement.specifier else ""
    if installed is None:
        return "missing", f"not installed, {needed}".removesuffix(", ")
    if not requirement.specifier.contains(installed, prereleases=True):
        return "broken", f"{installed}, {needed}"
    return "ok", installed


def comm_behaviour(version: str) -> str:
    """Say what widget messages do on an ipykernel while a cell runs.

    Parameters
    ----------
    version : str
        Of ipykernel.

    Returns
    -------
    str
        A clause; measured on 6.31, 7.0 to 7.3 and 7.4.
    """
    release = Version(version)
    if release < Version("7.0"):
        return "widget messages wait for the running cell"
    if release < Version("7.4"):
        return "widget messages arrive while a cell runs"
    return "widget messages wait for the running cell unless it awaits"


def _python() -> Iterator[Finding]:
    version = ".".join(str(number) for number in sys.version_info[:3])
    old = Version(version) < PYTHON
    yield Finding(
        section="Python",
        name="Python",
        state="broken" if old else "ok",
        found=f"{version} in {sys.prefix}",
        remedy=f"use Python {PYTHON} or newer" if old else "",
        required=True,
    )
    yield Finding(
        section="Python", name="rtnb", state="ok", found=metadata.version("rtnb")
    )


def _packages(
    section: str, *, extra: str, besides: Sequence[str] = (), required: bool = False
) -> Iterator[Finding]:
    for requirement in _requirements(extra, besides=besides):
        state, found = check_requirement(requirement, _version(requirement.name))
        command = f'pip install "{requirement.name}{requirement.specifier}"'
        yield Finding(
            section=section,
            name=requirement.name,
            state=state,
            found=found,
            remedy="" if state == "ok" else command,
            required=required or requirement.name == "jupyterlab",
        )


def _extras() -> Iterator[Finding]:
    """What is there, and what could be added."""
    for extra, purpose in EXTRAS.items():
        missing = [
            needed.name
            for needed in _requirements(extra)
            if check_requirement(needed, _version(needed.name))[0] != "ok"
        ]
        yield Finding(
            section="Extras",
            name=extra,
            state="note" if missing else "ok",
            found=f"not installed: {purpose}" if missing else purpose,
            remedy=f'pip install "rtnb[{extra}]"' if missing else "",
        )


def _requirements(extra: str, *, besides: Sequence[str] = ()) -> list[Requirement]:
    """What rtnb needs for an extra (``""``: always) and does not need for `besides`."""
    listed = [Requirement(line) for line in metadata.requires("rtnb") or ()]
    others = {needed.name for other in besides for needed in _requirements(other)}
    return [
        requirement
        for requirement in listed
        if requirement.name not in others | {"rtnb"}
        and (
            requirement.marker is None or requirement.marker.evaluate({"extra": extra})
        )
    ]


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _data() -> Iterator[Finding]:
    """The files that came with rtnb."""
    mend = "install rtnb again; files of it are missing"
    yield _tried("Data", "detector weights", _load_weights, mend=mend)
    yield _tried("Data", "sample speech", _load_sample, mend=mend)
    present = (lab.tutorials() / lab.QUICK_START).is_file()
    yield Finding(
        section="Data",
        name="tutorials",
        state="ok" if present else "missing",
        found=f"in {lab.tutorials()}",
        remedy="" if present else mend,
        required=True,
    )


def _load_weights() -> str:
    from rtnb.vad import silero

    digest = hashlib.sha256(silero.WEIGHTS.read_bytes()).hexdigest()
    if digest != WEIGHTS_SHA256:
        raise EngineError(f"{silero.WEIGHTS} is not the file that came with rtnb")
    silero.SileroVad()
    return f"{silero.provenance()['release']}, sha256 {digest[:12]}…"


def _load_sample() -> str:
    from rtnb.audio import Clip

    return f"{Clip.example().duration:.2f} s"


def _voice() -> Iterator[Finding]:
    if _version("espeakng-loader") is not None:
        yield _tried(
            "Local engine",
            "voice",
            _speak,
            mend="pip install --force-reinstall espeakng-loader",
        )


def _speak() -> str:
    from rtnb.gateway.voice import SAMPLE_RATE, Voice

    spoken = Voice().speak("hello", voice="marin", speed=1.0)
    seconds = sum(part.samples.size for part in spoken) / SAMPLE_RATE
    if not seconds:
        raise EngineError("the voice stays silent")
    return f'speaks: "hello" lasts {seconds:.2f} s'


def _gateway() -> Iterator[Finding]:
    yield _tried(
        "Gateway",
        "a spoken turn",
        _answer,
        mend="run `rtnb serve` and read what it writes",
    )


def _models() -> Iterator[Finding]:
    """Models of the user's own, where a file in the working directory names some."""
    from rtnb.gateway.adapters.probing import NAMES, probe
    from rtnb.gateway.adapters.settings import FILE, Models

    section = f"Models of your own ({FILE})"
    if not Path(FILE).is_file():
        return
    try:
        parts = Models.load(FILE).parts
    except RtnbError as error:
        yield Finding(section=section, name=FILE, state="broken", found=str(error))
        return
    for part, place in parts.items():
        state: State = "ok"
        try:
            found = probe(part, place).found.removeprefix(f"{NAMES[part]}: ")
        except MissingExtra as error:
            state, found = "missing", str(error)
        except RtnbError as error:
            state, found = "broken", str(error)
        yield Finding(section=section, name=f"[{part}]", state=state, found=found)


def _answer() -> str:
    """Hold one turn the way a notebook does: sample speech in, an answer out."""
    from rtnb.audio import Clip
    from rtnb.session import connect

    started = perf_counter()
    with connect() as session:
        turn = session.send_audio(Clip.example(), realtime=False)
        turn.wait(timeout=TURN_SECONDS)
    seconds = perf_counter() - started
    if not turn.text:
        raise EngineError("the gateway answered without words")
    if not turn.user_text and _version("pocketsphinx") is not None:
        raise EngineError("the gateway recognised no word of the sample speech")
    return f"answered in {seconds:.1f} s, the start of the gateway included"


def _tried(
    section: str, name: str, attempt: Callable[[], str], *, mend: str
) -> Finding:
    """Try something that the main job needs; an error becomes a finding."""
    try:
        found = attempt()
        state: State = "ok"
    except MissingExtra as error:
        state, found, mend = "missing", str(error), ""
    except (RtnbError, ImportError, OSError) as error:
        state, found = "broken", str(error)
    return Finding(
        section=section,
        name=name,
        state=state,
        found=found,
        remedy="" if state == "ok" else mend,
        required=True,
    )


def _lab_extensions() -> Iterator[Finding]:
    if _version("jupyterlab") is None:
        return
    from jupyter_core.paths import jupyter_path

    folders = [Path(folder) for folder in jupyter_path("labextensions")]
    for package, extension in LAB_EXTENSIONS.items():
        present = any(
            (folder / extension / "package.json").exists() for folder in folders
        )
        yield Finding(
            section="Notebook",
            name=f"{package} in Lab",
            state="ok" if present else "missing",
            found=f"extension {extension}{'' if present else ' is not installed'}",
            remedy="" if present else f"pip install --force-reinstall {package}",
            required=package != "ipywebrtc",
        )


def _kernel() -> Iterator[Finding]:
    version = _version("ipykernel")
    if version is not None:
        found = f"{version}: {comm_behaviour(version)}"
        yield Finding(section="Notebook", name="ipykernel", state="note", found=found)
    patched = getattr(asyncio, "_nest_patched", False)
    yield Finding(
        section="Notebook",
        name="nest_asyncio.apply()",
        state="note",
        found=NEST_ASYNCIO_CALLED if patched else "not called in this process",
    )


def _keys(environ: Mapping[str, str]) -> Iterator[Finding]:
    for name in KEYS:
        found = "set" if environ.get(name) else "not set"
        yield Finding(
            section="Providers (optional)", name=name, state="note", found=found
        )


def _developer() -> Iterator[Finding]:
    section = "For developers (optional)"
    commands = {
        "Node": ("node",),
        "Chromium": ("chromium", "chromium-browser", "google-chrome"),
    }
    for name, candidates in commands.items():
        path = next(filter(None, map(shutil.which, candidates)), None)
        found = _first_line([path, "--version"]) if path else "not installed"
        yield Finding(section=section, name=name, state="note", found=found)


def _first_line(command: list[str]) -> str:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=20, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return f"{command[0]} does not run"
    return done.stdout.strip().partition("\n")[0]
