"""What the oracles are asked about: who calls and why, and a reference with what its owner and its status allow."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product

from likeness.domain.access import Level
from likeness.domain.references import Category, Purpose, Restrictions, Status

COUNTRIES = {"AA-POLICE": "AA", "AA-BORDER": "AA", "BB-POLICE": "BB"}
"""The entities of the directory in `tests.unit.access.hub`, and their countries."""

GROUPS = {"AA-POLICE": {"north"}, "AA-BORDER": {"north", "south"}, "BB-POLICE": {"south"}}

OWNERS = (*COUNTRIES, "GONE")
"""The last is not in the directory."""

RESTRICTIONS = {
    "none": Restrictions(),
    "not BB-POLICE": Restrictions(denied_entities=frozenset({"BB-POLICE"})),
    "AA alone": Restrictions(permitted_countries=frozenset({"AA"})),
    "south alone": Restrictions(permitted_groups=frozenset({"south"})),
    "wanted persons alone": Restrictions(permitted_purposes=frozenset({Purpose.WANTED_PERSON})),
}
DISCLOSED = (None, Level.HIT, Level.CANDIDATE)
"""How much an owner lets others see: in full, and less."""

CATEGORIES = (Category.SUSPECT, Category.WANTED, Category.VICTIM, Category.MISSING)

PURPOSES = (
    Purpose.UNSPECIFIED,
    Purpose.WANTED_PERSON,
    Purpose.BORDER_CONTROL,
    Purpose.COURT_PROCEEDINGS,
    Purpose.SYSTEM_TEST,
)

INVESTIGATORS = ("case_system", "examiner", "supervisor")
ROLES = (*INVESTIGATORS, "data_owner", "frontline", "auditor", "operator")


@dataclass(frozen=True)
class Asking:
    """Who calls, for whom and why; `frontline`: whether a search is by the frontline's profile."""

    role: str
    entity: str
    purpose: Purpose
    frontline: bool = False


@dataclass(frozen=True)
class Held:
    """A reference. `restriction` is a name of `RESTRICTIONS`."""

    owner: str
    category: Category
    restriction: str = "none"
    disclosed: Level | None = None
    status: Status = Status.ACTIVE

    @property
    def restrictions(self) -> Restrictions:
        """What its owner demands of others."""
        return replace(RESTRICTIONS[self.restriction], disclosure=self.disclosed)


def every_held() -> list[Held]:
    """Every combination of what a reference may be."""
    return [Held(*one) for one in product(OWNERS, CATEGORIES, RESTRICTIONS, DISCLOSED, Status)]
