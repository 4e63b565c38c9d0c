"""When a reminder's job is due: what belongs in the commit that stores a row of `reminders`.

A living reminder that is not completed has one job (`remind~ID`), due at its next time. What of its times
was looked at stands in its row, so that each comes once:

    a new reminder,            its times since the phone wrote that, which may have been without a network:
    another time, zone, rule   at most `OLDEST_MS` before it arrived
    what the old rule owed     is told all the same: it was due before (`_owed`)
    another title              nothing changes
    completed                  no job, nothing is owed
    not completed any more,    its times from now on
    or brought back
    deleted                    the job finds that at its next time, and ends
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any, NamedTuple

from shared.jobs import job as jobs
from shared.products.hemoday.recurrence import Occurrence, Recurrence, of_reminder
from shared.records import record
from shared.records.collection import Turn
from shared.records.store import Write, delete

#: Kinds of jobs: one waits for a reminder's next time, one tells the phones of one time.
REMIND, TELL = "remind", "tell"

#: Up to which instant its times were looked at, Unix ms; of a rule that nobody has looked at since it was
#: written, when that arrived. None of these three is sent to phones.
CURSOR = "_cursor"

#: There while nobody has looked at a new rule: since when its times are due, Unix ms; 0: since the row was
#: last written.
SINCE = "_since"

#: Times of an earlier rule that are still to be told: name → Unix ms.
OWED = "_owed"

#: What `effects` must see of a stored row.
CONTEXT = (CURSOR, SINCE, OWED)

#: Columns that say when it is due.
SCHEDULE = ("remind_at", "time_zone", "frequency", "every", "ends_at", "completed")

_DAY_MS = 86_400_000

#: So long after its time a reminder is still sent; then it is marked as missed, ms.
OLDEST_MS = 12 * 3_600_000

#: How long what is known of a time is kept, ms: longer than a phone is usually away.
KEPT_MS = 60 * _DAY_MS

#: Longest that somebody may put a reminder off, ms.
LONGEST_SNOOZE_MS = 31 * _DAY_MS

#: Times of one reminder that are looked at together.
MOST = 20

#: First times beyond the year 9000 are none.
_LATEST_MS = 221_845_392_000_000


def remind_job(reminder_id: str) -> str:
    """The job that waits for a reminder's next time."""
    return f"{REMIND}~{reminder_id}"


def occurrence_id(reminder_id: str, name: str) -> str:
    """The id of what is known of one time of a reminder (`Occurrence.name`); no colon may be in it."""
    return f"{reminder_id}~{name.replace(':', '.')}"


def kept_until_ms(now_ms: int) -> int:
    """When what is known of a time goes: whole days, so that a morning crowds no place of an index."""
    return (now_ms + KEPT_MS) // _DAY_MS * _DAY_MS + _DAY_MS


def tell_job(reminder_id: str, name: str, scope_id: str, now_ms: int) -> Write:
    """The job that tells of one time, due now; repeating it has it look again."""
    job_id = f"{TELL}~{occurrence_id(reminder_id, name)}"
    made = jobs.create(job_id, TELL, "reminders", reminder_id, scope_id, now_ms)
    return made._replace(fields={**made.fields, "expires_at": kept_until_ms(now_ms)})


def rule_of(values: Mapping[str, Any]) -> Recurrence | None:
    """When a row is due; None: never."""
    first = values.get("remind_at")
    if values.get("completed") or first is None or not 0 <= first < _LATEST_MS:
        return None
    return of_reminder(values)


def looked_at_ms(row: Mapping[str, Any]) -> int:
    """Up to which instant the times of a stored row need not be looked at any more, Unix ms."""
    cursor, since = int(row[CURSOR]), row.get(SINCE)
    if since is None:
        return cursor
    return min(max(since or _written_ms(row), cursor - OLDEST_MS) - 1, cursor)


def _written_ms(row: Mapping[str, Any]) -> int:
    """When the phone made the last write of a row: its own clock says so where another wrote later ones."""
    times = (row.get(name) for name in (record.MODIFIED, record.RAW_MODIFIED))
    return min((int(each) for each in times if each is not None), default=int(row[CURSOR]))


def coming(occurrence: Occurrence | None) -> dict[str, Any]:
    """The next time as phones see it."""
    if occurrence is None:
        return {"next_at": None, "next_occurrence": None}
    return {"next_at": occurrence.at_ms, "next_occurrence": occurrence.name}


class Due(NamedTuple):
    """What a look at a reminder finds."""

    times: dict[str, int]  #: name of each time that came, and its instant, Unix ms
    fields: dict[str, Any]  #: the server's columns from now on
    next_ms: int | None  #: when to look again; None: never


def look(row: Mapping[str, Any], now_ms: int) -> Due | None:
    """What of a stored row is due; None: it never is any more. After a long pause, `MOST` at once."""
    rule, looked = rule_of(row), looked_at_ms(row)
    if rule is None:
        return None
    found = list(islice(rule.between(looked + 1, now_ms + 1), MOST))
    until = found[-1].at_ms if len(found) == MOST else max(looked, now_ms)
    due = {**{each.name: each.at_ms for each in found}, **(row.get(OWED) or {})}
    following = rule.next(until)
    fields = {CURSOR: until, SINCE: None, OWED: None, **coming(following)}
    if due:
        last = max(due, key=lambda name: due[name])
        fields |= {"last_due": due[last], "last_occurrence": last}
    return Due(due, fields, None if following is None else following.at_ms)


def scheduled(turn: Turn, *, back: bool = False) -> tuple[dict[str, Any], tuple[Write, ...]]:
    """The server's columns and the job of a reminder that is being stored; `back`: it was deleted."""
    before, now_ms = turn.before or {}, turn.now_ms
    known = before.get(CURSOR) is not None and not back
    if known and all(before.get(name) == turn.values.get(name) for name in SCHEDULE):
        if before.get(SINCE) != 0:
            return {}, ()
        # from now on the row says when it was written for another reason
        return {SINCE: _written_ms(before)}, ()
    rule, job_id = rule_of(turn.values), remind_job(turn.id)
    if rule is None:
        nothing = dict.fromkeys((SINCE, OWED))
        writes = [delete(jobs.key(job_id))]
        if last := before.get("last_occurrence"):  # which may be on a screen
            writes.append(tell_job(turn.id, str(last), turn.scope_id, now_ms))
        return {**nothing, CURSOR: now_ms, **coming(None)}, tuple(writes)
    owed = _owed(before, now_ms) if known else {}
    anew = back or (known and before.get("completed"))
    following = rule.next(now_ms - 1)
    since = {CURSOR: now_ms, SINCE: now_ms if anew else 0, OWED: owed or None}
    fields = {**since, **coming(following)}
    perhaps = None if anew else next(rule.between(now_ms - OLDEST_MS, now_ms), None)
    if owed or perhaps is not None:
        due_ms = now_ms
    elif following is not None:
        due_ms = following.at_ms
    else:
        return fields, (delete(jobs.key(job_id)),)
    table, scope = turn.table, turn.scope_id
    return fields, (jobs.create(job_id, REMIND, table, turn.id, scope, now_ms, due_ms=due_ms),)


def _owed(before: Mapping[str, Any], now_ms: int) -> dict[str, int]:
    """What a stored row has still to tell up to now."""
    rule, owed = rule_of(before), dict(before.get(OWED) or {})
    if rule is not None:
        times = islice(rule.between(looked_at_ms(before) + 1, now_ms + 1), MOST)
        owed = {**{each.name: each.at_ms for each in times}, **owed}
    return owed
