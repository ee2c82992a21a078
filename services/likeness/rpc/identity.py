"""Who asks: the one function that yields the caller, and the check that the request says why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from likeness.domain.errors import InvalidInput, Unauthenticated
from likeness.domain.references import Caller, Purpose
from likeness.engine.metadata_rules import NAME
from likeness.rpc.convert.enums import PURPOSES, member
from likeness.rpc.convert.texts import check_printable
from likeness.v1 import matching_pb2 as matching

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
)

MAX_TEXT = 256
"""Characters of a case reference and of an operator; both go into every audit entry."""


@dataclass(frozen=True, slots=True)
class Peer:
    """The connection that requests come over."""

    auth_context: AuthContext
    metadata: Metadata

    def caller(self, request: Request) -> Caller:
        """The caller of one request on this connection; see `identify`."""
        return identify(request, self.auth_context, self.metadata)


def identify(request: Request, auth_context: AuthContext, metadata: Metadata) -> Caller:
    """The caller of a request, whose texts are all checked first: every request, and item of a stream, passes here.

    The request's own caller context is believed: the service stands behind the upstream case system, which
    authenticates. Where the transport proves who the peer is, this function is the place that compares the
    two; nothing else in the product asks who is calling.

    Raises:
        Unauthenticated: the request names no entity.
        InvalidInput: the entity is malformed, the purpose of a search or comparison is missing, a text is too
            long, or any text of the request holds a control character.
    """
    del auth_context, metadata
    check_printable(request)
    context = request.caller
    if not context.entity:
        raise Unauthenticated(
            "The request does not say who asks; set caller.entity to the requesting authority, for example "
            "NCB-FR."
        )
    if not NAME.fullmatch(context.entity):
        raise InvalidInput(
            "caller.entity is malformed; give 1 to 64 letters, digits or ._:/- beginning with a letter or digit.",
            field="caller.entity",
        )
    for field in ("case_reference", "operator"):
        text: str = getattr(context, field)
        if len(text) > MAX_TEXT:
            raise InvalidInput(
                f"caller.{field} has {len(text)} characters; the limit is {MAX_TEXT}.",
                field=f"caller.{field}",
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
