"""The digests of what is shipped: no file of ours is parsed before it is known to be the one that was released.

`SHA256SUMS` lies next to the manifests in `models/`, in the form of coreutils, so that `sha256sum --check` reads it
too. A changed digit in a calibration or in a weight would otherwise load without a word, under the same name, and
false match rates would lie. An operator's own folder may have such a file as well, and need not.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path

from likeness.domain.errors import Corrupt, InvalidInput, NotFound
from likeness.inference.models.digest import file_sha256

FILE = "SHA256SUMS"

PATTERNS = ("*/manifest.toml", "*/*.json", "*/*.npz", "*/*.onnx", "*/build_*.py")
"""What of a folder is listed: all that is loaded or run, and no prose."""

MAX_BYTES = 64 << 20
"""Of one file that is checked here; models are larger and are checked against their manifest."""

_REASON = "SHIPPED_FILE_CHANGED"


def packaged() -> Path:
    """`models/` of the source tree that this file is in, else the copy inside the installed package."""
    package = Path(__file__).resolve().parents[2]
    in_tree = package.parents[1] / "models"
    return in_tree if any(in_tree.glob("*/manifest.toml")) else package / "_models"


def read(path: Path) -> bytes:
    """The bytes of a file, checked where its folder, or the folder above, lists digests.

    Raises:
        NotFound: the file cannot be read.
        InvalidInput: it is larger than `MAX_BYTES`.
        Corrupt: it is not the file that is listed, or is shipped and not listed.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise NotFound(
            f"{path} cannot be read ({error.strerror or error}); restore the file, or name another.",
            reason="FILE_UNREADABLE",
        ) from error
    if len(data) > MAX_BYTES:
        raise InvalidInput(f"{path} is larger than {MAX_BYTES} bytes, which none of these files is.")
    folder = listing_of(path)
    if folder is not None:
        _check(path, hashlib.sha256(data).hexdigest(), folder)
    return data


def listing_of(path: Path) -> Path | None:
    """The folder whose list must name the file; None where it is an operator's own.

    The folder above counts where its list is one of models: another list there, such as that of downloads, says
    nothing of the folders next to it.
    """
    folder = path.parent
    if (folder / FILE).is_file() or folder.resolve() == packaged():
        return folder
    above = folder.parent
    return above if above.resolve() == packaged() or _lists_models(above / FILE) else None


def _lists_models(file: Path) -> bool:
    try:
        return "/manifest.toml" in file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False


def check_not_shipped(path: Path) -> None:
    """Refuse that a file is missing if its folder's list names it.

    Raises:
        Corrupt: it does.
    """
    folder = listing_of(path)
    if folder is not None and path.relative_to(folder).as_posix() in listed(folder / FILE):
        raise Corrupt(
            f"{path} is missing, although it is shipped; install the release again.", reason=_REASON
        )


def _check(path: Path, found: str, folder: Path) -> None:
    expected = listed(folder / FILE).get(path.relative_to(folder).as_posix())
    if expected is None:
        raise Corrupt(
            f"{path} is not listed in {folder / FILE}; remove it, or put a model or calibration of your own into "
            "the folder `models` of the home.",
            reason=_REASON,
        )
    if found != expected:
        raise Corrupt(
            f"{path} has SHA-256 {found}, {folder / FILE} says {expected}: it is not the file that was released. "
            "Nothing was loaded. Install the release again.",
            reason=_REASON,
        )


def listed(file: Path) -> Mapping[str, str]:
    """File name to digest, 64 hexadecimal digits, as the list says.

    Raises:
        Corrupt: the list cannot be read.
    """
    try:
        stat = file.stat()
        return _parsed(file, stat.st_mtime_ns, stat.st_size)
    except (OSError, ValueError) as error:
        raise Corrupt(
            f"{file} cannot be read ({error}); install the release again.", reason=_REASON
        ) from error


@lru_cache(maxsize=8)
def _parsed(file: Path, _changed: int, _size: int) -> Mapping[str, str]:
    lines = file.read_text(encoding="utf-8").splitlines()
    return {name: digest for digest, name in (line.split("  ", 1) for line in lines)}


def lines_of(folder: Path) -> Iterator[str]:
    """The lines of the list for a folder as it is, in order of name."""
    paths = {path for pattern in PATTERNS for path in folder.glob(pattern)}
    for name in sorted(path.relative_to(folder).as_posix() for path in paths):
        yield f"{file_sha256(folder / name)}  {name}\n"


def write(folder: Path) -> None:
    """Write the list of a folder again: the last step of whoever changes a shipped file."""
    made = folder / f"{FILE}.part"
    made.write_text("".join(lines_of(folder)), encoding="utf-8")
    made.replace(folder / FILE)
