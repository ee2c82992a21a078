"""The models at hand: which manifests there are, where their files lie, and how missing files are made.

Manifests are read from several folders (the product's own, the operator's). Files are built or fetched into a
cache, under a temporary name, synced, checked against the manifest's digest and only then renamed: a file in
the cache is either whole and right, or not there.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar, overload

from likeness.domain.errors import Conflict, Corrupt, LikenessError, NotFound, Precondition, Unavailable
from likeness.domain.files import sync
from likeness.inference.models import sums
from likeness.inference.models.digest import file_sha256
from likeness.inference.models.manifest import FILE, Build, FileEntry, ModelManifest, as_kind, read_manifest
from likeness.inference.models.runtime import MAX_MODEL_BYTES, OnnxModel

M = TypeVar("M", bound=ModelManifest)

_FETCH_TIMEOUT = 60.0  # seconds without a byte
_FETCH_BLOCK = 1 << 20  # bytes


class FileState(StrEnum):
    """The state of a model file in the cache or next to its manifest."""

    READY = "ready"
    MISSING = "missing"
    DAMAGED = "damaged"


def shipped_manifests(environment: Mapping[str, str] = os.environ) -> Path:
    """The folder of the product's own manifests.

    `LIKENESS_MODELS` if set; else `models/` of the source tree that this file is in; else the copy inside the
    installed package.
    """
    if override := environment.get("LIKENESS_MODELS"):
        return Path(override)
    return sums.packaged()


def shipped_manifest(name: str) -> Path:
    """Where the manifest of the product's own model with that id is."""
    return shipped_manifests() / name / FILE


def default_cache(environment: Mapping[str, str] = os.environ) -> Path:
    """Where built models are stored: `LIKENESS_CACHE`, else `likeness/models` in the user's cache folder."""
    if override := environment.get("LIKENESS_CACHE"):
        return Path(override)
    base = environment.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "likeness" / "models"


class Catalogue:
    """All models that the given folders describe.

    Args:
        manifest_dirs: folders with a folder per model, its manifest `manifest.toml`, or with manifests `*.toml`
            themselves; one that is not there counts as empty.
        cache_dir: where built and fetched files are stored, `<cache_dir>/<model id>/<file name>`.

    A manifest that cannot be read does not hide the others: it is listed in `problems`. Two manifests with one id
    make that id unusable, since either choice could change scores in silence.
    """

    def __init__(self, manifest_dirs: Sequence[Path], cache_dir: Path) -> None:
        self.manifest_dirs = tuple(manifest_dirs)
        self.cache_dir = cache_dir
        self.problems: list[LikenessError] = []
        self._manifests: dict[str, ModelManifest] = {}
        self._ambiguous: dict[str, LikenessError] = {}
        for folder in self.manifest_dirs:
            for path in sorted([*folder.glob(f"*/{FILE}"), *folder.glob("*.toml")]):
                self._take(path)

    @classmethod
    def standard(cls, home: Path | None = None, environment: Mapping[str, str] = os.environ) -> Catalogue:
        """The shipped manifests, those in `home/models` (default `LIKENESS_HOME`), and the default cache."""
        folders = [shipped_manifests(environment)]
        if home is None and (named := environment.get("LIKENESS_HOME")):
            home = Path(named)
        if home is not None:
            folders.append(home / "models")
        return cls(folders, default_cache(environment))

    @property
    def manifests(self) -> tuple[ModelManifest, ...]:
        """Every usable manifest, ordered by id."""
        return tuple(self._manifests[key] for key in sorted(self._manifests))

    @overload
    def get(self, name: str) -> ModelManifest: ...
    @overload
    def get(self, name: str, expected: type[M]) -> M: ...
    def get(self, name: str, expected: type[ModelManifest] = ModelManifest) -> ModelManifest:
        """The manifest with that id; a name that ends in `.toml` is read as a file.

        Raises:
            NotFound: no manifest has that id.
            Conflict: several have it.
            InvalidInput: the named file is not a manifest, or the model is of another kind than expected.
        """
        if name.endswith(".toml"):
            return read_manifest(Path(name), expected)
        if name in self._ambiguous:
            raise self._ambiguous[name]
        if name not in self._manifests:
            known = ", ".join(sorted(self._manifests)) or "none"
            broken = f" {len(self.problems)} manifest(s) could not be read: run likeness models list." * bool(
                self.problems
            )
            raise NotFound(f"There is no model {name!r}; known: {known}.{broken}", reason="MODEL_UNKNOWN")
        return as_kind(self._manifests[name], expected)

    def path(self, manifest: ModelManifest, role: str = "model") -> Path:
        """Where the file with that role is or will be."""
        return self._place(manifest, manifest.file(role))

    def state(self, manifest: ModelManifest) -> FileState:
        """The worst state among the model's files; reads and hashes each of them."""
        states = {self._file_state(manifest, entry) for entry in manifest.files}
        for worst in (FileState.DAMAGED, FileState.MISSING):
            if worst in states:
                return worst
        return FileState.READY

    def open(self, manifest: ModelManifest, role: str = "model", threads: int = 1) -> OnnxModel:
        """Loads one graph of a model.

        Raises:
            NotFound: the file is missing; the message says how to make it.
            Corrupt: the digest differs from the manifest.
            Precondition: onnxruntime cannot load it.
        """
        entry = manifest.file(role)
        path = self._place(manifest, entry)
        if not path.is_file():
            raise NotFound(
                f"{path} of model {manifest.id} is not there; {self._remedy(manifest, entry)}",
                reason="MODEL_FILE_MISSING",
            )
        return OnnxModel(path, sha256=entry.sha256, threads=threads)

    def build(self, name: str) -> list[Path]:
        """Makes the files of a model with its build script, unless they are there and right already.

        Returns:
            The paths of the files.

        Raises:
            Precondition: the manifest names no script, or what the script needs is not installed.
            Corrupt: the script made other bytes than the manifest promises; the cache is left as it was.
        """
        manifest = self.get(name)
        if self.state(manifest) is FileState.READY:
            return [self._place(manifest, entry) for entry in manifest.files]
        if manifest.build is None:
            raise Precondition(
                f"Model {manifest.id} is not built from a script; {self._remedy(manifest, manifest.files[0])}",
                reason="MODEL_NOT_BUILT_HERE",
            )
        entry_point = _load_entry((manifest.origin.parent / manifest.build.script).resolve(), manifest.build)
        with self._workshop() as workshop:
            entry_point(workshop)
            return self._adopt(manifest, workshop)

    def fetch(self, name: str) -> list[Path]:
        """Downloads the files of a model from the https addresses in its manifest. Never called unasked.

        Raises:
            Precondition: a file has no address.
            Unavailable: the download failed.
            Corrupt: the bytes are not those that the manifest promises; the cache is left as it was.
        """
        manifest = self.get(name)
        without = [entry.name for entry in manifest.files if not entry.url]
        if without:
            raise Precondition(
                f"Model {manifest.id} gives no url for {', '.join(without)}; add one or build the model",
                reason="MODEL_WITHOUT_URL",
            )
        with self._workshop() as workshop:
            for entry in manifest.files:
                _download(entry, workshop / entry.name)
            return self._adopt(manifest, workshop)

    def _take(self, path: Path) -> None:
        try:
            manifest = read_manifest(path)
        except LikenessError as error:
            self.problems.append(error)
            return
        other = self._manifests.pop(manifest.id, None)
        if other is not None or manifest.id in self._ambiguous:
            where = other.origin if other else "others"
            clash = Conflict(
                f"{path} and {where} both describe model {manifest.id}; give one of them another id",
                reason="MODEL_ID_TAKEN",
            )
            self._ambiguous[manifest.id] = clash
            self.problems.append(clash)
            return
        self._manifests[manifest.id] = manifest

    def _place(self, manifest: ModelManifest, entry: FileEntry) -> Path:
        if entry.path:
            return manifest.origin.parent / entry.path
        return self.cache_dir / manifest.id / entry.name

    def _file_state(self, manifest: ModelManifest, entry: FileEntry) -> FileState:
        path = self._place(manifest, entry)
        if not path.is_file():
            return FileState.MISSING
        return FileState.READY if file_sha256(path) == entry.sha256 else FileState.DAMAGED

    @staticmethod
    def _remedy(manifest: ModelManifest, entry: FileEntry) -> str:
        if entry.path:
            return f"put the file there or correct `path` in {manifest.origin}"
        if manifest.build:
            return f"run: likeness models build {manifest.id}"
        if entry.url:
            return f"run: likeness models fetch {manifest.id}"
        return f"{manifest.origin} gives neither path, [build] nor url for it; add one"

    @contextlib.contextmanager
    def _workshop(self) -> Iterator[Path]:
        self.cache_dir.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=".making-", dir=self.cache_dir))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _adopt(self, manifest: ModelManifest, workshop: Path) -> list[Path]:
        """Checks every file in the workshop, then moves them to their places."""
        for entry in manifest.files:
            made = workshop / entry.name
            if not made.is_file():
                raise Corrupt(
                    f"Making model {manifest.id} left no file {entry.name}", reason="MODEL_BUILD_FAILED"
                )
            if (found := file_sha256(made)) != entry.sha256:
                raise Corrupt(
                    f"{entry.name} of model {manifest.id} came out with SHA-256 {found}, its manifest says "
                    f"{entry.sha256}; it was not stored. Report this with your versions of numpy and onnx",
                    reason="MODEL_DIGEST_MISMATCH",
                )
            sync(made)
        home = self.cache_dir / manifest.id
        home.mkdir(parents=True, exist_ok=True)
        for entry in manifest.files:
            (workshop / entry.name).replace(home / entry.name)
        sync(home)
        return [home / entry.name for entry in manifest.files]


def _load_entry(script: Path, build: Build) -> Callable[[Path], Any]:
    specification = importlib.util.spec_from_file_location(f"likeness_{script.stem}", script)
    if specification is None or specification.loader is None or not script.is_file():
        raise Precondition(f"The build script {script} is not there", reason="BUILD_SCRIPT_MISSING")
    sums.read(script)  # for its check: what is run must be what was released
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module  # dataclasses look their module up while they are made
    specification.loader.exec_module(module)
    entry = getattr(module, build.entry, None)
    if not callable(entry):
        raise Precondition(f"{script} has no function {build.entry}", reason="BUILD_SCRIPT_MISSING")
    return entry  # type: ignore[no-any-return]


def _download(entry: FileEntry, target: Path) -> None:
    try:
        with (
            urllib.request.urlopen(entry.url, timeout=_FETCH_TIMEOUT) as response,  # noqa: S310  https only, see FileEntry
            target.open("wb") as file,
        ):
            size = 0
            while block := response.read(_FETCH_BLOCK):
                size += len(block)
                if size > MAX_MODEL_BYTES:
                    raise Corrupt(
                        f"{entry.url} is larger than {MAX_MODEL_BYTES} bytes", reason="MODEL_FILE_TOO_LARGE"
                    )
                file.write(block)
    except OSError as error:
        raise Unavailable(
            f"{entry.url} could not be fetched: {error}. Try again, or place the file by hand and name it with "
            "`path` in the manifest",
            reason="MODEL_FETCH_FAILED",
        ) from error
