"""The mobile kit: what is generated, its own tests, and phones with it against a running back end.

`KitPhone` is a phone on WatermelonDB, `BatchPhone` speaks the batch dialect. Both run the compiled kit in
Node, and take commands as lines of JSON.
"""

from __future__ import annotations

import json
import subprocess
import threading
from pathlib import Path
from queue import Empty, Queue
from typing import Any, Self

from tests.patience import PATIENCE_SECONDS, until

Json = dict[str, Any]


class SyncFailed(Exception):
    """What the phone was told to do threw; the message is JavaScript's."""


class Driven:
    """A script in the folder of the compiled kit that takes commands. Use as a context manager."""

    script = ""

    def __init__(self, kit: Path, url: str, token: str, device: str, **more: Any) -> None:
        self._process = subprocess.Popen(
            ["node", str(kit / self.script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._lines: Queue[str] = Queue()
        threading.Thread(target=self._read, daemon=True).start()
        self.settings(url=url, token=token, device=device, **more)

    def _read(self) -> None:
        if self._process.stdout is not None:
            for line in self._process.stdout:
                if line.startswith("@@"):
                    self._lines.put(line[2:])
        self._lines.put("")

    def do(self, op: str, **given: Any) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"op": op, **given}) + "\n")
        self._process.stdin.flush()
        try:
            line = self._lines.get(timeout=PATIENCE_SECONDS)
        except Empty:
            raise SyncFailed(f"{op} took longer than {PATIENCE_SECONDS} s") from None
        if not line:
            raise SyncFailed(f"the phone ended during {op}")
        answer = json.loads(line)
        if not answer["ok"]:
            raise SyncFailed(answer["error"])
        return answer["value"]

    def settings(self, **given: Any) -> None:
        self.do("settings", **given)

    def sync(self) -> Any:
        """Pull and push; raises `SyncFailed`."""
        return self.do("sync")

    def call(self) -> Json:
        """What an app calls: never fails, says what to do next."""
        value: Json = self.do("call")
        return value

    def restart(self) -> None:
        """The app starts anew on what is on disk."""
        self.do("restart")

    def logged(self) -> list[str]:
        """What the console said since the last question, as a developer reads it."""
        value: list[str] = self.do("logged")
        return value

    def check(self) -> str:
        """How the phone compares with the server."""
        return str(self.do("check")["state"])

    def verify(self) -> str:
        """Compare, and repair what differs."""
        return str(self.do("verify")["state"])

    def take(self, record_id: str, key: str, file: Path) -> None:
        """A photo of a case was taken."""
        self.do("take", table="cases", record_id=record_id, key=key, uri=str(file))

    def send(self) -> Json:
        """What an app calls after a sync: photos go; says what to do next."""
        value: Json = self.do("send")
        return value

    def photos(self) -> list[Json]:
        """What is kept of photos that are not safely on the server."""
        value: list[Json] = self.do("photos")
        return value

    def settled(self) -> list[Json]:
        """What the app was told of photos."""
        value: list[Json] = self.do("settled")
        return value

    def close(self) -> None:
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class KitPhone(Driven):
    """A WatermelonDB phone: in memory, or on SQLite with `adapter="sqlite"` and a `file`."""

    script = "phone.mjs"

    def create(self, table: str, name: str, **values: Any) -> None:
        self.do("create", table=table, id=name, values=values)

    def create_many(self, table: str, rows: list[Json]) -> None:
        """Rows as they are kept, past the repository."""
        self.do("createMany", table=table, rows=rows)

    def update(self, table: str, name: str, **values: Any) -> None:
        self.do("update", table=table, id=name, values=values)

    def delete(self, table: str, name: str) -> None:
        self.do("delete", table=table, id=name)

    def tamper(self, table: str, name: str, **values: Any) -> None:
        self.do("tamper", table=table, id=name, values=values)

    def rows(self, table: str) -> dict[str, Json]:
        return {row["id"]: row for row in self.do("rows", table=table)}

    def analysed(self, case: str) -> Json:
        """A case when the model has read it: an analysis alone may say that a busy one has not yet."""

        def read() -> bool:
            self.sync()
            return bool(self.rows("medgemma_queue")[case]["status"] == "done")

        until(read, "the analysis", 0.2)
        return self.rows("cases")[case]

    def unsynced(self) -> bool:
        return bool(self.do("unsynced"))

    def shown(self) -> list[Json]:
        value: list[Json] = self.do("shown")
        return value

    def reset(self) -> None:
        self.do("reset")


class BatchPhone(Driven):
    """A phone with the batch dialect, on a store that survives power cuts."""

    script = "batch.mjs"

    def save(self, table: str, name: str, **values: Any) -> None:
        self.do("save", table=table, id=name, values=values)

    def remove(self, table: str, name: str) -> None:
        self.do("remove", table=table, id=name)

    def kept(self, prefix: str) -> dict[str, Any]:
        """What the store holds under keys that begin so."""
        value: dict[str, Any] = self.do("list", prefix=prefix)
        return value

    def row(self, table: str, name: str) -> Json | None:
        return self.kept(f"row/{table}/{name}").get(f"row/{table}/{name}")

    def put(self, **values: Any) -> None:
        self.do("put", values=values)


Phone = KitPhone | BatchPhone
