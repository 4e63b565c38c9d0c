"""What is rung when a commit has made work: a plain value, which whoever stores it hands on."""

from __future__ import annotations

from typing import NamedTuple


class Bell(NamedTuple):
    """What a doorbell carries: ids only, never content."""

    kind: str  #: job kind; names the topic ("analyse")
    job_id: str
    subject_id: str  #: the record the job is about
    trace: str = ""  #: the span that rang, as W3C traceparent; empty: not traced

    def content(self) -> dict[str, str]:
        """What a message carries: the fields, `trace` only if there is one."""
        return {name: value for name, value in self._asdict().items() if value or name != "trace"}
