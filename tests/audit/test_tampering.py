"""Each way to tamper with the audit trail, and what finds it: the rows of docs/security.md, both stores."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from infra.cli.root import main
from shared import wiring
from shared.access import audit
from shared.access.audit import Anchor
from shared.access.membership import Caller
from shared.records.store import Document, Key, Query, RecordStore, delete, patch, put
from tests.stores import BOTH, fresh

TEAM, OTHER = "team1", "team2"


class Trail:
    """Two teams of six sealed entries each, two that wait, and the heads that were kept on the way."""

    def __init__(self, store: RecordStore) -> None:
        self.store = store
        self.kept: list[Anchor] = []
        for at in (1, 4):
            for number in range(at, at + 3):
                for scope in (TEAM, OTHER):
                    self.write(scope, number)
            self.seal()
        for number in (7, 8):
            self.write(TEAM, number)

    def write(self, scope: str, number: int) -> None:
        who = Caller("chw1", "chw", "phone")
        touched = {"cases": [f"c{number}"]}
        self.store.commit(audit.entries(who, "pull", scope, touched, 1000 + number))

    def seal(self) -> None:
        audit.Sealer(self.store, self.kept.append).seal(9000)

    def entry(self, number: int, scope: str = TEAM) -> Document:
        where = (("scope_id", "==", scope), ("number", ">", number - 1))
        query = Query(audit.COLLECTION, where=where, order=(("number", "asc"),), limit=1)
        return next(self.store.query(query))

    def change(self, which: int, /, **fields: Any) -> None:
        self.store.commit([patch(self.entry(which).key, fields, None)])

    def drop(self, *numbers: int, scope: str = TEAM) -> None:
        for number in sorted(numbers, reverse=True):
            self.store.commit([delete(self.entry(number, scope).key)])

    def slip_in(self, **more: Any) -> None:
        have = {**self.entry(3).fields, "action": "forged", **more}
        have.pop("updated_at")
        self.store.commit([put(Key(audit.COLLECTION, "forged"), have, None)])

    def head(self, number: int | None) -> None:
        key = Key(audit.HEADS, TEAM)
        if number is None:
            self.store.commit([delete(key)])
        else:
            link = self.entry(number).fields["hash"]
            self.store.commit([patch(key, {"number": number, "hash": link}, None)])

    def wait(self) -> Document:
        where = (("scope_id", "==", TEAM), ("sealed", "==", False))
        return next(self.store.query(Query(audit.COLLECTION, where=where)))

    def rebuild(self) -> None:
        """Everything anew, without the second entry, with right hashes."""
        self.drop(2)
        query = Query(audit.COLLECTION, where=(("scope_id", "==", TEAM), ("sealed", "==", True)))
        again = {"sealed": False, "number": None, "before": None, "hash": None}
        for each in list(self.store.query(query)):
            self.store.commit([patch(each.key, again, None)])
        self.head(None)
        audit.Sealer(self.store).seal(9000)

    def faults(self, kept: list[Anchor] | None = None) -> list[str]:
        anchors = kept or []
        strays = audit.stray(self.store)
        return [
            fault
            for scope in sorted({*strays, *(each.scope_id for each in anchors)})
            for fault in (*audit.verify(self.store, scope, anchors).faults, *strays.get(scope, ()))
        ]


def everything_of_the_team(trail: Trail) -> None:
    for each in list(trail.store.query(Query(audit.COLLECTION))):
        if each.fields["scope_id"] == TEAM:
            trail.store.commit([delete(each.key)])
    trail.head(None)


def half(trail: Trail) -> None:
    trail.drop(4, 5, 6)
    trail.head(3)


INSIDE, OUTSIDE, NOTHING = "inside", "heads that were kept outside", "nothing"

#: (row of the table in docs/security.md, what is done, what finds it)
TAMPERINGS: tuple[tuple[str, Callable[[Trail], object], str], ...] = (
    ("an entry altered", lambda t: t.change(3, user_id="other"), INSIDE),
    ("an entry altered", lambda t: t.change(3, ids={}), INSIDE),
    ("an entry altered", lambda t: t.change(3, hash="0" * 64), INSIDE),
    ("an entry altered", lambda t: t.change(3, before="0" * 64), INSIDE),
    ("an entry altered", lambda t: t.change(3, hash=None), INSIDE),
    ("an entry altered", lambda t: t.change(3, before=None), INSIDE),
    ("an entry altered", lambda t: t.change(3, number="3"), INSIDE),
    ("an entry altered", lambda t: t.change(3, number=3.5), INSIDE),
    ("a sealed entry removed", lambda t: t.drop(3), INSIDE),
    ("a sealed entry removed", lambda t: t.drop(1), INSIDE),
    ("a sealed entry removed", lambda t: t.change(3, scope_id=OTHER), INSIDE),
    ("an entry slipped in", lambda t: t.slip_in(), INSIDE),
    ("an entry slipped in", lambda t: t.slip_in(number=None), INSIDE),
    ("an entry slipped in", lambda t: t.slip_in(number=0), INSIDE),
    ("an entry slipped in", lambda t: t.slip_in(number=99), INSIDE),
    ("an entry slipped in", lambda t: t.slip_in(sealed="x", number=None), INSIDE),
    ("an entry slipped in", lambda t: t.slip_in(sealed=None, number=None), INSIDE),
    ("a sealed entry made to look", lambda t: t.change(3, sealed=False), INSIDE),
    ("a sealed entry made to look", lambda t: t.change(3, sealed=False, number=None), INSIDE),
    ("the last entries removed", lambda t: t.drop(5, 6), INSIDE),
    ("the head altered", lambda t: t.head(3), INSIDE),
    ("the head altered", lambda t: t.head(None), INSIDE),
    ("the newest half cut", half, OUTSIDE),
    ("the chain made anew", Trail.rebuild, OUTSIDE),
    ("a team's entries and head", everything_of_the_team, OUTSIDE),
    ("an entry removed before", lambda t: t.store.commit([delete(t.wait().key)]) and None, NOTHING),
    ("an entry added", lambda t: t.slip_in(sealed=False, number=None), NOTHING),
)


@pytest.fixture(params=BOTH)
def trail(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    store = fresh(request.param, request, tmp_path)
    yield Trail(store)
    store.close()


@pytest.mark.parametrize(("row", "tamper", "by"), TAMPERINGS)
def test_a_tampering_is_found_by_what_the_page_says(
    trail: Trail, row: str, tamper: Callable[[Trail], None], by: str
) -> None:
    assert trail.faults(trail.kept) == []
    tamper(trail)
    assert bool(trail.faults()) == (by == INSIDE)
    assert bool(trail.faults(trail.kept)) == (by != NOTHING)
    # nor does it heal when more is written and sealed
    if by != NOTHING:
        trail.write(TEAM, 9)
        trail.seal()
        assert trail.faults(trail.kept)


def test_heads_are_read_as_they_are_kept_and_as_logs_tell_them(trail: Trail) -> None:
    lines = [
        *map(audit.told, trail.kept),
        '{"message": "audit sealed", "scope": "s", "number": 3, "hash": "h"}',
        '[{"jsonPayload": {"scope": "t", "number": 4, "hash": "i"}}]',
        "no JSON", "[1]", '{"scope": "s"}', "",
    ]  # fmt: skip
    assert list(audit.anchors(lines)) == [*trail.kept, Anchor("s", 3, "h"), Anchor("t", 4, "i")]
    assert set(audit.heads(trail.store)) <= set(trail.kept)


def test_the_command_compares_with_the_file_that_the_sweeper_keeps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from shared import settings

    def forget() -> None:
        settings.current.cache_clear()
        for value in vars(wiring).values():
            if hasattr(value, "cache_clear"):
                value.cache_clear()

    elsewhere = tmp_path / "elsewhere" / "heads"
    elsewhere.parent.mkdir()
    (tmp_path / "data").mkdir()
    monkeypatch.setenv("DATA_FOLDER", str(tmp_path / "data"))
    monkeypatch.setenv("AUDIT_HEADS", str(elsewhere))
    forget()
    try:
        # given a sweep that kept the heads, and those that somebody printed
        assert main(["grant", "amina", TEAM]) == 0
        assert main(["grant", "binta", TEAM]) == 0
        wiring.sweeper().sweep()
        assert elsewhere.stat().st_mode & 0o077 == 0
        capsys.readouterr()
        assert main(["audit", "heads"]) == 0
        assert capsys.readouterr().out in elsewhere.read_text()
        assert main(["audit", "verify"]) == 0
        # when everything is deleted
        for name in (audit.COLLECTION, audit.HEADS):
            for each in list(wiring.store().query(Query(name))):
                wiring.store().commit([delete(each.key)])
        # then the file tells, and without it nothing would
        assert main(["audit", "verify"]) == 1
        assert main(["audit", "verify", "--heads", str(elsewhere)]) == 1
        elsewhere.write_text("")
        assert main(["audit", "verify"]) == 0
    finally:
        wiring.store().close()
        forget()
