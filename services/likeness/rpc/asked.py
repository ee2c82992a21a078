"""What a request that was refused had asked for, as far as it can stand in an entry of the audit.

The request need not be a valid one, so its texts are escaped and cut, and there are no more of them than are valid.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from likeness.domain.audit import REFERENCE, TARGET, JsonValue
from likeness.domain.text import printable
from likeness.rpc.convert.enums import CATEGORIES, STATUSES
from likeness.rpc.identity import Request
from likeness.v1 import common_pb2 as common
from likeness.v1 import matching_pb2 as matching
from likeness.v1 import oversight_pb2 as oversight

MAX_NAMES = 256
"""Of galleries, owners, categories or statuses in an entry; no request with more of them is taken."""

MAX_NAME = 128
"""Characters of a name or of a reference id in an entry; none that is taken is longer."""

Digest = Callable[[bytes], str]
Facts = Mapping[str, JsonValue]


@dataclass(frozen=True, slots=True)
class Wanted:
    """The parts of an entry that say what was asked for; see `AuditEntry`."""

    probe: str = ""
    filters: Facts = field(default_factory=dict)
    options: Facts = field(default_factory=dict)
    details: Facts = field(default_factory=dict)


def wanted_by(request: Request, digest: Digest) -> Wanted:
    """What a request asks for; `digest` makes the keyed digest of a sample."""
    match request:
        case matching.SearchRequest():
            wanted = Wanted(digest(request.probe.data), _filters(request.options), _options(request.options))
        case matching.ListRequest():
            statuses = _members(request.statuses, STATUSES)
            wanted = Wanted(filters={**_filters(request), "statuses": statuses})
        case matching.AnalyzeRequest():
            wanted = Wanted(digest(request.sample.data))
        case matching.CompareRequest():
            sides = [_side(request.probe, digest), _side(request.candidate, digest)]
            wanted = Wanted(details={"sides": sides})
        case matching.GetRequest() | matching.UpdateRequest() | matching.ExpungeRequest():
            wanted = Wanted(details={REFERENCE: _text(request.reference_id)})
        case oversight.ReadRecordRequest() if request.reference_id:
            wanted = Wanted(details={REFERENCE: _text(request.reference_id)})
        case oversight.SuspendEntityRequest() | oversight.ResumeEntityRequest():
            wanted = Wanted(details={TARGET: _text(request.entity)})
        case _:
            wanted = Wanted()
    return wanted


def _filters(message: common.SearchOptions | matching.ListRequest) -> Facts:
    return {
        "galleries": sorted(map(_text, message.galleries[:MAX_NAMES])),
        "owners": sorted(map(_text, message.owners[:MAX_NAMES])),
        "categories": _members(message.categories, CATEGORIES),
    }


def _options(message: common.SearchOptions) -> Facts:
    """As an entry of a search has them, without the number of candidates where the request did not say it."""
    limit = message.max_fmr
    count = {"k": message.k} if message.k else {}
    return {
        **count,
        "max_fmr": limit if math.isfinite(limit) else str(limit),
        "exhaustive": message.profile == common.PROFILE_EXHAUSTIVE,
        "frontline": message.profile == common.PROFILE_FRONTLINE,
        "lights_out": message.lights_out,
    }


def _members(numbers: Iterable[int], known: Mapping[int, str]) -> list[str]:
    """The domain's words for numbers of the protocol; of one that the protocol has not, the number."""
    return sorted({str(known.get(number, number)) for number in [*numbers][:MAX_NAMES]})


def _side(side: matching.Comparand, digest: Digest) -> str:
    return digest(side.sample.data) if side.WhichOneof("side") == "sample" else _text(side.reference_id)


def _text(text: str) -> str:
    return printable(text[:MAX_NAME])
