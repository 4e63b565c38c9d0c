"""Hide the red: a fleet of phones, a doctor and a model that answers oddly. Is any red signal silent?

A signal is what should make somebody look: a colour in any spelling or one that nobody can read, an
answer that hits a rule, a case that cannot be filed. It enters at a random step, on a random phone, and
lives through all that happens in a campaign: lost answers, wrong clocks, overwriting, undoing, deletions
of the case or its patient, moves, leavers, killed workers, doctors who sign and close meanwhile.

At rest each one that reached the server must be met by a person: the case is in the list, as urgent as
the signal at least; or an entry of the inbox has it (admins see those of no team); or a doctor has signed
or closed a version of the case that had it. And no phone was ever told less of a case than before.
"""

from __future__ import annotations

import http.client
import http.server
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from random import Random
from typing import Any, NamedTuple

from shared.access import membership
from shared.ai.model import ChatRequest
from shared.records import record
from shared.support import inbox
from tests.dermadetect.fleet import campaign
from tests.dermadetect.fleet.campaign import Campaign, Plan, Report, _insist, _now_ms
from tests.dermadetect.fleet.ledger import Key, Shade, marks_in
from tests.dermadetect.fleet.phones import Json, Phone
from tests.dermadetect.fleet.proxy import Proxy
from tests.dermadetect.fleet.server import Server
from tests.patience import PATIENCE_SECONDS
from tests.scripted import draft

#: How urgent a signal is for doctors at least: as `rank` in the list.
EMERGENCY, RED, LOOK = range(3)

#: Colours as apps write them, and what no server knows.
_COLOURS = {
    **dict.fromkeys(("red", "RED", " Red ", "HIGH", "urgent", "rouge", "लाल"), RED),
    **dict.fromkeys(("crimson?", "", "#f00"), LOOK),
}

#: Answers that hit a rule, in forms that form engines write.
_ANSWERS: tuple[tuple[Json, int], ...] = (
    ({"bleeding": True}, RED),
    ({"exam": {"bleeding": "oui"}}, RED),
    ({"breathing_difficulty": "1"}, EMERGENCY),
    ({"signs": ["breathing_difficulty"]}, LOOK),
    ({"bleeding": "a bit, since the fall?"}, LOOK),
    ({"bleeding": "?"}, LOOK),
)

#: What becomes of a signal's record: an edit of one that is there, a new one, or one nobody can file.
_KINDS = ("colour", "colour", "colour alone", "answer", "answer", "new", "nobody's", "too long")

_STEPS = {"signal": 12.0, "doctor": 9.0, "delete": 7.0}

#: From the least to the most, as phones are told it.
_URGENCIES = ("routine", "soon", "urgent", "emergency")


class Signal(NamedTuple):
    """What should make somebody look: a colour, or answers. `tag` stands in the answers, if any."""

    key: Key
    phone: str
    tag: str | None
    shade: Shade | None
    rank: int
    number: int
    what: str


@dataclass
class Look:
    """A doctor judged a case: what stood there, and whether her act was taken (or may have been)."""

    case: str
    number: int
    tags: frozenset[str]
    rank: int


class RedCampaign(Campaign):
    """Plays one plan with signals in it, and a doctor of both teams."""

    def __init__(self, plan: Plan, server: Server, line: Proxy) -> None:
        super().__init__(plan, server, line)
        self.doctor = f"doc{plan.seed}"
        for team in self.teams:
            _insist(
                lambda team=team: membership.grant(  # type: ignore[misc]
                    server.store, self.doctor, team, "doctor", _now_ms()
                )
            )
        self._token = server.token(self.doctor)
        self.signals: list[Signal] = []
        self.looks: list[Look] = []
        self._told: dict[tuple[str, Key], int] = {}
        self._signed = 0

    def _weights(self) -> dict[str, float]:
        return super()._weights() | _STEPS

    def _step(self, what: str, phone: Phone) -> None:
        match what:
            case "signal":
                self.report.counts["signals"] += 1
                self._signal(phone)
            case "doctor":
                self._doctor()
            case _:
                super()._step(what, phone)
        self._listen()

    # --- signals

    def _signal(self, phone: Phone) -> None:
        random, kind = self.random, self.random.choice(_KINDS)
        at = self.clocks[phone.name].at(self.steps_left * 30_000)
        cases = [Key("cases", name) for name in phone.live("cases")]
        patients = phone.live("patients")
        word = random.choice(list(_COLOURS))
        answers, rank = random.choice(_ANSWERS)
        more: Json = {}
        if kind in ("new", "nobody's", "too long") or not cases:
            if not patients and kind != "nobody's":
                return
            key = self._new("cases", phone)
            nobody = kind == "nobody's"
            more["patient_id"] = f"nobody-{key.id}" if nobody else random.choice(patients)
        else:
            key = random.choice(cases)
        if kind == "too long":
            more["image_keys"] = [f"k{number}" for number in range(101)]
        columns: tuple[str, ...] = ("triage_data",)
        if kind == "colour alone" and cases:
            more["risk_level"], rank, answers, columns = word, _COLOURS[word], {}, ()
        elif kind in ("colour", "nobody's", "too long"):
            more["risk_level"], rank, answers = word, _COLOURS[word], {}
        elif kind == "new":
            more["risk_level"] = "green"
        before = len(self.ledger.shades)
        phone.edit(key, columns, at, answers=answers, **more)
        shade = None if answers or before == len(self.ledger.shades) else self.ledger.shades[-1]
        if not answers and (shade is None or self._goes_back(phone, shade)):
            return
        tag = next(reversed(self.ledger.marks)) if columns else None
        what = f"{kind} {word if not answers else json.dumps(answers)}"
        number = self.ledger.note(phone.name, key, f"gives a signal: {what}")
        self.signals.append(Signal(key, phone.name, tag, shade, rank, number, what))

    def _goes_back(self, phone: Phone, shade: Shade) -> bool:
        """Whether the phone had this colour from the server, or gave it: whole rows do not show that."""
        rank = _COLOURS[shade.value]
        same = [
            {RED: "red", LOOK: "unknown"}[rank],
            *(w for w, of in _COLOURS.items() if of == rank),
        ]
        mine = self.ledger.own_shades(phone.name, shade.key, same)
        return phone.received(shade.key).get("risk_level") in same or len(mine) > 1

    def _arrived(self, signal: Signal) -> bool:
        """Whether it surely reached the server: it was answered."""
        if signal.shade is not None:
            return bool(signal.shade.accepted or signal.shade.refused)
        mark = self.ledger.marks[signal.tag or ""]
        return bool(mark.accepted or mark.refused)

    # --- the doctor

    def _doctor(self) -> None:
        """She opens her list, looks at a case of it, and signs or closes it, or closes an entry."""
        answer = self._ask("GET", "/api/v1/review/cases?limit=200")
        if answer is None:
            return
        unfiled, cases = answer["cannot_be_filed"], answer["cases"]
        if unfiled and (not cases or self.random.random() < 0.3):
            entry = self.random.choice(unfiled)
            number = self.ledger.now
            body = {"word": "called"} if self.random.random() < 0.5 else {}
            if self._ask("POST", f"/api/v1/inbox/{entry['id']}/close", body, unsure={}) is not None:
                tags = frozenset(marks_in(json.dumps(entry, ensure_ascii=False)))
                self._looked(entry["record_id"], number, tags, EMERGENCY)
            return
        if not cases:
            return
        entry, number = self.random.choice(cases), self.ledger.now
        shown = self._ask("GET", f"/api/v1/review/cases/{entry['id']}")
        if shown is None:
            return
        if self.random.random() < 0.4:  # something comes between her look and her word
            self._sync([self.random.choice(self.phones)])
        version = {"If-Match": f'"{shown["version"]}"'}
        path = f"/api/v1/review/cases/{entry['id']}"
        if shown["reason"] in ("deleted_while_waiting", "changed_since_signed") and (
            shown["reason"] == "deleted_while_waiting" or self.random.random() < 0.5
        ):
            done = self._ask("POST", f"{path}/close", {"word": "seen"}, version, unsure={})
        else:
            self._signed += 1
            body = {
                "diagnosis_text": "Tinea",
                "idempotency_key": f"{self.doctor}-{self._signed}",
                "amends": shown["review"]["diagnosis_id"],
            }
            done = self._ask("POST", f"{path}/diagnosis", body, version, unsure={})
        if done is not None:
            tags = frozenset(marks_in(json.dumps(shown, ensure_ascii=False)))
            self._looked(entry["id"], number, tags, int(entry["rank"]))

    def _looked(self, case: str, number: int, tags: frozenset[str], rank: int) -> None:
        self.looks.append(Look(case, number, tags, rank))
        self.report.counts["doctor's acts"] += 1
        self.ledger.note(self.doctor, Key("cases", case), f"judges rank {rank}: {sorted(tags)}")

    def _ask(
        self,
        method: str,
        path: str,
        body: Json | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        unsure: Json | None = None,
    ) -> Any:
        """An answer's body; None if it is a refusal; `unsure` if none came: it may have been done."""
        host, port = self.server.address
        connection = http.client.HTTPConnection(host, port, timeout=PATIENCE_SECONDS)
        sent = {"Authorization": f"Bearer {self._token}", **(headers or {})}
        if body is not None:
            sent["Content-Type"] = "application/json"
        try:
            data = None if body is None else json.dumps(body).encode()
            connection.request(method, path, data, sent)
            response = connection.getresponse()
            value = json.loads(response.read())
        except (OSError, http.client.HTTPException, ValueError):
            return unsure
        finally:
            connection.close()
        if response.status == 500:
            self.ledger.violated(None, f"{self.doctor}: 500 from {method} {path}")
        return value if response.status == 200 else None

    # --- what phones are told

    def _listen(self) -> None:
        for phone in self.phones:
            for key, row in phone.rows().items():
                said = _urgency(row.get("ai_analysis")) if key.table == "cases" else -1
                before = self._told.get((phone.name, key), -1)
                if said < before and phone.device not in self.ledger.copied:
                    self.ledger.violated(
                        key, f"{phone.name} was told {said} of {key} after {before}"
                    )
                self._told[phone.name, key] = said

    # --- at rest

    def _audit(self) -> None:
        self._listen()
        listed = {
            entry["id"]: entry["rank"] for entry in self._pages("cases", "/api/v1/review/cases")
        }
        entries = {
            (entry["record_id"], json.dumps(entry, ensure_ascii=False))
            for entry in self._pages("entries", "/api/v1/inbox")
        }
        for document in inbox.entries(self.server.store, (record.UNFILED,)):
            shown = inbox.shown_entry(document)
            entries.add((shown["record_id"], json.dumps(shown, ensure_ascii=False)))
        for signal in self.signals:
            if not self._arrived(signal):
                continue
            self.report.counts["signals that arrived"] += 1
            name = signal.key.id
            if listed.get(name, LOOK + 9) <= signal.rank:
                self.report.counts["in the list"] += 1
            elif any(name == of and stands_in(signal, text) for of, text in entries):
                self.report.counts["in the inbox"] += 1
            elif any(judged(look, signal) for look in self.looks):
                self.report.counts["judged"] += 1
            else:
                self.ledger.violated(
                    signal.key,
                    f"SILENT: {signal.what} of {signal.key} by {signal.phone} ({signal.tag}); "
                    f"listed as {listed.get(name)}",
                )

    def _pages(self, name: str, path: str) -> Iterator[Json]:
        page = ""
        while True:
            answer = self._ask("GET", f"{path}?limit=100{page}")
            if answer is None:
                raise AssertionError(f"the auditor's {path}")
            yield from answer[name]
            if answer.get("next_page") is None:
                return
            page = f"&page={answer['next_page']}"


def stands_in(signal: Signal, entry: str) -> bool:
    """Whether an entry of the inbox holds the signal: its colour (as read, or as sent), or its tag."""
    if signal.shade is None:
        return (signal.tag or "") in entry
    words = (
        f'"risk_level": {json.dumps(word, ensure_ascii=False)}' for word in (*_COLOURS, "unknown")
    )
    # Its user may have changed the word in the same push: what is urgent for another reason will do.
    return '"urgent": true' in entry or any(word in entry for word in words)


def judged(look: Look, signal: Signal) -> bool:
    """Whether a doctor's act covers a signal: it stood there, or was as urgent, and after it."""
    if look.case != signal.key.id:
        return False
    if signal.tag is not None and signal.tag in look.tags:
        return True
    return look.number > signal.number and look.rank <= signal.rank


def _urgency(analysis: Any) -> int:
    said = json.loads(analysis) if isinstance(analysis, str) else analysis
    urgency = said.get("urgency") if isinstance(said, dict) else None
    return _URGENCIES.index(urgency) if urgency in _URGENCIES else -1


# --- a model as they are


class _Handler(http.server.BaseHTTPRequestHandler):
    """Speaks the OpenAI wire format, mostly. What it says depends on the question alone."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        text = json.dumps(body["messages"])
        random = Random(sha256(text.encode()).digest() + self.server.calls.to_bytes(4))  # type: ignore[attr-defined]
        self.server.calls += 1  # type: ignore[attr-defined]
        status, kind, said = 200, "application/json", _oddly(text, random)
        if random.random() < 0.15:
            status = random.choice((200, 404, 429, 500, 503))
            answer = random.choice(("<html>502</html>", '{"error": {"message": "busy"}}', ""))
        else:
            choices = [{"message": {"role": "assistant", "content": said}, "finish_reason": "stop"}]
            answer = json.dumps(
                {"choices": [] if random.random() < 0.05 else choices, "model": "odd"}
            )
        data = answer.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Nothing."""


def _oddly(text: str, random: Random) -> str | None:
    said = draft(ChatRequest("", text[-200:]))
    said["urgency"] = random.choice((*_URGENCIES, *_URGENCIES, "Emergency (now)", "as needed"))
    whole = json.dumps(said)
    forms: tuple[str | None, ...] = (
        whole,
        whole,
        f"```json\n{whole}\n```",
        f"<think>It may be an emergency.</think>\n{whole}",
        json.dumps({"analysis": said}),
        whole[:-1] + ",}",
        whole + "\n" + whole,
        "The urgency is emergency.",
        "I cannot help with that.",
        "",
        None,
    )
    return random.choice(forms)


@contextmanager
def odd_model() -> Iterator[Mapping[str, str]]:
    """A model server for the length of the block; the settings that a back end needs to ask it."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.calls = 0  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield {
            "MODEL": "openai_compatible",
            "MODEL_URL": f"http://127.0.0.1:{server.server_port}/v1",
            "MODEL_NAME": "odd",
            "MODEL_REST_SECONDS": "0.2",
        }
    finally:
        server.shutdown()
        server.server_close()


def run(server: Server, plan: Plan, line: Proxy | None = None) -> Report:
    """Play one plan on a running server that asks an odd model."""
    return campaign.run(server, plan, line, RedCampaign)
