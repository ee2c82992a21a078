"""Photographs of people: one folder per person."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"}


@dataclass
class Person:
    """One person: photographs in order of name, and the reference that each became (None: not enrolled)."""

    name: str
    photographs: list[Path]
    references: list[str | None] = field(default_factory=list)


def read_people(folder: Path) -> list[Person]:
    """The people of a folder, in order of name."""
    people = []
    for place in sorted(p for p in folder.iterdir() if p.is_dir()):
        photographs = sorted(p for p in place.iterdir() if p.suffix.lower() in SUFFIXES)
        if photographs:
            people.append(Person(place.name, photographs))
    if len(people) < 2:
        raise SystemExit(f"{folder} holds no folders of photographs, one folder per person")
    return people
