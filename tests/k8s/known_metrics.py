"""The labels and buckets of every sample that a query may name."""

from __future__ import annotations

from functools import cache

from prometheus_client import Counter, Gauge, Histogram

from likeness.telemetry import metrics

FROM_THE_CLUSTER = {
    "up": frozenset[str](),
    "kubelet_volume_stats_available_bytes": frozenset({"namespace", "persistentvolumeclaim"}),
    "kubelet_volume_stats_capacity_bytes": frozenset({"namespace", "persistentvolumeclaim"}),
    "kube_pod_container_resource_limits": frozenset({"namespace", "pod", "container", "resource"}),
}
"""Samples of Prometheus itself, the kubelet and kube-state-metrics."""


def _ours() -> list[Counter | Gauge | Histogram]:
    return [value for value in vars(metrics).values() if isinstance(value, Counter | Gauge | Histogram)]


def _name(metric: Counter | Gauge | Histogram) -> str:
    (family,) = metric.describe()
    return family.name


@cache
def sample_labels() -> dict[str, frozenset[str]]:
    """Labels by sample name: the product's, its process's and the cluster's."""
    found = dict(FROM_THE_CLUSTER)
    for family in metrics.REGISTRY.collect():
        for sample in family.samples:
            found[sample.name] = frozenset(sample.labels)
    for metric in _ours():
        labels = frozenset(metric._labelnames)  # the library tells the names of labels nowhere else
        if isinstance(metric, Histogram):
            found[f"{_name(metric)}_bucket"] = labels | {"le"}
            found[f"{_name(metric)}_sum"] = found[f"{_name(metric)}_count"] = labels
        else:
            found[_name(metric) + "_total" * isinstance(metric, Counter)] = labels
    return found


@cache
def product_metrics() -> frozenset[str]:
    """The product's own sample names."""
    return frozenset(name for name in sample_labels() if name.startswith("likeness_"))


@cache
def buckets(sample: str) -> frozenset[str]:
    """The values of `le` of a histogram."""
    for metric in _ours():
        if isinstance(metric, Histogram) and f"{_name(metric)}_bucket" == sample:
            values = ["any"] * len(metric._labelnames)
            metric.labels(*values)
            edges = {
                found.labels["le"]
                for family in metric.collect()
                for found in family.samples
                if found.name == sample
            }
            metric.remove(*values)
            return frozenset(edges)
    raise AssertionError(f"{sample} is not a histogram of the product")
