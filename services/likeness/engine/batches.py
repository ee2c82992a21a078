"""Many samples through one entry point: they are extracted group by group, and each has an outcome of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol, TypeVar

from likeness.domain.deadline import Deadline
from likeness.domain.errors import DeadlineExceeded
from likeness.domain.modality import Modality
from likeness.domain.samples import Extraction, Mode, Sample

GROUP_ITEMS = 16
"""Samples extracted in one call. What a modality takes from all of them at once still fits into its queue: sixteen
crowds have 1024 faces."""

GROUP_BYTES = 64 << 20
"""Bytes of the samples of a group; one alone may have more."""

T = TypeVar("T")


class Sampled(Protocol):
    """What is asked for one sample."""

    @property
    def sample(self) -> Sample:
        """The sample."""


S = TypeVar("S", bound=Sampled)


def groups(items: Iterable[S]) -> Iterator[list[S]]:
    """The items in order, in groups of at most GROUP_ITEMS and GROUP_BYTES; one further item is taken meanwhile."""
    group: list[S] = []
    size = 0
    for item in items:
        size += len(item.sample.data)
        if group and (len(group) == GROUP_ITEMS or size > GROUP_BYTES):
            yield group
            group, size = [], len(item.sample.data)
        group.append(item)
    if group:
        yield group


def attempt(step: Callable[[], T], deadline: Deadline) -> T | Exception:
    """What a step gives, or the error that it ends with.

    Raises:
        DeadlineExceeded: the time of the whole batch, whose deadline it is, is up.
    """
    try:
        return step()
    except DeadlineExceeded as error:
        if deadline.remaining <= 0:
            raise
        return error  # of a shorter limit, such as that of waiting for a log position
    except Exception as error:
        return error


def extract_each(
    modality: Modality, samples: Sequence[Sample], mode: Mode, deadline: Deadline
) -> list[Extraction | Exception]:
    """The extraction of each sample, in one call; where that fails, of each alone, so that only one is at fault.

    Raises:
        DeadlineExceeded: the deadline passed, or the caller went away.
    """
    if not samples:
        return []
    extracted = attempt(lambda: modality.extract(samples, mode, deadline), deadline)
    if not isinstance(extracted, Exception):
        return list(extracted)
    if len(samples) == 1:
        return [extracted]
    return [outcome for sample in samples for outcome in extract_each(modality, [sample], mode, deadline)]
