"""Traces: one from the phone's request to the model's answer; nobody waits for them; logs name them."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from infra.local.phone import Phone, over_http
from infra.local.stack import Stack
from shared import telemetry
from shared.errors import ConfigurationFault, Fault
from shared.jobs.bells import bell_of
from shared.records.bell import Bell
from shared.settings import VERSION, load
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


class Collector:
    """Takes OTLP over HTTP, as a collector does: what came, decoded; `status` is what it answers."""

    def __init__(self, status: int = 200) -> None:
        self.came: list[ExportTraceServiceRequest] = []
        self.raw: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.headers.append({name.lower(): value for name, value in self.headers.items()})
                if (self.path, status) == ("/v1/traces", 200):
                    outer.raw.append(body)
                    outer.came.append(ExportTraceServiceRequest.FromString(body))
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def spans(self) -> list[Any]:
        """Every span so far, with its resource's attributes beside it."""
        return [
            (span, {each.key: each.value.string_value for each in group.resource.attributes})
            for request in list(self.came)
            for group in request.resource_spans
            for scope in group.scope_spans
            for span in scope.spans
        ]

    def __enter__(self) -> Collector:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def test_a_collector_gets_headers_and_a_failing_one_takes_nothing_from_the_console(
    capsys: pytest.CaptureFixture[str],
) -> None:
    from shared.adapters.traces import exporter

    span = Span("a", "server", "1" * 32, "2" * 16, "", True, 1, 2)
    with Collector() as good:
        export = exporter("none", "", "s", "r1", collector=good.url, headers="Api-Key=a%20b,x=y")
        export([span])
        [(taken, resource)] = good.spans()
    assert (taken.name, taken.trace_id.hex(), taken.kind) == ("a", "1" * 32, taken.SPAN_KIND_SERVER)
    assert resource == {"service.name": "s", "service.version": "r1"}
    assert (good.headers[0]["api-key"], good.headers[0]["x"]) == ("a b", "y")
    with Collector(status=400) as bad:
        export = exporter("console", "", "s", "r1", collector=f"{bad.url}/")
        with pytest.raises(Fault, match="did not take"):
            export([span])
    assert json.loads(capsys.readouterr().out)["name"] == "a"


@pytest.mark.parametrize("bad", ["collector:4318", "https://me@c", "https://c/?key=1", "ftp://c"])
def test_a_collector_s_address_that_makes_no_sense_stops_the_start(bad: str) -> None:
    with pytest.raises(ConfigurationFault, match="OTEL_EXPORTER_OTLP_ENDPOINT"):
        load({"OTEL_EXPORTER_OTLP_ENDPOINT": bad})


def test_headers_of_a_collector_do_not_travel_in_the_open() -> None:
    headers = {"OTEL_EXPORTER_OTLP_HEADERS": "api-key=1"}
    for good in ("https://c.example.org/otlp", "http://127.0.0.1:4318"):
        load({"OTEL_EXPORTER_OTLP_ENDPOINT": good, **headers})
    for bad in ("http://c.example.org:4318", ""):
        with pytest.raises(ConfigurationFault, match="OTEL_EXPORTER_OTLP_HEADERS"):
            load({"OTEL_EXPORTER_OTLP_ENDPOINT": bad, **headers})


def test_an_exporter_that_is_not_installed_is_named_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def load_it() -> telemetry.Export:
        import no_such_exporter  # type: ignore[import-not-found]

        exported: telemetry.Export = no_such_exporter.export
        return exported

    logging.getLogger("shared").propagate = True
    with caplog.at_level("ERROR"), tracing(lambda spans: None) as tracer:
        tracer.load = load_it
        with telemetry.span("a"):
            pass
        telemetry.flush()
    [line] = [each for each in caplog.records if each.message == "traces are off"]
    assert line.__dict__["missing"] == "no_such_exporter"


#: The spans of a red case, the last first: each is the child of the next.
WAY = ["ask model", "take analyse", "ring analyse", "POST /api/sync"]


@contextmanager
def a_red_case_was_read(
    folder: Path, environ: dict[str, str], seen: Callable[[], set[str]]
) -> Iterator[None]:
    """A stack in which a phone sent a red case; goes on when all spans on its way were seen, by name."""
    from tests.e2e.conftest import Deployment

    environ = {"TRACE_SHARE": "1", **environ}
    with Stack(profile="local", data=folder, sweep_seconds=3600, environ=environ) as stack:
        place = Deployment(stack)
        place.join("amina", "team1")
        phone = Phone(over_http(stack.url, place.token("amina")), "amina", "amina-phone")
        phone.save("patients", "patient-1", demographics={"name": "Asha N.", "age": 30})
        red: dict[str, Any] = {
            "risk_level": "red",
            "triage_data": {"site": "left-foot"},
            "image_keys": [],
        }
        phone.save("cases", "case-1", patient_id="patient-1", **red)
        phone.sync()
        until(lambda: seen() >= set(WAY), "the spans of the whole way")
        place.store.close()
        yield


@pytest.mark.proof
def test_a_collector_gets_one_trace_from_the_request_over_the_queue_to_the_model(
    tmp_path: Path,
) -> None:
    with Collector() as collector:
        environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}

        def seen() -> set[str]:
            return {span.name for span, _ in collector.spans()}

        with a_red_case_was_read(tmp_path, environ, seen):
            """Its end sends what is left."""
        found = collector.spans()
        by_id = {span.span_id: span for span, _ in found}
        [asked] = [span for span, _ in found if span.name == "ask model"]
        way, above = [asked], asked
        while above.parent_span_id:
            above = by_id[above.parent_span_id]
            way.append(above)
        assert [span.name for span in way] == WAY
        assert len({span.trace_id for span in way}) == 1
        assert way[-1].kind == way[-1].SPAN_KIND_SERVER
        status = {each.key: each.value.int_value for each in way[-1].attributes}
        assert status == {"http.response.status_code": 200}
        for _, resource in found:
            assert resource == {"service.name": "dermadetect", "service.version": VERSION}
        # nothing of patients and users, in whatever field
        sent = b"".join(collector.raw)
        for word in (b"Asha", b"left-foot", b"amina", b"patient-1", b"case-1", b"team1"):
            assert word not in sent


@pytest.mark.proof
def test_one_trace_leads_from_the_phone_s_request_to_the_model(tmp_path: Path) -> None:
    # given a stack that shows its spans, when a red case is synced and read
    def seen() -> set[str]:
        return {span["name"] for span in printed(tmp_path)}

    with a_red_case_was_read(tmp_path, {"TRACE_EXPORTER": "console"}, seen):
        """Its end prints what is left."""
    spans = list(printed(tmp_path))

    # then there is one way from the request to the model
    by_id = {span["context"]["span_id"]: span for span in spans}
    [asked] = [span for span in spans if span["name"] == "ask model"]
    way = [asked["name"]]
    above = asked
    while above["parent_id"] is not None:
        above = by_id[above["parent_id"]]
        way.append(above["name"])
    assert way == WAY
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
