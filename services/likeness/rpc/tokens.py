"""The person behind a call, by a bearer token that an issuer signed (RFC 6750, RFC 7519, OpenID Connect Core 2)."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import jwt

from likeness.app.identity_sections import TokenSettings
from likeness.domain.access import Principal
from likeness.domain.errors import Precondition, Unproven
from likeness.domain.text import unprintable_at
from likeness.rpc.identity import MAX_TEXT, AuthContext, Metadata, Prove
from likeness.rpc.token_keys import TokenKeys, keys_of

ALGORITHMS = ("ES256", "ES384", "EdDSA", "PS256", "RS256")
"""Of signatures that are taken: none that the public key, or nobody's key, could make."""
MAX_TOKEN = 16 << 10
"""Characters of a token."""
MAX_ROLES = 64
TRUSTED_SECONDS = 60.0
"""For which a token that was checked is not checked again: after that, a key that was withdrawn counts."""
_MAX_CACHED = 4096

_SCHEME = "bearer "


@dataclass(frozen=True, slots=True)
class Person:
    """Whom a token proves."""

    name: str
    operator: str
    roles: frozenset[str]


class Tokens:
    """Checks tokens: signature, issuer, audience and times.

    Args:
        settings: with issuer, audience and keys set.

    Raises:
        Precondition: one of them is not, or the keys are unfit.
    """

    def __init__(self, settings: TokenSettings) -> None:
        if settings.missing:
            raise Precondition(
                f"Tokens need token.{', token.'.join(settings.missing)} too; set issuer, audience and keys of "
                "[token], or nothing of it.",
                reason="TOKENS_INCOMPLETE",
            )
        self._settings = settings
        self._keys: TokenKeys = keys_of(settings.keys)
        self._checked: dict[bytes, tuple[Person, float]] = {}

    def person(self, token: str) -> Person:
        """Whom a token proves.

        Raises:
            Unproven: it is not taken.
            Unavailable: the issuer's keys are not there yet.
        """
        digest = hashlib.sha256(token.encode()).digest()
        known = self._checked.get(digest)
        now = time.time()
        if known is not None and now < known[1]:
            return known[0]
        claims = self._claims(token)
        person = self._person(claims)
        if len(self._checked) >= _MAX_CACHED:
            self._checked.clear()
        until = min(now + TRUSTED_SECONDS, float(claims["exp"]) + self._settings.clock_skew)
        self._checked[digest] = (person, until)
        return person

    def close(self) -> None:
        """End what fetches keys."""
        self._keys.close()

    def _claims(self, token: str) -> Mapping[str, Any]:
        if len(token) > MAX_TOKEN:
            raise _invalid(f"has more than {MAX_TOKEN} characters")
        try:
            header = jwt.get_unverified_header(token)
        except jwt.PyJWTError as error:
            raise _invalid("is no JSON Web Token") from error
        algorithm = header.get("alg")
        if algorithm not in ALGORITHMS:
            raise _invalid(f"is not signed by one of {', '.join(ALGORITHMS)}")
        if "crit" in header:
            raise _invalid("demands extensions that are not known here")
        key = self._keys.find(str(header.get("kid", "")))
        if key is None:
            raise _invalid("is signed by a key that its issuer does not publish")
        try:
            return jwt.decode(
                token,
                key,
                algorithms=list(ALGORITHMS),
                issuer=self._settings.issuer,
                audience=self._settings.audience,
                leeway=self._settings.clock_skew,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except jwt.ExpiredSignatureError as error:
            raise Unproven("The token has expired; get a new one.", reason="TOKEN_EXPIRED") from error
        except jwt.PyJWTError as error:
            raise _invalid(_WHY.get(type(error), "is not fit")) from error

    def _person(self, claims: Mapping[str, Any]) -> Person:
        subject = claims["sub"]
        operator = claims.get(self._settings.operator_claim) or subject
        for text in (subject, operator):
            if not isinstance(text, str) or not 0 < len(text) <= MAX_TEXT or unprintable_at(text) is not None:
                raise _invalid(f"names no person in 1 to {MAX_TEXT} plain characters")
        given = claims.get(self._settings.roles_claim, [])
        roles = given.split() if isinstance(given, str) else given
        if not isinstance(roles, list) or len(roles) > MAX_ROLES:
            raise _invalid(f"has no list of at most {MAX_ROLES} roles")
        names = frozenset(role for role in roles if isinstance(role, str) and len(role) <= MAX_TEXT)
        return Person(f"{self._settings.issuer}#{subject}", operator, names)


class PersonProof:
    """Adds the person of a token to the principal that a certificate proves.

    Args:
        peer: proves the peer.
        tokens: checks tokens; None refuses calls with one, so that nobody believes it to be heeded.
        required: whether a call without a token is refused.
    """

    def __init__(self, peer: Prove, tokens: Tokens | None, *, required: bool = False) -> None:
        self._peer = peer
        self._tokens = tokens
        self._required = required

    def __call__(self, auth_context: AuthContext, metadata: Metadata) -> Principal:
        """The principal, with the person behind it where a token proves one.

        Raises:
            Unproven: the peer or the person is not proven.
            Unavailable: see `Tokens.person`.
        """
        principal = self._peer(auth_context, metadata)
        given = [value for name, value in metadata if name == "authorization"]
        if not given:
            if self._required:
                raise Unproven(
                    "The call carries no token; send it as `authorization: Bearer TOKEN`.",
                    reason="TOKEN_REQUIRED",
                )
            return principal
        if self._tokens is None:
            raise _invalid("is not heeded, since this service takes none; leave it out")
        value = given[0]
        if len(given) > 1 or not isinstance(value, str) or value[: len(_SCHEME)].lower() != _SCHEME:
            raise _invalid("must be the only one, and be sent as `authorization: Bearer TOKEN`")
        person = self._tokens.person(value[len(_SCHEME) :].strip())
        return replace(principal, person=person.name, operator=person.operator, roles=person.roles)


_WHY: Mapping[type[Exception], str] = {
    jwt.InvalidAudienceError: "is not for this service",
    jwt.InvalidIssuerError: "is of another issuer",
    jwt.ImmatureSignatureError: "is not valid yet",
    jwt.InvalidSignatureError: "is not signed by its issuer",
    jwt.InvalidAlgorithmError: "is signed in another way than its key is for",
    jwt.MissingRequiredClaimError: "lacks one of the claims exp, iss, aud and sub",
}


def _invalid(why: str) -> Unproven:
    return Unproven(f"The token {why}.", reason="TOKEN_INVALID")
