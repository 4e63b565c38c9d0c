"""Spans to OpenTelemetry: standard output for a desk, Cloud Trace for Google Cloud, OTLP for any collector.

Importing this costs half a second; only the thread that sends spans does (`shared/telemetry.py`).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SpanExporter, SpanExportResult
from opentelemetry.trace import SpanContext, SpanKind, TraceFlags
from opentelemetry.trace.status import Status, StatusCode

from shared.errors import Fault

#: Takes spans of `shared/telemetry.py` (adapters do not know it). Raises when they were not taken.
Export = Callable[[Sequence[Any]], None]


def exporter(
    kind: str,
    project: str,
    service: str,
    version: str,
    *,
    collector: str = "",
    headers: str = "",
    client: Any = None,
) -> Export:
    """Sends to "console", "cloud_trace" or "none", and to the OTLP collector whose base address is given.

    `headers` of the collector are in the form of `OTEL_EXPORTER_OTLP_HEADERS`. `client` speaks to another
    Cloud Trace (tests). Raises `ImportError` if the extra that it needs is not installed.
    """
    targets: list[SpanExporter] = []
    if kind == "console":
        targets.append(
            ConsoleSpanExporter(
                out=sys.stdout, formatter=lambda span: span.to_json(indent=None) + "\n"
            )
        )
    if kind == "cloud_trace":
        from opentelemetry.exporter.cloud_trace import CloudTraceSpanExporter

        targets.append(CloudTraceSpanExporter(project_id=project, client=client))  # type: ignore[no-untyped-call]
    if collector:
        targets.append(_otlp(collector, headers))
    resource = Resource({"service.name": service, "service.version": version})

    def export(spans: Sequence[Any]) -> None:
        readable = [_readable(span, resource) for span in spans]
        # all are asked: one that is down takes nothing from the others
        results = [target.export(readable) for target in targets]
        if set(results) != {SpanExportResult.SUCCESS}:
            raise Fault("an exporter did not take the spans")

    return export


def _otlp(collector: str, headers: str) -> SpanExporter:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.util.re import parse_env_headers

    return OTLPSpanExporter(
        f"{collector.rstrip('/')}/v1/traces", headers=parse_env_headers(headers, liberal=True)
    )


def _readable(span: Any, resource: Resource) -> ReadableSpan:
    return ReadableSpan(
        span.name,
        context=_context(span.trace_id, span.span_id, remote=False),
        parent=_context(span.trace_id, span.parent_id, remote=True) if span.parent_id else None,
        resource=resource,
        attributes={**span.notes, **({"error.type": span.fault} if span.fault else {})},
        kind=SpanKind[span.kind.upper()],
        status=Status(StatusCode.ERROR if span.fault else StatusCode.UNSET),
        start_time=span.began_ns,
        end_time=span.ended_ns,
    )


def _context(trace_id: str, span_id: str, *, remote: bool) -> SpanContext:
    return SpanContext(
        int(trace_id, 16),
        int(span_id, 16),
        is_remote=remote,
        trace_flags=TraceFlags(TraceFlags.SAMPLED),
    )
