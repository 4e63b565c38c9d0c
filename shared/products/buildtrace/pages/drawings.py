"""A project's drawings; one drawing with its revisions and comparisons; the files of revisions."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import quote

from msgspec import Meta, Struct

from shared.access.rights import Action
from shared.console.page import N_, Act, Page, Response
from shared.console.pages.team import Scope, chosen
from shared.console.visit import Visit, address
from shared.errors import InvalidRequest, NotFound
from shared.products.buildtrace.files import attachments
from shared.products.buildtrace.looking import issue_order, total
from shared.products.buildtrace.pages import uploading
from shared.products.buildtrace.pages.words import FAULTS, MENU, REVISION_STATES, STATES
from shared.products.buildtrace.tables import REVISIONS

_Id = Annotated[str, Meta(max_length=128)]
_Text = Annotated[str, Meta(max_length=5000)]


class DrawingsPageAsked(Struct):
    """Of which project."""

    scope: Scope = ""


class DrawingPageAsked(Struct):
    """Which drawing, and of which project."""

    id: _Id
    scope: Scope = ""


class RevisionFileAsked(Struct):
    """Which revision."""

    id: _Id


class NewDrawingForm(Struct):
    """A drawing to be made. `id` is the form's own: sent twice it is one."""

    id: _Id
    name: Annotated[str, Meta(max_length=200)]
    discipline: Annotated[str, Meta(max_length=60)] = ""
    note: _Text = ""


class NewRevisionForm(Struct):
    """A revision to be made; its file may come along."""

    id: _Id
    label: Annotated[str, Meta(max_length=60)] = ""
    issued_on: Annotated[str, Meta(max_length=30)] = ""
    note: _Text = ""


class RevisionFileForm(Struct):
    """Whose file it is."""

    revision: _Id


class CompareForm(Struct):
    """Which two revisions; none: the latest and the one before."""

    old: _Id = ""
    new: _Id = ""


# --- what is shown


def show_drawings(visit: Visit, asked: DrawingsPageAsked) -> Response:
    """A card a drawing."""
    scope = chosen(visit, Action.READ, asked.scope)
    found = visit.api.get("/api/v1/drawings", scope=scope)["drawings"]
    return visit.show(
        "buildtrace/drawings.html",
        scope=scope,
        scopes=visit.scopes(Action.READ),
        drawings=[_brief(each) for each in found],
        new_id=visit.typed.get("id") or secrets.token_urlsafe(16),
        may_write=scope in visit.scopes(Action.WRITE),
        states=STATES,
        revision_states=REVISION_STATES,
        total=total,
    )


def show_drawing(visit: Visit, asked: DrawingPageAsked) -> Response:
    """Its revisions, what was compared, and forms for those who write."""
    scope = chosen(visit, Action.READ, asked.scope)
    entry = _found(visit, scope, asked.id)
    brief = _brief(entry)
    revisions = brief["revisions"]
    return visit.show(
        "buildtrace/drawing.html",
        scope=scope,
        drawing=entry["record"],
        revisions=revisions[::-1],
        comparisons=brief["comparisons"],
        arriving=uploading.arriving(visit, revisions),
        labels={each["id"]: each["label"] for each in revisions},
        new_id=visit.typed.get("id") or secrets.token_urlsafe(16),
        may_write=scope in visit.scopes(Action.WRITE),
        states=STATES,
        revision_states=REVISION_STATES,
        faults=FAULTS,
        total=total,
        form_bytes=visit.frame.form_bytes(),
        most_bytes=attachments()[REVISIONS].most_bytes,
    )


def show_file(visit: Visit, asked: RevisionFileAsked) -> Response:
    """To the file of a revision, by a link of this moment."""
    found = visit.api.get(f"/api/v1/revisions/{quote(asked.id, safe='')}")["record"]
    return to_file(visit, found.get("file_url"))


def to_file(visit: Visit, url: str | None) -> Response:
    """To a file that a record names. Raises `NotFound` while it cannot be had."""
    links = visit.api.get(url).get("links") or {} if url else {}
    if "original" not in links:
        raise NotFound("This file cannot be shown.")
    return visit.go(links["original"])


def drawing_address(name: str, scope: str) -> str:
    """The page of a drawing."""
    return address("drawings", name, scope=scope)


def _found(visit: Visit, scope: str, name: str) -> Mapping[str, Any]:
    listed = visit.api.get("/api/v1/drawings", scope=scope)["drawings"]
    found = next((each for each in listed if each["record"]["id"] == name), None)
    if found is None:
        raise NotFound("There is no such drawing, or none that you may see.", field="id")
    return dict(found)


def _brief(entry: Mapping[str, Any]) -> dict[str, Any]:
    """A drawing with its revisions by their day, and its comparisons, the newest first."""
    parts = entry["parts"]
    revisions = sorted(parts.get("revisions", ()), key=issue_order)
    comparisons = sorted(
        parts.get("comparisons", ()), key=lambda each: each["created_at"] or 0, reverse=True
    )
    return {"record": entry["record"], "revisions": revisions, "comparisons": comparisons}


# --- what is done


def new_drawing(visit: Visit, asked: DrawingsPageAsked, form: NewDrawingForm) -> Response:
    """Make a drawing."""
    scope = chosen(visit, Action.WRITE, asked.scope)
    if not form.name.strip():
        raise InvalidRequest(N_("Give it a name."), field="name")
    said = {"name": form.name.strip(), "discipline": form.discipline.strip(), "note": form.note}
    visit.api.post("/api/v1/drawings", {"scope": scope, "id": form.id, **said})
    return visit.go(drawing_address(form.id, scope), N_("It is kept. Now add its revisions."))


def new_revision(visit: Visit, asked: DrawingPageAsked, form: NewRevisionForm) -> Response:
    """Make a revision, and take its file if one came along."""
    said = {"id": form.id, "label": form.label, "issued_on": form.issued_on, "note": form.note}
    visit.api.post(f"/api/v1/drawings/{quote(asked.id, safe='')}/revisions", said)
    if visit.file is None or not visit.file.filename:
        return visit.again(N_("It is kept. Its file is still missing."))
    return uploading.take(visit, form.id)


def take_file(visit: Visit, _asked: DrawingPageAsked, form: RevisionFileForm) -> Response:
    """The file of a revision that waits for it."""
    return uploading.take(visit, form.revision)


def compare(visit: Visit, asked: DrawingPageAsked, form: CompareForm) -> Response:
    """Compare two revisions: of the same two there is one comparison."""
    said = {"drawing_id": asked.id}
    if form.old or form.new:
        said |= {"old_revision_id": form.old, "new_revision_id": form.new}
    made = visit.api.post("/api/v1/comparisons", said)
    return visit.go(address("comparisons", made["record"]["id"]))


PAGES = (
    Page(
        path="drawings",
        shows=show_drawings,
        title=N_("Drawings"),
        asks=DrawingsPageAsked,
        acts={"new": Act(new_drawing, NewDrawingForm)},
        right=Action.READ,
        menu=MENU,
    ),
    Page(
        path="drawings/{id}",
        shows=show_drawing,
        title=N_("Drawing"),
        asks=DrawingPageAsked,
        acts={
            "revise": Act(new_revision, NewRevisionForm),
            "upload": Act(take_file, RevisionFileForm),
            "tell": Act(uploading.tell, uploading.FileToldForm),
            "piece": Act(uploading.piece, uploading.PieceForm),
            "came": Act(uploading.came),
            "compare": Act(compare, CompareForm),
        },
        right=Action.READ,
        takes_file=True,
    ),
    Page(
        path="drawings/{id}/now",
        shows=show_drawing,
        title=N_("Drawing"),
        asks=DrawingPageAsked,
        right=Action.READ,
        quiet=True,
    ),
    Page(
        path="revisions/{id}/file",
        shows=show_file,
        title="",
        asks=RevisionFileAsked,
        right=Action.READ,
    ),
)
