"""The demonstration's faces: some photographs of each person are enrolled, others are searched with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from likeness.cli import files, output
from likeness.cli.demo import pictures
from likeness.cli.demo.stage import Stage
from likeness.cli.failures import Exit
from likeness.cli.files import SampleFile
from likeness.cli.words import LEAD, plural
from likeness.domain.errors import LikenessError
from likeness.domain.samples import Sample
from likeness.imaging.decode import decode
from likeness.imaging.opencv import cv2

MAX_PROBES = 8
"""Probes taken from one's own photographs: as many as a contact sheet shows well."""

STRANGER_EVERY = 10
"""Of one's own people with a single photograph, every so many is left out and searched with."""

SHOWN_REJECTS = 3
"""Of the rejects file; with one's own photographs there can be many."""

DARKER = 0.55
SMALLER = 0.6
JPEG_QUALITY = 45
"""What the altered photograph went through in addition to being mirrored."""


@dataclass(frozen=True, slots=True)
class Cast:
    """Who is enrolled (subject and file), and which files are searched with (what it shows and file)."""

    enrolled: Sequence[tuple[str, Path]]
    probes: Sequence[tuple[str, Path]]
    altered: Path | None = None
    """An enrolled photograph of which an altered copy is searched with."""


class FaceSection:
    """Enrolment, search and contact sheet of faces.

    Args:
        folder: the demonstration's own.
        own: one's own photographs, or None for those that come with packages.
        cache: where those are stored.
    """

    title = "Faces: enrol some, search with others"

    def __init__(self, folder: Path, own: Path | None, cache: Path) -> None:
        self._enrol = folder / "faces" / "enrol"
        self._probes = folder / "faces" / "probes"
        self._sheet = folder / "contact-sheet.png"
        self._rejects = folder / "rejects.csv"
        self._own = own
        self._cache = cache / "demo-photographs"

    def prepare(self) -> None:
        """Lay out links to the photographs: `enrol/PERSON/FILE` and `probes/WHAT-FILE`."""
        cast = self._packaged() if self._own is None else _own_cast(self._own)
        for subject, path in cast.enrolled:
            _link(path, self._enrol / subject.replace("/", "-") / path.name)
        for what, path in cast.probes:
            _link(path, self._probes / f"{what}-{path.name}")
        if cast.altered is not None:
            _alter(cast.altered, self._probes / f"altered-{cast.altered.stem}.jpg")
        people = len({subject for subject, _ in cast.enrolled})
        probes = len(list(self._probes.iterdir()))
        output.note(
            f"{plural(len(cast.enrolled), 'photograph')} of {plural(people, 'subject')} to enrol, "
            f"{plural(probes, 'probe')} to search with"
        )

    def _packaged(self) -> Cast:
        folder = pictures.fetch(self._cache, output.note)
        output.note(f"photographs in {folder}, each checked against its SHA-256")
        return Cast(
            enrolled=[
                ("president-44", folder / "obama.jpg"),
                ("president-44", folder / "obama3.jpg"),
                ("astronaut", folder / "astronaut.png"),
                ("cat", folder / "chelsea.png"),
            ],
            probes=[
                ("another-photograph", folder / "obama2.jpg"),
                ("half-a-face", folder / "obama_partial_face2.jpg"),
                ("not-enrolled", folder / "biden.jpg"),
            ],
            altered=folder / "astronaut.png",
        )

    def run(self, stage: Stage) -> None:
        """Enrol, then search every probe."""
        words = ("--gallery", "demo", "--table")
        enrolling = (*words, "--category", "other", "--subject-from-folder", "--rejects", str(self._rejects))
        stage.likeness("enroll", str(self._enrol), *enrolling, allow=(Exit.DONE, Exit.PARTLY))
        if self._rejects.exists():
            lines = self._rejects.read_text(encoding="utf-8").splitlines()
            output.note(f"$ head -n {SHOWN_REJECTS + 1} {self._rejects}", "cyan")
            output.note("\n".join(lines[: SHOWN_REJECTS + 1]))
        stage.likeness(
            "search", str(self._probes), *words, "-k", "3", "--sheet", str(self._sheet),
            allow=(Exit.DONE, Exit.PARTLY),
        )  # fmt: skip

    def conclude(self) -> None:
        """Point to the contact sheet."""
        output.note(f"Look at {self._sheet}: probes on the left, candidates on the right.", "bold")
        output.note(
            "FMR is how often two strangers score this high; where policies judge, as here, nobody above one in a "
            f"thousand is listed. {LEAD}"
        )


def _own_cast(folder: Path) -> Cast:
    """One's own photographs: of a person with several the last is a probe, of the others some are left out."""
    enrolled: list[tuple[str, Path]] = []
    probes: list[tuple[str, Path]] = []
    singles: list[tuple[str, SampleFile]] = []
    for subject, found in files.by_folder(files.find([folder])).items():
        if len(found) == 1:
            singles.append((subject, found[0]))
            continue
        enrolled += [(subject, file.path) for file in found[:-1]]
        if len(probes) < MAX_PROBES // 2:
            probes.append(("another-photograph", found[-1].path))
    for number, (subject, file) in enumerate(singles, start=1):
        if number % STRANGER_EVERY == 0 and len(probes) < MAX_PROBES - 1:
            probes.append(("not-enrolled", file.path))
        else:
            enrolled.append((subject, file.path))
    return Cast(enrolled, probes, altered=_first_readable(path for _, path in enrolled))


def _first_readable(paths: Iterator[Path]) -> Path | None:
    for path in paths:
        try:
            decode(Sample(files.read(path), name=path.name))
        except (LikenessError, OSError):
            continue
        return path
    return None


def _link(target: Path, link: Path) -> None:
    """A link, so that nothing is copied; a second file of the same name gets a number."""
    link.parent.mkdir(parents=True, exist_ok=True)
    number = 2
    free = link
    while free.is_symlink():
        free, number = link.with_name(f"{link.stem}-{number}{link.suffix}"), number + 1
    free.symlink_to(target.resolve())


def _alter(source: Path, target: Path) -> None:
    """Write a mirrored, darkened, smaller and hard-compressed copy."""
    pixels = decode(Sample(files.read(source), name=source.name))
    changed = cv2.resize(pixels[:, ::-1], None, fx=SMALLER, fy=SMALLER, interpolation=cv2.INTER_AREA)
    darker = np.asarray(changed * DARKER, np.uint8)
    _, encoded = cv2.imencode(
        ".jpg", np.ascontiguousarray(darker[:, :, ::-1]), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(encoded.tobytes())
