"""Who is who in this process: settings choose adapters, adapters are made on first use.

The only module that names adapters, and it imports each only when it is asked for: a function pays
for what it uses. Everything made here is shared by the process's threads.
"""

from __future__ import annotations

import time
from functools import cache
from pathlib import Path

from shared import killpoints, telemetry
from shared.accounts.keys import SigningKeys, VerificationKeys
from shared.accounts.tokens import TokenPolicy
from shared.ai.gateway import Gateway
from shared.ai.model import Model
from shared.audit import Sealer
from shared.jobs.cascade import KIND as CASCADE
from shared.jobs.cascade import Cascade
from shared.jobs.job import RetryPolicy
from shared.jobs.queue import Doorbell
from shared.jobs.restore import KIND as RESTORE
from shared.jobs.restore import Restore
from shared.jobs.runner import Runner, Task
from shared.jobs.sweep import Sweeper
from shared.jobs.transfer import KIND as TRANSFER
from shared.jobs.transfer import Transfer
from shared.products.dermadetect import ANALYSE, PRODUCT
from shared.settings import Settings, current
from shared.sync.collection import Product
from shared.sync.pull import Puller
from shared.sync.push import Pusher
from shared.sync.retention import Purger
from shared.sync.store import RecordStore

#: Calls to the model that one attempt may make: the question and one repair.
_CALLS_AN_ATTEMPT = 2


def settings() -> Settings:
    """The settings of this process."""
    return current()


def begin() -> Settings:
    """Start a function: read the settings (a bad one stops here, by name) and start its logs."""
    chosen = current()
    telemetry.start(chosen.service_version, chosen.log_level)
    if chosen.token_jwks:
        verification_keys()
    if chosen.kill_folder:
        killpoints.arm(Path(chosen.kill_folder))
    return chosen


def clock_ms() -> int:
    """The server's clock, Unix ms."""
    return time.time_ns() // 1_000_000


def product() -> Product:
    """The product that this deployment serves."""
    return {PRODUCT.name: PRODUCT}[settings().product]


@cache
def store() -> RecordStore:
    """The record store."""
    chosen = settings()
    if chosen.record_store == "firestore":
        from shared.adapters.firestore import FirestoreStore

        return FirestoreStore(
            chosen.google_cloud_project,
            chosen.firestore_database,
            overlap_seconds=chosen.overlap_seconds,
        )
    from shared.adapters.sqlite import SqliteStore

    return SqliteStore(chosen.data_path / "records.db")


@cache
def doorbell() -> Doorbell:
    """The queue's doorbell."""
    chosen = settings()
    if chosen.job_queue == "pubsub":
        from shared.adapters.pubsub import PubSubDoorbell

        return PubSubDoorbell(chosen.google_cloud_project, chosen.topic_prefix)
    from shared.adapters.sqlite_queue import FILE_NAME, SqliteDoorbell

    return SqliteDoorbell(chosen.data_path / FILE_NAME)


@cache
def verification_keys() -> VerificationKeys:
    """Public keys that access tokens are checked against."""
    from shared.adapters.file_keys import FileKeys, JwksKeys

    chosen = settings()
    if chosen.token_jwks:
        return JwksKeys(chosen.token_jwks)
    return FileKeys(chosen.data_path / "keys")


@cache
def signing_keys() -> SigningKeys:
    """The private key that signs access tokens."""
    from shared.adapters.file_keys import FileKeys

    return FileKeys(settings().data_path / "keys")


def token_policy() -> TokenPolicy:
    """What every access token must say."""
    chosen = settings()
    return TokenPolicy(chosen.token_issuer, chosen.token_audience, chosen.token_leeway_seconds)


@cache
def page_secret() -> bytes:
    """Signs page tokens; the same in every instance."""
    from shared.adapters.file_keys import FileKeys

    chosen = settings()
    if chosen.page_secret:
        return chosen.page_secret.encode()
    return FileKeys(chosen.data_path / "keys").page_secret()


@cache
def model() -> Model:
    """The language model."""
    chosen = settings()
    if chosen.model == "vertex":
        from shared.adapters.vertex import VertexModel

        return VertexModel(
            project=chosen.google_cloud_project,
            location=chosen.vertex_location,
            endpoint=chosen.vertex_endpoint,
            dedicated=chosen.vertex_dedicated,
            api_endpoint=chosen.vertex_api_endpoint,
            credentials=chosen.vertex_credentials,
        )
    from shared.adapters.scripted import ScriptedModel

    return ScriptedModel()


@cache
def gateway() -> Gateway:
    """The way to the model."""
    chosen = settings()
    return Gateway(
        model(),
        max_tokens=chosen.model_max_tokens,
        timeout_seconds=chosen.model_timeout_seconds,
    )


@cache
def pusher() -> Pusher:
    """The write path."""
    chosen = settings()
    return Pusher(
        store(),
        product(),
        attempts=chosen.push_attempts,
        clock_tolerance_ms=chosen.clock_tolerance_seconds * 1000,
        receipt_days=chosen.receipt_days,
    )


@cache
def puller() -> Puller:
    """The read path."""
    chosen = settings()
    return Puller(
        store(),
        product(),
        secret=page_secret(),
        overlap_ms=chosen.overlap_seconds * 1000,
        side_by_side=chosen.record_store == "firestore",
    )


@cache
def runner() -> Runner:
    """Runs jobs of every kind."""
    from shared.products.analysis import Analyse

    chosen = settings()
    tasks: dict[str, Task] = {
        ANALYSE: Analyse(
            store(),
            gateway,
            longest_seconds=chosen.model_timeout_seconds * _CALLS_AN_ATTEMPT,
            clock=clock_ms,
        ),
        CASCADE: Cascade(store(), product(), clock_ms),
        RESTORE: Restore(store(), product(), clock_ms),
        TRANSFER: Transfer(store(), product(), clock_ms),
    }
    policy = RetryPolicy(chosen.job_attempts, chosen.retry_base_seconds, chosen.retry_cap_seconds)
    return Runner(
        store(), tasks, policy=policy, lease_ms=chosen.lease_seconds * 1000, clock=clock_ms
    )


@cache
def sweeper() -> Sweeper:
    """The minute's round."""
    return Sweeper(
        store(),
        runner(),
        doorbell(),
        rung_kinds=(ANALYSE,),
        own_kinds=(CASCADE, TRANSFER, RESTORE),
        clock=clock_ms,
        rounds={
            "purged": Purger(store(), product(), keep_days=settings().retention_days).purge,
            "sealed": Sealer(store()).seal,
        },
    )
