"""A family's records in memory are those of the store, whatever happened since they were read."""

from __future__ import annotations

import random

import pytest

from infra.local.phone import wall_ms
from shared.access.membership import Caller
from shared.products.hemoday.household import Household, Households
from shared.products.hemoday.reading import TEXTS
from shared.products.hemoday.tables import CATALOG, DOCUMENTS, TRANSFUSIONS
from shared.records.store import Key, RecordStore, put
from shared.support.moves import move
from shared.sync.pull import EPOCH
from tests.hemoday.family import Family, changes, row


def names(household: Household) -> set[str]:
    return {each.key.id for table in household.tables.values() for each in table.values()}


def living(store: RecordStore, scope: str) -> set[str]:
    """What a reading from nothing finds."""
    return names(Households(store, CATALOG).of(scope))


def test_it_follows_what_changes_and_what_is_deleted(families: Family) -> None:
    households = Households(families.store, CATALOG)
    assert names(households.of("team1")) == set()
    families.melon().push(changes(transfusions=[row("t1", date=1), row("t2", date=2)]))
    first = households.of("team1")
    assert names(first) == {"t1", "t2"}
    assert households.of("team1").tables == first.tables  # nothing new: the same tables
    phone = families.melon()
    phone.push(
        {"transfusions": {"created": [], "updated": [row("t1", date=3)], "deleted": ["t2"]}},
        phone.pull()["timestamp"],
    )
    assert {
        id: each.fields["date"] for id, each in households.of("team1").tables[TRANSFUSIONS].items()
    } == {"t1": 3}
    assert names(first) == {"t1", "t2"}  # who holds an older one keeps it


def test_nothing_of_another_family_is_in_it(families: Family) -> None:
    families.join("carl", "team2")
    families.melon().push(changes(transfusions=[row("t1", date=1)]))
    families.melon("carl").push(changes(transfusions=[row("c1", date=1)]))
    households = Households(families.store, CATALOG)
    assert (names(households.of("team1")), names(households.of("team2"))) == ({"t1"}, {"c1"})
    assert names(households.of("nobody")) == set()


def test_what_moves_to_another_family_is_there_and_no_longer_here(families: Family) -> None:
    families.join("owner1", "team1", "owner")
    families.join("owner1", "team2", "owner")
    households = Households(families.store, CATALOG)
    families.melon().push(changes(transfusions=[row("t1", date=1), row("t2", date=2)]))
    assert len(households.of("team1")) == 2
    owner = Caller("owner1", "owner", "phone")
    for to, here, there in (("team2", {"t2"}, {"t1"}), ("team1", {"t1", "t2"}, set())):
        move(families.store, CATALOG, owner, Key(TRANSFUSIONS, "t1"), to, wall_ms(), dry_run=False)
        assert names(households.of("team1")) == here
        assert names(households.of("team2")) == there


def test_a_copy_that_was_brought_back_is_read_whole(families: Family) -> None:
    households = Households(families.store, CATALOG)
    families.melon().push(changes(transfusions=[row("t1", date=1)]))
    assert names(households.of("team1")) == {"t1"}
    families.store.commit([put(EPOCH, {"started_at": wall_ms()}, None)])
    assert households.of("team1").epoch > 0
    assert names(households.of("team1")) == {"t1"}


def test_families_that_nobody_asks_for_are_forgotten(families: Family) -> None:
    families.join("carl", "team2")
    families.melon().push(changes(transfusions=[row(f"t{n}", date=n) for n in range(5)]))
    families.melon("carl").push(changes(transfusions=[row(f"c{n}", date=n) for n in range(5)]))
    households = Households(families.store, CATALOG, most_records=7)
    for scope in ("team1", "team2", "team1"):
        assert len(households.of(scope)) == 5
    assert list(households._slots) == ["team1"]


@pytest.mark.parametrize("seed", range(3))
def test_after_any_changes_it_is_what_a_reading_from_nothing_finds(
    families: Family, seed: int
) -> None:
    rng = random.Random(seed)
    households, phone, known = Households(families.store, CATALOG), families.melon(), set[str]()
    for step in range(40):
        name = f"r{rng.randrange(12)}"
        there = {TRANSFUSIONS: {"created": [], "updated": [], "deleted": []}}
        if name in known and rng.random() < 0.4:
            there[TRANSFUSIONS]["deleted"] = [name]
            known.discard(name)
        else:
            there[TRANSFUSIONS]["updated" if name in known else "created"] = [row(name, date=step)]
            known.add(name)
        phone.push(there, phone.pull()["timestamp"])
        if rng.random() < 0.5:
            assert names(households.of("team1")) == living(families.store, "team1")


def test_long_texts_count_for_many_records(families: Family) -> None:
    families.join("carl", "team2")
    for scope, user, id in (("team1", "member1", "d1"), ("team2", "carl", "d2")):
        families.melon(user).push(changes(documents=[row(id, name="MRI", pages="[]")]))
        text = {"scope_id": scope, "table": DOCUMENTS, "record_id": id, "text": "word " * 2_000}
        families.store.commit([put(Key(TEXTS, f"{id}-text"), text, None)])
    households = Households(families.store, CATALOG, most_records=20, beside={TEXTS: DOCUMENTS})
    assert [households.of(scope).size for scope in ("team1", "team2")] == [12, 12]
    assert list(households._slots) == ["team2"]
