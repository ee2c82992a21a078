"""A folder of certificates for a server and for each role, with the settings and the directory that fit them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from likeness.app.authority import Authority
from likeness.domain.access import Role
from likeness.domain.errors import Conflict, InvalidInput, Unavailable
from likeness.domain.files import write_whole
from likeness.domain.spiffe import check_name

TRUST_DOMAIN = "likeness.test"

OVERSEERS = frozenset({Role.SUPERVISOR, Role.DATA_OWNER})
"""Roles of those who stand for the bureau as a whole, and so can cut entities of it off that are added to it."""


@dataclass(frozen=True, slots=True)
class Made:
    """Whose certificates they are.

    Args:
        country: of the entity.
        entity: that the principals speak for.
    """

    country: str
    entity: str

    def principal(self, role: Role) -> str:
        """The name of the entity's principal of a role.

        Raises:
            InvalidInput: country or entity cannot be a part of such a name.
        """
        try:
            return check_name(f"spiffe://{TRUST_DOMAIN}/{self.country}/{self.entity}/{role}", TRUST_DOMAIN)
        except ValueError as error:
            raise InvalidInput(f"Country and entity make no name of a principal: {error}.") from error


def make(
    folder: Path, authority: Authority, whose: Made, *, hosts: Iterable[str], replace: bool = False
) -> tuple[Path, ...]:
    """Write the files, each for its owner only (mode 0600), complete or not at all.

    Args:
        folder: made if it is not there.
        authority: that issues the certificates.
        whose: the entity of the principals.
        hosts: names and addresses that the server is called by.
        replace: whether files that are there may be replaced.

    Returns:
        What was written.

    Raises:
        Conflict: there is such a file already.
        InvalidInput: see `Made.principal`.
        Unavailable: a file cannot be written.
    """
    files = {"authority.crt": authority.certificate}
    server = authority.server(hosts)
    files |= {"server.crt": server.certificate, "server.key": server.key}
    for role in Role:
        issued = authority.client(whose.principal(role))
        files |= {f"{role}.crt": issued.certificate, f"{role}.key": issued.key}
    files["directory.toml"] = _directory(whose).encode()
    files["likeness.toml"] = _settings(folder.absolute()).encode()
    paths = {folder / name: content for name, content in files.items()}
    there = [path for path in paths if path.exists()]
    if there and not replace:
        raise Conflict(f"{there[0]} is there already; name another folder, or replace what is in this one.")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path, content in paths.items():
            write_whole(path, content)
    except OSError as error:
        raise Unavailable(f"{error.filename or folder} cannot be written: {error.strerror}.") from error
    return tuple(paths)


def _directory(whose: Made) -> str:
    """Who there is, in TOML: one country with one bureau and entity, and its principals with their roles."""
    country, entity = json.dumps(whose.country), json.dumps(whose.entity)
    tables = [
        f"[countries.{country}]",
        f"[bureaus.{entity}]\ncountry = {country}",
        f"[entities.{entity}]\nbureau = {entity}",
    ]
    for role in Role:
        stands_for = "bureaus" if role in OVERSEERS else "entities"
        name, roles = json.dumps(whose.principal(role)), json.dumps(role)
        tables.append(f"[principals.{name}]\n{stands_for} = [{entity}]\nroles = [{roles}]")
    return "\n\n".join(tables) + "\n"


def _settings(folder: Path) -> str:
    """A settings file for the server, in TOML."""
    values = {
        "certificate": str(folder / "server.crt"),
        "key": str(folder / "server.key"),
        "authorities": str(folder / "authority.crt"),
        "trust_domain": TRUST_DOMAIN,
    }
    tls = "".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items())
    return f"[tls]\n{tls}\n[access]\ndirectory = {json.dumps(str(folder / 'directory.toml'))}\n"
