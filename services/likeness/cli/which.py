"""Which of several faces in a photograph is meant: `--face`."""

from __future__ import annotations

from likeness.domain.errors import InvalidInput
from likeness.v1 import common_pb2 as common

LARGEST = "largest"
CENTRAL = "central"


def selection(face: str, *, otherwise: str) -> common.Selection | None:
    """What `--face` says as the protocol has it.

    Args:
        face: `largest`, `central`, the index of a face as answers tell it, or `otherwise`.
        otherwise: the word for leaving it to the service.

    Returns:
        The selection, or None where it is left to the service.

    Raises:
        InvalidInput: it is none of these.
    """
    match face:
        case "largest":
            return common.Selection(most_prominent=True)
        case "central":
            return common.Selection(most_central=True)
        case index if index.isdecimal() and len(index) < 5:
            return common.Selection(index=int(index))
        case word if word == otherwise:
            return None
    raise InvalidInput(
        f"--face {face} is none of: {otherwise}, {LARGEST}, {CENTRAL}, or the index of a face."
    )
