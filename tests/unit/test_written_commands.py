"""Every command in documents and help texts is one that there is; those that can be run are run in tests/e2e."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from likeness import DISTRIBUTION, __version__
from tests.commands import NOT_RUN, ROOT, UsageError, Written, fences, parsed, written

ALL = written()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]


def of(program: str) -> list[Written]:
    return [command for command in ALL if command.words[0] == program]


def inside_pods() -> list[Written]:
    return [Written(c.where, c.text.partition(" -- ")[2]) for c in of("kubectl") if " -- likeness" in c.text]


def test_the_documents_and_the_help_hold_commands() -> None:
    assert {command.where for command in ALL} >= {"README.md", "models/README.md", "k8s/README.md"}
    assert len({command.where for command in ALL if command.where.endswith("--help")}) > 10
    assert len(of("likeness")) > 30
    assert inside_pods()


@pytest.mark.parametrize("command", [*of("likeness"), *inside_pods()], ids=str)
def test_a_command_of_ours_is_understood(command: Written) -> None:
    parsed(command.words[1:])


@pytest.mark.parametrize(
    "text", ["likeness search --no-such-option x.jpg", "likeness models", "likeness get"]
)
def test_a_wrong_command_would_be_noticed(text: str) -> None:
    with pytest.raises(UsageError):
        parsed(Written("here", text).words[1:])


@pytest.mark.parametrize("command", of("make"), ids=str)
def test_a_target_of_make_is_there(command: Written) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    _, target, *variables = command.words
    assert re.search(rf"^{target}:.*## ", makefile, re.MULTILINE)
    for name in (variable.partition("=")[0] for variable in variables):
        assert re.search(rf"^{name} \?=", makefile, re.MULTILINE)


@pytest.mark.parametrize("command", of("python"), ids=str)
def test_a_program_is_there_with_its_options(command: Written) -> None:
    path = ROOT / command.words[1]
    source = path.read_text(encoding="utf-8")
    shared = "".join(
        file.read_text(encoding="utf-8") for file in (ROOT / "benchmarks" / "common").glob("*.py")
    )
    for option in (word.strip("[]") for word in command.words[2:] if word.strip("[").startswith("--")):
        assert re.search(rf'"(--)?{option.removeprefix("--")}"', source + shared), option


@pytest.mark.parametrize("command", [c for c in of("likeness") if not c.not_run], ids=str)
def test_a_command_that_tests_run_stays_in_its_folder(command: Written) -> None:
    """Or a test would write into the machine that it runs on."""
    assert not [word for word in command.words if word.startswith(("/", "~"))]


@pytest.mark.parametrize("command", of("pip"), ids=str)
def test_what_pip_is_given_is_this_project_or_what_it_needs(command: Written) -> None:
    wheel = f"dist/{DISTRIBUTION.replace('-', '_')}-{__version__}-py3-none-any.whl"
    needed = {re.split(r"[>\[]", requirement)[0] for extra in EXTRAS.values() for requirement in extra}
    for word in (word for word in command.words[2:] if not word.startswith("--")):
        name, _, extra = word.partition("[")
        assert name in {".", wheel, Path(wheel).parent.name} | needed
        assert not extra or extra.rstrip("]") in EXTRAS


def test_every_reason_not_to_run_a_command_is_of_one_that_there_is() -> None:
    used = {command.not_run for command in ALL}
    assert set(NOT_RUN) - used <= {"docker"}  # of the Containerfile


def test_the_readme_shows_the_service_in_python() -> None:
    (program,) = fences(ROOT / "README.md", "python")
    compile(program, "README.md", "exec")


def test_the_contract_shows_programs_in_python_and_the_search_of_the_frontline() -> None:
    programs = fences(ROOT / "docs" / "api.md", "python")
    for program in programs:
        compile(program, "api.md", "exec")
    assert any("frontline=True" in program for program in programs)
