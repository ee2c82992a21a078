"""Why the service refused a part of a run: for what a file holds, for its own state, or for who asks.

Only the first is a matter of the file. The last is the same for every file, so a run that meets it ends.
"""

from __future__ import annotations

import grpc

from likeness.client import CallFailed

_OF_A_FILE = frozenset({grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.ALREADY_EXISTS})

_OF_A_CALLER = frozenset({grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED})

_OF_AN_OWNER = frozenset({"OWNER_KEY_ERASED", "WRONG_KEY"})
"""Reasons why nothing of the caller's can be stored."""

_OF_A_PRINCIPAL = frozenset({"QUOTA_OF_PRINCIPAL", "QUOTA_OF_REFUSALS"})
"""Quotas of all that a principal does; beyond that of refusals the reason of a file would not be learnt."""

_USED_UP = _OF_A_PRINCIPAL | {"QUOTA_OF_SUBJECT", "QUOTA_OF_PROBE"}

NEVER_OF_A_FILE = (
    _OF_AN_OWNER
    | _USED_UP
    | {"CALLER_UNKNOWN", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "QUEUE_FULL", "WRITE_QUEUE_FULL"}
    | {"NOT_PERMITTED_BY_POLICY", "PRINCIPAL_UNKNOWN", "ENTITY_NOT_OF_PRINCIPAL", "ENTITY_SUSPENDED"}
    | {"IDENTITY_UNPROVEN", "CERTIFICATE_EXPIRED", "CERTIFICATE_NAMES_NOBODY", "TLS_TOO_OLD"}
    | {"TOKEN_REQUIRED", "TOKEN_INVALID", "TOKEN_EXPIRED"}
)
"""Reasons that journals of older releases may have for a file that was not at fault."""


def is_of_the_file(error: CallFailed) -> bool:
    """Whether a file was rejected for what it holds, so that sending it again does not help."""
    return error.code in _OF_A_FILE


def is_of_the_caller(error: CallFailed) -> bool:
    """Whether a call was refused for who asks, or on whose behalf, and would be with any other file too."""
    return error.code in _OF_A_CALLER or error.reason in _OF_AN_OWNER | _OF_A_PRINCIPAL


def is_used_up(error: CallFailed) -> bool:
    """Whether a call was refused because something was done as often as it may be done."""
    return error.reason in _USED_UP
