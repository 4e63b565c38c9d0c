"""Tells people of an open alert, step by step (`escalation.py`). Each call is one commit, and what is sent
after it; each raises `Contended` if others were faster.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.notify.choice import next_clock
from shared.notify.telling import (
    GONE,
    SENT,
    TAKEN,
    WAITING,
    Ready,
    State,
    Telling,
    user_of,
    waiting,
)
from shared.products.medmind.alert_digest import Digests
from shared.products.medmind.alert_sending import AT_DIGEST, Said, Sender
from shared.products.medmind.alert_settings import AlertChoice
from shared.products.medmind.alert_tables import GATHERED, STEPS, STOPPED
from shared.products.medmind.escalation import (
    LIFE_MS,
    NOBODY_MS,
    TABLE,
    awake_ms,
    due_ms,
    following,
    people,
    punctual,
)
from shared.records import record
from shared.records.store import Document, RecordStore, Write, verify

log = logging.getLogger(__name__)

#: States of a way that reaches somebody, or still may.
_REACHES = (WAITING, TAKEN, SENT, GATHERED)


@dataclass(frozen=True, slots=True)
class Chain:
    """The steps of one alert as they were read."""

    id: str
    scope: str
    row: Document
    told: Telling

    @property
    def have(self) -> Mapping[str, Any]:
        """The fields of its document in `notification_events`."""
        return self.told.document.fields

    @property
    def begun(self) -> dict[str, int]:
        """Steps that were begun, with when."""
        return dict(self.have.get("steps") or {})

    @property
    def severity(self) -> str:
        return str(self.row.fields["severity"])

    def lives(self, now_ms: int) -> bool:
        """Whether it goes on."""
        return now_ms - int(self.have["base"]) <= LIFE_MS

    def reaches(self, step: str) -> bool:
        """Whether a step has reached somebody, or still may."""
        ways = self.told.ways.values()
        return any(each["step"] == step and each["state"] in _REACHES for each in ways)

    @property
    def reached(self) -> set[str]:
        """Users whom it has reached, or still may."""
        return {user_of(name) for name, each in self.told.ways.items() if each["state"] in _REACHES}

    @property
    def nobody(self) -> bool:
        """Whether it has reached nobody so far."""
        return not self.reached

    def coming(self, now_ms: int) -> tuple[str, int] | None:
        """The step that comes next, and when; None: all were begun."""
        step = following(self.begun)
        if step is None:
            return None
        at_ms, number = due_ms(self.severity, step, int(self.have["base"])), STEPS.index(step)
        if number and not self.reaches(STEPS[number - 1]):
            at_ms = min(at_ms, now_ms)
        return step, at_ms

    def next_ms(self, now_ms: int) -> int | None:
        """When somebody must look at it again; None: never."""
        coming = self.coming(now_ms)
        looks = [self.told.next_ms, None if coming is None else coming[1]]
        if coming is None and self.nobody:
            looks.append(int(self.have["looked"]) + NOBODY_MS)
        at_ms = min((each for each in looks if each is not None), default=None)
        return None if at_ms is None else max(at_ms, now_ms)

    def said(self, step: str = "") -> Said:
        """What is told of it."""
        raised_ms = int(self.row.fields["raised_at"])
        return Said(self.id, self.id, self.severity, self.scope, raised_ms, step)


class Chains:
    """Goes on with chains."""

    def __init__(self, store: RecordStore, sender: Sender, digests: Digests) -> None:
        self._store, self._sender, self._digests = store, sender, digests

    def step(self, chain: Chain, now_ms: int) -> bool:
        """Do what comes next; False: nothing is to be done now."""
        if not chain.lives(now_ms):
            return False
        coming = chain.coming(now_ms)
        if coming is not None and coming[1] <= now_ms:
            return self._begin(chain, coming[0], now_ms)
        if bool(chain.row.fields.get("unreached")) != chain.nobody:
            return self._reached(chain, now_ms)
        if coming is None and chain.nobody and now_ms - int(chain.have["looked"]) >= NOBODY_MS:
            log.error("alert reaches nobody", extra={"alert": chain.id})
            chain.told.note({}, fields={"steps": {}, "looked": now_ms})
            return True
        ways = chain.told.ways
        return self._next_way(chain, now_ms) or any(
            self._tell(chain, each, now_ms) for each in ways
        )

    def stop(self, chain: Chain) -> None:
        """Nobody needs to be told any more; those who were see it go from their screens."""
        ways = chain.told.ways
        stopped = {
            name: {**each, "state": STOPPED}
            for name, each in ways.items()
            if each["state"] == WAITING
        }
        chain.told.note(stopped, fields={"over": True})
        shown = [name for name, each in ways.items() if each["state"] in (TAKEN, SENT)]
        self._sender.clear(chain.said(), shown)

    def _begin(self, chain: Chain, step: str, now_ms: int) -> bool:
        """Note whom a step tells, and when each of them may be told."""
        rule, (members, choices) = TABLE[chain.severity], self._sender.circle(chain.scope)
        asked = {user: choices[user] for user in people(members, step, chain.reached)}
        have, added, also = chain.told.ways, dict[str, State](), list[Write]()
        for user, several in self._sender.ways(chain.scope, asked).items():
            choice = asked[user]
            if several and rule.digest and choice.digest is not None:
                name, at_ms = f"{user}{AT_DIGEST}", next_clock(*choice.digest, now_ms)
                if name not in have:
                    added[name] = {**waiting(at_ms), "state": GATHERED, "step": step}
                    about = {"round": int(chain.have["round"]), "step": step}
                    also += self._digests.gather(chain.scope, chain.id, user, at_ms, about, now_ms)
                continue
            for name in (each for way in several[: None if rule.at_once else 1] for each in way):
                if name not in have or have[name]["state"] == GONE:
                    added[name] = self._wait(chain, choice, step, now_ms)
        shown = chain.row.fields.get("step")
        if shown is None or STEPS.index(step) > STEPS.index(shown):
            also.append(record.server_patch(chain.row, {"step": step, record.MODIFIED: now_ms}))
        else:
            also.append(verify(chain.row.key, chain.row.version))
        chain.told.note(added, *also, fields={"steps": {**chain.begun, step: now_ms}})
        return True

    @staticmethod
    def _wait(chain: Chain, choice: AlertChoice, step: str, now_ms: int) -> State:
        return {**waiting(awake_ms(chain.severity, choice.quiet, now_ms)), "step": step}

    def _reached(self, chain: Chain, now_ms: int) -> bool:
        """The row says whether anybody was reached."""
        said = {"unreached": chain.nobody or None, record.MODIFIED: now_ms}
        self._store.commit([record.server_patch(chain.row, said)])
        return True

    def _next_way(self, chain: Chain, now_ms: int) -> bool:
        """Take the next way of somebody whom none has reached; False: there is none."""
        ways = chain.told.ways
        lost = {
            user_of(name): str(each["step"])
            for name, each in ways.items()
            if user_of(name) not in chain.reached
        }
        if not lost:
            return False
        _, choices = self._sender.circle(chain.scope)
        asked = {user: choices[user] for user in lost if user in choices}
        added: dict[str, State] = {}
        for user, several in self._sender.ways(chain.scope, asked).items():
            for name in next((each for each in several if not set(each) & set(ways)), ()):
                added[name] = self._wait(chain, asked[user], lost[user], now_ms)
        if added:
            chain.told.note(added, verify(chain.row.key, chain.row.version))
        return bool(added)

    def _tell(self, chain: Chain, name: str, now_ms: int) -> bool:
        """Go on with one way; False: not now."""

        def ready(state: State) -> Ready | None:
            to = self._sender.reached(chain.scope, name)
            if to is None:
                return None
            quiet, at_ms = to.choice.quiet, now_ms
            if not punctual(chain.severity, quiet, int(state["due"]), now_ms):
                at_ms = awake_ms(chain.severity, quiet, now_ms)
            said = chain.said(str(state["step"]))
            # whoever acknowledges it at this moment must be heard
            still = verify(chain.row.key, chain.row.version)
            return Ready(at_ms, lambda: self._sender.send(said, name, to), (still,))

        return chain.told.tell(name, now_ms, ready)
