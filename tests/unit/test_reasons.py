"""The reasons in the protocol are those that the code gives, and the other way round."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from likeness.face import judge
from likeness.face.parameters import CONFIDENCE_LIMITS, LIMITS
from likeness.v1 import reasons_pb2

REASONS = reasons_pb2.Reason.DESCRIPTOR.values_by_name
PACKAGE = Path(__file__).parents[2] / "services" / "likeness"
ELSEWHERE = ("v1", "cli", "client", "testing")
"""Packages that answer no call."""

_CONSTANT = re.compile(r"[A-Z]{2}[A-Z0-9]*(_[A-Z0-9]+)*")
_ISSUES = {"Issue", "Remark", "_warning"}
"""What makes an issue of quality of a reason and a message."""

BEFORE_SERVING = frozenset(
    re.findall(
        r"\w+",
        """
    ACCESS_FILE_UNREADABLE ADDRESS_UNAVAILABLE AUDIT_HEAD_MISSING BUILD_SCRIPT_MISSING CALIBRATION_UNFIT
    CERTIFICATE_UNFIT DATABASE_BEHIND DATABASE_MISSING DIRECTORY_INVALID DIRECTORY_MISSING DISK_FULL FILE_UNREADABLE
    INVALID_SETTING KEY_FILE_EXPOSED MANIFEST_INVALID MANIFEST_MISSING MODEL_BUILD_FAILED MODEL_CRASHES
    MODEL_DIGEST_MISMATCH MODEL_FAMILY_UNKNOWN MODEL_FETCH_FAILED MODEL_FILE_MISSING MODEL_FILE_TOO_LARGE
    MODEL_FILE_UNKNOWN MODEL_HANGS MODEL_ID_TAKEN MODEL_INPUT_MISMATCH MODEL_NOT_BUILT_HERE
    MODEL_SELF_TEST_FAILED MODEL_UNFIT MODEL_UNKNOWN MODEL_UNREADABLE MODEL_WITHOUT_URL
    MODEL_WITH_EXTERNAL_DATA NOT_A_STORE NO_OWNER_KEYS ONNX_PACKAGE_MISSING POLICY_INVALID SETTING_TWICE
    SHIPPED_FILE_CHANGED SIGNING_KEY_MISSING SIGNING_KEY_OF_ANOTHER_LOG SNAPSHOTS_NOT_REMOVED SNAPSHOT_KEY_ERASED
    SNAPSHOT_NOT_WRITTEN
    SNAPSHOT_OF_ANOTHER_LOG SNAPSHOT_OF_ANOTHER_SPACE STORE_IN_USE STORE_TOO_NEW SUSPENSIONS_INVALID
    TLS_INCOMPLETE TLS_REQUIRED TOKENS_INCOMPLETE TOKEN_KEYS_UNFIT UNKNOWN_SETTING WEIGHTS_CORRUPT
    WEIGHTS_PACKAGE_MISSING WITNESS_MISSING
        """,
    )
)
"""Of setting up, starting and maintaining a service: its operator reads them, no call is answered with one."""


def test_the_reasons_of_the_protocol_are_those_that_the_code_gives() -> None:
    documented = {name.removeprefix("REASON_") for name in REASONS} - {"UNSPECIFIED"}
    given = {*_given(), *_of_faces()}
    assert documented - given == set(), "the protocol documents reasons that nothing gives"
    assert given - documented - BEFORE_SERVING == set(), "add these to protos/likeness/v1/reasons.proto"
    assert documented & BEFORE_SERVING == set()
    assert BEFORE_SERVING - given == set(), "nothing gives these any more"


def _of_faces() -> Iterator[str]:
    """Of limits by component, of which a recogniser's manifest may move the numbers."""
    confidence = next(iter(CONFIDENCE_LIMITS.values()))
    return (
        judge._reason(name, limit) for name, limit in {**LIMITS, "DetectorConfidence": confidence}.items()
    )


def _given() -> Iterator[str]:
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.relative_to(PACKAGE).parts[0] not in ELSEWHERE:
            yield from _given_in(ast.parse(path.read_text(encoding="utf-8")))


def _given_in(tree: ast.Module) -> Iterator[str]:
    named: dict[str, ast.expr] = {}
    for line in tree.body:
        if isinstance(line, ast.Assign | ast.AnnAssign) and line.value is not None:
            targets = line.targets if isinstance(line, ast.Assign) else [line.target]
            named |= {target.id: line.value for target in targets if isinstance(target, ast.Name)}
    for node in ast.walk(tree):
        for value in _reasons_in(node):
            names = [part.id for part in ast.walk(value) if isinstance(part, ast.Name)]
            for part in (
                part for found in (value, *map(named.get, names)) if found for part in ast.walk(found)
            ):
                if (
                    isinstance(part, ast.Constant)
                    and isinstance(part.value, str)
                    and _CONSTANT.fullmatch(part.value)
                ):
                    yield part.value


def _reasons_in(node: ast.AST) -> Iterator[ast.expr]:
    """The expressions in a node that are reasons."""
    if isinstance(node, ast.Call):
        yield from (keyword.value for keyword in node.keywords if keyword.arg == "reason")
        name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        if name in _ISSUES:
            yield from node.args[:1]
    elif isinstance(node, ast.ClassDef):
        for line in node.body:
            if isinstance(line, ast.AnnAssign | ast.Assign) and line.value is not None:
                targets = line.targets if isinstance(line, ast.Assign) else [line.target]
                if node.name == "Reason" or any(
                    isinstance(t, ast.Name) and t.id == "reason" for t in targets
                ):
                    yield line.value
