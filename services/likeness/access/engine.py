"""The port of the policy engine: what is asked of it and what it says, in no product's words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from likeness.access.limits import Limits
from likeness.domain.access import Role
from likeness.domain.references import Facets, Purpose

Expression = Mapping[str, object]
"""A condition in the JSON form of Cedar (https://docs.cedarpolicy.com/policies/json-format.html)."""


@dataclass(frozen=True, slots=True)
class Question:
    """One call as the policies see it.

    Args:
        principal: SPIFFE identifier of one that the directory has.
        person: issuer#subject of the token behind it; empty without one.
        roles: in effect.
        entity: that it speaks for, of the directory.
        purpose: of the call.
        modality: of the service; empty of oversight.
        named_case: whether a case is named.
        named_operator: whether the person or system that acts is named.
        fmr_one_in: the limit on false matches, one in so many; None without one.
        frontline: whether it is a search by the frontline's profile.
        target: of oversight, the entity that it is about, also one that the directory does not have.
    """

    principal: str
    person: str
    roles: frozenset[Role]
    entity: str
    purpose: Purpose
    modality: str
    named_case: bool = False
    named_operator: bool = False
    fmr_one_in: int | None = None
    frontline: bool = False
    target: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether something may be done.

    Args:
        allowed: whether it may; never where a policy could not be evaluated.
        policies: that decided, by their ids; those that forbid where one does.
        errors: of policies that could not be evaluated.
    """

    allowed: bool
    policies: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Residual:
    """What is left of a policy once all but the reference is known."""

    policy: str
    forbids: bool
    condition: Expression


class PolicyEngine(Protocol):
    """Policies that were taken, over one directory. Safe to use from many threads."""

    @property
    def limits(self) -> Limits:
        """Which limits on false matches the policies tell from each other."""

    def decide(self, question: Question, action: str) -> Decision:
        """Whether a method may be called, or its answer used without a look at it (`lightsOut`).

        What is asked about is the modality, or where the question has none, the target.
        """

    def residuals(self, question: Question, action: str) -> tuple[Residual, ...]:
        """What is left of the policies about an action on references, `seeHit` for example.

        Raises:
            PolicyFailed: a policy could not be evaluated.
        """

    def decide_about(self, question: Question, action: str, facets: Facets) -> Decision:
        """Whether an action on one reference is allowed: what the residuals must agree with."""


class PolicyFailed(Exception):
    """A policy could not be evaluated, so nothing that hangs on it is allowed."""
