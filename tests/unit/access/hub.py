"""A small hub of countries for tests: its directory, and access by policies over it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from likeness.access.judging import CedarAccess
from likeness.access.sources import Sources
from likeness.domain.access import Action, Asked, Principal
from likeness.domain.errors import LikenessError
from likeness.domain.references import Caller, Purpose

DIRECTORY = """
[countries.AA]
[countries.BB]
[groups.north]
[groups.south]
[bureaus.NCB-AA]
country = "AA"
[bureaus.NCB-BB]
country = "BB"
[entities.AA-POLICE]
bureau = "NCB-AA"
groups = ["north"]
[entities.AA-BORDER]
bureau = "NCB-AA"
groups = ["north", "south"]
[entities.BB-POLICE]
bureau = "NCB-BB"
groups = ["south"]
[principals."spiffe://hub.test/aa/cases"]
entities = ["AA-POLICE"]
roles = ["case_system"]
token_roles = ["data_owner"]
[principals."spiffe://hub.test/aa/owner"]
bureaus = ["NCB-AA"]
roles = ["data_owner"]
[principals."spiffe://hub.test/aa/gate"]
entities = ["AA-BORDER"]
roles = ["frontline"]
[principals."spiffe://hub.test/bb/examiner"]
entities = ["BB-POLICE"]
roles = ["examiner"]
[principals."spiffe://hub.test/bb/supervisor"]
entities = ["BB-POLICE"]
roles = ["supervisor"]
[principals."spiffe://hub.test/auditor"]
entities = ["AA-POLICE", "BB-POLICE"]
roles = ["auditor"]
[principals."spiffe://hub.test/operator"]
entities = ["AA-POLICE", "AA-BORDER", "BB-POLICE"]
roles = ["operator"]
"""

CASES, OWNER, GATE, EXAMINER = (
    "spiffe://hub.test/aa/cases",
    "spiffe://hub.test/aa/owner",
    "spiffe://hub.test/aa/gate",
    "spiffe://hub.test/bb/examiner",
)


class Observed:
    """What access reported."""

    def __init__(self) -> None:
        self.in_force: list[str] = []
        self.suspensions_in_force: list[str] = []
        self.refusals: list[LikenessError] = []
        self.failures: list[tuple[str, ...]] = []

    def taken(self, digest: str) -> None:
        self.in_force.append(digest)

    def refused(self, digest: str, error: LikenessError) -> None:
        self.refusals.append(error)

    def suspensions_taken(self, digest: str) -> None:
        self.suspensions_in_force.append(digest)

    def failed(self, errors: tuple[str, ...]) -> None:
        self.failures.append(errors)


def hub(
    folder: Path, *, policies: str | None = None, directory: str = DIRECTORY
) -> tuple[CedarAccess, Observed]:
    """Access over files of a folder: `directory.toml`, `suspended.json`, and `own.cedar` for policies given."""
    (folder / "directory.toml").write_text(directory)
    file = None
    if policies is not None:
        file = folder / "own.cedar"
        file.write_text(policies)
    observed = Observed()
    return CedarAccess(
        Sources(folder / "directory.toml", file, folder / "suspended.json"), observed
    ), observed


def asked(
    principal: str,
    entity: str,
    action: Action = Action.SEARCH,
    *,
    purpose: Purpose = Purpose.WANTED_PERSON,
    modality: str = "face",
    roles: Iterable[str] = (),
    frontline: bool = False,
    attributes: tuple[tuple[str, bool | int | str], ...] = (),
) -> Asked:
    """A call; `frontline`: by the frontline's profile."""
    return Asked(
        Principal(principal, roles=frozenset(roles)),
        Caller(entity, purpose),
        action,
        modality,
        (*attributes, ("frontline", frontline)),
    )
