"""A bulk enrolment: which files still have to be sent, what became of them, and where it is written down."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from enum import StrEnum

from likeness.cli import files
from likeness.cli.enrolment_fields import EnrolmentFields, Tag
from likeness.cli.files import SampleFile
from likeness.cli.journal import Journal, JournalEntry
from likeness.cli.refusals import NEVER_OF_A_FILE, is_of_the_caller, is_of_the_file
from likeness.cli.rejects import Reject
from likeness.client import CallFailed, Enrolment, Outcome
from likeness.domain.errors import LikenessError
from likeness.v1 import common_pb2 as common

REQUEST_ID_REUSED = "REQUEST_ID_REUSED"
"""The server's reason where a request id was used before for something else."""


class Fate(StrEnum):
    """What became of one file."""

    ENROLLED = "enrolled"
    KNOWN = "already enrolled"
    """By an earlier run: the journal or the server says so."""
    TWICE = "the same file twice"
    REJECTED = "rejected"
    REFUSED = "refused by the service"
    """For who asks, and not for what the file holds; the journal has nothing of it."""


class BulkEnrolment:
    """One run over many files.

    The client takes from `pending` and gives the outcomes, which go to `settle`; then the same with `conflicting`;
    all in one thread. Both end early once there is a `refusal`.

    A journal of an older release has its entries under keys without modality and server, and the server has the
    enrolments under request ids without the modality. What such an entry says was enrolled is looked up at the
    server. Where that does not know it, and for what follows in the run, since a crash may have taken the last
    entries from the journal, the former request id is sent first: the server answers with the first result, or
    with a conflict where the id served for another modality, and only then the file is sent under its own id.

    Args:
        fields: what is sent about every file.
        journal: where outcomes are recorded, and from which earlier ones are known.
        again: send what the journal has as enrolled all the same.
        retry_rejected: send what the journal has as rejected again.
        step: called after each file with a short word on the state.
        holds: whether the server has a reference, by id, in the modality of the run.
    """

    def __init__(
        self,
        fields: EnrolmentFields,
        journal: Journal,
        *,
        again: bool = False,
        retry_rejected: bool = False,
        step: Callable[[str], None],
        holds: Callable[[str], bool] = lambda _: True,
    ) -> None:
        self.counts: Counter[Fate] = Counter()
        self.rejects: list[Reject] = []
        self.passing: Counter[str] = Counter()
        """Of the rejects, those for the state of the service, by reason: the next run sends these files again."""
        self.refusal: CallFailed | None = None
        """Why the service takes no file of this caller; the next run sends again what it refused."""
        self.log_position = 0
        """The highest position acknowledged; a search with it as min_log_position sees everything."""
        self._fields = fields
        self._journal = journal
        self._again = again
        self._retry_rejected = retry_rejected
        self._step = step
        self._holds = holds
        self._keys: set[str] = set()
        self._older_release = False
        self._conflicting: list[SampleFile] = []

    def pending(self, found: Iterable[SampleFile]) -> Iterator[Enrolment]:
        """The enrolments that still have to be made; reads each file once, when its turn comes."""
        for enrolment in self._read(found):
            if self._is_new(enrolment):
                former = _tag(enrolment).plain_request_id
                yield replace(enrolment, request_id=former) if self._older_release else enrolment

    def conflicting(self) -> Iterator[Enrolment]:
        """The enrolments whose former request id had served for another modality, under their own ids."""
        yield from self._read(self._conflicting)

    def _read(self, found: Iterable[SampleFile]) -> Iterator[Enrolment]:
        for file in found:
            if self.refusal is not None:
                return
            try:
                data = files.read(file.path)
            except LikenessError as error:
                self._reject(Reject(str(file.path), error.reason, error.message))
            except OSError as error:
                self._reject(Reject(str(file.path), "UNREADABLE_FILE", f"{file.path}: {error.strerror}"))
            else:
                yield self._fields.enrolment(file, data)

    def settle(self, outcome: Outcome) -> None:
        """Record what became of one file."""
        tag = _tag(outcome.enrolment)
        path = str(tag.file.path.resolve())
        if outcome.rejected is not None:
            former = outcome.enrolment.request_id == tag.plain_request_id
            if former and outcome.rejected.reason == REQUEST_ID_REUSED:
                self._conflicting.append(tag.file)
                return
            self._settle_rejected(tag, outcome.rejected)
        elif outcome.enrolled is not None:
            answer = outcome.enrolled
            reference_id, position = answer.reference.reference_id, answer.log_position
            # A replay is answered without a box; where this journal knows it from the first answer, it stays.
            known = self._journal.get(tag.key)
            box = _box(answer.finding) or (known.box if known else None)
            self._journal.append(JournalEntry(tag.key, tag.sha256, path, reference_id, position, box=box))
            self.log_position = max(self.log_position, position)
            self._count(Fate.KNOWN if answer.replayed else Fate.ENROLLED)

    def _settle_rejected(self, tag: Tag, rejected: CallFailed) -> None:
        """Record what was not enrolled: in the journal only what the file itself is the reason for."""
        if is_of_the_caller(rejected):
            self.refusal = rejected
            self._count(Fate.REFUSED)
            return
        reason, message = rejected.reason, rejected.message
        if is_of_the_file(rejected):
            path = str(tag.file.path.resolve())
            self._journal.append(JournalEntry(tag.key, tag.sha256, path, reason=reason, message=message))
        else:
            self.passing[reason or rejected.code.name] += 1
        self._reject(Reject(str(tag.file.path), reason, message, tag.sha256))

    def _is_new(self, enrolment: Enrolment) -> bool:
        """Whether a file has to be sent; counts it if not."""
        tag = _tag(enrolment)
        if tag.key in self._keys:
            self._count(Fate.TWICE)
            return False
        self._keys.add(tag.key)
        earlier = self._earlier(tag)
        if earlier is None:
            return True
        if earlier.enrolled:
            if self._again:
                return True
            self._count(Fate.KNOWN)
            return False
        if self._again or self._retry_rejected or earlier.reason in NEVER_OF_A_FILE:
            return True
        self._reject(Reject(str(tag.file.path), earlier.reason, earlier.message, earlier.sha256))
        return False

    def _earlier(self, tag: Tag) -> JournalEntry | None:
        """What the journal knows of a file; of an older release's entry only what the server confirms."""
        plain = self._journal.get(tag.plain_key)
        self._older_release |= plain is not None
        entry = self._journal.get(tag.key)
        former = plain or self._journal.get(tag.shared_key)
        if entry is None and former is not None and former.enrolled and self._holds(former.reference_id):
            entry = replace(former, key=tag.key)
            self._journal.append(entry)
        return entry

    def _reject(self, reject: Reject) -> None:
        self.rejects.append(reject)
        self._count(Fate.REJECTED)

    def _count(self, fate: Fate) -> None:
        self.counts[fate] += 1
        rejected = self.counts[Fate.REJECTED]
        self._step(f"{rejected:,} rejected" if rejected else "")


def _tag(enrolment: Enrolment) -> Tag:
    assert isinstance(enrolment.tag, Tag)  # noqa: S101  every enrolment of this run was made by Said
    return enrolment.tag


def _box(finding: common.Finding) -> tuple[float, float, float, float] | None:
    if not finding.HasField("box"):
        return None
    box = finding.box
    return box.x, box.y, box.width, box.height
