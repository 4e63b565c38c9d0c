"""Faults of the review: what a doctor's screen may meet beside what every request may meet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from shared.errors import RequestFault


class Claimed(RequestFault):
    """Another doctor has the case in hand: `by` whom, and `until` when (server ms)."""

    code = "claimed"
    status = 409
    sentences: ClassVar[dict[str, str]] = {
        "claimed": "Somebody else has it in hand: `by` whom, `until` when. Choose another one, or ask "
        "who may give it to you."
    }

    def __init__(self, message: str, *, by: str, until: int) -> None:
        super().__init__(message)
        self.by, self.until = by, until

    def body(self, request_id: str) -> dict[str, object]:
        """The usual shape, and who and until when beside it."""
        return {**super().body(request_id), "by": self.by, "until": self.until}


class AlreadyDiagnosed(RequestFault):
    """The case has a signed diagnosis that the request does not name: `by` whom, `at` when."""

    code = "already_diagnosed"
    status = 409
    sentences: ClassVar[dict[str, str]] = {
        "already_diagnosed": "Somebody signed already: `by` whom, `at` when. Nothing was stored. Show it; "
        "to correct it, send `amends` with the id that the answer names."
    }

    def __init__(self, message: str, *, by: str, at: int, diagnosis_id: str) -> None:
        super().__init__(message)
        self.by, self.at, self.diagnosis_id = by, at, diagnosis_id

    def body(self, request_id: str) -> dict[str, object]:
        """The usual shape, and who, when (server ms) and which diagnosis beside it."""
        said = {"by": self.by, "at": self.at, "diagnosis_id": self.diagnosis_id}
        return {**super().body(request_id), **said}


class TooMuchToCount(RequestFault):
    """Numbers were asked for of more diagnoses than one answer looks at."""

    code = "too_much_to_count"
    sentences: ClassVar[dict[str, str]] = {
        "too_much_to_count": "More was signed on these days than one answer counts. Ask for fewer days, or "
        "for one scope, and put the answers together."
    }


class Withdrawn(RequestFault):
    """A signature was sent again after it was taken back."""

    code = "withdrawn"
    status = 409
    sentences: ClassVar[dict[str, str]] = {
        "withdrawn": "This diagnosis was taken back by whoever signed it. To sign it after all, make a "
        "new key."
    }


class TooLate(RequestFault):
    """A signature can be taken back for some seconds only."""

    code = "too_late"
    status = 409
    sentences: ClassVar[dict[str, str]] = {
        "too_late": "The seconds in which a signature can be taken back are over. Amend the diagnosis."
    }


class NotSeen(RequestFault):
    """A signature that does not name the version it judges."""

    code = "if_match_required"
    status = 428
    sentences: ClassVar[dict[str, str]] = {
        "if_match_required": "Send the `ETag` of what was looked at in `If-Match`."
    }


class CaseChanged(RequestFault):
    """The case is another one than the version that the request names: `changed` are its columns."""

    code = "case_changed"
    status = 412
    sentences: ClassVar[dict[str, str]] = {
        "case_changed": "It changed after it was looked at; `changed` names what. Show it again, and sign "
        "what is there now."
    }

    def __init__(self, message: str, *, changed: Sequence[str]) -> None:
        super().__init__(message)
        self.changed = list(changed)

    def body(self, request_id: str) -> dict[str, object]:
        """The usual shape, and what changed beside it."""
        return {**super().body(request_id), "changed": self.changed}
