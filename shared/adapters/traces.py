"""Spans to OpenTelemetry: standard output for a desk, Cloud Trace for Google Cloud.

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


def exporter(kind: str, project: str, service: str, version: str, *, client: Any = None) -> Export:
    """Sends to "console" or "cloud_trace". `client` speaks to another Cloud Trace (tests)."""
    to: SpanExporter
    if kind == "console":
        to = ConsoleSpanExporter(
            out=sys.stdout, formatter=lambda span: span.to_json(indent=None) + "\n"
        )
    else:
        from opentelemetry.exporter.cloud_trace import CloudTraceSpanExporter

        to = CloudTraceSpanExporter(project_id=project, client=client)  # type: ignore[no-untyped-call]
    resource = Resource({"service.name": service, "service.version": version})

    def export(spans: Sequence[Any]) -> None:
        if to.export([_readable(span, resource) for span in spans]) is not SpanExportResult.SUCCESS:
            raise Fault("the exporter did not take the spans")

    return export


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
