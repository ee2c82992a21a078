"""The real server over mutual TLS: who gets in, and as whom."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from likeness.app.authority import Authority
from likeness.app.development_certificates import Made, make
from likeness.app.settings import load
from likeness.client import (
    AsyncLikenessClient,
    Enrolment,
    LikenessClient,
    Tls,
    Unauthenticated,
    Unavailable,
    Unimplemented,
)
from likeness.domain.access import Asked, Grant, Principal
from likeness.domain.errors import Precondition
from likeness.rpc.server import LIVE, OVERALL
from likeness.testing.server import LocalServer
from tests.certificates import EXAMINER, TRUST_DOMAIN, ServerFiles, authority, credentials
from tests.contract.conftest import HoldingModality, Served, composing
from tests.unit.rpc import test_tokens as issuing
from tests.waiting import PATIENCE, eventually

SAMPLE = b"1,0,0"
ELSEWHERE = "spiffe://elsewhere.test/bb/NCB-BB/examiner"


class Noting:
    """Access that lets everybody do everything and notes who asked."""

    policy = ""

    def __init__(self) -> None:
        self.principals: list[Principal] = []

    def judge(self, asked: Asked) -> Grant:
        self.principals.append(asked.principal)
        return Grant(principal=asked.principal)


class Rereading(Noting):
    """The same, of rules that might change."""

    def refresh(self) -> bool:
        return False


@pytest.fixture
def files(tmp_path: Path) -> ServerFiles:
    return ServerFiles(tmp_path / "tls").write()


@pytest.fixture
def noting() -> Noting:
    return Noting()


@pytest.fixture
def secure(prepare: Callable[..., Served], files: ServerFiles, noting: Noting) -> Served:
    return prepare(access=noting, **files.settings).start()


def refused(served: Served, given: grpc.ChannelCredentials | None) -> Exception:
    """How a client with these credentials learns that it does not get in."""
    with pytest.raises((Unavailable, Unauthenticated)) as caught:
        served.client(credentials=given, retries=0).face.enroll(SAMPLE)
    return caught.value


def test_a_certificate_of_the_authority_lets_its_holder_in_by_its_name(
    secure: Served, noting: Noting
) -> None:
    secure.client(credentials=credentials(EXAMINER)).face.enroll(SAMPLE)
    assert noting.principals == [Principal(name=EXAMINER)]


def test_every_item_of_a_stream_is_asked_by_the_principal_of_its_connection(
    secure: Served, noting: Noting
) -> None:
    client = secure.client(credentials=credentials(EXAMINER))
    outcomes = list(client.face.enroll_many(Enrolment(SAMPLE, request_id=str(n)) for n in range(3)))
    assert len(outcomes) == 3
    assert noting.principals == [Principal(name=EXAMINER)] * 3


def test_who_has_no_certificate_does_not_connect(secure: Served, noting: Noting) -> None:
    roots = grpc.ssl_channel_credentials(authority().certificate)
    assert isinstance(refused(secure, roots), Unavailable)
    assert isinstance(refused(secure, None), Unavailable)
    assert noting.principals == []


def test_the_client_says_what_is_wrong_with_a_connection(secure: Served) -> None:
    def words(served: Served, given: grpc.ChannelCredentials | None) -> str:
        error = refused(served, given)
        assert isinstance(error, Unavailable)
        assert error.reason == "HANDSHAKE_FAILED"
        return error.message

    assert "without a certificate" in words(secure, None)
    stranger = credentials(issuer=Authority("elsewhere"))
    assert "not of its authorities" in words(secure, stranger)
    assert "authority that this client trusts" in words(secure, credentials(root=Authority("elsewhere")))


def test_the_client_says_that_the_certificate_is_for_another_address(
    prepare: Callable[..., Served], files: ServerFiles
) -> None:
    files.write(authority().server(["elsewhere.example"]))
    error = refused(prepare(**files.settings).start(), credentials())
    assert "not for the address" in str(error)


def test_the_client_says_that_the_service_speaks_no_tls(served: Served) -> None:
    assert "speaks no TLS" in str(refused(served, credentials()))


def test_the_asynchronous_client_proves_itself_too(secure: Served, noting: Noting, tmp_path: Path) -> None:
    made = make(tmp_path / "own", authority(), Made("aa", "NCB-AA"), hosts=())
    folder = made[0].parent
    tls = Tls(folder / "authority.crt", folder / "examiner.crt", folder / "examiner.key")

    async def call() -> None:
        async with AsyncLikenessClient(secure.address, entity="NCB-AA", tls=tls, timeout=PATIENCE) as client:
            await client.face.analyze(SAMPLE)

    asyncio.run(call())
    assert noting.principals == [Principal(name=EXAMINER)]


def test_a_certificate_of_another_authority_does_not_connect(secure: Served, noting: Noting) -> None:
    stranger = credentials(EXAMINER, issuer=Authority("likeness test"))  # of the same name
    assert isinstance(refused(secure, stranger), Unavailable)
    assert noting.principals == []


@pytest.mark.parametrize(
    ("begins", "ends"),
    [(timedelta(days=-2), timedelta(days=-1)), (timedelta(days=1), timedelta(days=2))],
    ids=["expired", "not valid yet"],
)
def test_a_certificate_out_of_its_time_does_not_connect(
    secure: Served, noting: Noting, begins: timedelta, ends: timedelta
) -> None:
    now = datetime.now(UTC)
    assert isinstance(refused(secure, credentials(begins=now + begins, ends=now + ends)), Unavailable)
    assert noting.principals == []


def test_the_certificate_of_a_server_is_none_for_a_client(secure: Served) -> None:
    made = authority().server(["localhost"])
    given = grpc.ssl_channel_credentials(authority().certificate, made.key, made.certificate)
    assert isinstance(refused(secure, given), Unavailable)


@pytest.mark.parametrize(
    "uris",
    [
        (),
        (EXAMINER, f"spiffe://{TRUST_DOMAIN}/bb/NCB-BB/examiner"),
        ("spiffe://elsewhere.test/aa/NCB-AA/examiner",),
        (f"spiffe://{TRUST_DOMAIN}.evil.test/aa/NCB-AA/examiner",),
        (f"spiffe://{TRUST_DOMAIN}",),
        (f"spiffe://{TRUST_DOMAIN}/",),
        (f"spiffe://{TRUST_DOMAIN}/aa/../bb",),
        (f"spiffe://{TRUST_DOMAIN}/aa//bb",),
        (f"spiffe://{TRUST_DOMAIN}/aa?as=bb",),
        (f"https://{TRUST_DOMAIN}/aa",),
    ],
)
def test_a_certificate_without_exactly_one_name_of_the_trust_domain_proves_nobody(
    secure: Served, noting: Noting, uris: tuple[str, ...]
) -> None:
    made = authority().client(*uris)
    given = grpc.ssl_channel_credentials(authority().certificate, made.key, made.certificate)
    error = refused(secure, given)
    assert isinstance(error, Unauthenticated)
    assert error.reason == "CERTIFICATE_NAMES_NOBODY"
    assert error.field_violations == ()
    assert noting.principals == []


def test_health_over_tls_is_for_those_who_may_connect(secure: Served) -> None:
    with grpc.secure_channel(secure.address, credentials()) as channel:
        check = health_pb2_grpc.HealthStub(channel).Check
        answer = check(health_pb2.HealthCheckRequest(), timeout=PATIENCE)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING
    with grpc.insecure_channel(secure.address) as channel, pytest.raises(grpc.RpcError):
        health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=PATIENCE)


def test_a_certificate_is_swapped_under_load_without_a_failed_call(
    secure: Served, files: ServerFiles
) -> None:
    """Old connections go on, and new ones see the new certificate alone."""
    other = Authority("likeness new")
    failures: list[Exception] = []
    done = threading.Event()
    counts = [0] * 4

    def load(worker: int) -> None:
        while not done.is_set():
            try:
                # Connects anew each time, trusting both.
                both = authority().certificate + other.certificate
                made = authority().client(EXAMINER)
                given = grpc.ssl_channel_credentials(both, made.key, made.certificate)
                with secure_client(secure, given) as client:
                    for _ in range(3):
                        client.face.analyze(SAMPLE)
                        counts[worker] += 1
            except Exception as error:
                failures.append(error)
                return

    workers = [threading.Thread(target=load, args=(n,)) for n in range(len(counts))]
    with secure_client(secure, credentials()) as old:
        old.face.analyze(SAMPLE)
        for worker in workers:
            worker.start()
        reached(counts, 3)
        files.write(other.server(["127.0.0.1"]))
        reached(counts, 3)
        done.set()
        for worker in workers:
            worker.join()
        assert failures == []
        old.face.analyze(SAMPLE)
    with secure_client(secure, credentials(root=other)) as new:
        new.face.analyze(SAMPLE)
    assert isinstance(refused(secure, credentials()), Unavailable)


def secure_client(served: Served, given: grpc.ChannelCredentials) -> LikenessClient:
    return LikenessClient(served.address, entity="NCB-AA", credentials=given, timeout=PATIENCE, retries=0)


def reached(counts: list[int], more: int) -> None:
    """Wait until every worker has made so many calls more."""
    goals = [count + more for count in counts]
    eventually(lambda: all(count >= goal for count, goal in zip(counts, goals, strict=True)))


def test_files_that_do_not_belong_together_are_not_taken(secure: Served, files: ServerFiles) -> None:
    (files.folder / "tls.key").write_bytes(authority().client().key)
    secure.client(credentials=credentials()).face.analyze(SAMPLE)


def test_an_authority_that_is_taken_away_lets_nobody_new_in(secure: Served, files: ServerFiles) -> None:
    files.write(trusted=(Authority("likeness new"),))
    assert isinstance(refused(secure, credentials()), Unavailable)


def test_an_authority_is_believed_names_of_its_own_trust_domain_alone(
    prepare: Callable[..., Served], files: ServerFiles, noting: Noting, tmp_path: Path
) -> None:
    folder, theirs = tmp_path / "federated", Authority("elsewhere")
    folder.mkdir()
    (folder / "elsewhere.test.crt").write_bytes(theirs.certificate)
    (folder / "third.test.crt").write_bytes(Authority("third").certificate)
    given: dict[str, object] = {"tls.federated": folder, "access.poll_seconds": 0.05}
    served = prepare(access=noting, **files.settings, **given).start()
    root = authority()
    foreign = credentials(ELSEWHERE, issuer=theirs, root=root)
    client = served.client(credentials=foreign, retries=0)
    client.face.analyze(SAMPLE)
    served.client(credentials=credentials()).face.analyze(SAMPLE)
    assert [one.name for one in noting.principals] == [ELSEWHERE, EXAMINER]
    for forged in (
        credentials(EXAMINER, issuer=theirs, root=root),
        credentials(ELSEWHERE),
        credentials(ELSEWHERE.replace("elsewhere", "third"), issuer=theirs, root=root),
        credentials(ELSEWHERE.replace("elsewhere", "fourth"), issuer=theirs, root=root),
    ):
        error = refused(served, forged)
        assert isinstance(error, Unauthenticated)
        assert error.reason == "CERTIFICATE_NAMES_NOBODY"
    assert len(noting.principals) == 2


def test_a_trust_domain_that_is_taken_away_is_believed_nothing_more_on_open_connections(
    prepare: Callable[..., Served], files: ServerFiles, tmp_path: Path
) -> None:
    folder, theirs = tmp_path / "federated", Authority("elsewhere")
    folder.mkdir()
    file = folder / "elsewhere.test.crt"
    file.write_bytes(theirs.certificate)
    served = prepare(
        access=Rereading(), **files.settings, **{"tls.federated": folder, "access.poll_seconds": 0.05}
    )
    foreign = credentials(ELSEWHERE, issuer=theirs, root=authority())
    with served.start().client(credentials=foreign, retries=0) as client:
        client.face.analyze(SAMPLE)
        file.unlink()

        def is_refused() -> bool:
            try:
                client.face.analyze(SAMPLE)
            except Unauthenticated as error:
                return error.reason == "CERTIFICATE_NAMES_NOBODY"
            return False

        eventually(is_refused)
    assert isinstance(refused(served, foreign), Unavailable), "nor does it connect again"


def test_a_folder_of_authorities_holds_what_it_should(
    prepare: Callable[..., Served], files: ServerFiles, tmp_path: Path
) -> None:
    folder = tmp_path / "federated"
    given = {**files.settings, "tls.federated": folder}
    with pytest.raises(Precondition, match="is no folder"):
        prepare(**given)
    folder.mkdir()
    for name, content, why in (
        (f"{TRUST_DOMAIN}.crt", authority().certificate, "is of the service's own trust domain"),
        ("Elsewhere.crt", authority().certificate, "is not named for a trust domain"),
        ("elsewhere.test.crt", b"none", "holds no certificates"),
    ):
        (folder / name).write_bytes(content)
        with pytest.raises(Precondition, match=why) as caught:
            prepare(**given)
        assert caught.value.reason == "CERTIFICATE_UNFIT"
        (folder / name).unlink()


@pytest.mark.parametrize("missing", ["certificate", "key", "authorities", "trust_domain"])
def test_tls_is_on_with_all_its_settings_or_not_at_all(
    prepare: Callable[..., Served], files: ServerFiles, missing: str
) -> None:
    given = {name: value for name, value in files.settings.items() if name != f"tls.{missing}"}
    with pytest.raises(Precondition, match=missing) as caught:
        prepare(**given)
    assert caught.value.reason == "TLS_INCOMPLETE"


def test_a_server_does_not_start_with_a_key_of_another_certificate(
    prepare: Callable[..., Served], files: ServerFiles
) -> None:
    (files.folder / "tls.key").write_bytes(authority().client().key)
    with pytest.raises(Precondition, match="is not the key of the certificate") as caught:
        prepare(**files.settings)
    assert caught.value.reason == "CERTIFICATE_UNFIT"


def test_without_tls_only_this_machine_is_served(prepare: Callable[..., Served]) -> None:
    with pytest.raises(Precondition) as caught:
        prepare(address="0.0.0.0:0")
    assert caught.value.reason == "TLS_REQUIRED"
    everyone = prepare(address="0.0.0.0:0", **{"grpc.insecure_trust_everyone": True})
    assert everyone.server.transport.trusts_everyone
    assert not prepare(address="127.0.0.1:0").server.transport.trusts_everyone


def test_health_is_answered_on_a_port_of_its_own_without_tls(
    tmp_path: Path, files: ServerFiles, modality: HoldingModality
) -> None:
    given = {"home": tmp_path / "own", "address": "127.0.0.1:0", "health.address": "127.0.0.1:0"}
    settings = load(environment={}, overrides=given | files.settings)
    with (
        LocalServer(settings, composing(modality), private_health=True) as served,
        grpc.insecure_channel(f"127.0.0.1:{served.server.health_port}") as channel,
    ):
        for name in (OVERALL, LIVE):
            check = health_pb2_grpc.HealthStub(channel).Check
            answer = check(health_pb2.HealthCheckRequest(service=name), timeout=PATIENCE)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        client = LikenessClient("", entity="NCB-AA", channel=channel, retries=0, timeout=PATIENCE)
        with pytest.raises(Unimplemented):
            client.face.analyze(SAMPLE)
        assert isinstance(refused(served, None), Unavailable)


def test_what_was_asked_for_elsewhere_is_not_answered_on_the_port_of_health(
    tmp_path: Path, modality: HoldingModality
) -> None:
    given = {"home": tmp_path / "own", "address": "127.0.0.1:0", "health.address": "127.0.0.1:0"}
    settings = load(environment={}, overrides=given)
    with (
        LocalServer(settings, composing(modality), private_health=True) as served,
        grpc.insecure_channel(f"127.0.0.1:{served.server.health_port}") as channel,
    ):
        served.client().face.analyze(SAMPLE)
        client = LikenessClient("", entity="NCB-AA", channel=channel, retries=0, timeout=PATIENCE)
        with pytest.raises(Unimplemented):
            client.face.analyze(SAMPLE)


def test_a_token_proves_the_person_behind_the_certificate(
    prepare: Callable[..., Served], files: ServerFiles, noting: Noting, tmp_path: Path
) -> None:
    keys = tmp_path / "keys.json"
    keys.write_text(issuing.published("one"), encoding="utf-8")
    given = {"token.issuer": issuing.ISSUER, "token.audience": issuing.AUDIENCE, "token.keys": str(keys)}
    served = prepare(access=noting, **files.settings, **given).start()
    client = served.client(credentials=credentials(), token=issuing.token, operator="somebody else")
    client.face.analyze(SAMPLE)
    assert [(one.name, one.operator) for one in noting.principals] == [(EXAMINER, "Ada Roe")]
    expired = issuing.token(exp=1.0)
    with pytest.raises(Unauthenticated) as caught:
        served.client(credentials=credentials(), token=expired).face.analyze(SAMPLE)
    assert caught.value.reason == "TOKEN_EXPIRED"


def test_tokens_are_not_taken_without_tls(prepare: Callable[..., Served]) -> None:
    with pytest.raises(Precondition) as caught:
        prepare(**{"token.issuer": "https://login.example"})
    assert caught.value.reason == "TLS_REQUIRED"


def test_an_answer_to_a_proven_principal_is_not_insecure(secure: Served) -> None:
    client = secure.client(credentials=credentials())
    assert not client.face.search(SAMPLE).header.insecure
    assert not client.face.compare(SAMPLE, SAMPLE).header.insecure


def test_an_answer_over_plaintext_says_that_it_is_insecure(client: LikenessClient) -> None:
    assert client.face.search(SAMPLE).header.insecure
    assert client.face.compare(SAMPLE, SAMPLE).header.insecure
