"""Reads the Containerfile: its stages and their instructions."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from tests.k8s.manifests import ROOT


@dataclass
class Stage:
    """One stage: the image that it begins with, its name and its instructions in order."""

    base: str
    name: str
    instructions: list[tuple[str, str]] = field(default_factory=list)

    def all(self, instruction: str) -> list[str]:
        """The arguments of every instruction of that kind."""
        return [argument for name, argument in self.instructions if name == instruction]

    @property
    def environment(self) -> dict[str, str]:
        """What its ENV instructions set."""
        return dict(re.findall(r"(\w+)=(\S+)", " ".join(self.all("ENV"))))


def arguments() -> dict[str, str]:
    """The defaults of the arguments before the first stage."""
    return dict(
        argument.split("=", 1) for name, argument in _instructions() if name == "ARG" and "=" in argument
    )


def stages() -> list[Stage]:
    """The stages in order; the last one is the image."""
    found: list[Stage] = []
    for name, argument in _instructions():
        if name == "FROM":
            base, _, called = argument.partition(" AS ")
            found.append(Stage(base, called))
        elif found:
            found[-1].instructions.append((name, argument))
    return found


def _instructions() -> list[tuple[str, str]]:
    text = (ROOT / "Containerfile").read_text(encoding="utf-8")
    lines = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    joined = re.sub(r"\\\n\s*", " ", lines)
    return [(line.split(" ", 1)[0], line.split(" ", 1)[1].strip()) for line in joined.splitlines() if line]
