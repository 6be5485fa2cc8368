"""The ``rtnb`` command: one subcommand for each thing to do from a terminal.

A subcommand imports its module when it is called, so ``rtnb --help`` stays quick and
a missing extra is noticed only by those who need it. What a command has to say goes to
standard output, what went wrong to standard error in one line. The exit code is 0 for
success, 1 for an error of ours or of the system, 2 for a command line that cannot be
understood and 130 after Ctrl-C.
"""

from __future__ import annotations

import argparse
import json
import sys
from importlib import metadata
from typing import TYPE_CHECKING

from rtnb.errors import ConfigError, RtnbError

if TYPE_CHECKING:
    from collections.abc import Sequence

_LAST_PORT = 0xFFFF

INTERRUPTED = 130
"""Exit code after Ctrl-C: 128 + SIGINT, as shells have it."""


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
        "--die-with-parent",
        action="store_true",
        help="end when standard input closes",
    )
    serve.set_defaults(run=_serve)


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
    return app.serve(
        host=arguments.host,
        port=arguments.port,
        token=arguments.token,
        script=arguments.script,
        responder=arguments.responder,
        certificate=certificate,
        die_with_parent=arguments.die_with_parent,
    )


def _demo(arguments: argparse.Namespace) -> int:
    from rtnb import demo

    return demo.main(arguments.clip, out=arguments.out, realtime=not arguments.fast)


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
