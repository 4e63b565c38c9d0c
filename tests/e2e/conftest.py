"""The whole back end, started as a user starts it, on both profiles."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator

import pytest

from infra.local.phone import Phone, over_http
from infra.local.stack import Stack
from shared.access import membership
from shared.accounts import tokens
from shared.adapters.file_keys import FileKeys
from shared.adapters.firestore import FirestoreStore
from shared.adapters.sqlite import SqliteStore
from shared.records.store import RecordStore
from shared.settings import load
from tests.sync.clinic import wall_ms

PROFILES = ("local", "emulator")


class Deployment:
    """A running stack, with the means to look into its store and to make phones for it."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.settings = load(stack.environ)
        self.policy = tokens.TokenPolicy(
            self.settings.token_issuer, self.settings.token_audience, user_claim="chw_id"
        )
        self.keys = FileKeys(stack.data / "keys")
        self.store: RecordStore
        if self.settings.record_store == "firestore":
            self.store = FirestoreStore(self.settings.google_cloud_project)
        else:
            self.store = SqliteStore(stack.data / "records.db")

    def join(self, user: str, team: str, role: str = "chw") -> None:
        membership.grant(self.store, user, team, role, wall_ms())

    def token(self, user: str, role: str = "chw", seconds: int = tokens.ACCESS_SECONDS) -> str:
        return tokens.issue(
            self.keys.current(),
            self.policy,
            user_id=user,
            role=role,
            now_s=wall_ms() / 1000,
            seconds=seconds,
        )

    def phone(self, user: str, device: str | None = None) -> Phone:
        return Phone(over_http(self.stack.url, self.token(user)), user, device or f"{user}-phone")


@pytest.fixture(scope="session")
def deploy(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Deployment]]:
    """Deployments by profile, each started once. Sweeps are an hour apart: bells must do it."""
    running: dict[str, Deployment] = {}

    def start(profile: str) -> Deployment:
        if profile not in running:
            if profile == "emulator":
                request.getfixturevalue("firestore_emulator")
                request.getfixturevalue("pubsub_emulator")
            environ = {
                "GOOGLE_CLOUD_PROJECT": f"e2e-{uuid.uuid4().hex[:8]}",
                "TOPIC_PREFIX": "e2e-",
                "LOG_LEVEL": "DEBUG",
            }
            stack = Stack(
                profile=profile,
                data=tmp_path_factory.mktemp(profile),
                sweep_seconds=3600,
                min_backoff_seconds=1,
                environ=environ,
            )
            running[profile] = Deployment(stack.start())
        return running[profile]

    yield start
    for deployment in running.values():
        deployment.store.close()
        deployment.stack.stop()


@pytest.fixture(params=PROFILES)
def deployment(request: pytest.FixtureRequest, deploy: Callable[[str], Deployment]) -> Deployment:
    """The running back end of a profile."""
    return deploy(request.param)
