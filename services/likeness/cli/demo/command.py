"""`likeness demo`: the whole service on photographs and drawn fingers, from nothing to pictures of its answers."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

import typer

from likeness.cli import output
from likeness.cli.commands.models import set_up
from likeness.cli.demo.faces import FaceSection
from likeness.cli.demo.fingerprints import FingerprintSection
from likeness.cli.demo.objects import ObjectSection
from likeness.cli.demo.stage import Section, Stage, serving
from likeness.cli.failures import Exit
from likeness.domain.access import Role
from likeness.domain.errors import InvalidInput
from likeness.inference.models.catalogue import Catalogue

MARKER = ".likeness-demo"
"""Says that a folder is the demonstration's own, and may be emptied by the next one."""

PARTS = (
    "home",
    "certs",
    "state",
    "faces",
    "fingerprints",
    "objects",
    "server.log",
    "contact-sheet.png",
    "fingerprint-pair.png",
    "object-evidence.png",
    "rejects.csv",
)
"""What the demonstration makes in its folder."""


def demo(
    out: Annotated[Path, typer.Option(help="Folder for everything that it makes.")] = Path("demo-output"),
    faces: Annotated[
        Path | None,
        typer.Option(
            help="Your own photographs: folders by person, or just files. Nothing leaves this machine.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Enrol faces, fingerprints and objects into a fresh server, search with others, and draw what was found.

    Builds the default models and compiles the fingerprint kernels first if that has not been done, and fetches a
    few photographs with pip.
    """
    folder = _fresh(out)
    output.note("1. Models and kernels", "bold")
    catalogue = Catalogue.standard(folder / "home")
    set_up(catalogue)
    cache = catalogue.cache_dir
    sections: list[Section] = [
        FaceSection(folder, faces, cache),
        FingerprintSection(folder),
        ObjectSection(folder, cache),
    ]
    output.note("2. Photographs and records", "bold")
    for section in sections:
        section.prepare()
    output.note("3. The server, with an empty store of its own", "bold")
    with serving(folder) as stage:
        for number, section in enumerate(sections, start=4):
            output.note(f"{number}. {section.title}", "bold")
            section.run(stage)
        output.note(f"{4 + len(sections)}. What the frontline may not do", "bold")
        _refusal(stage, folder)
        output.note(f"{5 + len(sections)}. Whether the record is whole", "bold")
        stage.likeness("audit", "verify", "--table", "--home", str(folder / "home"))
    for section in sections:
        section.conclude()
    _next_steps(folder)


def _fresh(out: Path) -> Path:
    """The folder, without what an earlier demonstration left in it.

    Raises:
        InvalidInput: it holds something else.
    """
    out.mkdir(parents=True, exist_ok=True)
    if any(out.iterdir()) and not (out / MARKER).exists():
        raise InvalidInput(f"{out} is not empty and not a demonstration's; name another folder with --out.")
    (out / MARKER).touch()
    for path in (*(out / name for name in PARTS), *out.glob("contact-sheet-page-*.png")):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    return out


def _refusal(stage: Stage, folder: Path) -> None:
    """A call that the policy does not allow, and the entry that it leaves."""
    stage.likeness("list", "--gallery", "demo", "--table", role=Role.FRONTLINE, allow=(Exit.REFUSED,))
    stage.likeness("audit", "show", "--last", "1", "--table", "--home", str(folder / "home"))


def _next_steps(folder: Path) -> None:
    output.note("What next", "bold")
    for line in (
        "source .venv/bin/activate                     puts likeness on your path",
        "make serve                                    starts a server that keeps its data",
        "export LIKENESS_ENTITY=NCB-XX LIKENESS_PURPOSE=missing_person",
        "likeness enroll FOLDER --gallery missing --subject-from-folder",
        "likeness search PROBE.jpg --gallery missing --sheet leads.png",
        "likeness doctor                               says what is not right, and the fix",
        "make demo FACES=FOLDER                        this demonstration on your own photographs",
    ):
        output.note(f"  {line}")
    output.note(f"The server has been stopped; what it wrote is in {folder}.")
