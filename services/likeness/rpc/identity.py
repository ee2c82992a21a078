"""Who asks: who was proven to call, the caller that a request names, and the judgement of what it may do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from likeness.domain.access import Access, Action, Asked, OversightAction, Principal, Reloading
from likeness.domain.errors import InvalidInput, Unauthenticated
from likeness.domain.references import Caller, Purpose
from likeness.engine.metadata_rules import NAME
from likeness.rpc.convert.enums import PURPOSES, member
from likeness.rpc.convert.texts import check_printable
from likeness.v1 import common_pb2 as common
from likeness.v1 import matching_pb2 as matching
from likeness.v1 import oversight_pb2 as oversight

AuthContext = Mapping[str, Iterable[bytes]]
"""What the transport proved of the peer, as `grpc.ServicerContext.auth_context()` gives it."""

Metadata = Sequence[tuple[str, str | bytes]]

Request = (
    matching.EnrollRequest
    | matching.GetRequest
    | matching.ListRequest
    | matching.UpdateRequest
    | matching.ExpungeRequest
    | matching.SearchRequest
    | matching.CompareRequest
    | matching.AnalyzeRequest
    | oversight.SuspendEntityRequest
    | oversight.ResumeEntityRequest
    | oversight.ListSuspensionsRequest
    | oversight.ReadRecordRequest
)

MAX_TEXT = 256
"""Characters of a case reference and of an operator; both go into every audit entry."""


Prove = Callable[[AuthContext, Metadata], Principal]
"""Who the peer of a call is proven to be; raises Unauthenticated where that is demanded and was not proven."""


def nobody(auth_context: AuthContext, metadata: Metadata) -> Principal:
    """Nothing is proven: for a service that trusts everyone who reaches it."""
    del auth_context, metadata
    return Principal()


@dataclass(frozen=True, slots=True)
class Peer:
    """Who was proven to send the requests of a call, and who judges them."""

    principal: Principal
    access: Access
    modality: str
    _granted: dict[str, Asked] = field(default_factory=dict)
    """What was granted last for each entity, where that may change."""

    def caller(self, request: Request) -> Caller:
        """The caller of one request, with what it may do; every request, and item of a stream, passes here.

        Raises:
            Denied: it may not be done.
            Unauthenticated, InvalidInput: see `identify`.
        """
        caller = identify(request)
        action = action_of(request)
        target = _target(request, caller) if isinstance(action, OversightAction) else ""
        asked = Asked(self.principal, caller, action, self.modality, _attributes(request), target)
        grant = self.access.judge(asked)
        if isinstance(self.access, Reloading):
            self._granted[caller.entity] = asked
        return replace(caller, operator=self.principal.operator or caller.operator, grant=grant)

    def judge_again(self) -> None:
        """Judge what was granted by the rules that are in force now.

        Raises:
            Denied: a part of it may not be done any more.
        """
        for asked in tuple(self._granted.values()):
            self.access.judge(asked)


MOST_ONE_IN = 10**15
"""The strictest limit that policies see: numbers of theirs have 64 bits."""


def _attributes(request: Request) -> tuple[tuple[str, int], ...]:
    """What policies may look at in a request: of a search its limit on false matches, and whether it is by the
    frontline's profile."""
    if not isinstance(request, matching.SearchRequest):
        return ()
    frontline = request.options.profile == common.PROFILE_FRONTLINE
    return (*_limit(request.options.max_fmr), ("frontline", frontline))


def _limit(max_fmr: float) -> tuple[tuple[str, int], ...]:
    """A limit on false matches, one in so many; nothing where there is none.

    Two digits of it, rounded to the lax side, so that a caller who varies it asks few different questions; twelve
    first, so that 1e-5 is one in 100,000 although its inverse is a little less.
    """
    if not 0 < max_fmr <= 1:
        return ()
    one_in = int(float(f"{min(1 / max_fmr, MOST_ONE_IN):.12g}")) if max_fmr > 1e-300 else MOST_ONE_IN
    step = 10 ** max(0, len(str(one_in)) - 2)
    return (("fmr_one_in", one_in - one_in % step),)


_OVERSIGHT = frozenset(OversightAction)


def action_of(request: Request) -> Action | OversightAction:
    """What a request asks for."""
    name = type(request).__name__.removesuffix("Request")
    return OversightAction(name) if name in _OVERSIGHT else Action(name)


def _target(request: Request, caller: Caller) -> str:
    """The entity that an act of oversight is about.

    Raises:
        InvalidInput: it is missing or malformed.
    """
    if not isinstance(request, oversight.SuspendEntityRequest | oversight.ResumeEntityRequest):
        return caller.entity
    if not request.entity:
        raise InvalidInput(
            "entity is missing; name the one that is meant.", field="entity", reason="REQUIRED_FIELD_MISSING"
        )
    _check_entity(request.entity, "entity")
    return request.entity


def _check_entity(name: str, field: str) -> None:
    if not NAME.fullmatch(name):
        raise InvalidInput(
            f"{field} is malformed; give 1 to 64 letters, digits or ._:/- beginning with a letter or digit.",
            field=field,
        )


def identify(request: Request) -> Caller:
    """The caller that a request names, whose texts are all checked first.

    Raises:
        Unauthenticated: the request names no entity.
        InvalidInput: the entity is malformed, the purpose of a search or comparison is missing, a text is too
            long, or any text of the request holds a control character.
    """
    check_printable(request)
    context = request.caller
    if not context.entity:
        raise Unauthenticated(
            "The request does not say who asks; set caller.entity to the requesting authority, for example "
            "NCB-FR."
        )
    _check_entity(context.entity, "caller.entity")
    for name in ("case_reference", "operator"):
        text: str = getattr(context, name)
        if len(text) > MAX_TEXT:
            raise InvalidInput(
                f"caller.{name} has {len(text)} characters; the limit is {MAX_TEXT}.",
                field=f"caller.{name}",
            )
    purpose = member(PURPOSES, context.purpose, "caller.purpose")
    if purpose is Purpose.UNSPECIFIED and isinstance(
        request, matching.SearchRequest | matching.CompareRequest
    ):
        raise InvalidInput(
            "The request does not say why it is made; set caller.purpose. It is recorded with every search and "
            "comparison.",
            field="caller.purpose",
            reason="PURPOSE_REQUIRED",
        )
    return Caller(context.entity, purpose, context.case_reference, context.operator)
