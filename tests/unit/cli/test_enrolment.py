from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest

from likeness.cli import rejects
from likeness.cli.caller import Asking
from likeness.cli.commands.enroll import what_next
from likeness.cli.enrolment import BulkEnrolment, Fate
from likeness.cli.enrolment_fields import EnrolmentFields, Label
from likeness.cli.files import find
from likeness.cli.journal import Journal, JournalEntry
from likeness.cli.rejects import Reject
from likeness.client import CallFailed, Enrolment, InvalidArgument, Outcome
from likeness.domain.errors import InvalidInput
from likeness.domain.references import Category, Purpose
from likeness.v1 import common_pb2 as common
from likeness.v1 import matching_pb2 as matching

ASKING = Asking("face", "127.0.0.1:1", "NCB-XX", Purpose.SYSTEM_TEST, "case-1", "someone", 5.0)
FIELDS = EnrolmentFields(ASKING, galleries=("wanted",), category=Category.WANTED)


def refusal(reason: str, message: str) -> CallFailed:
    return InvalidArgument(message, code=grpc.StatusCode.INVALID_ARGUMENT, reason=reason)


class Server:
    """Answers as the service does: by request id, a photograph that begins with `bad` rejected."""

    def __init__(self) -> None:
        self.seen: dict[str, str] = {}
        self.sent: list[str] = []
        self.taken: set[str] = set()
        """Request ids that served for another modality."""

    def holds(self, reference_id: str) -> bool:
        return reference_id in self.seen.values()

    def enrol(self, items: Iterable[Enrolment]) -> Iterator[Outcome]:
        for item in items:
            assert isinstance(item.sample, common.Sample)
            self.sent.append(item.sample.name)
            if item.sample.data.startswith(b"bad"):
                yield Outcome(item, rejected=refusal("NO_FACE", "no face was found"))
                continue
            if item.request_id in self.taken:
                yield Outcome(item, rejected=refusal("REQUEST_ID_REUSED", "another modality"))
                continue
            known = item.request_id in self.seen
            answer = matching.EnrollResponse(replayed=known)
            answer.reference.reference_id = self.seen.setdefault(item.request_id, f"ref-{len(self.seen)}")
            answer.log_position = len(self.seen)
            if not known:
                answer.finding.box.width = 10
            yield Outcome(item, enrolled=answer)


def run(
    folder: Path, journal: Path, server: Server, fields: EnrolmentFields = FIELDS, **options: Any
) -> BulkEnrolment:
    with Journal(journal) as opened:
        enrolment = BulkEnrolment(fields, opened, step=lambda _: None, **options)
        for enrolments in (enrolment.pending(find([folder])), enrolment.conflicting()):
            for outcome in server.enrol(enrolments):
                enrolment.settle(outcome)
    return enrolment


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "pictures"
    for name, data in {"ada/1.jpg": b"a", "ada/2.jpg": b"b", "bob/1.jpg": b"c", "bob/x.jpg": b"bad"}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "journal.jsonl"


def test_every_file_has_one_outcome(folder: Path, journal: Path) -> None:
    done = run(folder, journal, Server())
    assert done.counts == {Fate.ENROLLED: 3, Fate.REJECTED: 1}
    assert [(Path(r.path).name, r.reason) for r in done.rejects] == [("x.jpg", "NO_FACE")]
    assert done.log_position == 3


def test_a_second_run_sends_nothing(folder: Path, journal: Path) -> None:
    server = Server()
    run(folder, journal, server)
    server.sent.clear()
    done = run(folder, journal, server)
    assert server.sent == []
    assert done.counts == {Fate.KNOWN: 3, Fate.REJECTED: 1}
    assert [r.message for r in done.rejects] == ["no face was found"]


def test_a_run_that_lost_its_journal_makes_no_duplicates(folder: Path, journal: Path) -> None:
    server = Server()
    run(folder, journal, server)
    journal.unlink()
    done = run(folder, journal, server)
    assert len(server.seen) == 3
    assert done.counts == {Fate.KNOWN: 3, Fate.REJECTED: 1}


def test_a_file_that_is_sent_again_keeps_the_box_that_the_first_answer_had(
    folder: Path, journal: Path
) -> None:
    server = Server()
    run(folder, journal, server)
    run(folder, journal, server, again=True)
    with Journal(journal) as opened:
        entry = opened.last_enrolled()
    assert entry is not None
    assert entry.box == (0, 0, 10, 0)


def test_a_run_that_was_cut_short_goes_on_where_it_was(folder: Path, journal: Path) -> None:
    server = Server()
    with Journal(journal) as opened:
        enrolment = BulkEnrolment(FIELDS, opened, step=lambda _: None)
        stream = server.enrol(enrolment.pending(find([folder])))
        enrolment.settle(next(stream))
        next(stream)  # the server did this one, but its answer was never recorded
    server.sent.clear()
    done = run(folder, journal, server)
    assert len(server.sent) == 3
    assert len(server.seen) == 3
    assert done.counts == {Fate.KNOWN: 2, Fate.ENROLLED: 1, Fate.REJECTED: 1}


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        ("STORAGE_FULL", grpc.StatusCode.RESOURCE_EXHAUSTED),
        ("STORAGE_UNAVAILABLE", grpc.StatusCode.UNAVAILABLE),
    ],
)
def test_what_the_state_of_the_service_refused_is_sent_again_by_the_next_run(
    folder: Path, journal: Path, reason: str, code: grpc.StatusCode
) -> None:
    full = CallFailed("the disk is full", code=code, reason=reason)
    with Journal(journal) as opened:
        enrolment = BulkEnrolment(FIELDS, opened, step=lambda _: None)
        for item in enrolment.pending(find([folder])):
            enrolment.settle(Outcome(item, rejected=full))
    assert enrolment.counts == {Fate.REJECTED: 4}
    assert enrolment.passing == {reason: 4}
    assert f"not able to take them ({reason}): run the same" in what_next(4, enrolment.passing)
    assert "not able to take 4 of them" in what_next(5, enrolment.passing)
    assert run(folder, journal, Server()).counts == {Fate.ENROLLED: 3, Fate.REJECTED: 1}


def test_what_the_files_hold_is_for_their_owner_to_mend(folder: Path, journal: Path) -> None:
    assert "Fix them" in what_next(1, run(folder, journal, Server()).passing)


def test_rejected_files_are_sent_again_only_when_asked(folder: Path, journal: Path) -> None:
    server = Server()
    run(folder, journal, server)
    server.sent.clear()
    run(folder, journal, server, retry_rejected=True)
    assert server.sent == ["x.jpg"]
    server.sent.clear()
    run(folder, journal, server, again=True)
    assert len(server.sent) == 4


def test_other_words_or_another_file_are_another_enrolment(folder: Path, journal: Path) -> None:
    server = Server()
    run(folder, journal, server)
    run(folder, journal, server, replace(FIELDS, galleries=("missing",)))
    run(folder, journal, server, replace(FIELDS, salt="2"))
    (folder / "ada" / "1.jpg").write_bytes(b"changed")
    done = run(folder, journal, server)
    assert done.counts[Fate.ENROLLED] == 1
    assert len(server.seen) == 10


def test_another_modality_is_another_enrolment(folder: Path, journal: Path) -> None:
    server = Server()
    run(folder, journal, server)
    fields = replace(FIELDS, asking=replace(ASKING, modality="object"))
    assert run(folder, journal, server, fields).counts[Fate.ENROLLED] == 3
    assert len(server.seen) == 6


def test_another_server_is_another_enrolment_even_with_the_same_journal(folder: Path, journal: Path) -> None:
    run(folder, journal, Server())
    other = Server()
    fields = replace(FIELDS, asking=replace(ASKING, server="127.0.0.1:2"))
    assert run(folder, journal, other, fields).counts[Fate.ENROLLED] == 3


def former_key(fields: EnrolmentFields, file: Path) -> str:
    """The key that releases made which left the modality out of it."""
    sha256 = hashlib.sha256(file.read_bytes())
    caller = fields.asking.context
    caller.ClearField("operator")
    metadata = common.ReferenceMetadata(
        galleries=sorted(fields.galleries),
        category=common.Category.Value(f"CATEGORY_{fields.category.name}"),
        owner_reference=file.stem,
    )
    content = matching.EnrollRequest(caller=caller, metadata=metadata, sample=common.Sample())
    digest = hashlib.sha256(sha256.digest())
    digest.update(hashlib.sha256(fields.salt.encode()).digest())
    digest.update(content.SerializeToString(deterministic=True))
    return digest.hexdigest()[:32]


def enrolled_before(folder: Path, journal: Path, server: Server, recorded: int) -> None:
    """A run of an older release, of which the journal has the first enrolments only."""
    files = [file for file in sorted(folder.rglob("*.jpg")) if not file.read_bytes().startswith(b"bad")]
    with Journal(journal) as opened:
        for number, file in enumerate(files):
            key = former_key(FIELDS, file)
            server.seen[f"cli-{key}"] = f"ref-{number}"
            if number < recorded:
                sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
                opened.append(JournalEntry(key, sha256, str(file), f"ref-{number}", number + 1))


def test_a_run_of_an_older_release_is_resumed_and_nothing_is_enrolled_twice(
    folder: Path, journal: Path
) -> None:
    server = Server()
    enrolled_before(folder, journal, server, recorded=2)
    for again in (False, False, True):
        done = run(folder, journal, server, holds=server.holds, again=again)
        assert done.counts == {Fate.KNOWN: 3, Fate.REJECTED: 1}
        assert len(server.seen) == 3
    assert server.sent[:2] == ["1.jpg", "x.jpg"]


def test_what_an_older_release_took_for_enrolled_in_another_modality_is_enrolled(
    folder: Path, journal: Path
) -> None:
    """It noted the face's reference in the journal of objects, and the object was never stored."""
    faces, server = Server(), Server()
    enrolled_before(folder, journal, faces, recorded=3)
    server.taken |= set(faces.seen)
    done = run(folder, journal, server, holds=server.holds)
    assert done.counts == {Fate.ENROLLED: 3, Fate.REJECTED: 1}
    assert len(server.seen) == 3
    assert run(folder, journal, server, holds=server.holds).counts == {Fate.KNOWN: 3, Fate.REJECTED: 1}
    assert len(server.seen) == 3


def test_what_was_expunged_after_an_older_release_enrolled_it_is_not_enrolled_again(
    folder: Path, journal: Path
) -> None:
    server = Server()
    enrolled_before(folder, journal, server, recorded=3)
    done = run(folder, journal, server, holds=lambda _: False)
    assert done.counts == {Fate.KNOWN: 3, Fate.REJECTED: 1}
    assert len(server.seen) == 3


def test_a_colleague_resumes_a_run_and_a_moved_folder_is_recognised(folder: Path, journal: Path) -> None:
    server = Server()
    run(folder, journal, server)
    moved = folder.rename(folder.with_name("elsewhere"))
    fields = replace(FIELDS, asking=replace(ASKING, operator="another"))
    assert run(moved, journal, server, fields).counts[Fate.KNOWN] == 3


def test_one_photograph_in_two_places_is_sent_once(folder: Path, journal: Path) -> None:
    (folder / "bob" / "2.jpg").write_bytes(b"b")
    fields = replace(FIELDS, label=Label.NONE)
    done = run(folder, journal, Server(), fields)
    assert done.counts == {Fate.ENROLLED: 3, Fate.TWICE: 1, Fate.REJECTED: 1}


def test_a_file_that_cannot_be_read_is_a_reject_and_the_run_goes_on(folder: Path, journal: Path) -> None:
    found = find([folder])
    (folder / "ada" / "1.jpg").unlink()
    with Journal(journal) as opened:
        enrolment = BulkEnrolment(FIELDS, opened, step=lambda _: None)
        for outcome in Server().enrol(enrolment.pending(found)):
            enrolment.settle(outcome)
    assert enrolment.counts == {Fate.ENROLLED: 2, Fate.REJECTED: 2}
    assert enrolment.rejects[0].path.endswith("ada/1.jpg")


def test_the_fields_reach_the_request(folder: Path) -> None:
    fields = replace(
        FIELDS,
        subject_from_folder=True,
        selection=common.Selection(pick=common.PICK_MOST_PROMINENT),
        override="court order",
        notices=("n",),
    )
    file = find([folder])[0]
    sent = fields.enrolment(file, b"data")
    assert sent.metadata is not None
    assert sent.metadata.subject_id == "ada"
    assert sent.metadata.owner_reference == "1"
    assert list(sent.metadata.galleries) == ["wanted"]
    assert sent.metadata.category == common.CATEGORY_WANTED
    assert isinstance(sent.sample, common.Sample)
    assert sent.sample.selection.pick == common.PICK_MOST_PROMINENT
    assert sent.quality_override == "court order"
    by_path = replace(fields, label=Label.PATH).enrolment(file, b"data").metadata
    assert by_path is not None
    assert by_path.owner_reference == "ada/1.jpg"


@pytest.mark.parametrize("name", ["rejects.csv", "rejects.jsonl"])
def test_the_rejects_file_holds_the_reasons(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    rejects.check(path)
    rejects.write(path, [Reject("a, b.jpg", "NO_FACE", 'no "face"', "00"), Reject("ü.jpg", "X", "y")])
    text = path.read_text(encoding="utf-8")
    if name.endswith(".jsonl"):
        assert json.loads(text.splitlines()[0])["message"] == 'no "face"'
    else:
        assert text.splitlines()[1] == '"a, b.jpg",NO_FACE,"no ""face""",00'
    assert "ü.jpg" in text


@pytest.mark.parametrize("name", ["rejects.txt", "nowhere/rejects.csv"])
def test_a_rejects_file_that_could_not_be_written_is_refused_early(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInput, match="rejects"):
        rejects.check(tmp_path / name)
