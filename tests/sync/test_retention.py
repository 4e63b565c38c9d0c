"""How long deleted data is kept, and that a phone is right whenever it comes back, on both stores."""

from __future__ import annotations

from collections.abc import Sequence

from infra.local.phone import wall_ms
from shared.records import record
from shared.records.store import STAMP, Write
from shared.sync.retention import Purger
from tests.neutral.tables import CATALOG
from tests.stores import Interrupted
from tests.sync.clinic import Clinic
from tests.sync.test_watermelon import Melon, deleted, updated
from tests.sync.test_watermelon import notebook as melon_patient

DAY_MS = 86_400_000
KEEP = 180


def purge(clinic: Clinic, days: float) -> int:
    """A purge so many days from now."""
    keeper = Purger(clinic.store, CATALOG, keep_days=KEEP)
    return keeper.purge(wall_ms() + round(days * DAY_MS))


def test_a_tombstone_keeps_its_data_then_only_its_id(clinic: Clinic) -> None:
    phone = clinic.phone()
    phone.save("notebooks", "p1", cover={"name": "Amina"})
    phone.save("notebooks", "p2", cover={"name": "Binta"})
    phone.sync()
    phone.delete("notebooks", "p1")
    phone.sync()
    assert purge(clinic, KEEP - 1) == 0
    assert "Amina" in clinic.fields("notebooks", "p1")["cover"]
    assert purge(clinic, KEEP + 1) == 1
    left = clinic.fields("notebooks", "p1")
    assert set(left) == {"scope_id", "deleted_at", "last_modified_at", "_hash", "_edited", STAMP}
    assert purge(clinic, KEEP + 2) == 0
    assert "Binta" in clinic.fields("notebooks", "p2")["cover"]


def test_log_entries_of_a_purged_record_go_with_it(clinic: Clinic) -> None:
    one, two = clinic.phone(device="one"), clinic.phone(device="two")
    for name in ("p1", "p2"):
        one.save("notebooks", name, cover={"n": 1})
    one.sync()
    two.sync()
    one.save("notes", "p1", notebook_id="p2", body={})
    one.sync()
    two.sync()
    for phone in (one, two):
        for name in ("p1", "p2"):
            phone.save("notebooks", name, cover={"n": phone.device})
        phone.save("notes", "p1", body={"n": phone.device})
        phone.sync()
    assert len(clinic.all("conflicts")) == 3
    one.delete("notebooks", "p1")
    one.sync()
    assert purge(clinic, KEEP + 1) == 1
    left = {(entry.fields["table"], entry.fields["record_id"]) for entry in clinic.all("conflicts")}
    assert left == {("notebooks", "p2"), ("notes", "p1")}


def test_a_phone_that_comes_back_after_a_year_is_right(clinic: Clinic) -> None:
    one, away = clinic.phone(device="one"), clinic.phone(device="away")
    for name in ("gone", "edited", "stays"):
        one.save("notebooks", name, cover={"n": name})
    one.sync()
    away.sync()
    away.save("notebooks", "edited", cover={"n": "offline for a year"})
    away.save("notebooks", "new", cover={"n": "made offline"})
    for name in ("gone", "edited"):
        one.delete("notebooks", name)
    one.sync()
    assert purge(clinic, 365) == 2
    answer = away.sync()
    assert sorted(answer["deleted"]["notebooks"]) == ["edited", "gone"]
    assert {name for _, name in away.rows} == {"stays", "new"}
    assert [item["code"] for item in answer["rejected"]] == ["deleted"]
    (lost,) = [item for item in clinic.all("conflicts") if item.fields["record_id"] == "edited"]
    assert "offline for a year" in lost.fields["yours"]


def test_a_deletion_made_offline_200_days_ago_counts_from_its_arrival(clinic: Clinic) -> None:
    one, away = clinic.phone(device="one"), clinic.phone(device="away")
    long_ago = (wall_ms() - 200 * DAY_MS) / 1000
    away.save("notebooks", "p1", at=long_ago - 10, cover={"n": 1})
    away.sync()
    one.sync()
    away.delete("notebooks", "p1", at=long_ago)
    away.sync()
    assert purge(clinic, 0) == 0
    assert purge(clinic, 100) == 0
    assert clinic.fields("notebooks", "p1")["cover"]
    assert one.sync()["deleted"]["notebooks"] == ["p1"]
    assert purge(clinic, KEEP + 1) == 1


def test_a_purged_record_is_right_for_the_other_dialect_too(clinic: Clinic) -> None:
    one, away = Melon(clinic), Melon(clinic, device="away")
    one.push({"notebooks": {"created": [melon_patient()], "updated": [], "deleted": []}})
    since = away.pull()["timestamp"]
    one.push(deleted("p1"), one.pull()["timestamp"])
    assert purge(clinic, 365) == 1
    assert away.pull(since)["changes"]["notebooks"]["deleted"] == ["p1"]
    answer = away.push(updated(melon_patient()), away.pull(since)["timestamp"])
    assert answer["experimentalRejectedIds"] == {"notebooks": ["p1"]}
    # a deletion of what is purged already is no news
    assert away.push(deleted("p1"), away.pull(since)["timestamp"]) == {}


def test_a_purge_that_is_killed_goes_on_where_it_was(clinic: Clinic) -> None:
    phone = clinic.phone()
    for number in range(5):
        phone.save("notebooks", f"p{number}", cover={"n": number})
    phone.sync()
    for number in range(5):
        phone.delete("notebooks", f"p{number}")
    phone.sync()

    class Killed(BaseException):
        pass

    seen: list[int] = []

    def die(_writes: Sequence[Write]) -> None:
        seen.append(1)
        if len(seen) == 3:
            raise Killed

    try:
        keeper = Purger(Interrupted(clinic.store, before=die), CATALOG, keep_days=KEEP)
        keeper.purge(wall_ms() + 365 * DAY_MS)
    except Killed:
        pass
    else:
        raise AssertionError("nobody was killed")
    assert purge(clinic, 365) == 3
    assert all("cover" not in item.fields for item in clinic.all("notebooks"))


def test_a_server_clock_far_ahead_purges_nothing_early(clinic: Clinic) -> None:
    """The stamp of a deletion is a server's clock; the commit's own time must agree."""
    phone = clinic.phone()
    phone.save("notebooks", "p1", cover={"n": 1})
    phone.sync()
    stored = clinic.get("notebooks", "p1")
    assert stored is not None
    long_ago = wall_ms() - 400 * DAY_MS
    fields = {record.DELETED: long_ago, record.KEPT: long_ago}
    clinic.store.commit([record.server_patch(stored, fields)])
    assert purge(clinic, 0) == 0
    assert purge(clinic, KEEP + 1) == 1
