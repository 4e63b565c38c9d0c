"""What BuildTrace answers beside sync, accounts and files: drawings, comparisons, changes, overlays.

Whatever is written here is pushed as a phone of the caller would: by the same rules, with the same
refusals.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, to_builtins

from shared.access import audit
from shared.access.rights import Action
from shared.api.fields import Id, Limit, names, says
from shared.api.routes import Route
from shared.api.scopes import AskedScope, scope_asked
from shared.api.web import Call, Response, answer, download, tagged
from shared.errors import (
    Contended,
    FilesUnavailable,
    Forbidden,
    InvalidRequest,
    NotFound,
    StoreUnavailable,
)
from shared.products.buildtrace import told
from shared.products.buildtrace.looking import Project, issue_order, picture, shown
from shared.products.buildtrace.rights import RIGHTS
from shared.products.buildtrace.tables import (
    CANCELLED,
    CATALOG,
    COMPARISONS,
    DRAWINGS,
    FAILED,
    OCR,
    PAIRS,
    REMARKS,
    REVISIONS,
    SHEETS,
    STAGE_NAMES,
    STAGES,
    SUMMARIES,
    begin,
    begun,
    bells,
    made_id,
    stage_id,
)
from shared.products.product import Parts
from shared.records import record
from shared.records.collection import RecordFault
from shared.records.insist import insist
from shared.records.store import Document, Key
from shared.sync.exchange import Entry, Push

#: Changes of one page, most.
PAGE = 200

_NONE = "There is no such record, or none that you may see."
_Text = Annotated[str, Meta(max_length=5000)]
_Name = Annotated[str, Meta(min_length=1, max_length=200)]


class ProjectAsked(Struct):
    """Which project."""

    scope: AskedScope = UNSET


class OneRecordAsked(Struct):
    """Which record."""

    id: Annotated[Id, names(_NONE), says("Its id.")]


class ChangesAsked(Struct):
    """Changes of which comparison, and where the list goes on."""

    id: Annotated[Id, names(_NONE), says("The comparison.")]
    pair: Annotated[Id | UnsetType, says("Of one pair of sheets alone.")] = UNSET
    behind: Annotated[Id | UnsetType, says("`next` of the answer before.")] = UNSET
    limit: Annotated[Limit, says(f"Most changes of one answer; {PAGE} at most.")] = PAGE


class TileAsked(Struct):
    """Which picture of which overlay."""

    id: Annotated[Id, names(_NONE), says("The pair of sheets.")]
    name: Annotated[
        str,
        Meta(pattern=r"^(overlay|old|new)-\d{1,2}-\d{1,3}-\d{1,3}\Z"),
        says("Layer, zoom (0 is all of the sheet in one), column, row: `overlay-0-0-0`."),
    ]


class NewDrawing(Struct):
    """A drawing to be made."""

    name: _Name
    scope: AskedScope = UNSET
    id: Annotated[Id | UnsetType, says("Made by the caller: sent again it is the same.")] = UNSET
    discipline: Annotated[str, Meta(max_length=60)] = ""
    note: _Text = ""


class NewRevision(Struct):
    """An issue of a drawing to be made; its file is sent to `/api/v1/upload` after it."""

    id: Annotated[Id | UnsetType, says("Made by the caller: sent again it is the same.")] = UNSET
    label: Annotated[str, Meta(max_length=60)] = ""
    issued_on: Annotated[str, Meta(max_length=30)] = ""
    note: _Text = ""


class NewComparison(Struct):
    """Which two revisions; without any the latest against the one before."""

    drawing_id: Id
    old_revision_id: Id | UnsetType = UNSET
    new_revision_id: Id | UnsetType = UNSET


class StageWanted(Struct):
    """From where a comparison that failed is tried again."""

    stage: Annotated[
        Literal["ocr", "diff", "summary"] | UnsetType, says("Absent: where it failed.")
    ] = UNSET


class RecordShown(Struct):
    """A record with all its columns."""

    record: Annotated[dict[str, Any], says("As phones have it; times in Unix ms.")]
    parts: Annotated[
        dict[str, list[dict[str, Any]]],
        says("Records that belong to it, by table, in their order."),
    ] = {}


class DrawingsShown(Struct):
    """The drawings of a project."""

    scope_id: str
    drawings: Annotated[list[RecordShown], says("Each with its `revisions` and `comparisons`.")]


class ChangesShown(Struct):
    """Changes in the order of their sheets."""

    changes: Annotated[list[dict[str, Any]], says("Each with its `remarks`.")]
    next: Annotated[str | None, says("Send as `behind`; null: that was all.")]


class _Routes:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    # --- reading

    def drawings(self, call: Call, asked: ProjectAsked) -> Response:
        """Drawings of a project.

        With their revisions and comparisons, the oldest first.
        """
        project = Project(self._parts.store(), call.caller)
        scope = scope_asked(
            project.store, call.caller, asked.scope, _may(Action.READ), CATALOG.scope_word
        )
        below: dict[str, dict[str, list[dict[str, Any]]]] = {}
        for table in (REVISIONS, COMPARISONS):
            for each in project.all(table, scope):
                mine = below.setdefault(str(each.fields["drawing_id"]), {})
                mine.setdefault(table, []).append(shown(each))
        listed = [
            RecordShown(shown(each), below.get(each.key.id, {}))
            for each in project.all(DRAWINGS, scope)
        ]
        return self._answer(call, project, "read_drawings", DrawingsShown(scope, listed))

    def revision(self, call: Call, asked: OneRecordAsked) -> Response:
        """A revision with its sheets.

        To poll until it is read, send `If-None-Match`.
        """
        project = Project(self._parts.store(), call.caller)
        found = project.record(REVISIONS, asked.id)
        sheets = project.rows(SHEETS, "revision_id", asked.id)
        value = RecordShown(shown(found), {SHEETS: list(map(shown, sheets))})
        return self._answer(call, project, "read_revision", value, tag=True)

    def comparison(self, call: Call, asked: OneRecordAsked) -> Response:
        """A comparison.

        With its stages, pairs of sheets and summaries. To poll, send `If-None-Match`.
        """
        project = Project(self._parts.store(), call.caller)
        found = project.record(COMPARISONS, asked.id)
        value = RecordShown(shown(found), self._below(project, asked.id))
        return self._answer(call, project, "read_comparison", value, tag=True)

    def changes(self, call: Call, asked: ChangesAsked) -> Response:
        """What changed between two revisions.

        In the order of sheets, each change with what people remarked.
        """
        project = Project(self._parts.store(), call.caller)
        project.record(COMPARISONS, asked.id)
        found = told.changes(project, asked.id)
        if isinstance(asked.pair, str):
            found = [each for each in found if each.fields["pair_id"] == asked.pair]
        ids = [each.key.id for each in found]
        start = 0
        if isinstance(asked.behind, str):
            if asked.behind not in ids:
                raise InvalidRequest(
                    "This list has another order now. Begin again.", field="behind"
                )
            start = ids.index(asked.behind) + 1
        page = found[start : start + min(asked.limit, PAGE)]
        remarks = told.remarks(project, [each.key.id for each in page])
        listed = [{**shown(each), REMARKS: remarks.get(each.key.id, [])} for each in page]
        more = start + len(page) < len(found)
        value = ChangesShown(listed, page[-1].key.id if more else None)
        return self._answer(call, project, "read_changes", value)

    def table(self, call: Call, asked: OneRecordAsked) -> Response:
        """What changed, as CSV.

        A line a change, for a spreadsheet: UTF-8 with a mark, formulas made harmless.
        """
        project = Project(self._parts.store(), call.caller)
        found = project.record(COMPARISONS, asked.id)
        text = told.csv(project, found)
        self._trail(call, project, "export_changes")
        return download(text, "changes.csv", "text/csv; charset=utf-8")

    def tile(self, call: Call, asked: TileAsked) -> Response:
        """A picture of an overlay.

        `tiles` of its pair says which there are.
        """
        project = Project(self._parts.store(), call.caller)
        pair = project.record(PAIRS, asked.id)
        data = picture(project.store, self._parts.files(), pair.fields, asked.name)
        if data is None:
            raise NotFound("There is no such picture.", field="name")
        response = Response(data, content_type="image/png")
        response.headers["Cache-Control"] = "private, max-age=86400"
        return response

    # --- writing

    def new_drawing(self, call: Call, body: NewDrawing) -> Response:
        """Make a drawing."""
        project = Project(self._parts.store(), call.caller)
        scope = scope_asked(
            project.store, call.caller, body.scope, _may(Action.WRITE), CATALOG.scope_word
        )
        name = body.id if isinstance(body.id, str) else _fresh(call)
        values = {"name": body.name, "discipline": body.discipline, "note": body.note}
        return self._made(call, scope, DRAWINGS, name, values)

    def new_revision(self, call: Call, asked: OneRecordAsked, body: NewRevision) -> Response:
        """Make an issue of a drawing.

        Then send its file as a form to `/api/v1/upload` (`table` is `revisions`), or ask `/api/v1/files`
        for a ticket and send it in pieces. It is read as soon as it is there.
        """
        project = Project(self._parts.store(), call.caller)
        drawing = project.record(DRAWINGS, asked.id, Action.WRITE)
        name = body.id if isinstance(body.id, str) else _fresh(call)
        values = {
            "drawing_id": asked.id,
            "label": body.label,
            "issued_on": body.issued_on,
            "note": body.note,
        }
        return self._made(call, str(drawing.fields[record.SCOPE]), REVISIONS, name, values)

    def new_comparison(self, call: Call, body: NewComparison) -> Response:
        """Compare two revisions.

        Of the same two there is one comparison: asking again is the same one. It waits for files that
        have not come, and goes on by itself.
        """
        project = Project(self._parts.store(), call.caller)
        drawing = project.record(DRAWINGS, body.drawing_id, Action.WRITE)
        scope = str(drawing.fields[record.SCOPE])
        old, new = self._two(project, body, scope)
        name = made_id(scope, old, new)
        values = {"drawing_id": body.drawing_id, "old_revision_id": old, "new_revision_id": new}
        return self._made(call, scope, COMPARISONS, name, values)

    def cancel(self, call: Call, asked: OneRecordAsked) -> Response:
        """Stop a comparison where it is."""
        project = Project(self._parts.store(), call.caller)
        found = project.record(COMPARISONS, asked.id, Action.WRITE)
        values = {
            name: found.fields.get(name)
            for name in ("drawing_id", "old_revision_id", "new_revision_id")
        }
        scope = str(found.fields[record.SCOPE])
        return self._made(
            call, scope, COMPARISONS, asked.id, {**values, "cancelled": True}, edit=True
        )

    def retry(self, call: Call, asked: OneRecordAsked, body: StageWanted) -> Response:
        """Try a comparison again that failed or was stopped.

        From the stage where it ended, or an earlier one. What was found before is not looked for again.
        """
        store, now_ms = self._parts.store(), self._parts.clock_ms()
        rung: list[Any] = []

        def attempt() -> Document:
            project = Project(store, call.caller)
            found = project.record(COMPARISONS, asked.id, Action.WRITE)
            have = found.fields
            if have.get("state") not in (FAILED, CANCELLED):
                raise InvalidRequest(
                    "Only what failed or was stopped can be tried again.", field="id"
                )
            stage = body.stage if isinstance(body.stage, str) else str(have["stage"])
            if STAGE_NAMES.index(stage) > STAGE_NAMES.index(str(have["stage"])):
                raise InvalidRequest("It has not come to that stage yet.", field="stage")
            fields = {**begun(asked.id, stage), "cancelled": False, record.MODIFIED: now_ms}
            scope = str(have[record.SCOPE])
            writes = [record.server_patch(found, fields), *begin(asked.id, scope, now_ms, stage)]
            if have.get("stage") == OCR:
                writes += told.reread(store, found, now_ms)
            store.commit(writes)
            rung[:] = bells(asked.id, stage)
            return found

        insist(attempt, 5, busy="This comparison is changing right now. Try again.")
        self._parts.ring(rung)
        return self.comparison(call, asked)

    # --- what they share

    def _two(self, project: Project, body: NewComparison, scope: str) -> tuple[str, str]:
        """The two revisions that are meant. Raises `InvalidRequest`, `NotFound`."""
        old, new = body.old_revision_id, body.new_revision_id
        if isinstance(old, str) and isinstance(new, str):
            for name, field in ((old, "old_revision_id"), (new, "new_revision_id")):
                found = project.record(REVISIONS, name)
                if found.fields[record.SCOPE] != scope:
                    raise NotFound(_NONE, field=field)
            if old == new:
                raise InvalidRequest("These are the same revision.", field="new_revision_id")
            return old, new
        if isinstance(old, str) or isinstance(new, str):
            raise InvalidRequest("Name both revisions, or none.", field="old_revision_id")
        rows = project.rows(REVISIONS, "drawing_id", body.drawing_id)
        rows.sort(key=lambda each: issue_order(each.fields))
        if len(rows) < 2:
            raise InvalidRequest("This drawing has no two revisions.", field="drawing_id")
        return rows[-2].key.id, rows[-1].key.id

    def _below(self, project: Project, name: str) -> dict[str, list[dict[str, Any]]]:
        keys = [Key(STAGES, stage_id(name, stage)) for stage in STAGE_NAMES]
        rows = project.store.read(keys).documents
        return {
            STAGES: [shown(rows[key]) for key in keys if key in rows],
            PAIRS: [shown(each) for each in project.rows(PAIRS, "comparison_id", name)],
            SUMMARIES: [shown(each) for each in project.rows(SUMMARIES, "comparison_id", name)],
        }

    def _made(
        self,
        call: Call,
        scope: str,
        table: str,
        name: str,
        values: Mapping[str, Any],
        *,
        edit: bool = False,
    ) -> Response:
        """Push a record; the answer is how it is stored. Raises `InvalidRequest`."""
        spec, now_ms = CATALOG.by_name[table], self._parts.clock_ms()
        said = {column: value for column, value in values.items() if value not in ("", None)}
        try:
            coerced = spec.coerce(said)
        except RecordFault as fault:
            raise InvalidRequest(fault.message, field=fault.field) from None
        entry = Entry(
            spec,
            name,
            {"id": name, **said},
            coerced=coerced,
            raw_ms=now_ms,
            scope_id=scope,
            fresh=not edit,
            named=frozenset({"cancelled"}) if edit else None,
        )
        mark = hashlib.sha256(repr((table, name, sorted(said.items()), now_ms)).encode())
        push = Push([entry], [], 0, mark.hexdigest())
        outcome = self._parts.pusher().push(call.caller, push, now_ms)
        for refused in outcome.rejected:
            raise InvalidRequest(refused.message, code=refused.code)
        self._parts.ring(outcome.bells)
        project = Project(self._parts.store(), call.caller)
        found = project.record(table, name)
        below = self._below(project, name) if table == COMPARISONS else {}
        return self._answer(call, project, f"write_{table}", RecordShown(shown(found), below))

    def _answer(
        self, call: Call, project: Project, action: str, value: Any, *, tag: bool = False
    ) -> Response:
        said = tagged(value, call, of=to_builtins(value)) if tag else answer(value, call=call)
        if said.status_code != 304:  # who polls is shown it once
            self._trail(call, project, action)
        return said

    def _trail(self, call: Call, project: Project, action: str) -> None:
        audit.reading(project.store, call.caller, action, project.seen, self._parts.clock_ms())


def _may(right: Action) -> Any:
    return lambda role: RIGHTS.may(role, right)


def _fresh(call: Call) -> str:
    """An id for a record whose caller made none."""
    return made_id(call.caller.user_id, call.request_id)


def routes(parts: Parts) -> Sequence[Route]:
    """All of them."""
    own = _Routes(parts)
    read: dict[str, Any] = {
        "faults": ("invalid_request", NotFound, StoreUnavailable),
    }
    write: dict[str, Any] = {
        "gives": RecordShown,
        "faults": ("invalid_request", NotFound, Forbidden, Contended, StoreUnavailable),
    }
    polled: dict[str, Any] = {
        "answer_headers": ("Cache-Control", "ETag"),
        "unchanged": True,
        "gives": RecordShown,
        **read,
    }
    return (
        Route(
            "GET",
            "/api/v1/drawings",
            own.drawings,
            name="listDrawings",
            asks=ProjectAsked,
            gives=DrawingsShown,
            names=(RecordShown,),
            **read,
        ),
        Route(
            "POST",
            "/api/v1/drawings",
            own.new_drawing,
            name="createDrawing",
            takes=NewDrawing,
            **write,
        ),
        Route(
            "POST",
            "/api/v1/drawings/{id}/revisions",
            own.new_revision,
            name="createRevision",
            asks=OneRecordAsked,
            takes=NewRevision,
            **write,
        ),
        Route(
            "GET",
            "/api/v1/revisions/{id}",
            own.revision,
            name="getRevision",
            asks=OneRecordAsked,
            **polled,
        ),
        Route(
            "POST",
            "/api/v1/comparisons",
            own.new_comparison,
            name="createComparison",
            takes=NewComparison,
            **write,
        ),
        Route(
            "GET",
            "/api/v1/comparisons/{id}",
            own.comparison,
            name="getComparison",
            asks=OneRecordAsked,
            **polled,
        ),
        Route(
            "GET",
            "/api/v1/comparisons/{id}/changes",
            own.changes,
            name="listChanges",
            asks=ChangesAsked,
            gives=ChangesShown,
            **read,
        ),
        Route(
            "GET",
            "/api/v1/comparisons/{id}/changes.csv",
            own.table,
            name="exportChanges",
            asks=OneRecordAsked,
            gives=str,
            media="text/csv",
            **read,
        ),
        Route(
            "POST",
            "/api/v1/comparisons/{id}/cancel",
            own.cancel,
            name="cancelComparison",
            asks=OneRecordAsked,
            **write,
        ),
        Route(
            "POST",
            "/api/v1/comparisons/{id}/retry",
            own.retry,
            name="retryComparison",
            asks=OneRecordAsked,
            takes=StageWanted,
            body_needed=False,
            **write,
        ),
        Route(
            "GET",
            "/api/v1/pairs/{id}/tiles/{name}",
            own.tile,
            name="getTile",
            asks=TileAsked,
            gives=bytes,
            media="image/png",
            faults=("invalid_request", NotFound, FilesUnavailable, StoreUnavailable),
        ),
    )
