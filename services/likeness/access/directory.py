"""Who there is: countries, their bureaus, the entities of these, and the principals that speak for them."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from likeness.domain.access import Role
from likeness.domain.errors import InvalidInput

MAX_BYTES = 16 << 20
"""Of a directory file: some hundred thousand entities."""

EntityName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/-]{0,63}$")]
MAX_PRINCIPAL = 2048
"""Characters of the name of a principal."""
PrincipalName = Annotated[
    str,
    StringConstraints(pattern=r"^spiffe://[a-z0-9._-]{1,255}(/[A-Za-z0-9._-]+)+$", max_length=MAX_PRINCIPAL),
]
"""A SPIFFE identifier: trust domain and path (SPIFFE-ID, clause 2)."""


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Named(_Table):
    name: Annotated[str, Field(max_length=256)] = ""


class _Bureau(_Named):
    country: EntityName


class _Entity(_Named):
    bureau: EntityName
    groups: frozenset[EntityName] = frozenset()


class _Principal(_Named):
    entities: frozenset[EntityName] = frozenset()
    bureaus: frozenset[EntityName] = frozenset()
    roles: frozenset[Role] = frozenset()
    token_roles: frozenset[Role] = frozenset()


class _Document(_Table):
    countries: Mapping[EntityName, _Named] = {}
    groups: Mapping[EntityName, _Named] = {}
    bureaus: Mapping[EntityName, _Bureau] = {}
    entities: Mapping[EntityName, _Entity] = {}
    principals: Mapping[PrincipalName, _Principal] = {}


@dataclass(frozen=True, slots=True)
class ListedEntity:
    """Where an entity belongs."""

    bureau: str
    country: str
    groups: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ListedPrincipal:
    """What a principal is there for.

    Args:
        entities: those that it may speak for.
        roles: that it has by itself.
        token_roles: that it has besides where the token of a person behind it gives them.
        bureaus: that it stands for as a whole; it speaks for all their entities.
    """

    entities: frozenset[str]
    roles: frozenset[Role] = frozenset()
    token_roles: frozenset[Role] = frozenset()
    bureaus: frozenset[str] = frozenset()

    def effective(self, given: frozenset[str]) -> frozenset[Role]:
        """The roles of a call whose token gives these."""
        return self.roles | {role for role in self.token_roles if role.value in given}


@dataclass(frozen=True, slots=True)
class Directory:
    """Who there is; every name that one part has of another exists.

    Args:
        countries: their names.
        groups: of entities, across countries.
        bureaus: to the country of each.
        entities: to where each belongs.
        principals: by their SPIFFE identifiers.
    """

    countries: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    bureaus: Mapping[str, str] = field(default_factory=dict)
    entities: Mapping[str, ListedEntity] = field(default_factory=dict)
    principals: Mapping[str, ListedPrincipal] = field(default_factory=dict)


def read_directory(content: bytes, name: str) -> Directory:
    """The directory of a file.

    Args:
        content: TOML, or JSON where it begins with a brace.
        name: of the file, for messages.

    Raises:
        InvalidInput: it is too large, is neither, or a name in it is malformed or unknown.
    """
    if len(content) > MAX_BYTES:
        raise _invalid(name, f"has {len(content):,} bytes; the limit is {MAX_BYTES:,}")
    try:
        document = _Document.model_validate(_parsed(content))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise _invalid(name, f"has at {place}: {first['msg']}") from error
    except (ValueError, RecursionError) as error:
        raise _invalid(name, f"is neither TOML nor JSON: {error}") from error
    return _resolved(document, name)


def _parsed(content: bytes) -> Any:
    text = content.decode("utf-8")
    return json.loads(text) if text.lstrip().startswith("{") else tomllib.loads(text)


def _resolved(document: _Document, name: str) -> Directory:
    bureaus = {}
    for bureau, described in document.bureaus.items():
        bureaus[bureau] = _known(described.country, document.countries, f"bureaus.{bureau}.country", name)
    entities = {}
    for entity, row in document.entities.items():
        _known(row.bureau, bureaus, f"entities.{entity}.bureau", name)
        for group in row.groups:
            _known(group, document.groups, f"entities.{entity}.groups", name)
        entities[entity] = ListedEntity(row.bureau, bureaus[row.bureau], row.groups)
    principals = {}
    for principal, listed in document.principals.items():
        for bureau in listed.bureaus:
            _known(bureau, bureaus, f"principals.{principal}.bureaus", name)
        for entity in listed.entities:
            _known(entity, entities, f"principals.{principal}.entities", name)
        spoken_for = {entity for entity, row in entities.items() if row.bureau in listed.bureaus}
        principals[principal] = ListedPrincipal(
            listed.entities | spoken_for, listed.roles, listed.token_roles, listed.bureaus
        )
    return Directory(frozenset(document.countries), frozenset(document.groups), bureaus, entities, principals)


_ValueT = TypeVar("_ValueT")


def _known(named: str, known: Mapping[str, _ValueT], place: str, file: str) -> str:
    if named not in known:
        raise _invalid(file, f"names '{named}' at {place}, which it does not have")
    return named


def _invalid(name: str, what: str) -> InvalidInput:
    return InvalidInput(f"The directory {name} {what}; mend the file.", reason="DIRECTORY_INVALID")
