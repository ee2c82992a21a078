"""A bulk enrolment: which files still have to be sent, what became of them, and where it is written down."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum

from likeness.cli import files
from likeness.cli.files import Found
from likeness.cli.journal import Entry, Journal
from likeness.cli.rejects import Reject
from likeness.cli.said import Said, Tag
from likeness.client import Enrolment, Outcome
from likeness.domain.errors import LikenessError
from likeness.v1 import common_pb2 as common


class Fate(StrEnum):
    """What became of one file."""

    ENROLLED = "enrolled"
    KNOWN = "already enrolled"
    """By an earlier run: the journal or the server says so."""
    TWICE = "the same file twice"
    REJECTED = "rejected"


class BulkEnrolment:
    """One run over many files.

    The client takes from `pending` and gives the outcomes, which go to `settle`; all in one thread.

    Args:
        said: what is said about every file.
        journal: where outcomes are recorded, and from which earlier ones are known.
        again: send what the journal has as enrolled all the same.
        retry_rejected: send what the journal has as rejected again.
        step: called after each file with a short word on the state.
    """

    def __init__(
        self,
        said: Said,
        journal: Journal,
        *,
        again: bool = False,
        retry_rejected: bool = False,
        step: Callable[[str], None],
    ) -> None:
        self.counts: Counter[Fate] = Counter()
        self.rejects: list[Reject] = []
        self.log_position = 0
        """The highest position acknowledged; a search with it as min_log_position sees everything."""
        self._said = said
        self._journal = journal
        self._again = again
        self._retry_rejected = retry_rejected
        self._step = step
        self._keys: set[str] = set()

    def pending(self, found: Iterable[Found]) -> Iterator[Enrolment]:
        """The enrolments that still have to be made; reads each file once, when its turn comes."""
        for file in found:
            try:
                data = files.read(file.path)
            except LikenessError as error:
                self._reject(Reject(str(file.path), error.reason, error.message))
                continue
            except OSError as error:
                self._reject(Reject(str(file.path), "UNREADABLE_FILE", f"{file.path}: {error.strerror}"))
                continue
            enrolment = self._said.enrolment(file, data)
            if self._is_new(enrolment):
                yield enrolment

    def settle(self, outcome: Outcome) -> None:
        """Record what became of one file."""
        tag = _tag(outcome.enrolment)
        path = str(tag.file.path.resolve())
        if outcome.rejected is not None:
            reason, message = outcome.rejected.reason, outcome.rejected.message
            if not _is_of_the_service(outcome.rejected):  # else the next run sends the file again
                self._journal.append(Entry(tag.key, tag.sha256, path, reason=reason, message=message))
            self._reject(Reject(str(tag.file.path), reason, message, tag.sha256))
        elif outcome.enrolled is not None:
            answer = outcome.enrolled
            reference_id, position = answer.reference.reference_id, answer.log_position
            self._journal.append(
                Entry(tag.key, tag.sha256, path, reference_id, position, box=_box(answer.finding))
            )
            self.log_position = max(self.log_position, position)
            self._count(Fate.KNOWN if answer.replayed else Fate.ENROLLED)

    def _is_new(self, enrolment: Enrolment) -> bool:
        """Whether a file has to be sent; counts it if not."""
        tag = _tag(enrolment)
        if tag.key in self._keys:
            self._count(Fate.TWICE)
            return False
        self._keys.add(tag.key)
        earlier = self._journal.get(tag.key)
        if earlier is None:
            return True
        if earlier.enrolled:
            if self._again:
                return True
            self._count(Fate.KNOWN)
            return False
        if self._again or self._retry_rejected:
            return True
        self._reject(Reject(str(tag.file.path), earlier.reason, earlier.message, earlier.sha256))
        return False

    def _reject(self, reject: Reject) -> None:
        self.rejects.append(reject)
        self._count(Fate.REJECTED)

    def _count(self, fate: Fate) -> None:
        self.counts[fate] += 1
        rejected = self.counts[Fate.REJECTED]
        self._step(f"{rejected:,} rejected" if rejected else "")


_SERVICE_CODES = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED", "INTERNAL", "ABORTED"})
_SERVICE_REASONS = frozenset({"STORAGE_FULL", "TOO_BUSY"})


def _is_of_the_service(rejection: common.Rejection) -> bool:
    """Whether a file was rejected for the state of the service, which passes, and not for what it holds."""
    return rejection.metadata.get("code") in _SERVICE_CODES or rejection.reason in _SERVICE_REASONS


def _tag(enrolment: Enrolment) -> Tag:
    assert isinstance(enrolment.tag, Tag)  # noqa: S101  every enrolment of this run was made by Said
    return enrolment.tag


def _box(finding: common.Finding) -> tuple[float, float, float, float] | None:
    if not finding.HasField("box"):
        return None
    box = finding.box
    return box.x, box.y, box.width, box.height
