"""Real WatermelonDB phones: the stock `synchronize()` of the npm package, under Node.

`NodePhone` drives `phone.cjs` by lines of JSON. The package is installed once into the virtual
environment's folder, from the lock file beside it.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from queue import Empty, Queue
from typing import Any

from shared.products.dermadetect import PRODUCT
from shared.schema_js import module

HERE = Path(__file__).parent

#: Longest that one command of a phone may take, seconds.
PATIENCE_SECONDS = 120.0


class NodeMissing(Exception):
    """Node or npm is not installed."""


def install() -> Path:
    """The folder with the phone and its packages; made on first use. Raises `NodeMissing`."""
    if not shutil.which("node") or not shutil.which("npm"):
        raise NodeMissing("Node and npm are needed for the WatermelonDB phones")
    folder = Path(sys.prefix) / "watermelon-phone"
    folder.mkdir(exist_ok=True)
    lock = (HERE / "package-lock.json").read_text()
    done = folder / "installed"
    if not done.exists() or done.read_text() != lock:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, folder / name)
        subprocess.run(
            ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"],
            cwd=folder,
            check=True,
        )
        done.write_text(lock)
    shutil.copy(HERE / "phone.cjs", folder / "phone.cjs")
    (folder / "schema.js").write_text(module(PRODUCT))
    return folder


class SyncFailed(Exception):
    """The phone's `synchronize()` threw; the message is JavaScript's."""


class NodePhone:
    """One phone with its own in-memory database. Use as a context manager."""

    def __init__(self, folder: Path, url: str, token: str, device: str) -> None:
        self._process = subprocess.Popen(
            ["node", "phone.cjs", "./schema.js"],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._lines: Queue[str] = Queue()
        threading.Thread(target=self._read, daemon=True).start()
        self.settings(url=url, token=token, device=device)

    def _read(self) -> None:
        if self._process.stdout is not None:
            for line in self._process.stdout:
                if line.startswith("@@"):
                    self._lines.put(line[2:])
        self._lines.put("")

    def _do(self, op: str, **given: Any) -> Any:
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
        self._do("settings", **given)

    def create(self, table: str, name: str, **values: Any) -> None:
        self._do("create", table=table, id=name, values=values)

    def create_many(self, table: str, rows: list[dict[str, Any]]) -> None:
        self._do("createMany", table=table, rows=rows)

    def update(self, table: str, name: str, **values: Any) -> None:
        self._do("update", table=table, id=name, values=values)

    def delete(self, table: str, name: str) -> None:
        self._do("delete", table=table, id=name)

    def sync(self) -> dict[str, Any]:
        value: dict[str, Any] = self._do("sync")
        return value

    def rows(self, table: str) -> dict[str, dict[str, Any]]:
        return {row["id"]: row for row in self._do("rows", table=table)}

    def unsynced(self) -> bool:
        return bool(self._do("unsynced"))

    def reset(self) -> None:
        self._do("reset")

    def close(self) -> None:
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> NodePhone:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
