"""Fifty phones at once, ours beside others: who serves more syncs a second, and how long one waits.

    ours            the `local` profile as a clinic runs it, on SQLite; a sync is one request
    PouchDB Server  in memory; `_changes` with its documents, before it `_revs_diff` and `_bulk_docs`
                    where a phone has news. Each team has a database, as CouchDB's manual advises for
                    data that not everybody may read: `_changes` of one for all would give each phone
                    everybody's cases
    SQLAlchemy      on SQLite under Flask (`peer_flask.py`, `/bulk`): a push where there is news, a
                    pull; cases have a team, and an index of team and time finds the news

The load is that of `load.py`, from the same client: fifty connections without a pause, 60 % idle syncs,
35 % with three new cases, 5 % with a hundred; 500 phones in teams of five take turns. All servers run;
one at a time is under load, in turn. What is judged is whole syncs, because that is what a phone waits
for: a peer's takes one to three requests. PouchDB and SQLAlchemy only store, where ours also checks
tokens, rights and rules, keeps a trail and gives a receipt.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager

from benchmarks import peers, processes, profile
from benchmarks.kept_alive import OURS, POUCHDB, SQLALCHEMY, present
from benchmarks.load import CONNECTIONS, SQLITE, Found, Server, percentile, press, server
from benchmarks.measure import Report, main
from benchmarks.ours import request

#: Seconds under load of each turn, and the turns; those before them warm caches and compilers.
SECONDS, TURNS, WARM_SECONDS = 10, 3, 4
QUICK_SECONDS, QUICK_TURNS, QUICK_WARM_SECONDS = 5, 1, 1
PHONES, QUICK_PHONES = 500, 60

#: At least so many times the syncs of the best peer.
LEAST_TIMES = 2.0
#: At most, of all syncs, ms.
MOST_P95_MS = 300
#: At most, of an idle sync, p99 by its median.
MOST_TAIL = 2.0

#: How long the profile of a missed goal is taken, seconds, twice; functions told of it.
_SAMPLE_SECONDS, _TOLD = 5, 4


@contextmanager
def _pouchdb() -> Iterator[Server]:
    with peers.pouchdb_server() as started:
        url = f"http://127.0.0.1:{started.port}"
        made: set[str] = set()

        def join(_user: str, team: str) -> str:
            name = f"cases-{team}"  # a name begins with a letter
            if name not in made:
                request("PUT", f"{url}/{name}", expect=(201,))
                made.add(name)
            return name

        yield Server(POUCHDB, url, started.processes(), [], join, "pouchdb")


@contextmanager
def _sqlalchemy() -> Iterator[Server]:
    with peers.flask_server() as started:
        url = f"http://127.0.0.1:{started.port}"
        yield Server(SQLALCHEMY, url, started.processes(), [], lambda _user, team: team, "flask")


SERVERS: Mapping[str, Callable[[], AbstractContextManager[Server]]] = {
    OURS: lambda: server(SQLITE),
    POUCHDB: _pouchdb,
    SQLALCHEMY: _sqlalchemy,
}


def run(quick: bool) -> Report:
    """Everybody who is there; a quick run installs nobody."""
    report = Report("crowd")
    if not processes.READABLE:
        report.absent.append("everything: processor time is read from Linux's /proc")
        return report
    with ExitStack() as stack:
        servers = present(report, stack, SERVERS, quick)
        phones = QUICK_PHONES if quick else PHONES
        for to in servers.values():
            press(to, phones=phones, seconds=QUICK_WARM_SECONDS if quick else WARM_SECONDS)
        found: dict[str, list[Found]] = {who: [] for who in servers}
        for _ in range(QUICK_TURNS if quick else TURNS):
            for who, to in servers.items():
                seconds = QUICK_SECONDS if quick else SECONDS
                found[who].append(press(to, phones=phones, seconds=seconds))
        tell(report, found)
        judge(report, found, lambda: _busy(servers[OURS], quick))
    return report


def tell(report: Report, found: Mapping[str, Sequence[Found]]) -> None:
    """Rows, by what is measured: all who were there under each."""
    case = f"{CONNECTIONS} at once"
    for who, turns in found.items():
        report.row(f"{case}: syncs", who, "syncs/s", [each.syncs / each.seconds for each in turns])
    for who, turns in found.items():
        asked = [each.http_requests / each.seconds for each in turns]
        report.row(f"{case}: HTTP requests", who, "requests/s", asked)
    for kind in (*next(iter(found.values()))[0].took_ms, "all"):
        for share in (0.5, 0.95, 0.99):
            name = f"{case}: {'all syncs' if kind == 'all' else f'{kind} sync'}, p{share * 100:.0f}"
            for who, turns in found.items():
                report.row(name, who, "ms", [percentile(took(each, kind), share) for each in turns])
    for who, turns in found.items():
        spent = [each.cpu / max(1, each.syncs) * 1000 for each in turns]
        report.row(f"{case}: processor of the server, of a sync", who, "ms", spent)
    for who, turns in found.items():
        cores = [each.cpu / each.seconds for each in turns]
        report.row(f"{case}: processor of the server", who, "cores", cores)
    for who, turns in found.items():
        failed = [float(sum(each.errors.values())) for each in turns]
        report.row(f"{case}: errors", who, "syncs", failed, _errors(turns))


def took(turn: Found, kind: str) -> list[float]:
    """Milliseconds of a kind of sync, or of "all"."""
    if kind != "all":
        return turn.took_ms[kind] or [0.0]
    return [each for values in turn.took_ms.values() for each in values] or [0.0]


def _errors(turns: Sequence[Found]) -> str:
    return ", ".join(sorted({name for each in turns for name in each.errors}))


def judge(
    report: Report, found: Mapping[str, Sequence[Found]], busy: Callable[[], str] = lambda: ""
) -> None:
    """The goals; `busy` says where our time goes, and is asked where one was missed."""
    mine, others = found[OURS], {who: turns for who, turns in found.items() if who != OURS}
    p95 = statistics.median(percentile(took(each, "all"), 0.95) for each in mine)
    idle = [took(each, "idle") for each in mine]
    tail = statistics.median(percentile(each, 0.99) / percentile(each, 0.5) for each in idle)
    verdicts = [
        (f"p95 of all syncs ≤ {MOST_P95_MS} ms", f"{p95:.0f} ms", p95 <= MOST_P95_MS),
        (f"p99 of an idle sync ≤ {MOST_TAIL:.0f} × its median", f"{tail:.2f} ×", tail <= MOST_TAIL),
    ]
    if others:
        best = max(others, key=lambda who: _speed(others[who]))
        times = _speed(mine) / _speed(others[best])
        text = f"syncs/s of a crowd: at least {LEAST_TIMES:.1f} × the best peer, {best}"
        said = f"{times:.2f} × ({_speed(mine):.0f} and {_speed(others[best]):.0f})"
        why = (
            f"A sync takes {_processor_ms(mine):.1f} ms of the processors, of {best} "
            f"{_processor_ms(others[best]):.1f}, which only stores and lists."
        )
        report.goal(text, said, times >= LEAST_TIMES, why)
    where = "" if all(held for _, _, held in verdicts) else busy()
    for text, said, held in verdicts:
        report.goal(text, said, held, where)


def _speed(turns: Sequence[Found]) -> float:
    return statistics.median(each.syncs / each.seconds for each in turns)


def _processor_ms(turns: Sequence[Found]) -> float:
    return statistics.median(each.cpu / max(1, each.syncs) * 1000 for each in turns)


def _busy(to: Server, quick: bool) -> str:
    """Where our busiest process spends the time, in a sentence; empty where nobody can look."""
    seen: list[profile.Profile] = []
    before = {pid: processes.cpu_seconds([pid]) for pid in to.pids}
    seconds = 2 if quick else _SAMPLE_SECONDS

    def look() -> None:
        time.sleep(1)  # to see who is busy
        busiest = max(to.pids, key=lambda pid: processes.cpu_seconds([pid]) - before[pid])
        try:
            seen.append(profile.sample(busiest, seconds))
        except profile.Absent:
            return

    try:
        profile.installed()
    except profile.Absent:
        return ""
    press(to, phones=CONNECTIONS, seconds=2 * seconds + 3, meanwhile=look)
    if not seen or not seen[0].works:
        return ""
    return (
        f"In our busiest process the interpreter's lock is held {seen[0].gil:.0%} of the time, by "
        f"{_most(seen[0].works)}; requests are in {_most(seen[0].waits)}."
    )


def _most(shares: Mapping[str, float]) -> str:
    return ", ".join(f"{name} ({share:.0%})" for name, share in list(shares.items())[:_TOLD])


main(__name__, run)
