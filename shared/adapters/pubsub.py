"""Doorbells over Pub/Sub: one topic per job kind, push subscriptions, dead letters.

A sync waits for its rings, so a ring costs at most `RING_TIMEOUT_SECONDS` and is not tried again by
the client library, which would go on for minutes. After a ring that got no answer the next ones
fail at once for `REST_SECONDS`: a sync with five urgent records must not wait five times. A refusal
(no such topic, no permission) is an answer and lets others ring. The sweeper rings later.

`google.cloud.pubsub` is imported at the first ring: 0.4 s and 45 MB that only syncs with an urgent record
pay. `create_subscriptions` is for the emulator; in Google Cloud Terraform does the same.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from shared.errors import QueueUnavailable
from shared.jobs.queue import REST_SECONDS, RING_TIMEOUT_SECONDS
from shared.records.bell import Bell

if TYPE_CHECKING:
    from google.cloud.pubsub_v1 import PublisherClient


class PubSubDoorbell:
    """Publishes `{"kind", "job_id", "subject_id"}` to the topic `topic_prefix + kind`.

    A bell that is traced carries its "trace" too.

    Safe to use from several threads; fork before the first ring. `clock` gives seconds that only
    rise.
    """

    def __init__(
        self,
        project: str,
        topic_prefix: str = "",
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._project = project
        self._topic_prefix = topic_prefix
        self._clock = clock
        self._making = threading.Lock()
        self._publisher: PublisherClient | None = None
        self._resting_until = float("-inf")

    def ring(self, bell: Bell) -> None:
        """Publish and wait for the message id. Raises `QueueUnavailable`."""
        if self._clock() < self._resting_until:
            raise QueueUnavailable(
                "Pub/Sub did not answer a moment ago; the job is stored and is rung for later"
            )
        from google.api_core.exceptions import ClientError, GoogleAPIError
        from google.auth.exceptions import GoogleAuthError

        try:
            self._publish(bell)
        except (GoogleAPIError, GoogleAuthError, TimeoutError) as error:
            if not isinstance(error, ClientError):
                self._rest()
            raise QueueUnavailable(
                f"Pub/Sub did not take the doorbell ({type(error).__name__}); "
                "the job is stored and is rung for later"
            ) from error

    def _publish(self, bell: Bell) -> None:
        publisher = self._connect()
        topic = publisher.topic_path(self._project, f"{self._topic_prefix}{bell.kind}")
        future = publisher.publish(topic, json.dumps(bell.content()).encode(), kind=bell.kind)
        # the call has its own deadline; this one is for what comes before it (credentials)
        future.result(timeout=RING_TIMEOUT_SECONDS)

    def _rest(self) -> None:
        self._resting_until = self._clock() + REST_SECONDS
        # A channel that could not connect waits up to 2 minutes before it tries again (gRPC's
        # connection backoff); a new one tries at once. Not closed: other threads may be using it.
        with self._making:
            self._publisher = None

    def _connect(self) -> PublisherClient:
        with self._making:
            if self._publisher is None:
                from google.cloud.pubsub_v1 import PublisherClient
                from google.cloud.pubsub_v1.types import BatchSettings, PublisherOptions

                self._publisher = PublisherClient(
                    batch_settings=BatchSettings(max_messages=1, max_latency=0),
                    publisher_options=PublisherOptions(retry=None, timeout=RING_TIMEOUT_SECONDS),
                )
            return self._publisher

    def close(self) -> None:
        """Give back the connection; a later ring opens another."""
        with self._making:
            if self._publisher is not None:
                self._publisher.stop()
                self._publisher.transport.close()  # type: ignore[no-untyped-call]
                self._publisher = None


class PushSubscription(NamedTuple):
    """A push subscription of one kind with its dead letters. Times in seconds.

    Bounds are Pub/Sub's: ack deadline 10–600 (it is the push timeout too), backoff 0–600, attempts
    5–100.
    """

    kind: str
    endpoint: str
    dead_letter_endpoint: str
    ack_deadline_seconds: int = 600
    min_backoff_seconds: float = 10.0
    max_backoff_seconds: float = 600.0
    max_delivery_attempts: int = 5


def create_subscriptions(
    project: str, pushes: Iterable[PushSubscription], topic_prefix: str = "", *, emulator: str
) -> None:
    """Create topics, push subscriptions and dead letters on an emulator; what exists is redirected.

    For kind `analyse`: topics `analyse` and `analyse-dead`, each with a subscription of its name.
    `emulator` is its "host:port": a parameter, so that this never touches the real Pub/Sub.
    """
    import grpc  # type: ignore[import-untyped]
    from google.api_core.exceptions import AlreadyExists
    from google.pubsub_v1 import PublisherClient, SubscriberClient
    from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
    from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

    with grpc.insecure_channel(emulator) as channel:
        publisher = PublisherClient(transport=PublisherGrpcTransport(channel=channel))
        subscriber = SubscriberClient(transport=SubscriberGrpcTransport(channel=channel))
        for push in pushes:
            name = f"{topic_prefix}{push.kind}"
            dead = publisher.topic_path(project, f"{name}-dead")
            retry = {
                "minimum_backoff": timedelta(seconds=push.min_backoff_seconds),
                "maximum_backoff": timedelta(seconds=push.max_backoff_seconds),
            }
            wanted = [
                # the dead letters first: the other subscription names their topic
                (f"{name}-dead", push.dead_letter_endpoint, {}),
                (
                    name,
                    push.endpoint,
                    {
                        "dead_letter_policy": {
                            "dead_letter_topic": dead,
                            "max_delivery_attempts": push.max_delivery_attempts,
                        }
                    },
                ),
            ]
            for each, endpoint, policy in wanted:
                topic = publisher.topic_path(project, each)
                with suppress(AlreadyExists):
                    publisher.create_topic(name=topic)
                subscription = subscriber.subscription_path(project, each)
                push_config = {"push_endpoint": endpoint}
                try:
                    subscriber.create_subscription(
                        request={
                            "name": subscription,
                            "topic": topic,
                            "push_config": push_config,
                            "ack_deadline_seconds": push.ack_deadline_seconds,
                            "retry_policy": retry,
                            **policy,
                        }
                    )
                except AlreadyExists:
                    subscriber.modify_push_config(
                        request={"subscription": subscription, "push_config": push_config}
                    )
