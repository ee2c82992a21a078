"""The rules in force: one directory, one set of policies over it, and what was decided by them so far."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from likeness.access.conditions import NEVER, NOTHING, ByConditions, Condition, every, negated, some
from likeness.access.directory import Directory, ListedPrincipal
from likeness.access.engine import Decision, PolicyEngine, PolicyFailed, Question
from likeness.access.expressions import Compiler, NotInSubset
from likeness.access.limits import FMR_ONE_IN
from likeness.access.rules import LEVEL_ACTIONS, LIGHTS_OUT
from likeness.access.suspensions import Suspension
from likeness.domain.access import Action, Asked, Disclosure, Grant, OversightAction
from likeness.domain.errors import Denied

DECISIONS = 8192
"""Decisions that are cached: entities times purposes times methods of a large hub. One takes about 2 kB."""

FRONTLINE = "frontline"
"""The attribute of a request that says whether a search is by the frontline's profile."""

NAMED = 20
"""Entities of a bureau that a message names."""

_KeyT = TypeVar("_KeyT")
_ValueT = TypeVar("_ValueT")


class _Recent(Generic[_KeyT, _ValueT]):
    """What was used lately, up to a number of entries."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._entries: OrderedDict[_KeyT, _ValueT] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: _KeyT, make: Callable[[], _ValueT]) -> _ValueT:
        """What is stored under the key, made where it is not; two threads may make it at once."""
        with self._lock:
            if key in self._entries:
                self._entries.move_to_end(key)
                return self._entries[key]
        made = make()
        with self._lock:
            self._entries[key] = made
            if len(self._entries) > self._most:
                self._entries.popitem(last=False)
        return made


@dataclass(frozen=True, slots=True)
class _Judged:
    """What holds for every call that asks the same question. `way_out`: what who is denied may do instead."""

    decision: Decision
    disclosure: Disclosure
    lights_out: bool = False
    way_out: str = ""


class Ruling:
    """Judges calls by one directory and the policies over it. Safe to use from many threads.

    Args:
        directory: who there is.
        suspensions: entities that are cut off.
        engine: the policies.
        digest: of all of these, hexadecimal.
        failed: is called with the errors of policies that could not be evaluated.
    """

    def __init__(
        self,
        directory: Directory,
        suspensions: Mapping[str, Suspension],
        engine: PolicyEngine,
        digest: str,
        failed: Callable[[tuple[str, ...]], None],
    ) -> None:
        self.directory = directory
        self.engine = engine
        self.digest = digest
        self._suspensions = suspensions
        self._failed = failed
        self._compiler = Compiler(directory)
        self._judged: _Recent[tuple[Question, Action], _Judged] = _Recent(DECISIONS)
        self._disclosures: _Recent[Question, ByConditions] = _Recent(DECISIONS)

    @property
    def suspended(self) -> Mapping[str, Suspension]:
        """The entities that are cut off."""
        return self._suspensions

    def judge(self, asked: Asked) -> Grant:
        """See `Access.judge`."""
        known = self._admitted(asked)
        question = self._distinguished(question_of(asked, known))
        judged = self._decided(question, asked.action)
        unknown = bool(asked.target) and asked.target not in self.directory.entities
        if not judged.decision.allowed or unknown:
            way_out = judged.way_out or self._entities_meant(asked)
            refusal = _not_permitted(asked, question, way_out)
            refusal.decided_by = judged.decision.policies
            raise refusal
        entity = self.directory.entities[asked.caller.entity]
        return Grant(
            disclosure=judged.disclosure,
            principal=asked.principal,
            country=entity.country,
            groups=entity.groups,
            policy=self.digest,
            decided_by=judged.decision.policies,
            lights_out=judged.lights_out,
            roles=frozenset(role.value for role in question.roles),
        )

    def _distinguished(self, question: Question) -> Question:
        """The same for all questions that the policies cannot tell from each other."""
        one_in = question.fmr_one_in
        return question if one_in is None else replace(question, fmr_one_in=self.engine.limits.like(one_in))

    def _decided(self, question: Question, action: Action | OversightAction) -> _Judged:
        """Of oversight always decided anew: what comes at once was asked before, and an entity that does not exist
        must take as long as another bureau's."""
        if isinstance(action, OversightAction):
            return self._judge(question, action)
        return self._judged.get((question, action), lambda: self._judge(question, action))

    def disclosure(self, question: Question) -> ByConditions:
        """What of which references a call may be shown; none for which a policy cannot be evaluated."""
        return self._disclosures.get(question, lambda: self._disclosure(question))

    def _admitted(self, asked: Asked) -> ListedPrincipal:
        """The principal that calls, of an entity that it speaks for and that is not cut off.

        Raises:
            Denied: there is no such principal, it does not speak for the entity, or the entity is cut off.
        """
        name, entity = asked.principal.name, asked.caller.entity
        known = self.directory.principals.get(name)
        if known is None:
            raise Denied(
                f"The principal '{name}' is not in the directory of this service; ask its operator to enter it.",
                reason="PRINCIPAL_UNKNOWN",
                metadata={"principal": name},
            )
        if entity not in known.entities:
            raise Denied(
                f"The principal '{name}' does not speak for the entity '{entity}'; name one of its own in "
                "caller.entity, or ask the operator of this service to add it.",
                reason="ENTITY_NOT_OF_PRINCIPAL",
                metadata={"principal": name, "entity": entity},
            )
        if entity in self._suspensions:
            bureau = self.directory.entities[entity].bureau
            by_bureau = f"; its bureau, {bureau}, can resume it, or ask the operator to."
            by_operator = " by an operator of this service, who alone can resume it; ask there."
            raise Denied(
                f"The entity '{entity}' is cut off from this service"
                f"{by_bureau if self._suspensions[entity].caller else by_operator}",
                reason="ENTITY_SUSPENDED",
                metadata={"entity": entity, "bureau": bureau},
            )
        return known

    def _way_out(self, question: Question, action: Action | OversightAction) -> str:
        """What whoever may not search may do instead, as a part of the message; empty where there is nothing."""
        if action is not Action.SEARCH or question.frontline:
            return ""
        allowed = self.engine.decide(replace(question, frontline=True), action.value).allowed
        return "search by PROFILE_FRONTLINE, which is permitted, or " if allowed else ""

    def _entities_meant(self, asked: Asked) -> str:
        """Of an entity that is none of the caller's bureau, which there are, as a part of the message: the same
        whether or not there is that entity elsewhere."""
        entities = self.directory.entities
        bureau = entities[asked.caller.entity].bureau
        own = sorted(name for name, entity in entities.items() if entity.bureau == bureau)
        if not asked.target or asked.target in own:
            return ""
        more = f" and {len(own) - NAMED} more" if len(own) > NAMED else ""
        return f"your bureau has {', '.join(own[:NAMED])}{more}: name one of these, or "

    def _judge(self, question: Question, action: Action | OversightAction) -> _Judged:
        decision = self.engine.decide(question, action.value)
        if decision.errors:
            self._failed(decision.errors)
        if not decision.allowed or isinstance(action, OversightAction):
            return _Judged(decision, NOTHING, way_out=self._way_out(question, action))
        return _Judged(decision, self.disclosure(question), self._lights_out(question, action))

    def _lights_out(self, question: Question, action: Action) -> bool:
        """Never for faces, whatever a policy says."""
        if action is not Action.SEARCH or question.modality == "face":
            return False
        return self.engine.decide(question, LIGHTS_OUT).allowed

    def _disclosure(self, question: Question) -> ByConditions:
        try:
            return ByConditions.of(*(self._condition(question, action) for action in LEVEL_ACTIONS))
        except (PolicyFailed, NotInSubset) as error:
            self._failed(tuple(map(str, error.args)))
            return NOTHING

    def _condition(self, question: Question, action: str) -> Condition:
        residuals = self.engine.residuals(question, action)
        compiled = [(left, self._compiler.compiled(left.condition)) for left in residuals]
        permitted = some(*(one.holds for left, one in compiled if not left.forbids))
        forbidden = some(*(one.holds for left, one in compiled if left.forbids))
        failing = {left.policy: one.fails for left, one in compiled if one.fails != NEVER}
        if failing:
            names = ", ".join(sorted(failing))
            self._failed((f"Policies cannot be evaluated for some references, which are hidden: {names}.",))
        return every(permitted, negated(forbidden), negated(some(*failing.values())))


def question_of(asked: Asked, known: ListedPrincipal) -> Question:
    """What the policies see of a call by a principal of the directory."""
    attributes = dict(asked.attributes)
    fmr_one_in = attributes.get(FMR_ONE_IN)
    caller = asked.caller
    return Question(
        principal=asked.principal.name,
        person=asked.principal.person,
        roles=known.effective(asked.principal.roles),
        entity=caller.entity,
        purpose=caller.purpose,
        modality=asked.modality,
        named_case=bool(caller.case_reference),
        named_operator=bool(asked.principal.operator or caller.operator),
        fmr_one_in=int(fmr_one_in) if fmr_one_in is not None else None,
        frontline=bool(attributes.get(FRONTLINE, False)),
        target=asked.target,
    )


def _not_permitted(asked: Asked, question: Question, way_out: str) -> Denied:
    roles = ", ".join(sorted(question.roles)) or "no role"
    about = {"target": asked.target} if asked.target else {"modality": question.modality}
    return Denied(
        f"No policy lets the principal '{question.principal}' ({roles}) of {question.entity} call "
        f"{asked.action.value} on {asked.target or question.modality} for the purpose {question.purpose.value}; "
        f"{way_out}ask the operator of this service, who can see why with `likeness policy explain`.",
        reason="NOT_PERMITTED_BY_POLICY",
        metadata={
            "principal": question.principal,
            "entity": question.entity,
            "action": asked.action.value,
            **about,
            "purpose": question.purpose.value,
        },
    )
