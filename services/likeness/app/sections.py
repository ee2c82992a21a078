"""The sections of the settings that every process has; each modality has one of its own in its entry."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from likeness.domain.audit import AuditMark
from likeness.domain.errors import InvalidInput
from likeness.domain.quotas import QuotaLimits, parse_roles
from likeness.engine.entry import Section
from likeness.transparency.note import check_name

_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.%]+\]|[^\s:/\[\]]+):(\d{1,5})")

_MIB = 1 << 20


def split_address(address: str) -> tuple[str, int]:
    """The host and the port of `host:port` or `[ipv6]:port`.

    Raises:
        ValueError: it is neither.
    """
    match = _ADDRESS.fullmatch(address)
    if match is None or int(match[2]) > 65535:
        raise ValueError(f"'{address}' is not host:port, for example 127.0.0.1:50051 or [::]:50051")
    return match[1].strip("[]"), int(match[2])


def _address(value: str) -> str:
    split_address(value)
    return value


def _address_or_off(value: str) -> str:
    return _address(value) if value else value


def _mark_or_none(value: str) -> str:
    return str(AuditMark.parse(value)) if value else value


def _origin_or_none(value: str) -> str:
    try:
        return check_name(value) if value else value
    except InvalidInput as error:
        raise ValueError(error.message) from None


class GrpcSettings(Section):
    """`[grpc]`: where calls come in, how many at once, and their limits."""

    address: Annotated[str, AfterValidator(_address)] = Field(
        default="127.0.0.1:50051",
        description="Where gRPC listens. Without TLS (`[tls]`) it must be a loopback address.",
    )
    insecure_trust_everyone: bool = Field(
        default=False,
        description="Listen on any address without TLS: whoever reaches it is taken for whom they say they are, "
        "may do everything, and reads and writes what others send. Every answer and the log say so.",
    )
    workers: int = Field(
        default=32,
        ge=1,
        le=1024,
        description="Requests worked on at once. More than threads: most of them wait to fill a batch.",
    )
    bulk_workers: int = Field(
        default=8,
        ge=1,
        le=1024,
        description="Of the workers, how many the items of streams may hold; the rest answer single requests.",
    )
    queue: int = Field(
        default=96, ge=0, le=65536, description="Requests that may wait for a worker; the next is refused."
    )
    max_streams: int = Field(default=16, ge=1, le=4096, description="Enrolment streams open at once.")
    stream_window: int = Field(
        default=32, ge=1, le=4096, description="Items of one stream taken in and not yet answered."
    )
    stream_idle: float = Field(
        default=120.0,
        gt=0,
        le=86400,
        description="Seconds that an enrolment stream may send nothing while nothing of it is worked on, and "
        "within which its client must have read an outcome.",
    )
    max_message_bytes: int = Field(
        default=68 * _MIB,
        ge=64 << 10,
        le=1 << 30,
        description="Bytes of one request; a comparison carries two samples.",
    )
    max_metadata_bytes: int = Field(
        default=512 << 10,
        ge=64 << 10,
        le=64 * _MIB,
        description="Bytes of one request apart from its samples: names, texts, filters.",
    )
    max_arriving: int = Field(
        default=128,
        ge=1,
        le=65536,
        description="Calls at once of which the request has not arrived yet. What has arrived of each is in "
        "memory, up to max_message_bytes.",
    )
    message_seconds: float = Field(
        default=20.0,
        gt=0,
        le=3600,
        description="Seconds within which the request of a call must have arrived, and its client have read an "
        "answer of a search with progress.",
    )
    max_connection_calls: int = Field(
        default=64, ge=1, le=65536, description="Calls at once over one connection; further ones wait there."
    )
    max_sample_bytes: int = Field(
        default=32 * _MIB, ge=1 << 10, le=1 << 30, description="Bytes of one sample."
    )
    max_bytes_in_flight: int = Field(
        default=512 * _MIB, ge=1 * _MIB, description="Bytes of all requests being worked on or waiting."
    )
    max_answer_bytes: int = Field(
        default=4 * _MIB,
        ge=256 << 10,
        le=64 * _MIB,
        description="Bytes of one answer; gRPC clients take 4 MiB unless set otherwise. Pages end earlier, "
        "low ranks are abridged, and what is still too large is refused.",
    )
    max_k: int = Field(default=1000, ge=1, le=1000, description="Candidates that one search may ask for.")
    max_page_size: int = Field(default=1000, ge=1, le=1000, description="References in one page of a list.")
    default_deadline: float = Field(
        default=30.0, gt=0, le=3600, description="Seconds that a request without a deadline may take."
    )
    max_deadline: float = Field(
        default=120.0,
        gt=0,
        le=3600,
        description="Seconds that any request may take; longer ones are cut to it.",
    )
    drain_grace: float = Field(
        default=25.0, ge=0, description="Seconds for running requests to finish when the service is stopped."
    )


class HealthSettings(Section):
    """`[health]`: what says whether the service is alive and ready, to whom cannot speak TLS."""

    address: Annotated[str, AfterValidator(_address_or_off)] = Field(
        default="127.0.0.1:50052",
        description="Where gRPC's health service listens without TLS, and nothing else; empty turns it off.",
    )


class MetricsSettings(Section):
    """`[metrics]`: the page that Prometheus reads."""

    address: Annotated[str, AfterValidator(_address_or_off)] = Field(
        default="127.0.0.1:9464", description="Where /metrics listens; empty turns it off."
    )


class LogSettings(Section):
    """`[log]`: the lines on standard error."""

    level: str = Field(
        default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="Least level that is logged."
    )


class StoreSettings(Section):
    """`[store]`: what is stored, and how it is sealed."""

    key_ring: Path | None = Field(
        default=None,
        description="The key ring file; unset means the one in the home folder, made on first run.",
    )
    reseal_old_keys: bool = Field(
        default=True,
        description="After a rotation of keys, seal under the new key what older ones sealed: in the background, "
        "with at most a fifth of the time of one thread, going on after a restart.",
    )
    keep_sources: bool = Field(
        default=False,
        description="Keep enrolled photographs, encrypted, for explanations and for new models.",
    )


class AuditSettings(Section):
    """`[audit]`: the record of what was asked and done."""

    expected_head: Annotated[str, AfterValidator(_mark_or_none)] = Field(
        default="",
        description="POSITION:DIGEST of an audit entry noted earlier (`likeness audit verify` prints the last one, "
        "and the log has it now and then); a store whose audit does not hold it is not served.",
    )
    origin: Annotated[str, AfterValidator(_origin_or_none)] = Field(
        default="",
        description="Name of this audit log in its signed checkpoints, such as hub.example/audit, given before the "
        "signing key is made; unset, the key's file says it.",
    )
    signing_key: Path | None = Field(
        default=None,
        description="File of the key that checkpoints are signed with; unset means signing.key next to the key "
        "ring, made when it is first needed.",
    )
    reserve_bytes: int = Field(
        default=64 * _MIB,
        ge=0,
        le=1 << 40,
        description="Bytes of disk held for the day on which it is full: searches go on record and references are "
        "expunged in them, and nothing is enrolled until there is space again; 0 holds none.",
    )


_MOST = 10**9


def _role_limits(value: str) -> str:
    parse_roles(value)
    return value


class QuotaSettings(Section):
    """`[quotas]`: how often one principal may search and compare, and be refused.

    A principal is the person whom a token proved, else whoever a certificate did, else the entity. Where no policy
    judges calls, `hour`, `day` and `refusals` count alone.
    """

    hour: int = Field(
        default=50_000, ge=1, le=_MOST, description="Searches and comparisons of one principal in an hour."
    )
    day: int = Field(
        default=200_000,
        ge=1,
        le=_MOST,
        description="Searches and comparisons of one principal in a day (UTC).",
    )
    subject: int = Field(
        default=50,
        ge=1,
        le=_MOST,
        description="Answers in a day in which one principal gets a fine score of one subject: from then on "
        "searches answer it with a false match rate of 0.001, and comparisons with it are refused.",
    )
    probe: int = Field(
        default=30,
        ge=1,
        le=_MOST,
        description="Searches and comparisons of one principal in a day with nearly the same sample.",
    )
    refusals: int = Field(
        default=10_000,
        ge=1,
        le=_MOST,
        description="Calls of one principal in an hour that are refused with their reason and have an entry of the "
        "audit each; further ones are refused without, and the audit has their number.",
    )
    roles: Annotated[str, AfterValidator(_role_limits)] = Field(
        default="",
        description="What differs for a role that the policy counts: `examiner.probe=60, case_system.day=400000`; "
        "of several roles the most counts.",
    )

    def limits(self) -> QuotaLimits:
        """What the engines count by."""
        return QuotaLimits(
            self.hour, self.day, self.subject, self.probe, self.refusals, parse_roles(self.roles)
        )


class SnapshotSettings(Section):
    """`[snapshot]`: copies of the indices, from which a start is quick."""

    interval: float = Field(default=300.0, ge=1, description="Seconds between snapshots of the index.")


class DecodingSettings(Section):
    """`[decoding]`: what photographs may cost, whatever is looked for in them."""

    max_pixels: int = Field(
        default=52_000_000,
        ge=10_000,
        le=1 << 30,
        description="Width times height of one image, before decoding; phones of 50 megapixels take 50,331,648.",
    )
    max_bytes: int = Field(
        default=1024 * _MIB,
        ge=128 * _MIB,
        description="Bytes that all images being decoded or looked at take together, those of the second process "
        "too; an image that finds none free waits, one that needs more than there are is refused.",
    )
