"""A circle that is told of alerts: time is moved by hand, what is sent is written down."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime
from ipaddress import ip_network
from typing import Any
from zoneinfo import ZoneInfo

from shared.access.membership import Caller
from shared.jobs.job import RetryPolicy
from shared.jobs.runner import Runner
from shared.notify.choice import QuietHours
from shared.products.medmind import alert_settings, alerts
from shared.products.medmind.alert_sending import CLEAR, SHOW
from shared.products.medmind.alert_settings import AlertSettings, DigestHour, WebhookWay
from shared.products.medmind.alert_tables import ALERT, ALERTS, DELIVERIES, alert_id
from shared.products.medmind.tables import CATALOG
from shared.products.product import Parts
from shared.records.store import Key, RecordStore, put
from shared.settings import Settings
from shared.support import ledger
from tests.notify.post import Post, PostMailer, PostNotifier
from tests.sync.clinic import Clinic
from tests.sync.test_watermelon import Melon

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
LEASE_MS = 600_000

#: Who is in a circle, and as what.
FAMILY = (
    ("anna", "caregiver"),
    ("boris", "caregiver"),
    ("rao", "doctor"),
    ("kamala", "patient"),
)


def at(text: str, zone: str = "Europe/Berlin") -> int:
    """Unix ms of a wall time."""
    wall = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))
    return round(wall.astimezone(UTC).timestamp() * 1000)


def parts_on(store: RecordStore, post: Post, *, mails: bool = True) -> Parts:
    """What alerts need of a deployment."""

    def nothing(*_: object) -> Any:
        raise AssertionError("it is not asked for")

    known: dict[str, Any] = {
        "settings": Settings(public_url="https://circle.example"),
        "clock_ms": post.clock,
        "store": lambda: store,
        "catalog": lambda: CATALOG,
        "notifier": lambda: PostNotifier(post),
        "mailer": lambda: PostMailer(post) if mails else None,
        "poster": lambda: post.post,
        "hooks_secret": lambda: b"a deployment's secret",
    }
    return Parts(**{each.name: known.get(each.name, nothing) for each in fields(Parts)})


class Circle(Clinic):
    """Team1, its phones, the job of alerts, and a clock."""

    catalog = CATALOG
    member = "caregiver"

    def __init__(self, store: RecordStore, now: int, *, family: bool = True) -> None:
        super().__init__(store)
        self.time = now
        self.now_ms = lambda: self.time
        self.post = Post(clock=self.now_ms)
        self.mails = False
        for user, role in FAMILY if family else ():
            self.come(user, role)

    def come(self, user: str, role: str, team: str = "team1", *phones: str) -> None:
        """Somebody joins, with phones."""
        self.join(user, team, role)
        for phone in phones or ("phone",):
            caller = Caller(user, "", phone)
            ledger.register(self.store, caller, [team], f"{user}-{phone}", self.time)

    def account(self, user: str) -> None:
        self.store.commit([put(Key("accounts", user), {"email": f"{user}@example.org"}, None)])

    def choose(
        self,
        user: str,
        quiet: tuple[str, str, str] | None = None,
        digest: tuple[str, str] | None = None,
        hook: str = "",
        networks: str = "",
        **said: Any,
    ) -> alert_settings.OwnHook | None:
        """Save how somebody wants to be told."""
        wanted = AlertSettings(
            quiet_hours=None if quiet is None else QuietHours(*quiet),
            digest=None if digest is None else DigestHour(*digest),
            webhook=WebhookWay(hook, "+91 1") if hook else None,
            **said,
        )
        allowed = tuple(ip_network(each) for each in networks.split() if each)
        return alert_settings.save(self.store, Caller(user, "", "phone"), wanted, allowed)

    def runner(self, store: RecordStore | None = None) -> Runner:
        seen = store or self.store
        parts = parts_on(seen, self.post, mails=self.mails)
        tasks = {ALERT: alerts.Alerting(seen, parts)}
        policy = RetryPolicy(3, 20.0, 60.0)
        return Runner(seen, tasks, policy=policy, lease_ms=LEASE_MS, clock=self.now_ms)

    def sweep(self, store: RecordStore | None = None) -> None:
        """What the sweeper does of it in a minute."""
        self.runner(store).run_due(ALERT, 600)

    def until(self, moment: int, every: int = MINUTE) -> None:
        """Sweep now, and each minute up to a moment."""
        self.sweep()
        while self.time < moment:
            self.time = min(self.time + every, moment)
            self.sweep()

    # --- what happens

    def raises(
        self,
        severity: str = "urgent",
        kind: str = "missed_dose",
        subject: str = "d1",
        team: str = "team1",
        at_ms: int | None = None,
    ) -> str:
        when = self.time if at_ms is None else at_ms
        self.store.commit(alerts.raised(kind, subject, team, when, severity))
        return alert_id(kind, subject, team)

    def ends(self, kind: str = "missed_dose", subject: str = "d1") -> None:
        self.store.commit(alerts.ended(kind, subject, "team1", self.time))

    def act(
        self, user: str, name: str, alert: str, made: int | None = None, **more: Any
    ) -> list[str]:
        """A phone acknowledges, and has synced; ids that were refused."""
        when = self.time if made is None else made
        phone = Melon(self, user, f"{user}-phone")
        row = {"id": name, "alert_id": alert, "at": when, "last_modified_at": when, **more}
        sets = {"alert_actions": {"created": [row], "updated": [], "deleted": []}}
        said = phone.push(sets, phone.pull()["timestamp"])
        return list((said.get("experimentalRejectedIds") or {}).get("alert_actions") or ())

    # --- what came of it

    def row(self, alert: str) -> dict[str, Any]:
        found = self.get(ALERTS, alert)
        return {} if found is None else dict(found.fields)

    def told(self, since: int = 0) -> list[tuple[int, str]]:
        """Minutes after a moment, and token, of each message shown, in order."""
        return [((t - since) // MINUTE, m.token) for t, m in self.post.sent if m.kind == SHOW]

    def cleared(self) -> list[str]:
        return sorted(m.token for _, m in self.post.sent if m.kind == CLEAR)

    def deliveries(self, alert: str) -> dict[tuple[str, str], str]:
        """States by user and way."""
        return {
            (each.fields["user_id"], each.fields["way"]): each.fields["state"]
            for each in self.all(DELIVERIES)
            if each.fields["alert_id"] == alert
        }
