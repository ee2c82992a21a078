"""Every Prometheus metric of the product, with its unit and the reason for its buckets.

Labels come from small closed sets: modality, stage, service, method, status code, a reason constant. No
label ever holds an entity, a gallery, a reference, a case or anything else that grows with use or speaks of a
person. Packages on this floor and below do not import this module; they take callbacks, and the engine or the
composition root passes these functions in.

Conventions: https://prometheus.io/docs/practices/naming/ (base units, `_total`, `_seconds`, `_info`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from functools import cache

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

REGISTRY = CollectorRegistry()
"""The product's own registry, so that a library's metrics cannot slip onto its page."""

ProcessCollector(registry=REGISTRY)
PlatformCollector(registry=REGISTRY)
GCCollector(registry=REGISTRY)


class _Assistant(Collector):
    """CPU and memory of the process that shares the work, which the server's own numbers leave out; 0 without."""

    def __init__(self) -> None:
        self.pid: int | None = None
        self._process = ProcessCollector("likeness_assistant", lambda: self.pid or "none", registry=None)

    def collect(self) -> Iterable[Metric]:
        prefix = "likeness_assistant_process_"
        return self._process.collect() or [
            CounterMetricFamily(
                f"{prefix}cpu_seconds", "Total user and system CPU time spent in seconds.", 0
            ),
            GaugeMetricFamily(f"{prefix}resident_memory_bytes", "Resident memory size in bytes.", 0),
        ]


_assistant = _Assistant()
REGISTRY.register(_assistant)

# A read of one reference takes about 2 ms, a search 50 ms to 1 s on a processor, and the default deadline is
# 10 s with 120 s as the most; a stream of enrolments lasts as long as its client likes and falls in +Inf.
_RPC_SECONDS = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)

# A comparison of one shortlist takes under a millisecond, detection in a large photograph about a second.
_STAGE_SECONDS = (0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

# Powers of two up to the largest batch that any model is run with.
_BATCH_ITEMS = (1, 2, 4, 8, 16, 32, 64)

# A group holds what arrived while the group before it was made durable: one when idle, hundreds in bulk.
_GROUP_ENTRIES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)

# An fsync takes 0.1 ms on a good NVMe drive, 10 ms on a disk, 100 ms and more on one that is failing.
_COMMIT_SECONDS = (0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)

# A flat index of a thousand vectors is built in milliseconds, a trained one of many millions in an hour.
_BUILD_SECONDS = (0.01, 0.1, 0.5, 1, 5, 15, 60, 180, 600, 1800, 3600)

# --- Process -------------------------------------------------------------------------------------------------

# A gauge without labels is on the page from the start, as 0: alerts would read that as an empty queue, a full disk
# or a log that was rolled back. So those whose value is known only later are registered with their first value.
_late_lock = threading.Lock()
_late: set[Gauge] = set()


def _from_now_on(gauge: Gauge) -> Gauge:
    """Show a gauge on the page, if it is not there yet."""
    with _late_lock:
        if gauge not in _late:
            _late.add(gauge)
            REGISTRY.register(gauge)
    return gauge


_build_info = Gauge(
    "likeness_build_info",
    "1, labelled with the version of the product, the revision that it was built from and Python's version.",
    ("version", "revision", "python"),
    registry=REGISTRY,
)
_memory_limit = Gauge(
    "likeness_memory_limit_bytes",
    "Memory that the process may use: the least of its control groups' limits and the machine's memory.",
    registry=None,
)

# --- RPC -----------------------------------------------------------------------------------------------------

# The count of the histogram is the rate, and with code != OK the errors; a separate counter could disagree.
_rpc_seconds = Histogram(
    "likeness_rpc_duration_seconds",
    "Time from the arrival of an RPC to its end, by status code.",
    ("service", "method", "code"),
    buckets=_RPC_SECONDS,
    registry=REGISTRY,
)
_rpc_in_flight = Gauge(
    "likeness_rpc_in_flight",
    "RPCs being answered or waiting for their turn.",
    ("service", "method"),
    registry=REGISTRY,
)
_rpc_waiting = Gauge(
    "likeness_rpc_queue_depth",
    "Calls admitted and waiting for a worker thread.",
    registry=REGISTRY,
)
_rpc_queue_limit = Gauge(
    "likeness_rpc_queue_limit",
    "Calls that may wait for a worker thread; the next one is refused.",
    registry=None,
)
_rpc_errors = Counter(
    "likeness_rpc_errors_total",
    "RPCs that ended in an error, by status code and the reason that the client was given.",
    ("service", "method", "code", "reason"),
    registry=REGISTRY,
)
_stream_items = Counter(
    "likeness_rpc_stream_items_total",
    "Items of enrolment streams, by outcome (enrolled, replayed, rejected).",
    ("service", "method", "outcome"),
    registry=REGISTRY,
)
_serving = Gauge(
    "likeness_serving",
    "1 while the service reports SERVING, 0 while it starts or drains.",
    ("service",),
    registry=REGISTRY,
)

# --- Access --------------------------------------------------------------------------------------------------

_policy_changes = Counter(
    "likeness_policy_changes_total",
    "Changes of policies, directory and suspensions, by outcome (taken, refused).",
    ("outcome",),
    registry=REGISTRY,
)
_policy_stale = Gauge(
    "likeness_policy_stale",
    "1 while the files of policies and directory are not what is in force, because they cannot be taken.",
    registry=None,
)
_policy_failures = Counter(
    "likeness_policy_failures_total",
    "Questions that a policy could not be evaluated for; what hung on them was denied.",
    registry=REGISTRY,
)

# --- Work ----------------------------------------------------------------------------------------------------

_stage_seconds = Histogram(
    "likeness_stage_duration_seconds",
    "Time per stage of a request: decode, detect, embed, search, compare, hits, audit.",
    ("modality", "stage"),
    buckets=_STAGE_SECONDS,
    registry=REGISTRY,
)
_batch_items = Histogram(
    "likeness_batch_size",
    "Items that one run of a model in the server worked on, batched across requests.",
    ("batcher",),
    buckets=_BATCH_ITEMS,
    registry=REGISTRY,
)
_assistant_up = Gauge(
    "likeness_assistant_up",
    "1 while a second process shares the work; 0 before it is ready, and after it ended until it starts again.",
    ("modality",),
    registry=REGISTRY,
)
_batch_queue = Gauge(
    "likeness_batch_queue_depth",
    "Items waiting for a run of the model.",
    ("batcher",),
    registry=REGISTRY,
)
_rejections = Counter(
    "likeness_rejections_total",
    "Samples or presentations that could not be used, by mode (enrol, probe, analyse) and reason.",
    ("modality", "mode", "reason"),
    registry=REGISTRY,
)
_quotas_reached = Counter(
    "likeness_quotas_reached_total",
    "Times that a quota was found used up: a call was refused, or the subject of a candidate is answered with a "
    "false match rate of 0.001 from then on.",
    ("quota",),
    registry=REGISTRY,
)
_quality_overrides = Counter(
    "likeness_quality_overrides_total",
    "References enrolled in spite of a quality limit, with a recorded reason.",
    ("modality",),
    registry=REGISTRY,
)
_model_info = Gauge(
    "likeness_model_info",
    "1, labelled with the model, template space and calibration in use.",
    ("modality", "model", "space", "calibration"),
    registry=REGISTRY,
)

_certificate_expires = Gauge(
    "likeness_certificate_expiry_timestamp_seconds",
    "When the server's certificate in use expires, in seconds of Unix time.",
    registry=None,
)

# --- Store ---------------------------------------------------------------------------------------------------

_store_bytes = Gauge(
    "likeness_store_bytes",
    "Size of the store's files, by kind (database, wal, snapshots, reserve, other).",
    ("kind",),
    registry=REGISTRY,
)
_store_free = Gauge(
    "likeness_store_free_bytes",
    "Space left to the service on the file system of the store.",
    registry=None,
)
_store_capacity = Gauge(
    "likeness_store_capacity_bytes",
    "Size of the file system of the store.",
    registry=None,
)
_last_backup = Gauge(
    "likeness_backup_timestamp_seconds",
    "When the last backup of the store was made that was read back whole, in seconds of Unix time.",
    registry=None,
)
_audit_position = Gauge(
    "likeness_audit_position",
    "The last committed position of the audit chain.",
    registry=None,
)

# --- Log and index -------------------------------------------------------------------------------------------

_log_position = Gauge("likeness_log_position", "The last committed position of the log.", registry=None)
_index_position = Gauge(
    "likeness_index_log_position",
    "The log position that the index has applied.",
    ("modality",),
    registry=REGISTRY,
)
_index_lag = Gauge(
    "likeness_index_log_lag",
    "Committed log entries that the index has not applied yet.",
    ("modality",),
    registry=REGISTRY,
)
_references = Gauge(
    "likeness_index_references",
    "References in the index; the gallery size, all galleries together.",
    ("modality",),
    registry=REGISTRY,
)
_tail = Gauge(
    "likeness_index_tail_references",
    "References enrolled since the current generation was built, searched exactly in addition to it.",
    ("modality",),
    registry=REGISTRY,
)
_generation_info = Gauge(
    "likeness_index_generation_info",
    "1, labelled with the generation being searched and its kind.",
    ("modality", "generation", "kind"),
    registry=REGISTRY,
)
_build_seconds = Histogram(
    "likeness_index_build_duration_seconds",
    "Time to build a generation in the background.",
    ("modality",),
    buckets=_BUILD_SECONDS,
    registry=REGISTRY,
)
_recall = Gauge(
    "likeness_index_recall_ratio",
    "Share of the exact nearest neighbours that the index found, on sampled stored vectors (0 to 1).",
    ("modality",),
    registry=REGISTRY,
)
_recall_sample = Gauge(
    "likeness_index_recall_sample_vectors",
    "Stored vectors that the recall was measured with.",
    ("modality",),
    registry=REGISTRY,
)
# A time and not an age: an age stands still when the process that sets it hangs.
_snapshot_time = Gauge(
    "likeness_snapshot_timestamp_seconds",
    "Unix time of the newest durable snapshot; its age is time() minus this.",
    ("modality",),
    registry=REGISTRY,
)
_snapshot_interval = Gauge(
    "likeness_snapshot_interval_seconds",
    "How often, at most, a snapshot is taken of an index that changes.",
    ("modality",),
    registry=REGISTRY,
)

# --- Commits -------------------------------------------------------------------------------------------------

_commit_entries = Histogram(
    "likeness_commit_group_size",
    "Entries made durable by one commit, by chain (log, audit).",
    ("chain",),
    buckets=_GROUP_ENTRIES,
    registry=REGISTRY,
)
_commit_seconds = Histogram(
    "likeness_commit_duration_seconds",
    "Time for one commit to become durable, by chain (log, audit).",
    ("chain",),
    buckets=_COMMIT_SECONDS,
    registry=REGISTRY,
)


@cache  # the look-up of a child takes longer than what is done with it
def rpc_seconds(service: str, method: str, code: str) -> Histogram:
    """Duration of an RPC in seconds; `code` is the name of its gRPC status."""
    return _rpc_seconds.labels(service, method, code)


@cache
def rpc_in_flight(service: str, method: str) -> Gauge:
    """RPCs under way: inc() on arrival, dec() at the end."""
    return _rpc_in_flight.labels(service, method)


def build_info(version: str, revision: str, python: str) -> None:
    """Record what runs; `revision` is empty where it is not known."""
    _build_info.labels(version, revision, python).set(1)


def memory_limit(limit: int) -> None:
    """Record the bytes of memory that the process may use."""
    _from_now_on(_memory_limit).set(limit)


def rpc_queue_limit(limit: int) -> None:
    """Record how many calls may wait for a worker thread."""
    _from_now_on(_rpc_queue_limit).set(limit)


def rpc_queue_depth() -> Gauge:
    """Calls waiting for a worker thread."""
    return _rpc_waiting


def rpc_errors(service: str, method: str, code: str, reason: str) -> Counter:
    """RPCs that ended in an error; `code` is the name of its gRPC status, `reason` the constant of the error."""
    return _rpc_errors.labels(service, method, code, reason)


def stream_items(service: str, method: str, outcome: str) -> Counter:
    """Items of a stream; `outcome` is enrolled, replayed or rejected."""
    return _stream_items.labels(service, method, outcome)


def serving(service: str) -> Gauge:
    """1 while SERVING."""
    return _serving.labels(service)


def policy_changes(outcome: str) -> Counter:
    """Changes of the rules, by outcome."""
    return _policy_changes.labels(outcome)


def policy_stale() -> Gauge:
    """1 while changed rules are refused."""
    return _from_now_on(_policy_stale)


def policy_failures() -> Counter:
    """Policies that could not be evaluated."""
    return _policy_failures


@cache
def stage(modality: str, stage: str) -> Histogram:
    """Seconds of one stage: decode, detect, embed, search, compare, hits or audit."""
    return _stage_seconds.labels(modality, stage)


def assistant(modality: str) -> Callable[[int | None], None]:
    """What records the process that shares the work of a modality: its id, or None while there is none."""
    gauge = _assistant_up.labels(modality)

    def record(pid: int | None) -> None:
        _assistant.pid = pid
        gauge.set(0 if pid is None else 1)

    return record


@cache
def batch_size(batcher: str) -> Histogram:
    """Items in one run of a model."""
    return _batch_items.labels(batcher)


@cache
def batch_queue_depth(batcher: str) -> Gauge:
    """Items waiting for a run; may be given a callback with set_function()."""
    return _batch_queue.labels(batcher)


def rejections(modality: str, mode: str, reason: str) -> Counter:
    """Samples or presentations that could not be used; `reason` is a constant, never free text."""
    return _rejections.labels(modality, mode, reason)


def quota_reached(quota: str) -> Counter:
    """Times that a quota of a kind (principal, subject or probe) was found used up."""
    return _quotas_reached.labels(quota)


def quality_overrides(modality: str) -> Counter:
    """Enrolments in spite of a quality limit."""
    return _quality_overrides.labels(modality)


def store_bytes(kind: str) -> Gauge:
    """Bytes of the store's files of a kind: database, wal, snapshots, reserve or other."""
    return _store_bytes.labels(kind)


def store_space(free: int, capacity: int) -> None:
    """Record the bytes left to the service on the store's file system, and its size in bytes."""
    _from_now_on(_store_capacity).set(capacity)
    _from_now_on(_store_free).set(free)


def last_backup(seconds: float) -> None:
    """Show when the store was last backed up, in seconds of Unix time."""
    _from_now_on(_last_backup).set(seconds)


def certificate_expires(seconds: float) -> None:
    """Show when the server's certificate expires, in seconds of Unix time."""
    _from_now_on(_certificate_expires).set(seconds)


def audit_position(position: int) -> None:
    """Record the last committed position of the audit chain."""
    _from_now_on(_audit_position).set(position)


def log_position(position: int) -> None:
    """Record the last committed log position."""
    _from_now_on(_log_position).set(position)


def index_log_position(modality: str) -> Gauge:
    """The log position that the index has applied."""
    return _index_position.labels(modality)


def index_log_lag(modality: str) -> Gauge:
    """Log entries committed and not yet applied; 0 is fresh."""
    return _index_lag.labels(modality)


def index_references(modality: str) -> Gauge:
    """References in the index."""
    return _references.labels(modality)


def index_tail(modality: str) -> Gauge:
    """References outside the current generation."""
    return _tail.labels(modality)


def index_build_seconds(modality: str) -> Histogram:
    """Seconds to build a generation."""
    return _build_seconds.labels(modality)


def index_recall(modality: str, recall: float, sample: int) -> None:
    """Record a measured recall (0 to 1) and the number of stored vectors that it was measured with."""
    _recall.labels(modality).set(recall)
    _recall_sample.labels(modality).set(sample)


def snapshot_time(modality: str) -> Gauge:
    """Unix seconds of the newest durable snapshot."""
    return _snapshot_time.labels(modality)


def snapshot_interval(modality: str) -> Gauge:
    """Seconds between snapshots of an index that changes."""
    return _snapshot_interval.labels(modality)


def committed(chain: str, entries: int, seconds: float) -> None:
    """Record one durable commit of that many entries; `chain` is log or audit."""
    _commit_entries.labels(chain).observe(entries)
    _commit_seconds.labels(chain).observe(seconds)


class _Current:
    """A gauge with value 1 for the labels in force now; the labels before are withdrawn."""

    def __init__(self, gauge: Gauge) -> None:
        self._gauge = gauge
        self._lock = threading.Lock()
        self._labels: dict[str, tuple[str, ...]] = {}

    def become(self, modality: str, *rest: str) -> None:
        labels = (modality, *rest)
        with self._lock:
            before = self._labels.get(modality)
            if before is not None and before != labels:
                self._gauge.remove(*before)
            self._gauge.labels(*labels).set(1)
            self._labels[modality] = labels


_generation = _Current(_generation_info)
_model = _Current(_model_info)


def generation(modality: str, name: str, kind: str) -> None:
    """Say which generation is searched now, and of which kind it is."""
    _generation.become(modality, name, kind)


def model(modality: str, model: str, space: str, calibration: str) -> None:
    """Say which model, template space and calibration (empty if none) are in use."""
    _model.become(modality, model, space, calibration)
