"""The client works with the packages that the distribution brings without an extra."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from likeness import DISTRIBUTION
from likeness.cli import start

ROOT = Path(__file__).parents[3]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

ALONE = """
import sys
from importlib.abc import MetaPathFinder

class Alone(MetaPathFinder):
    '''Finds nothing of other packages than those that are allowed.'''
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in allowed:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

allowed = {*sys.stdlib_module_names, "likeness", *sys.argv[1].split(",")}
sys.argv[1:] = sys.argv[2:]
sys.meta_path.insert(0, Alone())
"""


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _names(requirements: list[str]) -> set[str]:
    """Of the packages that are needed without an extra."""
    needed = (line for line in requirements if "extra ==" not in line)
    return {_plain(match[0]) for line in needed if (match := re.match(r"[\w.-]+", line))}


def _brought() -> set[str]:
    """The top-level modules of the dependencies, and of theirs."""
    distributions: set[str] = set()
    found = _names(PROJECT["dependencies"])
    while found:
        distributions |= found
        asked = {name for one in found for name in _names(importlib.metadata.requires(one) or [])}
        found = asked - distributions
    by_module = importlib.metadata.packages_distributions()
    return {module for module, by in by_module.items() if distributions & {_plain(name) for name in by}}


def alone(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program where nothing can be imported but these."""
    command = [sys.executable, "-c", ALONE + program, ",".join(_brought()), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("module", ["likeness.client", "likeness.protocol", "likeness.testing.channel"])
def test_it_is_imported_without_the_packages_of_the_service(module: str) -> None:
    done = alone(f"import {module}")
    assert done.returncode == 0, done.stderr


def test_the_service_is_not() -> None:
    assert "No module named 'numpy'" in alone("import likeness.engine.engine").stderr


@pytest.mark.parametrize("words", [(), ("--version",), ("search", "probe.jpg")])
def test_the_command_line_says_in_one_line_what_to_install(words: tuple[str, ...]) -> None:
    done = alone("from likeness.cli.start import main; main()", *words)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert f"pip install '{DISTRIBUTION}[server]'" in done.stderr


def test_a_module_of_our_own_that_is_missing_is_no_question_of_packages(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "likeness.cli.main", None)
    with pytest.raises(ModuleNotFoundError, match=r"likeness\.cli\.main"):
        start.main()


def test_it_is_that_command() -> None:
    assert PROJECT["scripts"]["likeness"] == "likeness.cli.start:main"
