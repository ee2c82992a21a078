"""`likeness models add`: drafts the manifest of an ONNX file, and says what it could not tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from likeness.app.settings import Settings
from likeness.cli import files
from likeness.cli.acts import Operator, put_on_record
from likeness.cli.failures import Exit
from likeness.cli.files import SampleFile
from likeness.cli.local_store import has_store
from likeness.cli.options import AsJson
from likeness.cli.output import Output, fail, note, progress
from likeness.cli.settings_options import configured
from likeness.cli.words import plural
from likeness.domain.errors import Conflict, LikenessError
from likeness.domain.operators import HostAct
from likeness.domain.samples import Sample
from likeness.face.detect import Detection, Detector
from likeness.face.detectors import load_detector
from likeness.face.entry import ENTRY as FACE
from likeness.imaging.decode import Pixels, decode
from likeness.imaging.geometry import similarity, warp
from likeness.inference.models.catalogue import Catalogue
from likeness.inference.models.manifest import FILE, FaceManifest, ModelKind, parse_manifest
from likeness.inference.onboarding import isolated
from likeness.inference.onboarding.inspect import Draft, draft_manifest
from likeness.inference.onboarding.trials import AlignedFaces

MAX_PEOPLE = 40
MAX_EACH = 3
"""Photographs of one person; more tell little, and each is tried with some thirty combinations."""

CROP = 2.5
"""Side of what is cut out around a face, in multiples of the longer side of its box."""


@dataclass(frozen=True, eq=False, slots=True)
class Face:
    """The part of a photograph around a face: uint8 [height, width, 3] RGB, landmarks float32 [5, 2] in it."""

    pixels: Pixels
    landmarks: NDArray[np.float32]
    person: str


@configured()
def add(
    model: Annotated[Path, typer.Argument(help="The ONNX file; it stays where it is.")],
    *,
    faces: Annotated[
        Path | None,
        typer.Option(
            help="Photographs in one folder per person, to find out normalisation, colour order and alignment: "
            "two or more of each of ten people or more.",
            show_default=False,
        ),
    ] = None,
    model_id: Annotated[
        str, typer.Option("--id", help="Its id. Default: from the file's name.", show_default=False)
    ] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the draft and write nothing.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an earlier draft of this id.")] = False,
    operator: Operator = "",
    settings: Settings,
    as_json: AsJson = None,
) -> None:
    """Draft the manifest of a detector or recogniser, so that it can be used in place of the default.

    The graph tells its shapes; the photographs tell how its input is prepared. What neither tells is listed, for
    a person to fill in. A recogniser must be calibrated before its scores mean anything.
    """
    catalogue = Catalogue.standard(settings.home)
    seen = _faces(catalogue, settings.of(FACE).detector, faces) if faces is not None else []
    note(f"looking into {model} in a process of its own ...")
    with progress("trying", None) as advance:
        draft = isolated.run(
            _draft, model, model_id, seen, what=str(model), step=lambda: advance(""), silence=isolated.SILENCE
        )
    text = draft.text
    drafted = parse_manifest(text, settings.home / "models" / "draft.toml", FaceManifest)
    target = settings.home / "models" / drafted.id / FILE
    if not dry_run:
        _check_free(target, catalogue, drafted, force=force)
        if has_store(settings):
            details = {"model": drafted.id, "manifest": str(target)}
            put_on_record(settings, HostAct.ADD_MODEL, operator, details=details)
        _write(text, target)
    questions = [line.removeprefix("# - ") for line in text.splitlines() if line.startswith("# - ")]
    document = {
        "id": drafted.id,
        "kind": drafted.kind.value,
        "family": drafted.family.value,
        "manifest": "" if dry_run else str(target),
        "unfit": draft.unfit,
        "open_questions": questions,
        "draft": text,
    }
    Output(as_json).answer(document, text)
    if draft.unfit:
        fail(f"{drafted.id} is not fit for use: {draft.unfit}. See models/README.md for what a draft needs.")
        raise typer.Exit(Exit.PARTLY)
    if not dry_run:
        _report(drafted, target, len(questions))


def _draft(model: Path, model_id: str, seen: Sequence[Face], step: isolated.Step) -> Draft:
    """The draft for a graph that may be anything; runs in a process of its own."""
    return draft_manifest(
        model,
        model_id=model_id,
        photographs=[face.pixels for face in seen],
        align=(lambda template, size: _aligned(seen, template, size)) if seen else None,
        step=step,
    )


def _faces(catalogue: Catalogue, detector_id: str, folder: Path) -> list[Face]:
    """The most central face of some photographs of some people, found with the detector in use."""
    detector = load_detector(catalogue, catalogue.get(detector_id, FaceManifest))
    people = files.by_folder(files.find([folder]))
    several = sorted(people.items(), key=lambda item: (len(item[1]) < 2, item[0]))
    chosen = [(person, file) for person, found in several[:MAX_PEOPLE] for file in found[:MAX_EACH]]
    seen: list[Face] = []
    with progress("finding faces", len(chosen)) as step:
        for person, file in chosen:
            face = _face(detector, person, file)
            seen += [face] if face is not None else []
            step("")
    note(
        f"{plural(len(seen), 'face')} of {plural(len({f.person for f in seen}), 'person', 'people')} to try with"
    )
    return seen


def _face(detector: Detector, person: str, file: SampleFile) -> Face | None:
    try:
        pixels = decode(Sample(files.read(file.path), name=file.name))
    except (LikenessError, OSError):
        return None
    found = detector.detect(pixels)
    if not found:
        return None
    height, width = pixels.shape[:2]
    face = min(found, key=lambda f: np.hypot(f.box.centre[0] - width / 2, f.box.centre[1] - height / 2))
    return _around(pixels, face, person)


def _around(pixels: Pixels, face: Detection, person: str) -> Face:
    """The part of the photograph around the face; the whole of it would fill the memory."""
    half = CROP / 2 * max(face.box.width, face.box.height)
    x, y = face.box.centre
    left, top = max(0, int(x - half)), max(0, int(y - half))
    part = pixels[top : max(top + 1, int(y + half)), left : max(left + 1, int(x + half))]
    return Face(part.copy(), face.landmarks - np.array([left, top], np.float32), person)


def _aligned(seen: Sequence[Face], template: NDArray[np.float32], size: tuple[int, int]) -> AlignedFaces:
    chips = [warp(face.pixels, similarity(face.landmarks, template), size) for face in seen]
    return AlignedFaces(np.stack(chips), [face.person for face in seen])


def _check_free(target: Path, catalogue: Catalogue, drafted: FaceManifest, *, force: bool) -> None:
    """Whether the id is free, or is that of a draft which may be overwritten.

    Raises:
        Conflict: it is not.
    """
    known = {manifest.id: manifest.origin for manifest in catalogue.manifests}
    taken = known.get(drafted.id)
    if taken is not None and (taken.resolve() != target.resolve() or not force):
        raise Conflict(
            f"Model {drafted.id} is already described by {taken}; give another id with --id"
            + (", or overwrite the draft with --force." if taken.resolve() == target.resolve() else "."),
            reason="MODEL_ID_TAKEN",
        )


def _write(text: str, target: Path) -> None:
    models = target.parent.parent
    models.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # the home, if it is the first
    models.mkdir(mode=0o700, exist_ok=True)
    target.parent.mkdir(mode=0o700, exist_ok=True)
    partial = target.with_suffix(".toml.part")
    partial.write_text(text, encoding="utf-8")
    partial.replace(target)


def _report(drafted: FaceManifest, target: Path, questions: int) -> None:
    note(f"draft written to {target}; {plural(questions, 'question is', 'questions are')} open in it", "bold")
    if drafted.kind is ModelKind.RECOGNISER:
        note(
            f"calibrate it:  likeness calibrate PEOPLE --set recogniser={drafted.id} --out {drafted.id}.json"
        )
        note(
            f"use it:        likeness serve --set recogniser={drafted.id} --set calibration={drafted.id}.json"
        )
    else:
        note(f"use it:        likeness serve --set detector={drafted.id}")
