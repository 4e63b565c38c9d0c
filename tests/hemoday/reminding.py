"""A family whose reminders fire: time is moved by hand, phones write down what they are sent."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from shared.access.membership import Caller
from shared.errors import Fault
from shared.jobs.cascade import KIND as CASCADE
from shared.jobs.cascade import Cascade
from shared.jobs.job import RetryPolicy
from shared.jobs.runner import Runner, Task
from shared.notify.choice import QuietHours
from shared.products.hemoday import reminder_settings
from shared.products.hemoday.reminder_settings import ReminderSettings
from shared.products.hemoday.reminders import CLEAR, SHOW, Remind, Tell
from shared.products.hemoday.schedule import REMIND, TELL
from shared.records.store import Key, RecordStore, Write, put
from shared.support import ledger
from tests.hemoday.family import Family
from tests.notify.post import Killed, Post, PostMailer, PostNotifier

Json = dict[str, Any]

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000

#: How long a killed worker's job waits.
LEASE_MS = 600_000


def at(text: str, zone: str = "Europe/Berlin", fold: int = 0) -> int:
    """Unix ms of a wall time."""
    wall = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold)
    return round(wall.astimezone(UTC).timestamp() * 1000)


class Reminders(Post):
    """What families' phones are sent."""

    def shown(self, kind: str = SHOW) -> list[tuple[str, str]]:
        """Token and occurrence of each message, in order."""
        return [(m.token, m.data["occurrence"]) for _, m in self.sent if m.kind == kind]

    def cleared(self) -> list[tuple[str, str]]:
        return self.shown(CLEAR)


class Home(Family):
    """Team1 with phones, its jobs, and a clock."""

    def __init__(self, store: RecordStore, now: int) -> None:
        super().__init__(store)
        self.time = now
        self.now_ms = lambda: self.time
        self.post = Reminders(clock=self.now_ms)

    def runner(self, store: RecordStore | None = None) -> Runner:
        seen = store or self.store
        notifier, mailer = PostNotifier(self.post), PostMailer(self.post)
        tasks: dict[str, Task] = {
            CASCADE: Cascade(seen, self.catalog, self.now_ms),
            REMIND: Remind(seen),
            TELL: Tell(
                seen, self.catalog, lambda: notifier, lambda: mailer, self.now_ms, "https://x.y/c"
            ),
        }
        return Runner(
            seen, tasks, policy=RetryPolicy(3, 20.0, 60.0), lease_ms=LEASE_MS, clock=self.now_ms
        )

    def sweep(self, store: RecordStore | None = None) -> None:
        """What the sweeper does of it in a minute."""
        runner = self.runner(store)
        for kind in runner.kinds:
            runner.run_due(kind, 600)

    def until(self, moment: int, every: int = MINUTE) -> None:
        """Sweep each minute up to a moment."""
        while self.time < moment:
            self.time = min(self.time + every, moment)
            self.sweep()

    # --- people

    def reach(self, user: str, device: str = "phone", token: str | None = None) -> str:
        """Let a phone say where it can be woken; its token."""
        token = token or f"{user}-{device}"
        ledger.register(self.store, Caller(user, "", device), ["team1"], token, self.time)
        return token

    def choose(self, user: str, quiet: tuple[str, str, str] | None = None, **said: Any) -> None:
        """Save how somebody wants to be reminded."""
        hours = None if quiet is None else QuietHours(*quiet)
        wanted = ReminderSettings(quiet_hours=hours, **said)
        reminder_settings.save(self.store, Caller(user, "", "phone"), wanted)

    def account(self, user: str) -> None:
        self.store.commit([put(Key("accounts", user), {"email": f"{user}@example.org"}, None)])

    # --- what phones write

    def write(self, table: str, name: str, user: str = "anna", **columns: Any) -> None:
        """A phone of somebody writes a record, and has synced."""
        device = columns.pop("device", "phone")
        made = columns.pop("made", self.time)
        raw = {"id": name, "last_modified_at": made, **columns}
        there = self.get(table, name) is not None
        sets = {"created": [], "updated": [], "deleted": []}
        sets["updated" if there else "created"] = [raw]
        self._push(user, device, {table: sets})

    def delete(self, table: str, name: str, user: str = "anna") -> None:
        self._push(user, "phone", {table: {"created": [], "updated": [], "deleted": [name]}})

    def _push(self, user: str, device: str, changes: Json) -> None:
        phone = self.melon(user, device)
        answer = phone.push(changes, phone.pull()["timestamp"])
        assert not answer.get("rejected"), answer

    def remind(self, name: str = "r1", /, **columns: Any) -> None:
        """A daily reminder, unless it says otherwise."""
        wanted = {"title": "Deferasirox", "time_zone": "Europe/Berlin", "frequency": "daily"}
        self.write("reminders", name, **{**wanted, **columns})

    def act(self, name: str, action: str, occurrence: str, **columns: Any) -> None:
        """Somebody does a time of r1, or puts it off."""
        said = {"reminder_id": "r1", "occurrence": occurrence, "action": action}
        self.write("reminder_actions", name, **{**said, **columns})

    def row(self, name: str = "r1") -> Json:
        return self.stored("reminders", name)


def touches(writes: Sequence[Write], collection: str) -> bool:
    """Whether a commit writes there."""
    return any(write.key.collection == collection for write in writes)


__all__ = ["Fault", "Killed"]
