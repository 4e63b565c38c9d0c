"""Every operation of the API with an example request: who must be refused is worked out from this.

A new operation needs one line in `OPERATIONS` (two, if it asks for two rights), and in `refused.py` who
must be refused. A line says

    operation  as the OpenAPI document names it
    act        what the example wants, in a word; unique for the operation
    needs      an `Action` of shared/access/rights.py in the owning team; or MANAGES (see and invite its
               members), FOUNDS (make a scope; a role in any team counts), ADMINISTERS (an admin's right;
               in any team), TOKEN (any good token), ANYONE
    ask        the request: (world, user) → path or (path, body). `world` makes what it is about: a
               fresh record, entry or code of the owning team for each request
    granted    whether an answer grants it; None: its status is 200

Where an act that is refused is answered 200 all the same (a pull that lists nothing, a push whose
records are in `rejected`), `granted` looks for the owning team's data. Whatever the answer, a user without
READ in the owning team must get no byte of its data: that is checked for every line.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from werkzeug.test import TestResponse

from shared import wiring
from shared.access import membership
from shared.access.audit import OPERATOR
from shared.access.membership import Caller
from shared.access.rights import Action, Right
from shared.accounts import invite
from shared.files.uploads import ByteRange
from shared.hooks import endpoint
from shared.hooks.hooks import Access
from shared.jobs import job as jobs
from shared.products.dermadetect.rights import ReviewAction
from shared.records import record
from shared.records.store import Key, Query, delete, put
from tests.api.conftest import Api

TOKEN, ANYONE, MANAGES, FOUNDS = "any token", "anyone", "manages members", "founds scopes"
ADMINISTERS = "administers any scope"

#: The team whose data is asked for, and the other one.
HOME, AWAY = "home", "away"

#: In every text of the home team that an answer may hold; in no request.
MARK = "home-only-4711"

#: In what only some of the home team may see.
HIDDEN = "home-unsigned-0815"

Asked = str | tuple[str, Any] | tuple[str, Any, dict[str, str]]
Json = dict[str, Any]


class World:
    """Two teams with data, and things of the home team to ask for."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.now_ms = wiring.clock_ms()
        self._put("patients", MARK, demographics=f'{{"name":"{MARK}"}}')
        self._put(
            "cases",
            f"{MARK}-case",
            patient_id=MARK,
            triage_data="{}",
            risk_level="red",
            status="PENDING_DIAGNOSIS",
            _rank=0,
            _waits=True,
            ai_analysis={"status": "done", "rationale": HIDDEN},
        )
        self._put("diagnoses", f"{MARK}-d", case_id=f"{MARK}-case", diagnosis_text=MARK)
        self.entry()
        conflict = {"table": "patients", "record_id": MARK, "winner": "server", "reason": "older"}
        sides = {"yours": f'{{"demographics":"{MARK}"}}', "theirs": "{}", "at": self.now_ms}
        logged = {**conflict, **sides, record.SCOPE: HOME}
        wiring.store().commit([put(Key("conflicts", "home-conflict"), logged, None)])
        for team in (HOME, AWAY):
            device = {"user_id": f"{team}-user", "device": MARK if team == HOME else "other"}
            wiring.store().commit(
                [
                    put(
                        Key("devices", f"{team}~phone"),
                        {**device, "scopes": [team], "attempt_at": self.now_ms, "failures": 0}
                        | {"outcome": "ok", "ok_at": self.now_ms, "dialect": "batch"}
                        | {"pulled": {}, "pushed": {}, "rejected": [], "bytes_in": 0}
                        | {"bytes_out": 0, "app_version": None, "clock_offset_ms": None},
                        None,
                    )
                ]
            )
        api.join(f"{MARK}-user", HOME, "chw")
        api.join("home-colleague", HOME, "doctor")
        wiring.store().commit(
            [jobs.create("home-job", "analyse", "cases", f"{MARK}-case", HOME, self.now_ms)]
        )
        wiring.store().commit(
            [put(Key("accounts", f"{MARK}-user"), {"name": MARK, "created_at": 0}, None)]
        )

    def _put(self, table: str, record_id: str, **fields: Any) -> None:
        client: dict[str, Any] = {
            n: fields[n] for n in ("demographics", "patient_id", "triage_data") if n in fields
        }
        content_hash, _ = record.content_hash(record_id, HOME, client)
        own = {record.SCOPE: HOME, record.MODIFIED: 1000, record.CREATED: 1000}
        wiring.store().commit(
            [put(Key(table, record_id), {**fields, record.HASH: content_hash, **own}, None)]
        )

    def fresh(self) -> str:
        """A new id that says nothing."""
        return uuid.uuid4().hex

    def deleted(self) -> str:
        """A patient of the home team who was deleted a moment ago."""
        name = self.fresh()
        gone = {record.DELETED: self.now_ms, record.KEPT: self.now_ms}
        self._put("patients", name, demographics="{}", **gone)
        return name

    def patient(self) -> str:
        """A new patient of the home team."""
        name = self.fresh()
        self._put("patients", name, demographics="{}")
        return name

    def second(self, user: str) -> str:
        """A team of its own in which that user supervises, as well as wherever else they are."""
        name = self.fresh()
        held = membership.key(user)
        if wiring.store().read([held]).documents:
            self.api.join(user, name, "supervisor")
        return name

    def case(self) -> str:
        """A red case of the home team that waits for a doctor."""
        name = self.fresh()
        waits = {"risk_level": "red", "status": "PENDING_DIAGNOSIS", "_rank": 0}
        waits |= {"_waits": True, "_changed_since": ["image_urls"]}
        self._put("cases", name, patient_id=MARK, triage_data="{}", **waits)
        key = Key("cases", name)
        self.version = wiring.store().read([key]).documents[key].version
        return name

    def signed(self, user: str) -> tuple[str, str]:
        """A case, and its diagnosis, which this user has just signed."""
        case, diagnosis = self.case(), self.fresh()
        self._put("diagnoses", diagnosis, case_id=case, doctor_id=user, diagnosis_text="x")
        now_ms = wiring.clock_ms()
        signed: dict[str, Any] = {"table": "cases", "record_id": case, "scope_id": HOME}
        signed |= {"signed_by": user, "signed_at": now_ms, "diagnosis_id": diagnosis}
        before = {"review": {}, "case": {"status": "PENDING_DIAGNOSIS"}}
        fields = {**signed, "before_signature": before}
        wiring.store().commit([put(Key("reviews", case), fields, None)])
        return case, diagnosis

    def text(self, user: str) -> str:
        """A text that this user keeps."""
        fields = {"texts": {"t2": {"name": "x", "text": "x"}}}
        wiring.store().commit([put(Key("saved_texts", user), fields, None)])
        return "t2"

    def hook(self) -> str:
        """An endpoint of the home team, its only one."""
        wiring.store().commit([delete(endpoint.key(HOME))])
        url = f"https://{self.fresh()}.example.org/{MARK}"
        access = Access(OPERATOR, [HOME])
        place, _ = wiring.hooks().add(access, HOME, url, ["case.red"], self.now_ms)
        return place.endpoint.id

    def entry(self) -> str:
        """An entry of the home team's inbox."""
        name = self.fresh()
        fields = {
            "table": "patients",
            "record_id": "x",
            "code": "moved",
            "urgent": False,
            "device": "d",
            "late": True,
        }
        said = {"raw": f'{{"name":"{MARK}"}}', "raw_whole": True, "open": True, "at": self.now_ms}
        own = {record.SCOPE: HOME, record.AUTHOR: "somebody"}
        wiring.store().commit([put(Key("quarantine", name), {**fields, **said, **own}, None)])
        return name

    def photo(self) -> tuple[str, bytes]:
        """A photo of the home team's case that was announced, not sent: its id and its bytes."""
        key = self.fresh()
        data = key.encode() * 320  # bytes of its own, and no photo
        (ticket,) = self._asked(key, data)
        return str(ticket["id"]), data

    def whole(self) -> str:
        """The id of a photo of the home team all of whose bytes were sent."""
        name, data = self.photo()
        span = ByteRange(0, len(data) - 1, len(data))
        sender = Caller(f"{MARK}-user", "chw", "phone")
        wiring.uploads().receive(sender, name, span, iter([data]), self.now_ms)
        return name

    def _asked(self, key: str, data: bytes) -> list[Json]:
        tickets, sender = wiring.tickets(), Caller(f"{MARK}-user", "chw", "phone")
        return tickets.ask(sender, tickets.parse([self.announced(key, data)]), self.now_ms).answers

    def announced(self, key: str, data: bytes = b"x") -> Json:
        """What a phone says of a photo of the home team's case."""
        return {
            "table": "cases",
            "record_id": self.case(),
            "key": key,
            "type": "image/jpeg",
            "bytes": len(data),
            "sha256": hashlib.sha256(data).hexdigest(),
        }

    def form(self) -> tuple[str, bytes, dict[str, str]]:
        """A whole photo of the home team's case, as a browser's form sends it."""
        parts = (
            f'--x\r\nContent-Disposition: form-data; name="record_id"\r\n\r\n{self.case()}\r\n'
            '--x\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n'
            f"Content-Type: image/jpeg\r\n\r\n{self.fresh()}\r\n--x--\r\n"
        )
        headers = {"Content-Type": "multipart/form-data; boundary=x"}
        return "/api/v1/upload", parts.encode(), headers

    def link(self) -> str:
        """A link of ours to a file of the home team."""
        name = f"originals/{self.fresh()}/a/original"
        wiring.files().put(name, [b"bytes"], "image/jpeg")
        return wiring.files().link(
            name, media_type="image/jpeg", file_name="a.jpg", seconds=60, now_ms=wiring.clock_ms()
        )

    def code(self) -> str:
        """An invite code of a third team, good for one."""
        services = wiring.accounts()
        return services.invites.make(OPERATOR, "third", "chw", 1, 1, wiring.clock_ms())[0]

    def invite(self) -> str:
        """The id of an open code of the home team."""
        services = wiring.accounts()
        code, _ = services.invites.make(OPERATOR, HOME, "chw", 1, 1, wiring.clock_ms())
        return invite.key(code, wiring.accounts_secret()).id

    def stuck(self) -> str:
        """A job about the home team's case that was parked."""
        name = f"{MARK}-{self.fresh()}"
        parked = jobs.create(
            name, "analyse", "cases", f"{MARK}-case", HOME, self.now_ms, state=jobs.PARKED
        )
        wiring.store().commit([parked._replace(fields={**parked.fields, "due_at": None})])
        return name

    def member(self) -> str:
        """A new health worker of the home team."""
        name = self.fresh()
        self.api.join(name, HOME, "chw")
        return name

    def kept(self) -> list[tuple[str, int]]:
        """What is stored of the home team: ids and versions."""
        return [
            (document.key.id, document.version)
            for item in wiring.catalog().collections
            for document in wiring.store().query(Query(item.name))
            if document.fields.get(record.SCOPE) == HOME
        ]


def _shows(text: str) -> Callable[[TestResponse], bool]:
    return lambda response: response.status_code == 200 and text in response.text


def _accepts(response: TestResponse) -> bool:
    """Whether a push stored what it sent."""
    said = response.get_json()
    refused = said.get("rejected") or said.get("experimentalRejectedIds")
    return response.status_code == 200 and not refused


def _takes(response: TestResponse) -> bool:
    """Whether the only file that was asked for is wanted."""
    files = (response.get_json() or {}).get("files") or [{"error": True}]
    return response.status_code == 200 and "error" not in files[0]


def _wants_more(response: TestResponse) -> bool:
    return response.status_code in (200, 308)


def _knows_him(response: TestResponse) -> bool:
    """Whether an answer is about the request, not about the token."""
    error = (response.get_json(silent=True) or {}).get("error", {})
    code = str(error.get("code"))
    return response.status_code < 500 and not code.startswith(
        ("token_", "account_disabled", "totp_setup")
    )


def _is_asked_for_a_password(response: TestResponse) -> bool:
    """Whether nothing but the password is wrong."""
    return (response.get_json() or {}).get("error", {}).get("code") == "credentials_wrong"


def _counts(response: TestResponse) -> bool:
    return response.status_code == 200 and response.get_json()["tables"]["patients"]["count"] > 0


def _edit(world: World, _user: str) -> Asked:
    change = {"id": MARK, "last_modified_at": world.now_ms / 1000, "demographics": {}}
    return "/api/sync", {"scope_id": HOME, "changes": {"patients": [change]}}


def _add(world: World, _user: str) -> Asked:
    fresh = {"id": world.fresh(), "last_modified_at": 1, "patient_id": MARK, "triage_data": {}}
    return "/api/sync", {"scope_id": HOME, "changes": {"cases": [fresh]}}


def _watermelon_edit(world: World, _user: str) -> Asked:
    row = {"id": world.fresh(), "scope_id": HOME, "last_modified_at": world.now_ms}
    changes = {
        "patients": {"created": [{**row, "demographics": "{}"}], "updated": [], "deleted": []}
    }
    return f"/api/v1/sync?last_pulled_at={wiring.clock_ms()}", {"changes": changes}


def _bytes(world: World, _user: str) -> Asked:
    name, data = world.photo()
    return f"/api/v1/files/{name}/content", data


def _credentials(_world: World, user: str) -> Json:
    return {"email": f"{user}@example.org", "password": "correct horse battery"}


@dataclass(frozen=True)
class Line:
    """One line of the table; see the module's docstring."""

    operation: str
    act: str
    needs: Right | str
    ask: Callable[[World, str], Asked]
    granted: Callable[[TestResponse], bool] | None = None

    @property
    def name(self) -> str:
        return f"{self.operation} ({self.act})"


def _path(path: str) -> Callable[[World, str], Asked]:
    return lambda _world, _user: path


def _body(path: str, **body: Any) -> Callable[[World, str], Asked]:
    return lambda _world, _user: (path, body)


_AUTH = "/api/v1/auth"
_REVIEW = "/api/v1/review/cases"

# fmt: off
OPERATIONS: tuple[Line, ...] = (
    Line("POST /api/sync", "pull", Action.READ, _body("/api/sync", last_sync_timestamp=0), _shows(MARK)),
    Line("POST /api/sync", "edit", Action.WRITE, _edit, _accepts),
    Line("POST /api/sync", "add", Action.WRITE, _add, _accepts),
    Line("POST /api/sync", "see the unsigned analysis", ReviewAction.SEE_UNSIGNED_ANALYSIS,
         _body("/api/sync", last_sync_timestamp=0), _shows(HIDDEN)),
    Line("GET /api/v1/sync", "pull", Action.READ, _path("/api/v1/sync?last_pulled_at=null"), _shows(MARK)),
    Line("GET /api/v1/sync", "see the unsigned analysis", ReviewAction.SEE_UNSIGNED_ANALYSIS,
         _path("/api/v1/sync?last_pulled_at=null"), _shows(HIDDEN)),
    Line("POST /api/v1/sync", "add", Action.WRITE, _watermelon_edit, _accepts),
    Line("GET /api/v1/sync/digest", "ask", Action.READ, _path("/api/v1/sync/digest"), _counts),
    Line("POST /api/sync", "announce a photo", Action.WRITE,
         lambda world, _: ("/api/sync", {"files": [world.announced(world.fresh())]}), _takes),
    Line("POST /api/v1/files", "announce", Action.WRITE,
         lambda world, _: ("/api/v1/files", {"files": [world.announced(world.fresh())]}), _takes),
    Line("POST /api/v1/upload", "send whole", Action.WRITE, lambda world, _: world.form()),
    Line("PUT /api/v1/files/{id}/content", "send", Action.WRITE, _bytes, _wants_more),
    Line("POST /api/v1/files/{id}/complete", "complete", Action.WRITE,
         lambda world, _: (f"/api/v1/files/{world.whole()}/complete", {})),
    Line("GET /api/v1/files/{id}", "look", Action.READ,
         lambda world, _: f"/api/v1/files/{world.whole()}"),
    Line("GET /api/v1/files/links/{token}", "follow", ANYONE, lambda world, _: world.link()),
    Line("GET /api/v1/devices", "list", Action.SUPERVISE, _path("/api/v1/devices"), _shows(MARK)),
    Line("POST /api/v1/devices/token", "register", TOKEN,
         _body("/api/v1/devices/token", token="push-token")),
    Line("GET /api/v1/jobs/{id}", "read", Action.READ, _path("/api/v1/jobs/home-job")),
    Line("GET /api/v1/inbox", "list", Action.INBOX, _path("/api/v1/inbox"), _shows(MARK)),
    Line("POST /api/v1/inbox/{id}/close", "close", Action.INBOX,
         lambda world, _: (f"/api/v1/inbox/{world.entry()}/close", {})),
    Line("POST /api/v1/undelete", "undelete", Action.UNDELETE,
         lambda world, _: ("/api/v1/undelete", {"table": "patients", "id": world.deleted()})),
    Line("GET /api/v1/deleted", "list", Action.UNDELETE, _path(f"/api/v1/deleted?scope={HOME}")),
    Line("GET /api/v1/conflicts", "list", Action.INBOX, _path(f"/api/v1/conflicts?scope={HOME}"),
         _shows(MARK)),
    Line("POST /api/v1/moves", "move", Action.MOVE,
         lambda world, user: ("/api/v1/moves", {"table": "patients", "id": world.patient(),
                                                "to_scope_id": world.second(user)})),
    Line("GET /api/v1/exports", "list", Action.EXPORT, _path("/api/v1/exports"), _shows(HOME)),
    Line("GET /api/v1/exports/file", "fetch", Action.EXPORT,
         _path(f"/api/v1/exports/file?scope={HOME}&format=csv&table=patients"), _shows(MARK)),
    Line("GET /api/v1/hooks", "list", Action.HOOKS,
         lambda world, _: ("/api/v1/hooks", world.hook() and None), _shows(MARK)),
    Line("POST /api/v1/hooks", "add", Action.HOOKS,
         lambda world, _: ("/api/v1/hooks", {"url": f"https://{world.fresh()}.example.org",
                                             "events": ["case.red"], "scope_id": HOME})),
    Line("PATCH /api/v1/hooks/{id}", "change", Action.HOOKS,
         lambda world, _: (f"/api/v1/hooks/{world.hook()}", {"enabled": False})),
    Line("DELETE /api/v1/hooks/{id}", "remove", Action.HOOKS,
         lambda world, _: (f"/api/v1/hooks/{world.hook()}", None)),
    Line("POST /api/v1/hooks/{id}/test", "test", Action.HOOKS,
         lambda world, _: (f"/api/v1/hooks/{world.hook()}/test", {})),
    Line("POST /api/v1/hooks/{id}/rotate", "rotate", Action.HOOKS,
         lambda world, _: (f"/api/v1/hooks/{world.hook()}/rotate", {})),
    Line("GET /api/v1/hooks/{id}/deliveries", "list", Action.HOOKS,
         lambda world, _: (f"/api/v1/hooks/{world.hook()}/deliveries", None)),
    Line("GET /api/v1/review/cases", "list", ReviewAction.REVIEW, _path(_REVIEW), _shows(MARK)),
    Line("GET /api/v1/review/cases/{id}", "read", ReviewAction.REVIEW, _path(f"{_REVIEW}/{MARK}-case")),
    Line("GET /api/v1/review/cases/{id}/patient-cases", "list", ReviewAction.REVIEW,
         _path(f"{_REVIEW}/{MARK}-case/patient-cases")),
    Line("GET /api/v1/review/totals", "count", ReviewAction.REVIEW,
         _path(f"/api/v1/review/totals?scope={HOME}")),
    Line("GET /api/v1/review/numbers", "count", ReviewAction.NUMBERS,
         _path(f"/api/v1/review/numbers?scope={HOME}")),
    Line("GET /api/v1/review/quality", "count", ReviewAction.NUMBERS,
         _path(f"/api/v1/review/quality?scope={HOME}")),
    Line("POST /api/v1/review/cases/{id}/claim", "claim", ReviewAction.DIAGNOSE,
         lambda world, _: (f"{_REVIEW}/{world.case()}/claim", {})),
    Line("POST /api/v1/review/cases/{id}/claim", "assign", ReviewAction.ASSIGN,
         lambda world, _: (f"{_REVIEW}/{world.case()}/claim", {"doctor_id": "home-colleague"})),
    Line("POST /api/v1/review/cases/{id}/release", "release", ReviewAction.REVIEW,
         lambda world, _: (f"{_REVIEW}/{world.case()}/release", {})),
    Line("POST /api/v1/review/cases/{id}/diagnosis", "sign", ReviewAction.DIAGNOSE,
         lambda world, _: (f"{_REVIEW}/{world.case()}/diagnosis",
                           {"diagnosis_text": "x", "idempotency_key": world.fresh()},
                           {"If-Match": f'"{world.version}"'})),
    Line("POST /api/v1/review/cases/{id}/withdraw", "take back", ReviewAction.DIAGNOSE,
         lambda world, user: (f"{_REVIEW}/{(signed := world.signed(user))[0]}/withdraw",
                              {"diagnosis_id": signed[1]})),
    Line("POST /api/v1/review/cases/{id}/close", "close", ReviewAction.REVIEW,
         lambda world, _: (f"{_REVIEW}/{world.case()}/close", {"word": "x"},
                           {"If-Match": f'"{world.version}"'})),
    Line("GET /api/v1/review/texts", "list", TOKEN, _path("/api/v1/review/texts")),
    Line("PUT /api/v1/review/texts/{id}", "save", TOKEN,
         _body("/api/v1/review/texts/t1", name="x", text="x")),
    Line("DELETE /api/v1/review/texts/{id}", "remove", TOKEN,
         lambda world, user: (f"/api/v1/review/texts/{world.text(user)}", None)),
    Line("POST /api/v1/auth/register", "register", ANYONE,
         lambda world, user: (f"{_AUTH}/register",
                              {**_credentials(world, user), "invite_code": world.code()})),
    Line("POST /api/v1/auth/login", "try", ANYONE,
         lambda world, user: (f"{_AUTH}/login", _credentials(world, user)), _knows_him),
    Line("POST /api/v1/auth/refresh", "try", ANYONE,
         _body(f"{_AUTH}/refresh", refresh_token="x" * 64), _knows_him),
    Line("POST /api/v1/auth/logout", "try", ANYONE, _body(f"{_AUTH}/logout", refresh_token="x" * 64)),
    Line("POST /api/v1/auth/password", "try", TOKEN,
         _body(f"{_AUTH}/password", old_password="no such password", new_password="correct horse battery"),
         _knows_him),
    Line("POST /api/v1/auth/totp", "try", TOKEN,
         _body(f"{_AUTH}/totp", password="no such password"), _knows_him),
    Line("POST /api/v1/auth/totp/confirm", "try", TOKEN,
         _body(f"{_AUTH}/totp/confirm", otp="123456"), _knows_him),
    Line("POST /api/v1/auth/totp/remove", "try", TOKEN,
         _body(f"{_AUTH}/totp/remove", password="no such password"), _knows_him),
    Line("GET /api/v1/auth/sessions", "list", TOKEN, _path(f"{_AUTH}/sessions")),
    Line("POST /api/v1/auth/sessions/end", "try", TOKEN,
         _body(f"{_AUTH}/sessions/end", password="no such password"), _knows_him),
    Line("POST /api/v1/auth/sessions/{id}/end", "try", TOKEN,
         _body(f"{_AUTH}/sessions/x/end", password="no such password"), _knows_him),
    Line("POST /api/v1/auth/delete", "try", TOKEN,
         _body(f"{_AUTH}/delete", password="no such password"), _knows_him),
    Line("POST /api/v1/auth/profile", "say who I am", TOKEN, _body(f"{_AUTH}/profile", name="X")),
    Line("POST /api/v1/auth/join", "join a third", TOKEN,
         lambda world, _: (f"{_AUTH}/join", {"invite_code": world.code()})),
    Line("POST /api/v1/auth/leave", "leave", TOKEN, _body(f"{_AUTH}/leave", scope_id=HOME)),
    Line("POST /api/v1/auth/invites", "invite", MANAGES,
         _body(f"{_AUTH}/invites", scope_id=HOME, role="chw")),
    Line("GET /api/v1/auth/invites", "list", MANAGES, _path(f"{_AUTH}/invites?scope_id={HOME}")),
    Line("POST /api/v1/auth/invites/{id}/void", "void", MANAGES,
         lambda world, _: (f"{_AUTH}/invites/{world.invite()}/void", {"scope_id": HOME})),
    Line("POST /api/v1/auth/members/{id}/remove", "put out", MANAGES,
         lambda world, _: (f"{_AUTH}/members/{world.member()}/remove", {"scope_id": HOME})),
    Line("POST /api/v1/auth/members/{id}/role", "make a doctor", MANAGES,
         lambda world, _: (f"{_AUTH}/members/{world.member()}/role",
                           {"scope_id": HOME, "role": "doctor"})),
    Line("POST /api/v1/auth/scopes", "make one", FOUNDS,
         lambda world, _: (f"{_AUTH}/scopes", {"scope_id": world.fresh(), "name": "another"})),
    Line("GET /api/v1/auth/me", "ask", TOKEN, _path(f"{_AUTH}/me")),
    Line("GET /api/v1/auth/members", "list", MANAGES,
         _path(f"{_AUTH}/members?scope_id={HOME}"), _shows(MARK)),
    Line("POST /api/v1/auth/forgot", "try", ANYONE,
         lambda world, user: (f"{_AUTH}/forgot", {"email": f"{user}@example.org"}), _knows_him),
    Line("POST /api/v1/auth/reset", "try", ANYONE,
         _body(f"{_AUTH}/reset", code="x" * 43, new_password="correct horse battery"), _knows_him),
    Line("GET /api/v1/auth/users", "list", Action.ADMINISTER,
         _path(f"{_AUTH}/users?scope_id={HOME}"), _shows(MARK)),
    Line("GET /api/v1/auth/users/{id}", "read", Action.ADMINISTER,
         _path(f"{_AUTH}/users/{MARK}-user"), _shows(MARK)),
    *(
        Line(f"POST /api/v1/auth/users/{{id}}/{act}", "try", Action.ADMINISTER,
             lambda world, _, act=act: (f"{_AUTH}/users/{world.member()}/{act}",
                                        {"password": "no such password"}), _is_asked_for_a_password)
        for act in ("disable", "enable", "end-sessions", "reset")
    ),
    Line("GET /api/v1/trail", "own", TOKEN, _path("/api/v1/trail")),
    Line("GET /api/v1/trail", "a team's", Action.TRAIL, _path(f"/api/v1/trail?scope_id={HOME}")),
    Line("GET /api/v1/trail/check", "check", Action.TRAIL,
         _path(f"/api/v1/trail/check?scope_id={HOME}")),
    Line("GET /api/v1/jobs", "list", Action.ADMINISTER, lambda world, _: world.stuck() and "/api/v1/jobs",
         _shows(MARK)),
    Line("POST /api/v1/jobs/{id}/redrive", "redrive", Action.ADMINISTER,
         lambda world, _: (f"/api/v1/jobs/{world.stuck()}/redrive", {})),
    Line("GET /api/v1/settings", "look", ADMINISTERS, _path("/api/v1/settings")),
    Line("GET /.well-known/jwks.json", "fetch", ANYONE, _path("/.well-known/jwks.json")),
    Line("GET /health", "ask", ANYONE, _path("/health")),
    Line("GET /ready", "ask", ANYONE, _path("/ready")),
    Line("GET /version", "ask", ANYONE, _path("/version")),
    Line("GET /openapi.json", "ask", ANYONE, _path("/openapi.json")),
    Line("GET /docs", "ask", ANYONE, _path("/docs")),
)
# fmt: on
