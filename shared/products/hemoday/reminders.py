"""Reminders fire: once each on every chosen phone, or the row says that one was missed.

    remind~ID        waits for the next time. In one commit: what became due gets a document
                     (`reminded/ID~NAME`) and a job that tells of it, row and job get their next time
    tell~ID~NAME     tells the phones of one time, and ends when each of them was told

The document of a time holds what became of each phone, and every step is a compare-and-set of it
(`shared.notify.telling`).

So a phone is sent a time once at most. `done` by anybody ends a time: what waits is dropped, and phones
that were told get a silent message that takes it off the screen. `snooze` does the same, and makes
it due again at `until`; the last word by the phones' corrected clocks counts. Both are rows of
`reminder_actions`, whose commit has the job look again; so they may come late, twice and in any order.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from shared.access import membership
from shared.access.rights import Action
from shared.accounts import people
from shared.errors import Contended, Fault
from shared.jobs.job import Job
from shared.jobs.runner import Again, Finish, Task
from shared.notify.mail import Mailer
from shared.notify.notice import TOKEN, Message, Notifier, phones
from shared.notify.telling import (
    GONE,
    MAIL,
    MISSED,
    SENT,
    TAKEN,
    Ready,
    Telling,
    clear,
    mail,
    push,
    user_of,
    waiting,
)
from shared.products.hemoday import reminder_settings, reminder_words, schedule
from shared.products.hemoday.reminder_settings import Choice
from shared.products.hemoday.schedule import (
    CURSOR,
    LONGEST_SNOOZE_MS,
    OLDEST_MS,
    SINCE,
    TELL,
)
from shared.products.hemoday.tables import ACTIONS, REMINDERS
from shared.records import record
from shared.records.collection import Catalog
from shared.records.store import (
    ABSENT,
    Document,
    Key,
    Query,
    RecordStore,
    StoredCollection,
    Write,
    patch,
    put,
    remove_found,
    verify,
)
from shared.support import ledger

log = logging.getLogger(__name__)

#: What is known of one time of a reminder.
COLLECTION = "reminded"

STORED = (
    StoredCollection(COLLECTION, (("expires_at",),)),
    StoredCollection(ACTIONS, (("reminder_id", "occurrence"),)),
)

#: Kinds of messages for the app: show a time, take it off the screen.
SHOW, CLEAR = "reminder", "reminder_clear"

#: Why a time ended: everybody was told, somebody did it, the reminder was completed or deleted.
_TOLD, _DONE, _STOPPED = "told", "done", "stopped"

#: Later than this a message says that it is late, ms.
_LATE_MS = 10 * 60_000

#: When a reminder is looked at again whose job failed in all its attempts, ms.
_GIVEN_UP_MS = 3_600_000

#: Missed times that a row names, and documents that are removed in a round.
_MOST_MISSED, _MOST_REMOVED = 20, 400

#: How long one attempt goes on telling, seconds; well below a lease.
_BUDGET_SECONDS = 40.0

#: Reminders that one sweeper tells of at the same time: each mostly waits for the store and for FCM.
_SIDE_BY_SIDE = 8


class Remind(Task):
    """The task of kind `remind`."""

    longest_seconds = 10.0
    side_by_side = _SIDE_BY_SIDE

    def __init__(self, store: RecordStore) -> None:
        self._store = store

    def work(self, job: Job) -> Finish:
        """Nothing is done outside of the commit."""
        return lambda now_ms: self._finish(job, now_ms)

    def gave_up(self, job: Job, fault: Fault) -> Finish:
        """A reminder is never given up: again in an hour, and operators see it in the log."""
        log.error("reminder not planned", extra={"job": job.id, "fault": fault.code})
        return lambda now_ms: Again(now_ms + _GIVEN_UP_MS)

    def _finish(self, job: Job, now_ms: int) -> list[Write] | Again | None:
        key = Key(REMINDERS, job.subject_id)
        row = self._store.read([key]).documents.get(key)
        if row is None or not _lives(row) or row.fields.get(CURSOR) is None:
            return None
        have = row.fields
        due, scope = schedule.look(have, now_ms), str(have[record.SCOPE])
        if due is None or not membership.has_members(self._store, scope):
            return []
        writes = self._told(job.subject_id, scope, due.times, now_ms)
        if due.times or have.get(SINCE) is not None:
            writes.append(record.server_patch(row, due.fields))
        else:
            writes.append(verify(row.key, row.version))
        return writes if due.next_ms is None else Again(due.next_ms, writes)

    def _told(self, name: str, scope: str, due: Mapping[str, int], now_ms: int) -> list[Write]:
        """A document and a job for each time that has none: a time comes once, whatever edits do."""
        keys = {each: Key(COLLECTION, schedule.occurrence_id(name, each)) for each in due}
        there = self._store.read(list(keys.values()), ("at",)).documents if keys else {}
        writes: list[Write] = []
        for each, key in keys.items():
            if key in there:
                continue
            fields = {
                "reminder_id": name,
                "name": each,
                "at": due[each],
                "due": due[each],
                "round": "",
                record.SCOPE: scope,
                "expires_at": schedule.kept_until_ms(now_ms),
            }
            writes += [
                put(key, fields, ABSENT),
                schedule.tell_job(name, each, scope, now_ms),
            ]
        return writes


@dataclass(frozen=True, slots=True)
class _View:
    """One time of a reminder as it was read."""

    row: Document
    time: Document
    done: Document | None
    snooze: Document | None  #: the last word of those that put it off

    telling: Telling

    @property
    def told(self) -> dict[str, Any] | None:
        """Phones and mails, each with `state`, `at` and `due`; None: this round has not begun."""
        return None if self.time.fields.get("told") is None else self.telling.ways

    @property
    def ended(self) -> str | None:
        ended = self.time.fields.get("ended")
        return None if ended is None else str(ended)

    @property
    def over(self) -> bool:
        """Whether it ended for good."""
        return self.ended in (_DONE, _STOPPED)

    @property
    def put_off(self) -> bool:
        """Whether it was put off, and this is not known of it yet."""
        have = self.time.fields
        said = None if self.snooze is None else _spoken(self.snooze)
        return said is not None and said > (int(have.get("round_at") or 0), str(have["round"]))

    @property
    def tag(self) -> str:
        """What a phone calls it: it shows one message of a tag."""
        return self.time.key.id


class Tell(Task):
    """The task of kind `tell`. `link` is where a mail leads; `mailer` gives None where no mail is sent."""

    longest_seconds = 60.0
    side_by_side = _SIDE_BY_SIDE

    def __init__(
        self,
        store: RecordStore,
        catalog: Catalog,
        notifier: Callable[[], Notifier],
        mailer: Callable[[], Mailer | None],
        clock: Callable[[], int],
        link: str = "",
    ) -> None:
        self._store, self._catalog, self._clock, self._link = store, catalog, clock, link
        self._notifier, self._mailer = notifier, mailer

    def work(self, job: Job) -> Finish:
        """Tell whom it is time to tell, one after the other."""
        end = time.monotonic() + _BUDGET_SECONDS
        while time.monotonic() < end:
            view = self._view(job)
            try:
                if view is None or not self._step(view):
                    break
            except Contended:
                continue  # somebody else was faster: look again
        return lambda now_ms: self._finish(job, now_ms)

    def gave_up(self, job: Job, fault: Fault) -> Finish:
        """Whom nobody could tell in all attempts is named as missed; the job itself stays parked."""

        def finish(_now_ms: int) -> list[Write]:
            view = self._view(job)
            if view is None or view.ended is not None:
                return []
            told = {**view.telling.ways, **view.telling.given_up()}
            over = {"told": told, "ended": _TOLD}
            time = view.time._replace(fields={**view.time.fields, **over})
            ended = replace(view, time=time, telling=replace(view.telling, document=time))
            return [
                patch(time.key, over, time.version),
                *self._missed(ended, at_all=view.told is not None),
            ]

        return finish

    def _view(self, job: Job) -> _View | None:
        """None: it is not due yet, or forgotten."""
        own = Key(COLLECTION, job.id.removeprefix(f"{TELL}~"))
        row = Key(REMINDERS, job.subject_id)
        documents = self._store.read([row, own]).documents
        if row not in documents or own not in documents:
            return None
        name = documents[own].fields["name"]
        query = Query(
            ACTIONS,
            where=(("reminder_id", "==", job.subject_id), ("occurrence", "==", name)),
        )
        said = [each for each in self._store.query(query) if _counts(each)]
        done = [each for each in said if each.fields["action"] == "done"]
        snoozes = [each for each in said if each.fields["action"] == "snooze"]
        return _View(
            documents[row],
            documents[own],
            min(done, key=_spoken, default=None),
            max(snoozes, key=_spoken, default=None),
            Telling(self._store, documents[own], OLDEST_MS),
        )

    # --- one step: a commit, and what is sent after it

    def _step(self, view: _View) -> bool:
        """Do what comes next; False: nothing is to be done now. Raises `Contended`."""
        if view.over:
            return False
        if view.done is not None or not _lives(view.row):
            self._silence(view, view.done, {"ended": _STOPPED if view.done is None else _DONE})
            return False
        if view.put_off and view.snooze is not None:
            at_ms, name = _spoken(view.snooze)
            anew = {"round": name, "round_at": at_ms, "due": view.snooze.fields["until"]}
            self._silence(view, view.snooze, {**anew, "told": None, "ended": None})
            return True
        now_ms, told = self._clock(), view.told
        if view.ended is not None:
            return False
        if told is None:
            return self._begin(view, now_ms)
        return any(self._tell(view, name, now_ms) for name in told)

    def _silence(self, view: _View, by: Document | None, fields: Mapping[str, Any]) -> None:
        """Note that a time needs nobody now, and take it off the screens of others than who said so."""
        self._store.commit([patch(view.time.key, fields, view.time.version)])
        shown = [
            name
            for name, state in (view.told or {}).items()
            if state["state"] in (TAKEN, SENT) and not name.endswith(MAIL)
        ]
        own = by and f"{by.fields.get(record.AUTHOR)}~{by.fields.get(record.DEVICE)}"
        keys = [Key(ledger.COLLECTION, name) for name in shown if name != own]
        found = self._store.read(keys).documents.values() if keys else ()
        tokens = [str(each.fields[TOKEN]) for each in found if each.fields.get(TOKEN)]
        clear(self._notifier(), (self._message(view, token, CLEAR) for token in tokens))

    def _begin(self, view: _View, now_ms: int) -> bool:
        """Note whom to tell, and when: at its time, or at the end of their quiet hours."""
        due_ms = int(view.time.fields["due"])
        if now_ms < due_ms:
            return False
        told: dict[str, Any] = {}
        for name, choice in self._chosen(view.row).items():
            at_ms = due_ms if self._awake(view, name) else choice.quiet_until(due_ms)
            told[name] = waiting(at_ms)
        self._store.commit([patch(view.time.key, {"told": told}, view.time.version)])
        return True

    def _chosen(self, row: Document) -> dict[str, Choice]:
        """Phones that can be reached, and mails, of those who are to be reminded."""
        scope = str(row.fields[record.SCOPE])
        readers = [
            user
            for user, role, _ in membership.everybody(self._store, scope)
            if self._catalog.may(role, Action.READ)
        ]
        # of people who have all left the family nobody would be reminded: then everybody is
        named = set(row.fields.get("who") or ()) & set(readers) or set(readers)
        read = self._store.read([reminder_settings.key(user) for user in sorted(named)]).documents
        choices = {user: Choice.of(read.get(reminder_settings.key(user))) for user in sorted(named)}
        found: dict[str, Choice] = {}
        for device, _ in phones(self._store, self._catalog, scope):
            user = str(device.fields["user_id"])
            if user in choices and choices[user].chooses(device.key.id.removeprefix(f"{user}~")):
                found[device.key.id] = choices[user]
        if self._mailer() is not None:
            found |= {f"{user}{MAIL}": each for user, each in choices.items() if each.mail}
        return found

    def _awake(self, view: _View, name: str) -> bool:
        """Whether it is for the one who put it off until now: their quiet hours are no reason then."""
        by = view.snooze if view.time.fields["round"] else None
        return by is not None and user_of(name) == by.fields.get(record.AUTHOR)

    def _tell(self, view: _View, name: str, now_ms: int) -> bool:
        """Go on with one phone; False: not now."""

        def ready(state: Mapping[str, Any]) -> Ready | None:
            device, choice = self._reachable(view, name)
            if choice is None:
                return None
            due_ms, soon = state["due"], now_ms - state["due"] <= _LATE_MS
            # due just before quiet hours, it is sent though nobody looked until just after they began
            as_due = self._awake(view, name) or (soon and choice.quiet_until(due_ms) == due_ms)
            at_ms = now_ms if as_due else choice.quiet_until(now_ms)
            late_ms = now_ms - int(view.time.fields["due"])
            # whoever completes or deletes the reminder at this moment must be heard
            still = verify(view.row.key, view.row.version)
            return Ready(at_ms, lambda: self._send(view, name, device, choice, late_ms), (still,))

        return view.telling.tell(name, now_ms, ready)

    def _send(
        self, view: _View, name: str, device: Document | None, choice: Choice, late_ms: int
    ) -> str:
        if name.endswith(MAIL):
            return self._mail(user_of(name), choice, late_ms)
        return self._push(view, device, choice, late_ms)

    def _reachable(self, view: _View, name: str) -> tuple[Document | None, Choice | None]:
        """The phone, and its user's choice now; no choice: it is not to be told any more."""
        user, scope = user_of(name), str(view.row.fields[record.SCOPE])
        own, chosen = membership.key(user), reminder_settings.key(user)
        places = [] if name.endswith(MAIL) else [Key(ledger.COLLECTION, name)]
        documents = self._store.read([own, chosen, *places]).documents
        role = membership.role_of(user, documents.get(own), scope)
        choice = Choice.of(documents.get(chosen))
        who = set(view.row.fields.get("who") or ())
        others = who & {user_of(each) for each in view.told or ()}
        if not self._catalog.may(role, Action.READ) or (others and user not in who):
            return None, None
        if not places:
            return None, choice if choice.mail and self._mailer() is not None else None
        device = documents.get(places[0])
        wanted = choice.chooses(name.removeprefix(f"{user}~"))
        if device is None or not device.fields.get(TOKEN) or not wanted:
            return None, None
        return device, choice

    def _message(
        self, view: _View, token: str, kind: str, late_ms: int = 0, language: str = ""
    ) -> Message:
        have, late = view.time.fields, late_ms > _LATE_MS
        data = {
            "reminder_id": view.row.key.id,
            "occurrence": str(have["name"]),
            "at": str(have["at"]),
            "tag": view.tag,
            **({"late": str(late_ms // 60_000)} if late else {}),
        }
        words = reminder_words.alert(language, late=late) if kind == SHOW else None
        return Message(token, view.row.key.id, kind == SHOW, words, kind, view.tag, data)

    def _push(self, view: _View, device: Document | None, choice: Choice, late_ms: int) -> str:
        if device is None:
            return GONE
        message = self._message(view, str(device.fields[TOKEN]), SHOW, late_ms, choice.language)
        return push(self._store, self._notifier(), device, message)

    def _mail(self, user: str, choice: Choice, late_ms: int) -> str:
        mailer, key = self._mailer(), people.account_key(user)
        account = self._store.read([key], ("email",)).documents.get(key)
        email = None if account is None else account.fields.get("email")
        if mailer is None or email is None:
            return GONE
        subject, text = reminder_words.mail(choice.language, self._link, late=late_ms > _LATE_MS)
        return mail(mailer, str(email), subject, text)

    # --- the end of an attempt

    def _finish(self, job: Job, now_ms: int) -> list[Write] | Again | None:
        """When to look again, or the end: the row says what was missed."""
        view = self._view(job)
        if view is None:
            return None
        said = view.done is not None or view.put_off or not _lives(view.row)
        if said and not view.over:
            return Again(now_ms)  # it came just now, or there was no time left for it
        if view.ended is None:
            if view.told is None:
                return Again(int(view.time.fields["due"]), self._named(view, False))
            if view.telling.next_ms is not None:
                return Again(max(view.telling.next_ms, now_ms), self._named(view, False))
        writes = self._missed(view)
        if view.ended is None:
            writes.append(patch(view.time.key, {"ended": _TOLD}, view.time.version))
        return writes

    def _missed(self, view: _View, *, at_all: bool = True) -> list[Write]:
        """The row names a time of which somebody was not told, until somebody did it or put it off.

        Not `at_all`: nobody even looked whom to tell.
        """
        states = [each["state"] for each in (view.told or {}).values()]
        missed = MISSED in states or (bool(states) and SENT not in states) or not at_all
        return self._named(view, missed and not view.over)

    def _named(self, view: _View, missed: bool) -> list[Write]:
        name, listed = str(view.time.fields["name"]), list(view.row.fields.get("missed") or ())
        wanted = [each for each in listed if each != name]
        if missed:
            wanted = sorted([*wanted, name])[-_MOST_MISSED:]
        if wanted == listed or view.row.fields.get(record.DELETED) is not None:
            return []
        return [record.server_patch(view.row, {"missed": wanted or None})]


def remove_expired(store: RecordStore, now_ms: int) -> int:
    """Remove what is known of times long ago; how many."""
    query = Query(
        COLLECTION,
        where=(("expires_at", "<=", now_ms),),
        order=(("expires_at", "asc"),),
        limit=_MOST_REMOVED,
        fields=("expires_at",),
    )
    return remove_found(store, query)


def _lives(row: Document) -> bool:
    return row.fields.get(record.DELETED) is None and not row.fields.get("completed")


def _spoken(action: Document) -> tuple[int, str]:
    """When an action was made, by the phone's corrected clock; the id breaks ties."""
    return int(action.fields.get(record.MODIFIED) or 0), action.key.id


def _counts(action: Document) -> bool:
    """Whether a row of `reminder_actions` does anything."""
    have = action.fields
    if have.get(record.DELETED) is not None:
        return False
    if have.get("action") == "snooze":
        until = have.get("until")
        return until is not None and until <= _spoken(action)[0] + LONGEST_SNOOZE_MS
    return have.get("action") == "done"
