"""What `likeness doctor` looks at, each check by itself: what was found, and the fix where it is not right."""

from __future__ import annotations

import importlib.metadata
import platform
import re
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from likeness import DISTRIBUTION
from likeness.app.sections import split_address
from likeness.app.settings import Settings
from likeness.cli.start import EXTRA
from likeness.domain.errors import LikenessError
from likeness.inference.concurrency.threads import available_cpus, plan_threads
from likeness.inference.models.catalogue import Catalogue, FileState
from likeness.inference.models.manifest import ModelKind

_FORMER_DISTRIBUTION = "likeness"
OLDEST_PYTHON = (3, 11)
LITTLE_DISK = 1 << 30
"""Bytes free under which a gallery cannot grow or be rebuilt: red."""
SCARCE_DISK = 5 << 30
"""Bytes free under which it is time to look: yellow."""

_OF_THE_SERVICE = re.compile(rf"extra == ['\"]{EXTRA}['\"]")
_REQUIREMENT = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:>=\s*([0-9.]+))?[^;]*")


class CheckState(StrEnum):
    """Green is right, yellow works but should be known, red must be mended."""

    GREEN = "green"
    YELLOW = "yellow"
    RED = "red"


@dataclass(frozen=True, slots=True)
class Result:
    """The outcome of one check. `fix` says what to do; empty where nothing is."""

    name: str
    state: CheckState
    found: str
    fix: str = ""


def green(name: str, found: str) -> Result:
    """All is right."""
    return Result(name, CheckState.GREEN, found)


def yellow(name: str, found: str, fix: str) -> Result:
    """It works, but should be known."""
    return Result(name, CheckState.YELLOW, found, fix)


def red(name: str, found: str, fix: str) -> Result:
    """It must be mended."""
    return Result(name, CheckState.RED, found, fix)


def python() -> Result:
    """The interpreter is new enough."""
    found = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    if sys.version_info[:2] < OLDEST_PYTHON:
        needed = ".".join(map(str, OLDEST_PYTHON))
        return red("python", found, f"use Python {needed} or later: make PYTHON=python{needed} ...")
    return green("python", found)


def packages() -> Result:
    """Every package that the client and the service need is there and new enough."""
    requirements = _requirements()
    if requirements is None:
        fix = "install it from its checkout or wheel, see the README"
        return yellow("packages", f"{DISTRIBUTION} is not installed, so what it needs is not known", fix)
    needed = [r for r in requirements if "extra ==" not in r or _OF_THE_SERVICE.search(r)]
    wrong, remedy = [], []
    for requirement in needed:
        match = _REQUIREMENT.match(requirement)
        if match is None:
            continue
        name, least = match[1], match[2] or "0"
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            wrong.append(f"{name} is missing")
            remedy.append(f"'{match[0].strip()}'")
            continue
        if _numbers(version) < _numbers(least):
            wrong.append(f"{name} is {version}, older than {least}")
            remedy.append(f"'{match[0].strip()}'")
    if wrong:
        return red("packages", "; ".join(wrong), f"pip install --upgrade {' '.join(remedy)}")
    return green("packages", f"{len(needed)} packages are there, each new enough")


def _requirements() -> list[str] | None:
    """What the installed distribution declares, also in an environment where it has its former name."""
    for name in (DISTRIBUTION, _FORMER_DISTRIBUTION):
        try:
            return importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue
    return None


def models(settings: Settings, catalogue: Catalogue) -> Iterator[Result]:
    """The models in use are described, built and undamaged."""
    for problem in catalogue.problems:
        yield red("manifest", problem.message, "correct the manifest, or remove it")
    for name in (name for entry in settings.served for name in entry.models(settings.of(entry))):
        manifest = catalogue.get(name)
        state = catalogue.state(manifest)
        label = "detector" if manifest.kind is ModelKind.DETECTOR else "recogniser"
        if state is FileState.READY:
            yield green(label, f"{manifest.label} is built and matches its digest")
        else:
            fix = "likeness models build" if manifest.build else f"see {manifest.origin}"
            yield red(label, f"{manifest.label} is {state.value}", f"run: {fix} {manifest.id}".rstrip())


def writable(name: str, folder: Path) -> Result:
    """The folder is there, or can be made, and can be written to."""
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        return red(name, f"{existing} cannot be written to ({error.strerror})", f"chown or chmod {existing}")
    return green(name, f"{folder} is writable" if folder.exists() else f"{folder} will be made")


def disk(name: str, folder: Path) -> Result:
    """There is room left."""
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    found = f"{free / (1 << 30):,.1f} GiB free for {folder}"
    fix = f"free space on the disk of {existing}, or move it with LIKENESS_HOME"
    if free < LITTLE_DISK:
        return red(name, found, fix)
    return yellow(name, found, fix) if free < SCARCE_DISK else green(name, found)


def processors(settings: Settings) -> Result:
    """How many CPUs there are for how many threads."""
    cpus = available_cpus()
    threads = plan_threads(settings.threads)
    found = f"{cpus:g} CPUs available, {threads} threads planned"
    if cpus < 1:
        return yellow(
            "processors", found, "raise the CPU limit of the container to 1 or more; requests will crawl"
        )
    if threads > cpus:
        return yellow("processors", found, f"set threads to {max(1, int(cpus))} or to 0; more only contend")
    return green("processors", found)


def port_free(address: str) -> bool:
    """Whether nothing listens at an address of this machine."""
    host, port = split_address(address)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def guarded(name: str, check: Callable[[], Result]) -> Result:
    """Run a check; what it refuses with becomes a red line, which names the remedy itself."""
    try:
        return check()
    except LikenessError as error:
        return red(name, error.message, "")
    except OSError as error:
        return red(name, str(error), "check the path and its permissions")


def _numbers(version: str) -> tuple[int, ...]:
    """The leading numbers of a version; enough for minimums such as 1.26."""
    return tuple(int(n) for n in re.findall(r"\d+", version.split("+", maxsplit=1)[0])[:3])
