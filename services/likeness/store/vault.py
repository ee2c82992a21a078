"""The key ring, and what is sealed under it.

Encryption is AES-256-GCM (NIST SP 800-38D) with a random 96-bit nonce; integrity of rows is HMAC-SHA-256
(RFC 2104). Each use has its own subkey, derived from the ring's keys by HKDF-SHA-256 (RFC 5869), so that a
blob of one use never opens under another.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import json
import os
import secrets
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from likeness.domain.errors import (
    Conflict,
    Corrupt,
    InvalidInput,
    NotFound,
    Precondition,
    Unavailable,
    WrongKey,
)
from likeness.store.owner_keys import LEAF_BYTES, OwnerKeys, leaf_of
from likeness.transparency.files import write_private

Buffer = bytes | bytearray | memoryview

KEY_BYTES = 32
ID_BYTES = 8
NONCE_BYTES = 12
TAG_BYTES = 16
MAC_BYTES = 32
SEAL_BYTES = ID_BYTES + MAC_BYTES
MAX_PLAINTEXT_BYTES = 2**31 - 1
"""The limit of one AES-GCM call in the cryptography package; larger payloads are framed by their owner."""

_VERSION = b"\x01"
LABELLED = b"\x02"
"""The version of a blob whose key id is followed by a label: which of the keys under that one sealed it."""

KEY_PREFIX_BYTES = len(_VERSION) + ID_BYTES
"""The bytes of a sealed blob that say which key of the ring it was sealed with."""

LABEL_PREFIX_BYTES = KEY_PREFIX_BYTES + LEAF_BYTES
"""Those that say the label too, where it has one."""

_HEADER_BYTES = {_VERSION[0]: KEY_PREFIX_BYTES, LABELLED[0]: LABEL_PREFIX_BYTES}

_MAX_KEY_FILE_BYTES = 512 * 1024
"""Half of what a Secret of Kubernetes holds: some ninety owners' exits under one key of the ring."""

_GROUP_OR_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class KeyUse(StrEnum):
    """What a subkey is for; the value is the HKDF info string and must never change."""

    CHECK = "likeness/1/check"
    TEMPLATES = "likeness/1/templates"
    SUBJECTS = "likeness/1/subjects"
    SOURCES = "likeness/1/sources"
    SNAPSHOTS = "likeness/1/snapshots"
    AUDIT = "likeness/1/audit"
    ROWS = "likeness/1/rows"
    LOG = "likeness/1/log"
    WITNESS = "likeness/1/witness"
    PROBES = "likeness/1/probes"
    BACKUPS = "likeness/1/backups"


class KeyRing:
    """Master keys by id, one of them active. The id is a digest of the key, so a changed byte shows at once.

    The file is JSON, readable by its owner only: `{"active": id, "created": {id: time}, "keys": {id: hex of 32
    bytes}, "owners": {id: hex, see `OwnerKeys`}, "version": 2}`. A ring of version 1, of older releases, has no
    keys for owners; of the keys of some of them the time is not known either.
    """

    def __init__(
        self,
        keys: Mapping[str, bytes],
        active: str,
        created: Mapping[str, datetime] | None = None,
        owners: Mapping[str, OwnerKeys] | None = None,
    ) -> None:
        self._keys = dict(keys)
        self.active = active
        self.created: Mapping[str, datetime] = dict(created or {})
        self.owners: Mapping[str, OwnerKeys] = dict(owners or {})
        self._adopted: dict[tuple[str, KeyUse], bytes] = {}
        self._subkey = cache(self._derive)

    @property
    def ids(self) -> frozenset[str]:
        """The ids of all keys in the ring, 16 hexadecimal digits each."""
        return frozenset(self._keys)

    @property
    def without_owners(self) -> list[str]:
        """The ids of keys from releases that had no keys for owners."""
        return sorted(self.ids - self.owners.keys())

    def has_erased(self, owner: str) -> bool:
        """Whether an owner's key was erased under every key of the ring that has keys for owners."""
        leaf = leaf_of(owner)
        return bool(self.owners) and not any(keys.holds(leaf) for keys in self.owners.values())

    @classmethod
    def load(cls, path: Path) -> KeyRing:
        """Read a key file.

        Raises:
            WrongKey: there is no such file.
            Precondition: others than its owner can read it.
            Corrupt: its content is not a key ring, or a byte of a key has changed.
        """
        try:
            with path.open("rb") as file:
                mode = os.fstat(file.fileno()).st_mode
                data = file.read(_MAX_KEY_FILE_BYTES + 1)
        except FileNotFoundError as error:
            raise WrongKey(
                f"The key file {path} does not exist; restore it from its backup, since without it the stored "
                "data cannot be read."
            ) from error
        except OSError as error:
            raise Unavailable(f"The key file {path} cannot be read: {error.strerror}.") from error
        if mode & _GROUP_OR_OTHERS:
            raise Precondition(
                f"The key file {path} is open to others than its owner (mode {stat.S_IMODE(mode):04o}); "
                f"run: chmod 600 {path}",
                reason="KEY_FILE_EXPOSED",
            )
        return cls._parse(data, path)

    @classmethod
    def create(cls, path: Path) -> KeyRing:
        """Make a ring with one random key and write it, mode 0600, complete or not at all.

        Raises:
            Conflict: the file already exists; a key ring is never overwritten.
            Unavailable: it cannot be written.
        """
        ring = _with_new_key()
        write_private(path, ring.to_json(), replace=False, what="The key file ")
        return ring

    @classmethod
    def load_or_create(cls, path: Path) -> KeyRing:
        """Read the key file, or make it if there is none. Only for a store that holds nothing yet."""
        if not path.exists():
            try:
                return cls.create(path)
            except Conflict:
                pass  # another process made it in between: theirs is the one
        return cls.load(path)

    @classmethod
    def rotate(cls, path: Path) -> KeyRing:
        """Add a new key and make it the active one. The old keys stay and go on opening what they sealed.

        Raises:
            WrongKey, Precondition, Corrupt, Unavailable: as `load`.
            Unavailable: the file cannot be written, or holds as many keys as it can.
        """
        with _changing(path) as file:
            old = cls.load(file)
            ring = _with_new_key(old)
            _replace(file, ring)
        return ring

    @classmethod
    def erase_owner(cls, path: Path, owner: str) -> bool:
        """Take an owner's keys out of the ring, and the secrets of snapshots; whether they were still there.

        What they sealed opens no more, in whatever copy, but with a copy of the ring from before.

        Raises:
            Precondition: the ring has no keys for owners yet.
            WrongKey, Precondition, Corrupt, Unavailable: as `rotate`.
        """
        with _changing(path) as file:
            old = cls.load(file)
            if old.active not in old.owners:
                raise Precondition(
                    f"The current key of {path} is from a release that had no keys for owners. Run `likeness keys "
                    "rotate`, start the server with it, wait until `likeness keys list` says that the old keys "
                    "seal nothing more, and remove those.",
                    reason="NO_OWNER_KEYS",
                )
            leaf = leaf_of(owner)
            owners = {name: keys.without(leaf) for name, keys in old.owners.items()}
            if owners == old.owners:
                return False
            _replace(file, cls(old._keys, old.active, old.created, owners))
        return True

    @classmethod
    def remove(cls, path: Path, key_id: str) -> KeyRing:
        """Take a key out of the ring. What it sealed cannot be opened with the file any more.

        Raises:
            NotFound: the ring has no such key.
            Conflict: it is the active one.
            WrongKey, Precondition, Corrupt, Unavailable: as `rotate`.
        """
        with _changing(path) as file:
            old = cls.load(file)
            if key_id not in old.ids:
                raise NotFound(
                    f"The key file {path} has no key {key_id}; `likeness keys list` shows its keys."
                )
            if key_id == old.active:
                raise Conflict(f"Key {key_id} is the current one; run `likeness keys rotate` first.")
            keys = {name: key for name, key in old._keys.items() if name != key_id}
            created = {name: at for name, at in old.created.items() if name != key_id}
            owners = {name: below for name, below in old.owners.items() if name != key_id}
            ring = cls(keys, old.active, created, owners)
            _replace(file, ring)
        return ring

    @classmethod
    def _parse(cls, data: bytes, path: Path) -> KeyRing:
        remedy = f"restore {path} from its backup."
        if len(data) > _MAX_KEY_FILE_BYTES:
            raise Corrupt(f"The key file is larger than {_MAX_KEY_FILE_BYTES} bytes; {remedy}")
        try:
            content = json.loads(data)
            version, active = content["version"], content["active"]
            keys = {str(name): bytes.fromhex(key) for name, key in content["keys"].items()}
            created = {
                str(name): datetime.fromisoformat(at).astimezone(UTC)
                for name, at in content.get("created", {}).items()
            }
            owners = {str(name): str(text) for name, text in content.get("owners", {}).items()}
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise Corrupt(f"The key file is not a key ring; {remedy}") from error
        if version not in (1, 2):
            raise Corrupt(
                f"The key file has version {version!r}, this release reads versions 1 and 2; {remedy}"
            )
        for name, key in keys.items():
            if len(key) != KEY_BYTES or name != _key_id(key):
                raise Corrupt(f"Key {name} in the key file does not match its id; {remedy}")
        if active not in keys:
            raise Corrupt(f"The key file's active key is not among its keys; {remedy}")
        return cls(
            keys,
            active,
            {name: at for name, at in created.items() if name in keys},
            {name: OwnerKeys.from_hex(name, text) for name, text in owners.items() if name in keys},
        )

    def to_json(self) -> bytes:
        """The content of the key file."""
        content: dict[str, object] = {
            "active": self.active,
            "created": {name: at.isoformat(timespec="seconds") for name, at in self.created.items()},
            "keys": {name: key.hex() for name, key in self._keys.items()},
        }
        if self.owners:  # a release that knows nothing of them must not drop them
            content["owners"] = {name: keys.to_hex(name) for name, keys in self.owners.items()}
        content["version"] = 2 if self.owners else 1
        return json.dumps(content, indent=2, sort_keys=True).encode() + b"\n"

    def vault(self, use: KeyUse) -> Vault:
        """Encryption for one use."""
        return Vault(self, use)

    def sealer(self, use: KeyUse) -> Sealer:
        """Keyed digests for one use."""
        return Sealer(self, use)

    def subkey(self, key_id: str, use: KeyUse) -> bytes:
        """The 32-byte subkey of one key for one use.

        Raises:
            WrongKey: the ring has no key of that id.
        """
        return self._subkey(key_id, use)

    def adopt(self, key_id: str, use: KeyUse, subkey: bytes) -> None:
        """Open with a subkey what a key of that id sealed for one use, where the ring no longer has the key."""
        self._adopted[key_id, use] = subkey

    def ids_for(self, use: KeyUse) -> frozenset[str]:
        """The ids of the keys in the ring, and of those of which the subkey for this use is left."""
        return self.ids | {key_id for key_id, adopted in self._adopted if adopted is use}

    def _derive(self, key_id: str, use: KeyUse) -> bytes:
        key = self._keys.get(key_id)
        if key is None:
            if (adopted := self._adopted.get((key_id, use))) is not None:
                return adopted
            raise WrongKey(
                f"The stored data needs key {key_id}, which is not in the key ring; put back the key file that "
                "this data was written with. If other data opens, this piece is damaged: restore a backup.",
                metadata={"key_id": key_id},
            )
        return derive(key, use)


class Vault:
    """AES-256-GCM for one use. A sealed blob is: version (1), key id (8), nonce (12), ciphertext, tag (16)."""

    prefix_bytes = KEY_PREFIX_BYTES

    def __init__(self, ring: KeyRing, use: KeyUse) -> None:
        self._ring = ring
        self._use = use
        self._ciphers: dict[bytes, AESGCM] = {}
        self._header = _VERSION + bytes.fromhex(ring.active)

    def seal(self, plaintext: Buffer, *, aad: bytes) -> bytes:
        """Encrypt under the active key. `aad` says what this is (table, column, reference) and is needed to open.

        Raises:
            InvalidInput: more than `MAX_PLAINTEXT_BYTES`.
        """
        return self._seal(self._header, plaintext, aad)

    def _seal(self, header: bytes, plaintext: Buffer, aad: bytes) -> bytes:
        if len(plaintext) > MAX_PLAINTEXT_BYTES:
            raise InvalidInput(
                f"{len(plaintext)} bytes cannot be sealed at once; split them at {MAX_PLAINTEXT_BYTES}."
            )
        nonce = secrets.token_bytes(NONCE_BYTES)
        ciphertext = self._cipher(header).encrypt(nonce, plaintext, header + aad)
        return header + nonce + ciphertext

    def unseal(self, blob: Buffer, *, aad: bytes) -> bytes:
        """Decrypt what `seal` made with the same `aad`.

        Raises:
            WrongKey: it was sealed under a key that is not in the ring.
            Corrupt: a byte of it has changed, or it was sealed as something else.
        """
        header = header_of(blob)
        body = len(header) + NONCE_BYTES
        if not header or len(blob) < body + TAG_BYTES:
            raise Corrupt(f"{_name(aad)} is not a sealed blob; restore it from a backup.")
        cipher = self._cipher(header)
        try:
            return cipher.decrypt(bytes(blob[len(header) : body]), blob[body:], header + aad)
        except InvalidTag as error:
            raise Corrupt(f"{_name(aad)} does not match its seal; restore it from a backup.") from error

    def key_of(self, blob: Buffer) -> str:
        """The id of the key that a sealed blob, or its beginning of `prefix_bytes`, names."""
        return key_of(blob)

    def is_current(self, blob: Buffer) -> bool:
        """Whether a sealed blob, or its beginning, is sealed under the active key."""
        return bytes(blob[: len(self._header)]) == self._header

    def reseal(self, blob: Buffer, *, aad: bytes) -> bytes:
        """The same sealed under the active key.

        Raises:
            WrongKey, Corrupt: as `unseal`.
        """
        return self.seal(self.unseal(blob, aad=aad), aad=aad)

    def _cipher(self, header: bytes) -> AESGCM:
        cipher = self._ciphers.get(header)
        if cipher is None:
            cipher = self._ciphers[header] = AESGCM(self._key(key_of(header), header[KEY_PREFIX_BYTES:]))
        return cipher

    def _key(self, key_id: str, label: bytes) -> bytes:
        """The 32 bytes that a key of the ring, and its label where there is one, stand for in this use."""
        key = self._ring.subkey(key_id, self._use)
        if label:
            raise Corrupt(f"What is sealed for {self._use} names another use; restore it from a backup.")
        return key


class Sealer:
    """HMAC-SHA-256 for one use. A seal is: key id (8), MAC (32)."""

    def __init__(self, ring: KeyRing, use: KeyUse) -> None:
        self._ring = ring
        self._use = use
        self._active_id = bytes.fromhex(ring.active)
        self._subkeys: dict[bytes, bytes] = {}

    def sign(self, data: bytes) -> bytes:
        """The seal of the data under the active key."""
        return self._active_id + hmac.digest(self._subkey(self._active_id), data, "sha256")

    def sign_under_each(self, data: bytes) -> list[bytes]:
        """The seals of the data under every key that there is for this use, the active one first."""
        others = sorted(self._ring.ids_for(self._use) - {self._ring.active})
        return [
            key_id + hmac.digest(self._subkey(key_id), data, "sha256")
            for key_id in (self._active_id, *map(bytes.fromhex, others))
        ]

    def is_current(self, seal: bytes) -> bool:
        """Whether a seal was made under the active key."""
        return seal[:ID_BYTES] == self._active_id

    def matches(self, data: bytes, seal: bytes) -> bool:
        """Whether the seal belongs to the data.

        Raises:
            WrongKey: it was made under a key that is not in the ring.
        """
        if len(seal) != SEAL_BYTES:
            return False
        mac = hmac.digest(self._subkey(seal[:ID_BYTES]), data, "sha256")
        return hmac.compare_digest(mac, seal[ID_BYTES:])

    def _subkey(self, key_id: bytes) -> bytes:
        subkey = self._subkeys.get(key_id)
        if subkey is None:
            subkey = self._subkeys[key_id] = self._ring.subkey(key_id.hex(), self._use)
        return subkey


def _key_id(key: bytes) -> str:
    return hashlib.sha256(b"likeness/1/key-id" + key).hexdigest()[: 2 * ID_BYTES]


def key_of(blob: Buffer) -> str:
    """The id of the key that a sealed blob, or its beginning of `KEY_PREFIX_BYTES`, names."""
    return bytes(blob[len(_VERSION) : KEY_PREFIX_BYTES]).hex()


def header_of(blob: Buffer) -> bytes:
    """The bytes before the nonce: version, key id and, in the second version, label; none of what is no blob."""
    return bytes(blob[: _HEADER_BYTES.get(blob[0], 0)]) if blob else b""


def derive(key: bytes, use: KeyUse) -> bytes:
    """The 32 bytes that follow from a key for one use."""
    return HKDF(SHA256(), KEY_BYTES, salt=None, info=use.encode()).derive(key)


def _with_new_key(old: KeyRing | None = None) -> KeyRing:
    old = old or KeyRing({}, "")
    key = secrets.token_bytes(KEY_BYTES)
    active = _key_id(key)
    return KeyRing(
        {**old._keys, active: key},
        active,
        {**old.created, active: datetime.now(UTC)},
        {**old.owners, active: OwnerKeys.fresh()},
    )


def _replace(file: Path, ring: KeyRing) -> None:
    """Put a ring in the place of the one in a file.

    Raises:
        Unavailable: it cannot be written, or is too large to be read again.
    """
    data = ring.to_json()
    if len(data) > _MAX_KEY_FILE_BYTES:
        raise Unavailable(
            f"The key file {file} is full; rotate, let the server seal old data under the current key, and remove "
            "the keys that seal nothing more."
        )
    write_private(file, data, replace=True, what="The key file ")


def _name(aad: bytes) -> str:
    return f"The stored {aad.decode('utf-8', 'replace')}"


@contextmanager
def _changing(path: Path) -> Iterator[Path]:
    """The file behind the name, which nobody else changes meanwhile: of two rotations at once none loses its key.

    Raises:
        Unavailable: its folder cannot be opened.
    """
    file = path.resolve()
    try:
        folder = os.open(file.parent, os.O_RDONLY)
    except OSError as error:
        raise Unavailable(f"The folder of the key file {path} cannot be opened: {error.strerror}.") from error
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        for left in file.parent.iterdir():
            if left.name.startswith(f".{file.name}."):  # by a change that was killed: it holds keys
                left.unlink(missing_ok=True)
        yield file
    finally:
        os.close(folder)
