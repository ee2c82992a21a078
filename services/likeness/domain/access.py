"""Who may do what: who was proven to call, what a call was judged to be allowed, and the port of whoever judges."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from likeness.domain.references import Caller, Facets


class Role(StrEnum):
    """What a principal is there for."""

    CASE_SYSTEM = "case_system"
    FRONTLINE = "frontline"
    EXAMINER = "examiner"
    SUPERVISOR = "supervisor"
    DATA_OWNER = "data_owner"
    AUDITOR = "auditor"
    OPERATOR = "operator"


class Action(StrEnum):
    """What is asked for; the names are those of the methods. `Level` has what may then be seen."""

    ENROLL = "Enroll"
    GET = "Get"
    LIST = "List"
    UPDATE = "Update"
    EXPUNGE = "Expunge"
    SEARCH = "Search"
    COMPARE = "Compare"
    ANALYZE = "Analyze"


class OversightAction(StrEnum):
    """What is asked for about entities and the record, not about references of a modality; named as `Action`."""

    SUSPEND_ENTITY = "SuspendEntity"
    RESUME_ENTITY = "ResumeEntity"
    LIST_SUSPENSIONS = "ListSuspensions"
    READ_RECORD = "ReadRecord"


class Level(IntEnum):
    """How much of a reference is shown.

    HIDDEN: nothing; it takes part in nothing. HIT: that its owner holds something that resembles the probe.
    CANDIDATE: also its identifier, score and category. FULL: also its subject, notices and attributes.
    """

    HIDDEN = 0
    HIT = 1
    CANDIDATE = 2
    FULL = 3


@dataclass(frozen=True, slots=True)
class Principal:
    """Who was proven to call.

    Args:
        name: of the certificate's URI (SPIFFE) that the peer proved to hold; empty where none was proven.
        person: whom a token proved, `issuer#subject`; empty where there was no token.
        operator: the person's name for the record, as the token has it.
        roles: names of roles that the token gives the person; which of them count is for the policy to say.
    """

    name: str = ""
    person: str = ""
    operator: str = ""
    roles: frozenset[str] = frozenset()


class Disclosure(Protocol):
    """Which references a call may use, and how much of each may be shown. Hashable and picklable: it is part of the
    question that a shard is asked."""

    def level(self, facets: Facets) -> Level:
        """How much of a reference with these facets may be shown; its owner's own limits are left aside."""


@dataclass(frozen=True, slots=True)
class EverythingShown:
    """Where nothing judges: every reference, in full."""

    def level(self, facets: Facets) -> Level:
        """In full."""
        del facets
        return Level.FULL


@dataclass(frozen=True, slots=True)
class Grant:
    """What a call was judged to be allowed.

    Args:
        disclosure: which references it may use, and how much of each it may show.
        principal: who was proven to call; `NOBODY` where the service trusts everyone who reaches it.
        country: of the caller's entity; empty where it is not known.
        groups: of entities, that the caller's entity belongs to.
        policy: digest of the policies that were asked, hexadecimal; empty where there are none.
        decided_by: the policies that allowed it, by their ids.
        roles: that the policies counted, by their names.
        lights_out: whether the answer may be used without a person who looks at it.
    """

    disclosure: Disclosure = EverythingShown()
    principal: Principal = Principal()
    country: str = ""
    groups: frozenset[str] = frozenset()
    policy: str = ""
    decided_by: tuple[str, ...] = ()
    lights_out: bool = False
    roles: frozenset[str] = frozenset()


UNJUDGED = Grant()
"""Of a call that nobody judged: the service trusts everyone who reaches it."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be judged: who was proven to call, for whom and why they say that they do, and what they ask for.

    `attributes` of the request that a policy may look at: numbers, texts and truths by name, sorted. `modality` is
    empty of oversight, which has a `target`: the entity that is to be cut off or resumed, or else the caller's own.
    """

    principal: Principal
    caller: Caller
    action: Action | OversightAction
    modality: str
    attributes: tuple[tuple[str, bool | int | str], ...] = field(default=())
    target: str = ""


class Access(Protocol):
    """Judges calls before they are done. Safe to use from many threads."""

    @property
    def policy(self) -> str:
        """The digest of the policies in force, hexadecimal; empty where there are none."""

    def judge(self, asked: Asked) -> Grant:
        """What the call may do; takes well under a millisecond.

        Raises:
            Denied: it may not be done; the message says why, without anything about references.
        """


@runtime_checkable
class Reloading(Protocol):
    """Access whose rules may change while calls are open. Safe to use from many threads."""

    def refresh(self) -> bool:
        """Take changed rules, all of them or none; whether other ones are in force since. Blocks."""


class TrustEveryone:
    """Access where everybody is taken for whom they say they are, and may do everything."""

    policy = ""

    def judge(self, asked: Asked) -> Grant:
        """Everything is allowed."""
        return Grant(principal=asked.principal)
