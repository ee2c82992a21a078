"""Reading manifests, within limits, with every broken key named."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, overload

from pydantic import ValidationError

from likeness.domain.errors import InvalidInput, NotFound
from likeness.inference.models import sums
from likeness.inference.models.manifest.schema import CLASSES, FaceManifest, ModelManifest

FILE = "manifest.toml"
"""The name of a manifest in a folder of its own, one per model."""

MAX_MANIFEST_BYTES = 1 << 18
"""Largest manifest that is read: a hundred times the largest we write."""

M = TypeVar("M", bound=ModelManifest)


@overload
def parse_manifest(text: str, origin: Path) -> ModelManifest: ...
@overload
def parse_manifest(text: str, origin: Path, expected: type[M]) -> M: ...
def parse_manifest(text: str, origin: Path, expected: type[ModelManifest] = ModelManifest) -> ModelManifest:
    """Reads a manifest from TOML text; `origin` names it in errors and anchors its relative paths.

    Raises:
        InvalidInput: the text is not TOML or breaks the schema, every broken key being named; or its kind is not
            among those that are expected.
    """
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidInput(f"{origin} is not TOML: {error}", reason="MANIFEST_INVALID") from error
    try:
        manifest = _class_of(table).model_validate(table)
    except ValidationError as error:
        problems = "; ".join(_problem(detail) for detail in error.errors())
        raise _invalid(origin, problems) from error
    if manifest.build and manifest.build.script.startswith("../") and origin.name != FILE:
        raise _invalid(
            origin, f"build.script: only a {FILE} in a folder of its own may point next to that folder"
        )
    manifest._origin = origin
    return as_kind(manifest, expected)


def as_kind(manifest: ModelManifest, expected: type[M]) -> M:
    """The manifest as one of the kind that is expected.

    Raises:
        InvalidInput: it is of another kind.
    """
    if isinstance(manifest, expected):
        return manifest
    kinds = " or ".join(kind for kind, read_as in CLASSES.items() if issubclass(read_as, expected))
    raise InvalidInput(f"Model {manifest.id} is a {manifest.kind}, not a {kinds}", reason="MODEL_UNFIT")


@overload
def read_manifest(path: Path) -> ModelManifest: ...
@overload
def read_manifest(path: Path, expected: type[M]) -> M: ...
def read_manifest(path: Path, expected: type[ModelManifest] = ModelManifest) -> ModelManifest:
    """Reads a manifest file of at most `MAX_MANIFEST_BYTES`.

    Raises:
        NotFound: the file is not there.
        InvalidInput: too large, not UTF-8, or see `parse_manifest`.
        Corrupt: it is shipped, and not as it was released.
    """
    data = _manifest_bytes(path)
    try:
        manifest = parse_manifest(data.decode("utf-8"), path, expected)
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{path} is not UTF-8 text: {error}", reason="MANIFEST_INVALID") from error
    if sums.listing_of(path) is None:
        manifest._digest = hashlib.sha256(data).hexdigest()
    return manifest


def _manifest_bytes(path: Path) -> bytes:
    """The bytes of a manifest of at most `MAX_MANIFEST_BYTES`, checked as `sums.read` says.

    Raises:
        NotFound, InvalidInput, Corrupt: see `read_manifest`.
    """
    try:
        size = path.stat().st_size
    except OSError as error:
        raise NotFound(f"The manifest {path} cannot be read: {error}", reason="MANIFEST_MISSING") from error
    if size > MAX_MANIFEST_BYTES:
        raise InvalidInput(
            f"{path} is larger than {MAX_MANIFEST_BYTES} bytes, which no manifest is",
            reason="MANIFEST_INVALID",
        )
    return sums.read(path)


def _class_of(table: Mapping[str, object]) -> type[ModelManifest]:
    """What a table is read as; one without a kind that there is as a model of faces, which then says so."""
    return next((cls for kind, cls in CLASSES.items() if kind == table.get("kind")), FaceManifest)


def _invalid(origin: Path, problems: str) -> InvalidInput:
    return InvalidInput(
        f"{origin} is not a model manifest: {problems}. See models/README.md", reason="MANIFEST_INVALID"
    )


def _problem(detail: Mapping[str, Any]) -> str:
    key = ".".join(str(part) for part in detail["loc"]) or "the whole"
    message = str(detail["msg"]).removeprefix("Value error, ")
    if detail["type"] == "extra_forbidden":
        message = "unknown key; remove it or correct its spelling"
    elif detail["type"] == "missing":
        message = "missing; add it"
    return f"{key}: {message}"
