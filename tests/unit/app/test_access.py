"""What an operator hears of the rules of access."""

from __future__ import annotations

import io
import json
from pathlib import Path

from likeness.access.judging import CedarAccess
from likeness.app.access import access_of
from likeness.app.authority import Authority
from likeness.app.development_certificates import Made, make
from likeness.app.settings import load


def test_the_log_names_the_rules_in_force_and_says_why_others_are_not(
    tmp_path: Path, stream: io.StringIO
) -> None:
    make(tmp_path, Authority("test"), Made("xx", "NCB-XX"), hosts=("127.0.0.1",))
    access = access_of(load(tmp_path / "likeness.toml", environment={}))
    assert isinstance(access, CedarAccess)
    (tmp_path / "directory.toml").write_text("[contries]\n", encoding="utf-8")
    access.refresh()
    taken, refused = map(json.loads, stream.getvalue().splitlines())
    assert (taken["event"], taken["policy"]) == ("policy in force", access.policy)
    assert (refused["event"], refused["level"]) == ("policy refused", "ERROR")
    assert "directory.toml" in refused["problem"]
    assert "contries" in refused["problem"]
