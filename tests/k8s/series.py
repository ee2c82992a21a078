"""Series in the notation of promtool, as the cases of alerts.yaml give them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import promql_parser as tree

NAME = "__name__"

Labels = frozenset[tuple[str, str]]
Points = list[tuple[float, float]]
"""Seconds and value, in order."""


def labels_of(**labels: str) -> Labels:
    """A set of labels."""
    return frozenset(labels.items())


def seconds(text: str) -> float:
    """Of a duration such as 1h30m."""
    return float(tree.parse_duration(text).total_seconds())


@dataclass
class Series:
    """One series of a case, in promtool's notation: `name{label="value"}` and `values` at every `interval`."""

    labels: Labels
    points: Points

    @classmethod
    def parse(cls, name: str, values: str, interval: float) -> Series:
        selector = tree.parse(name)
        assert isinstance(selector, tree.VectorSelector)
        own = {matcher.name: matcher.value for matcher in selector.matchers.matchers}
        points = [
            (index * interval, value) for index, value in enumerate(_expand(values)) if value is not None
        ]
        return cls(labels_of(**own, **{NAME: str(selector.name)}), points)


_STEP = re.compile(r"(?P<start>_|-?[\d.]+)(?P<by>[+-][\d.]+)?(x(?P<times>\d+))?")


def _expand(values: str) -> Iterable[float | None]:
    for word in values.split():
        match = _STEP.fullmatch(word)
        assert match, word
        times = int(match["times"] or 0)
        if match["start"] == "_":
            yield from [None] * max(1, times)
            continue
        for index in range(times + 1):
            yield float(match["start"]) + index * float(match["by"] or 0)
