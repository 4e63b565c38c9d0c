"""No edit is ever lost: fleets of phones of both dialects behind a bad network, and a server that dies.

`fleet` says what is played and what is checked. Here one seed on each store for every run, more
for `make proof`, long campaigns for `make soak`, and planted faults that the checks must find.
"""

from __future__ import annotations

import http.server
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.access import membership
from shared.records.store import Key as StoreKey
from shared.records.store import patch
from tests import stores
from tests.dermadetect.fleet import checks, proxy
from tests.dermadetect.fleet.campaign import PACE, Campaign, Plan, Report, run
from tests.dermadetect.fleet.checks import Clash, Evidence
from tests.dermadetect.fleet.ledger import Key, Ledger, Shade
from tests.dermadetect.fleet.phones import (
    SPOILT,
    BatchPhone,
    Line,
    NoAnswer,
    Phone,
    WatermelonPhone,
)
from tests.dermadetect.fleet.proxy import FAULTS, Fate, Proxy
from tests.dermadetect.fleet.server import Server, serving

#: Steps of each phone with the one seed of every run.
SHORT = {"sqlite": 30, "firestore": 15}

#: Seeds of `make proof`. Among them are workers that die at a point, and a power cut.
PROOF = {"sqlite": (range(1, 7), 40), "firestore": (range(1, 3), 30)}

#: Seeds of the long campaigns, beginning anywhere.
SOAK = {"sqlite": 300, "firestore": 30}

Serve = Callable[[str], Server]

RECORD = Key("patients", "r")


@pytest.fixture(scope="module")
def serve(request: pytest.FixtureRequest) -> Iterator[Serve]:
    """Back ends by kind of store, each started once."""
    running: dict[str, tuple[Server, object]] = {}

    def start(kind: str) -> Server:
        if kind == "firestore":
            request.getfixturevalue("firestore_emulator")
        if kind not in running:
            context = serving(kind)
            running[kind] = (context.__enter__(), context)
            request.addfinalizer(lambda: context.__exit__(None, None, None))
        return running[kind][0]

    return start  # type: ignore[return-value]


def play(server: Server, plans: list[Plan]) -> list[Report]:
    """The plans one after the other; fails with the stories of what was wrong."""
    line = Proxy(server.address, pace=PACE)
    try:
        reports = [run(server, plan, line) for plan in plans]
    finally:
        line.close()
    for report in reports:
        print(report.line())
    wrong = [report.text() for report in reports if report.violations]
    assert not wrong, "\n".join(wrong)
    return reports


# --- campaigns


@pytest.mark.parametrize("kind", stores.BOTH)
def test_a_short_campaign_loses_no_edit(serve: Serve, kind: str) -> None:
    # the longer campaign may play on the same server: its seeds begin at 1
    [report] = play(serve(kind), [Plan(0, 3, SHORT[kind])])
    assert report.counts["acknowledged"] > 0


@pytest.mark.proof
@pytest.mark.parametrize("kind", stores.BOTH)
def test_no_edit_is_lost_whatever_the_network_and_the_server_do(serve: Serve, kind: str) -> None:
    seeds, ops = PROOF[kind]
    plans = [Plan(seed, 3, ops) for seed in seeds]
    reports = play(serve(kind), plans)
    # it was work enough
    assert sum(report.counts["acknowledged"] for report in reports) > 20 * len(reports)
    died = {name: sum(r.counts[name] for r in reports) for name in ("killed workers", "power cuts")}
    assert sum(died.values()) > 0
    if kind == "sqlite":
        assert died["power cuts"] > 0
        assert {fault for report in reports for fault in report.faults} == set(FAULTS)


@pytest.mark.proof
def test_memberships_that_come_and_go_lose_nothing_either(serve: Serve) -> None:
    plans = [Plan(seed, 4, 30, transfers=True) for seed in (101, 102)]
    play(serve("sqlite"), plans)


@pytest.mark.soak
@pytest.mark.parametrize("transfers", [False, True], ids=["settled", "transfers"])
@pytest.mark.parametrize("kind", stores.BOTH)
def test_long_campaigns_lose_nothing(serve: Serve, kind: str, transfers: bool) -> None:
    first = 1000 + secrets.randbelow(10**6)
    seeds = range(first, first + SOAK[kind])
    play(serve(kind), [Plan(seed, 3, 60, transfers=transfers) for seed in seeds])


# --- single stories


class Ward:
    """A few phones of one team, and a network that does what a test says."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.line = Proxy(server.address, self._fate)
        self.name = secrets.token_hex(4)
        self.team = f"t{self.name}"
        self.ledger = Ledger(self.name)
        self.phones: list[Phone] = []
        self._fates: dict[tuple[str, str], Fate] = {}

    def phone(self, kind: type[Phone], **more: Any) -> Phone:
        name = f"p{len(self.phones)}"
        user = f"u{self.name}-{name}"
        membership.grant(self.server.store, user, self.team, "chw", now())
        phone = kind(
            name,
            user,
            self.server.token(user),
            Line("127.0.0.1", self.line.port),
            self.ledger,
            device=user,
            clock=now,
            scopes=lambda: {self.team},
            **more,
        )
        self.phones.append(phone)
        return phone

    def next(self, phone: Phone, what: str, fate: Fate) -> None:
        """What happens to the next request of that kind."""
        self._fates[f"{self.name}.{phone.name}", what] = fate

    def _fate(self, phone: str, _number: int, what: str) -> Fate:
        return self._fates.pop((phone, what), Fate())

    def patient(self, number: int = 1) -> Key:
        return Key("patients", f"{self.name}-{number}")

    def audit(self) -> list[str]:
        """What is wrong at the end."""
        self.line.release()
        for _ in range(3):
            for phone in self.phones:
                assert phone.sync()
        members = {phone.user: {self.team} for phone in self.phones}
        checks.audit(self.phones, self.ledger, self.server, members)
        return [text for _, text in self.ledger.violations]


def now() -> int:
    return time.time_ns() // 1_000_000


def later() -> int:
    """The clock's next millisecond: two edits of one phone are never at once."""
    time.sleep(0.002)
    return now()


@pytest.fixture
def ward(serve: Serve) -> Iterator[Ward]:
    made = Ward(serve("sqlite"))
    yield made
    made.line.close()


@pytest.mark.parametrize("kind", [BatchPhone, WatermelonPhone])
@pytest.mark.parametrize("fault", ["lose_request", "lose_answer", "repeat", "cut_answer", "refuse"])
def test_an_edit_survives_any_single_fault(ward: Ward, kind: type[Phone], fault: str) -> None:
    phone, other = ward.phone(kind), ward.phone(BatchPhone)
    phone.sync()
    phone.edit(ward.patient(), ["demographics"], later())
    what = "POST /api/sync" if kind is BatchPhone else "POST /api/v1/sync"
    ward.next(phone, what, Fate(fault))
    phone.sync()
    phone.edit(ward.patient(), ["demographics"], later())
    assert ward.audit() == []
    assert checks.content(phone.rows()) == checks.content(other.rows())
    assert len(ward.ledger.marks) == 2


@pytest.mark.parametrize("fault", ["hold", "late"])
def test_a_late_request_of_a_batch_phone_does_not_undo_a_later_edit(ward: Ward, fault: str) -> None:
    phone = ward.phone(BatchPhone)
    phone.sync()
    late_request(ward, phone, "POST /api/sync", fault)
    assert ward.audit() == []


@pytest.mark.parametrize("fault", ["hold", "late"])
def test_a_late_push_does_not_undo_a_later_edit(ward: Ward, fault: str) -> None:
    phone = ward.phone(WatermelonPhone)
    phone.sync()
    late_request(ward, phone, "POST /api/v1/sync", fault)
    assert ward.audit() == []


def late_request(ward: Ward, phone: Phone, what: str, fault: str) -> None:
    """The phone's first edit is on its way while it sends a second one, which is acknowledged."""
    if fault == "late":  # the first attempt's answer is lost, the second attempt arrives twice
        phone.edit(ward.patient(), ["demographics"], later())
        ward.next(phone, what, Fate("lose_answer"))
        phone.sync()
    else:
        phone.edit(ward.patient(), ["demographics"], later())
    ward.next(phone, what, Fate(fault, later=100))
    phone.sync()
    phone.edit(ward.patient(), ["demographics"], later())
    while phone.unsent():
        assert phone.sync()


#: Phones that keep the guide's rules of applying an answer, and phones that break two of them.
CAREFUL = pytest.mark.parametrize("careful", [True, False])


@CAREFUL
def test_a_row_that_a_phone_passed_over_is_not_overwritten_without_a_trace(
    ward: Ward, careful: bool
) -> None:
    # given a record on two phones, and another's edit that arrives while the user edits it too
    one, two = ward.phone(BatchPhone, careful=careful), ward.phone(BatchPhone)
    one.edit(ward.patient(), ["demographics"], later())
    assert one.sync()
    assert two.sync()
    two.edit(ward.patient(), ["demographics"], later())
    assert two.sync()
    assert one.sync(lambda: one.edit(ward.patient(), ["demographics"], later()))
    # when the edit that passed the row over wins
    # then the other's value stands in the conflict log, unless the phone moved its cursor all the same
    assert (ward.audit() == []) is careful


@CAREFUL
def test_a_first_sync_that_broke_off_leaves_no_deleted_row_behind(
    ward: Ward, careful: bool
) -> None:
    # given a first sync that breaks off after its first page
    one = ward.phone(BatchPhone)
    for number in range(3):
        one.edit(ward.patient(number), ["demographics"], later())
    assert one.sync()
    two = ward.phone(BatchPhone, careful=careful, limit=1)
    ward.line.decide = lambda phone, number, _: Fate(
        "lose_request" if phone.endswith(two.name) and number == 2 else ""
    )
    assert not two.sync()
    # when what it brought is deleted before the next one
    (held,) = two.live("patients")
    one.delete(Key("patients", held), later())
    assert one.sync()
    # then it leaves the phone, if the phone drops what a complete first sync did not bring
    assert (ward.audit() == []) is careful


@pytest.mark.parametrize("kind", stores.BOTH)
def test_a_phone_that_loses_its_team_drops_what_is_edited_meanwhile(
    serve: Serve, kind: str
) -> None:
    # given a phone that has lost its team, and fetches what to drop page by page
    ward = Ward(serve(kind))
    one, two = ward.phone(BatchPhone), ward.phone(BatchPhone, limit=1)
    for number in range(3):
        one.edit(ward.patient(number), ["demographics"], later())
    assert one.sync()
    assert two.sync()
    membership.revoke(ward.server.store, two.user, ward.team, now())
    two.scopes = set

    # when a colleague edits the records between two pages
    def edited_between(phone: str, number: int, _what: str) -> Fate:
        if phone.endswith(two.name) and not edited:
            edited.append(number)
        elif phone.endswith(two.name) and len(edited) == 1:
            edited.append(number)
            for held in range(3):
                one.edit(ward.patient(held), ["demographics"], later())
            one.line = Line(*ward.server.address)
            assert one.sync()
        return Fate()

    edited: list[int] = []
    ward.line.decide = edited_between
    for _ in range(3):
        assert two.sync()
    ward.line.close()
    # then they leave the phone all the same
    assert two.live("patients") == []


@pytest.mark.parametrize("kind", [BatchPhone, WatermelonPhone])
def test_a_phone_that_was_set_back_loses_nothing_of_its_other_life(
    ward: Ward, kind: type[Phone]
) -> None:
    # given a backup with an unsent edit, and a life after it
    phone, other = ward.phone(kind), ward.phone(BatchPhone)
    phone.edit(ward.patient(), ["demographics"], later())
    assert phone.sync()
    assert other.sync()
    phone.edit(ward.patient(), ["demographics"], later())
    state = phone.backup()
    phone.edit(ward.patient(), ["demographics"], later())
    assert phone.sync()
    phone.edit(ward.patient(2), ["demographics"], later())
    assert phone.sync()
    # when the phone is set back, and goes on
    phone.set_back(state)
    assert phone.live("patients") == [ward.patient().id]
    phone.edit(ward.patient(3), ["demographics"], later())
    # then both lives are there, or named
    assert ward.audit() == []
    assert len(other.live("patients")) == 3


@pytest.mark.parametrize("kind", [BatchPhone, WatermelonPhone])
@pytest.mark.parametrize("what", SPOILT)
def test_what_no_server_can_read_holds_up_nothing(ward: Ward, kind: type[Phone], what: str) -> None:
    phone, other = ward.phone(kind), ward.phone(BatchPhone)
    phone.edit(ward.patient(1), ["demographics"], later())
    phone.spoil(ward.patient(2), what, later())
    phone.edit(ward.patient(3), ["demographics"], later())
    assert phone.sync()
    assert phone.refused().keys() == {ward.patient(2)}
    assert ward.audit() == []
    assert other.live("patients") == [ward.patient(1).id, ward.patient(3).id]


# How a phone says what it edited, and what stands in its push then.
SAYINGS: dict[str, tuple[dict[str, Any], list[set[str]]]] = {
    "whole": ({}, [{"demographics", "scope_id", "chw_id", "updated_at"}]),
    "partial": ({"partial": True}, [{"demographics"}]),
    "named": ({"partial": True, "names": True}, [{"demographics", "changed"}]),
    "version": ({"partial": True, "versions": True}, [{"demographics", "updated_at"}]),
    "separate": ({"partial": True, "separate": True}, [{"demographics"}, {"demographics"}]),
}


@pytest.mark.parametrize("saying", SAYINGS)
def test_batch_phones_say_what_they_edited_in_their_own_ways(saying: str) -> None:
    more, wanted = SAYINGS[saying]
    ledger = Ledger("x")
    phone = BatchPhone(
        "p0", "u", "", Line("", 0), ledger, device="d", clock=now, scopes=lambda: {"t"}, **more
    )
    row = {"id": "r", "demographics": {}, "scope_id": "t", "chw_id": "u", "updated_at": 7}
    phone._take(RECORD, row)
    for _ in range(2):
        phone.edit(RECORD, ["demographics"], now())
    entries = phone.unsent()[RECORD]
    bare = {"id", "sync_status", "last_modified_at"}
    assert [set(entry) - bare for entry in entries] == wanted
    # of several entries the last one counts: the others are written over by the same push
    phone._accepted(RECORD, entries, stored=True)
    assert [mark.accepted for mark in ledger.marks.values()] == [False, True]


def test_news_of_a_record_is_laid_over_it() -> None:
    phone = BatchPhone(
        "p0", "u", "", Line("", 0), Ledger("x"), device="d", clock=now, scopes=lambda: {"t"}
    )
    phone._take(RECORD, {"id": "r", "demographics": {"note": "<a>"}, "scope_id": "t"})
    phone._take(RECORD, {"id": "r", "chw_id": "u"})
    assert phone.row(RECORD) == {
        "id": "r",
        "demographics": {"note": "<a>"},
        "scope_id": "t",
        "chw_id": "u",
    }


# --- planted faults: the checks must find each of them


@pytest.fixture(scope="module")
def played(serve: Serve) -> Iterator[Campaign]:
    """A small campaign without faults in which nothing is wrong."""
    server = serve("sqlite")
    line = Proxy(server.address)
    campaign = Campaign(Plan(500, 3, 30, faults=False), server, line)
    assert campaign.play().violations == []
    yield campaign
    line.close()


def audited(campaign: Campaign, about: Ledger | None = None) -> list[str]:
    """What an audit finds now."""
    ledger = about or campaign.ledger
    ledger.violations.clear()
    checks.audit(campaign.phones, ledger, campaign.server, campaign.members)
    found = [text for _, text in ledger.violations]
    ledger.violations.clear()
    return found


def some_patient(campaign: Campaign) -> Key:
    return next(key for key in sorted(campaign.phones[0].rows()) if key.table == "patients")


def test_a_row_that_was_altered_in_the_store_is_found(played: Campaign) -> None:
    key = some_patient(played)
    store = played.server.store
    before = store.read([StoreKey(*key)]).documents[StoreKey(*key)].fields["demographics"]
    store.commit([patch(StoreKey(*key), {"demographics": "{}"}, None)])
    found = audited(played)
    store.commit([patch(StoreKey(*key), {"demographics": before}, None)])
    assert any(f"{key}.demographics was acknowledged" in text for text in found)
    assert any("holds" in text and "unlike a new batch phone" in text for text in found)
    assert any("unlike a new watermelon phone" in text for text in found)
    assert audited(played) == []


@pytest.mark.parametrize("plant", ["altered", "missing", "more", "foreign"])
def test_a_phone_that_differs_is_found(
    played: Campaign, plant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    phone, key = played.phones[0], some_patient(played)
    rows = phone.rows()
    wanted = {
        "altered": f"{phone.name} holds {key} unlike",
        "missing": f"{phone.name} lacks {key}",
        "more": f"{phone.name} holds patients/ghost, a new",
        "foreign": f"{phone.name} holds {key} of elsewhere",
    }[plant]
    if plant == "altered":
        rows[key] = {**rows[key], "demographics": {"note": "other"}}
    elif plant == "missing":
        del rows[key]
    elif plant == "more":
        rows[Key("patients", "ghost")] = rows[key]
    else:
        rows[key] = {**rows[key], "scope_id": "elsewhere"}
    monkeypatch.setattr(phone, "rows", lambda: rows)
    assert any(text.startswith(wanted) for text in audited(played))


def written(ledger: Ledger, *seen: str, phone: str = "p0", accepted: bool = True) -> str:
    """A mark that was written over others."""
    tag = ledger.wrote(phone, RECORD, "demographics", seen)
    ledger.marks[tag].accepted = accepted
    return tag


# What became of an acknowledged value, and whether that is a loss.
#   heir: a value that was written over it by somebody who showed it
#   stranger: one whose writer had not seen it
FATES: dict[str, tuple[Callable[[Evidence, str, str, str], None], bool]] = {
    "stored": (lambda found, own, heir, stranger: found.current[RECORD].add(own), False),
    "logged": (lambda found, own, heir, stranger: found.kept[RECORD].add(own), False),
    "heir stored": (lambda found, own, heir, stranger: found.current[RECORD].add(heir), False),
    "heir overwritten": (lambda found, own, heir, stranger: found.once[RECORD].add(heir), False),
    "heir lost": (lambda found, own, heir, stranger: found.kept[RECORD].add(heir), True),
    "stranger stored": (
        lambda found, own, heir, stranger: found.current[RECORD].add(stranger),
        True,
    ),
    "nothing": (lambda found, own, heir, stranger: None, True),
}


@pytest.mark.parametrize("fate", FATES)
def test_the_loss_of_an_acknowledged_value_is_found(fate: str) -> None:
    ledger, found = Ledger("x"), Evidence()
    own = written(ledger)
    heir = written(ledger, own, phone="p1", accepted=False)
    stranger = written(ledger, phone="p2", accepted=False)
    plant, lost = FATES[fate]
    plant(found, own, heir, stranger)
    checks.check_values(ledger, found)
    assert [own in text for _, text in ledger.violations] == [True] * lost


def clash(winner: str, reason: str, yours: str, theirs: str, device: str = "p1") -> Clash:
    """An entry of the conflict log about one column."""
    sides = ({"demographics": {"note": tag}} for tag in (yours, theirs))
    return Clash(RECORD, winner, reason, device, *sides)


def fleet_of(*phones: str) -> Ledger:
    """A ledger of phones that are named like their devices."""
    ledger = Ledger("x")
    ledger.devices.update({name: name for name in phones})
    return ledger


# What a phone's column overwrote unseen, and whether that is a column that nobody edited.
#   base, over: written by others, one over the other; own: an edit of the phone that sends
CAME_BACK: dict[str, tuple[Callable[[Ledger, str, str], str], bool]] = {
    "a row's old column": (lambda ledger, base, over: base, True),
    "an own edit": (lambda ledger, base, over: written(ledger, base, phone="p1"), False),
    "an own old edit": (
        lambda ledger, base, over: _under(ledger, over, written(ledger, phone="p1")),
        True,
    ),
    "an undo": (lambda ledger, base, over: _back(ledger, base), False),
}


def _back(ledger: Ledger, tag: str) -> str:
    ledger.undid("p1", RECORD, "demographics", [], [tag])
    return tag


def _under(ledger: Ledger, over: str, tag: str) -> str:
    ledger.marks[over].before.add(tag)
    return tag


@pytest.mark.parametrize("what", CAME_BACK)
def test_a_column_that_undoes_an_edit_of_another_phone_is_found(what: str) -> None:
    ledger, found = fleet_of("p0", "p1", "p2"), Evidence()
    base = written(ledger)
    over = written(ledger, base, phone="p2")
    sent, wrong = CAME_BACK[what]
    found.clashes.append(clash("client", "unseen_overwrite", sent(ledger, base, over), over))
    checks.check_columns(ledger, found)
    assert ["without an edit" in text for _, text in ledger.violations] == [True] * wrong


# What becomes of an edit that lost by its time to a value that its writer had seen.
@pytest.mark.parametrize(
    ("case", "wrong"),
    [
        ("seen", True),
        ("seen before", True),
        ("unseen", False),
        ("unproven", False),
        ("own clock", False),
        ("deleted", False),
        ("other device", False),
    ],
)
def test_an_edit_that_loses_to_what_it_had_seen_is_found(case: str, wrong: bool) -> None:
    ledger, found = fleet_of("p0", "p1"), Evidence()
    theirs = written(ledger, phone="p1" if case == "own clock" else "p0")
    between = [written(ledger, theirs, phone="p1")] if case == "seen before" else [theirs]
    yours = written(ledger, *([] if case == "unseen" else between), phone="p1")
    if case == "unproven":
        ledger.marks[yours].proven = False
    if case == "own clock":
        ledger.set_clocks.add("p1")
    reason = "deleted" if case == "deleted" else "older"
    device = "p0" if case == "other device" else "p1"
    found.clashes.append(clash("server", reason, yours, theirs, device))
    checks.check_columns(ledger, found)
    assert ["which it had seen" in text for _, text in ledger.violations] == [True] * wrong


def test_a_mark_in_another_column_is_found() -> None:
    ledger, found = fleet_of("p0"), Evidence()
    tag = written(ledger)
    found.columns[RECORD, "demographics"] = {tag}
    checks.check_columns(ledger, found)
    assert ledger.violations == []
    found.columns[Key("cases", "c"), "triage_data"] = {tag}
    checks.check_columns(ledger, found)
    assert len(ledger.violations) == 1


@pytest.mark.parametrize(
    ("case", "wrong"),
    [
        ("undone", True),
        ("stands", False),
        ("never acknowledged", False),
        ("done again", False),
        ("named", False),
        ("laid over", False),
        ("a twin's", False),
    ],
)
def test_an_undo_that_is_undone_is_found(case: str, wrong: bool) -> None:
    ledger, found = fleet_of("p0", "p1"), Evidence()
    base = written(ledger)
    over = written(ledger, base, phone="p1")
    ledger.undid("p1", RECORD, "demographics", [over], [base])
    ledger.undos[0].accepted = case != "never acknowledged"
    found.columns[RECORD, "demographics"] = {base if case == "stands" else over}
    if case == "done again":
        ledger.undid("p0", RECORD, "demographics", [base], [over])
    if case == "named":
        found.clashes.append(clash("server", "older", base, over))
    if case == "a twin's":
        ledger.copied.add("p1")
    if case == "laid over":
        ledger.marks[over].laid_over.add(base)
    checks.check_undos(ledger, found)
    assert ["is undone" in text for _, text in ledger.violations] == [True] * wrong


CASE = Key("cases", "c")


def chose(
    ledger: Ledger, phone: str, before: str | None, value: str, seen: int, sure: int
) -> Shade:
    """A choice that was sent and acknowledged at once."""
    ledger.shaded(phone, CASE, before, value, seen, sure)
    shade = ledger.shades[-1]
    shade.sent = ledger.note(phone, CASE, "sends")
    shade.accepted = ledger.note(phone, CASE, "is told")
    return shade


# p0 chose red. What p1 chose (over which colour, which), whether it had looked after that, what is
# stored in the end, and whether that is wrong.
COLOURS: dict[str, tuple[tuple[str, str] | None, bool, str, bool]] = {
    "nobody chose less": (None, False, "yellow", True),
    "an unseen choice of less": (("green", "yellow"), False, "yellow", True),
    "red is kept": (("green", "yellow"), False, "red", False),
    "a seen choice of less": (("red", "yellow"), True, "yellow", False),
    "less over another red": (("red", "yellow"), False, "yellow", True),
    "red comes back": (("red", "yellow"), True, "red", True),
    "less that stays": (("red", "green"), True, "green", False),
}


@pytest.mark.parametrize("named", [False, True], ids=["", "named"])
@pytest.mark.parametrize("case", COLOURS)
def test_a_colour_that_vanishes_or_comes_back_is_found(case: str, named: bool) -> None:
    choice, looked, stored, wrong = COLOURS[case]
    ledger, found = fleet_of("p0", "p1"), Evidence()
    before = ledger.note("p1", None, "has looked")
    chose(ledger, "p0", "green", "red", 0, 0)
    after = ledger.note("p1", None, "has looked")
    if choice is not None:
        number = after if looked else before
        chose(ledger, "p1", *choice, number, number)
    found.stored[CASE] = {"risk_level": stored}
    if named:
        found.colours[CASE] |= set(checks.COLOURS)
    checks.check_colours(ledger, found)
    assert len(ledger.violations) == (wrong and not named)


@pytest.mark.parametrize(
    ("winner", "reason", "device", "yours", "theirs", "wrong"),
    [
        ("client", "unseen_overwrite", "p1", "yellow", "red", True),
        ("client", "unseen_overwrite", "p1", "red", "yellow", False),
        ("client", "unseen_overwrite", "merging", "yellow", "red", False),
        ("server", "older", "p1", "red", "yellow", True),
        ("server", "merged", "p1", "red", "yellow", True),
        ("server", "merged", "p1", "yellow", "red", False),
        ("server", "deleted", "p1", "red", "yellow", False),
        ("server", "older", "set", "red", "yellow", False),
    ],
)
def test_a_lower_colour_that_wins_unseen_is_found(
    winner: str, reason: str, device: str, yours: str, theirs: str, wrong: bool
) -> None:
    ledger, found = fleet_of("p1", "merging", "set"), Evidence()
    ledger.merging.add("merging")
    ledger.set_clocks.add("set")
    sides = ({"risk_level": yours}, {"risk_level": theirs})
    found.clashes.append(Clash(CASE, winner, reason, device, *sides))
    checks.check_colours(ledger, found)
    assert len(ledger.violations) == wrong


def test_a_choice_of_less_that_a_later_red_overtook_is_right() -> None:
    ledger, found = fleet_of("p0", "p1"), Evidence()
    chose(ledger, "p0", "green", "red", 0, 0)
    after = ledger.note("p1", None, "has looked")
    chose(ledger, "p1", "red", "yellow", after, after)
    chose(ledger, "p0", "yellow", "red", ledger.now, ledger.now)
    found.stored[CASE] = {"risk_level": "red"}
    checks.check_colours(ledger, found)
    assert ledger.violations == []


@pytest.mark.parametrize("spoilt", [False, True])
@pytest.mark.parametrize("code", ["", "deleted", "invalid_text"])
def test_a_verdict_on_what_cannot_be_read_is_judged(spoilt: bool, code: str) -> None:
    ledger = Ledger("x")
    phone = BatchPhone("p0", "u", "", Line("", 0), ledger, device="d", clock=now, scopes=set)
    if spoilt:
        phone.spoil(RECORD, "too deep", now())
    else:
        phone.edit(RECORD, ["demographics"], now())
    sent = phone.unsent()[RECORD]
    if code:
        phone._rejected(RECORD, sent, code)
    else:
        phone._accepted(RECORD, sent, stored=True)
    assert (ledger.violations != []) is (spoilt != (code == "invalid_text"))


def test_values_that_saw_one_another_do_not_excuse_one_another() -> None:
    ledger, found = Ledger("x"), Evidence()
    one = written(ledger)
    two = written(ledger, one, phone="p1")
    ledger.marks[one].laid_over.add(two)
    checks.check_values(ledger, found)
    assert len(ledger.violations) == 2


def test_an_edit_that_vanished_is_found(played: Campaign) -> None:
    ledger = Ledger("x")
    phones = played.phones
    tag = written(ledger, phone=phones[0].name, accepted=False)
    checks.check_unacknowledged(phones, ledger, Evidence())
    assert [tag in text for _, text in ledger.violations] == [True]
    # not if it was refused, or written over by its own user
    ledger.violations.clear()
    ledger.marks[tag].refused = "deleted"
    checks.check_unacknowledged(phones, ledger, Evidence())
    assert ledger.violations == []


def test_a_lost_deletion_and_a_missing_job_are_found() -> None:
    ledger, found = Ledger("x"), Evidence()
    ledger.deleted("p0", RECORD).accepted = True
    ledger.red[Key("cases", "c")] = "p0"
    found.stored[RECORD] = {"demographics": "{}"}
    checks.check_deletions(ledger, found, {"p0": {RECORD}})
    checks.check_jobs(ledger, found)
    texts = [text for _, text in ledger.violations]
    assert len(texts) == 2
    assert "deletion" in texts[0]
    assert "no job" in texts[1]
    ledger.violations.clear()
    found.lost_deletions.add(RECORD)
    found.jobs.add("c")
    checks.check_deletions(ledger, found, {"p0": {RECORD}})
    checks.check_jobs(ledger, found)
    assert ledger.violations == []


@pytest.mark.parametrize("kind", [BatchPhone, WatermelonPhone])
@pytest.mark.parametrize("plant", ["twice", "foreign"])
def test_an_answer_that_no_phone_may_get_is_found(kind: type[Phone], plant: str) -> None:
    ledger = Ledger("x")
    phone = kind("p0", "u", "", Line("", 0), ledger, device="d", clock=now, scopes=lambda: {"team"})
    row = {"id": "r", "scope_id": "team" if plant == "twice" else "other"}
    rows, ids = [row], ["r"] if plant == "twice" else []
    if isinstance(phone, BatchPhone):
        empty: dict[str, object] = {"accepted": {}, "rejected": [], "conflicts": []}
        updates = {"server_updates": {"patients": rows}, "deleted": {"patients": ids}}
        phone._apply({**empty, **updates, "new_sync_timestamp": 1}, {})
    elif isinstance(phone, WatermelonPhone):
        phone._apply({"patients": {"created": [], "updated": rows, "deleted": ids}})
    said = "twice in one answer" if plant == "twice" else "not a team of u"
    assert [said in text for _, text in ledger.violations] == [True]


# --- the network


class Upstream:
    """A server that notes what arrives and answers with its number."""

    def __init__(self) -> None:
        self.got: list[bytes] = []
        upstream = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                upstream.got.append(body)
                answer = b'{"n": %d, "filler": "%s"}' % (len(upstream.got), b"x" * 200)
                self.send_response(200)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = ("127.0.0.1", int(self._server.server_address[1]))
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    made = Upstream()
    yield made
    made.close()


# What a fault does to the first of two requests: how often it arrives before the second, what the
# phone sees, and how often it has arrived in the end.
SUFFERED = {
    "": (1, 200, 1),
    "lose_request": (0, None, 0),
    "lose_answer": (1, None, 1),
    "repeat": (2, 200, 2),
    "late": (1, 200, 2),
    "hold": (0, None, 1),
    "cut_answer": (1, None, 1),
    "refuse": (0, 503, 0),
    "slow": (1, 200, 1),
}


@pytest.mark.parametrize("fault", SUFFERED)
def test_the_network_does_to_a_request_what_it_should(upstream: Upstream, fault: str) -> None:
    line = Proxy(
        upstream.address, lambda _, number, __: Fate(fault if number == 1 else ""), pace=0.001
    )
    ask = Line("127.0.0.1", line.port, 10)
    body = b'{"first": "%s"}' % (b"y" * 500)

    def status(sent: bytes) -> int | None:
        try:
            return ask.ask("POST", "/", sent, {"X-Phone": "p"}).status
        except NoAnswer:
            return None

    before, seen, after = SUFFERED[fault]
    assert status(body) == seen
    assert upstream.got.count(body) == before
    assert status(b"{}") == 200
    line.release()
    line.close()
    assert upstream.got.count(body) == after
    assert line.counts[fault] == bool(fault)


def test_a_cut_request_arrives_in_part(upstream: Upstream) -> None:
    line = Proxy(upstream.address, lambda *_: Fate("cut_request", part=0.5))
    Line("127.0.0.1", line.port, 10).ask("POST", "/", b"0123456789", {})
    line.close()
    assert upstream.got == [b"01234"]


def test_a_seed_decides_what_happens() -> None:
    one, two, other = proxy.seeded(1), proxy.seeded(1), proxy.seeded(2)
    asked = [("p", number, "POST /") for number in range(200)]
    assert [one(*it) for it in asked] == [two(*it) for it in asked] != [other(*it) for it in asked]
    assert {one(*it).fault for it in asked} == {"", *FAULTS}


def test_the_fleet_does_not_ask_the_sync_code_what_is_right() -> None:
    for path in (Path(__file__).parent / "fleet").glob("*.py"):
        text = path.read_text(encoding="utf-8")
        for name in ("batch", "watermelon", "push", "pull", "conflict", "record"):
            assert f"shared.sync.{name}" not in text, f"{path.name} imports {name}"
