"""The stage of the demonstration: a real server in a process of its own, and the command line to speak to it."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Protocol

from likeness.app.authority import Authority
from likeness.app.development_certificates import Made, make
from likeness.cli import output
from likeness.cli.demo.process import Watched
from likeness.cli.failures import Exit, Stopped
from likeness.domain.access import Role

WIDTH = "132"
"""Columns of tables where standard output is not a terminal, so that no cell is cut."""

ENTITY = "NCB-DEMO"
ROLES = {"enroll": Role.DATA_OWNER, "expunge": Role.DATA_OWNER}
"""Whose certificate a command needs, where it is not the examiner's."""

_SERVING = re.compile(r"serving at (\S+);")
_PROGRAM = (sys.executable, "-m", "likeness.cli")


class Section(Protocol):
    """What one modality shows."""

    @property
    def title(self) -> str:
        """Heading of its part."""

    def prepare(self) -> None:
        """Bring its samples, before the server starts."""

    def run(self, stage: Stage) -> None:
        """Enrol and search."""

    def conclude(self) -> None:
        """Say what was seen, after everything else."""


@dataclass(slots=True)
class Stage:
    """A running server, the environment of the commands that speak to it, and the certificates of the roles.

    `role` is that of the command before.
    """

    environment: dict[str, str]
    certificates: Path
    role: Role | None = None

    def likeness(self, *words: str, role: Role | None = None, allow: tuple[int, ...] = (Exit.DONE,)) -> None:
        """Run a command as a person would type it, its output shown.

        Args:
            words: of the command.
            role: whose certificate is shown to the server; None takes the one that the command needs.
            allow: exit codes that are no failure.

        Raises:
            Stopped: it ended with an exit code that is not allowed.
        """
        if words[0] != "audit":  # which reads the home, and calls no server
            self._act_as(role or ROLES.get(words[0], Role.EXAMINER))
        shown = [word for word in words if word != "--table"]
        output.note(f"$ likeness {shlex.join(shown)}", "cyan")
        with output.heartbeat(f"at likeness {words[0]}"):
            done = subprocess.run([*_PROGRAM, *words], env=self.environment, check=False)  # noqa: S603
        if done.returncode not in allow:
            raise Stopped(f"likeness {words[0]} ended with exit code {done.returncode}.", Exit.PARTLY)

    def _act_as(self, role: Role) -> None:
        if role is self.role:
            return
        self.role = role
        proof = self.proof(role)
        self.environment |= proof
        _export(proof)

    def proof(self, role: Role) -> dict[str, str]:
        """The variables by which commands prove to be of a role."""
        return {
            "LIKENESS_CERTIFICATE": str(self.certificates / f"{role}.crt"),
            "LIKENESS_KEY": str(self.certificates / f"{role}.key"),
        }


@contextmanager
def serving(folder: Path) -> Iterator[Stage]:
    """A server on a free port with its data under the folder, stopped at the end.

    Raises:
        Stopped: it did not come up; its log says why.
    """
    log = folder / "server.log"
    certificates = folder / "certs"
    authority = Authority("Likeness demonstration authority", timedelta(days=1))
    make(certificates, authority, Made("xx", ENTITY), hosts=("127.0.0.1",))
    output.note(f"made an authority, and certificates for the server and each role, in {certificates}")
    words = ["serve", "--config", str(certificates / "likeness.toml"), "--home", str(folder / "home")]
    words += ["--address", "127.0.0.1:0", "--metrics-address", "", "--set", "health.address="]
    with log.open("wb") as stream:
        server = subprocess.Popen(  # noqa: S603
            [*_PROGRAM, *words], stdin=subprocess.DEVNULL, stdout=stream, stderr=stream
        )
    watched = Watched(server, log)
    try:
        address = _address(watched)
        output.note(f"serving at {address} over mutual TLS; its log is {log}")
        caller = {
            "LIKENESS_SERVER": address,
            "LIKENESS_AUTHORITY": str(certificates / "authority.crt"),
            "LIKENESS_ENTITY": ENTITY,
            "LIKENESS_PURPOSE": "system_test",
            "LIKENESS_CASE": "demonstration",
        }
        _export(caller)
        width = {} if sys.stdout.isatty() else {"COLUMNS": WIDTH}
        environment = {**os.environ, **caller, **width, "LIKENESS_STATE": str(folder / "state")}
        yield Stage(environment, certificates)
    finally:
        _stop(watched)


def _export(variables: dict[str, str]) -> None:
    output.note(f"$ export {' '.join(f'{name}={value}' for name, value in variables.items())}", "cyan")


def _address(server: Watched) -> str:
    found = server.wait(
        lambda: _SERVING.search("\n".join(server.lines())),
        lambda: f"waiting for the server: {_last_event(server)}",
    )
    if found:
        return found[1]
    lines = server.lines()
    why = lines[-1] if lines else "it wrote nothing"
    raise Stopped(
        f"The server did not come up: {why}. See {server.log}, and run: likeness doctor", Exit.UNREACHABLE
    )


def _last_event(server: Watched) -> str:
    """What its log ends with, in words."""
    lines = server.lines()
    if not lines:
        return "loading"
    try:
        event = json.loads(lines[-1])
        return " ".join(str(event[key]) for key in ("event", "modality", "task") if key in event)
    except (ValueError, TypeError):
        return lines[-1]


def _stop(server: Watched) -> None:
    server.process.terminate()
    server.wait(server.process.poll, lambda: f"waiting for the server to stop: {_last_event(server)}")
    if server.process.poll() is None:
        server.process.kill()
        server.process.wait()
