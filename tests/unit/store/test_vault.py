"""The key ring and what is sealed under it."""

import json
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from likeness.domain.errors import Conflict, Corrupt, LikenessError, NotFound, Precondition, WrongKey
from likeness.store.vault import KeyRing, KeyUse

AAD = b"template.body of reference-1"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys" / "ring.json"


@pytest.fixture
def ring(path: Path) -> KeyRing:
    return KeyRing.create(path)


def test_a_new_key_file_is_the_owners_alone_and_leaves_no_other_file(path: Path, ring: KeyRing) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]
    assert KeyRing.load(path).to_json() == ring.to_json()


def test_a_key_file_is_never_overwritten(path: Path, ring: KeyRing) -> None:
    with pytest.raises(Conflict, match="never overwritten"):
        KeyRing.create(path)
    assert KeyRing.load_or_create(path).active == ring.active


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601])
def test_a_key_file_open_to_others_is_refused_with_the_remedy(path: Path, ring: KeyRing, mode: int) -> None:
    path.chmod(mode)
    with pytest.raises(Precondition, match=f"chmod 600 {path}") as refusal:
        KeyRing.load(path)
    assert refusal.value.reason == "KEY_FILE_EXPOSED"


def test_a_missing_key_file_is_a_wrong_key(path: Path) -> None:
    with pytest.raises(WrongKey, match="does not exist"):
        KeyRing.load(path)


def test_no_changed_bit_of_a_key_file_passes_as_another_key(path: Path, ring: KeyRing) -> None:
    original = path.read_bytes()
    blob = ring.vault(KeyUse.TEMPLATES).seal(b"secret", aad=AAD)
    refused = 0
    for bit in range(0, len(original) * 8, 3):
        changed = bytearray(original)
        changed[bit // 8] ^= 1 << bit % 8
        path.write_bytes(changed)
        try:
            opened = KeyRing.load(path).vault(KeyUse.TEMPLATES).unseal(blob, aad=AAD)
        except LikenessError:
            refused += 1
        else:
            assert opened == b"secret"  # the case of a hexadecimal digit, or a kind of white space
    assert refused > len(original) * 2


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[]", b"null", b'{"version":1,"active":"x","keys":[]}', b"[" * 60_000, b"x" * 100_000],
)
def test_what_is_not_a_key_ring_is_refused(path: Path, ring: KeyRing, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(Corrupt, match="restore"):
        KeyRing.load(path)


def test_after_rotation_old_blobs_open_and_new_ones_use_the_new_key(path: Path, ring: KeyRing) -> None:
    old = ring.vault(KeyUse.TEMPLATES).seal(b"old", aad=AAD)
    old_seal = ring.sealer(KeyUse.ROWS).sign(b"row")
    rotated = KeyRing.rotate(path)
    assert rotated.active != ring.active
    assert rotated.ids == ring.ids | {rotated.active}
    reloaded = KeyRing.load(path)
    assert reloaded.vault(KeyUse.TEMPLATES).unseal(old, aad=AAD) == b"old"
    assert reloaded.sealer(KeyUse.ROWS).matches(b"row", old_seal)
    with pytest.raises(WrongKey, match=rotated.active):
        ring.vault(KeyUse.TEMPLATES).unseal(reloaded.vault(KeyUse.TEMPLATES).seal(b"new", aad=AAD), aad=AAD)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_no_changed_bit_of_a_blob_opens(ring: KeyRing) -> None:
    vault = ring.vault(KeyUse.TEMPLATES)
    blob = vault.seal(b"a template", aad=AAD)
    for bit in range(len(blob) * 8):
        changed = bytearray(blob)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(Corrupt):
            vault.unseal(changed, aad=AAD)
    for length in range(len(blob)):
        with pytest.raises(Corrupt):
            vault.unseal(blob[:length], aad=AAD)


def test_a_blob_opens_only_in_its_place_and_for_its_use(ring: KeyRing) -> None:
    blob = ring.vault(KeyUse.TEMPLATES).seal(b"a template", aad=AAD)
    with pytest.raises(Corrupt, match="reference-2"):
        ring.vault(KeyUse.TEMPLATES).unseal(blob, aad=b"template.body of reference-2")
    with pytest.raises(Corrupt):
        ring.vault(KeyUse.SUBJECTS).unseal(blob, aad=AAD)
    assert ring.vault(KeyUse.TEMPLATES).unseal(memoryview(blob), aad=AAD) == b"a template"


def test_equal_plaintexts_have_different_ciphertexts(ring: KeyRing) -> None:
    vault = ring.vault(KeyUse.TEMPLATES)
    assert vault.seal(memoryview(b"same"), aad=AAD) != vault.seal(b"same", aad=AAD)


def test_a_row_seal_belongs_to_its_data_and_its_use(ring: KeyRing) -> None:
    sealer = ring.sealer(KeyUse.ROWS)
    seal = sealer.sign(b"row")
    assert sealer.matches(b"row", seal)
    assert not sealer.matches(b"rov", seal)
    assert not sealer.matches(b"row", seal[:-1])
    assert not ring.sealer(KeyUse.LOG).matches(b"row", seal)


def test_a_ring_knows_when_its_keys_were_made_and_one_of_an_older_release_does_not(path: Path) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)  # the file holds whole seconds
    first = KeyRing.create(path).active
    content = json.loads(path.read_text())
    del content["created"]
    path.write_text(json.dumps(content))
    second = KeyRing.rotate(path).active
    created = KeyRing.load(path).created
    assert first not in created
    assert before <= created[second] <= datetime.now(UTC)


def test_a_key_that_is_removed_is_in_the_file_no_more(path: Path, ring: KeyRing) -> None:
    secret = json.loads(path.read_text())["keys"][ring.active]
    KeyRing.rotate(path)
    left = KeyRing.remove(path, ring.active)
    assert KeyRing.load(path).ids == left.ids == {left.active}
    assert secret not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_the_current_key_and_an_unknown_one_are_not_removed(path: Path, ring: KeyRing) -> None:
    before = path.read_bytes()
    with pytest.raises(Conflict, match="rotate"):
        KeyRing.remove(path, ring.active)
    with pytest.raises(NotFound, match="no key 0000"):
        KeyRing.remove(path, "0" * 16)
    assert path.read_bytes() == before


def test_of_rotations_at_once_none_loses_its_key(path: Path, ring: KeyRing) -> None:
    with ThreadPoolExecutor(4) as pool:
        made = {done.active for done in pool.map(lambda _: KeyRing.rotate(path), range(8))}
    assert KeyRing.load(path).ids == made | {ring.active}


def test_the_file_behind_a_link_is_rotated_and_the_link_stays(
    path: Path, ring: KeyRing, tmp_path: Path
) -> None:
    link = tmp_path / "link.json"
    link.symlink_to(path)
    rotated = KeyRing.rotate(link)
    assert link.is_symlink()
    assert KeyRing.load(path).active == rotated.active


def test_partial_files_of_a_killed_change_are_removed_by_the_next(path: Path, ring: KeyRing) -> None:
    (path.parent / f".{path.name}.0a1b2c3d").write_bytes(ring.to_json())
    KeyRing.rotate(path)
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_what_root_rotates_stays_its_owners(path: Path, ring: KeyRing) -> None:
    os.chown(path, 10001, 10002)
    KeyRing.rotate(path)
    assert (path.stat().st_uid, path.stat().st_gid) == (10001, 10002)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
