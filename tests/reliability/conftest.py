"""Deployments that tests may hurt: short leases, quick sweeps, a model under the test's control."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from infra.local.phone import Json, Phone, ServerRefused
from infra.local.stack import Stack
from infra.local.vertex import VertexServer
from shared.adapters.pubsub import PubSubDoorbell
from shared.adapters.sqlite_queue import FILE_NAME, SqliteDoorbell
from shared.jobs.queue import Doorbell
from shared.records.bell import Bell
from tests.e2e.conftest import PROFILES, Deployment
from tests.patience import until

#: How long a worker that died holds its job, seconds; and the longest answer of a model. Both are waited
#: for: a busy machine must keep well below the second, or a job is run again that nobody killed.
LEASE_SECONDS, MODEL_SECONDS = 12, 8


class Ward(Deployment):
    """A deployment with its model server and the folder from which its processes are killed."""

    def __init__(self, stack: Stack, vertex: VertexServer, kill_folder: Path) -> None:
        super().__init__(stack)
        self.vertex, self.kill_folder = vertex, kill_folder

    def team(self) -> tuple[str, str]:
        """A user alone in a new team."""
        name = uuid.uuid4().hex[:8]
        self.join(f"chw-{name}", f"team-{name}")
        return f"chw-{name}", f"team-{name}"

    def ring(self, bell: Bell, times: int) -> None:
        """Deliver a bell so many times more, as Pub/Sub may."""
        doorbell: Doorbell
        if self.settings.job_queue == "pubsub":
            doorbell = PubSubDoorbell(
                self.settings.google_cloud_project, self.settings.topic_prefix
            )
        else:
            doorbell = SqliteDoorbell(self.stack.data / FILE_NAME)
        for _ in range(times):
            doorbell.ring(bell)
        doorbell.close()

    def died(self, point: str) -> int:
        """How many processes died at a point so far."""
        return len(list(self.kill_folder.glob(f"died-{point}-*")))


def insist(phone: Phone, body: Json) -> Json:
    """Send as an app does: the same request again until there is an answer."""

    def answered() -> Json | None:
        try:
            return phone.send(body, phone)
        except (OSError, ValueError, ServerRefused) as error:
            if isinstance(error, ServerRefused) and error.status < 500:
                raise
            return None

    return until(answered, "an answer", 0.2) or {}


@pytest.fixture(scope="session")
def wards(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Ward]]:
    """Wards by profile, each started once."""
    running: dict[str, Ward] = {}

    def start(profile: str) -> Ward:
        if profile in running:
            return running[profile]
        if profile == "emulator":
            request.getfixturevalue("firestore_emulator")
            request.getfixturevalue("pubsub_emulator")
        vertex = VertexServer().start()
        folder = tmp_path_factory.mktemp(f"ward-{profile}")
        kill_folder = folder / "kill"
        kill_folder.mkdir()
        environ = {
            "GOOGLE_CLOUD_PROJECT": f"ward-{uuid.uuid4().hex[:8]}",
            "MODEL": "vertex",
            "VERTEX_ENDPOINT": "1234567890",
            "VERTEX_API_ENDPOINT": vertex.url,
            "VERTEX_CREDENTIALS": "anonymous",
            "REQUESTS_CA_BUNDLE": str(vertex.ca),
            "NO_PROXY": "localhost,127.0.0.1",
            "KILL_FOLDER": str(kill_folder),
            "LEASE_SECONDS": str(LEASE_SECONDS),
            "MODEL_TIMEOUT_SECONDS": str(MODEL_SECONDS),
            "RETRY_BASE_SECONDS": "0.2",
        }
        stack = Stack(
            profile=profile,
            data=folder,
            sweep_seconds=0.5,
            min_backoff_seconds=1,
            environ=environ,
        )
        running[profile] = Ward(stack.start(), vertex, kill_folder)
        return running[profile]

    yield start
    for ward in running.values():
        ward.store.close()
        ward.stack.stop()
        ward.vertex.close()


@pytest.fixture(params=PROFILES)
def ward(request: pytest.FixtureRequest, wards: Callable[[str], Ward]) -> Ward:
    """A running deployment of a profile, to be hurt and healed."""
    return wards(request.param)
