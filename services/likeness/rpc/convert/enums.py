"""Enumerations of the protocol and of the domain, matched by name; what the protocol has not is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from likeness.domain.access import Level
from likeness.domain.answers import Likelihood
from likeness.domain.errors import InvalidInput
from likeness.domain.references import Category, Purpose, Status
from likeness.domain.samples import Pick, Severity
from likeness.v1 import common_pb2 as common

_Member = TypeVar("_Member")

PURPOSES: Mapping[int, Purpose] = {common.Purpose.Value(f"PURPOSE_{p.name}"): p for p in Purpose}
CATEGORIES: Mapping[int, Category] = {common.Category.Value(f"CATEGORY_{c.name}"): c for c in Category}
STATUSES: Mapping[int, Status] = {common.Status.Value(f"STATUS_{s.name}"): s for s in Status}
LEVELS: Mapping[int, Level | None] = {
    common.LEVEL_UNSPECIFIED: None,
    **{common.Level.Value(f"LEVEL_{v.name}"): v for v in Level if v is not Level.HIDDEN},
}
"""What an owner may disclose; unspecified leaves it to the policy."""
PICKS: Mapping[int, Pick] = {
    common.PICK_MOST_PROMINENT: Pick.MOST_PROMINENT,
    common.PICK_MOST_CENTRAL: Pick.MOST_CENTRAL,
}
PROFILES: Mapping[int, common.Profile.ValueType] = {
    common.PROFILE_UNSPECIFIED: common.PROFILE_INTERACTIVE,
    **{profile: profile for profile in common.Profile.values() if profile != common.PROFILE_UNSPECIFIED},
}
"""Every profile, by what is sent for it."""


def member(table: Mapping[int, _Member], number: int, field: str) -> _Member:
    """The domain's member for a number of the protocol.

    Raises:
        InvalidInput: the protocol has no such number, or it stands for `unspecified` where a value is required.
    """
    if number not in table:
        known = ", ".join(str(value) for value in table)
        raise InvalidInput(
            f"{field} is {number}, which is none of {known}; set it, and build the client with this service's "
            "protocol.",
            field=field,
            reason="UNKNOWN_ENUM_VALUE",
        )
    return table[number]


def purpose_value(purpose: Purpose) -> common.Purpose.ValueType:
    """The protocol's number."""
    return common.Purpose.Value(f"PURPOSE_{purpose.name}")


def category_value(category: Category) -> common.Category.ValueType:
    """The protocol's number."""
    return common.Category.Value(f"CATEGORY_{category.name}")


def status_value(status: Status) -> common.Status.ValueType:
    """The protocol's number."""
    return common.Status.Value(f"STATUS_{status.name}")


def level_value(level: Level | None) -> common.Level.ValueType:
    """The protocol's number; unspecified for none, and for what is hidden."""
    if not level:
        return common.LEVEL_UNSPECIFIED
    return common.Level.Value(f"LEVEL_{level.name}")


def modality_value(name: str) -> common.Modality.ValueType:
    """The protocol's number; unspecified for a modality that the protocol has no name for."""
    known = common.Modality.DESCRIPTOR.values_by_name.get(f"MODALITY_{name.upper()}")
    return common.MODALITY_UNSPECIFIED if known is None else common.Modality.Value(known.name)


def severity_value(severity: Severity) -> common.Severity.ValueType:
    """The protocol's number."""
    return common.Severity.Value(f"SEVERITY_{severity.name}")


def likelihood_value(likelihood: Likelihood | None) -> common.Likelihood.ValueType:
    """The protocol's number; unspecified for a modality without bands."""
    if likelihood is None:
        return common.LIKELIHOOD_UNSPECIFIED
    return common.Likelihood.Value("LIKELIHOOD_" + likelihood.value.upper().replace(" ", "_"))
