"""Whose data can be asked for is what the product declares: here the owner of a notebook."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace

from infra.cli import backup
from infra.local.phone import Phone
from shared.jobs import cascade
from shared.notify import notice
from shared.privacy import erasure
from shared.privacy.export import export
from shared.records.collection import Catalog
from tests.jobs.conftest import Workplace

SECRET, OTHER = "Amina-of-Kito", "Binta-of-Kito"


def story(place: Workplace) -> Phone:
    """Two notebooks, a red note in each; a summary, a conflict, a refusal and a notice of each."""
    place.join("doctor1", role="doctor")
    one, two = place.phone(device="one"), place.phone(device="two")
    for book, name in (("p1", SECRET), ("p2", OTHER)):
        one.save("notebooks", book, cover={"name": name})
        one.save("notes", f"{book}-n", notebook_id=book, mark="red", body={"text": name})
    one.sync()
    two.sync()
    place.worker().run_due(place.kind, 120)
    for phone in (one, two):  # both edit: what loses is kept
        for book, name in (("p1", SECRET), ("p2", OTHER)):
            phone.save("notes", f"{book}-n", body={"text": f"{name} {phone.device}"})
        phone.sync()
    for book, name in (("p1", SECRET), ("p2", OTHER)):
        one.save("notes", f"{book}-bad", notebook_id=book, page=0, body={"text": name})
        place.store.commit([notice.due(f"j-{book}", f"{book}-n", "team1", place.now_ms())])
    one.sync()
    return one


def erase(place: Workplace, named: str, catalog: Catalog | None = None) -> dict[str, int]:
    follow: Callable[[], object] = lambda: place.worker().run_due(cascade.KIND, 120)  # noqa: E731
    return erasure.erase(place.store, catalog or place.catalog, named, place.now_ms(), follow)


def everything(place: Workplace) -> str:
    seen = io.StringIO()
    backup.export(place.store, seen)
    return seen.getvalue()


def test_a_person_of_any_product_is_given_out_whole_and_alone(place: Workplace) -> None:
    story(place)
    found = export(place.store, place.catalog, "p1", place.now_ms())
    rows = {table: [row["id"] for row in rows] for table, rows in found["records"].items()}
    assert rows == {"notebooks": ["p1"], "notes": ["p1-n"], "summary_queue": ["p1-n"]}
    assert {each["record_id"] for each in found["conflicts"]} == {"p1-n"}
    assert [each["record_id"] for each in found["quarantine"]] == ["p1-bad"]
    assert {each["record_id"] for each in found["readings"]} == {"p1-n"}
    assert {each["record_id"] for each in found["notices"]} == {"p1-n"}
    assert {each["subject_id"] for each in found["jobs"]} == {"p1-n"}
    assert SECRET in str(found)
    assert OTHER not in str(found)


def test_what_a_user_made_is_found_by_the_column_that_the_product_declares(
    place: Workplace,
) -> None:
    # given a note that somebody else has changed last
    story(place)
    place.join("boss1", role="supervisor")
    boss = place.phone("boss1")
    boss.sync()
    boss.save("notes", "p2-n", weight=5)
    boss.sync()
    assert place.fields("notes", "p2-n")["maker_id"] == "member1"
    # when, then
    wrote = export(place.store, place.catalog, "member1", place.now_ms())["user"]["wrote"]
    assert sorted(wrote["notes"]) == ["p1-n", "p2-n"]
    wrote = export(place.store, place.catalog, "boss1", place.now_ms())["user"]["wrote"]
    assert wrote == {"notebooks": [], "notes": ["p2-n"], "summary_queue": []}
    # a product that declares none is searched by the last author alone
    plain = replace(place.catalog, maker=None)
    wrote = export(place.store, plain, "member1", place.now_ms())["user"]["wrote"]
    assert wrote["notes"] == ["p1-n"]


def test_a_person_of_any_product_is_erased_and_the_others_stay(place: Workplace) -> None:
    phone = story(place)
    told = erase(place, "p1")
    assert {name: count for name, count in told.items() if not count} == {"phones": 0, "files": 0}
    assert told["records"] == 3
    assert SECRET not in everything(place)
    assert OTHER in everything(place)
    phone.sync()
    assert ("notes", "p1-n") not in phone.rows
    assert ("notes", "p2-n") in phone.rows
    assert set(erase(place, "p1").values()) == {0}


def test_a_product_without_people_has_nobody_to_give_out_or_to_erase(place: Workplace) -> None:
    story(place)
    none = replace(place.catalog, people=None)
    held = [(each.key, each.fields) for name in ("notebooks", "notes") for each in place.all(name)]
    assert export(place.store, none, "p1", place.now_ms())["records"] == {}
    told = erase(place, "p1", none)
    # then what was refused under that id is removed all the same
    assert {name for name, count in told.items() if count} == {"log entries"}
    assert [each.fields["record_id"] for each in place.all("quarantine")] == ["p2-bad"]
    assert held == [
        (each.key, each.fields) for name in ("notebooks", "notes") for each in place.all(name)
    ]
