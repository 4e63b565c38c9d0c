"""Traces: one from the phone's request to the model's answer; nobody waits for them; logs name them."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from infra.local.phone import Phone, over_http
from infra.local.stack import Stack
from shared import telemetry
from shared.jobs.bells import bell_of
from shared.records.bell import Bell
from shared.telemetry import Span
from tests.patience import PATIENCE_SECONDS, until

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@contextmanager
def tracing(
    export: Callable[[list[Span]], None], share: float = 1.0
) -> Iterator[telemetry._Tracer]:
    """A tracer of our own, so that tests do not change what other tests see."""
    before = telemetry._tracer
    telemetry._tracer = made = telemetry._Tracer()
    made.load, made.share = (lambda: lambda spans: export(list(spans))), share
    try:
        yield made
    finally:
        telemetry.flush()
        telemetry._tracer = before


def gathered(share: float = 1.0) -> tuple[list[Span], Any]:
    kept: list[Span] = []
    return kept, tracing(kept.extend, share)


# --- spans


def test_a_span_keeps_its_caller_s_trace_and_decision() -> None:
    kept, tracer = gathered(share=0.0)
    with tracer:
        with telemetry.span("a", PARENT, "server"), telemetry.span("b"):
            assert telemetry.traceparent().startswith("00-0af7651916cd43dd8448eb211c80319c-")
        with telemetry.span("not asked for", PARENT[:-2] + "00"):
            assert telemetry.traceparent() == ""
        telemetry.flush()
    b, a = kept
    assert (a.name, a.trace_id, a.parent_id) == ("a", PARENT[3:35], PARENT[36:52])
    assert (b.name, b.trace_id, b.parent_id) == ("b", a.trace_id, a.span_id)
    assert a.began_ns <= b.began_ns <= b.ended_ns <= a.ended_ns


@pytest.mark.parametrize("parent", ["", "nonsense", "00-" + "g" * 32 + "-" + "0" * 16 + "-01"])
def test_without_a_caller_s_decision_a_share_is_traced(parent: str) -> None:
    for share, expected in ((0.0, 0), (1.0, 1)):
        kept, tracer = gathered(share)
        with tracer:
            with telemetry.span("a", parent):
                pass
            telemetry.flush()
        assert len(kept) == expected


def test_a_span_says_what_ended_it_and_lets_it_pass() -> None:
    kept, tracer = gathered()
    with tracer:
        with pytest.raises(KeyError), telemetry.span("a"):
            raise KeyError("Asha N.")
        telemetry.flush()
    assert [(span.fault, "Asha" in repr(span)) for span in kept] == [("KeyError", False)]


def test_the_exporter_is_loaded_after_the_first_answer_and_never_in_its_way() -> None:
    loads: list[str] = []
    answer_is_sent = threading.Event()

    def slow() -> telemetry.Export:
        loads.append("begun")
        assert answer_is_sent.wait(PATIENCE_SECONDS)
        return lambda spans: None

    with tracing(lambda spans: None) as tracer:
        tracer.load = slow
        with telemetry.span("a"):
            pass
        assert loads == []
        telemetry.answered()
        answer_is_sent.set()
        telemetry.flush()
        assert len(loads) == 1


def test_an_exporter_that_fails_fails_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    def broken(spans: list[Span]) -> None:
        raise OSError("no network")

    logging.getLogger("shared").propagate = True
    with caplog.at_level("WARNING"), tracing(broken):
        with telemetry.span("a"):
            pass
        telemetry.flush()
    assert "spans not sent" in caplog.messages


def test_a_full_buffer_drops_the_oldest() -> None:
    with tracing(lambda spans: None) as tracer:
        for number in range(telemetry.MOST_WAITING + 5):
            with telemetry.span(str(number)):
                pass
        assert len(tracer.waiting) == telemetry.MOST_WAITING
        assert tracer.waiting[0].name == "5"


def test_many_threads_may_open_spans() -> None:
    kept, tracer = gathered()

    def work(number: int) -> bool:
        with telemetry.span(f"outer {number}") as outer, telemetry.span("inner") as inner:
            telemetry.answered()
            return inner.parent_id == outer.span_id

    with tracer:
        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(work, range(200)))
        telemetry.flush()
    assert len(kept) == 400


# --- logs


def test_a_line_within_a_span_names_its_trace_as_cloud_logging_reads_it() -> None:
    entry = logging.LogRecord("shared", logging.INFO, "", 1, "request", (), None)
    formatter = telemetry.JsonFormatter("r1", "clinic")
    with telemetry.span("a", PARENT) as span:
        line = json.loads(formatter.format(entry))
    assert line["logging.googleapis.com/trace"] == f"projects/clinic/traces/{PARENT[3:35]}"
    assert line["logging.googleapis.com/spanId"] == span.span_id
    assert line["logging.googleapis.com/trace_sampled"] is True
    assert not [name for name in json.loads(formatter.format(entry)) if "trace" in name]


# --- bells


def test_a_bell_carries_its_trace_and_an_untraced_one_nothing() -> None:
    import base64

    def message(bell: Bell) -> dict[str, Any]:
        data = base64.b64encode(json.dumps(bell.content()).encode()).decode()
        return {"message": {"data": data}}

    plain = Bell("analyse", "job-1", "case-1")
    assert plain.content() == {"kind": "analyse", "job_id": "job-1", "subject_id": "case-1"}
    traced = plain._replace(trace=PARENT)
    assert bell_of(message(traced)) == traced
    assert bell_of(message(plain)) == plain


# --- exporters


def test_cloud_trace_takes_our_spans() -> None:
    """The exporter's own client, against a server that speaks Cloud Trace's wire format."""
    import grpc
    from google.cloud.trace_v2 import BatchWriteSpansRequest, TraceServiceClient
    from google.cloud.trace_v2.services.trace_service.transports import TraceServiceGrpcTransport
    from google.protobuf.empty_pb2 import Empty  # type: ignore[attr-defined]

    from shared.adapters.traces import exporter

    came: list[BatchWriteSpansRequest] = []

    class Traces(grpc.GenericRpcHandler):
        def service(self, details: Any) -> Any:
            assert details.method.endswith("TraceService/BatchWriteSpans")

            def take(request: bytes, _: Any) -> Empty:
                came.append(BatchWriteSpansRequest.deserialize(request))
                return Empty()

            return grpc.unary_unary_rpc_method_handler(
                take, response_serializer=Empty.SerializeToString
            )

    server = grpc.server(ThreadPoolExecutor(1), handlers=[Traces()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            client = TraceServiceClient(transport=TraceServiceGrpcTransport(channel=channel))
            export = exporter("cloud_trace", "clinic", "sync", "r1", client=client)
            kept, tracer = gathered()
            with tracer:
                with (
                    telemetry.span("POST /api/sync", PARENT, "server") as outer,
                    telemetry.span("ring analyse", kind="producer"),
                ):
                    outer.note("http.response.status_code", 200)
                telemetry.flush()
            export(kept)
    finally:
        server.stop(None)
    [request] = came
    assert request.name == "projects/clinic"
    ring, sync = request.spans
    assert sync.name == f"projects/clinic/traces/{PARENT[3:35]}/spans/{sync.span_id}"
    assert sync.parent_span_id == PARENT[36:52]
    assert ring.parent_span_id == sync.span_id
    assert sync.display_name.value == "POST /api/sync"


def test_one_trace_leads_from_the_phone_s_request_to_the_model(tmp_path: Path) -> None:
    # given a stack that shows its spans
    environ = {"TRACE_EXPORTER": "console", "TRACE_SHARE": "1"}
    with Stack(profile="local", data=tmp_path, sweep_seconds=3600, environ=environ) as stack:
        from tests.e2e.conftest import Deployment

        place = Deployment(stack)
        place.join("amina", "team1")
        phone = Phone(over_http(stack.url, place.token("amina")), "amina", "amina-phone")
        # when a red case is synced and read
        phone.save("patients", "p1", demographics={"age": 30})
        phone.save("cases", "c1", patient_id="p1", risk_level="red", triage_data={}, image_keys=[])
        phone.sync()
        until(
            lambda: any(span["name"] == "ask model" for span in printed(tmp_path)),
            "the question to the model",
        )
        place.store.close()
    spans = list(printed(tmp_path))

    # then there is one way from the request to the model
    by_id = {span["context"]["span_id"]: span for span in spans}
    [asked] = [span for span in spans if span["name"] == "ask model"]
    way = [asked["name"]]
    above = asked
    while above["parent_id"] is not None:
        above = by_id[above["parent_id"]]
        way.append(above["name"])
    assert way == ["ask model", "take analyse", "ring analyse", "POST /api/sync"]
    assert len({span["context"]["trace_id"] for span in (asked, above)}) == 1
    assert "amina" not in json.dumps(spans)


def printed(folder: Path) -> Iterator[dict[str, Any]]:
    """Spans in the logs of a stack."""
    for path in folder.rglob("*.log"):
        for line in path.read_text("utf-8").splitlines():
            if '"context"' in line and '"trace_id"' in line:
                try:
                    yield json.loads(line)
                except ValueError:
                    continue
