"""Structured logs and traces: one JSON object a line, as Cloud Logging reads it; spans for Cloud Trace
or a collector.

Fields say who and how much (request, scope, device, counts, ms), never what: no content of records,
no tokens. An exception is logged as its type and the places it passed, without its message, since a
message may quote what a phone sent. Spans carry names and numbers only.

A trace follows a request into the jobs that it rings for (W3C traceparent, OpenTelemetry's model).
Spans are plain values here. OpenTelemetry and the exporter cost half a second to load, so they are
loaded by a thread of their own after the first answer, and spans go out in batches from there. A
full buffer drops the oldest, a fault of the exporter is logged, and neither ever fails a request.

Limit: on Cloud Run a process gets little time between requests, so spans may leave with the next
request, or when the instance ends.
"""

from __future__ import annotations

import atexit
import json
import logging
import random
import re
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}

log = logging.getLogger(__name__)

#: Spans that wait for the exporter; beyond it the oldest are dropped.
MOST_WAITING = 2048

#: Spans in one call of the exporter.
_BATCH = 256

#: How long finished spans are gathered before they are sent, seconds.
_GATHER_SECONDS = 2.0

#: Longest a process that ends waits for its last spans, seconds.
_FLUSH_SECONDS = 3.0

_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")


@dataclass(slots=True)
class Span:
    """A stretch of work: which trace, which parent, when (ns since 1970), how it ended."""

    name: str
    kind: str  #: server, internal, producer, consumer or client: OpenTelemetry's kinds
    trace_id: str
    span_id: str
    parent_id: str
    sampled: bool
    began_ns: int
    ended_ns: int = 0
    fault: str = ""  #: the type of the exception that ended it
    notes: dict[str, str | int | float | bool] = field(default_factory=dict)

    def note(self, name: str, value: str | int | float | bool) -> None:
        """Add an attribute; names are OpenTelemetry's semantic conventions where there is one."""
        self.notes[name] = value

    @property
    def traceparent(self) -> str:
        """What children in other processes are told."""
        return f"00-{self.trace_id}-{self.span_id}-{'01' if self.sampled else '00'}"


#: Sends finished spans somewhere; raises what it likes.
Export = Callable[[Sequence[Span]], None]

_current: ContextVar[Span | None] = ContextVar("span", default=None)


class _Tracer:
    """The buffer of finished spans and the thread that empties it."""

    def __init__(self) -> None:
        self.share = 0.0
        self.load: Callable[[], Export] | None = None
        self.waiting: deque[Span] = deque(maxlen=MOST_WAITING)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._ending = threading.Event()
        self._ended = threading.Event()

    def begin_sending(self) -> None:
        """Start the thread, once a process: a fork that comes later starts its own."""
        with self._lock:
            if self._thread is not None and self._thread.is_alive():
                return
            self._ending.clear()
            self._ended.clear()
            self._thread = threading.Thread(target=self._send, name="traces", daemon=True)
            self._thread.start()
            atexit.register(self.end)

    def end(self) -> None:
        """Send what is left, for a moment."""
        atexit.unregister(self.end)
        self._ending.set()
        if self._thread is not None:
            self._ended.wait(_FLUSH_SECONDS)

    def _send(self) -> None:
        assert self.load is not None  # noqa: S101  for the type checker: nothing waits without it
        try:
            export = self.load()
            while True:
                ending = self._ending.wait(_GATHER_SECONDS)
                while self.waiting:
                    batch = [self.waiting.popleft() for _ in range(min(_BATCH, len(self.waiting)))]
                    try:
                        export(batch)
                    except Exception as error:  # the exporter's own classes; traces are a help only
                        log.warning(
                            "spans not sent",
                            extra={"spans": len(batch), "fault": type(error).__name__},
                        )
                if ending:
                    return
        except Exception as error:  # the exporter cannot be loaded: say so once, and go without
            self.load = None
            self.waiting.clear()
            missing = {"missing": error.name} if isinstance(error, ImportError) else {}
            log.exception("traces are off", extra=missing)
        finally:
            self._ended.set()


_tracer = _Tracer()


@contextmanager
def span(name: str, parent: str = "", kind: str = "internal") -> Iterator[Span]:
    """A span around a block. `parent` is a W3C traceparent; else the span that is open here.

    A caller's decision whether to trace is kept; where nobody decided, the share of the settings is
    traced. Untraced spans are not kept, but their ids stand in the log lines all the same.
    """
    given = _TRACEPARENT.fullmatch(parent)
    above = _current.get()
    if given:
        trace_id, parent_id, sampled = given[1], given[2], bool(int(given[3], 16) & 1)
    elif above is not None:
        trace_id, parent_id, sampled = above.trace_id, above.span_id, above.sampled
    else:
        trace_id, parent_id = _random_id(128), ""
        sampled = random.random() < _tracer.share  # noqa: S311  a sample, not a secret
    made = Span(name, kind, trace_id, _random_id(64), parent_id, sampled, time.time_ns())
    token = _current.set(made)
    try:
        yield made
    except BaseException as error:
        made.fault = type(error).__name__
        raise
    finally:
        _current.reset(token)
        made.ended_ns = time.time_ns()
        if made.sampled and _tracer.load is not None:
            _tracer.waiting.append(made)


def _random_id(bits: int) -> str:
    return f"{random.getrandbits(bits) or 1:0{bits // 4}x}"


def traceparent() -> str:
    """The open span, for another process; empty outside of any, and where it is not traced."""
    open_span = _current.get()
    return open_span.traceparent if open_span is not None and open_span.sampled else ""


def answered() -> None:
    """An answer has gone out: now is the time to load the exporter and send what was gathered."""
    if _tracer.waiting:
        _tracer.begin_sending()


def flush() -> None:
    """Send what is left and wait a moment for it (tests, and processes that end)."""
    answered()
    _tracer.end()


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON with `severity`, `message`, `time` and the extras.

    Within a span the line carries Cloud Logging's fields of its trace, so that the console shows
    the lines of a request together, over functions.
    """

    def __init__(self, version: str, project: str = "") -> None:
        super().__init__()
        self._labels = {"version": version}
        self._traces = f"projects/{project}/traces/" if project else ""

    def format(self, entry: logging.LogRecord) -> str:
        """One line; extras that are no JSON values are named by their type."""
        line: dict[str, Any] = {
            "severity": entry.levelname,
            "message": entry.getMessage(),
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(entry.created))
            + f".{int(entry.msecs):03d}Z",
            **self._labels,
        }
        if (open_span := _current.get()) is not None:
            line["logging.googleapis.com/trace"] = f"{self._traces}{open_span.trace_id}"
            line["logging.googleapis.com/spanId"] = open_span.span_id
            line["logging.googleapis.com/trace_sampled"] = open_span.sampled
        for name, value in entry.__dict__.items():
            if name not in _STANDARD:
                line[name] = value
        if entry.exc_info and entry.exc_info[0]:
            line["exception"] = entry.exc_info[0].__name__
            frames = traceback.extract_tb(entry.exc_info[2])
            line["at"] = [f"{frame.filename}:{frame.lineno}:{frame.name}" for frame in frames[-8:]]
        return json.dumps(line, default=lambda value: type(value).__name__, ensure_ascii=False)


def start(
    version: str,
    level: str,
    project: str = "",
    *,
    export: Callable[[], Export] | None = None,
    share: float = 0.0,
) -> None:
    """Send this process's logs to standard output as JSON. Calling it again changes nothing.

    `export` loads the exporter of spans, when the first are to be sent; None: there is none. `share`
    of what nobody else decided about is traced.
    """
    root = logging.getLogger("shared")
    if any(isinstance(handler.formatter, JsonFormatter) for handler in root.handlers):
        return
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter(version, project))
    root.addHandler(handler)
    root.setLevel(level)
    root.propagate = False
    _tracer.load, _tracer.share = export, share
