"""`GET /api/v1/summaries`, `/insights`, `/dashboard`: a patient's days, weeks and changes, for web apps.

Days and weeks are the stored rows; today is counted at the request. Texts come in the language that is
asked for: in another than the row's, in fixed words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from shared.access import audit
from shared.access.rights import Action
from shared.api.fields import Limit, TextOrNull, says
from shared.api.routes import Route
from shared.api.scopes import AskedScope, scope_asked
from shared.api.web import Call, Response, tagged
from shared.errors import NotFound, StoreUnavailable
from shared.products.medmind.patient_days import DAY, PatientClock, ZoneSince
from shared.products.medmind.rights import DEVICE, RIGHTS
from shared.products.medmind.summarising import happened
from shared.products.medmind.summary import SummaryNumbers, numbers, numbers_of
from shared.products.medmind.summary_tables import DAILY, INSIGHTS, PROGRESS, WEEKLY
from shared.products.medmind.tables import CATALOG, DOSES, PATIENTS
from shared.products.product import Parts
from shared.records import record
from shared.records.store import Document, Key, Query, RecordStore, StoredCollection
from shared.records.wall_time import zone_named
from shared.sync import paging

#: Rows of one answer, and open insights of a dashboard.
MOST_ROWS, _MOST_OPEN = 62, 40

STORED = (
    StoredCollection(DAILY, ((record.SCOPE, "day desc", "__name__"),)),
    StoredCollection(WEEKLY, ((record.SCOPE, "first_day desc", "__name__"),)),
    StoredCollection(INSIGHTS, ((record.SCOPE, "found_on desc", "__name__"),)),
)

_TABLES = {"day": (DAILY, "day"), "week": (WEEKLY, "first_day")}

Language = Annotated[
    Literal["en", "hi", "ar", "ru"] | UnsetType, says("Of texts; absent: as they are stored.")
]
_Rows = Annotated[Limit, says(f"Most rows of one answer; {MOST_ROWS} at most.")]
_Page = Annotated[str | UnsetType, says("`next_page` of the answer before.")]
_DayText = Annotated[str, Meta(pattern=r"^\d{4}-\d{2}-\d{2}$")]


class SummariesAsked(Struct):
    """Of which circle, and which rows."""

    scope: AskedScope = UNSET
    period: Annotated[Literal["day", "week"], says("Days, or ISO weeks.")] = "day"
    first_day: Annotated[_DayText | UnsetType, says("The first day; of weeks: their Monday.")] = (
        UNSET
    )
    last_day: Annotated[_DayText | UnsetType, says("The last, inclusive.")] = UNSET
    language: Language = UNSET
    limit: _Rows = 31
    page: _Page = UNSET


class InsightsAsked(Struct):
    """Of which circle."""

    scope: AskedScope = UNSET
    language: Language = UNSET
    limit: _Rows = 31
    page: _Page = UNSET


class DashboardAsked(Struct):
    """Of which circle."""

    scope: AskedScope = UNSET
    language: Language = UNSET


class SummaryCounts(Struct):
    """The numbers of a day or a week; what each is, the table of the same name says."""

    due: int
    on_time: int
    late: int
    missed: int
    skipped: int
    open: int
    percent_taken: int | None
    as_needed: int
    delay_minutes: int | None
    skip_reasons: list[str]
    symptoms: dict[str, int]


class PatientSummary(Struct):
    """A day or a week."""

    period: Annotated[str, says("2026-03-29, or 2026-W13.")]
    first_day: str
    time_zone: str
    starts_at: Annotated[int, says("Unix ms.")]
    ends_at: Annotated[int, says("The first moment after it, Unix ms.")]
    numbers: SummaryCounts
    text: str
    language: str
    told_by: Annotated[str, says("`words`: fixed ones; `model`.")]
    amended_at: Annotated[int | None, says("When something late changed it, Unix ms.")]


class PatientSummaries(Struct):
    """Rows, the newest first."""

    scope_id: str
    summaries: list[PatientSummary]
    next_page: Annotated[str | None, says("Send as `page`; null: that was all.")]


class HealthInsight(Struct):
    """A change that is more than noise, and how that was found; as the table `health_insights`."""

    id: str
    kind: str
    symptom: TextOrNull
    found_on: str
    ended_on: TextOrNull
    recent_hits: int
    recent_days: int
    before_hits: int
    before_days: int
    recent_median: float | None
    before_median: float | None
    p_value: float
    threshold: float
    questions: int
    method: str
    text: str
    language: str


class HealthInsights(Struct):
    """Insights, the newest first."""

    scope_id: str
    insights: list[HealthInsight]
    next_page: Annotated[str | None, says("Send as `page`; null: that was all.")]


class PatientDashboard(Struct):
    """How it stands: today until now, yesterday, the last whole week, and what changed."""

    scope_id: str
    time_zone: str
    today: str
    so_far: Annotated[
        SummaryCounts, says("Of doses that were due until now; `open`: not settled yet.")
    ]
    to_come: Annotated[int, says("Doses that are still to come today.")]
    yesterday: PatientSummary | None
    week: PatientSummary | None
    insights: Annotated[list[HealthInsight], says("Those that hold.")]


class _Summaries:
    """Answers people of circles."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def summaries(self, call: Call, asked: SummariesAsked) -> Response:
        """A patient's days or weeks, the newest first.

        The same until something changes: send `If-None-Match`.
        """
        scope, (table, by) = self._scope(call, asked.scope), _TABLES[asked.period]
        first = (asked.first_day if isinstance(asked.first_day, str) else "0", ">=")
        last = (asked.last_day if isinstance(asked.last_day, str) else "9999", "<=")
        where = ((by, first[1], first[0]), (by, last[1], last[0]))
        rows, more = self._page(scope, table, by, asked.limit, asked.page, where)
        shown = [_summary(each, asked.language) for each in rows]
        self._note(call, scope, "read_summaries", rows)
        return tagged(
            PatientSummaries(scope, shown, more), call, of=_tag(rows, asked.language, more)
        )

    def insights(self, call: Call, asked: InsightsAsked) -> Response:
        """Changes that are, or were, more than noise: the newest first.

        The same until something changes: send `If-None-Match`.
        """
        scope = self._scope(call, asked.scope)
        rows, more = self._page(scope, INSIGHTS, "found_on", asked.limit, asked.page)
        shown = [_insight(each, asked.language) for each in rows]
        self._note(call, scope, "read_insights", rows)
        return tagged(HealthInsights(scope, shown, more), call, of=_tag(rows, asked.language, more))

    def dashboard(self, call: Call, asked: DashboardAsked) -> Response:
        """How it stands with a patient: numbers of today until now, yesterday, the last week; what changed.

        The same until something changes: send `If-None-Match`.
        """
        store, now_ms = self._parts.store(), self._parts.clock_ms()
        scope = self._scope(call, asked.scope)
        clock, known = clock_of(store, scope, now_ms)
        today = clock.day_of(now_ms)
        found = happened(store, scope, clock, today, today)[today]
        came = [each for each in found.doses if each.due_ms <= now_ms]
        so_far = numbers(replace(found, doses=came))
        days, _ = self._page(scope, DAILY, "day", 1, UNSET)
        weeks, _ = self._page(scope, WEEKLY, "first_day", 1, UNSET)
        held = list(dict(known.get("insights") or {}).values())[:_MOST_OPEN]
        read = store.read([Key(INSIGHTS, each) for each in held]).documents
        open_insights = [read[key] for key in sorted(read)]
        yesterday = (today - DAY).isoformat()
        newest = [each for each in days if each.fields["day"] == yesterday]
        monday = today - timedelta(today.weekday() + 7)
        last_week = [each for each in weeks if each.fields["first_day"] == monday.isoformat()]
        value = PatientDashboard(
            scope,
            clock.zone_at(now_ms).key,
            today.isoformat(),
            _counts(so_far),
            len(found.doses) - len(came),
            _summary(newest[0], asked.language) if newest else None,
            _summary(last_week[0], asked.language) if last_week else None,
            [_insight(each, asked.language) for each in open_insights],
        )
        rows = [*newest, *last_week, *open_insights]
        self._note(call, scope, "read_dashboard", rows, {DOSES: [each.id for each in found.doses]})
        tag = [_tag(rows, asked.language, None), so_far.columns(), value.to_come, value.today]
        return tagged(value, call, of=tag)

    def _scope(self, call: Call, scope: Any) -> str:
        return scope_asked(
            self._parts.store(),
            call.caller,
            scope,
            lambda role: role != DEVICE and RIGHTS.may(role, Action.READ),
            CATALOG.scope_word,
        )

    def _page(
        self,
        scope: str,
        table: str,
        by: str,
        limit: int,
        page: Any,
        where: tuple[tuple[str, str, Any], ...] = (),
    ) -> tuple[list[Document], str | None]:
        """Rows of a circle, the newest first, and where the list goes on."""
        behind = None
        if isinstance(page, str):
            _, _, _, place = paging.opened(page)
            behind = tuple(place.rpartition("/")[::2])
        limit = min(limit, MOST_ROWS)
        query = Query(
            table,
            where=((record.SCOPE, "==", scope), *where),
            order=((by, "desc"),),
            limit=limit + 1,
            start_after=behind,
        )
        rows = list(self._parts.store().query(query))
        more = None
        if len(rows) > limit:
            last = rows[limit - 1]
            more = paging.sealed((False, False, 0, f"{last.fields[by]}/{last.key.id}"))
        return rows[:limit], more

    def _note(
        self,
        call: Call,
        scope: str,
        action: str,
        rows: list[Document],
        also: Mapping[str, list[str]] | None = None,
    ) -> None:
        seen: dict[str, list[str]] = {name: list(ids) for name, ids in (also or {}).items()}
        for each in rows:
            seen.setdefault(each.key.collection, []).append(each.key.id)
        now_ms = self._parts.clock_ms()
        audit.reading(self._parts.store(), call.caller, action, {scope: seen}, now_ms)
        call.notes["rows"] = len(rows)


def clock_of(store: RecordStore, scope: str, now_ms: int) -> tuple[PatientClock, Mapping[str, Any]]:
    """A patient's clock with its journeys, and how far the circle is summed up (empty: not at all)."""
    about, seen = Key(PATIENTS, scope), Key(PROGRESS, scope)
    found = store.read([about, seen]).documents
    known = found[seen].fields if seen in found else {}
    zones = [
        ZoneSince(int(each["since"]), zone_named(each["zone"])) for each in known.get("zones") or ()
    ]
    if not zones:
        named = found[about].fields.get("time_zone") if about in found else None
        zones = [ZoneSince(now_ms, zone_named(named))]
    return PatientClock(zones), known


def _counts(found: SummaryNumbers) -> SummaryCounts:
    columns = found.columns()
    columns["skip_reasons"] = list(found.skip_reasons)
    columns["symptoms"] = dict(found.symptoms)
    return SummaryCounts(**columns)


def _summary(row: Document, language: Any) -> PatientSummary:
    from shared.products.medmind.report.sentences import fixed, words_in

    have, found = row.fields, numbers_of(row.fields)
    text, said, by = (str(have.get(name) or "") for name in ("text", "language", "told_by"))
    if isinstance(language, str) and language != said:
        text, said, by = fixed(found, words_in(language)), language, "words"
    return PatientSummary(
        str(have.get("day") or have["week"]),
        str(have.get("day") or have["first_day"]),
        str(have["time_zone"]),
        int(have["starts_at"]),
        int(have["ends_at"]),
        _counts(found),
        text,
        said,
        by,
        have.get("amended_at"),
    )


def _insight(row: Document, language: Any) -> HealthInsight:
    from shared.products.medmind.report.sentences import changed, words_in

    have: dict[str, Any] = {name: row.fields.get(name) for name in HealthInsight.__struct_fields__}
    if isinstance(language, str) and language != have["language"]:
        have |= {"text": changed(have, words_in(language)), "language": language}
    return HealthInsight(**{**have, "id": row.key.id})


def _tag(rows: list[Document], language: Any, more: str | None) -> list[Any]:
    asked = language if isinstance(language, str) else None
    return [[(*each.key, each.version) for each in rows], asked, more]


def routes(parts: Parts) -> tuple[Route, ...]:
    """What web apps ask."""
    answers = _Summaries(parts)
    listed = ("invalid_request", "invalid_cursor", NotFound, StoreUnavailable)
    return (
        Route(
            "GET",
            "/api/v1/summaries",
            answers.summaries,
            name="listSummaries",
            asks=SummariesAsked,
            gives=PatientSummaries,
            names=(PatientSummary, SummaryCounts),
            faults=listed,
            answer_headers=("Cache-Control", "ETag"),
            unchanged=True,
        ),
        Route(
            "GET",
            "/api/v1/insights",
            answers.insights,
            name="listInsights",
            asks=InsightsAsked,
            gives=HealthInsights,
            names=(HealthInsight,),
            faults=listed,
            answer_headers=("Cache-Control", "ETag"),
            unchanged=True,
        ),
        Route(
            "GET",
            "/api/v1/dashboard",
            answers.dashboard,
            name="getDashboard",
            asks=DashboardAsked,
            gives=PatientDashboard,
            faults=("invalid_request", NotFound, StoreUnavailable),
            answer_headers=("Cache-Control", "ETag"),
            unchanged=True,
        ),
    )
