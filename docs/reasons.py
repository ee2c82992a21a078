"""Write the tables of reasons in docs/api.md from the protocol and the code: python docs/reasons.py [--check].

The meaning is the comment in protos/likeness/v1/reasons.proto; the status is that of the errors raised
with it.
"""

from __future__ import annotations

import ast
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from likeness.domain.errors import ErrorKind

ROOT = Path(__file__).parents[1]
PROTO = ROOT / "protos" / "likeness" / "v1" / "reasons.proto"
PACKAGE = ROOT / "services" / "likeness"
API = ROOT / "docs" / "api.md"
BEGIN, END = "<!-- reasons: written by docs/reasons.py -->", "<!-- end of reasons -->"

NO_CALL = ("v1", "cli", "client", "testing")
"""Packages that answer no call."""

OF_A_SAMPLE = "INVALID_ARGUMENT"
"""What a finding or an issue ends a call with; its reason is handed on, and not seen where the error is raised."""

_ENTRY = re.compile(r"((?:  //.*\n)+)(?:  REASON_(\w+) = \d+;\n|\n)")


@dataclass(frozen=True)
class Entry:
    """One entry of the enumeration: a reason, or without a name the heading of those that follow."""

    name: str
    meaning: str


def entries() -> list[Entry]:
    """Every reason of the protocol in its order, with the headings between them."""
    text = PROTO.read_text(encoding="utf-8")
    found = [Entry(name, _line(comment)) for comment, name in _ENTRY.findall(text)]
    return [entry for entry in found if entry.name != "UNSPECIFIED"]


def statuses() -> dict[str, set[str]]:
    """The statuses that the code gives with each reason."""
    trees = {
        path: ast.parse(path.read_text(encoding="utf-8"))
        for path in sorted(PACKAGE.rglob("*.py"))
        if path.relative_to(PACKAGE).parts[0] not in NO_CALL
    }
    kinds = _kinds(trees.values())
    found: dict[str, set[str]] = defaultdict(set)
    for kind, reason in kinds.values():
        found[reason].add(kind)
    for tree in trees.values():
        constants = dict(_constants(tree))
        for node in ast.walk(tree):
            for kind, value in _given(node, kinds):
                for name in _texts(value, constants):
                    found[name].add(kind)
    return dict(found)


def tables() -> str:
    """A table in Markdown for every heading."""
    given = statuses()
    lines: list[str] = []
    for entry in entries():
        if entry.name:
            codes = ", ".join(sorted(given.get(entry.name, {OF_A_SAMPLE})))
            lines.append(f"| `{entry.name}` | {codes} | {entry.meaning} |")
        else:
            lines += ["", entry.meaning, "", "| reason | status | meaning |", "|---|---|---|"]
    return "\n".join(lines).strip()


def written(text: str) -> str:
    """A document with the tables between its marks."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{tables()}\n\n{END}{after}"


def main(arguments: Sequence[str]) -> int:
    """Write the tables, or with --check say whether they are those of the code; returns the exit code."""
    text = API.read_text(encoding="utf-8")
    if "--check" in arguments:
        return int(written(text) != text)
    API.write_text(written(text), encoding="utf-8")
    return 0


def _line(comment: str) -> str:
    return " ".join(line.strip().removeprefix("//").strip() for line in comment.splitlines())


def _kinds(trees: Iterable[ast.Module]) -> dict[str, tuple[str, str]]:
    """The status and the reason of every class of errors, by its name."""
    classes = {node.name: node for tree in trees for node in tree.body if isinstance(node, ast.ClassDef)}
    codes = {kind.name: kind.value for kind in ErrorKind}
    found: dict[str, tuple[str, str]] = {}

    def of(name: str) -> tuple[str, str] | None:
        if name == "LikenessError":
            return "INTERNAL", "INTERNAL"
        if name not in classes:
            return None
        above = next(
            (got for base in classes[name].bases if isinstance(base, ast.Name) and (got := of(base.id))), None
        )
        if above is None:
            return None
        own = dict(_assigned(classes[name]))
        return codes.get(own.get("kind", ""), above[0]), own.get("reason", above[1])

    for name in classes:
        if got := of(name):
            found[name] = got
    return found


def _assigned(node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    """What the body of a class sets: constants, and members of an enumeration by their names."""
    for line in node.body:
        if isinstance(line, ast.Assign | ast.AnnAssign) and line.value is not None:
            target = line.targets[0] if isinstance(line, ast.Assign) else line.target
            if isinstance(target, ast.Name):
                if isinstance(line.value, ast.Constant):
                    yield target.id, str(line.value.value)
                elif isinstance(line.value, ast.Attribute):
                    yield target.id, line.value.attr


def _given(node: ast.AST, kinds: Mapping[str, tuple[str, str]]) -> Iterator[tuple[str, ast.expr]]:
    """The statuses that a node gives, each with the expression of its reason."""
    if isinstance(node, ast.ClassDef) and node.name in kinds:
        for value in _given_above(node):
            yield kinds[node.name][0], value
    if not isinstance(node, ast.Call):
        return
    name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
    keywords = {keyword.arg: keyword.value for keyword in node.keywords}
    if name in kinds:
        kind, reason = kinds[name]
        yield kind, keywords.get("reason", ast.Constant(reason))
        return
    named = keywords.get("kind")
    if "reason" in keywords and isinstance(named, ast.Attribute) and named.attr in ErrorKind.__members__:
        yield ErrorKind[named.attr].value, keywords["reason"]


def _given_above(node: ast.ClassDef) -> Iterator[ast.expr]:
    """The reasons that a class gives to the one that it is made of."""
    for call in ast.walk(node):
        if isinstance(call, ast.Call) and getattr(call.func, "attr", "") == "__init__":
            yield from (keyword.value for keyword in call.keywords if keyword.arg == "reason")


def _constants(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    for line in tree.body:
        if isinstance(line, ast.Assign | ast.AnnAssign) and line.value is not None:
            target = line.targets[0] if isinstance(line, ast.Assign) else line.target
            if isinstance(target, ast.Name):
                yield target.id, line.value


def _texts(value: ast.expr, constants: Mapping[str, ast.expr]) -> Iterator[str]:
    for part in ast.walk(value):
        if isinstance(part, ast.Constant) and isinstance(part.value, str):
            yield part.value
        elif isinstance(part, ast.Name) and part.id in constants:
            yield from _texts(constants[part.id], {})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
