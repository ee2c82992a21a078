"""Page tokens: where the next page of a list begins, in a form that means nothing to a client.

A token names its version, the cursor of the engine, and a digest of both with the query that it belongs to. The
digest finds out mistakes and not attacks: a cursor grants nothing, since every page is filtered by what its caller
may see.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import struct

from likeness.domain.errors import InvalidInput
from likeness.domain.references import Caller
from likeness.v1 import matching_pb2 as matching

_VERSION = 1
_FIELDS = struct.Struct(">BQ12s")
"""Version, cursor, and the first bytes of a SHA-256."""


class PageTokens:
    """The tokens of one query: of its caller and purpose, its modality and its filters, whatever the page size.

    Args:
        query: the request; its page size and token are left aside.
        caller: who asks.
        modality: what is listed.
    """

    def __init__(self, query: matching.ListRequest, caller: Caller, modality: str) -> None:
        names = [sorted(set(filter_)) for filter_ in (query.galleries, query.owners)]
        numbers = [sorted(set(filter_)) for filter_ in (query.categories, query.statuses)]
        content = [modality, caller.entity, caller.purpose.value, names, numbers]
        self._query = json.dumps(content).encode()

    def issue(self, cursor: str) -> str:
        """The token for the engine's cursor; empty for none."""
        if not cursor:
            return ""
        return base64.urlsafe_b64encode(self._packed(int(cursor))).decode().rstrip("=")

    def cursor(self, token: str) -> str:
        """The engine's cursor; empty for the first page.

        Raises:
            InvalidInput: the token is none of ours, or of another query.
        """
        if not token:
            return ""
        try:
            packed = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
            version, cursor, _ = _FIELDS.unpack(packed)
        except (binascii.Error, ValueError, struct.error):
            raise _refused("is not one that List returned") from None
        if version != _VERSION:
            raise _refused("was made by another release of this service")
        if packed != self._packed(cursor):
            raise _refused("belongs to a List with another caller, purpose, modality or filter")
        return str(cursor)

    def _packed(self, cursor: int) -> bytes:
        digest = hashlib.sha256(_FIELDS.pack(_VERSION, cursor, b"") + self._query).digest()
        return _FIELDS.pack(_VERSION, cursor, digest[:12])


def _refused(why: str) -> InvalidInput:
    return InvalidInput(
        f"The page_token {why}; send the next_page_token of the page before with the same request, or begin again "
        "without one.",
        field="page_token",
        reason="PAGE_TOKEN_INVALID",
    )
