"""benchmarks/load.py, crowd.py: what they make of samples, and that their client speaks to real servers."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import Any

import orjson
import pytest

from benchmarks import crowd, load, processes, profile
from benchmarks.load_client import Connection, FlaskPhone, Phone, PouchPhone, Refused
from benchmarks.measure import Report

pytestmark = pytest.mark.proof


@pytest.mark.parametrize(
    ("share", "value"), [(0.0, 1), (0.5, 5), (0.51, 6), (0.95, 10), (0.9, 9), (1.0, 10)]
)
def test_a_percentile_is_the_nearest_rank(share: float, value: float) -> None:
    assert load.percentile([10, 9, 8, 7, 6, 5, 4, 3, 2, 1], share) == value


def test_memory_is_told_by_quarters() -> None:
    memory = [(float(second), float(second // 25)) for second in range(101)]
    assert load.quarterly(memory) == [0, 1, 2, 3]
    with pytest.raises(ValueError, match="too few"):
        load.quarterly(memory[:5])


def test_a_phone_sends_its_patient_once_and_its_cases_with_new_ids() -> None:
    phone = Phone("amina", "token")
    first, second, idle = (orjson.loads(phone.body(new)) for new in (3, 3, 0))
    assert len(first["changes"]["patients"]) == 1
    assert "patients" not in second["changes"]
    assert idle["changes"] == {}
    ids = [case["id"] for body in (first, second) for case in body["changes"]["cases"]]
    assert len(set(ids)) == 6


@pytest.mark.skipif(not processes.READABLE, reason="needs Linux's /proc")
def test_syncs_of_a_real_server_are_measured() -> None:
    with load.server(load.SQLITE) as to:
        found = load.press(to, phones=6, seconds=60, connections=3, requests=30)
    assert found.syncs == 30
    assert found.errors == {}
    assert found.http_requests == 30
    assert found.cpu > 0
    assert found.memory[-1][1] > 10


class Scripted:
    """Answers in turn; keeps what was asked."""

    def __init__(self, *answers: Any) -> None:
        self._answers = list(answers)
        self.asked: list[tuple[str, str, Any]] = []

    async def ask(self, method: str, path: str, body: bytes | None = None, token: str = "") -> Any:
        self.asked.append((method, path, body and orjson.loads(body)))
        return self._answers.pop(0)


def test_a_phone_of_pouchdb_asks_what_is_missing_sends_that_and_takes_what_is_new() -> None:
    line = Scripted({"amina-1": {}}, [], {"last_seq": 7}, {"last_seq": 9})
    phone = PouchPhone("amina", "kito")
    asyncio.run(phone.sync(line, 2))
    asyncio.run(phone.sync(line, 0))
    diff, docs, changes, idle = line.asked
    assert diff[:2] == ("POST", "/kito/_revs_diff")
    assert set(diff[2]) == {"amina-0", "amina-1"}
    assert docs[:2] == ("POST", "/kito/_bulk_docs")
    assert not docs[2]["new_edits"]
    [sent] = docs[2]["docs"]
    assert [sent["_rev"]] == diff[2]["amina-1"] == [f"1-{sent['_revisions']['ids'][0]}"]
    assert len(sent["_rev"]) == 2 + 2 * hashlib.md5(usedforsecurity=False).digest_size
    assert changes == ("GET", "/kito/_changes?since=0&include_docs=true", None)
    assert idle == ("GET", "/kito/_changes?since=7&include_docs=true", None)
    with pytest.raises(Refused):
        asyncio.run(phone.sync(Scripted({"amina-2": {}}, [{"error": "forbidden"}]), 1))


def test_a_phone_of_flask_pushes_only_news_and_pulls_its_team() -> None:
    line = Scripted({"accepted": 1}, {"timestamp": 5, "cases": []}, {"timestamp": 6, "cases": []})
    phone = FlaskPhone("amina", "kito")
    asyncio.run(phone.sync(line, 1))
    asyncio.run(phone.sync(line, 0))
    push, pull, idle = line.asked
    assert push[:2] == ("POST", "/bulk")
    assert [(row["id"], row["team"]) for row in push[2]["cases"]] == [("amina-0", "kito")]
    assert pull == ("GET", "/bulk?since=0&team=kito", None)
    assert idle == ("GET", "/bulk?since=5&team=kito", None)


def test_a_connection_reads_chunks_and_names_refusals() -> None:
    ok, bad = "HTTP/1.1 200 OK\r\n", "HTTP/1.1 500 Oh\r\n"
    chunked = f'{ok}Transfer-Encoding: chunked\r\n\r\n5\r\n{{"a":\r\n2\r\n1}}\r\n0\r\n\r\n'
    answers = [
        chunked,
        f'{ok}Content-Length: 7\r\n\r\n{{"a":2}}',
        f"{bad}Content-Length: 3\r\n\r\n<p>",
        f'{bad}Content-Length: 29\r\nConnection: close\r\n\r\n{{"error":{{"code":"too_late"}}}}',
    ]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while answers:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answers.pop(0).encode())
        writer.close()

    async def talk() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        line = Connection("127.0.0.1", server.sockets[0].getsockname()[1])
        assert await line.ask("GET", "/") == {"a": 1}
        assert await line.ask("GET", "/") == {"a": 2}
        with pytest.raises(Refused, match="500 None"):
            await line.ask("GET", "/")
        with pytest.raises(Refused, match="500 too_late"):
            await line.ask("GET", "/")
        assert line.answered == 4
        server.close()

    asyncio.run(talk())


def turn(syncs: int, idle_ms: list[float]) -> load.Found:
    small = [20.0] * (syncs - len(idle_ms))
    took = {"idle": idle_ms, "small": small, "large": list[float]()}
    return load.Found(1.0, took, {}, syncs, 1.0, 0.0, [])


def test_a_crowd_is_judged_by_whole_syncs_beside_the_best_peer() -> None:
    report, asked = Report("crowd"), list[str]()

    def busy() -> str:
        asked.append("busy")
        return "it waits for the disk"

    found = {
        crowd.OURS: [turn(200, [10.0] * 99 + [25.0, 25.0])],
        crowd.POUCHDB: [turn(90, [5.0])],
        crowd.SQLALCHEMY: [turn(110, [5.0])],
    }
    crowd.tell(report, found)
    crowd.judge(report, found, busy)
    most, p95, tail = report.goals
    assert crowd.SQLALCHEMY in most.text
    assert (most.held, p95.held, tail.held) == (False, True, False)
    assert most.found == "1.82 × (200 and 110)"
    assert tail.found == "2.50 ×"
    assert "5.0 ms of the processors" in most.why
    assert tail.why == "it waits for the disk"
    assert asked == ["busy"]
    assert {row.who for row in report.rows if row.unit == "syncs/s"} == set(found)
    alone = Report("crowd")
    crowd.judge(alone, {crowd.OURS: found[crowd.OURS]})
    assert len(alone.goals) == 2  # without peers there is nothing to be ahead of


def test_frames_are_known_by_their_file_and_package() -> None:
    assert profile._own("push (shared/sync/push.py:31)") == "shared/sync/push.py push"
    where = str(Path("/srv/app/functions/sync.py"))
    assert profile._own(f"sync ({where}:9)") == "functions/sync.py sync"
    assert profile._own("wait (threading.py:320)") == ""
    assert profile._package("wait (threading.py:320)") == "Python"
    assert profile._package("call (grpc/_channel.py:1)") == "grpc"
    assert profile._package("x (google/api_core/retry.py:1)") == "google/api_core"
    assert profile._package("y (shared/sync/push.py:1)") == "shared/sync/push.py"
