"""The JSON Schema of `ai_analysis`, as it is published (docs/ai-analysis.schema.json)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from shared.products.dermadetect.analysis.vocabulary import (
    ABCDE,
    BORDERS,
    COLOURS,
    DISCLAIMER,
    DISCLAIMER_SCRIPTED,
    DISTRIBUTIONS,
    IMAGE_ISSUES,
    IMAGE_VERDICTS,
    LABEL_CHARS,
    LIKELIHOODS,
    MAX_IMAGES,
    MAX_MISSING,
    MAX_OPINIONS,
    MAX_REASONS,
    MAX_STEPS,
    MISSING_INFORMATION,
    NEXT_STEPS,
    NOTE_CHARS,
    PRIMARY_LESIONS,
    REASON_CHARS,
    RED_FLAGS,
    SCHEMA_VERSION,
    SECOND_LOOKS,
    STATUSES,
    TRIAGES,
    UNCERTAINTIES,
    URGENCIES,
    YES_NO,
)

_INTEGER = {"type": "integer", "minimum": 0, "maximum": 2**53}
_SHARE = {"type": "number", "minimum": 0, "maximum": 1}
_SHA256 = {"type": "string", "pattern": "^[0-9a-f]{64}$", "maxLength": 64}


def _choice(words: Sequence[str], *, nullable: bool = False) -> dict[str, Any]:
    return {"enum": [*words, None] if nullable else list(words)}


def _text(limit: int, least: int = 0) -> dict[str, Any]:
    return {"type": "string", "minLength": least, "maxLength": limit}


def _list(items: Mapping[str, Any], limit: int, *, unique: bool = True) -> dict[str, Any]:
    schema = {"type": "array", "items": dict(items), "maxItems": limit}
    return {**schema, "uniqueItems": True} if unique else schema


def _record(properties: Mapping[str, Any], *, nullable: bool = False) -> dict[str, Any]:
    """Every property is required and no other is allowed."""
    return {
        "type": ["object", "null"] if nullable else "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }


def _when(name: str, value: str, then: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "if": {"properties": {name: {"const": value}}, "required": [name]},
        "then": {"properties": dict(then)},
    }


#: JSON Schema (draft 2020-12) of `ai_analysis`. The rules below it say that triage never falls.
SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "ai_analysis",
    "description": "What software made of a case. Advisory: a doctor reviews every case.",
    **_record(
        {
            "schema_version": {"const": SCHEMA_VERSION},
            "status": _choice(STATUSES),
            "reason": {"type": ["string", "null"], "pattern": "^[a-z0-9_]{1,64}$", "maxLength": 64},
            "image_quality": _list(
                _record(
                    {
                        "image_sha256": _SHA256,
                        "verdict": _choice(IMAGE_VERDICTS),
                        "issues": _list(_choice(IMAGE_ISSUES), len(IMAGE_ISSUES)),
                    }
                ),
                MAX_IMAGES,
                unique=False,
            ),
            "morphology": _record(
                {
                    "primary_lesion": _choice(PRIMARY_LESIONS),
                    "colours": _list(_choice(COLOURS), len(COLOURS)),
                    "border": _choice(BORDERS),
                    "distribution": _choice(DISTRIBUTIONS),
                    "abcde": _record({name: _choice(YES_NO) for name in ABCDE}),
                },
                nullable=True,
            ),
            "differential": _list(
                _record(
                    {
                        "label": _text(LABEL_CHARS, 1),
                        "likelihood": _choice(LIKELIHOODS),
                        "supporting": _list(_text(REASON_CHARS, 1), MAX_REASONS, unique=False),
                        "against": _list(_text(REASON_CHARS, 1), MAX_REASONS, unique=False),
                    }
                ),
                MAX_OPINIONS,
                unique=False,
            ),
            "urgency": _choice(URGENCIES),
            "urgency_ai": _choice(URGENCIES, nullable=True),
            "red_flags": _list(_choice(RED_FLAGS), len(RED_FLAGS)),
            "triage_device": _choice(TRIAGES, nullable=True),
            "triage_rules": _choice(TRIAGES, nullable=True),
            "triage_ai": _choice(TRIAGES, nullable=True),
            "triage_final": _choice(TRIAGES),
            "second_look": _record(
                {
                    "status": _choice(SECOND_LOOKS),
                    "labels": _text(64),
                    "model": _text(200),
                    "scores": _list(
                        _record({"label": _text(64, 1), "score": _SHARE}), 16, unique=False
                    ),
                    "triage": _choice(TRIAGES, nullable=True),
                }
            ),
            "missing_information": _list(_choice(MISSING_INFORMATION), MAX_MISSING),
            "suggested_next_steps": _list(_choice(NEXT_STEPS), MAX_STEPS),
            "uncertainty": _record(
                {
                    "level": _choice(UNCERTAINTIES),
                    "calibrated": {"const": False},
                    "note": _text(NOTE_CHARS),
                }
            ),
            "provenance": _record(
                {
                    "model": _text(200),
                    "version": _text(200),
                    "prompt": _text(64),
                    "prompt_sha256": {**_SHA256, "type": ["string", "null"]},
                    "image_sha256": _list(_SHA256, MAX_IMAGES, unique=False),
                    "image_files": _list(_text(128), MAX_IMAGES, unique=False),
                    "images_skipped": _INTEGER,
                    "images_unread": _INTEGER,
                    "images_missing": _INTEGER,
                    "parameters": _record(
                        {"max_tokens": _INTEGER, "temperature": {"type": "number", "minimum": 0}}
                    ),
                    "confidence": _list(
                        {
                            "type": ["number", "string", "null"],
                            "minimum": -1e6,
                            "maximum": 1e6,
                            "maxLength": 40,
                        },
                        MAX_IMAGES,
                        unique=False,
                    ),
                    "latency_ms": _INTEGER,
                    "tokens": _record(
                        {
                            "prompt": {**_INTEGER, "type": ["integer", "null"]},
                            "completion": {**_INTEGER, "type": ["integer", "null"]},
                        }
                    ),
                    "calls": _INTEGER,
                    "attempts": _INTEGER,
                    "price_estimate": {"type": "number", "minimum": 0},
                    "read_at": {**_INTEGER, "type": ["integer", "null"]},
                }
            ),
            "disclaimer": {"enum": [DISCLAIMER, DISCLAIMER_SCRIPTED]},
            "requires_human_review": {"const": True},
        }
    ),
    "allOf": [
        rule
        for source in ("triage_device", "triage_rules", "triage_ai")
        for rule in (
            _when(source, "yellow", {"triage_final": _choice(("yellow", "red"))}),
            _when(source, "red", {"triage_final": {"const": "red"}}),
        )
    ]
    + [
        _when("triage_final", "yellow", {"urgency": _choice(URGENCIES[1:])}),
        _when("triage_final", "red", {"urgency": _choice(URGENCIES[2:])}),
        _when("status", "ok", {"differential": {"minItems": 1}}),
    ]
    + [
        {
            "if": {
                "properties": {"second_look": {"properties": {"triage": {"const": colour}}}},
                "required": ["second_look"],
            },
            "then": {"properties": {"triage_final": _choice(TRIAGES[TRIAGES.index(colour) :])}},
        }
        for colour in TRIAGES[1:]
    ],
}


def schemas() -> dict[str, dict[str, Any]]:
    """The analysis, whole and as health workers see it, for the API's description."""
    from shared.products.dermadetect.who_sees_analysis import VISIBLE_TO_CHW

    whole = {name: value for name, value in SCHEMA.items() if name[0] != "$"}
    seen = {name: whole["properties"][name] for name in VISIBLE_TO_CHW}
    return {
        "AiAnalysis": whole,
        "AiAnalysisBeforeReview": {
            "type": "object",
            "title": "ai_analysis before a doctor signed",
            "description": "What a health worker's phone gets until a doctor has signed.",
            "properties": seen,
            "required": list(seen),
            "additionalProperties": False,
        },
    }


def published() -> str:
    """The text of `docs/ai-analysis.schema.json`."""
    return json.dumps(SCHEMA, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    print(published(), end="")
