from __future__ import annotations

import json

import pytest

from likeness.domain.rounding import rounded_down, rounded_up
from likeness.domain.text import ascii_text, json_line, named, printable, printable_lines, unprintable_at

STEERING = [
    "\x00",
    "\x07",
    "\n",
    "\t",
    "\x1b",
    "\x7f",
    "\x85",
    "\x9b",
    "\u2028",
    "\u2029",
    "\u202a",
    "\u202e",
]
STEERING += ["\u2066", "\u2069", "\ufeff", "\U000e0041", "\ud800", "\udcff"]


@pytest.mark.parametrize("character", STEERING, ids=named)
def test_what_steers_a_terminal_is_found_and_shown_as_an_escape(character: str) -> None:
    text = f"no. 7{character}x"
    assert unprintable_at(text) == 5
    assert unprintable_at(printable(text)) is None
    assert "\\" in printable(text)
    assert printable(text).encode().decode() == printable(text)
    line = json_line({"text": text})
    assert unprintable_at(line) is None
    assert json.loads(line) == {"text": text}


LETTERS = ["", "Müller / 7", "\u0639\u0628\u062f", "\u0928\u093f\u200d\u0915", "\u0645\u06cc\u200c\u062e"]
LETTERS += ["\u200f\u05d0", "\U0001f468\u200d\U0001f469", "a\u00a0b"]


@pytest.mark.parametrize("text", LETTERS)
def test_letters_of_every_script_stay(text: str) -> None:
    assert unprintable_at(text) is None
    assert printable(text) == text


def test_bytes_that_are_not_utf8_keep_their_value() -> None:
    name = b"gr\xfc\xdf.jpg".decode("utf-8", "surrogateescape")
    assert printable(name) == "gr\\xfc\\xdf.jpg"
    assert named("\udcfc") == "byte 0xFC"


def test_lines_of_ours_stay_lines() -> None:
    assert printable_lines("one\ntwo\r\x1b[2J") == "one\ntwo\\r\\x1b[2J"


def test_fonts_with_ascii_alone_get_the_nearest_letters() -> None:
    assert ascii_text("Müller\x1b Ж") == "Muller\\x1b ?"


@pytest.mark.parametrize(
    "value", [1.039e-05, 1.0491e-05, 5.6497e-03, 1e-3, 9.99e-05, 1.0, 0.1 + 0.2, 3.3e-300]
)
@pytest.mark.parametrize("digits", [1, 2, 3, 4])
def test_a_bound_is_printed_on_its_own_side(value: float, digits: int) -> None:
    assert float(rounded_up(value, digits)) >= value >= float(rounded_down(value, digits))
    assert float(rounded_up(value, digits)) <= value * (1 + 10.0 ** (1 - digits)) + 1e-300


def test_a_bound_that_is_exact_stays() -> None:
    assert (rounded_up(1e-3), rounded_down(1e-3), rounded_up(0.0)) == ("1.0e-03", "1.0e-03", "0.0e+00")
