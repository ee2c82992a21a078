"""A bulk enrolment that an older release began, gone on with over a real server."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from likeness.cli.caller import Asking
from likeness.cli.enrolment_fields import EnrolmentFields, Tag
from likeness.cli.files import find
from likeness.cli.journal import Journal, JournalEntry
from likeness.client import LikenessClient
from likeness.domain.references import Purpose
from tests.unit.cli.conftest import Cli


def enrolled_by_an_older_release(
    server: str, folder: Path, journal: Path, recorded: set[str]
) -> dict[str, str]:
    """Enrol every file under the request id of the older release; the journal has some. References by file name."""
    asking = Asking("face", server, "NCB-XX", Purpose.SYSTEM_TEST, "", "someone", 30.0)
    fields = EnrolmentFields(asking, galleries=("older",))
    references: dict[str, str] = {}
    with (
        LikenessClient(server, entity="NCB-XX", purpose="system_test", operator="someone") as client,
        Journal(journal) as opened,
    ):
        for file in find([folder]):
            item = fields.enrolment(file, file.path.read_bytes())
            assert isinstance(item.tag, Tag)
            (done,) = client.face.enroll_many([replace(item, request_id=item.tag.plain_request_id)])
            assert done.enrolled is not None
            name, reference_id = file.path.name, done.enrolled.reference.reference_id
            references[name] = reference_id
            if name in recorded:
                opened.append(
                    JournalEntry(item.tag.plain_key, item.tag.sha256, str(file.path), reference_id, 1)
                )
    return references


def test_it_is_gone_on_with_and_nothing_is_enrolled_twice(cli: Cli, server: str, tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number, name in enumerate(("a", "b", "c")):
        (folder / f"{name}.jpg").write_text(f"1,{number},0.5")
    journal = tmp_path / "journal.jsonl"
    # Its last record was lost in a crash.
    before = enrolled_by_an_older_release(server, folder, journal, {"a.jpg", "b.jpg"})
    assert cli("expunge", before["a.jpg"], "--reason", "withdrawn", "--yes").exit_code == 0
    (folder / "d.jpg").write_text("0,0,1")
    for enrolled in (1, 0):
        result = cli("enroll", folder, "--gallery", "older", "--journal", journal, "--json")
        assert result.exit_code == 0, result.output
        document = json.loads(result.stdout)
        assert (document["enrolled"], document["already_enrolled"]) == (enrolled, 4 - enrolled)
    listed = cli("list", "--gallery", "older", "--json")
    found = {json.loads(line)["reference_id"] for line in listed.stdout.splitlines()}
    assert found > {before["b.jpg"], before["c.jpg"]}
    assert len(found) == 3
    assert before["a.jpg"] not in found
