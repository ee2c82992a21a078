"""Cases that policies are tried with: what is asked, and what must come of it."""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from likeness.access.limits import FMR_ONE_IN
from likeness.access.ruling import FRONTLINE, Ruling
from likeness.domain.access import Action, Asked, Level, OversightAction, Principal
from likeness.domain.errors import Denied, InvalidInput
from likeness.domain.references import Caller, Category, Facets, Purpose, Status

ALLOWED = "ALLOWED"

_MAX_BYTES = 16 << 20


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CaseReference(_Table):
    """A reference that a case asks about."""

    owner: str
    category: Category = Category.UNSPECIFIED
    status: Status = Status.ACTIVE
    galleries: frozenset[str] = frozenset()

    @property
    def facets(self) -> Facets:
        """As the predicate has it."""
        return Facets(self.owner, self.galleries, self.category, self.status)


class Case(_Table):
    """One call. `expect` is ALLOWED or the reason of the refusal; `level` what is then shown of the reference.

    `target` is the entity that oversight is about; empty means the caller's own. Oversight has no modality.
    """

    name: str = ""
    principal: str
    token_roles: frozenset[str] = frozenset()
    entity: str
    action: Action | OversightAction
    target: str = ""
    modality: Annotated[str, Field(pattern="^(face|fingerprint|object)$")] = "face"
    purpose: Purpose = Purpose.UNSPECIFIED
    fmr_one_in: Annotated[int, Field(ge=1)] | None = None
    frontline: bool = False
    expect: Annotated[str, Field(pattern="^[A-Z_]+$")] = ALLOWED
    reference: CaseReference | None = None
    level: Annotated[str, Field(pattern="^(hidden|hit|candidate|full)$")] = ""

    @property
    def asked(self) -> Asked:
        """As access is asked."""
        limit = () if self.fmr_one_in is None else ((FMR_ONE_IN, self.fmr_one_in),)
        attributes = (*limit, (FRONTLINE, self.frontline))
        principal = Principal(self.principal, roles=self.token_roles)
        caller = Caller(self.entity, self.purpose)
        if isinstance(self.action, OversightAction):
            return Asked(principal, caller, self.action, "", target=self.target or self.entity)
        return Asked(principal, caller, self.action, self.modality, attributes)


def action_named(name: str) -> Action | OversightAction:
    """What a method asks for.

    Raises:
        InvalidInput: there is no such method.
    """
    actions: tuple[Action | OversightAction, ...] = (*Action, *OversightAction)
    for action in actions:
        if action.value.lower() == name.lower():
            return action
    raise InvalidInput(f"'{name}' is not a method; name one of {', '.join(actions)}.")


class _Cases(_Table):
    case: tuple[Case, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a case; `level` is empty where it is about no reference."""

    result: str
    level: str
    policies: tuple[str, ...]
    message: str

    def meets(self, case: Case) -> bool:
        """Whether it is what the case expects."""
        return self.result == case.expect and (not case.level or self.level == case.level)


def read_cases(path: Path) -> tuple[Case, ...]:
    """The cases of a file, TOML or JSON.

    Raises:
        InvalidInput: it cannot be read, or a case is malformed.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
        if len(content) > _MAX_BYTES:
            raise InvalidInput(f"The cases {path} have over {_MAX_BYTES:,} bytes; split the file.")
        text = content.decode("utf-8")
        parsed = json.loads(text) if text.lstrip().startswith("{") else tomllib.loads(text)
        return _Cases.model_validate(parsed).case
    except OSError as error:
        raise InvalidInput(
            f"The cases {path} cannot be read ({error.strerror}); name another file."
        ) from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise InvalidInput(f"The cases {path} have at {place}: {first['msg']}; mend the file.") from error
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"The cases {path} are neither TOML nor JSON: {error}.") from error


def outcome(ruling: Ruling, case: Case) -> Outcome:
    """What the rules say of a case."""
    try:
        grant = ruling.judge(case.asked)
    except Denied as error:
        level = Level.HIDDEN.name.lower() if case.reference else ""
        return Outcome(error.reason, level, error.decided_by, error.message)
    level = grant.disclosure.level(case.reference.facets).name.lower() if case.reference else ""
    return Outcome(ALLOWED, level, grant.decided_by, "")
