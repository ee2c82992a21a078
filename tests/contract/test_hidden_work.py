"""By every method the service does as much for what is hidden as for what is not there: in steps of the database,
those that put the call on record among them, and not in time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from likeness.domain.ids import new_id
from likeness.domain.references import Category, Purpose, Status
from likeness.store.store import Store
from likeness.testing.vectors import VectorModality
from tests.contract.matrix_calls import ABOUT_ONE, Target
from tests.contract.matrix_hub import Door, hold, serving
from tests.oracle.access import plain
from tests.oracle.access.cases import Asking, Held
from tests.steps import Steps, counting, settle

HIDDEN = {
    "by its owner": Held("AA-POLICE", Category.WANTED, "AA alone"),
    "by the policy": Held("GONE", Category.WANTED),
    "by its status": Held("AA-POLICE", Category.WANTED, status=Status.SUSPENDED),
}
ROLES = {"Enroll": "data_owner", "EnrollMany": "data_owner"}


class World:
    """The service, its store, and where its references are."""

    def __init__(self, door: Door, store: Store, targets: dict[str, Target]) -> None:
        self.door = door
        self.store = store
        self.targets = targets


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    home: Path = tmp_path_factory.mktemp("hidden")
    with serving(home, VectorModality()) as (served, _):
        made = hold(served.composition.engines["face"], list(HIDDEN.values()))
        door = Door(served.address)
        yield World(door, served.composition.store, {name: made[held] for name, held in HIDDEN.items()})
        door.close()


@pytest.mark.parametrize("method", ABOUT_ONE)
@pytest.mark.parametrize("how", HIDDEN)
def test_as_much_is_done_for_what_is_hidden_as_for_what_is_not_there(
    world: World, monkeypatch: pytest.MonkeyPatch, how: str, method: str
) -> None:
    asking = Asking(ROLES.get(method, "supervisor"), "BB-POLICE", Purpose.WANTED_PERSON)
    action, call = ABOUT_ONE[method]
    assert plain.may_call(asking, action)
    assert not plain.shown(asking, HIDDEN[how])

    def counted(target: Target) -> Steps:
        with counting(world.store, monkeypatch) as steps:
            world.door.ask(asking, call, target)
        return steps

    absent = Target(new_id(), 5000)
    for target in (absent, world.targets[how]):
        world.door.ask(asking, call, target)  # counts of quotas are there from now on
    settle(world.store)
    assert counted(world.targets[how]) == counted(absent)
    assert counted(absent).written
