"""The ``rtnb`` command: one subcommand for each thing to do from a terminal.

A subcommand imports its module when it is called, so ``rtnb --help`` stays quick and
a missing extra is noticed only by those who need it. What a command has to say goes to
standard output, what went wrong to standard error in one line. The exit code is 0 for
success, 1 for an error of ours or of the system, 2 for a command line that cannot be
understood, 130 after Ctrl-C and 141 where whoever reads the output has gone.
"""

from __future__ import annotations

import argparse
import getpass
import io
import json
import os
import sys
from importlib import metadata
from typing import TYPE_CHECKING

from rtnb.errors import ConfigError, RtnbError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeVar

    from rtnb.gateway.adapters.settings import Models
    from rtnb.gateway.upstream import Upstream

    _Number = TypeVar("_Number", int, float)

_LAST_PORT = 0xFFFF

INTERRUPTED = 130
"""Exit code after Ctrl-C: 128 + SIGINT, as shells have it."""

PIPE_CLOSED = 141
"""Exit code where standard output was closed early: 128 + SIGPIPE."""

OWN_ANSWERS = frozenset(
    {"script", "responder", "chat", "stt", "tts", "config", "seed", "virtual"}
)
"""Flags of ``rtnb serve``, or how they begin, that say what answers on this machine."""

VAD_FORMATS = ("table", "csv", "json", "audacity", "rttm", "textgrid", "vtt")
"""What ``rtnb vad`` writes; `rtnb.vad.command` knows how."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one ``rtnb`` command.

    Parameters
    ----------
    argv : sequence of str, optional
        The words after ``rtnb``; from ``sys.argv`` when left out.

    Returns
    -------
    int
        The exit code.

    Raises
    ------
    SystemExit
        With code 2 if the words make no command, with code 0 after ``--help``.
    """
    arguments = _parser().parse_args(argv)
    try:
        code: int = arguments.run(arguments)
    except (RtnbError, OSError) as error:
        print(f"rtnb: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="rtnb", description="A laboratory bench for realtime speech in a notebook."
    )
    parser.add_argument(
        "--version", action="version", version=f"rtnb {metadata.version('rtnb')}"
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_lab(commands)
    _add_serve(commands)
    _add_demo(commands)
    _add_vad(commands)
    _add_doctor(commands)
    return parser


if TYPE_CHECKING:
    _Commands = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - no public name


def _command(
    commands: _Commands, name: str, summary: str, details: str = ""
) -> argparse.ArgumentParser:
    description = f"{summary[0].upper()}{summary[1:]}. {details}".strip()
    return commands.add_parser(name, help=summary, description=description)


def _add_lab(commands: _Commands) -> None:
    lab = _command(
        commands,
        "lab",
        "open JupyterLab on the quick start",
        "The tutorial notebooks are copied into a folder of yours; a notebook that "
        "you changed is never overwritten.",
    )
    lab.add_argument(
        "--dir",
        default="rtnb-notebooks",
        metavar="DIR",
        help="folder for the copies (default: ./%(default)s)",
    )
    lab.add_argument("--port", type=_port, metavar="N", help="port of the Lab server")
    lab.add_argument(
        "--no-browser",
        action="store_true",
        help="print the address and open no browser",
    )
    lab.add_argument(
        "jupyter_arguments",
        nargs="*",
        metavar="-- ARG",
        help="what follows -- goes to Jupyter, such as -- --ServerApp.ip=0.0.0.0",
    )
    lab.set_defaults(run=_lab)


def _add_serve(commands: _Commands) -> None:
    serve = _command(
        commands,
        "serve",
        "run the gateway: the Realtime protocol, answered on this machine",
        "One line of JSON on standard output says when it is ready and where; "
        "the log goes to standard error.",
    )
    serve.add_argument("--host", default="127.0.0.1", help="default: %(default)s")
    serve.add_argument(
        "--port", type=_port, default=0, metavar="N", help="default: any free port"
    )
    serve.add_argument(
        "--token", metavar="T", help="what clients must present (default: a new one)"
    )
    answers = serve.add_mutually_exclusive_group()
    answers.add_argument("--script", metavar="FILE", help="TOML rules that answer")
    answers.add_argument(
        "--responder",
        metavar="MODULE:FUNCTION",
        help="a Python function that answers",
    )
    _add_models(serve)
    _add_upstream(serve)
    serve.add_argument(
        "--mcp-allow-private",
        action="store_true",
        help="let sessions name MCP servers on this machine and in its network",
    )
    serve.add_argument(
        "--tls",
        action="store_true",
        help="serve wss and https, with a certificate made for this machine",
    )
    serve.add_argument(
        "--tls-cert", metavar="FILE", help="the same with this certificate (PEM)"
    )
    serve.add_argument(
        "--tls-key", metavar="FILE", help="its key, where it is in another file"
    )
    serve.add_argument(
        "--seed",
        type=int,
        metavar="N",
        help="identifiers that are the same in every run, for tests",
    )
    serve.add_argument(
        "--virtual-clock",
        action="store_true",
        help="a time that passes with the audio alone: long sessions in no time, and "
        "with --seed the same bytes in every run",
    )
    serve.add_argument(
        "--die-with-parent",
        action="store_true",
        help="end when standard input closes",
    )
    serve.set_defaults(run=_serve)


def _add_models(serve: argparse.ArgumentParser) -> None:
    models = serve.add_argument_group(
        "models of your own",
        "By these flags, or by rtnb.toml in the working directory.",
    )
    for part, what, also in (
        ("chat", "chat model that answers: base of an OpenAI-compatible API", ""),
        ("stt", "recogniser: the same", ", or faster-whisper:DIRECTORY_OR_SIZE"),
        ("tts", "voice: the same", ""),
    ):
        models.add_argument(f"--{part}", metavar="URL", help=what + also)
        models.add_argument(f"--{part}-model", metavar="M", help="its name there")
        models.add_argument(
            f"--{part}-key-env",
            metavar="NAME",
            help="environment variable that holds its key",
        )
    models.add_argument("--tts-voice", metavar="V", help="speaks for every voice")
    config = models.add_mutually_exclusive_group()
    config.add_argument("--config", metavar="FILE", help="another file than rtnb.toml")
    config.add_argument(
        "--no-config", action="store_true", help="do not look for rtnb.toml"
    )


def _add_upstream(serve: argparse.ArgumentParser) -> None:
    upstream = serve.add_argument_group(
        "a provider that answers instead",
        "Sessions are relayed to it, and pages get a microphone and a speaker. Its key "
        "is read from the first line of standard input, or from the environment.",
    )
    upstream.add_argument(
        "--upstream",
        metavar="URL",
        help="its Realtime WebSocket, such as wss://api.openai.com/v1/realtime",
    )
    upstream.add_argument(
        "--upstream-key-env",
        metavar="NAME",
        help="environment variable that holds its key",
    )
    upstream.add_argument(
        "--upstream-key-header",
        choices=("authorization", "api-key"),
        default="authorization",
        help="where it wants the key; Azure: api-key (default: %(default)s)",
    )


def _add_demo(commands: _Commands) -> None:
    demo = _command(
        commands,
        "demo",
        "hold one spoken turn without a browser and print what happened",
    )
    demo.add_argument(
        "clip",
        nargs="?",
        metavar="CLIP",
        help="an audio file or the name of a sample (default: a sample)",
    )
    demo.add_argument(
        "--out",
        default="rtnb-demo",
        metavar="DIR",
        help="where the figure, the answer and the events go (default: ./%(default)s)",
    )
    demo.add_argument(
        "--fast",
        action="store_true",
        help="send the clip at once instead of at the speed of speech",
    )
    demo.set_defaults(run=_demo)


def _add_doctor(commands: _Commands) -> None:
    doctor = _command(
        commands,
        "doctor",
        "say what is installed, what is missing and the command that adds it",
    )
    doctor.add_argument("--json", action="store_true", help="for programs")
    doctor.set_defaults(run=_doctor)


def _add_vad(commands: _Commands) -> None:
    vad = _command(
        commands,
        "vad",
        "find the turns of sound files, or sweep settings over them",
        "A file that cannot be used is named on standard error and the exit code is 1; "
        "the others are done all the same.",
    )
    vad.add_argument(
        "files", nargs="+", metavar="FILE", help="a sound file; - is standard input"
    )
    for name, read, what in (
        ("threshold", _numbers(float), "speech begins at this probability"),
        ("silence", _numbers(int), "whole ms of quiet that end a turn"),
        ("prefix", _numbers(int), "whole ms of audio kept from before the speech"),
    ):
        vad.add_argument(
            f"--{name}",
            type=read,
            default=(),
            metavar="N[,N...]",
            help=f"{what}; several with --sweep",
        )
    vad.add_argument(
        "--model",
        default="silero",
        metavar="NAME",
        help="silero, energy, webrtc or silero-onnx:PATH (default: %(default)s)",
    )
    vad.add_argument(
        "--format",
        choices=VAD_FORMATS,
        default="table",
        help="default: %(default)s; json is one object a line",
    )
    vad.add_argument(
        "--out",
        default="-",
        metavar="DIR",
        help="a folder for one file each (default: -, standard output)",
    )
    vad.add_argument(
        "--sweep",
        action="store_true",
        help="try every combination: turns, cut-ins and delay of each",
    )
    vad.add_argument(
        "--jobs",
        type=_count,
        metavar="N",
        help="processes that listen (default: as many as are worth it)",
    )
    vad.add_argument(
        "--labels",
        metavar="PATH",
        help="a file of labels to compare with, or a folder with one for each FILE",
    )
    vad.set_defaults(run=_vad)


def _lab(arguments: argparse.Namespace) -> int:
    from rtnb import lab

    return lab.run(
        arguments.dir,
        port=arguments.port,
        browser=not arguments.no_browser,
        jupyter_arguments=arguments.jupyter_arguments,
        say=print,
    )


def _serve(arguments: argparse.Namespace) -> int:
    from rtnb.gateway import app, tls

    certificate = None
    if arguments.tls_key and not arguments.tls_cert:
        raise ConfigError("--tls-key is the key of no certificate: give --tls-cert too")
    if arguments.tls_cert:
        certificate = tls.given(arguments.tls_cert, arguments.tls_key)
    elif arguments.tls:
        certificate = tls.own(arguments.host)
    upstream = _upstream(arguments)
    models = None if upstream else _models(arguments)
    return app.serve(
        host=arguments.host,
        port=arguments.port,
        token=arguments.token,
        script=arguments.script,
        responder=arguments.responder,
        models=models,
        upstream=upstream,
        mcp_allow_private=arguments.mcp_allow_private,
        seed=arguments.seed,
        virtual_clock=arguments.virtual_clock,
        certificate=certificate,
        die_with_parent=arguments.die_with_parent,
    )


def _upstream(arguments: argparse.Namespace) -> Upstream | None:
    """The provider of a relay, and its key; never of an argument, which others see."""
    from rtnb.gateway.upstream import Upstream

    url, variable = arguments.upstream, arguments.upstream_key_env
    if url is None:
        if variable is not None:
            raise ConfigError(
                "--upstream-key-env is whose key? give --upstream URL too"
            )
        return None
    for name, value in vars(arguments).items():
        given = value is not None and value is not False
        if given and name.partition("_")[0] in OWN_ANSWERS:
            flag = name.replace("_", "-")
            raise ConfigError(f"with --upstream a provider answers: leave --{flag} out")
    header = arguments.upstream_key_header
    upstream = Upstream(url, key_header=header)
    return Upstream(url, _upstream_key(upstream.host, variable), header)


def _upstream_key(host: str, variable: str | None) -> str:
    if variable is not None:
        key = os.environ.get(variable, "").strip()
        if not key:
            raise ConfigError(f"the environment variable {variable} holds no key")
        return key
    if sys.stdin.isatty():
        return getpass.getpass(f"key for {host} (Enter if it wants none): ").strip()
    print(f"rtnb: waiting for the key for {host} on standard input", file=sys.stderr)
    return sys.stdin.readline().strip()


def _models(arguments: argparse.Namespace) -> Models:
    """Models of the user's own: chosen, tried, and told of on standard error."""
    from rtnb.gateway.adapters.probing import probe_all
    from rtnb.gateway.adapters.settings import Models

    flags = {
        name: value
        for name, value in vars(arguments).items()
        if name.partition("_")[0] in {"chat", "stt", "tts"}
    }
    folder = None if arguments.no_config else "."
    models = Models.choose(flags, config=arguments.config, folder=folder)
    if models.chat is not None and (arguments.script or arguments.responder):
        raise ConfigError(
            "a chat model and a script or responder both answer: give one of them "
            "(--no-config leaves rtnb.toml aside)"
        )
    return probe_all(models, say=lambda line: print(f"rtnb: {line}", file=sys.stderr))


def _demo(arguments: argparse.Namespace) -> int:
    from rtnb import demo

    return demo.main(arguments.clip, out=arguments.out, realtime=not arguments.fast)


def _vad(arguments: argparse.Namespace) -> int:
    from rtnb.vad import command

    asked = vars(arguments).copy()
    asked.pop("run")
    order = command.Order(**asked | {"files": tuple(asked["files"])})
    if isinstance(sys.stdout, io.TextIOWrapper):  # for any locale and any file's name
        sys.stdout.reconfigure(encoding="utf-8", errors="surrogateescape")
    try:
        code = command.run(
            order,
            stdin=sys.stdin.buffer,
            stdout=sys.stdout,
            complain=lambda sentence: print(f"rtnb: {sentence}", file=sys.stderr),
        )
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read it has enough; nor is there a last flush
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    return code


def _doctor(arguments: argparse.Namespace) -> int:
    from rtnb import doctor

    report = doctor.examine()
    print(json.dumps(report.to_dict(), indent=2) if arguments.json else report)
    return 0 if report.ok else 1


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= _LAST_PORT):
        message = f"{text!r} is no port: a whole number from 0 to {_LAST_PORT}"
        raise argparse.ArgumentTypeError(message)
    return int(text)


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        message = f"{text!r} is no number of processes: a whole number from 1"
        raise argparse.ArgumentTypeError(message)
    return int(text)


def _numbers(kind: Callable[[str], _Number]) -> Callable[[str], tuple[_Number, ...]]:
    """What reads one number or several with commas between them."""

    def read(text: str) -> tuple[_Number, ...]:
        try:
            return tuple(kind(part) for part in text.split(","))
        except ValueError:
            message = f"{text!r}: give a number, or several with commas between them"
            raise argparse.ArgumentTypeError(message) from None

    return read
