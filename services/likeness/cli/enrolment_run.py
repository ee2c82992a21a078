"""A bulk enrolment from its journal to its file of rejects, against one server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from likeness.cli import rejects
from likeness.cli.caller import Asking
from likeness.cli.connection import connect, explained
from likeness.cli.enrolment import BulkEnrolment, Fate
from likeness.cli.enrolment_fields import EnrolmentFields
from likeness.cli.failures import Exit, Stopped
from likeness.cli.files import SampleFile
from likeness.cli.journal import Journal
from likeness.cli.output import note, progress, warn
from likeness.cli.refusals import is_of_the_caller
from likeness.cli.words import plural
from likeness.client import CallFailed, Modality, NotFound


@dataclass(frozen=True, slots=True)
class EnrolmentPlan:
    """How a run goes about it. `rejects` is the file asked for; see `rejects.write`."""

    journal: Path
    rejects: Path
    again: bool = False
    retry_rejected: bool = False


@dataclass(frozen=True, slots=True)
class Done:
    """What became of a run over so many files, the file of its rejects if there were any, and whether Ctrl-C cut it
    short."""

    enrolment: BulkEnrolment
    files: int
    rejects: Path | None = None
    interrupted: bool = False

    @property
    def remaining(self) -> int:
        """Files that another run has yet to enrol: they were refused for who asks, not sent, or not answered."""
        counts = self.enrolment.counts
        return self.files - counts.total() + counts[Fate.REFUSED]


def run(fields: EnrolmentFields, found: list[SampleFile], plan: EnrolmentPlan) -> Done:
    """Enrol the files.

    The journal is durable and the rejects file written however this ends.

    Raises:
        Stopped: the server cannot be reached, or is not the one that the journal belongs to.
    """
    with Journal(plan.journal) as journal, progress("enrolling", len(found)) as step:
        if journal.damaged:
            warn(
                f"{plural(journal.damaged, 'line')} of {plan.journal} cannot be read; those files are sent again"
            )
        rejected: Path | None = None
        interrupted = False
        with connect(fields.asking) as connected:
            client = connected.of(fields.asking.modality)
            enrolment = BulkEnrolment(
                fields,
                journal,
                again=plan.again,
                retry_rejected=plan.retry_rejected,
                step=step,
                holds=partial(_holds, client, fields.asking),
            )
            try:
                with _ended_by_refusal(enrolment):
                    if not plan.again:
                        _check_same_store(client, journal)
                    for enrolments in (enrolment.pending(found), enrolment.conflicting()):
                        for outcome in client.enroll_many(enrolments):
                            enrolment.settle(outcome)
            except KeyboardInterrupt:
                interrupted = True
            except BaseException:
                if enrolment.rejects:
                    note(f"rejected files so far: {rejects.write(plan.rejects, enrolment.rejects)}")
                raise
        if enrolment.rejects:
            rejected = rejects.write(plan.rejects, enrolment.rejects)
    return Done(enrolment, len(found), rejected, interrupted)


@contextmanager
def _ended_by_refusal(enrolment: BulkEnrolment) -> Iterator[None]:
    """End the run in order where a call is refused for who asks."""
    try:
        yield
    except CallFailed as error:
        if not is_of_the_caller(error):
            raise
        enrolment.refusal = error


def _holds(client: Modality, asking: Asking, reference_id: str) -> bool:
    """Whether the server has a reference in the modality of the run.

    Raises:
        Stopped: it cannot be asked. (A failed call would pass for one of the stream's, whose source asks here.)
    """
    with explained(asking):
        try:
            client.get(reference_id)
        except NotFound:
            return False
    return True


def _check_same_store(client: Modality, journal: Journal) -> None:
    """Refuse to skip files as enrolled where the server does not know what they became."""
    last = journal.last_enrolled()
    if last is None:
        return
    try:
        client.get(last.reference_id)
    except NotFound:
        raise Stopped(
            f"The journal {journal.path} says that {last.path} became reference {last.reference_id}, but this "
            "server does not know it: it has another store, or you are another entity. Send everything with "
            "--again, or name another journal with --journal FILE.",
            Exit.REFUSED,
        ) from None
