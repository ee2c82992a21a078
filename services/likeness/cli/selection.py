"""Which of several presentations in a sample is meant: `--select`."""

from __future__ import annotations

import re

from likeness.domain.errors import InvalidInput
from likeness.v1 import common_pb2 as common

_NUMBER = r"(\d{1,6}(?:\.\d+)?)"
_REGION = re.compile(",".join([_NUMBER] * 4))

LARGEST = "largest"
CENTRAL = "central"


def selection(select: str, *, otherwise: str) -> common.Selection | None:
    """What `--select` says as the protocol has it.

    Args:
        which: `largest`, `central`, an index as answers tell it, a region `X,Y,WIDTH,HEIGHT` in pixels, or
            `otherwise`.
        otherwise: the word for leaving it to the service.

    Returns:
        The selection, or None where it is left to the service.

    Raises:
        InvalidInput: it is none of these.
    """
    match select:
        case "largest":
            return common.Selection(pick=common.PICK_MOST_PROMINENT)
        case "central":
            return common.Selection(pick=common.PICK_MOST_CENTRAL)
        case index if index.isdecimal() and len(index) < 5:
            return common.Selection(index=int(index))
        case region if match := _REGION.fullmatch(region):
            x, y, width, height = (float(number) for number in match.groups())
            return common.Selection(region=common.Box(x=x, y=y, width=width, height=height))
        case word if word == otherwise:
            return None
    raise InvalidInput(
        f"--select {select} is none of: {otherwise}, {LARGEST}, {CENTRAL}, an index, or a region X,Y,WIDTH,HEIGHT."
    )
