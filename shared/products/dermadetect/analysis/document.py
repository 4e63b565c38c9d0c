"""The complete document of an analysis, and of a case that got none: it escalates, it never lowers.

`triage_final` is the worst of device, rules, model and second look, and `urgency` is never milder than it
asks for. Every document satisfies `SCHEMA`, or `ContractBroken` is raised.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from shared.ai.model import MODEL_DECLINED, SCRIPTED
from shared.ai.schema import problems
from shared.errors import ContractBroken
from shared.products.dermadetect.analysis.clean_text import clean
from shared.products.dermadetect.analysis.draft import Draft
from shared.products.dermadetect.analysis.schema import SCHEMA
from shared.products.dermadetect.analysis.vocabulary import (
    CONTRACT_BROKEN,
    DISCLAIMER,
    DISCLAIMER_SCRIPTED,
    MAX_STEPS,
    RED_FLAGS,
    REFERRALS,
    SCHEMA_VERSION,
    TRIAGE_OF_URGENCY,
    TRIAGES,
    URGENCIES,
    URGENCY_OF_TRIAGE,
    triage_colour,
)
from shared.products.dermadetect.emergency import urgency_of


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where an analysis comes from and what it took."""

    model: str = ""
    version: str = ""
    prompt: str = ""  #: the prompt's name, like `analyse-v1`
    prompt_sha256: str = ""  #: of the prompt as sent, without the patient's data
    image_sha256: tuple[str, ...] = ()  #: of the images that were shown, in order
    image_files: tuple[str, ...] = ()  #: the ids of their files, in the same order
    images_skipped: int = 0  #: images that there was no room or time for
    images_unread: int = 0  #: photos that were shown, and of which no answer could be read
    images_missing: int = 0  #: photos that the case names and that had not come, or were refused
    max_tokens: int = 0
    temperature: float = 0.0
    latency_ms: int = 0
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    calls: int = 0  #: questions asked, repairs included
    attempts: int = 1  #: the job's attempt that this is
    price_estimate: float = 0.0  #: what the calls cost by the configured prices; an estimate


@dataclass(frozen=True, slots=True)
class SecondLook:
    """What the zero-shot triage made of the photos (`triage`); for doctors only.

    `status` says why there are no scores: `not_run`, `phone_scored`, `no_image`, `no_endpoint`,
    `failed`. `triage` is None without calibrated thresholds.
    """

    status: str = "not_run"
    labels: str = ""  #: name and version of the label texts
    scores: Mapping[str, float] = field(default_factory=dict)  #: label → 0 to 1, worst photo
    triage: str | None = None
    model: str = ""


def finish(
    draft: Draft,
    *,
    triage_device: object,
    rules_triage: object = None,
    rules_flags: Sequence[str] = (),
    second_look: SecondLook = SecondLook(),
    provenance: Provenance,
) -> dict[str, Any]:
    """The complete contract document of a draft.

    `triage_device` is the phone's risk level, `rules_triage` what rules on the server say (None: no
    rule spoke), `rules_flags` why; `second_look` counts as a fourth opinion. A level that is missing or
    cannot be read is null in the document and counts as red: the worst is assumed of what is not
    known.

    Raises `ContractBroken` if the result were outside the contract, which only a
    provenance out of bounds can cause.
    """
    urgency_ai = max(draft.urgency, _implied_urgency(draft), key=URGENCIES.index)
    triage_ai: str | None = TRIAGE_OF_URGENCY[urgency_ai]
    if draft.status != "ok" and triage_ai == "green":
        triage_ai = None  # no picture, no opinion: silence must not read as "harmless"
    document = _document(
        draft.status,
        triage_device,
        rules_triage,
        triage_ai,
        urgency_ai,
        provenance,
        draft.confidence,
        second_look,
    )
    document["image_quality"] = [
        {"image_sha256": sha256, "verdict": quality.verdict, "issues": list(quality.issues)}
        for sha256, quality in zip(provenance.image_sha256, draft.image_quality, strict=False)
    ]
    document["morphology"] = {
        "primary_lesion": draft.primary_lesion,
        "colours": list(draft.colours),
        "border": draft.border,
        "distribution": draft.distribution,
        "abcde": dict(draft.abcde),
    }
    document["differential"] = [
        {
            "label": opinion.label,
            "likelihood": opinion.likelihood,
            "supporting": list(opinion.supporting),
            "against": list(opinion.against),
        }
        for opinion in draft.differential
    ]
    write_flags(document, rules_flags, draft.red_flags)
    document["missing_information"] = list(draft.missing_information)
    document["suggested_next_steps"] = next_steps(
        document["urgency"], draft.status, draft.suggested_next_steps
    )
    document["uncertainty"] = {
        "level": draft.uncertainty,
        "calibrated": False,
        "note": draft.uncertainty_note,
    }
    return _checked(document)


def unavailable(
    reason: str,
    triage_device: object,
    *,
    rules_triage: object = None,
    rules_flags: Sequence[str] = (),
    second_look: SecondLook = SecondLook(),
    provenance: Provenance | None = None,
    urgency: str | None = None,
) -> dict[str, Any]:
    """The document of a case that got no analysis; the doctor gets the case all the same.

    `urgency` is what was heard in an answer that could not be read: nothing else of it is used.

    `reason` is a stable code (the `code` of the fault); its status is parse_failed for
    `contract_broken`, refused for `model_declined`, else unavailable. Anything that does not look
    like a code (`[a-z0-9_]`, at most 64) is written as `unspecified`: no foreign text gets in.
    """
    status = {CONTRACT_BROKEN: "parse_failed", MODEL_DECLINED: "refused"}.get(reason, "unavailable")
    document = _document(
        status,
        triage_device,
        rules_triage,
        # silence, and what is hardly heard, must not read as "harmless"
        None if urgency in (None, "routine") else TRIAGE_OF_URGENCY[str(urgency)],
        urgency,
        provenance or Provenance(),
        (),
        second_look,
    )
    write_flags(document, rules_flags)
    document["reason"] = reason if re.fullmatch(r"[a-z0-9_]{1,64}", reason) else "unspecified"
    document["suggested_next_steps"] = next_steps(document["urgency"], status, ())
    return _checked(document)


def write_flags(document: dict[str, Any], *lists: Sequence[str]) -> None:
    """Write the red flags down, and the urgency that they alone mean: nobody makes it less."""
    flags = [flag for flag in dict.fromkeys(chain.from_iterable(lists)) if flag in RED_FLAGS]
    document["red_flags"] = flags
    if (urgency := urgency_of(flags).urgency) is not None:
        document |= {"urgency": urgency, "triage_final": TRIAGE_OF_URGENCY[urgency]}


def _implied_urgency(draft: Draft) -> str:
    """What flags and referrals ask for, should the draft's urgency contradict them."""
    implied = [urgency for urgency, step in REFERRALS.items() if step in draft.suggested_next_steps]
    if draft.red_flags:
        implied.append("urgent")
    return max(implied, key=URGENCIES.index, default="routine")


def _document(
    status: str,
    triage_device: object,
    rules_triage: object,
    triage_ai: str | None,
    urgency_ai: str | None,
    provenance: Provenance,
    confidence: tuple[float | str | None, ...],
    look: SecondLook,
) -> dict[str, Any]:
    device, rules = triage_colour(triage_device), triage_colour(rules_triage)
    sources = (device, rules, triage_ai, look.triage)
    known = [colour for colour in sources if colour is not None]
    if device is None or (rules is None and rules_triage is not None):
        known.append("red")
    final = max(known, key=TRIAGES.index)
    floor = URGENCY_OF_TRIAGE[final]
    scripted = provenance.model == SCRIPTED
    return {
        "schema_version": SCHEMA_VERSION,
        "status": status,
        "reason": None,
        "image_quality": [],
        "morphology": None,
        "differential": [],
        "urgency": max(urgency_ai or floor, floor, key=URGENCIES.index),
        "urgency_ai": urgency_ai,
        "red_flags": [],
        "triage_device": device,
        "triage_rules": rules,
        "triage_ai": triage_ai,
        "triage_final": final,
        "second_look": {
            "status": look.status,
            "labels": clean(look.labels, 64),
            "model": clean(look.model, 200),
            "scores": [{"label": name, "score": score} for name, score in look.scores.items()],
            "triage": look.triage,
        },
        "missing_information": [],
        "suggested_next_steps": [],
        "uncertainty": {"level": "high", "calibrated": False, "note": ""},
        "provenance": {
            "model": clean(provenance.model, 200),
            "version": clean(provenance.version, 200),
            "prompt": clean(provenance.prompt, 64),
            "prompt_sha256": provenance.prompt_sha256 or None,
            "image_sha256": list(provenance.image_sha256),
            "image_files": list(provenance.image_files),
            "images_skipped": provenance.images_skipped,
            "images_unread": provenance.images_unread,
            "images_missing": provenance.images_missing,
            "parameters": {
                "max_tokens": provenance.max_tokens,
                "temperature": float(provenance.temperature),
            },
            "confidence": list(confidence[: len(provenance.image_sha256) or 1]),
            "latency_ms": provenance.latency_ms,
            "tokens": {
                "prompt": provenance.prompt_tokens,
                "completion": provenance.completion_tokens,
            },
            "calls": provenance.calls,
            "attempts": provenance.attempts,
            "price_estimate": float(provenance.price_estimate),
            "read_at": None,
        },
        "disclaimer": DISCLAIMER_SCRIPTED if scripted else DISCLAIMER,
        "requires_human_review": True,
    }


def next_steps(urgency: str, status: str, suggested: Sequence[str]) -> list[str]:
    """The referral that the urgency asks for, waiting for the doctor, then what was suggested."""
    steps = [REFERRALS[urgency]] if urgency in REFERRALS else []
    steps.append("await_doctor")
    if status == "insufficient_image":
        steps.append("retake_photo")
    for step in suggested:
        milder = step in REFERRALS.values() or (
            step == "see_again_in_2_weeks" and urgency in ("urgent", "emergency")
        )
        if step not in steps and not milder:
            steps.append(step)
    return steps[:MAX_STEPS]


def _checked(document: dict[str, Any]) -> dict[str, Any]:
    faults = problems(document, SCHEMA)
    if faults:
        raise ContractBroken(f"The analysis is outside its contract: {'; '.join(faults[:5])}.")
    return document
