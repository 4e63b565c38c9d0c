"""The wall between families' data: whatever two families do, neither sees a byte of the other's.

Everything carries a mark of its own: every text that is sent, every id of a record, every user, device
and code. A model that knows nothing of the code says for each mark which teams may see it. After each
request the raw bytes of the answer and of the log are searched for marks; at the end, the stored logs.

What the model lets through, because the back end means it:

- an answer may repeat what its own request holds; a team's logs, what its people sent;
- who leaves a team is told by id which records to drop;
- when an operator moves a record, its values and its authors go along to the new team, and what the old
  team's phones still say about it goes to the new team's inbox.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from shared import telemetry, wiring
from shared.access import membership
from shared.errors import Fault
from shared.jobs import cascade, restore, transfer
from shared.records import record
from shared.records.store import Key, Query, put
from shared.support.ledger import Attempt
from tests.api.conftest import Api

Json = dict[str, Any]

MARKS = re.compile(r"mk[a-z]\d+km")

#: Examples of one run. Each takes about a tenth of a second.
FEW, SOME, MANY = 8, 60, 1000

TABLES = ("patients", "cases")
ROLES = ("chw", "supervisor", "doctor")


class Log(logging.Handler):
    """Keeps the lines that production would write."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.setFormatter(telemetry.JsonFormatter("test"))
        self.lines: list[str] = []

    def emit(self, entry: logging.LogRecord) -> None:
        self.lines.append(self.format(entry))


class User:
    def __init__(self, name: str, team: str, role: str, token: str) -> None:
        self.name, self.role, self.token = name, role, token
        self.teams, self.left = {team}, set[str]()
        self.cursor: dict[str, Any] = {"batch": 0, "watermelon": "null"}
        self.last: tuple[str, str, Any] | None = None
        self.device = ""
        self.own = set[str]()


class Wall:
    """Two families on a running API, and who may see what."""

    _count = 0

    def __init__(self, api: Api, log: Log) -> None:
        self.api, self.log = api, log
        self.seen: dict[str, set[str]] = {}  #: mark → teams that may see it
        self.owner: dict[Key, str] = {}
        self.parent: dict[Key, Key] = {}
        self.about: dict[Key, set[str]] = {}  #: marks that go where the record goes
        self.ever: dict[Key, set[str]] = {}
        self.pages: list[str] = []
        self.answers = 0
        self.teams = [self.mark("t") for _ in range(2)]
        self.users = [self._user(team, role) for team in self.teams for role in ROLES]
        for team in self.teams:
            self.seen[team].add(team)

    def mark(self, kind: str, *teams: str) -> str:
        Wall._count += 1
        name = f"mk{kind}{Wall._count}km"
        self.seen[name] = set(teams)
        return name

    def _user(self, team: str, role: str) -> User:
        name = self.mark("u", team)
        self.api.join(name, team, role)
        person = {"name": self.mark("n", team), "email": f"{self.mark('e', team)}@example.org"}
        wiring.store().commit([put(Key("accounts", name), {**person, "created_at": 0}, None)])
        self.seen[person["name"]] = self.seen[person["email"].partition("@")[0]] = self.seen[name]
        user = User(name, team, role, self.api.token(name, role))
        user.device = self.mark("d", team)
        user.own = {name, user.device, *MARKS.findall(str(person))}
        self.seen[user.device] = self.seen[name]
        return user

    # --- asking, and looking

    def ask(self, user: User, method: str, path: str, body: Any = None) -> Json:
        self.log.lines.clear()
        sent = f"{path} {orjson.dumps(body).decode()}"
        answer = self.api.ask(method, path, body, token=user.token)
        self.answers += 1
        raw = answer.get_data()
        assert answer.status_code < 500, raw
        allowed = set(MARKS.findall(sent)) | user.own
        for what, text in (("answer", raw.decode()), *(("log", line) for line in self.log.lines)):
            for mark in set(MARKS.findall(text)) - allowed:
                ok = self.seen[mark] & user.teams
                # who left is told by id what to drop, and nothing else
                dropped = mark[2] == "r" and what == "answer" and self.seen[mark] & user.left
                assert ok or (dropped and mark not in _outside_deletions(answer.get_json())), (
                    f"{user.role} of {user.teams} sees {mark} of {self.seen[mark]} in the {what} of "
                    f"{method} {path}: {text}"
                )
        return dict(answer.get_json())

    # --- records

    def keys(self, number: int, table: str | None = None) -> Key | None:
        known = [key for key in self.about if table in (None, key.collection)]
        return known[number % len(known)] if known else None

    def write(
        self, user: User, number: int, *, new: bool, melon: bool, named: int, red: bool
    ) -> None:
        """A user writes a record, their own or somebody else's, in either dialect."""
        table = TABLES[number % 2]
        key = None if new else self.keys(number, table)
        if key is None:
            key = Key(table, self.mark("r"))
            if table == "cases":
                above = self.keys(named, "patients")
                if above is None:
                    return
                self.parent[key] = above
            self.about[key], self.ever[key] = set(), set()
        value = self.mark("v")
        mine = sorted(user.teams | user.left) or self.teams
        row: Json = {"id": key.id, "last_modified_at": wiring.clock_ms()}
        if named:
            row["scope_id"] = mine[named % len(mine)]
        fields: Json = {"demographics": {"name": value}}
        if table == "cases":
            fields = {"patient_id": self.parent[key].id, "triage_data": {"note": value}}
            fields["risk_level"] = "red" if red else "green"
            self._told(self.parent[key], user)
        self._told(key, user)
        self._allow(user, key, value)
        self.about[key] |= {value, user.name, user.device}
        if (
            "scope_id" in row
        ):  # a refused record is shown as it was sent, with the team that it named
            self.seen[row["scope_id"]] |= self.seen[value]
            self.about[key].add(row["scope_id"])
        if melon:
            texts = {n: _text(v) for n, v in fields.items()}
            sets = {"created": [{**row, **texts}], "updated": [], "deleted": []}
            if not new:
                sets = {**sets, "created": [], "updated": sets["created"]}
            self._send(user, "watermelon", {table: sets})
        else:
            row["last_modified_at"] /= 1000
            self._send(user, "batch", {table: [{**row, **fields}]})
        self._settle()

    def remove(self, user: User, number: int, *, melon: bool) -> None:
        key = self.keys(number)
        if key is None:
            return
        self._told(key, user)
        self._allow(user, key, user.name)
        self.about[key] |= {user.name, user.device}
        if melon:
            sets = {"created": [], "updated": [], "deleted": [key.id]}
            self._send(user, "watermelon", {key.collection: sets})
        else:
            self._send(user, "batch", {key.collection: [{"id": key.id, "sync_status": "deleted"}]})
        wiring.runner().run_due(cascade.KIND, 61)

    def _send(self, user: User, dialect: str, changes: Json) -> None:
        if dialect == "batch":
            body = {"changes": changes, "device_id": user.device}
            body["last_sync_timestamp"] = user.cursor["batch"]
            user.last = ("POST", "/api/sync", body)
        else:
            since = wiring.clock_ms()
            path = f"/api/v1/sync?last_pulled_at={since}&device_id={user.device}"
            user.last = ("POST", path, {"changes": changes})
        self.ask(user, *user.last)

    def _allow(self, user: User, key: Key, value: str) -> None:
        """Before the request: who may learn what it says, whether it is stored or refused."""
        if self.owner.get(key) in user.teams:
            self.seen[value].add(self.owner[key])
            return
        # refused: it is kept where the user is or was, or where the record, or its parent, went from there
        near = user.teams | user.left
        for each in (key, self.parent.get(key)):
            if each in self.owner and near & self.ever[each]:
                near = near | {self.owner[each]}
        for mark in (value, key.id, user.name, user.device):
            self.seen[mark] |= near

    def _told(self, key: Key, user: User) -> None:
        """A user names a record: so the user's teams know its id, whoever has it."""
        self.seen[key.id] |= user.teams

    def _settle(self) -> None:
        """Take over from the store who has what: new records, and those that followed their parent."""
        found = wiring.store().read(list(self.about)).documents
        for key, document in found.items():
            team = str(document.fields[record.SCOPE])
            if self.owner.get(key) == team:
                continue
            self.owner[key] = team
            self.ever[key].add(team)
            self.seen[key.id].add(team)
            for mark in self.about[key]:
                self.seen[mark].add(team)

    # --- everything else that people and operators do

    def pull(self, user: User, *, melon: bool, whole: bool, limit: int | None) -> None:
        if melon:
            since = "null" if whole else user.cursor["watermelon"]
            path = f"/api/v1/sync?last_pulled_at={since}&schema_version=1&device_id={user.device}"
            user.cursor["watermelon"] = self.ask(user, "GET", path)["timestamp"]
            return
        body: Json = {"last_sync_timestamp": 0 if whole else user.cursor["batch"]}
        body |= {"device_id": user.device} | ({"limit": limit} if limit else {})
        said = self.ask(user, "POST", "/api/sync", body)
        user.cursor["batch"] = said["new_sync_timestamp"]
        if said["next_page"]:
            self.pages.append(said["next_page"])

    def page(self, user: User, number: int) -> None:
        """A page token, perhaps somebody else's."""
        if self.pages:
            body = {"last_sync_timestamp": 0, "page": self.pages[number % len(self.pages)]}
            self.ask(user, "POST", "/api/sync", body)

    def again(self, user: User) -> None:
        """The same bytes as last time: a receipt may answer."""
        if user.last is not None:
            self.ask(user, *user.last)

    def undelete(self, user: User, number: int) -> None:
        key = self.keys(number)
        if key is not None:
            self.ask(user, "POST", "/api/v1/undelete", {"table": key.collection, "id": key.id})
            wiring.runner().run_due(restore.KIND, 61)

    def look(self, user: User, number: int) -> None:
        team = self.teams[number % 2]
        paths = ["devices", "inbox", "sync/digest", "auth/me", f"auth/members?scope_id={team}"]
        for path in paths:
            self.ask(user, "GET", f"/api/v1/{path}")

    def close(self, user: User, number: int) -> None:
        entries = [entry.key.id for entry in wiring.store().query(Query("quarantine"))]
        if entries:
            entry = entries[number % len(entries)]
            self.ask(user, "POST", f"/api/v1/inbox/{entry}/close", {})

    def move(self, number: int) -> None:
        """An operator gives a patient to the other team."""
        key = self.keys(number, "patients")
        if key is None or key not in self.owner:
            return
        [to] = {*self.teams} - {self.owner[key]}
        try:
            transfer.move(wiring.store(), wiring.catalog(), key, to, wiring.clock_ms())
        except Fault:
            return  # deleted
        wiring.runner().run_due(transfer.KIND, 61)
        for each, above in self.parent.items():
            if above == key:  # what is refused about a case of the patient follows too
                for mark in self.about[each]:
                    self.seen[mark].add(to)
        self._settle()

    def join(self, user: User, number: int) -> None:
        """A supervisor of a team makes a code, and the user joins by it."""
        boss = self.users[1 + 3 * (number % 2)]
        team = self.teams[number % 2]
        body = {"scope_id": team, "role": user.role}
        code = self.ask(boss, "POST", "/api/v1/auth/invites", body).get("invite_code")
        if code is None or boss is user:
            return
        self._arrives(user, team)
        self.ask(user, "POST", "/api/v1/auth/join", {"invite_code": code, "device_id": user.device})

    def _arrives(self, user: User, team: str) -> None:
        user.teams.add(team)
        user.left.discard(team)
        self.seen[user.name].add(team)

    def leave(self, user: User, number: int, *, put_out: bool) -> None:
        team = self.teams[number % 2]
        if user.role == "supervisor" or team not in user.teams:
            return
        user.teams.discard(team)
        user.left.add(team)
        if put_out:
            membership.revoke(wiring.store(), user.name, team, wiring.clock_ms())
        else:
            self.ask(user, "POST", "/api/v1/auth/leave", {"scope_id": team})

    def check_stored_logs(self) -> None:
        """What is kept by team holds nothing of the other's."""
        for name in ("audit", "conflicts", "quarantine"):
            for entry in wiring.store().query(Query(name)):
                team = entry.fields.get(record.SCOPE)
                if team not in self.teams:
                    continue
                for mark in MARKS.findall(orjson.dumps(entry.fields).decode()):
                    assert team in self.seen[mark], (name, entry.fields, mark, self.seen[mark])


def _text(value: Any) -> Any:
    return orjson.dumps(value).decode() if isinstance(value, dict) else value


def _outside_deletions(answer: Json) -> set[str]:
    """Marks of an answer that stand anywhere but among the deletions."""
    rest = {name: value for name, value in answer.items() if name != "deleted"}
    if isinstance(rest.get("changes"), dict):
        rest["changes"] = [
            {name: rows for name, rows in sets.items() if name != "deleted"}
            for sets in rest["changes"].values()
        ]
    return set(MARKS.findall(orjson.dumps(rest).decode()))


numbers = st.integers(0, 40)
ACTS = st.one_of(
    st.builds(dict, act=st.just("write"), new=st.booleans(), melon=st.booleans(),
              named=st.integers(0, 3), red=st.booleans(), number=numbers),
    st.builds(dict, act=st.just("write"), new=st.just(True), melon=st.booleans(),
              named=st.just(0), red=st.booleans(), number=numbers),
    st.builds(dict, act=st.just("remove"), number=numbers, melon=st.booleans()),
    st.builds(dict, act=st.just("pull"), melon=st.booleans(), whole=st.booleans(),
              limit=st.none() | st.integers(1, 3)),
    st.builds(dict, act=st.sampled_from(["page", "undelete", "look", "look", "close", "join"]),
              number=numbers),
    st.builds(dict, act=st.just("again")),
    st.builds(dict, act=st.just("move"), number=numbers),
    st.builds(dict, act=st.just("leave"), number=numbers, put_out=st.booleans()),
)  # fmt: skip
STORIES = st.lists(st.tuples(st.integers(0, 5), ACTS), min_size=12, max_size=30)


def play(wall: Wall, story: list[tuple[int, Json]]) -> None:
    for number, worker in enumerate((wall.users[0], wall.users[3])):
        for table in (0, 1):  # each family has a patient with a case
            wall.write(worker, table, new=True, melon=False, named=number + 2, red=table == 1)
    for who, asked in story:
        said = dict(asked)
        act = said.pop("act")
        if act == "move":
            wall.move(**said)
        else:
            getattr(wall, act)(wall.users[who], **said)
    for number, user in enumerate(wall.users):
        wall.pull(user, melon=number % 2 == 0, whole=True, limit=None)
        wall.look(user, number)
    wall.check_stored_logs()


@pytest.fixture
def log() -> Iterator[Log]:
    handler = Log()
    root = logging.getLogger("shared")
    root.addHandler(handler)
    yield handler
    root.removeHandler(handler)


@pytest.mark.parametrize(
    "examples",
    [FEW, pytest.param(SOME, marks=pytest.mark.proof), pytest.param(MANY, marks=pytest.mark.soak)],
)
def test_no_family_sees_a_byte_of_the_other(api: Api, log: Log, examples: int) -> None:
    walls: list[Wall] = []

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=examples < MANY,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate] if examples < MANY else [Phase.generate, Phase.shrink],
    )
    @given(STORIES)
    def check(story: list[tuple[int, Json]]) -> None:
        walls.append(Wall(api, log))
        play(walls[-1], story)

    check()
    # else the property says nothing: records were moved, and seen
    assert sum(wall.answers for wall in walls) > 50 * FEW
    assert sum(len(teams) > 1 for wall in walls for teams in wall.ever.values()) > FEW / 4
    assert sum(len(wall.owner) for wall in walls) > 3 * FEW


# --- single bricks


def test_a_supervisor_does_not_learn_ids_of_the_team_that_somebody_came_from(api: Api) -> None:
    # given a health worker of team1 whose record was refused
    for user, team, role in (("amina", "team1", "chw"), ("boss", "team2", "supervisor")):
        api.join(user, team, role)
    refused = {"id": "id-of-team1", "last_modified_at": 1, "patient_id": "nobody"}
    push = {"device_id": "phone", "changes": {"cases": [refused]}}
    token = api.token("amina")
    assert api.ask("POST", "/api/sync", push, token=token).get_json()["rejected"]
    # when she goes to team2 and syncs there
    membership.revoke(wiring.store(), "amina", "team1", wiring.clock_ms())
    api.join("amina", "team2")
    api.join("amina", "team2")
    wiring.store().commit([put(Key("patients", "p2"), {record.SCOPE: "team2"}, None)])
    pull = {"device_id": "phone", "last_sync_timestamp": 0}
    assert api.ask("POST", "/api/sync", pull, token=token).status_code == 200
    # then its supervisor sees her phone, and nothing of where she was
    seen = api.ask("GET", "/api/v1/devices", token=api.token("boss", "supervisor"))
    assert "amina" in seen.text
    assert "id-of-team1" not in seen.text


def test_what_a_phone_could_not_deliver_stays_in_sight_of_its_own_team() -> None:
    kept = [{"table": "cases", "id": "c1", "code": "unknown_parent"}]
    from shared.support import ledger

    attempt = Attempt(membership.Caller("u", "chw", "phone"), "batch", 0, scopes=("a", "b"))
    before = {"rejected": kept, "scopes": ["a"]}
    assert ledger._entry(attempt, before)["rejected"] == kept
    assert ledger._entry(attempt, {**before, "scopes": ["a", "c"]})["rejected"] == []


def test_a_receipt_tells_nothing_of_a_team_that_was_left(api: Api) -> None:
    for user in ("amina", "binta"):
        api.join(user)
    when = wiring.clock_ms() / 1000 - 100

    def push(user: str, at: float, name: str) -> Json:
        change = {"id": "p1", "last_modified_at": at, "demographics": {"name": name}}
        body = {"device_id": user, "last_sync_timestamp": 0, "changes": {"patients": [change]}}
        return dict(api.ask("POST", "/api/sync", body, token=api.token(user)).get_json())

    push("binta", when + 50, "theirs")
    first = push("amina", when, "yours")
    assert first["conflicts"][0]["theirs"]["demographics"]["name"] == "theirs"
    # the very same push, for somebody who is still there, and for somebody who is not
    assert push("amina", when, "yours")["conflicts"] == first["conflicts"]
    membership.revoke(wiring.store(), "amina", "team1", wiring.clock_ms())
    after = push("amina", when, "yours")
    assert after["conflicts"] == []
    assert after["receipt"]["id"] == first["receipt"]["id"]
    assert "theirs" not in str(after["server_updates"])
