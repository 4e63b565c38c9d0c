"""The AI path: a burst of red cases drains while the model takes two seconds for each.

    python -m benchmarks.ai_path --quick

A phone syncs all red cases at once; bells, jobs and subscriber do the rest, started as deployed: one
`analyse` instance with THREADS = concurrency, asked by real pushes (the Pub/Sub emulator, or the SQLite
dispatcher). The model is a local server with Vertex AI's wire format that thinks for a fixed time, so the
ideal is concurrency / model time. Times are the jobs' own history, by the server's clock.

The SQLite dispatcher of one machine makes 16 deliveries at a time; at 32 a second one helps it. The
Pub/Sub emulator makes two pushes at a time for a subscription; further subscriptions help it.
"""

from __future__ import annotations

import hashlib
import math
import os
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from string import ascii_lowercase
from typing import NamedTuple

import grpc  # type: ignore[import-untyped]

from benchmarks import processes, stacks
from benchmarks.measure import Report, main
from infra.local import emulators
from infra.local.stack import Stack
from infra.local.table import load
from infra.local.vertex import VertexServer
from shared.adapters.scripted import ScriptedModel
from shared.adapters.sqlite_queue import FILE_NAME, Dispatcher
from shared.ai.model import ChatRequest, Completion
from shared.jobs import job as jobs
from shared.products.dermadetect.scripted import draft
from shared.records.store import Query
from tests.e2e.conftest import Deployment

#: Deliveries at a time of the SQLite dispatcher (`Dispatcher`'s default).
_DISPATCHER = 16

#: Pushes at a time for one subscription of the Pub/Sub emulator, seen: however long the endpoint takes.
_EMULATOR = 2

#: The subscriber's own processor time, as its row names it.
_OWN = "analyse"

#: Workers that wait for a model leave the machine idle: so many still share it with other bursts.
_MOSTLY_IDLE = 8

#: How much longer than the ideal a drain may take before it counts as stuck, and at least, seconds.
_PATIENCE_TIMES, _PATIENCE_SECONDS = 5, 120.0

#: Least share of the ideal throughput, by concurrency.
LEAST = {2: 0.95, 8: 0.95, 32: 0.95}


class Load(NamedTuple):
    """So many red cases for so many subscribers at a time."""

    cases: int
    concurrency: int


FULL = (Load(60, 2), Load(500, 8), Load(500, 32))
QUICK = (Load(40, 8),)

_EMULATED = "Pub/Sub and Firestore emulators"

PROFILES: Mapping[str, Mapping[str, str]] = {
    "SQLite": stacks.ON_SQLITE,
    _EMULATED: {},
}


class Thinking(ScriptedModel):
    """Answers after a fixed time; counts how often each question was asked."""

    def __init__(self, seconds: float) -> None:
        super().__init__(draft)
        self.seconds = seconds
        self.asked: Counter[str] = Counter()
        self._counting = threading.Lock()

    def ask(self, question: ChatRequest, timeout_seconds: float) -> Completion:
        time.sleep(self.seconds)
        with self._counting:
            self.asked[hashlib.sha256(question.text.encode()).hexdigest()] += 1
        return super().ask(question, timeout_seconds)


class Drain(NamedTuple):
    """What became of one burst; times in seconds."""

    took: float  #: from the first job's birth to the last one's end
    sync: float  #: how long the phone waited
    ages: list[float]  #: how long each job waited for a worker
    duplicates: int  #: questions beyond one a case, and jobs done more than once
    unfinished: int
    processor: dict[str, float]  #: processor seconds of the drain, by who took them


@contextmanager
def deployment(profile: str, load_: Load, model: Thinking) -> Iterator[Deployment]:
    """The stack with one `analyse` of that concurrency; sweeps every minute as deployed."""
    # a bell that is on its way while all ends may still write into the folder
    temporary = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
    with ExitStack() as stack, temporary as folder:
        server = stack.enter_context(VertexServer(model=model, keep_requests=False))
        rows = stacks.table(
            Path(folder),
            *("sync", "analyse", "dead_letters", "sweeper"),
            concurrency={"analyse": load_.concurrency},
        )
        environ = {
            **PROFILES[profile],
            "GOOGLE_CLOUD_PROJECT": f"ai-path-{uuid.uuid4().hex[:8]}",
            "MODEL": "vertex",
            "VERTEX_ENDPOINT": "1234567890",
            "VERTEX_API_ENDPOINT": server.url,
            "VERTEX_CREDENTIALS": "anonymous",
            "REQUESTS_CA_BUNDLE": str(server.ca),
            "NO_PROXY": "localhost,127.0.0.1",
        }
        made = Stack(profile="emulator", data=Path(folder) / "data", environ=environ, table=rows)
        stack.enter_context(made)
        if profile == _EMULATED:
            _more_pushes(made, load_.concurrency)
        if environ.get("JOB_QUEUE") == "sqlite" and load_.concurrency > _DISPATCHER:
            analyse = load(rows)["analyse"]
            helper = Dispatcher(
                made.data / FILE_NAME,
                {topic: made.address("analyse") for topic in analyse.topics},
                made.address("dead_letters"),
                ack_deadline_seconds=analyse.ack_deadline_seconds,
                concurrency=load_.concurrency - _DISPATCHER,
                headers=made.own_headers,
            )
            helper.start()
            stack.callback(helper.stop)
        found = Deployment(made)
        stack.callback(found.store.close)
        yield found


def _more_pushes(made: Stack, concurrency: int) -> None:
    """Further subscriptions of the same bells: the emulator makes two pushes at a time for each.

    Every bell then arrives several times; jobs are claimed once all the same.
    """
    from google.pubsub_v1 import PublisherClient, SubscriberClient
    from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

    project, (topic,) = made.environ["GOOGLE_CLOUD_PROJECT"], made.functions["analyse"].topics
    with grpc.insecure_channel(os.environ[stacks.PUBSUB]) as channel:
        subscriber = SubscriberClient(transport=SubscriberGrpcTransport(channel=channel))
        for number in range(1, math.ceil(concurrency / _EMULATOR)):
            subscriber.create_subscription(
                request={
                    "name": subscriber.subscription_path(project, f"{topic}-more-{number}"),
                    "topic": PublisherClient.topic_path(project, topic),
                    "push_config": {"push_endpoint": made.address("analyse")},
                    "ack_deadline_seconds": 600,
                }
            )


def drain(place: Deployment, load_: Load, model: Thinking) -> Drain:
    """Sync red cases, wait until their jobs have ended."""
    _sync(place, 1)  # loads the client library, opens connections
    _wait(place, 1, _PATIENCE_SECONDS)
    warm = {job.id for job in _jobs(place)}
    model.asked.clear()
    before = _processor(place)
    took_sync = _sync(place, load_.cases)
    ideal = ideal_seconds(load_, model.seconds)
    _wait(place, load_.cases + 1, max(_PATIENCE_SECONDS, ideal * _PATIENCE_TIMES))
    after = _processor(place)
    found = [job for job in _jobs(place) if job.id not in warm]
    ends, ages, again = [], [], 0
    for job in found:
        at = {state: [e["at"] for e in job.history if e["state"] == state] for state in jobs.STATES}
        again += max(0, len(at[jobs.DONE]) - 1)
        ends += at[jobs.DONE]
        ages += [(at[jobs.RUNNING][0] - job.created_at) / 1000] if at[jobs.RUNNING] else []
    began = min(job.created_at for job in found)
    return Drain(
        took=(max(ends) - began) / 1000,
        sync=took_sync,
        ages=sorted(ages),
        duplicates=again + sum(model.asked.values()) - len(model.asked),
        unfinished=load_.cases - sum(job.state == jobs.DONE for job in found),
        processor={name: after[name] - before[name] for name in after},
    )


def ideal_seconds(load_: Load, model_seconds: float) -> float:
    """What the burst takes if nothing but the model takes time."""
    return math.ceil(load_.cases / load_.concurrency) * model_seconds


def _sync(place: Deployment, cases: int) -> float:
    stem = uuid.uuid4().hex[:8]
    place.join(f"chw-{stem}", f"team-{stem}")
    phone = place.phone(f"chw-{stem}")
    phone.save("patients", f"{stem}-p", demographics={"age": 50})
    for number in range(cases):
        # in letters: a long number is taken for a telephone's and blanked before the model sees it
        triage = {"site": "".join(ascii_lowercase[int(digit)] for digit in str(number))}
        phone.save(
            "cases",
            f"{stem}-{number}",
            patient_id=f"{stem}-p",
            risk_level="red",
            triage_data=triage,
        )
    began = time.perf_counter()
    phone.sync()
    return time.perf_counter() - began


def _jobs(place: Deployment) -> list[jobs.Job]:
    return [jobs.Job.of(document) for document in place.store.query(Query(jobs.COLLECTION))]


def _processor(place: Deployment) -> dict[str, float]:
    """Processor seconds so far of the subscriber and, where they serve, of both emulators."""
    children = processes.descendants(os.getpid())
    port = place.stack.address("analyse").rstrip("/").rpartition(":")[2]
    found = {_OWN: processes.cpu_seconds(processes.named(children, "--port", port))}
    if place.settings.record_store == "firestore":
        for name, variable in (
            ("Firestore emulator", stacks.FIRESTORE),
            ("Pub/Sub emulator", stacks.PUBSUB),
        ):
            port = os.environ[variable].rpartition(":")[2]
            emulator = processes.named(children, f"--port={port}")
            found[name] = processes.cpu_seconds(emulator)
    return found


def _wait(place: Deployment, count: int, seconds: float) -> None:
    """Return when so many jobs have ended, or after so long: what did not end is counted."""
    until = time.monotonic() + seconds
    ended = Query(jobs.COLLECTION, where=(("state", "in", sorted(jobs.FINAL)),), fields=("state",))
    while time.monotonic() < until:
        if sum(1 for _ in place.store.query(ended)) >= count:
            return
        place.stack.check()
        time.sleep(0.5)


def run(quick: bool) -> Report:
    """Drain the bursts on both profiles; those whose workers mostly wait, all at the same time."""
    report = Report("ai_path")
    seconds = 0.1 if quick else 2.0
    with ExitStack() as stack:
        profiles = list(PROFILES)
        try:
            stack.enter_context(stacks.emulated())
        except emulators.EmulatorMissing as error:
            report.absent.append(f"{_EMULATED}: {error}")
            profiles.remove(_EMULATED)
        bursts = [(profile, load_) for load_ in (QUICK if quick else FULL) for profile in profiles]
        together = [] if quick else [each for each in bursts if each[1].concurrency <= _MOSTLY_IDLE]
        found = dict(zip(together, _drained(together, seconds), strict=True))
        for burst in bursts:
            if burst not in found:
                [found[burst]] = _drained([burst], seconds)
            _tell(report, *burst, seconds, found[burst], judged=not quick)
    return report


def _drained(bursts: Sequence[tuple[str, Load]], seconds: float) -> list[Drain]:
    """What became of each of these bursts; all stacks are up before the first case arrives."""
    if not bursts:
        return []
    with ExitStack() as stack:
        models = [Thinking(seconds) for _ in bursts]
        places = [
            stack.enter_context(deployment(profile, load_, model))
            for (profile, load_), model in zip(bursts, models, strict=True)
        ]
        pool = stack.enter_context(ThreadPoolExecutor(len(bursts)))
        found = list(pool.map(drain, places, [load_ for _, load_ in bursts], models))
    if sum(profile == _EMULATED for profile, _ in bursts) > 1:
        # what the emulators took cannot be told apart
        found = [each._replace(processor={_OWN: each.processor[_OWN]}) for each in found]
    return found


def _tell(
    report: Report, profile: str, load_: Load, seconds: float, found: Drain, *, judged: bool
) -> None:
    case = (
        f"{profile}: {load_.cases} red cases at concurrency {load_.concurrency}, model {seconds} s"
    )
    ideal = ideal_seconds(load_, seconds)
    report.row(f"{case}: throughput", "floor", "analyses/s", [load_.cases / ideal], "the ideal")
    report.row(f"{case}: throughput", "ours", "analyses/s", [load_.cases / found.took])
    for share in (0.5, 0.95, 1.0):
        # in the ideal the n-th job waits for the rounds before it
        place = max(0, math.ceil(share * load_.cases) - 1)
        name = f"{case}: wait for a worker, p{share * 100:.0f}"
        report.row(name, "floor", "s", [place // load_.concurrency * seconds])
        report.row(name, "ours", "s", [found.ages[min(place, len(found.ages) - 1)]])
    report.row(f"{case}: the sync that brought them", "ours", "s", [found.sync])
    for name, taken in found.processor.items() if processes.READABLE else ():
        row = f"{case}: processor time an analysis, {name}"
        report.row(row, "ours", "ms", [taken / load_.cases * 1000])
    report.goal(
        f"{case}: every case done, none twice",
        f"{found.unfinished} not done, {found.duplicates} duplicates",
        found.unfinished == 0 and found.duplicates == 0,
    )
    share = ideal / found.took
    if judged:
        least = LEAST[load_.concurrency]
        parts = ", ".join(
            f"{who} {spent / load_.cases * 1000:.0f}" for who, spent in found.processor.items()
        )
        why = f"Of two cores an analysis takes, in ms: {parts}; all of a round end at the same moment."
        report.goal(f"{case}: ≥ {least:.0%} of the ideal", f"{share:.0%}", share >= least, why)


main(__name__, run)
