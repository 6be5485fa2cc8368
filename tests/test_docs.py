"""What the documents say is true: commands, code blocks, links and examples."""

import doctest
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from numpydoc.validate import validate

import rtnb

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
DOCUMENTS = [README, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
COMMANDS = ('pip install -e ".[lab]" && rtnb lab', 'pip install -e ".[test]" && pytest')
NOT_RUN = "<!-- not run"
"""A comment on the line before a block that needs a key or a person; it says which."""

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(rtnb.__path__, "rtnb.")
    if not module.name.endswith("__main__")
)


def code_blocks(text: str, language: str) -> list[str]:
    """Fenced blocks of a language, but for those marked as not to be run."""
    fence = re.compile(rf"(^<!--.*-->\n+)?^```{language}\n(.*?)^```$", re.M | re.S)
    return [
        code for comment, code in fence.findall(text) if not comment.startswith(NOT_RUN)
    ]


def test_code_blocks_are_found_and_may_be_left_out():
    text = (
        "a\n```python\nx = 1\n```\n<!-- not run: needs a key -->\n```python\ny\n```\n"
    )
    assert code_blocks(text, "python") == ["x = 1\n"]


def test_readme_code_runs_as_one_script(tmp_path):
    blocks = code_blocks(README.read_text("utf-8"), "python")
    assert blocks
    script = tmp_path / "readme.py"
    script.write_text("\n".join(blocks), "utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", script],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_the_two_commands_are_written_out(name, command):
    assert command in (ROOT / name).read_text("utf-8")


def test_ci_runs_the_test_command_as_written():
    assert f"'{COMMANDS[1]}'" in (ROOT / ".ci" / "run").read_text("utf-8")


def test_readme_names_every_subcommand():
    done = subprocess.run(
        [sys.executable, "-m", "rtnb", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    commands = re.findall(r"^    (\w+) ", done.stdout, re.M)
    readme = README.read_text("utf-8")
    assert commands
    assert [command for command in commands if f"rtnb {command}" not in readme] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_to_files_lead_somewhere(path):
    links = re.findall(
        r"\]\(([^)#\s]+)[^)]*\)|src=\"([^\"]+)\"", path.read_text("utf-8")
    )
    local = [link for pair in links for link in pair if link and "://" not in link]
    assert [link for link in local if not (path.parent / link).exists()] == []


def test_the_changelog_knows_the_version():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert re.search(rf"^## \[(Unreleased|{re.escape(version)})\]", changelog, re.M)


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples_run(name):
    module = importlib.import_module(name)
    result = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
    assert result.failed == 0


@pytest.mark.parametrize("name", rtnb.__all__)
def test_every_public_name_is_shown_in_use(name):
    """In the README, in a notebook, or in an example of a docstring."""
    places = [README, *(ROOT / "notebooks").glob("*.ipynb")]
    texts = [path.read_text("utf-8") for path in places]
    texts += [
        line
        for path in (ROOT / "rtnb").rglob("*.py")
        for line in path.read_text("utf-8").splitlines()
        if line.lstrip().startswith((">>>", "..."))
    ]
    used = re.compile(rf"\b{name}\b")
    assert any(used.search(text) for text in texts)


def public_functions() -> list[str]:
    """Functions of the package, of its public modules, and methods of its classes."""
    owners = {"rtnb": rtnb} | {
        f"rtnb.{name}": getattr(rtnb, name) for name in rtnb.__all__
    }
    return sorted(
        f"{owner}.{name}"
        for owner, value in owners.items()
        if inspect.ismodule(value) or inspect.isclass(value)
        for name in getattr(value, "__all__", vars(value))
        if not name.startswith("_") and is_function_of_ours(getattr(value, name))
    )


def is_function_of_ours(value: object) -> bool:
    return inspect.isroutine(value) and value.__module__.startswith("rtnb")


@pytest.mark.parametrize("name", public_functions())
def test_public_functions_document_the_parameters_they_have(name):
    """PR01 one is missing, PR02 one does not exist, PR03 they are in another order."""
    errors = dict(validate(name)["errors"])
    assert {
        code: errors[code] for code in errors.keys() & {"PR01", "PR02", "PR03"}
    } == {}


def test_binder_opens_the_quick_start_on_a_python_we_support():
    binder = ROOT / "binder"
    assert (ROOT / "notebooks" / "00-quick-start.ipynb").is_file()
    assert "urlpath=lab/tree/notebooks/00-quick-start.ipynb" in README.read_text(
        "utf-8"
    )
    assert (binder / "runtime.txt").read_text().strip() == "python-3.11"
    requirements = (binder / "requirements.txt").read_text().splitlines()
    assert ".[cluster,lab]" in requirements  # what the tutorials import
