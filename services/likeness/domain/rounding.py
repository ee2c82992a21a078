"""Numbers printed as bounds: rounded to the side on which what is printed holds, and is accepted when typed in."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal


def rounded_up(value: float, digits: int = 2) -> str:
    """The least number of so many digits that is not below the value: 1.039e-05 is `1.1e-05`, 1e-3 `1.0e-03`."""
    return _rounded(value, digits, ROUND_CEILING)


def rounded_down(value: float, digits: int = 2) -> str:
    """The greatest number of so many digits that is not above the value."""
    return _rounded(value, digits, ROUND_FLOOR)


def _rounded(value: float, digits: int, rounding: str) -> str:
    """By the shortest decimal that is read as the value, since 0.001 is a little more in binary."""
    return f"{float(Decimal(repr(float(value))).normalize(Context(digits, rounding))):.{digits - 1}e}"
