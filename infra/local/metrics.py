"""Figures for Prometheus at `/metrics`, made of the log lines: what is alerted on in the cloud by a line's
words is counted here by the same words.

    requests_seconds{function,status}        histogram of answered requests
    events_total{event,reason}               every other line: "job moved" by state, faults by their code
    sweep_oldest_seconds, sweep_rung         the last sweep: age of the oldest due job, jobs rung for
    sweep_round{round}                       what else the last sweep did, by name
    disk_free_bytes, records_bytes           of the data folder

Worth an alarm: `sweep_oldest_seconds > 600`, `disk_free_bytes < 1e9`, `increase(events_total{event=~"red.*
refused|dead letter|request crashed"}[10m]) > 0`, and no answer from `/ready`.

All processes of a server are counted together, by files of the client library in the data folder.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

#: What of a line tells events of one name apart: closed lists of words, never ids.
_REASONS = ("state", "fault", "code")

#: Upper bounds of the histogram, seconds.
_BOUNDS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30)

FOLDER = "metrics"


class Metrics(logging.Handler):
    """Counts the lines of this process and of those forked from it; `page` is the whole server's.

    `function_of` names the function of a public path. Made once, before the processes fork; what an
    earlier server left in `data` is thrown away.
    """

    def __init__(self, data: Path, function_of: Callable[[str], str]) -> None:
        super().__init__(logging.INFO)
        self._data = data
        self._function_of = function_of
        self._files = data / FOLDER
        shutil.rmtree(self._files, ignore_errors=True)
        self._files.mkdir(mode=0o700)
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(self._files)  # read at the import below
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

        mine = CollectorRegistry()
        self._requests = Histogram(
            "requests_seconds", "Answered.", ("function", "status"), buckets=_BOUNDS, registry=mine
        )
        self._events = Counter("events", "Lines.", ("event", "reason"), registry=mine)
        self._oldest = Gauge(
            "sweep_oldest_seconds", "Oldest due job.", multiprocess_mode="mostrecent", registry=mine
        )
        self._rung = Gauge("sweep_rung", "Rung for.", multiprocess_mode="mostrecent", registry=mine)
        self._rounds = Gauge(
            "sweep_round", "Done.", ("round",), multiprocess_mode="mostrecent", registry=mine
        )

    def emit(self, record: logging.LogRecord) -> None:
        """Count one line."""
        said, message = record.__dict__, record.getMessage()
        if message != "request":
            reason = next((str(said[name]) for name in _REASONS if name in said), "")
            self._events.labels(message, reason).inc()
            return
        function = self._function_of(str(said.get("path", "")))
        self._requests.labels(function, str(said.get("status"))).observe(said.get("ms", 0) / 1000)
        if "oldest_ms" in said:
            self._oldest.set(said["oldest_ms"] / 1000)
            self._rung.set(said["rung"])
            for name, count in said["rounds"].items():
                self._rounds.labels(name).set(count)

    def page(self) -> bytes:
        """All figures in Prometheus' text form, version 0.0.4."""
        from prometheus_client import CollectorRegistry, generate_latest
        from prometheus_client.core import GaugeMetricFamily
        from prometheus_client.multiprocess import MultiProcessCollector
        from prometheus_client.registry import Collector

        data = self._data

        class Folder(Collector):
            def collect(self) -> Iterator[GaugeMetricFamily]:
                free = shutil.disk_usage(data).free
                yield GaugeMetricFamily("disk_free_bytes", "Of the data folder.", free)
                held = sum(path.stat().st_size for path in data.glob("records.db*"))
                yield GaugeMetricFamily("records_bytes", "Of the store.", held)

        whole = CollectorRegistry()
        MultiProcessCollector(whole)  # type: ignore[no-untyped-call]
        whole.register(Folder())
        return generate_latest(whole)
