"""The back end of a campaign: one process group that may be killed, and its store for the auditor.

It is the `local` profile of the stack (one gunicorn worker for all functions, and the postman), on
SQLite or on the Firestore emulator. It starts again on the same port and data in about half a second.
"""

from __future__ import annotations

import http.client
import json
import os
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from infra.local import emulators
from infra.local.stack import Stack
from shared.accounts import tokens
from shared.adapters.file_keys import FileKeys
from shared.adapters.firestore import FirestoreStore
from shared.adapters.sqlite import SqliteStore
from shared.records.killpoints import aim
from shared.records.store import RecordStore
from shared.settings import load
from tests.patience import PATIENCE_SECONDS

#: Where a worker may be told to die: around a push's commit, and in the middle of a listing.
POINTS = ("push.read", "push.committed", "sync.rung", "pull.listing")

_TOKEN_SECONDS = 86_400


class Server:
    """A running back end. `store` is the auditor's own view of its data."""

    def __init__(self, stack: Stack, kill_folder: Path) -> None:
        self.stack, self.kill_folder = stack, kill_folder
        settings = load(stack.environ)
        self._policy = tokens.TokenPolicy(
            settings.token_issuer, settings.token_audience, user_claim="chw_id"
        )
        self._keys = FileKeys(stack.data / "keys")
        self.store: RecordStore
        if settings.record_store == "firestore":
            self.store = FirestoreStore(settings.google_cloud_project)
        else:
            self.store = SqliteStore(stack.data / "records.db")

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self.stack.port

    def token(self, user: str) -> str:
        """An access token for a health worker, good for a day."""
        return tokens.issue(
            self._keys.current(),
            self._policy,
            user_id=user,
            role="chw",
            now_s=time.time(),
            seconds=_TOKEN_SECONDS,
        )

    def sweep(self) -> dict[str, Any] | None:
        """One round of the sweeper: runs cascades, rings for what is due. None: no answer."""
        url = urlsplit(self.stack.address("sweeper"))
        connection = http.client.HTTPConnection(
            url.hostname or "", url.port, timeout=PATIENCE_SECONDS
        )
        try:
            headers = {"Content-Type": "application/json", **self.stack.own_headers}
            connection.request("POST", url.path, b"{}", headers)
            response = connection.getresponse()
            value: dict[str, Any] = json.loads(response.read())
            return value if response.status == 200 else None
        except (OSError, http.client.HTTPException, ValueError):
            return None
        finally:
            connection.close()

    # --- kills

    def aim(self, point: str) -> None:
        """Let the worker that next reaches this point die there by SIGKILL; another one takes over."""
        aim(self.kill_folder, point)

    def disarm(self) -> None:
        """Nobody needs to die any more."""
        with suppress(FileNotFoundError):
            (self.kill_folder / "next").unlink()

    def deaths(self) -> int:
        """How many workers have died at a point so far."""
        return len(list(self.kill_folder.glob("died-*")))

    def power_cut(self) -> None:
        """SIGKILL to everything that serves."""
        self.stack.kill()

    def restart(self) -> None:
        """Serve again, from what is on disk."""
        self.stack.start()


@contextmanager
def serving(kind: str, more: Mapping[str, str] | None = None) -> Iterator[Server]:
    """A fresh back end on `sqlite` or `firestore` for the length of the block, with `more` settings.

    Starts the Firestore emulator unless FIRESTORE_EMULATOR_HOST names one; raises `EmulatorMissing`
    if it is not installed. Sweeps happen when a campaign asks for one.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fleet-")))
        if kind == "firestore" and not os.environ.get("FIRESTORE_EMULATOR_HOST"):
            emulator = emulators.start(emulators.FIRESTORE)
            stack.callback(emulator.stop)
            os.environ["FIRESTORE_EMULATOR_HOST"] = emulator.address
            stack.callback(os.environ.pop, "FIRESTORE_EMULATOR_HOST", None)
        kill_folder = folder / "kill"
        kill_folder.mkdir()
        backend = Stack(
            profile="local",
            data=folder / "data",
            workers=1,
            sweep_seconds=86_400,
            min_backoff_seconds=1,
            environ={
                "RECORD_STORE": kind,
                "JOB_QUEUE": "sqlite",
                "MODEL": "scripted",
                "GOOGLE_CLOUD_PROJECT": f"fleet-{uuid.uuid4().hex[:8]}",
                "KILL_FOLDER": str(kill_folder),
                # a worker that dies in a cascade must not hold it for ten minutes
                "LEASE_SECONDS": "5",
                "MODEL_TIMEOUT_SECONDS": "2",
                "RETRY_BASE_SECONDS": "0.2",
                # small pages, so that a fleet's few records take several
                "PAGE_ROWS": "12",
                "LOG_LEVEL": "WARNING",
                **(more or {}),
            },
        )
        stack.enter_context(backend)
        server = Server(backend, kill_folder)
        stack.callback(server.store.close)
        yield server
