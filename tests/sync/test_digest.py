"""Digests: equal to what a phone computes from its rows, on both stores."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from infra.local.phone import Phone
from shared.jobs import transfer
from shared.records.store import Key
from shared.sync.digest import Digest, digest
from tests.neutral.tables import CATALOG
from tests.sync.clinic import Clinic, pass_millisecond
from tests.sync.test_watermelon import Melon, created, notebook

Json = dict[str, Any]

#: Columns that phones write, as an app knows them from its schema.
CONTENT = {
    "notebooks": {"cover": "json"},
    "notes": {
        "notebook_id": "text",
        "body": "json",
        "mark": "text",
        "picture_keys": "strings",
    },
    "summary_queue": {},
}


def of_phone(phone: Phone) -> dict[str, Json]:
    """What the phone says it holds; written down independently of the server's code."""
    found: dict[str, Json] = {}
    for table, columns in CONTENT.items():
        mixed, count = 0, 0
        for (name, record_id), row in phone.rows.items():
            if name != table:
                continue
            fields = {}
            for column, kind in columns.items():
                value = row.get(column)
                if value is not None:
                    fields[column] = plain(value) if kind == "json" else value
            content = {
                "deleted": False,
                "fields": fields,
                "id": record_id,
                "scope": row["scope_id"],
            }
            mixed ^= int(hashlib.sha256(plain(content).encode()).hexdigest(), 16)
            count += 1
        found[table] = {"count": count, "hash": f"{mixed:064x}"}
    return found


def plain(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def asked(clinic: Clinic, phone: Phone, user: str = "member1") -> Digest:
    caller = Melon(clinic, user).caller
    return digest(clinic.store, CATALOG, caller, round(phone.cursor * 1000))


def test_a_phone_that_is_up_to_date_has_the_servers_digest(clinic: Clinic) -> None:
    one, two = clinic.phone(device="one"), clinic.phone(device="two")
    for number in range(7):
        one.save("notebooks", f"p{number}", cover={"n": number, "name": "Ünal"})
        one.save(
            "notes",
            f"c{number}",
            notebook_id=f"p{number}",
            mark="red" if number == 3 else "green",
            body={"b": [1, {"z": None, "a": True}]},
            picture_keys=["k1", "k2"],
        )
    one.sync()
    one.delete("notebooks", "p6")
    one.sync()
    pass_millisecond()
    for phone in (one, two):
        phone.sync()
        found = asked(clinic, phone)
        assert found.current
        assert found.tables == of_phone(phone)
        assert found.tables["notes"]["count"] == 6  # one went with its notebook
    two.rows["notebooks", "p1"]["cover"] = {"n": "altered"}
    assert asked(clinic, two).tables["notebooks"] != of_phone(two)["notebooks"]


def test_a_phone_that_is_behind_is_told_to_pull_first(clinic: Clinic) -> None:
    one, two = clinic.phone(device="one"), clinic.phone(device="two")
    one.save("notebooks", "p1", cover={})
    one.sync()
    pass_millisecond()
    two.sync()
    assert asked(clinic, two).current
    one.save("notebooks", "p1", cover={"n": 2})
    one.sync()
    found = asked(clinic, two)
    assert (found.current, found.tables) == (False, {})
    two.sync()
    pass_millisecond()
    two.sync()
    assert asked(clinic, two).tables == of_phone(two)


def test_a_membership_that_changed_calls_for_a_pull(clinic: Clinic) -> None:
    one = clinic.phone()
    one.save("notebooks", "p1", cover={})
    one.sync()
    pass_millisecond()
    one.sync()
    clinic.join("member1", "team2")
    assert not asked(clinic, one).current


def test_a_patient_that_moved_has_the_digest_of_its_new_team(clinic: Clinic) -> None:
    clinic.join("member2", "team2")
    one, other = clinic.phone(), clinic.phone("member2")
    one.save("notebooks", "p1", cover={"n": 1})
    one.sync()
    transfer.move(clinic.store, CATALOG, Key("notebooks", "p1"), "team2", clinic.now_ms())
    pass_millisecond()
    other.sync()
    assert asked(clinic, other, "member2").tables == of_phone(other)


def test_only_what_the_caller_may_see_counts(clinic: Clinic) -> None:
    clinic.join("member2", "team2")
    one, other = clinic.phone(), clinic.phone("member2")
    one.save("notebooks", "p1", cover={})
    one.sync()
    other.save("notebooks", "p2", cover={})
    other.sync()
    pass_millisecond()
    other.sync()
    found = asked(clinic, other, "member2")
    assert found.tables == of_phone(other)
    assert found.tables["notebooks"]["count"] == 1
    nobody = digest(clinic.store, CATALOG, Melon(clinic, "nobody").caller, None)
    assert {entry["count"] for entry in nobody.tables.values()} == {0}


def test_the_receipt_says_what_the_server_holds_of_a_push(clinic: Clinic) -> None:
    one = clinic.phone()
    one.save("notebooks", "p1", cover={"n": 1})
    one.save("notebooks", "p2", cover={"n": 2})
    request = one.request()
    answer = one.send(request, one)
    one.apply(answer)
    held = {table: entry for table, entry in of_phone(one).items() if entry["count"]}
    assert answer["receipt"]["digest"] == held
    assert one.send(request, one)["receipt"] == answer["receipt"]  # also when it is sent again
    melon = Melon(clinic, device="melon")
    melon.push(created(notebook("p3", cover='{"n":3}')))
    assert melon.receipt["digest"]["notebooks"]["count"] == 1


def test_a_receipt_counts_what_won_and_leaves_out_what_is_deleted(clinic: Clinic) -> None:
    one, two = clinic.phone(device="one"), clinic.phone(device="two")
    for name in ("p1", "p2"):
        one.save("notebooks", name, at=1000, cover={})
    one.sync()
    two.sync()
    two.save("notebooks", "p1", at=2000, cover={"n": "two"})
    two.sync()
    one.save("notebooks", "p1", at=1500, cover={"n": "one"})
    one.delete("notebooks", "p2", at=1500)
    answer = one.sync()
    del two.rows["notebooks", "p2"]
    assert answer["receipt"]["digest"] == {"notebooks": of_phone(two)["notebooks"]}
