"""Drafts the manifest of an unknown ONNX file, and says what it could not tell.

The graph is recognised by `layout`, its preprocessing by the measurements of `trials`. What neither can know
(licence, source, calibration) is left as a visible gap; what was measured is written next to the value, so that a
person can judge it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from likeness.domain.errors import InvalidInput
from likeness.inference.models.digest import file_sha256
from likeness.inference.models.manifest import Family, ModelKind
from likeness.inference.models.runtime import OnnxModel
from likeness.inference.onboarding.layout import GraphLayout, recognise
from likeness.inference.onboarding.trials import (
    DETECTOR_TIE,
    MIN_SCORE_GAP,
    MIN_SEPARATION,
    NORMALISATIONS,
    TIE,
    Aligner,
    Pixels,
    Trial,
    templates_for,
    try_detector,
    try_recogniser,
)

_SHOWN_TRIALS = 5  # rows of measurements quoted in the draft

_THRESHOLDS = {Family.YUNET: (0.6, 0.3), Family.SCRFD: (0.5, 0.4)}
"""Score threshold and overlap for suppression that the authors of each family use in their own demos."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A drafted manifest, TOML `text` that `parse_manifest` accepts; `unfit` says why the model is of no use."""

    text: str
    unfit: str = ""


def draft_manifest(
    onnx_file: Path,
    *,
    model_id: str = "",
    path: str = "",
    photographs: Sequence[Pixels] = (),
    align: Aligner | None = None,
    step: Callable[[], None] = lambda: None,
) -> Draft:
    """Inspects a graph and drafts its manifest.

    Args:
        onnx_file: the file.
        model_id: the id to give it; by default made from the file's name.
        path: what to write as the file's path; by default its absolute one.
        photographs: uint8 [h,w,3] RGB, each with a face; used to try out a detector.
        align: aligns sample faces to a landmark template; used to try out a recogniser. Two or more pictures of
            each of ten people or more, labelled, tell the most.
        step: called after each of the things that are tried.

    Raises:
        NotFound, Precondition: the file cannot be read or loaded.
        InvalidInput: the graph is of no known family, or no id can be made from the name.
    """
    if not onnx_file.is_file():
        raise InvalidInput(f"There is no file {onnx_file}", reason="MODEL_FILE_MISSING")
    digest = file_sha256(onnx_file)
    model = OnnxModel(onnx_file, sha256=digest)
    layout = recognise(model)
    step()
    trials: list[Trial] = []
    if layout.kind is ModelKind.RECOGNISER and align is not None:
        trials = try_recogniser(model, layout, align, step)
    elif layout.kind is ModelKind.DETECTOR and photographs:
        trials = try_detector(model, layout, photographs, step)
    identity = model_id or _identity(onnx_file)
    unfit = _unfit(trials)
    text = "\n".join(
        [
            *([f"# NOT FIT FOR USE: {unfit}"] if unfit else []),
            *_head(identity, onnx_file, layout, path or str(onnx_file.resolve()), digest),
            *_questions(layout, trials),
            *_input(layout, trials),
            *(
                _detection(layout)
                if layout.kind is ModelKind.DETECTOR
                else _embedding(identity, layout, _choice(layout, trials))
            ),
            "",
        ]
    )
    return Draft(text, unfit)


def _unfit(trials: Sequence[Trial]) -> str:
    """Why measurement says that the model is of no use; empty if it does not."""
    if not trials:
        return ""
    best = trials[0].separation
    if trials[0].template is None:
        if best >= MIN_SCORE_GAP:
            return ""
        return (
            f"the best of {len(trials)} combinations scores pictures with a face {best:.2f} above those without "
            f"one; a detector reaches {MIN_SCORE_GAP} and mostly .5. The conversion may be broken, or it detects "
            "something else"
        )
    if best >= MIN_SEPARATION:
        return ""
    return (
        f"the best of {len(trials)} combinations separates people by {best:.1f} standard deviations; under "
        f"{MIN_SEPARATION:g} it tells nobody apart, and usable models reach 4. The conversion may be broken, its "
        "alignment is another one, or it does not recognise faces"
    )


def _identity(file: Path) -> str:
    identity = re.sub(r"[^a-z0-9.]+", "-", file.stem.lower()).strip("-.")[:64]
    if not identity:
        raise InvalidInput(f"No model id can be made from the name {file.name}; give one", field="id")
    return identity


def _text(value: str) -> str:
    """A TOML basic string; JSON's escapes are a subset of TOML's."""
    return json.dumps(value)


def _head(identity: str, file: Path, layout: GraphLayout, path: str, digest: str) -> list[str]:
    return [
        f"# Drafted from {file.name}. Read the open questions below, then calibrate before use:",
        "# scores of another model say nothing about this one.",
        "schema = 1",
        f"id = {_text(identity)}",
        'version = "1"',
        f'kind = "{layout.kind}"',
        f'family = "{layout.family}"  # by the shapes of its outputs',
        'licence = "unknown"  # OPEN: whoever published the weights says it',
        'source = "unknown"  # OPEN: where the weights come from',
        "",
        "[[files]]",
        f"name = {_text(re.sub(r'[^A-Za-z0-9._-]+', '-', file.name).lstrip('-._') or 'model.onnx')}",
        f"path = {_text(path)}",
        f'sha256 = "{digest}"',
        "",
    ]


def _questions(layout: GraphLayout, trials: Sequence[Trial]) -> list[str]:
    questions = ["licence and source are not in the file"]
    questions += layout.doubts
    if not trials:
        wanted = (
            "photographs with a face"
            if layout.kind is ModelKind.DETECTOR
            else "labelled photographs (a folder per person)"
        )
        questions.append(
            f"normalisation and colour order were not tried; they are a guess. Give {wanted}, or ask the author"
        )
    else:
        questions += _ties(trials)
        if not trials[0].labelled:
            questions.append(
                "nothing shows yet that it tells people apart: give two or more photographs of each of ten people"
            )
    if layout.kind is ModelKind.RECOGNISER:
        questions.append(
            "mirror averaging and zooms are choices; measure with and without: likeness calibrate"
        )
        questions.append("a graph that standardises each picture by its own mean cannot be described here")
    else:
        questions.append(
            "thresholds are the family's customary ones; look at what is found in your own pictures"
        )
    return ["# Open questions", *(f"# - {question}" for question in questions), *_measurements(trials), ""]


def _tied(trials: Sequence[Trial]) -> list[Trial]:
    """The trials that measurement cannot tell from the best one, which is among them."""
    tie = DETECTOR_TIE if trials[0].template is None else TIE
    return [trial for trial in trials if trial.separation >= trials[0].separation * (1 - tie)]


def _ties(trials: Sequence[Trial]) -> list[str]:
    tied = _tied(trials)
    ties: list[str] = []
    if len({trial.normalisation for trial in tied}) > 1:
        ties.append("normalisation: the candidates at the top lie too close together to be distinguished")
    if len({trial.colour for trial in tied}) > 1:
        ties.append("colour order: RGB and BGR lie too close together to be distinguished")
    if len({trial.template for trial in tied}) > 1:
        ties.append("landmark template: the candidates at the top lie too close together to be distinguished")
    if ties and trials[0].template is None:
        ties.append("where there is a tie, the family's custom was taken")
    elif ties:
        ties.append("to settle a tie, give more labelled photographs, or compare with: likeness calibrate")
    return ties


def _measurements(trials: Sequence[Trial]) -> list[str]:
    if not trials:
        return []
    lines = ["# Measured, in standard deviations between the two kinds of pairs; higher is better:"]
    if trials[0].template is None:
        lines = ["# Measured, best score with a face minus best score without one; higher is better:"]
    for trial in trials[:_SHOWN_TRIALS]:
        template = f"; {trial.template.name}" if trial.template else ""
        lines.append(f"#   {trial.separation:6.3f}  {trial.colour}, {trial.normalisation.name}{template}")
    return lines


def _choice(layout: GraphLayout, trials: Sequence[Trial]) -> Trial:
    """The best trial; the family's custom where nothing was tried, or where a detector's trials are tied."""
    custom = _custom(layout)
    if trials and layout.kind is ModelKind.RECOGNISER:
        return trials[0]
    same_colour = [trial for trial in _tied(trials) if trial.colour == custom.colour] if trials else [custom]
    return (same_colour or list(trials))[0]


def _custom(layout: GraphLayout) -> Trial:
    """The commonest settings of the family."""
    if layout.family is Family.YUNET:
        raw = next(how for how in NORMALISATIONS if how.std == (1.0,) * 3)
        return Trial(raw, "BGR", None, 0.0)
    template = templates_for(layout.width, layout.height)[0] if layout.kind is ModelKind.RECOGNISER else None
    return Trial(NORMALISATIONS[0], "RGB", template, 0.0)


def _input(layout: GraphLayout, trials: Sequence[Trial]) -> list[str]:
    choice = _choice(layout, trials)
    return [
        "[input]",
        f"width = {layout.width}",
        f"height = {layout.height}",
        f"multiple_of = {layout.multiple_of}",
        f'layout = "{layout.channels}"',
        f'colour = "{choice.colour}"',
        f"mean = {list(choice.normalisation.mean)}",
        f"std = {list(choice.normalisation.std)}",
        f"batch = {layout.batch or _text('dynamic')}",
        "",
    ]


def _detection(layout: GraphLayout) -> list[str]:
    threshold, overlap = _THRESHOLDS[layout.family]
    return [
        "[detection]",
        f"score_threshold = {threshold}",
        f"nms_iou = {overlap}",
        f"strides = {list(layout.strides)}",
        f"anchors = {layout.anchors}",
        f"outputs = {json.dumps(list(layout.outputs))}",
    ]


def _embedding(identity: str, layout: GraphLayout, choice: Trial) -> list[str]:
    template = choice.template or templates_for(layout.width, layout.height)[0]
    return [
        "[embedding]",
        f"template_space = {_text(identity + '/1')}  # change it whenever anything here changes embeddings",
        f"output = {_text(layout.output)}",
        f"dimension = {layout.dimension}",
        "normalise = true",
        "mirror = true",
        'metric = "cosine"',
        "",
        f"[landmarks]  # {template.name}",
        f"template = {json.dumps([list(point) for point in template.points])}",
    ]
