"""Every declared change of who may do what leaves an entry that names the human, on both stores."""

from __future__ import annotations

import io
import re
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyotp
import pytest

from infra.cli.root import main
from shared import wiring
from shared.access import audit
from shared.access.audit import DEPLOYMENT
from shared.access.membership import Caller
from shared.accounts.caller import Origin
from shared.accounts.forgotten import Letter
from shared.accounts.passkeys import PasskeyHost
from shared.records.store import Document, Query
from tests.accounts.authenticator import Authenticator, encoded
from tests.api.conftest import Api, StartApi, start_api
from tests.stores import BOTH, Interrupted

__all__ = ["start_api"]

TEAM, BOSS, NURSE, PASSWORD = "team1", "boss", "nurse@example.org", "correct horse battery"
AMINA = "Amina Kito"
HERE = Origin("203.0.113.1")

Act = Callable[[], object]


class Desk:
    """People and an operator at work, over HTTP and at the command line."""

    def __init__(self, api: Api, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.api, self._patch, self.folder = api, monkeypatch, folder
        self.run("users", "create", "boss@example.org", "--id", BOSS, "--name", "Dr Boss", "--scope", TEAM,
                 "--role", "admin")  # fmt: skip
        self.boss = self.log_in("boss@example.org")
        self.code = self.send("invites", self.boss, scope_id=TEAM, role="chw", max_uses=9)
        self.nurse = self.register(NURSE, AMINA)

    def run(self, *words: str) -> int:
        self._patch.setattr("sys.stdin", io.StringIO(PASSWORD + "\n"))
        code = main(words)
        assert code == 0, words
        return code

    def send(self, way: str, by: Any = None, /, **body: Any) -> Any:
        token = None if by is None else by["access_token"]
        said = self.api.ask("POST", f"/api/v1/auth/{way}", body, token=token)
        assert said.status_code == 200, said.text
        return said.json

    def register(self, email: str, name: str, code: str = "") -> Any:
        if not code:
            who = wiring.operator()
            code, _ = wiring.accounts().invites.make(who, "team2", "chw", 1, 1, wiring.clock_ms())
        return self.send("register", email=email, password=PASSWORD, name=name, invite_code=code)

    def sessions(self) -> list[str]:
        said = self.api.ask("GET", "/api/v1/auth/sessions", token=self.nurse["access_token"])
        return [each["id"] for each in said.get_json()["sessions"]]

    def begin_factor(self) -> None:
        self.secret = self.send("totp", self.nurse, password=PASSWORD)["secret"]

    def confirm_factor(self) -> None:
        said = self.send("totp/confirm", self.nurse, otp=pyotp.TOTP(self.secret).now())
        self.codes = said["recovery_codes"]

    def set_up_factor(self) -> None:
        self.begin_factor()
        self.confirm_factor()

    def ask_passkey(self) -> None:
        """Who has the app asks for a passkey, in the console."""
        self.set_up_factor()
        self.key = Authenticator("https://care.example.org")
        host = PasskeyHost("care.example.org", self.key.origin, "Care")
        self.second = replace(wiring.accounts().second_factor, host=host)
        who, now_ms = Caller(self.nurse["user_id"], "", "console"), wiring.clock_ms()
        self.asked = self.second.ask_passkey(who, PASSWORD, self.codes[1], HERE, now_ms)

    def add_passkey(self) -> None:
        who, (challenge, options) = Caller(self.nurse["user_id"], "", "console"), self.asked
        answer = self.key.make(options)
        self.second.add_passkey(who, challenge, answer, "", wiring.clock_ms())

    def have_passkey(self) -> None:
        self.ask_passkey()
        self.add_passkey()

    def remove_passkey(self) -> None:
        who, name = Caller(self.nurse["user_id"], "", "console"), encoded(self.key.key_id)
        self.second.remove_passkey(who, name, PASSWORD, self.codes[2], HERE, wiring.clock_ms())

    def forget(self) -> None:
        self.letters: list[Letter] = []

        def post(letter: Letter | None) -> None:
            self.letters += [] if letter is None else [letter]

        self.forgotten = replace(wiring.accounts().forgotten, post=post)
        self.forgotten.ask(NURSE, Origin("203.0.113.1"), wiring.clock_ms())

    def recover(self) -> None:
        [code] = re.findall(r"^[\w-]{43}$", self.letters[-1].text, re.M)
        self.forgotten.reset(code, PASSWORD[::-1], Origin("203.0.113.1"), wiring.clock_ms())

    def open_invites(self) -> list[str]:
        asked = f"/api/v1/auth/invites?scope_id={TEAM}"
        said = self.api.ask("GET", asked, token=self.boss["access_token"])
        return [each["id"] for each in said.get_json()["invites"]]

    def log_in(self, email: str) -> Any:
        return self.send("login", email=email, password=PASSWORD)

    def push(self) -> None:
        row = {"id": "p1", "demographics": {"name": "Asha"}, "last_modified_at": 1000}
        body = {"last_sync_timestamp": 0, "device_id": "d", "changes": {"patients": [row]}}
        said = self.api.ask("POST", "/api/sync", body, token=self.boss["access_token"])
        assert said.status_code == 200

    def next_key(self) -> str:
        self.run("keys", "rotate")
        return wiring.key_store().load()[0].keys[-1].kid


@pytest.fixture(params=BOTH)
def desk(
    request: pytest.FixtureRequest,
    start_api: StartApi,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Desk:
    settings = {"operator": OLIVE}
    if request.param == "firestore":
        request.getfixturevalue("firestore_emulator")
        settings |= {"record_store": "firestore"}
        settings |= {"google_cloud_project": f"test-{uuid.uuid4().hex[:12]}"}
    return Desk(start_api(**settings), monkeypatch, tmp_path)


#: Each declared action: what is there before it, the act, who the trail names, and the entry's scope.
#: `None` as the act's maker: nothing has to be there.
OLIVE, DOC, SELF = "Olive Operator", "Dr Boss", AMINA
ACTS: dict[str, tuple[Callable[[Desk], object] | None, Callable[[Desk], object], str, str]] = {
    "grant": (None, lambda d: d.run("grant", "spy", TEAM, "--role", "doctor"), OLIVE, TEAM),
    "revoke": (lambda d: d.run("grant", "spy", TEAM), lambda d: d.run("revoke", "spy", TEAM), OLIVE, TEAM),
    "create-user": (None, lambda d: d.run("users", "create", "u@example.org"), OLIVE, DEPLOYMENT),
    "reset-password": (None, lambda d: d.run("users", "reset", NURSE), OLIVE, DEPLOYMENT),
    "disable-user": (None, lambda d: d.run("users", "disable", NURSE), OLIVE, DEPLOYMENT),
    "enable-user": (
        lambda d: d.run("users", "disable", NURSE),
        lambda d: d.run("users", "enable", NURSE),
        OLIVE,
        DEPLOYMENT,
    ),
    "delete-user": (None, lambda d: d.run("users", "delete", NURSE), OLIVE, DEPLOYMENT),
    "delete-account": (
        None,
        lambda d: d.send("delete", d.nurse, password=PASSWORD),
        "",
        DEPLOYMENT,
    ),
    "invite": (None, lambda d: d.send("invites", d.boss, scope_id=TEAM, role="chw"), DOC, TEAM),
    "void-invite": (
        lambda d: setattr(d, "open", d.open_invites()),
        lambda d: d.send(f"invites/{d.open[0]}/void", d.boss, scope_id=TEAM),  # type: ignore[attr-defined]
        DOC,
        TEAM,
    ),
    "change-role": (
        lambda d: d.send("join", d.nurse, invite_code=d.code["invite_code"]),
        lambda d: d.send(
            f"members/{d.nurse['user_id']}/role", d.boss, scope_id=TEAM, role="doctor"
        ),
        DOC,
        TEAM,
    ),
    "put-out": (
        lambda d: d.send("join", d.nurse, invite_code=d.code["invite_code"]),
        lambda d: d.send(f"members/{d.nurse['user_id']}/remove", d.boss, scope_id=TEAM),
        DOC,
        TEAM,
    ),
    "register": (
        None,
        lambda d: d.register("n@example.org", "New One"),
        "New One",
        DEPLOYMENT,
    ),
    "join": (None, lambda d: d.send("join", d.nurse, invite_code=d.code["invite_code"]), SELF, TEAM),
    "leave": (
        lambda d: d.send("join", d.nurse, invite_code=d.code["invite_code"]),
        lambda d: d.send("leave", d.nurse, scope_id=TEAM),
        SELF,
        TEAM,
    ),
    "found": (None, lambda d: d.send("scopes", d.boss, scope_id="team9", name="Nine"), DOC, "team9"),
    "log-in": (None, lambda d: d.log_in(NURSE), SELF, DEPLOYMENT),
    "log-out": (
        None,
        lambda d: d.send("logout", refresh_token=d.nurse["refresh_token"]),
        SELF,
        DEPLOYMENT,
    ),
    "change-password": (
        None,
        lambda d: d.send("password", d.nurse, old_password=PASSWORD, new_password=PASSWORD[::-1]),
        SELF,
        DEPLOYMENT,
    ),
    "end-session": (
        lambda d: d.log_in(NURSE),
        lambda d: d.send(f"sessions/{d.sessions()[-1]}/end", d.nurse, password=PASSWORD),
        SELF,
        DEPLOYMENT,
    ),
    "end-sessions": (
        None,
        lambda d: d.send("sessions/end", d.nurse, password=PASSWORD),
        SELF,
        DEPLOYMENT,
    ),
    "end-user-sessions": (
        lambda d: d.run("users", "create", "x@example.org", "--id", "x", "--scope", TEAM),
        lambda d: d.send("users/x/end-sessions", d.boss, password=PASSWORD),
        DOC,
        TEAM,
    ),
    "recover-password": (Desk.forget, Desk.recover, SELF, DEPLOYMENT),
    "set-up-factor": (Desk.begin_factor, Desk.confirm_factor, SELF, DEPLOYMENT),
    "remove-factor": (
        Desk.set_up_factor,
        lambda d: d.send("totp/remove", d.nurse, password=PASSWORD, otp=d.codes[0]),
        SELF,
        DEPLOYMENT,
    ),
    "add-passkey": (Desk.ask_passkey, Desk.add_passkey, SELF, DEPLOYMENT),
    "remove-passkey": (Desk.have_passkey, Desk.remove_passkey, SELF, DEPLOYMENT),
    "take-factor": (
        Desk.set_up_factor,
        lambda d: d.run("users", "take-factor", NURSE),
        OLIVE,
        DEPLOYMENT,
    ),
    "rotate-keys": (None, lambda d: d.run("keys", "rotate"), OLIVE, DEPLOYMENT),
    "drop-key": (
        lambda d: setattr(d, "old", d.next_key()),
        lambda d: d.run("keys", "drop", d.old),  # type: ignore[attr-defined]
        OLIVE,
        DEPLOYMENT,
    ),
    "export": (Desk.push, lambda d: d.run("export", "p1", "--to", str(d.folder / "x.json")), OLIVE, TEAM),
    "erase": (Desk.push, lambda d: d.run("erase", "p1"), OLIVE, TEAM),
    "back-up": (None, lambda d: d.run("backup", "export", str(d.folder / "all")), OLIVE, DEPLOYMENT),
    "bring-back": (
        lambda d: d.run("backup", "export", str(d.folder / "all")),
        lambda d: d.run("backup", "import", str(d.folder / "all"), "--over"),
        OLIVE,
        DEPLOYMENT,
    ),
    "epoch": (None, lambda d: d.run("epoch"), OLIVE, DEPLOYMENT),
}  # fmt: skip

#: The same action by another way.
OTHERWISE: tuple[tuple[str, Callable[[Desk], object], str, str], ...] = (
    ("invite", lambda d: d.run("invites", "create", TEAM, "--role", "admin"), OLIVE, TEAM),
    ("grant", lambda d: d.run("users", "create", "v@example.org", "--scope", TEAM), OLIVE, TEAM),
    ("export", lambda d: d.run("export", BOSS, "--to", str(d.folder / "y.json")), OLIVE, DEPLOYMENT),
    (
        "join",
        lambda d: d.register("w@example.org", "W", d.code["invite_code"]),
        "W",
        TEAM,
    ),
)  # fmt: skip


def entries() -> dict[str, Document]:
    return {each.key.id: each for each in wiring.store().query(Query(audit.COLLECTION))}


def left_by(act: Act) -> list[dict[str, Any]]:
    before = entries()
    act()
    return [each.fields for name, each in entries().items() if name not in before]


def test_every_declared_change_is_walked() -> None:
    assert set(ACTS) == set(audit.RIGHTS)
    with pytest.raises(KeyError):
        audit.right(audit.OPERATOR, "anything", 0)


@pytest.mark.parametrize("action", ACTS)
def test_a_change_of_rights_leaves_an_entry_with_the_humans_name(desk: Desk, action: str) -> None:
    before, act, name, scope = ACTS[action]
    if before is not None:
        before(desk)
    found = [each for each in left_by(lambda: act(desk)) if each["action"] == action]
    assert [(each.get("name", ""), each["scope_id"]) for each in found] == [(name, scope)]
    assert desk.code["invite_code"] not in str(found)
    assert PASSWORD not in str(found)


@pytest.mark.parametrize(("action", "act", "name", "scope"), OTHERWISE)
def test_so_does_every_other_way_to_it(
    desk: Desk, action: str, act: Callable[[Desk], object], name: str, scope: str
) -> None:
    found = [each for each in left_by(lambda: act(desk)) if each["action"] == action]
    assert [(each["name"], each["scope_id"]) for each in found] == [(name, scope)]


def test_what_changes_nothing_leaves_nothing(desk: Desk) -> None:
    desk.run("grant", BOSS, TEAM, "--role", "admin")
    assert left_by(lambda: desk.run("grant", BOSS, TEAM, "--role", "admin")) == []
    assert left_by(lambda: desk.run("revoke", "nobody-here", TEAM)) == []
    desk.send("logout", refresh_token=desk.nurse["refresh_token"])
    assert left_by(lambda: desk.send("logout", refresh_token=desk.nurse["refresh_token"])) == []
    said = {"email": NURSE, "password": "wrong wrong wrong"}
    assert left_by(lambda: desk.api.ask("POST", "/api/v1/auth/login", said)) == []


def test_the_entry_is_in_the_commit_that_makes_the_change(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before any commit, neither is there; after it, both are."""
    for action in (
        "grant",
        "join",
        "leave",
        "log-in",
        "change-password",
        "invite",
        "create-user",
        "disable-user",
    ):
        commits: list[list[str]] = []

        def seen(writes: Any, into: list[list[str]] = commits) -> None:
            into.append([each.key.collection for each in writes])

        store = Interrupted(wiring.store(), before=seen)
        with monkeypatch.context() as patched:
            patched.setattr(wiring, "store", lambda store=store: store)
            wiring.accounts.cache_clear()
            ACTS[action][1](desk)
        wiring.accounts.cache_clear()
        noted = [names for names in commits if audit.COLLECTION in names]
        assert len(noted) == 1, (action, commits)
        assert set(noted[0]) - {audit.COLLECTION}, action
        others = [names for names in commits if names not in noted]
        assert not [n for names in others for n in names if n in ("memberships", "sessions")], (
            action
        )


def test_these_entries_are_sealed_and_verified_like_all(desk: Desk) -> None:
    desk.run("grant", "spy", TEAM)
    audit.Sealer(wiring.store()).seal(wiring.clock_ms())
    for scope in (TEAM, DEPLOYMENT):
        found = audit.verify(wiring.store(), scope)
        assert (found.faults, found.waiting) == ([], 0)
        assert found.entries >= 2
    assert DEPLOYMENT in audit.scopes(wiring.store())
