"""benchmarks/ledger.json: what starting loads and what a sync asks of the store has not grown."""

from __future__ import annotations

import pytest

from benchmarks import ledger
from infra.local.table import load
from shared.products.known import names

KNOWN = ledger.known()


def agree(now: ledger.Counts) -> None:
    said = ledger.differences(KNOWN, now)
    if said:
        pytest.fail("\n".join(["benchmarks/ledger.json does not agree:", *said]), pytrace=False)


@pytest.mark.proof
def test_no_function_loads_more_at_its_start() -> None:
    agree(ledger.starts())


def test_no_sync_asks_more_of_the_store() -> None:
    agree(ledger.operations("sqlite"))


@pytest.mark.proof
def test_no_sync_asks_more_of_firestore(firestore_emulator: str) -> None:
    found = ledger.operations("firestore")
    assert found["client"].keys() == found["port"].keys()
    agree(found)


def test_every_function_and_kind_of_sync_is_in_the_ledger() -> None:
    assert KNOWN["starts"].keys() == {
        ledger.row(each, name) for each in names() for name in (*load(product=each), ledger.MADE)
    }
    assert KNOWN["port"].keys() == KNOWN["client"].keys()
    for dialect in ("batch", "watermelon"):
        assert sum(name.startswith(f"{dialect}: ") for name in KNOWN["port"]) >= 8


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        ({"port": {"a": {"reads": 1}}}, {"port": {"a": {"reads": 1}}}, None),
        (
            {"port": {"a": {"reads": 1}}},
            {"port": {"a": {"reads": 2}}},
            "port: a / reads grew from 1 to 2",
        ),
        (
            {"port": {"a": {"reads": 2}}},
            {"port": {"a": {"reads": 1}}},
            "port: a / reads shrank from 2 to 1",
        ),
        ({"port": {}}, {"port": {"a": {"reads": 1}}}, "port: a / reads is new: 1"),
        ({"port": {"a": {"reads": 1}}}, {"port": {}}, "port: a / reads is gone (was 1)"),
        # a section that was not measured is not compared
        ({"client": {"a": {"rpcs": 1}}, "port": {}}, {"port": {}}, None),
        # another release of a package may have more modules, but not a new package
        (
            {"releases": {"flask": "flask 1"}, "starts": {"sync": {"packages": {"flask": 1}}}},
            {"releases": {"flask": "flask 2"}, "starts": {"sync": {"packages": {"flask": 9}}}},
            None,
        ),
        (
            {"releases": {"flask": "flask 1"}, "starts": {"sync": {"packages": {"flask": 1}}}},
            {"releases": {"flask": "flask 1"}, "starts": {"sync": {"packages": {"flask": 9}}}},
            "starts: sync / packages / flask grew from 1 to 9",
        ),
        (
            {"releases": {"flask": "flask 1"}, "starts": {"sync": {"packages": {}}}},
            {
                "releases": {"flask": "flask 2", "numpy": "numpy 3"},
                "starts": {"sync": {"packages": {"numpy": 300}}},
            },
            "starts: sync / packages / numpy is new: 300",
        ),
    ],
)
def test_what_differs_is_named_with_the_way_to_renew(
    before: ledger.Counts, now: ledger.Counts, said: str | None
) -> None:
    found = ledger.differences(before, now)
    if said is None:
        assert found == []
    else:
        assert found[0] == said
        assert ledger.RENEW in found[-1]
        assert len(found) == 2
