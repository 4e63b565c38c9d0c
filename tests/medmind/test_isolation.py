"""Two circles never see a byte of each other's, whatever their phones and devices do, over HTTP.

Everything that a circle writes holds its mark, ids and user names included. What anybody of the other
is answered holds none, whichever route of the product or of the engine they ask; and nothing that is
stored of a circle ever holds the other's.
"""

from __future__ import annotations

import json
import random
from itertools import product
from typing import Any

import pytest

from shared import wiring
from shared.products.medmind.product import MEDMIND
from shared.products.medmind.rights import ROLES
from shared.products.medmind.tables import CATALOG, item_of
from shared.records.store import Key, Query
from tests.api.conftest import Api, StartApi
from tests.medmind.asking import request_of, row_of

MARKS = ("maple-4711", "willow-0815")

TABLES = tuple(each for each in CATALOG.collections if each.pushable)

ACTS = (
    *("create", "create", "create", "delete", "pull", "steal", "adopt", "erase", "forge", "batch"),
    *("look", "tell", "time"),
)


class Street:
    """Two circles, each with somebody of every role, that live in one deployment."""

    def __init__(self, api: Api, seed: int) -> None:
        self.api, self.rng = api, random.Random(seed)
        self.routes = MEDMIND.routes(wiring.parts())
        self.answered = 0
        self.typed: dict[str, set[str]] = {mark: set() for mark in MARKS}
        for mark in MARKS:
            for role in ROLES:
                api.join(f"{mark}-{role}", f"{mark}-circle", role)

    def live(self, days: int) -> None:
        for mark in MARKS:  # what both have to lose
            for table in TABLES:
                self.push(mark, f"{mark}-caregiver", table.name, row_of(table, mark, 0))
        self.run()
        for _ in range(days):
            mark = self.rng.choice(MARKS)
            user = f"{mark}-{self.rng.choice(ROLES)}"
            self.act(mark, user, self.rng.choice(ACTS))
        self.run()
        for mark in MARKS:
            for role, act in (*product(ROLES, ("pull",)), *product(ROLES[::3], ("look", "tell"))):
                self.act(mark, f"{mark}-{role}", act)
        self.check()

    def act(self, mark: str, user: str, act: str) -> None:
        other = next(each for each in MARKS if each != mark)
        table, number = self.rng.choice(TABLES), self.rng.randrange(3)
        mine, theirs = row_of(table, mark, number), row_of(table, other, number, mark)
        if act in ("steal", "erase") and not self.has(table.name, theirs["id"]):
            return  # an id that nobody has is anybody's
        match act:
            case "create":
                self.push(mark, user, table.name, mine)
            case "delete":
                self.push(mark, user, table.name, mine["id"])
            case "steal":  # the other's id, own words
                self.attack(mark, user, table.name, theirs)
            case "erase":
                self.attack(mark, user, table.name, theirs["id"])
            case "adopt":  # own id, the other's parents and scope
                sent = {**theirs, "id": mine["id"], "scope_id": f"{other}-circle"}
                self.attack(mark, user, table.name, sent)
            case "forge":  # words about the other's dose, in one's own circle
                events = next(each for each in TABLES if each.name == "dose_events")
                sent = {**row_of(events, other, number, mark), "id": f"{mark}-forged-{number}"}
                self.attack(mark, user, events.name, sent)
            case "pull":
                self.heard(mark, self.ask("GET", "/api/v1/sync?last_pulled_at=0", None, user))
            case "batch":
                self.heard(mark, self.ask("POST", "/api/sync", {}, user))
            case "time":
                self.run()
            case _:
                self.look(mark, other, user, only=("GET",) if act == "look" else ("POST", "PUT"))

    def has(self, table: str, name: str) -> bool:
        key = Key(table, name)
        return key in wiring.store().read([key]).documents

    def look(self, mark: str, other: str, user: str, only: tuple[str, ...]) -> None:
        """Ask every route of the product about one's own circle, and about the other."""
        for route in self.routes:
            if route.method not in only:
                continue
            names = (f"{other}-device", f"{other}-medication_plan_items-0", f"{mark}-device")
            for name in names if "{" in route.path else names[:1]:
                for scope in (f"{mark}-circle", f"{other}-circle"):
                    path, body = request_of(route, scope, name)
                    said = self.ask(route.method, path, body, user)
                    foreign = [each for each in (name, scope) if other in each]
                    self.heard(mark, said, *foreign)

    def push(self, mark: str, user: str, table: str, sent: Any) -> None:
        self.heard(mark, self._pushed(user, table, sent))

    def attack(self, mark: str, user: str, table: str, sent: Any) -> None:
        """What it named itself may come back, ever after; nothing else of theirs."""
        named = [sent] if isinstance(sent, str) else map(str, sent.values())
        self.typed[mark] |= {each for each in named if mark not in each}
        if isinstance(sent, dict) and (item := item_of(sent.get("dose_id", ""))):
            self.typed[mark].add(item)
        self.heard(mark, self._pushed(user, table, sent))

    def _pushed(self, user: str, table: str, sent: Any) -> str:
        sets: dict[str, list[Any]] = {"created": [], "updated": [], "deleted": []}
        sets["deleted" if isinstance(sent, str) else "updated"].append(sent)
        return self.ask("POST", "/api/v1/sync?last_pulled_at=0", {"changes": {table: sets}}, user)

    def ask(self, method: str, path: str, body: Any, user: str) -> str:
        said = self.api.ask(method, path, body, token=self.api.token(user))
        assert said.status_code < 500, (method, path, said.data)
        self.answered += said.status_code == 200
        return said.data.decode("utf-8", "replace")

    def heard(self, mark: str, said: str, *named: str) -> None:
        for each in sorted({*named, *self.typed[mark]}, key=len, reverse=True):
            said = said.replace(json.dumps(each)[1:-1], "").replace(each, "")
        for other in MARKS:
            assert other == mark or other not in said

    def run(self) -> None:
        runner = wiring.runner()
        for kind in runner.kinds:
            runner.run_due(kind, 60)

    def check(self) -> None:
        """No stored record of a circle holds a word of the other, but ids that its own people typed."""
        typed = ("dose_id", "dose", "item_id", "undoes", "id")
        for table in CATALOG.collections:
            for document in wiring.store().query(Query(table.name)):
                mark = str(document.fields["scope_id"]).removesuffix("-circle")
                other = next(each for each in MARKS if each != mark)
                own = {name: value for name, value in document.fields.items() if name not in typed}
                assert other not in document.key.id + str(own)
                if table.name != "dose_events":
                    assert other not in str(document.fields)


@pytest.mark.parametrize("seed", range(2))
def test_two_circles_never_see_a_byte_of_each_other_s(start_api: StartApi, seed: int) -> None:
    street = Street(start_api(product="medmind"), seed)
    street.live(30)
    assert street.answered > 60  # they did live


@pytest.mark.parametrize(
    "seed",
    [
        pytest.param(n, marks=pytest.mark.proof if n < 103 else pytest.mark.soak)
        for n in range(100, 125)
    ],
)
def test_two_circles_never_see_a_byte_of_each_other_s_for_long(
    start_api: StartApi, seed: int
) -> None:
    Street(start_api(product="medmind"), seed).live(400)


def test_what_a_circle_had_is_what_it_has_whatever_the_other_tries(start_api: StartApi) -> None:
    street = Street(start_api(product="medmind"), 5)
    street.live(0)
    red, blue = MARKS

    def rows() -> dict[str, Any]:
        return {
            f"{table.name}/{each.key.id}": each.version
            for table in CATALOG.collections
            for each in wiring.store().query(Query(table.name))
            if each.fields["scope_id"] == f"{red}-circle"
        }

    street.run()
    before = rows()
    for act in 4 * ("steal", "adopt", "erase", "forge", "look", "tell"):
        street.act(blue, f"{blue}-{street.rng.choice(ROLES)}", act)
    street.run()
    assert len(before) > 20
    assert rows() == before


def test_the_check_sees_a_mark_of_the_other_circle(start_api: StartApi) -> None:
    street = Street(start_api(product="medmind"), 0)
    red, blue = MARKS
    street.live(0)
    street.api.join(f"{blue}-caregiver", f"{red}-circle", "caregiver")
    for act in ("pull", "look"):
        with pytest.raises(AssertionError):
            street.act(blue, f"{blue}-caregiver", act)
