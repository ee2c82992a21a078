"""References, their owners, and the callers who ask for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from likeness.domain.access import UNJUDGED, Grant, Level
from likeness.domain.samples import Quality


class Status(StrEnum):
    """Where a reference is in its life. Only ACTIVE references take part in searches."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    EXPUNGED = "expunged"


class Category(StrEnum):
    """Why the subject of a reference is on file; victims and suspects must never be mistaken for each other."""

    UNSPECIFIED = "unspecified"
    SUSPECT = "suspect"
    CONVICTED = "convicted"
    WANTED = "wanted"
    VICTIM = "victim"
    WITNESS = "witness"
    MISSING = "missing"
    UNIDENTIFIED_REMAINS = "unidentified_remains"
    UNSOLVED_MARK = "unsolved_mark"
    STOLEN = "stolen"
    SEIZED = "seized"
    LOST = "lost"
    OTHER = "other"


class Purpose(StrEnum):
    """Why a request is made; recorded with every search, and a reference may be limited to some of these."""

    UNSPECIFIED = "unspecified"
    CRIMINAL_INVESTIGATION = "criminal_investigation"
    WANTED_PERSON = "wanted_person"
    MISSING_PERSON = "missing_person"
    VICTIM_IDENTIFICATION = "victim_identification"
    REMAINS_IDENTIFICATION = "remains_identification"
    BORDER_CONTROL = "border_control"
    PROPERTY_RECOVERY = "property_recovery"
    COURT_PROCEEDINGS = "court_proceedings"
    DATA_QUALITY = "data_quality"
    SYSTEM_TEST = "system_test"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, why, and for which case.

    `entity` is the requesting authority (for example a national central bureau); `operator` the person or
    system there, as that authority names it. `grant` is what the call was judged to be allowed.
    """

    entity: str
    purpose: Purpose = Purpose.UNSPECIFIED
    case_reference: str = ""
    operator: str = ""
    grant: Grant = UNJUDGED


@dataclass(frozen=True, slots=True)
class Restrictions:
    """Limits that the owner sets on use of a reference; the owner itself is never limited by them.

    An empty `permitted_*` set permits everyone who is not denied; a caller must pass all of them. Countries and
    groups of entities are those of the caller's grant. A caller whose country and groups are not known is not
    admitted where they are limited. `disclosure` is the most that is shown to others; None leaves it to the policy.
    """

    denied_entities: frozenset[str] = frozenset()
    permitted_entities: frozenset[str] = frozenset()
    permitted_purposes: frozenset[Purpose] = frozenset()
    denied_countries: frozenset[str] = frozenset()
    permitted_countries: frozenset[str] = frozenset()
    denied_groups: frozenset[str] = frozenset()
    permitted_groups: frozenset[str] = frozenset()
    disclosure: Level | None = None

    def admits(self, caller: Caller) -> bool:
        """Whether these limits let the caller use the reference."""
        country = frozenset({caller.grant.country} - {""})
        groups = caller.grant.groups
        return (
            _admitted(frozenset({caller.entity}), self.denied_entities, self.permitted_entities)
            and _admitted(country, self.denied_countries, self.permitted_countries, known=bool(country))
            and _admitted(groups, self.denied_groups, self.permitted_groups, known=bool(country or groups))
            and (not self.permitted_purposes or caller.purpose in self.permitted_purposes)
        )


def _admitted(
    of: frozenset[str], denied: frozenset[str], permitted: frozenset[str], *, known: bool = True
) -> bool:
    """Whether who is `of` these passes a pair of limits; unless that is known, only where there are none."""
    if not denied and not permitted:
        return True
    return known and not of & denied and (not permitted or bool(of & permitted))


class MetadataField(StrEnum):
    """What an owner states of a reference, piece by piece, by the name that a client gives it."""

    SUBJECT_ID = "subject_id"
    OWNER = "owner"
    GALLERIES = "galleries"
    CATEGORY = "category"
    DENIED_ENTITIES = "restrictions.denied_entities"
    PERMITTED_ENTITIES = "restrictions.permitted_entities"
    PERMITTED_PURPOSES = "restrictions.permitted_purposes"
    DENIED_COUNTRIES = "restrictions.denied_countries"
    PERMITTED_COUNTRIES = "restrictions.permitted_countries"
    DENIED_GROUPS = "restrictions.denied_groups"
    PERMITTED_GROUPS = "restrictions.permitted_groups"
    DISCLOSURE = "restrictions.disclosure"
    NOTICES = "notices"
    OWNER_REFERENCE = "owner_reference"
    ATTRIBUTES = "attributes"
    REVIEW_TIME = "review_time"
    EXPIRE_TIME = "expire_time"
    STATUS = "status"


ALL_METADATA = frozenset(MetadataField)


@dataclass(frozen=True, slots=True)
class Facets:
    """The part of a reference that filters searches; held in parallel to the rows of vectors.

    `expires_at` is in whole Unix seconds; None means never.
    """

    owner: str
    galleries: frozenset[str] = frozenset()
    category: Category = Category.UNSPECIFIED
    status: Status = Status.ACTIVE
    restrictions: Restrictions = Restrictions()
    expires_at: int | None = None


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Reference:
    """One enrolled sample as its owner describes it.

    `owner_reference` is the owner's own number for the record. `attributes` are the owner's key-value pairs
    about the subject; with `subject_id`, `notices` and `owner_reference` they are stored encrypted. Times are
    UTC. `position` is the log position of the last change, `enrolled_position` of the enrolment. `level` is how
    much of it is here: what a caller may not see was taken out, see `engine.policy.as_seen_by`.
    """

    reference_id: str
    modality: str
    facets: Facets
    subject_id: str = ""
    owner_reference: str = ""
    notices: tuple[str, ...] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)
    review_at: datetime | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    quality: Quality = Quality()
    quality_override: str = ""
    template_space: str = ""
    model: str = ""
    position: int = 0
    enrolled_position: int = 0
    level: Level = Level.FULL
