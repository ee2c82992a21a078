"""What a search must fulfil before it is made: of the frontline, and where nobody looks at its answer."""

from __future__ import annotations

from dataclasses import replace

from likeness.domain.access import Grant
from likeness.domain.answers import SearchOptions
from likeness.domain.calibration import Calibration
from likeness.domain.errors import Denied, InvalidInput, Precondition
from likeness.domain.modality import Modality
from likeness.engine.hits import power_of_ten
from likeness.engine.quantise import weakest

FRONTLINE_K = 3
"""Candidates of a search of the frontline: whoever stands before a person has no time for a list."""

FRONTLINE_SECONDS = 5.0

FRONTLINE_FMR = 1e-4
"""The threshold of a search of the frontline that sets none, where the calibration can measure it."""


def checked(modality: Modality, grant: Grant, options: SearchOptions) -> SearchOptions:
    """The options that a search is made with.

    Raises:
        Denied, InvalidInput: nobody is to look at the answer, and that is not granted, or without a threshold; or
            the frontline asks for a list.
        Precondition: a threshold is needed, and there is no calibration.
    """
    if options.lights_out:
        _check_lights_out(modality, grant, options)
    if options.frontline:
        options = _frontline(modality, options)
    if options.max_fmr is not None and modality.calibration is None:
        raise Precondition(
            "The model in use has no calibration, so no threshold on the false match rate can be set; "
            "run `likeness calibrate`, or search without max_fmr and not by the frontline's profile.",
            reason="NOT_CALIBRATED",
        )
    if grant.policy and modality.calibration is not None:
        options = replace(options, max_fmr=_judged_fmr(modality.calibration, options))
    return options


def _judged_fmr(calibration: Calibration, options: SearchOptions) -> float:
    """The threshold where a policy judges: at most that of the weakest candidate which is answered at all.

    Where nobody weighs a score it is a power of ten, or asking with many thresholds would tell the score.
    """
    most = weakest(calibration)
    asked = most if options.max_fmr is None else min(options.max_fmr, most)
    if options.frontline or options.lights_out:
        asked = max(power_of_ten(asked), min(asked, calibration.floor))
    return asked


def _check_lights_out(modality: Modality, grant: Grant, options: SearchOptions) -> None:
    if not modality.lights_out:
        raise Denied(
            f"A person looks at every answer of a {modality.name} search before anything follows from it, whatever "
            "a policy says; search without options.lights_out.",
            reason="LIGHTS_OUT_NEVER",
        )
    if options.max_fmr is None:
        raise InvalidInput(
            "Where no person looks at the answer, options.max_fmr must say what is a match; set it, or search "
            "without options.lights_out.",
            field="options.max_fmr",
            reason="LIGHTS_OUT_WITHOUT_THRESHOLD",
        )
    if not grant.lights_out:
        raise Denied(
            "No policy grants that the answer to this search is used without a person who looks at it; search "
            "without options.lights_out.",
            reason="LIGHTS_OUT_NOT_GRANTED",
        )


def _frontline(modality: Modality, options: SearchOptions) -> SearchOptions:
    if options.k > FRONTLINE_K:
        raise InvalidInput(
            f"options.k is {options.k}; the frontline's profile answers with at most {FRONTLINE_K} candidates.",
            field="options.k",
            metadata={"limit": str(FRONTLINE_K)},
        )
    if options.max_fmr is not None:
        return options
    floor = modality.calibration.floor if modality.calibration is not None else 0.0
    return replace(options, max_fmr=max(FRONTLINE_FMR, floor))
