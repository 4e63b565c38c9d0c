"""Models of servers under load, in plain Python: events one by one, and a fluid for very many.

Two kinds of place where work waits: a `Line` of servers (first come, first served) and a `Shared`
processor (everyone at once, each the slower; a Python process with threads is one). A request takes a
slot of an instance, works on its processor, waits for the store, and gives the slot back.

Validated by `tests/benchmarks/test_simulate.py`: a `Line` against Erlang's formula for M/M/c, `Shared`
against M/M/1 with processor sharing, the fluid against the events. Same seed, same numbers.
"""

from __future__ import annotations

import heapq
import math
import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, count

Then = Callable[[], None]


class Clock:
    """Simulated seconds; does what is due, in order."""

    def __init__(self) -> None:
        self.now = 0.0
        self._due: list[tuple[float, int, Then]] = []
        self._order = count()

    def after(self, seconds: float, then: Then) -> None:
        """Do something so much later."""
        heapq.heappush(self._due, (self.now + seconds, next(self._order), then))

    def run(self) -> None:
        """Until nothing is due any more."""
        while self._due:
            self.now, _, then = heapq.heappop(self._due)
            then()


class Line:
    """`servers` places; who finds none free waits, first come first served."""

    def __init__(self, servers: int) -> None:
        self.free = servers
        self.waiting: deque[Then] = deque()

    def take(self, then: Then) -> None:
        if self.free:
            self.free -= 1
            then()
        else:
            self.waiting.append(then)

    def give_back(self) -> None:
        if self.waiting:
            self.waiting.popleft()()
        else:
            self.free += 1


class Shared:
    """`cores` that everyone shares equally, nobody faster than one core.

    Everyone present gains the same `attained` service a second, so who entered with the least
    total leaves first: one heap, however often the speed changes.
    """

    def __init__(self, clock: Clock, cores: float) -> None:
        self._clock, self._cores = clock, cores
        self._attained, self._at = 0.0, 0.0
        self._heap: list[tuple[float, int, Then]] = []
        self._order, self._version = count(), 0

    def enter(self, seconds: float, then: Then) -> None:
        """Work for so many seconds of one core, then go on."""
        self._catch_up()
        heapq.heappush(self._heap, (self._attained + seconds, next(self._order), then))
        self._plan()

    def _speed(self) -> float:
        return min(1.0, self._cores / len(self._heap)) if self._heap else 0.0

    def _catch_up(self) -> None:
        self._attained += (self._clock.now - self._at) * self._speed()
        self._at = self._clock.now

    def _plan(self) -> None:
        self._version += 1
        if self._heap:
            version = self._version
            left = max(0.0, self._heap[0][0] - self._attained)
            self._clock.after(left / self._speed(), lambda: self._leave(version))

    def _leave(self, version: int) -> None:
        if version != self._version:
            return  # somebody came or left meanwhile
        self._catch_up()
        self._attained = max(self._attained, self._heap[0][0])
        _, _, then = heapq.heappop(self._heap)
        self._plan()
        then()


@dataclass(frozen=True)
class Demand:
    """What one request takes, seconds: processor, the store's shared part, and mere waiting."""

    processor: float
    store: float = 0.0
    waiting: float = 0.0

    @property
    def alone(self) -> float:
        """How long it takes where nobody else is."""
        return self.processor + self.store + self.waiting


# --- a closed loop: what benchmarks/load.py measures


def closed(
    *,
    clients: int,
    servers: int,
    slots: int,
    one_writer: bool,
    draw: Callable[[random.Random], tuple[str, Demand]],
    requests: int,
    seed: int,
) -> tuple[float, dict[str, list[float]]]:
    """Clients without a pause at `servers` processes of `slots` threads each, with one store.

    A client keeps its connection, so it stays with the process that took it. The store lets one
    after the other in (`one_writer`), or shares one core among all. `draw` gives each request's
    kind and demand. Returns requests a second, and seconds by kind.
    """
    clock, dice = Clock(), random.Random(seed)
    processes = [(Line(slots), Shared(clock, 1.0)) for _ in range(servers)]
    writer, store = Line(1), Shared(clock, 1.0)
    took: dict[str, list[float]] = {}
    left = requests

    def ask(line: Line, processor: Shared) -> None:
        nonlocal left
        if left == 0:
            return
        left -= 1
        kind, demand = draw(dice)
        began = clock.now

        def done() -> None:
            line.give_back()
            took.setdefault(kind, []).append(clock.now - began)
            ask(line, processor)

        def wait() -> None:
            clock.after(demand.waiting, done)

        def written() -> None:
            writer.give_back()
            wait()

        def worked() -> None:
            if not demand.store:
                wait()
            elif one_writer:
                writer.take(lambda: clock.after(demand.store, written))
            else:
                store.enter(demand.store, wait)

        line.take(lambda: processor.enter(demand.processor, worked))

    for _ in range(clients):
        ask(*dice.choice(processes))
    clock.run()
    return requests / clock.now, took


# --- textbook queues, for validation


def mmc(arrivals: float, service: float, servers: int, requests: int, seed: int) -> float:
    """Mean wait in the line of M/M/c: random arrivals a second, exponential service seconds."""
    clock, dice, line = Clock(), random.Random(seed), Line(servers)
    waited: list[float] = []

    def arrive() -> None:
        if len(waited) + len(line.waiting) < requests:
            clock.after(dice.expovariate(arrivals), arrive)
        came = clock.now

        def served() -> None:
            waited.append(clock.now - came)
            clock.after(dice.expovariate(1 / service), line.give_back)

        line.take(served)

    arrive()
    clock.run()
    return sum(waited) / len(waited)


def erlang_wait(arrivals: float, service: float, servers: int) -> float:
    """The same by Erlang's C formula: P(wait) · service / (c − offered load)."""
    offered = arrivals * service
    if offered >= servers:
        return math.inf
    blocking = 1.0  # Erlang B by its recursion, which does not overflow
    for each in range(1, servers + 1):
        blocking = offered * blocking / (each + offered * blocking)
    waits = blocking / (1 - offered / servers * (1 - blocking))
    return waits * service / (servers - offered)


# --- instances that come and go


@dataclass(frozen=True)
class Service:
    """A function as Cloud Run serves it. Assumptions, with their sources in benchmarks/notes."""

    max_instances: int
    slots: int
    min_instances: int = 1
    start_seconds: float = 3.0  #: a new instance until it takes requests
    pending_seconds: float = 10.0  #: longest wait for a slot, then 429 (Cloud Run, autoscaling)
    target: float = 0.6  #: utilisation that the autoscaler aims at
    every_seconds: float = 5.0  #: between its decisions
    retry_seconds: tuple[float, float] = (30.0, 90.0)  #: of a phone that was refused

    def wanted(self, busy: float, working: float) -> int:
        """Instances for so many requests in hand, and so much processor time a second."""
        need = max(busy / self.slots, working) / self.target
        return min(self.max_instances, max(self.min_instances, math.ceil(need)))

    def rate(self, demand: Demand) -> float:
        """Requests a second that one instance can do."""
        return min(self.slots / demand.alone, 1 / demand.processor)


@dataclass
class Course:
    """How it went: one entry a second, and each phone's time from its first try to its answer."""

    took: list[float] = field(default_factory=list)
    arrived: list[float] = field(default_factory=list)
    done: list[float] = field(default_factory=list)
    instances: list[float] = field(default_factory=list)
    queue: list[float] = field(default_factory=list)
    refused: float = 0.0

    def percentile(self, share: float) -> float:
        """Seconds within which that share of the phones had synced."""
        return self.took[min(len(self.took) - 1, int(share * len(self.took)))]


def events(at: Sequence[float], service: Service, demand: Demand, seed: int) -> Course:
    """Every phone by itself; `at` are the seconds at which phones come online."""
    clock, dice, course = Clock(), random.Random(seed), Course()
    running = [_Instance(clock, service.slots) for _ in range(service.min_instances)]
    waiting: deque[_Request] = deque()
    starting = done = worked = 0

    def free() -> _Instance | None:
        best = max(running, key=lambda each: each.free)
        return best if best.free else None

    def serve() -> None:
        while waiting and (instance := free()):
            request = waiting.popleft()
            if not request.gone:
                request.taken = True
                instance.free -= 1
                begin(instance, request)

    def begin(instance: _Instance, request: _Request) -> None:
        def end() -> None:
            nonlocal done, worked
            done, worked = done + 1, worked + 1
            instance.free += 1
            course.took.append(clock.now - request.first)
            serve()

        rest = (demand.store + demand.waiting) * _varied(dice)
        work = demand.processor * _varied(dice)
        instance.processor.enter(work, lambda: clock.after(rest, end))

    def ask(first: float) -> None:
        request = _Request(first)
        waiting.append(request)
        serve()

        def give_up() -> None:
            if not request.taken:
                request.gone = True
                course.refused += 1
                clock.after(dice.uniform(*service.retry_seconds), lambda: ask(first))

        if not request.taken:
            clock.after(service.pending_seconds, give_up)

    def decide() -> None:
        nonlocal starting, worked
        busy = sum(service.slots - each.free for each in running)
        busy += sum(not each.gone for each in waiting)
        wanted = service.wanted(busy, worked * demand.processor / service.every_seconds)
        worked = 0
        for _ in range(wanted - len(running) - starting):
            starting += 1
            clock.after(service.start_seconds, join)
        course.instances.append(len(running))
        if done < len(at):
            clock.after(service.every_seconds, decide)

    def join() -> None:
        nonlocal starting
        starting -= 1
        running.append(_Instance(clock, service.slots))
        serve()

    for each in at:
        clock.after(each, lambda first=each: ask(first))  # type: ignore[misc]
    decide()
    clock.run()
    course.took.sort()
    return course


def _varied(dice: random.Random) -> float:
    """Around 1, with a standard deviation of a half: alike, requests would march in step."""
    return dice.gammavariate(4.0, 0.25)


class _Instance:
    def __init__(self, clock: Clock, slots: int) -> None:
        self.free, self.processor = slots, Shared(clock, 1.0)


@dataclass
class _Request:
    first: float
    taken: bool = False
    gone: bool = False


def fluid(
    arriving: Sequence[float],
    service: Service,
    demand: Demand,
    bound: Callable[[int], float] = lambda _second: math.inf,
    most_seconds: int = 86_400,
) -> Course:
    """The same for very many, second by second: `arriving` phones in each second.

    `bound` is the most syncs a second that the store takes, by second. Phones that are refused come
    back later, evenly over the retry time. `took` is by order: the n-th answer goes to the n-th phone.
    """
    course = Course()
    again: dict[int, float] = {}
    # who is refused has waited before, for as long as requests are kept pending
    low, high = (int(each + service.pending_seconds) for each in service.retry_seconds)
    running, ready, queue, left = float(service.min_instances), deque[int](), 0.0, sum(arriving)
    second = 0
    while left > 0.5 and second < most_seconds:
        while ready and ready[0] <= second:
            ready.popleft()
            running += 1
        came = arriving[second] if second < len(arriving) else 0.0
        queue += came + again.pop(second, 0.0)
        capacity = min(running * service.rate(demand), bound(second))
        finished = min(queue, capacity)
        queue -= finished
        left -= finished
        refused = max(0.0, queue - capacity * service.pending_seconds)
        if refused:
            queue -= refused
            course.refused += refused
            for later in range(low, high):
                again[second + later] = again.get(second + later, 0.0) + refused / (high - low)
        if second % int(service.every_seconds) == 0:
            busy = finished * demand.alone + queue
            wanted = service.wanted(busy, finished * demand.processor)
            for _ in range(wanted - int(running) - len(ready)):
                ready.append(second + math.ceil(service.start_seconds))
        course.arrived.append(came)
        course.done.append(finished)
        course.instances.append(running)
        course.queue.append(queue)
        second += 1
    course.took = _between(course.arrived, course.done, demand.alone)
    return course


#: Phones that a fluid's percentiles are taken of.
_PHONES = 2000


def _between(arrived: Sequence[float], done: Sequence[float], alone: float) -> list[float]:
    """Seconds between the n-th arrival and the n-th end, for evenly chosen n; sorted."""
    came, ended = list(accumulate(arrived)), list(accumulate(done))
    total, found, at, end = min(came[-1], ended[-1]), [], 0, 0
    for number in range(_PHONES):
        place = (number + 0.5) / _PHONES * total
        while came[at] < place:
            at += 1
        while ended[end] < place:
            end += 1
        found.append(max(0.0, float(end - at)) + alone)
    return sorted(found)
