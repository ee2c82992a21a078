"""What a PromQL expression reads and which labels its result has, from a real parser's tree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import promql_parser as tree

TARGET = frozenset({"job", "instance", "namespace", "pod", "container", "endpoint"})
"""Labels that the Prometheus operator puts on what it scrapes from our ServiceMonitor, which drops `service`."""

_KEEP_LEFT = frozenset({"and", "unless"})
_COMPARE = frozenset({"==", "!=", "<", "<=", ">", ">="})


class WrongQueryError(AssertionError):
    """A query names a label that its data does not have."""


@dataclass(frozen=True)
class Query:
    """An expression, parsed.

    Args:
        text: the expression; Grafana's variables must have been replaced.
        labels: own labels by sample name.
    """

    text: str
    labels: Mapping[str, frozenset[str]]

    def selectors(self) -> Iterator[tree.VectorSelector]:
        """Every selector of the expression."""
        found: list[tree.VectorSelector] = []

        def visit(node: tree.Expr) -> None:
            if isinstance(node, tree.MatrixSelector):
                node = node.vector_selector
            if isinstance(node, tree.VectorSelector):
                found.append(node)

        tree.walk(tree.parse(self.text), visit)
        yield from {str(selector): selector for selector in found}.values()

    def result_labels(self) -> frozenset[str]:
        """The labels that a series of the result may have.

        Raises:
            WrongQueryError: an aggregation or a match inside names a label that is not there.
        """
        return self._labels(tree.parse(self.text))

    def _labels(self, node: tree.Expr) -> frozenset[str]:
        match node:
            case tree.VectorSelector():
                labels = self._of_selector(node)
            case tree.MatrixSelector():
                labels = self._of_selector(node.vector_selector)
            case tree.ParenExpr() | tree.UnaryExpr() | tree.SubqueryExpr():
                labels = self._labels(node.expr)
            case tree.AggregateExpr():
                labels = self._of_aggregate(node)
            case tree.BinaryExpr():
                labels = self._of_binary(node)
            case tree.Call():
                labels = self._of_call(node)
            case _:
                labels = frozenset()
        return labels

    def _of_call(self, node: tree.Call) -> frozenset[str]:
        inner = frozenset[str]().union(*(self._labels(argument) for argument in node.args))
        if node.func.name != "histogram_quantile":
            return inner
        self._need({"le"}, inner)
        return inner - {"le"}

    def _of_selector(self, node: tree.VectorSelector) -> frozenset[str]:
        own = self.labels.get(node.name or "")
        if own is None:
            raise WrongQueryError(f"no such metric: {node.name} in {self.text}")
        self._need({matcher.name for matcher in node.matchers.matchers}, own | TARGET)
        return own | TARGET

    def _of_aggregate(self, node: tree.AggregateExpr) -> frozenset[str]:
        inner = self._labels(node.expr)
        if node.modifier is None:
            return frozenset()
        named = frozenset(node.modifier.labels)
        self._need(named, inner)
        return named if node.modifier.type == tree.AggModifierType.By else inner - named

    def _of_binary(self, node: tree.BinaryExpr) -> frozenset[str]:
        left, right = self._labels(node.lhs), self._labels(node.rhs)
        operator, modifier = str(node.op), node.modifier
        named = frozenset(modifier.matching.labels) if modifier and modifier.matching else frozenset[str]()
        self._need(named, left)
        self._need(named, right)
        if operator == "or":
            return left | right
        if operator in _KEEP_LEFT or (operator in _COMPARE and modifier is None):
            return left or right
        if modifier is None or modifier.matching is None:
            return left or right
        if modifier.card == tree.VectorMatchCardinality.ManyToOne:
            return left | frozenset(modifier.group_labels or ())
        if modifier.matching.type == tree.LabelModifierType.Include:
            return named
        return left - named

    def _need(self, named: frozenset[str] | set[str], there: frozenset[str]) -> None:
        if missing := set(named) - there:
            raise WrongQueryError(f"no such label: {', '.join(sorted(missing))} in {self.text}")
