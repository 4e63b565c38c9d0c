"""Hide the red: fleets, a doctor and an odd model, and no red signal is silent.

`dermadetect/fleet/red.py` says what is played and what counts as seen. Here one seed on each store for
every run, more for `make proof`, long campaigns for `make soak`, and what the auditor must not take for
seen.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator

import pytest

from tests import stores
from tests.dermadetect.fleet import red
from tests.dermadetect.fleet.campaign import PACE, Plan
from tests.dermadetect.fleet.ledger import Key, Shade
from tests.dermadetect.fleet.proxy import Proxy
from tests.dermadetect.fleet.red import LOOK, RED, Look, Signal
from tests.dermadetect.fleet.server import Server, serving

#: Steps of each phone with the one seed of every run.
SHORT = {"sqlite": 30, "firestore": 15}

#: Seeds of `make proof`, and steps of each phone.
PROOF = {"sqlite": (range(1, 9), 50), "firestore": (range(1, 3), 40)}

#: Seeds of the long campaigns, beginning anywhere.
SOAK = {"sqlite": 300, "firestore": 30}

Serve = Callable[[str], Server]


@pytest.fixture(scope="module")
def serve(request: pytest.FixtureRequest) -> Iterator[Serve]:
    """Back ends by kind of store, each with the odd model."""
    model = red.odd_model()
    settings = model.__enter__()

    def start(kind: str) -> Server:
        if kind == "firestore":
            request.getfixturevalue("firestore_emulator")
        context = serving(kind, settings)
        request.addfinalizer(lambda: context.__exit__(None, None, None))
        return context.__enter__()

    yield start
    model.__exit__(None, None, None)


def play(server: Server, plans: list[Plan]) -> dict[str, int]:
    """The plans one after the other; fails with the stories of what was silent."""
    line = Proxy(server.address, pace=PACE)
    try:
        reports = [red.run(server, plan, line) for plan in plans]
    finally:
        line.close()
    for report in reports:
        print(report.line())
    wrong = [report.text() for report in reports if report.violations]
    assert not wrong, "\n".join(wrong)
    return {name: sum(report.counts[name] for report in reports) for name in _WORK}


_WORK = (
    "signals that arrived",
    "in the list",
    "in the inbox",
    "judged",
    "doctor's acts",
    "deletions",
)


@pytest.mark.parametrize("kind", stores.BOTH)
def test_a_short_campaign_hides_no_red_signal(serve: Serve, kind: str) -> None:
    done = play(serve(kind), [Plan(2, 3, SHORT[kind], transfers=True)])
    assert done["signals that arrived"] > 0


@pytest.mark.proof
@pytest.mark.parametrize("kind", stores.BOTH)
def test_no_red_signal_is_silent_whatever_happens(serve: Serve, kind: str) -> None:
    seeds, ops = PROOF[kind]
    done = play(serve(kind), [Plan(seed, 3, ops, transfers=seed % 2 == 0) for seed in seeds])
    # it was work enough
    assert done["signals that arrived"] > 3 * len(seeds)
    assert min(done.values()) > 0, done


@pytest.mark.soak
@pytest.mark.parametrize("transfers", [False, True], ids=["settled", "transfers"])
@pytest.mark.parametrize("kind", stores.BOTH)
def test_long_campaigns_hide_nothing(serve: Serve, kind: str, transfers: bool) -> None:
    first = 1000 + secrets.randbelow(10**6)
    play(
        serve(kind),
        [Plan(seed, 3, 60, transfers=transfers) for seed in range(first, first + SOAK[kind])],
    )


# --- what the auditor does not take for seen

CASE = Key("cases", "c1")
SHADE = Shade(CASE, "p0", "green", "RED", 10, 0, 0)
COLOUR = Signal(CASE, "p0", None, SHADE, RED, 11, "colour")
ANSWER = Signal(CASE, "p0", "<1.p0.1>", None, RED, 11, "answer")


@pytest.mark.parametrize(
    ("look", "covers"),
    [
        (Look("c1", 20, frozenset(), RED), True),
        (Look("c1", 20, frozenset(), LOOK), False),
        (Look("c1", 5, frozenset(), RED), False),  # before the signal
        (Look("c2", 20, frozenset(), RED), False),
        (Look("c1", 5, frozenset({"<1.p0.1>"}), LOOK), None),
    ],
)
def test_a_look_covers_what_stood_there(look: Look, covers: bool | None) -> None:
    assert red.judged(look, COLOUR) is bool(covers)
    assert red.judged(look, ANSWER) is (covers is None or covers)


def test_an_entry_shows_a_signal_that_stands_in_it() -> None:
    assert red.stands_in(COLOUR, '{"sent": {"risk_level": "RED"}}')
    assert red.stands_in(COLOUR, '{"sent": {"risk_level": "red"}}')
    assert not red.stands_in(COLOUR, '{"urgent": false, "sent": {"risk_level": "green"}}')
    assert red.stands_in(ANSWER, '{"sent": {"note": "<1.p0.1>"}}')
    assert not red.stands_in(ANSWER, '{"sent": {"note": "<1.p0.2>"}}')
