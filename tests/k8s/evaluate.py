"""Evaluates the PromQL of the rules over made-up series, so that the cases of alerts.yaml run without promtool.

It knows the functions and operators that the rules use, and refuses others. It follows Prometheus in what the cases
depend on: look-back of five minutes, extrapolation of rates, resets of counters, matching of labels. Where promtool
is installed the same cases run through it too, and that is the proof; rules carry no state from one evaluation to
the next here, but evaluated again at every instant at which they are read.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import promql_parser as tree

from tests.k8s.series import NAME, Labels, Points, Series, seconds

LOOK_BACK = 300.0
"""Seconds."""

Vector = dict[Labels, float]
"""Values by labels."""


@dataclass
class Evaluator:
    """Series and the recording rules over them, by name."""

    series: Sequence[Series]
    recorded: Mapping[str, str] = field(default_factory=dict)
    _parsed: dict[str, Any] = field(default_factory=dict)
    _known: dict[tuple[str, float], Vector] = field(default_factory=dict)

    def vector(self, text: str, at: float) -> Vector:
        """The value of an expression at an instant, in seconds, by labels."""
        if text not in self._parsed:
            self._parsed[text] = tree.parse(text)
        found = self._value(self._parsed[text], at)
        assert isinstance(found, dict), "a number is no vector"
        return found

    def _value(self, node: Any, at: float) -> Vector | float:
        match node:
            case tree.NumberLiteral():
                return float(node.val)
            case tree.ParenExpr():
                return self._value(node.expr, at)
            case tree.VectorSelector():
                return self._instant(node, at)
            case tree.AggregateExpr():
                return _aggregate(node, self._vector(node.expr, at))
            case tree.BinaryExpr():
                return _binary(node, self._value(node.lhs, at), self._value(node.rhs, at))
            case tree.Call():
                return self._call(node, at)
        raise NotImplementedError(str(node))

    def _vector(self, node: Any, at: float) -> Vector:
        found = self._value(node, at)
        assert isinstance(found, dict), str(node)
        return found

    def _instant(self, node: tree.VectorSelector, at: float) -> Vector:
        at -= _offset(node)
        name = node.name or ""
        if name in self.recorded:
            return {labels: value for labels, value in self._record(name, at).items() if _fits(node, labels)}
        found: Vector = {}
        for series in self.series:
            if _fits(node, series.labels):
                last = bisect_right(series.points, (at, math.inf)) - 1
                if last >= 0 and series.points[last][0] > at - LOOK_BACK:
                    found[series.labels] = series.points[last][1]
        return found

    def _record(self, name: str, at: float) -> Vector:
        if (name, at) not in self._known:
            found = self.vector(self.recorded[name], at)
            self._known[name, at] = {
                _nameless(labels) | {(NAME, name)}: value for labels, value in found.items()
            }
        return self._known[name, at]

    def _range(self, node: Any, at: float) -> dict[Labels, Points]:
        """The points of a range, its left edge left out."""
        if isinstance(node, tree.SubqueryExpr):
            assert node.range is not None and node.step is not None, "a subquery needs its range and its step"
            inner, length, step = node.expr, node.range.total_seconds(), node.step.total_seconds()
            return _stepwise(lambda when: self._vector(inner, when), at, length, step)
        selector, length = node.vector_selector, node.range.total_seconds()
        at -= _offset(selector)
        if selector.name in self.recorded:
            return _stepwise(lambda when: self._record(selector.name, when), at, length, 60.0)
        found = {}
        for series in self.series:
            if _fits(selector, series.labels):
                first = bisect_right(series.points, (at - length, math.inf))
                points = series.points[first : bisect_right(series.points, (at, math.inf))]
                if points:
                    found[series.labels] = points
        return found

    def _call(self, node: tree.Call, at: float) -> Vector | float:
        name, arguments = node.func.name, list(node.args)
        if name == "time":
            return at
        if name == "absent":
            return {} if self._vector(arguments[0], at) else {_absent_labels(arguments[0]): 1.0}
        if name == "histogram_quantile":
            quantile = self._value(arguments[0], at)
            assert isinstance(quantile, float)
            return _quantile(quantile, self._vector(arguments[1], at))
        ranges = self._range(arguments[0], at)
        length = arguments[0].range.total_seconds()
        end = at - (
            _offset(arguments[0].vector_selector) if isinstance(arguments[0], tree.MatrixSelector) else 0
        )
        over: dict[str, Callable[[Points], float | None]] = {
            "rate": lambda points: _increase(points, end, length, 1 / length),
            "increase": lambda points: _increase(points, end, length, 1.0),
            "changes": lambda points: float(sum(a != b for (_, a), (_, b) in pairwise(points))),
            "min_over_time": lambda points: min(value for _, value in points),
            "max_over_time": lambda points: max(value for _, value in points),
        }
        if name == "predict_linear":
            ahead = self._value(arguments[1], at)
            assert isinstance(ahead, float)
            over[name] = lambda points: _predict(points, at, ahead)
        if name not in over:
            raise NotImplementedError(name)
        values = {_nameless(labels): over[name](points) for labels, points in ranges.items()}
        return {labels: value for labels, value in values.items() if value is not None}


def _stepwise(
    value: Callable[[float], Vector], at: float, length: float, step: float
) -> dict[Labels, Points]:
    """The points that an expression gives at every whole step of a range."""
    found: dict[Labels, Points] = {}
    when = max(0.0, math.floor((at - length) / step) * step + step)
    while when <= at:
        for labels, number in value(when).items():
            found.setdefault(labels, []).append((when, number))
        when += step
    return found


def _offset(selector: tree.VectorSelector) -> float:
    return selector.offset.total_seconds() if selector.offset is not None else 0.0


def _nameless(labels: Labels) -> Labels:
    return frozenset(pair for pair in labels if pair[0] != NAME)


def _fits(selector: tree.VectorSelector, labels: Labels) -> bool:
    own = dict(labels)
    if selector.name not in (None, own.get(NAME)):
        return False
    for matcher in selector.matchers.matchers:
        value, operator = own.get(matcher.name, ""), str(matcher.op)
        equal = (
            value == matcher.value
            if operator in ("MatchOp.Equal", "MatchOp.NotEqual")
            else re.fullmatch(matcher.value, value) is not None
        )
        if equal != (operator in ("MatchOp.Equal", "MatchOp.Re")):
            return False
    return True


def _absent_labels(node: Any) -> Labels:
    """Those that equality demands, of a plain selector; of anything else none."""
    if not isinstance(node, tree.VectorSelector):
        return frozenset()
    return frozenset((m.name, m.value) for m in node.matchers.matchers if str(m.op) == "MatchOp.Equal")


def _increase(points: Points, end: float, length: float, factor: float) -> float | None:
    """As Prometheus extrapolates it: to the edges of the range, where the samples reach close to them."""
    if len(points) < 2:
        return None
    grown = sum(b - a if b >= a else b for (_, a), (_, b) in pairwise(points))
    sampled = points[-1][0] - points[0][0]
    usual = sampled / (len(points) - 1)
    to_start, to_end = points[0][0] - (end - length), end - points[-1][0]
    if to_start >= 1.1 * usual:
        to_start = usual / 2
    if grown > 0 and points[0][1] >= 0:
        to_start = min(to_start, sampled * points[0][1] / grown)
    if to_end >= 1.1 * usual:
        to_end = usual / 2
    return grown * (sampled + to_start + to_end) / sampled * factor


def _predict(points: Points, at: float, ahead: float) -> float | None:
    """By least squares."""
    if len(points) < 2:
        return None
    times = [when - at for when, _ in points]
    mean_time = sum(times) / len(times)
    mean = sum(value for _, value in points) / len(points)
    spread = sum((time - mean_time) ** 2 for time in times)
    slope = sum((t - mean_time) * (v - mean) for t, (_, v) in zip(times, points, strict=True)) / spread
    return mean + slope * (ahead - mean_time)


def _aggregate(node: tree.AggregateExpr, vector: Vector) -> Vector:
    named = frozenset(node.modifier.labels) if node.modifier else frozenset[str]()
    assert node.modifier is None or node.modifier.type == tree.AggModifierType.By
    groups: dict[Labels, list[float]] = {}
    for labels, value in vector.items():
        groups.setdefault(frozenset(pair for pair in labels if pair[0] in named), []).append(value)
    combine: dict[str, Callable[[list[float]], float]] = {"sum": sum, "max": max, "min": min}
    return {labels: combine[str(node.op)](values) for labels, values in groups.items()}


def _quantile(quantile: float, vector: Vector) -> Vector:
    histograms: dict[Labels, list[tuple[float, float]]] = {}
    for labels, count in vector.items():
        edge = float(dict(labels)["le"])
        rest = frozenset(pair for pair in labels if pair[0] not in ("le", NAME))
        histograms.setdefault(rest, []).append((edge, count))
    found: Vector = {}
    for labels, buckets in histograms.items():
        buckets.sort()
        rank = quantile * buckets[-1][1]
        if not rank:
            continue
        index = next(i for i, (_, count) in enumerate(buckets) if count >= rank)
        below, before = buckets[index - 1] if index else (0.0, 0.0)
        edge, count = buckets[index]
        found[labels] = (
            below if math.isinf(edge) else below + (edge - below) * (rank - before) / (count - before)
        )
    return found


_ARITHMETIC: dict[str, Callable[[float, float], float]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b if b else math.nan if not a else math.copysign(math.inf, a),
}
_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "==": lambda a, b: a == b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "<": lambda a, b: a < b,
}


def _binary(node: tree.BinaryExpr, left: Vector | float, right: Vector | float) -> Vector | float:
    operator = str(node.op)
    if isinstance(left, float) and isinstance(right, float):
        return _ARITHMETIC[operator](left, right)
    if isinstance(left, float) or isinstance(right, float):
        return _with_number(operator, left, right)
    matching = node.modifier.matching if node.modifier else None

    def key(labels: Labels) -> Labels:
        if matching is None:
            return _nameless(labels)
        assert matching.type == tree.LabelModifierType.Include
        return frozenset(pair for pair in labels if pair[0] in matching.labels)

    if operator in ("and", "or", "unless"):
        return _set_operation(operator, left, right, key)
    others = {key(labels): value for labels, value in right.items()}
    grouped = node.modifier is not None and node.modifier.card == tree.VectorMatchCardinality.ManyToOne
    assert len(others) == len(right), "many to many"
    assert grouped or len({key(labels) for labels in left}) == len(left), "many to one without group_left"
    pairs = {labels: (value, others[key(labels)]) for labels, value in left.items() if key(labels) in others}
    if operator in _COMPARISONS:
        return {labels: a for labels, (a, b) in pairs.items() if _COMPARISONS[operator](a, b)}
    return {key(labels): _ARITHMETIC[operator](a, b) for labels, (a, b) in pairs.items()}


def _set_operation(operator: str, left: Vector, right: Vector, key: Callable[[Labels], Labels]) -> Vector:
    if operator == "or":
        taken = {key(labels) for labels in left}
        return left | {labels: value for labels, value in right.items() if key(labels) not in taken}
    there = {key(labels) for labels in right}
    return {labels: value for labels, value in left.items() if (key(labels) in there) == (operator == "and")}


def _with_number(operator: str, left: Vector | float, right: Vector | float) -> Vector:
    vector = left if isinstance(left, dict) else right
    assert isinstance(vector, dict)
    found: Vector = {}
    for labels, value in vector.items():
        a, b = (value, right) if isinstance(left, dict) else (left, value)
        assert isinstance(a, float) and isinstance(b, float)
        if operator not in _COMPARISONS:
            found[_nameless(labels)] = _ARITHMETIC[operator](a, b)
        elif _COMPARISONS[operator](a, b):
            found[labels] = value
    return found


def firing(evaluator: Evaluator, rule: Mapping[str, Any], at: float, step: float = 60.0) -> set[Labels]:
    """The labels with which an alert fires at an instant: the expression held at every step of its `for`."""
    lasting = seconds(rule["for"]) if "for" in rule else 0.0
    own = frozenset(rule["labels"].items())
    held: set[Labels] | None = None
    for index in range(round(lasting / step) + 1):
        now = {_nameless(labels) | own for labels in evaluator.vector(rule["expr"], at - index * step)}
        held = now if held is None else held & now
        if not held:
            return set()
    return held or set()
