"""Take a team's records away as a file, which is made while it is sent."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

from flask import Response
from msgspec import Meta, Struct, structs

from shared.access.rights import Action
from shared.console.page import N_, Page
from shared.console.pages.team import MENU, Scope
from shared.console.visit import Visit
from shared.errors import Fault, InvalidRequest

#: Formats: what they are called, and what they hold.
FORMATS = {
    "xlsx": (N_("Excel"), N_("All tables or one, a sheet each; 50,000 rows at most.")),
    "csv": (N_("CSV"), N_("One table, for any spreadsheet, R or Stata.")),
    "csv-semicolon": (
        N_("CSV with semicolons"),
        N_("One table, for Excel where decimals have a comma."),
    ),
    "parquet": (N_("Parquet"), N_("One table, for pandas, R and databases.")),
    "fhir": (N_("FHIR R4"), N_("For other systems of a hospital or a ministry; NDJSON.")),
}

#: What browsers are told that a file is, by the end of its name.
_MEDIA = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "ndjson": "application/fhir+ndjson",
}

#: Formats that hold one table.
_ONE_TABLE = ("csv", "csv-semicolon", "parquet")

_Day = Annotated[str, Meta(max_length=32)]


class ExportPageAsked(Struct):
    """What is to be in the file; without a format nothing was chosen yet. Days are inclusive."""

    scope: Scope = ""
    format: Annotated[str, Meta(max_length=16)] = ""
    table: Annotated[str, Meta(max_length=128)] = ""
    first_day: _Day = ""
    last_day: _Day = ""


def show_exports(visit: Visit, asked: ExportPageAsked) -> Response:
    """The form; once it is filled in, the file, or the form again if there is none."""
    if asked.format:
        try:
            return _file(visit, asked)
        except Fault as fault:
            visit.fault = fault
            visit.typed = structs.asdict(asked)
    found = visit.api.get("/api/v1/exports")
    return visit.show("console/exports.html", found=found, formats=FORMATS)


def _file(visit: Visit, asked: ExportPageAsked) -> Response:
    if asked.format in _ONE_TABLE and not asked.table:
        raise InvalidRequest(N_("CSV and Parquet hold one table: choose it."))
    found = visit.api.file(
        "/api/v1/exports/file",
        scope=asked.scope,
        format=asked.format,
        table=asked.table if asked.format != "fhir" else "",
        since=_midnight(visit, asked.first_day, "first_day", 0),
        until=_midnight(visit, asked.last_day, "last_day", 1),
    )
    name = found.headers["Content-Disposition"].partition('filename="')[2].rstrip('"')
    kind = _MEDIA.get(name.rpartition(".")[2], "application/octet-stream")
    return visit.download(found.response, name, kind)


def _midnight(visit: Visit, text: str, field: str, days: int) -> int | None:
    """When a day begins, or so many days later, in the zone of the pages, ms; None: none was named."""
    if not text:
        return None
    try:
        day = datetime.strptime(text, "%Y-%m-%d") + timedelta(days=days)
        return max(0, round(day.replace(tzinfo=visit.words.zone).timestamp() * 1000))
    except (ValueError, OverflowError):
        raise InvalidRequest("This is no day.", field=field) from None


PAGES = (
    Page(
        path="exports",
        shows=show_exports,
        title=N_("Exports"),
        asks=ExportPageAsked,
        right=Action.EXPORT,
        menu=MENU,
    ),
)
