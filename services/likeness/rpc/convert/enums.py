"""Enumerations of the protocol and of the domain, matched by name; what the protocol has not is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from likeness.domain.errors import InvalidInput
from likeness.domain.references import Category, Purpose, Status
from likeness.v1 import common_pb2 as common

_Member = TypeVar("_Member")

PURPOSES: Mapping[int, Purpose] = {common.Purpose.Value(f"PURPOSE_{p.name}"): p for p in Purpose}
CATEGORIES: Mapping[int, Category] = {common.Category.Value(f"CATEGORY_{c.name}"): c for c in Category}
STATUSES: Mapping[int, Status] = {common.Status.Value(f"STATUS_{s.name}"): s for s in Status}
PROFILES: Mapping[int, bool] = {
    common.PROFILE_UNSPECIFIED: False,
    common.PROFILE_INTERACTIVE: False,
    common.PROFILE_EXHAUSTIVE: True,
}
"""Profile to whether every allowed reference is compared."""


def member(table: Mapping[int, _Member], number: int, field: str) -> _Member:
    """The domain's member for a number of the protocol.

    Raises:
        InvalidInput: the protocol has no such number, or it stands for `not said` where something must be.
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
