"""Finds the samples that a command is given, and reads them within a limit."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from likeness.cli.modality import DEFAULT, words_of
from likeness.cli.words import plural
from likeness.domain.errors import InvalidInput
from likeness.domain.text import printable
from likeness.engine.entry import SampleWords

MAX_FILE_BYTES = 64 << 20
"""Larger files are not read at all; no service accepts a sample of this size."""

MAX_NAME = 200
"""Characters of a file's name that are sent, its end; the service takes 256."""

_USUAL = words_of(DEFAULT)

_ENDINGS = 5
"""Endings that are named of files that were passed over, the most frequent ones."""


@dataclass(frozen=True, slots=True)
class SampleFile:
    """One file. `name` is its path below the folder that was given, with forward slashes."""

    path: Path
    name: str


def find(
    paths: Sequence[Path], words: SampleWords = _USUAL, passed: Counter[str] | None = None
) -> list[SampleFile]:
    """The files given, and those in and below the folders given that have one of the endings, in a stable order.

    A file that is named itself is taken whatever its ending.

    Hidden files and folders and links to folders are passed over; a file that is reached twice comes once. Files
    with other endings are counted by these in `passed`.

    Raises:
        InvalidInput: a path does not exist, or there is no file of that kind at all.
    """
    found: dict[Path, SampleFile] = {}
    for given in paths:
        if given.is_dir():
            for file in _below(given, words.endings, Counter() if passed is None else passed):
                found.setdefault(file.resolve(), SampleFile(file, file.relative_to(given).as_posix()))
        elif given.exists():
            found.setdefault(given.resolve(), SampleFile(given, given.name))
        else:
            raise InvalidInput(f"There is no file or folder {given}; check the path.")
    if not found:
        endings = ", ".join(sorted(words.endings))
        raise InvalidInput(
            f"There is no {words.sample} in {', '.join(map(str, paths))}; these endings are looked for: {endings}."
        )
    return list(found.values())


def passed_over(passed: Counter[str]) -> str:
    """What was left out of folders, for a person: a photograph of another kind must not be missed in silence."""
    total = passed.total()
    most = ", ".join(
        f"{count:,} {printable(ending) or 'without one'}" for ending, count in passed.most_common(_ENDINGS)
    )
    more = ", ..." if len(passed) > _ENDINGS else ""
    return (
        f"{plural(total, 'file')} with {'another ending' if total == 1 else 'other endings'} passed over ({most}"
        f"{more}); a file that is named itself is sent whatever its ending"
    )


def _below(folder: Path, endings: frozenset[str], passed: Counter[str]) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            ending = Path(name).suffix.lower()
            if name.startswith("."):
                continue
            if ending in endings:
                yield Path(parent, name)
            else:
                passed[ending] += 1


def read(path: Path) -> bytes:
    """The bytes of a file.

    Raises:
        InvalidInput: it is larger than MAX_FILE_BYTES, or not a regular file.
        OSError: it cannot be read.
    """
    if not path.is_file():
        raise InvalidInput(f"{path} is not a regular file.", reason="NOT_A_FILE")
    with path.open("rb") as file:
        data = file.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise InvalidInput(
            f"{path} is larger than {MAX_FILE_BYTES >> 20} MiB; scale a photograph down, or see whether it is the "
            "right file.",
            reason="FILE_TOO_LARGE",
        )
    return data


def sent_name(path: Path) -> str:
    """What a file is called in requests, where errors repeat it: the end of its name, unprintable characters and
    bytes that are not UTF-8 as escapes."""
    return printable(path.name)[-MAX_NAME:]


def sha256(data: bytes) -> str:
    """64 lower-case hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def by_folder(files: Iterable[SampleFile]) -> dict[str, list[SampleFile]]:
    """The files by the folder that holds them, named by its path below the folder given.

    Files that lie directly in that folder stand each for themselves, under their own name.
    """
    groups: dict[str, list[SampleFile]] = {}
    for file in files:
        folder, _, name = file.name.rpartition("/")
        groups.setdefault(folder or Path(name).stem, []).append(file)
    return groups
