"""What a bulk enrolment says about each file, and what is sent for it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath

from likeness.cli import files
from likeness.cli.caller import Asking
from likeness.cli.files import SampleFile
from likeness.cli.journal import KEY_BYTES
from likeness.client import Enrolment
from likeness.domain.references import Category
from likeness.domain.text import printable
from likeness.v1 import common_pb2 as common
from likeness.v1 import matching_pb2 as matching


class Label(StrEnum):
    """What becomes the owner's own number for the record."""

    STEM = "stem"
    """The file's name without its ending."""
    PATH = "path"
    """The file's path below the folder given."""
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Tag:
    """The file that an enrolment was made from, and the journal's key for it.

    `plain_key` is the one of releases whose keys and request ids left out the modality, `shared_key` that of
    releases whose keys left out the server only.
    """

    file: SampleFile
    key: str
    sha256: str
    plain_key: str
    shared_key: str

    @property
    def plain_request_id(self) -> str:
        """The request id that releases without the modality in it sent."""
        return _request_id(self.plain_key)


@dataclass(frozen=True, slots=True)
class EnrolmentFields:
    """The same words for every file of a run.

    `subject` names the subject of all; with `subject_from_folder` it is the folder that holds the file. Names of
    files and folders become labels with their unprintable characters and bytes that are not UTF-8 as escapes.
    `selection` says which of several faces; None takes photographs of one face only. `override` is the reason to
    enrol in spite of quality. `salt` makes other request ids of the same words.
    """

    asking: Asking
    galleries: tuple[str, ...] = ()
    category: Category = Category.UNSPECIFIED
    subject: str = ""
    subject_from_folder: bool = False
    label: Label = Label.STEM
    notices: tuple[str, ...] = ()
    restrictions: common.Restrictions | None = None
    selection: common.Selection | None = None
    override: str = ""
    salt: str = ""

    def enrolment(self, file: SampleFile, data: bytes) -> Enrolment:
        """What is sent for one file, tagged with a `Tag`; its request id follows from everything that counts."""
        metadata = common.ReferenceMetadata(
            subject_id=self._subject(file),
            galleries=sorted(self.galleries),
            category=common.Category.Value(f"CATEGORY_{self.category.name}"),
            notices=self.notices,
            restrictions=self.restrictions,
            owner_reference=self._label(file),
        )
        sample = common.Sample(selection=self.selection)
        sha256 = files.sha256(data)
        modality = self.asking.modality.encode() + b"\0"
        plain = self._key(metadata, sample, sha256)
        sent = self._key(metadata, sample, sha256, modality)
        here = self._key(metadata, sample, sha256, modality + self.asking.server.encode() + b"\0")
        sample.data, sample.name = data, files.sent_name(file.path)
        tag = Tag(file, here, sha256, plain_key=plain, shared_key=sent)
        return Enrolment(sample, metadata, self.override, _request_id(sent), tag)

    def _key(
        self, metadata: common.ReferenceMetadata, sample: common.Sample, sha256: str, where: bytes = b""
    ) -> str:
        """2 x KEY_BYTES hexadecimal digits over the fields, the sample's bytes, the salt and where it is sent.

        A request id knows the modality; the journal's key the server too, whose store another does not share. Older
        releases left out both. The operator is left out so that a colleague can resume a run, the file's name so
        that a file can move.
        """
        caller = common.CallerContext()
        caller.CopyFrom(self.asking.context)
        caller.ClearField("operator")
        override = common.QualityOverride(reason=self.override) if self.override else None
        content = matching.EnrollRequest(
            caller=caller, metadata=metadata, sample=sample, quality_override=override
        )
        digest = hashlib.sha256(bytes.fromhex(sha256))
        digest.update(hashlib.sha256(self.salt.encode()).digest())
        digest.update(where)
        digest.update(content.SerializeToString(deterministic=True))
        return digest.hexdigest()[: 2 * KEY_BYTES]

    def _subject(self, file: SampleFile) -> str:
        if self.subject_from_folder:
            return printable(file.path.absolute().parent.name)
        return self.subject

    def _label(self, file: SampleFile) -> str:
        match self.label:
            case Label.STEM:
                return printable(PurePosixPath(file.name).stem)
            case Label.PATH:
                return printable(file.name)
        return ""


def _request_id(key: str) -> str:
    return f"cli-{key}"
