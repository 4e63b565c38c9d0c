"""MedMind as one value: its tables, its people, its doses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from shared.notify.notice import AlertWords
from shared.products.medmind.alert_tables import ALERT
from shared.products.medmind.rights import ACCOUNTS, RIGHTS
from shared.products.medmind.settings import MedMindSettings
from shared.products.medmind.summary_tables import SUMMARIES
from shared.products.medmind.tables import CATALOG, DOSING, STOCK
from shared.products.medmind.voice_tables import VOICE
from shared.products.product import Parts, Product, Round, Seed, Stage
from shared.settings import own

if TYPE_CHECKING:
    from shared.ai.model import ChatRequest
    from shared.api.routes import Route
    from shared.console.page import Pages
    from shared.export.fhir import FhirMapping
    from shared.jobs.runner import Task
    from shared.records.store import StoredCollection


def _tasks(parts: Parts) -> Mapping[str, Task]:
    from shared.products.medmind.alerts import Alerting
    from shared.products.medmind.dosing import Dosing
    from shared.products.medmind.hearing import Hear
    from shared.products.medmind.stock import Stocktaking
    from shared.products.medmind.summarising import Summarise

    # the sweeper runs them in this order: doses are settled, what is missed is told in the same minute, and
    # then days are summed up
    return {
        DOSING: Dosing(parts.store()),
        STOCK: Stocktaking(parts.store()),
        ALERT: Alerting(parts.store(), parts),
        SUMMARIES: Summarise(parts.store(), parts.terms),
        VOICE: Hear(
            parts,
            audio_hours=own(MedMindSettings).voice_audio_hours,
            text_days=own(MedMindSettings).voice_text_days,
        ),
    }


def _stored() -> Sequence[StoredCollection]:
    from shared.products.medmind import (
        alert_events,
        alert_settings,
        alerts,
        circle_alerts,
        circle_said,
        device,
        dosing,
        said_before,
        stock,
        summarising,
        summary_routes,
        understanding,
        voice,
    )
    from shared.products.medmind.report import routes as report

    return (
        *circle_alerts.STORED,
        *circle_said.STORED,
        *dosing.STORED,
        *stock.STORED,
        *device.STORED,
        *alerts.STORED,
        *alert_events.STORED,
        *alert_settings.STORED,
        *summarising.STORED,
        *voice.STORED,
        *said_before.STORED,
        *understanding.STORED,
        *summary_routes.STORED,
        *report.STORED,
    )


def _rounds(parts: Parts) -> Mapping[str, Round]:
    from shared.products.medmind import alert_events
    from shared.products.medmind.device import silent
    from shared.products.medmind.understanding import remove_expired
    from shared.products.medmind.voice import forgotten

    return {
        "silent_devices": lambda now_ms: silent(parts.store(), now_ms),
        "voice": lambda now_ms: forgotten(parts.store(), parts.files, now_ms),
        "llm_requests": lambda now_ms: remove_expired(parts.store(), now_ms),
        "alert_events": partial(alert_events.remove_expired, parts.store()),
    }


def _routes(parts: Parts) -> Sequence[Route]:
    from shared.products.medmind import (
        alert_settings,
        circle,
        circle_alerts,
        circle_said,
        device,
        summary_routes,
        voice,
    )
    from shared.products.medmind.report import routes as report

    modules = (
        *(device, circle, circle_alerts, circle_said),
        *(alert_settings, voice, summary_routes, report),
    )

    return [route for each in modules for route in each.routes(parts)]


def _pages(parts: Parts) -> Pages:
    from shared.products.medmind.pages import pages

    return pages(parts)


def _draft(asked: ChatRequest) -> Mapping[str, Any]:
    from shared.products.medmind import understanding
    from shared.products.medmind.report import told

    if asked.system == told.SYSTEM:
        return told.draft(asked.text)
    return understanding.draft_of(understanding.sentence_in(asked.text))


def _fhir() -> FhirMapping:
    from shared.products.medmind.fhir import CircleMapper

    return CircleMapper()


def _seed(scope: str) -> Seed:
    from shared.products.medmind.seed import seed

    return seed(scope)


def _story(stage: Stage) -> None:
    from shared.products.medmind.two_days import two_days

    two_days(stage)


MEDMIND = Product(
    name="medmind",
    title="MedMind",
    catalog=lambda _settings: CATALOG,
    rights=RIGHTS,
    accounts=ACCOUNTS,
    tasks=_tasks,
    rung=(VOICE, SUMMARIES),
    rounds=_rounds,
    routes=_routes,
    pages=_pages,
    seed=_seed,
    story=_story,
    fhir=_fhir,
    stored=_stored,
    draft=_draft,
    alert=AlertWords("Somebody needs you", "Open the app to see it."),
)
