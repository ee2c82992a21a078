"""Whom a bearer token proves, and which tokens prove nobody."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from likeness.app.identity_sections import TokenSettings
from likeness.domain.access import Principal
from likeness.domain.errors import Precondition, Unavailable, Unproven
from likeness.rpc.identity import AuthContext, Metadata
from likeness.rpc.token_keys import KeysOfAddress, _fetch, keys_of, parse
from likeness.rpc.tokens import MAX_TOKEN, PersonProof, Tokens
from tests.waiting import eventually

ISSUER, AUDIENCE = "https://login.example", "likeness"
SKEW = 30.0


@cache
def curve(name: str) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@cache
def modulus() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def published(*names: str) -> str:
    """A key set with the keys of these names, and an RSA key."""
    rows = [
        json.loads(jwt.algorithms.ECAlgorithm.to_jwk(curve(name).public_key())) | {"kid": name}
        for name in names
    ]
    row = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(modulus().public_key()))
    return json.dumps({"keys": [*rows, row | {"kid": "rsa", "alg": "RS256"}]})


def token(
    key: Any = None, algorithm: str = "ES256", headers: dict[str, Any] | None = None, **claims: Any
) -> str:
    now = time.time()
    usual = {"iss": ISSUER, "aud": AUDIENCE, "sub": "4711", "exp": now + 300, "iat": now, "name": "Ada Roe"}
    given = {name: value for name, value in (usual | claims).items() if value is not None}
    return jwt.encode(given, key or curve("one"), algorithm=algorithm, headers=headers or {"kid": "one"})


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    path = tmp_path / "keys.json"
    path.write_text(published("one"), encoding="utf-8")
    return path


@pytest.fixture
def tokens(keys: Path) -> Tokens:
    return Tokens(TokenSettings(issuer=ISSUER, audience=AUDIENCE, keys=str(keys), clock_skew=SKEW))


def peer(auth_context: AuthContext, metadata: Metadata) -> Principal:
    return Principal(name="spiffe://likeness.test/aa")


def refused(tokens: Tokens, given: str) -> Unproven:
    with pytest.raises(Unproven) as caught:
        tokens.person(given)
    assert caught.value.field == ""
    return caught.value


def test_a_token_proves_the_person_behind_the_peer(tokens: Tokens) -> None:
    prove = PersonProof(peer, tokens)
    value = f"Bearer {token(roles=['examiner', 'supervisor'])}"
    assert prove({}, (("authorization", value),)) == Principal(
        name="spiffe://likeness.test/aa",
        person=f"{ISSUER}#4711",
        operator="Ada Roe",
        roles=frozenset({"examiner", "supervisor"}),
    )


def test_without_a_name_the_operator_is_the_subject(tokens: Tokens) -> None:
    assert tokens.person(token(name=None)).operator == "4711"


def test_an_rsa_key_counts_too(tokens: Tokens) -> None:
    assert tokens.person(token(modulus(), "RS256", {"kid": "rsa"})).operator == "Ada Roe"


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"aud": "elsewhere"}, "is not for this service"),
        ({"iss": "https://elsewhere.example"}, "is of another issuer"),
        ({"nbf": time.time() + 3600}, "is not valid yet"),
        ({"exp": None}, "lacks one of the claims"),
        ({"sub": None}, "lacks one of the claims"),
        ({"name": "Ada\x1b[2J"}, "names no person"),
        ({"name": "x" * 257}, "names no person"),
        ({"name": ["Ada"]}, "names no person"),
        ({"roles": {"examiner": True}}, "has no list"),
    ],
)
def test_a_token_with_other_claims_is_refused(tokens: Tokens, claims: dict[str, Any], why: str) -> None:
    error = refused(tokens, token(**claims))
    assert error.reason == "TOKEN_INVALID"
    assert why in error.message


@pytest.mark.parametrize(("ago", "is_taken"), [(SKEW / 2, True), (SKEW * 2, False)])
def test_an_expired_token_is_taken_within_the_skew_of_clocks_alone(
    tokens: Tokens, ago: float, is_taken: bool
) -> None:
    expired = token(exp=time.time() - ago)
    if is_taken:
        assert tokens.person(expired).operator == "Ada Roe"
    else:
        assert refused(tokens, expired).reason == "TOKEN_EXPIRED"


def public_pem() -> bytes:
    return modulus().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def forged_with_public_key() -> str:
    """Signed by HMAC, the issuer's public key taken for a secret: PyJWT itself would not make such a one."""

    def coded(value: bytes) -> str:
        return base64.urlsafe_b64encode(value).rstrip(b"=").decode()

    head = coded(json.dumps({"alg": "HS256", "kid": "rsa", "typ": "JWT"}).encode())
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "4711", "exp": time.time() + 300}
    body = f"{head}.{coded(json.dumps(claims).encode())}"
    return f"{body}.{coded(hmac.digest(public_pem(), body.encode(), hashlib.sha256))}"


def test_no_signature_and_one_by_the_public_key_are_refused(tokens: Tokens) -> None:
    unsigned = jwt.encode(
        {"iss": ISSUER, "aud": AUDIENCE, "sub": "4711", "exp": time.time() + 300},
        "",
        algorithm="none",
        headers={"kid": "one"},
    )
    for forged in (unsigned, forged_with_public_key()):
        assert "is not signed by one of" in refused(tokens, forged).message


@pytest.mark.parametrize(
    "forged",
    [
        token(curve("other")),
        token(curve("other"), headers={"kid": "other"}),
        token(curve("other"), headers={"kid": "rsa"}),
        token(headers={"kid": "one", "crit": ["b64"]}),
        token()[:-4] + "AAAA",
        "no.token",
        "",
        "x" * (MAX_TOKEN + 1),
    ],
)
def test_what_the_issuer_did_not_sign_is_refused(tokens: Tokens, forged: str) -> None:
    assert refused(tokens, forged).reason == "TOKEN_INVALID"


def test_keys_are_read_again_when_their_file_changes(tokens: Tokens, keys: Path) -> None:
    new = token(curve("two"), headers={"kid": "two"})
    refused(tokens, new)
    keys.write_text("not yet", encoding="utf-8")
    assert tokens.person(token()).operator == "Ada Roe"  # what was read before is in force
    keys.write_text(published("two"), encoding="utf-8")
    assert tokens.person(new).operator == "Ada Roe"


def test_the_keys_of_a_file_that_is_taken_away_are_withdrawn(keys: Path) -> None:
    found = keys_of(str(keys))
    assert found.find("one") is not None
    keys.unlink()
    with pytest.raises(Unavailable) as caught:
        found.find("one")
    assert caught.value.reason == "TOKEN_KEYS_UNAVAILABLE"
    keys.write_text(published("one"), encoding="utf-8")
    assert found.find("one") is not None


def test_the_keys_of_a_file_that_stays_unfit_are_not_taken_without_end(
    keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = keys_of(str(keys))
    keys.write_text("not yet", encoding="utf-8")
    assert found.find("one") is not None
    monkeypatch.setattr("likeness.rpc.token_keys.MAX_AGE_SECONDS", -1.0)
    with pytest.raises(Unavailable):
        found.find("one")


def test_a_token_that_was_taken_expires_all_the_same(tokens: Tokens, monkeypatch: pytest.MonkeyPatch) -> None:
    ends = time.time() + 5
    given = token(exp=ends)
    tokens.person(given)
    monkeypatch.setattr("jwt.api_jwt.datetime", _Later)
    monkeypatch.setattr("likeness.rpc.tokens.time", _Later)
    assert refused(tokens, given).reason == "TOKEN_EXPIRED"


class _Later(datetime):
    """A clock of an hour later, for PyJWT and for us."""

    @classmethod
    def now(cls, tz: Any = None) -> Any:
        return datetime.now(tz) + timedelta(hours=1)

    @staticmethod
    def time() -> float:  # type: ignore[override]
        return time.time() + 3600


@pytest.mark.parametrize(
    "metadata",
    [
        (("authorization", "Basic Zm9vOmJhcg=="),),
        (("authorization", f"Bearer {token()}"), ("authorization", f"Bearer {token()}")),
        (("authorization", b"Bearer x"),),
    ],
)
def test_a_token_is_sent_once_and_as_a_bearer_token(tokens: Tokens, metadata: Metadata) -> None:
    with pytest.raises(Unproven) as caught:
        PersonProof(peer, tokens)({}, metadata)
    assert caught.value.reason == "TOKEN_INVALID"


def test_a_call_without_a_token_is_its_peers_unless_one_is_required(tokens: Tokens) -> None:
    assert PersonProof(peer, tokens)({}, ()) == peer({}, ())
    with pytest.raises(Unproven) as caught:
        PersonProof(peer, tokens, required=True)({}, ())
    assert caught.value.reason == "TOKEN_REQUIRED"


def test_where_no_tokens_are_taken_nobody_is_left_to_believe_it(tokens: Tokens) -> None:
    with pytest.raises(Unproven, match="takes none"):
        PersonProof(peer, None)({}, (("authorization", f"Bearer {token()}"),))


@pytest.mark.parametrize("missing", ["issuer", "audience", "keys"])
def test_the_settings_are_set_together(keys: Path, missing: str) -> None:
    given: dict[str, Any] = {"issuer": ISSUER, "audience": AUDIENCE, "keys": str(keys)} | {missing: ""}
    with pytest.raises(Precondition, match=missing):
        Tokens(TokenSettings(**given))


@pytest.mark.parametrize(
    "row",
    [
        {"kty": "OKP", "crv": "X25519", "x": "A" * 43},
        {"kty": "EC", "crv": "BP-256", "x": "AA", "y": "AA"},
        {"kty": "RSA", "alg": "RSA-OAEP", "n": "AQAB", "e": "AQAB"},
        {"kty": "EC", "crv": "P-256", "x": "AA"},
        {"kty": "EC", "crv": "P-256", "x": 7, "y": None},
        {"kty": "AKP", "alg": "ML-DSA-44", "pub": "AA"},
    ],
)
def test_a_key_of_an_unknown_kind_is_left_out_and_the_others_are_taken(row: dict[str, Any]) -> None:
    rows = [row | {"kid": "odd"}, *json.loads(published("one"))["keys"]]
    assert set(parse(json.dumps({"keys": rows}).encode(), "keys.json")) == {"one", "rsa"}


@pytest.mark.parametrize(
    "text", ["", "[]", '{"keys": []}', '{"keys": [7]}', '{"keys": [{"kty": "oct", "k": "AA"}]}']
)
def test_what_is_no_set_of_public_keys_is_refused(text: str) -> None:
    with pytest.raises(Precondition) as caught:
        parse(text.encode(), "keys.json")
    assert caught.value.reason == "TOKEN_KEYS_UNFIT"


def test_keys_come_over_https_or_from_this_machine() -> None:
    with pytest.raises(Precondition, match="https"):
        keys_of("http://login.example/keys")


class Issuer:
    """Answers with whatever keys it publishes now."""

    def __init__(self) -> None:
        self.content = ""
        self.damages = 0
        self.asked = 0
        issuer = self

        class Page(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.asked += 1
                if self.path == "/moved":
                    self.send_response(302)
                    self.send_header("Location", issuer.address)
                    self.end_headers()
                    return
                self.send_response(200 if issuer.content else 503)
                if issuer.damages:
                    issuer.damages -= 1
                    self.send_header("Transfer-Encoding", "chunked")
                    self.end_headers()
                    self.wfile.write(b"100\r\nshort")
                    return
                self.end_headers()
                self.wfile.write(issuer.content.encode())

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()
        self.address = f"http://127.0.0.1:{self.server.server_port}/keys"


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    made = Issuer()
    yield made
    made.server.shutdown()
    made.server.server_close()
    made.thread.join()


def test_keys_are_fetched_without_holding_up_a_call_and_unknown_ones_asked_for(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("likeness.rpc.token_keys.LEAST_SECONDS", 0.0)
    found = KeysOfAddress(issuer.address)
    try:
        with pytest.raises(Unavailable):
            found.find("one")
        issuer.content = published("one")

        def knows(name: str) -> bool:
            try:
                return found.find(name) is not None
            except Unavailable:
                return False

        eventually(lambda: knows("one"))
        issuer.content = published("two")
        eventually(lambda: knows("two"))
        issuer.content = ""  # the issuer fails: what was fetched stays in force
        before = issuer.asked
        with pytest.raises(Unavailable):
            found.find("three")
        eventually(lambda: issuer.asked > before)
        assert knows("two")
    finally:
        found.close()
        found._thread.join()


def test_a_damaged_answer_does_not_end_the_fetching(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("likeness.rpc.token_keys.LEAST_SECONDS", 0.0)
    monkeypatch.setattr("likeness.rpc.token_keys.REFRESH_SECONDS", 0.01)
    issuer.content, issuer.damages = published("one"), 1
    found = KeysOfAddress(issuer.address)
    try:
        eventually(lambda: found._taken is not None)
        assert issuer.asked > 1
        assert found.find("one") is not None
    finally:
        found.close()
        found._thread.join()


def test_fetched_keys_are_not_taken_without_end(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    issuer.content = published("one")
    found = KeysOfAddress(issuer.address)
    try:
        eventually(lambda: found._taken is not None)
        assert found.find("one") is not None
        issuer.content = ""
        monkeypatch.setattr("likeness.rpc.token_keys.MAX_AGE_SECONDS", -1.0)
        with pytest.raises(Unavailable):
            found.find("one")
    finally:
        found.close()
        found._thread.join()


def test_a_redirect_is_not_followed(issuer: Issuer) -> None:
    issuer.content = published("one")
    with pytest.raises(OSError, match="302"):
        _fetch(issuer.address.replace("/keys", "/moved"))
    assert issuer.asked == 1


def test_strange_tokens_do_not_make_it_ask_again_and_again(issuer: Issuer) -> None:
    issuer.content = published("one")
    found = KeysOfAddress(issuer.address)
    try:
        eventually(lambda: found._taken is not None)
        assert [found.find(f"strange {n}") for n in range(100)] == [None] * 100
        assert issuer.asked == 1
    finally:
        found.close()
        found._thread.join()
