"""How often something may be done: what is counted, for how long, and the error where it was done too often."""

from __future__ import annotations

import difflib
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from likeness.domain.access import Role
from likeness.domain.errors import Exhausted

HOUR, DAY = 3_600, 86_400
"""Seconds. Windows begin at whole hours and days of UTC."""


class QuotaKind(StrEnum):
    """What is counted, by principal: all its searches and comparisons, those that one subject was answered to,
    those with nearly the same probe, and its calls that were refused."""

    PRINCIPAL = "principal"
    SUBJECT = "subject"
    PROBE = "probe"
    REFUSAL = "refusal"


@dataclass(frozen=True, slots=True)
class Charge:
    """One use of what may be used `limit` times within a window.

    Args:
        kind: what is counted.
        names: under which it is counted; several are several ways to recognise the same thing. They are stored as
            keyed digests alone.
        limit: uses within a window.
        seconds: of a window.
        agreeing: it is used up where so many of the names are.
        beyond: whether uses beyond the limit, which are refused, are counted as well.
    """

    kind: QuotaKind
    names: tuple[tuple[str, ...], ...]
    limit: int
    seconds: int = DAY
    agreeing: int = 1
    beyond: bool = False

    def ends(self, now: float) -> int:
        """When the window of a time ends; both in Unix seconds."""
        return (int(now) // self.seconds + 1) * self.seconds


_REASONS = {
    QuotaKind.PRINCIPAL: "QUOTA_OF_PRINCIPAL",
    QuotaKind.SUBJECT: "QUOTA_OF_SUBJECT",
    QuotaKind.PROBE: "QUOTA_OF_PROBE",
    QuotaKind.REFUSAL: "QUOTA_OF_REFUSALS",
}

_SAYING = {
    QuotaKind.PRINCIPAL: "You have made as many searches and comparisons as you may ({limit} in {window})",
    QuotaKind.SUBJECT: "You have compared that subject as often as you may ({limit} times in {window})",
    QuotaKind.PROBE: "You have sent nearly the same sample as often as you may ({limit} times in {window})",
    QuotaKind.REFUSAL: "Your calls were refused as often as they may be ({limit} times in {window}), and this one "
    "is refused too, without its own reason; see why the earlier ones were",
}

_WINDOWS = {HOUR: "an hour", DAY: "a day"}


class QuotaReached(Exhausted):
    """Something was done as often as it may be done.

    Args:
        charges: what is used up, all of one kind; at least one.
        ends: when the window ends, in Unix seconds.
        further: uses beyond the limit in the window, this one among them; 0 where they are not counted.
    """

    def __init__(self, charges: Sequence[Charge], ends: int, further: int = 0) -> None:
        first = charges[0]
        at = datetime.fromtimestamp(ends, UTC).isoformat().replace("+00:00", "Z")
        window = _WINDOWS.get(first.seconds, f"{first.seconds} s")
        saying = _SAYING[first.kind].format(limit=first.limit, window=window)
        super().__init__(
            f"{saying}; go on from {at}, or ask the operator of the service for more.",
            reason=_REASONS[first.kind],
            metadata={"quota": first.kind.value, "limit": str(first.limit), "ends": at},
        )
        self.charges = tuple(charges)
        self.ends = ends
        self.further = further
        self.retry_after = max(1.0, ends - time.time())


@dataclass(frozen=True, slots=True)
class QuotaLimits:
    """How often one principal may do what.

    Args:
        hour: searches and comparisons in an hour.
        day: the same in a day.
        subject: in a day, how often a subject is answered with a fine score, or compared 1:1.
        probe: in a day, searches and comparisons with nearly the same probe.
        refusals: calls in an hour that are refused, and have an entry of the audit each.
        by_role: by the name of a role, what differs for it; of several roles the most counts.
    """

    hour: int = 50_000
    day: int = 200_000
    subject: int = 50
    probe: int = 30
    refusals: int = 10_000
    by_role: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    def of(self, name: str, roles: Iterable[str]) -> int:
        """The limit of that name for somebody who has the roles."""
        own = [found[name] for role in roles if name in (found := self.by_role.get(role, {}))]
        usual: int = getattr(self, name)
        return max(own, default=usual)


LIMITS = ("hour", "day", "subject", "probe", "refusals")
"""The names of the limits."""

ROLES = tuple(role.value for role in Role)
"""The names of the roles."""

_ROLE_LIMIT = re.compile(r"([a-z_]{1,64})\.([a-z]+)=([1-9]\d{0,9})", re.ASCII)


def parse_roles(text: str) -> Mapping[str, Mapping[str, int]]:
    """Limits by role: of `examiner.probe=60, case_system.day=400000` what `QuotaLimits.by_role` takes.

    Raises:
        ValueError: it is something else, there is no such role or limit, or one is given twice.
    """
    found: dict[str, dict[str, int]] = {}
    for part in filter(None, map(str.strip, text.split(","))):
        match = _ROLE_LIMIT.fullmatch(part)
        if match is None or match[2] not in LIMITS:
            raise ValueError(
                f"'{part}' is not ROLE.LIMIT=NUMBER with one of {', '.join(LIMITS)}, such as examiner.probe=60"
            )
        if match[1] not in ROLES:
            near = difflib.get_close_matches(match[1], ROLES, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"there are {', '.join(ROLES)}"
            raise ValueError(f"'{match[1]}' in '{part}' is no role; {hint}")
        if match[2] in found.setdefault(match[1], {}):
            raise ValueError(f"{match[1]}.{match[2]} is given twice")
        found[match[1]][match[2]] = int(match[3])
    return found
