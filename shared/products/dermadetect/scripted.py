"""What the scripted model answers about a case: a draft as the contract asks, without clinical value."""

from __future__ import annotations

import hashlib
from typing import Any

from shared.ai.model import ChatRequest
from shared.products.dermadetect.analysis import vocabulary

NO_VALUE = "Scripted test answer without any clinical value."


def draft(question: ChatRequest) -> dict[str, Any]:
    """The draft for a question: the same text always gives the same draft, other texts others.

    Answers in the patient's data that name a red flag with `true` come back as that flag.
    """
    digest = hashlib.sha256(question.text.encode("utf-8", "replace")).digest()
    flags = [flag for flag in vocabulary.RED_FLAGS if f'"{flag}": true' in question.text]

    def pick(byte: int, words: tuple[str, ...]) -> str:
        return words[digest[byte] % len(words)]

    return {
        "status": "ok",
        "image_quality": {"verdict": "usable" if question.images else "unclear", "issues": []},
        "morphology": {
            "primary_lesion": pick(0, vocabulary.PRIMARY_LESIONS),
            "colours": [pick(1, vocabulary.COLOURS)],
            "border": pick(2, vocabulary.BORDERS),
            "distribution": pick(3, vocabulary.DISTRIBUTIONS),
            "abcde": {
                name: pick(4 + i, vocabulary.YES_NO) for i, name in enumerate(vocabulary.ABCDE)
            },
        },
        "differential": [
            {
                "label": f"Scripted entry {digest[10] % 100} (no clinical value)",
                "likelihood": "low",
                "supporting": [],
                "against": [NO_VALUE],
            }
        ],
        "urgency": "urgent" if flags else pick(11, vocabulary.URGENCIES[:3]),
        "red_flags": flags,
        "missing_information": [pick(12, vocabulary.MISSING_INFORMATION)],
        "suggested_next_steps": ["look_for_more_lesions"],
        "uncertainty": {"level": "high", "note": NO_VALUE},
        "confidence": 0,
    }
