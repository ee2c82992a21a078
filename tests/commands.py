"""The commands that our documents and help texts tell people to type."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from likeness.cli.main import app

ROOT = Path(__file__).parents[1]
PROGRAMS = ("likeness", "make", "python", "pip", "podman", "docker", "kubectl", "source", "export", "umask")
"""What a command begins with, so that prose in code type is distinguished from it."""

UsageError: Any = typer.BadParameter.__mro__[1]
"""Of the copy of click that typer brings with it."""

NOT_RUN = {
    "make": "installs and runs for minutes; CI runs them, and the targets are checked",
    "pip": "fetches packages; what is named is checked against the project",
    "python": "needs data or minutes; the program and its options are checked",
    "podman": "needs a container engine",
    "docker": "needs a container engine",
    "kubectl": "needs a cluster; the likeness command inside is checked",
    "umask": "is of the shell",
    "likeness serve": "does not end; every end-to-end test runs it",
    "likeness demo": "takes a minute; tests/e2e/test_faces.py runs it",
    "likeness calibrate": "needs photographs of many people; tests/unit/cli/commands/test_calibrate.py runs it",
    "likeness keys reseal": "needs the home without a server; tests/unit/cli/commands/test_keys.py runs it",
    "likeness keys erase-owner": "needs the home without a server; tests/unit/cli/commands/test_keys.py runs it",
    "likeness keys replace-signing-key": "needs the home without a server; "
    "tests/unit/cli/commands/test_signing_key.py runs it",
    "likeness keys remove": "needs a key that seals nothing more; tests/unit/cli/commands/test_keys.py runs it",
    "likeness policy": "needs a directory; tests/unit/cli/commands/test_policy.py runs it",
    "likeness oversight": "needs a server with policies; tests/unit/cli/commands/test_oversight.py runs one",
    "likeness audit check-receipt FILE": "FILE stands for a receipt; the example in the help is run",
    "likeness backup TO": "TO stands for a folder; the example in the help is run",
    "likeness restore FROM": "FROM stands for a backup; the example in the help is run",
    "likeness list --entity NCB-XX --authority": "needs a server with TLS; tests/e2e/test_faces.py runs one",
    "likeness models add": "needs a model; tests/unit/cli/commands/test_model_add.py runs it",
    "likeness models fetch": "needs a model with an address; tests/unit/inference/models/test_catalogue.py runs it",
}
"""What commands begin with that no test runs as they are written, and why."""

_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
_CODE = re.compile(r"`([^`]+)`")


@dataclass(frozen=True)
class Written:
    """A command, and the document or the help text that it is in."""

    where: str
    text: str

    @property
    def words(self) -> list[str]:
        """Its words as a shell reads them, up to a pipe; without comments."""
        words = shlex.split(self.text, comments=True)
        return words[: words.index("|")] if "|" in words else words

    @property
    def not_run(self) -> str:
        """The beginning under which `NOT_RUN` lists it, or an empty text."""
        text = " ".join(self.words)
        return next((start for start in NOT_RUN if text == start or text.startswith(f"{start} ")), "")

    def __str__(self) -> str:
        return f"{self.where}: {self.text}"


def documents() -> list[Path]:
    """Every document that is part of the product."""
    found = [
        ROOT / "README.md",
        *sorted((ROOT / "models").rglob("*.md")),
        *sorted((ROOT / "docs").rglob("*.md")),
    ]
    return [*found, *sorted((ROOT / "k8s").rglob("*.md"))]


def fences(document: Path, *languages: str) -> list[str]:
    """The blocks of code of these languages, without their indent."""
    found = _FENCE.findall(document.read_text(encoding="utf-8"))
    return [
        re.sub(rf"^{indent}", "", body, flags=re.MULTILINE)
        for indent, name, body in found
        if name in languages
    ]


def written() -> list[Written]:
    """Every command of every document and of every help text."""
    return [command for document in documents() for command in in_document(document)] + list(in_help())


def in_document(document: Path) -> Iterator[Written]:
    """The commands in its blocks of code, and those in the prose."""
    text = document.read_text(encoding="utf-8")
    where = str(document.relative_to(ROOT))
    for body in fences(document, "", "sh"):
        yield from (Written(where, line) for line in _lines(body) if _is_command(line))
    for code in _CODE.findall(_FENCE.sub("", text)):
        line = " ".join(code.split())
        if _is_command(line):
            yield Written(where, line)


def in_help() -> Iterator[Written]:
    """The commands in the epilogs of `--help`."""
    for name, command in commands():
        for code in _CODE.findall(command.epilog or ""):
            yield Written(f"likeness {name} --help", code)


def commands() -> Iterator[tuple[str, Any]]:
    """Every command of the command line by its words, `models build`."""

    def walk(name: str, command: Any) -> Iterator[tuple[str, Any]]:
        if hasattr(command, "commands"):
            for word, below in command.commands.items():
                yield from walk(f"{name} {word}".strip(), below)
        else:
            yield name, command

    return walk("", typer.main.get_command(app))


def parsed(words: list[str]) -> None:
    """Read the words after `likeness` as the command line does, without running anything.

    Raises:
        UsageError: an option or an argument is not known, missing or no value of its kind.
    """
    command: Any = typer.main.get_command(app)
    context = typer.Context(command, info_name="likeness")
    while hasattr(command, "commands"):
        if not words:
            raise UsageError("The name of a command is missing.")
        _, command, words = command.resolve_command(context, words)
    command.make_context(command.name, list(words))


def _lines(body: str) -> list[str]:
    return [line.strip() for line in body.replace("\\\n", " ").splitlines() if line.strip()]


def _is_command(line: str) -> bool:
    first, _, rest = line.partition(" ")
    return first in PROGRAMS and bool(rest.strip()) and not rest.startswith("-- ")
