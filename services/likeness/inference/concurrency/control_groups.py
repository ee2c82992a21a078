"""The control groups (cgroups) that this process is in: where its container's limits are written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

_MAX_LIMIT_BYTES = 4096  # a control file is a line; anything longer is not one


@dataclass(frozen=True, slots=True)
class Group:
    """One group: the version (1 or 2) of its hierarchy, and the folder of its control files."""

    version: int
    folder: Path


def groups(root: Path, controller: str) -> list[Group]:
    """The groups that may limit this process, from its own up to the root of each hierarchy.

    Args:
        root: where `proc` and `sys` are looked for.
        controller: the name of a controller in version 1, `cpu` or `memory`.
    """
    return list(_groups(root, controller))


def _groups(root: Path, controller: str) -> Iterator[Group]:
    mounts = root / "sys/fs/cgroup"
    for line in read(root / "proc/self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        if controllers == "":
            yield from (Group(2, folder) for folder in _upwards(mounts, group))
        elif controller in controllers.split(","):
            for mount in (controllers, controller):
                yield from (Group(1, folder) for folder in _upwards(mounts / mount, group))


def _upwards(mount: Path, group: str) -> list[Path]:
    """The folders of a group and its parents. Inside a container the group's own path may not be mounted."""
    parts = [part for part in PurePosixPath(group).parts if part not in ("/", "..")]
    return [mount.joinpath(*parts[:count]) for count in range(len(parts), -1, -1)]


def read(path: Path) -> str:
    """The content of a control file; empty where there is none that can be read."""
    try:
        with path.open("r", encoding="ascii") as file:
            return file.read(_MAX_LIMIT_BYTES)
    except (OSError, UnicodeDecodeError):
        return ""
