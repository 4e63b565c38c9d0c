"""Two families never see a byte of each other's, whatever their phones do.

Everything that a family writes holds its mark, ids included. What a phone of the other family is answered,
whole, holds none; and the other's attempts leave every stored record of a family as it was.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from flask import Request
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.test import EnvironBuilder

from infra.local.phone import wall_ms
from shared.access.membership import Caller
from shared.adapters.sqlite import SqliteStore
from shared.api.web import ask
from shared.errors import Fault
from shared.products.hemoday.routes import routes
from shared.products.hemoday.tables import CATALOG
from shared.products.product import Parts
from shared.records.store import RecordStore
from shared.settings import Settings
from tests.hemoday.family import Family, Json, row
from tests.sync.test_watermelon import Melon

MARKS = {"red": "maple-4711", "blue": "willow-0815"}
OTHER = {"red": "blue", "blue": "red"}

TABLES = tuple(item.name for item in CATALOG.collections)

#: What a new record needs, by table; %s is the mark.
NEEDED: dict[str, Json] = {
    "family_profiles": {"patient_name": "%s"},
    "transfusions": {"date": 1_772_323_200_000, "comment": "%s", "volume_ml": 9000},
    "blood_tests": {"date": 1_772_323_200_000, "laboratory": "%s"},
    "blood_test_results": {
        "name": "%s",
        "value": 7,
        "unit": "%s",
        "blood_test_id": "%s-blood_tests-0",
    },
    "analysis_templates": {"name": "%s", "indicators": '["%s"]'},
    "reminders": {"title": "%s", "remind_at": 1_772_323_200_000},
    "reminder_actions": {
        "reminder_id": "%s-reminders-0",
        "occurrence": "%s",
        "action": "snooze",
    },
    "documents": {"name": "%s", "pages": '["%s.pdf"]'},
}

ACTS = (
    *("create", "update", "delete", "pull", "first pull", "steal", "adopt", "erase", "batch"),
    "look",
)

acts = st.tuples(
    st.sampled_from(("red", "blue")),
    st.sampled_from(("1", "2")),
    st.sampled_from(ACTS),
    st.sampled_from(TABLES),
    st.integers(0, 2),
)


def parts_on(store: RecordStore) -> Parts:
    """What the product's routes are made of, on a store alone."""

    def nothing(*_: object) -> Any:
        raise AssertionError("it is not asked for")

    return Parts(Settings(), wall_ms, lambda: store, nothing, lambda: CATALOG, *(nothing,) * 9)


def record_of(family: str, table: str, number: int, mark_of: str | None = None) -> Json:
    """A record of a family; `mark_of`: whose words stand in it."""
    mark = MARKS[mark_of or family]
    columns = {
        name: value.replace("%s", mark) if isinstance(value, str) else value
        for name, value in NEEDED[table].items()
    }
    return row(f"{MARKS[family]}-{table}-{number}", **columns)


class Street:
    """Two families, each with two phones, that live in one deployment."""

    def __init__(self, folder: Path) -> None:
        self.family = Family(SqliteStore(folder / "records.db"))
        self.phones: dict[str, Melon] = {}
        self.cursors: dict[str, Any] = {}
        self.heard: list[tuple[str, str]] = []  #: (family, answer)
        self.routes = routes(parts_on(self.family.store))
        for name in MARKS:
            for number in "12":
                user = f"{name}-{number}"
                self.family.join(user, team=f"{name}-family")
                self.phones[user] = self.family.melon(user, f"{user}-phone")
                self.cursors[user] = "null"

    def act(self, family: str, number: str, act: str, table: str, place: int) -> None:
        user, theirs = f"{family}-{number}", f"{MARKS[OTHER[family]]}-{table}-{place}"
        if act in ("steal", "erase") and self.family.get(table, theirs) is None:
            return  # an id that nobody has is anybody's
        phone, other = self.phones[user], OTHER[family]
        sets: Json = {"created": [], "updated": [], "deleted": []}
        if act == "pull":
            answer: Any = phone.pull(self.cursors[user])
            self.cursors[user] = answer["timestamp"]
        elif act == "first pull":
            answer = phone.pull()
        elif act == "look":
            answer = self.look(user, other, theirs)
        elif act == "batch":
            answer = self.family.phone(user, f"{user}-batch").sync()
        else:
            if act in ("create", "update"):
                sets["created" if act == "create" else "updated"] = [
                    record_of(family, table, place)
                ]
            elif act == "delete":
                sets["deleted"] = [f"{MARKS[family]}-{table}-{place}"]
            elif act == "erase":
                sets["deleted"] = [theirs]
            elif act == "steal":  # the other's id, own words
                sets["updated"] = [record_of(other, table, place, mark_of=family)]
            elif act == "adopt":  # own id, the other's parent and scope
                sent = record_of(family, table, place)
                sent["scope_id"] = f"{other}-family"
                if "blood_test_id" in sent:
                    sent["blood_test_id"] = f"{MARKS[other]}-blood_tests-0"
                sets["updated"] = [sent]
            try:
                answer = phone.push({table: sets}, self.cursors[user])
            except Fault as fault:
                answer = {"code": fault.code, "said": str(vars(fault))}
        told = json.dumps(answer, default=str)
        if act in ("steal", "erase", "adopt", "look"):  # ids that it named itself may come back
            told = told.replace(theirs, "").replace(f"{MARKS[other]}-blood_tests-0", "")
        self.heard.append((family, told))

    def look(self, user: str, other: str, theirs: str) -> list[Any]:
        """Ask everything that shows records, of one's own family and of the other."""
        caller, answers = Caller(user, "member", "console"), []
        for route in self.routes:
            if route.method != "GET" or "settings" in route.path:
                continue
            for table in TABLES if "{table}" in route.path else ("",):
                path = route.path.replace("{table}", table).replace("{id}", theirs)
                words: Json = {"q": "maple willow"} if path.endswith("search") else {}
                for scope in ({}, {"scope": f"{other}-family"}):
                    url = f"{path}?{urlencode({**words, **scope})}"
                    request = Request(EnvironBuilder(path=url).get_environ())
                    try:
                        said = ask(request, self.routes, Settings(), caller).get_data()
                        assert not scope, path
                        answers.append(said.decode("latin-1"))
                    except Fault as fault:
                        answers.append(fault.message)
        return answers

    def check(self) -> None:
        for family, told in self.heard:
            assert MARKS[OTHER[family]] not in told
        for table in TABLES:
            for document in self.family.all(table):
                mark = MARKS[str(document.fields["scope_id"]).partition("-")[0]]
                assert document.key.id.startswith(mark)
                assert MARKS[OTHER[next(n for n, m in MARKS.items() if m == mark)]] not in str(
                    document.fields
                )

    def close(self) -> None:
        self.family.store.close()


def live(days: list[tuple[str, str, str, str, int]]) -> None:
    """Families live through these acts, and then look at everything."""
    with tempfile.TemporaryDirectory() as folder:
        street = Street(Path(folder))
        try:
            for day in days:
                street.act(*day)
            for family in MARKS:
                street.act(family, "1", "first pull", "reminders", 0)
                street.act(family, "2", "batch", "reminders", 0)
            street.check()
        finally:
            street.close()


@settings(max_examples=5, deadline=None)
@given(st.lists(acts, min_size=5, max_size=15))
def test_two_families_never_see_a_byte_of_each_other_s(
    days: list[tuple[str, str, str, str, int]],
) -> None:
    live(days)


@pytest.mark.proof
@settings(max_examples=25, deadline=None)
@given(st.lists(acts, min_size=20, max_size=60))
def test_two_families_never_see_a_byte_of_each_other_s_for_long(
    days: list[tuple[str, str, str, str, int]],
) -> None:
    live(days)


def test_the_check_sees_a_mark_of_the_other_family() -> None:
    with tempfile.TemporaryDirectory() as folder:
        street = Street(Path(folder))
        street.act("red", "1", "create", "transfusions", 0)
        street.family.join("blue-1", team="red-family")
        street.act("blue", "1", "first pull", "transfusions", 0)
        with pytest.raises(AssertionError):
            street.check()
        street.close()
