"""`python -m infra.admin`: what support and operations do by hand. Works on the stores that the
settings name; `--data FOLDER` means the local stack that runs (or ran) in that folder.

    grant USER SCOPE [--role chw]     make somebody a member of a scope
    revoke USER SCOPE                 end a membership; the phones drop the scope's records
    seed [--scope demo]               example data: two health workers, a doctor, a few patients
    jobs [--state parked]             list jobs
    redrive [JOB]                     queue parked and failed jobs again (all, or one)
    move TABLE ID SCOPE               move a record, with all that hangs on it, to another scope
    undelete TABLE ID                 bring a deleted record back, with what was deleted with it
    devices SCOPE [--failing]         phones of a scope: when they last synced, what is wrong
    inbox SCOPE                       what phones could not deliver and somebody should look at
    audit verify [SCOPE] [--heads FILE]   check that no entry of the audit trail was altered or removed
    audit heads                       the heads of now, to be kept where others keep them
    epoch                             after a restore: phones offer again what the store lost
    user, invite, keys                accounts: see `infra/admin_accounts.py`
    export, erase                     people who ask for their data: see `infra/admin_privacy.py`

Every command may be repeated without harm. Nothing of patients is printed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from infra import admin_accounts, admin_privacy
from shared.errors import Contended, Fault, InvalidRequest

#: Written by the local stack into its data folder: the environment of its functions.
STACK_ENVIRONMENT = "environment.json"

#: How often a command is tried when others write at the same moment.
_ATTEMPTS = 5


def use_stack(folder: Path) -> None:
    """Take over the environment of the local stack in `folder`: same stores, same keys."""
    known = folder / STACK_ENVIRONMENT
    if known.exists():
        os.environ.update(json.loads(known.read_text()))
    os.environ["DATA_FOLDER"] = str(folder)


def grant(user: str, scope: str, role: str) -> None:
    """Make a user a member of a scope in a role. Raises `InvalidRequest` for what is no id."""
    from shared import wiring
    from shared.access import audit, membership
    from shared.records.record import valid_id

    if not (valid_id(user) and valid_id(scope)):
        raise InvalidRequest("Ids of users and scopes are 1 to 128 of A-Z a-z 0-9 _ -.")
    now = wiring.clock_ms()
    entry = audit.right(wiring.operator(), "grant", now, scope, of=user, role=role)
    _again(lambda: membership.grant(wiring.store(), user, scope, role, now, [entry]))


def revoke(user: str, scope: str) -> None:
    """End a membership."""
    from shared import wiring
    from shared.access import audit, membership

    now = wiring.clock_ms()
    entry = audit.right(wiring.operator(), "revoke", now, scope, of=user)
    _again(lambda: membership.revoke(wiring.store(), user, scope, now, [entry]))


def seed(scope: str) -> Sequence[str]:
    """Members and records to try things with; returns the users."""
    from infra.local.seed import members, records
    from shared import wiring
    from shared.access.membership import Caller
    from shared.sync.exchange import Push

    for user, role in members(scope):
        grant(user, scope, role)
    entries = records(wiring.catalog(), scope)
    author = Caller(members(scope)[0][0], "chw", "seed")
    push = Push(entries, (), 0, f"seed of {scope}")
    outcome = wiring.pusher().push(author, push, wiring.clock_ms())
    if outcome.rejected:
        first = outcome.rejected[0]
        raise Fault(
            f"{len(outcome.rejected)} example records were refused: {first.message}",
            code=first.code,
        )
    return [user for user, _ in members(scope)]


def redrive(job_id: str | None) -> int:
    """Queue parked and failed jobs again; returns how many."""
    from shared import wiring

    return len(wiring.runner().redrive(job_id))


def list_jobs(state: str | None) -> list[str]:
    """One line a job: state, kind, id, attempts, last fault."""
    from shared import wiring
    from shared.jobs import job as jobs
    from shared.records.store import Query

    where = () if state is None else (("state", "==", state),)
    lines = []
    for document in wiring.store().query(Query(jobs.COLLECTION, where=where)):
        job = jobs.Job.of(document)
        fault = next((e["fault"] for e in reversed(job.history) if "fault" in e), "-")
        lines.append(f"{job.state:<10} {job.kind:<8} {job.attempts:>2} {fault:<16} {job.id}")
    return lines


def move(table: str, record_id: str, scope: str) -> None:
    """Move a record, with all that hangs on it, to another scope."""
    from shared import wiring
    from shared.jobs import transfer
    from shared.records.store import Key

    key, now = Key(table, record_id), wiring.clock_ms()
    transfer.move(wiring.store(), wiring.catalog(), key, scope, now, wiring.operator())
    _follow(transfer.KIND)


def undelete(table: str, record_id: str) -> None:
    """Bring a deleted record back, with what was deleted along with it."""
    from shared import wiring
    from shared.jobs import restore
    from shared.records.store import Key

    key, now = Key(table, record_id), wiring.clock_ms()
    restore.undelete(wiring.store(), wiring.catalog(), None, key, now, wiring.operator())
    _follow(restore.KIND)


def _follow(kind: str) -> None:
    """What hangs on a record follows at once; the sweeper does what is left."""
    from shared import wiring

    wiring.runner().answer(kind, None, 120.0)


def list_devices(scope: str, *, failing: bool) -> list[str]:
    """One line a phone: user, device, minutes since its last sync, what is wrong."""
    from shared import wiring
    from shared.support import ledger

    chosen, now = wiring.settings(), wiring.clock_ms()
    lines = []
    for document in ledger.devices(wiring.store(), scope):
        have = document.fields
        wrong = ledger.problem(
            have, now, chosen.silent_days * 86_400_000, chosen.clock_tolerance_seconds * 1000
        )
        if wrong or not failing:
            minutes = (now - have["attempt_at"]) // 60_000
            name = f"{have['user_id']} {have['device']}"
            lines.append(f"{name:<40} {minutes:>7} min  {wrong or 'ok'}")
    return sorted(lines)


def list_inbox(scope: str) -> list[str]:
    """One line an entry: table, record, code, who sent it. What was sent is not printed."""
    from itertools import islice

    from shared import wiring
    from shared.support import inbox

    return [
        f"{have['table']:<12} {have['record_id']:<28} {have['code']:<16} {have['author_id']}"
        for have in (entry.fields for entry in islice(inbox.entries(wiring.store(), [scope]), 1000))
    ]


def audit_faults(scope: str | None, kept: Path | None = None) -> tuple[list[str], list[str]]:
    """(a line a scope, what is wrong): whether every entry is there, unaltered.

    `kept` is a file of heads that was kept outside; else that of this deployment, if it has one.
    """
    from shared import wiring
    from shared.access import audit

    store, file = wiring.store(), kept or wiring.audit_heads()
    anchors: list[audit.Anchor] = []
    if file is not None and (kept or file.exists()):
        with file.open(encoding="utf-8") as text:
            anchors = list(audit.anchors(text))
    strays = audit.stray(store)
    names = sorted({*strays, *(each.scope_id for each in anchors)})
    lines, faults = [], []
    for name in [scope] if scope else names:
        found = audit.verify(store, name, anchors)
        lines.append(f"{name:<24} {found.entries:>7} sealed {found.waiting:>5} waiting")
        faults += [f"{name}: {fault}" for fault in (*found.faults, *strays.get(name, ()))]
    return lines, faults


def audit_heads() -> list[str]:
    """A line a scope, as `verify --heads` takes them."""
    from shared import wiring
    from shared.access import audit

    return [audit.told(each) for each in audit.heads(wiring.store())]


def epoch() -> None:
    """Begin a new epoch: every cursor from before now gets the full set and is asked to upload."""
    from shared import wiring
    from shared.access import audit
    from shared.records.store import put
    from shared.sync.pull import EPOCH

    now = wiring.clock_ms()
    entry = audit.right(wiring.operator(), "epoch", now)
    wiring.store().commit([put(EPOCH, {"started_at": now}, None), entry])


def _again(act: Callable[[], None]) -> None:
    for attempt in range(_ATTEMPTS):
        try:
            act()
        except Contended:
            if attempt == _ATTEMPTS - 1:
                raise
        else:
            return


def _parser() -> argparse.ArgumentParser:
    from shared.jobs.job import STATES
    from shared.products.dermadetect.rights import ROLES

    parser = argparse.ArgumentParser(
        prog="python -m infra.admin", description="Support and operations."
    )
    parser.add_argument("--data", type=Path, help="data folder of the local stack")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (("grant", "make a member"), ("revoke", "end a membership")):
        command = commands.add_parser(name, help=text)
        command.add_argument("user")
        command.add_argument("scope")
        if name == "grant":
            command.add_argument("--role", choices=ROLES, default="chw")
    commands.add_parser("seed", help="example data").add_argument("--scope", default="demo")
    listing = commands.add_parser("jobs", help="list jobs")
    listing.add_argument("--state", choices=STATES)
    again = commands.add_parser("redrive", help="queue parked and failed jobs again")
    again.add_argument("job", nargs="?")
    moving = commands.add_parser("move", help="move a record to another scope")
    back = commands.add_parser("undelete", help="bring a deleted record back")
    for command in (moving, back):
        command.add_argument("table")
        command.add_argument("id")
    moving.add_argument("scope")
    phones = commands.add_parser("devices", help="phones of a scope")
    phones.add_argument("scope")
    phones.add_argument("--failing", action="store_true", help="only those with a problem")
    commands.add_parser("inbox", help="what phones could not deliver").add_argument("scope")
    trail = commands.add_parser("audit", help="the audit trail")
    trail.add_argument("what", choices=("verify", "heads"))
    trail.add_argument("scope", nargs="?")
    trail.add_argument("--heads", type=Path, help="heads that were kept elsewhere, or log lines")
    commands.add_parser("epoch", help="after a restore")
    admin_accounts.add_commands(commands)
    admin_privacy.add_commands(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code: 0 done, 1 a check found faults, 2 it cannot be done like this."""
    chosen = _parser().parse_args(arguments)
    if chosen.data is not None:
        use_stack(chosen.data)
    try:
        if chosen.command == "grant":
            grant(chosen.user, chosen.scope, chosen.role)
            print(f"{chosen.user} is {chosen.role} in {chosen.scope}")
        elif chosen.command == "revoke":
            revoke(chosen.user, chosen.scope)
            print(f"{chosen.user} is no longer in {chosen.scope}")
        elif chosen.command == "seed":
            print(f"seeded {chosen.scope}: {', '.join(seed(chosen.scope))}")
        elif chosen.command == "jobs":
            print("\n".join(list_jobs(chosen.state)) or "no jobs")
        elif chosen.command == "redrive":
            print(f"{redrive(chosen.job)} jobs queued again")
        elif chosen.command == "move":
            move(chosen.table, chosen.id, chosen.scope)
            print(f"{chosen.table}/{chosen.id} is in {chosen.scope}")
        elif chosen.command == "undelete":
            undelete(chosen.table, chosen.id)
            print(f"{chosen.table}/{chosen.id} is back")
        elif chosen.command == "devices":
            print("\n".join(list_devices(chosen.scope, failing=chosen.failing)) or "no devices")
        elif chosen.command == "inbox":
            print("\n".join(list_inbox(chosen.scope)) or "the inbox is empty")
        elif chosen.command == "audit" and chosen.what == "heads":
            print("".join(audit_heads()), end="")
        elif chosen.command == "audit":
            lines, faults = audit_faults(chosen.scope, chosen.heads)
            print("\n".join(lines) or "no entries")
            if faults:
                print("\n".join(faults), file=sys.stderr)
                return 1
        elif chosen.command == "epoch":
            epoch()
            print("a new epoch has begun")
        elif (said := admin_accounts.run(chosen) or admin_privacy.run(chosen)) is not None:
            print(said)
    except Fault as fault:
        print(f"{fault.code}: {fault.message}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
