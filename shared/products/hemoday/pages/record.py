"""One record of a family: looked at, added, changed, deleted; its odd values answered, its pages sent.

A page writes as a phone with a good line does: by the sync that phones use, with the columns that somebody
changed.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from typing import Annotated, Any
from urllib.parse import quote

from msgspec import Meta, Struct

from shared.access.rights import Action
from shared.console.page import N_, Act, Page, Response
from shared.console.push import push
from shared.console.visit import Visit, address
from shared.errors import NotFound
from shared.products.hemoday.pages import forms, ranges
from shared.products.hemoday.pages.family import MENU, family_of, place, profile_of
from shared.products.hemoday.pages.words import ONE, PLACES, QUESTIONS

#: Rows for results of a blood test that are empty.
_EMPTY_ROWS = 6

#: Columns that are times.
_TIMES = ("date", "remind_at", "ends_at")

_Id = Annotated[str, Meta(max_length=128)]


class RecordPageAsked(Struct):
    """Which record of which family; `template`: whose indicators a new blood test begins with."""

    table: _Id
    id: _Id
    scope: Annotated[str, Meta(max_length=2000)] = ""
    template: _Id = ""


class ProfileAsked(Struct):
    """Of which family."""

    scope: Annotated[str, Meta(max_length=2000)] = ""


class RightForm(Struct):
    """What is right as it is; `of` is a result of the record, else the record itself."""

    confirm: Annotated[str, Meta(max_length=1024)]
    of: _Id = ""


class DoneForm(Struct):
    """Which time of a reminder, as the server calls it."""

    occurrence: Annotated[str, Meta(max_length=60)]


def show_record(visit: Visit, asked: RecordPageAsked) -> Response:
    """A form for those who write, else what is there."""
    table = _table(asked.table)
    scope = family_of(visit, Action.READ, asked.scope)
    entry = None if asked.id == "new" else _found(visit, scope, table, asked.id)
    record = {} if entry is None else entry["record"]
    profile = profile_of(visit, scope)
    results = [] if entry is None else entry["results"]
    for each in results:
        each["place"], each["said"] = place(each, profile), forms.rows([each])[0]["value"]
    inputs = forms.FORMS[table]
    templates = _templates(visit, scope) if table == "blood_tests" and entry is None else []
    return visit.show(
        "hemoday/record.html",
        table=table,
        scope=scope,
        entry=entry,
        record=record,
        record_id=visit.typed.get("id") or (asked.id if entry else secrets.token_urlsafe(16)),
        inputs=inputs,
        values=forms.shown(inputs, record, visit.words.zone),
        rows={
            each.name: forms.rows(record.get(each.name))
            for each in inputs
            if each.kind == "indicators"
        },
        results=results,
        empty=_begun(templates, asked.template),
        templates=templates,
        asked=asked,
        files=_files(visit, record) if table == "documents" else [],
        ranges=ranges.rows(record, visit.now_ms) if table == "family_profiles" else [],
        to_do=_to_do(visit, scope, record) if table == "reminders" and entry else [],
        may_write=scope in visit.scopes(Action.WRITE),
        one=ONE,
        questions=QUESTIONS,
        places=PLACES,
        amount_of=forms.amount,
        named=forms.named,
        dumped=json.dumps,
    )


def show_profile(visit: Visit, asked: ProfileAsked) -> Response:
    """The child: the one record whose id is the family's."""
    scope = family_of(visit, Action.READ, asked.scope)
    there = profile_of(visit, scope)
    return show_record(visit, RecordPageAsked("family_profiles", scope if there else "new", scope))


def save_profile(visit: Visit, asked: ProfileAsked) -> Response:
    """Keep what was changed of it."""
    scope = family_of(visit, Action.WRITE, asked.scope)
    there = profile_of(visit, scope)
    return save(visit, RecordPageAsked("family_profiles", scope if there else "new", scope))


def save(visit: Visit, asked: RecordPageAsked) -> Response:
    """Keep what was changed."""
    table = _table(asked.table)
    scope = family_of(visit, Action.WRITE, asked.scope)
    new = asked.id == "new"
    if table == "family_profiles":
        name = scope
    else:
        name = visit.sent.get("id", "") if new else asked.id
    changed = forms.typed(forms.FORMS[table], visit.sent, _was(visit), visit.words.zone)
    if new and table == "reminders":
        changed["time_zone"] = visit.words.zone.key
    if table == "family_profiles":
        after = ranges.sent(visit.sent, profile_of(visit, scope))
        changed |= {} if after is None else {"ranges": after}
    rows: dict[str, list[dict[str, Any]]] = {}
    if changed or new:
        rows[table] = [{"id": name, **changed}]
    if table == "blood_tests":
        rows["blood_test_results"] = _results(visit, name)
    if table == "documents" and visit.file is not None and visit.file.filename:
        page = f"{secrets.token_urlsafe(8)}-{visit.file.filename}"[-200:]
        have = [] if new else _found(visit, scope, table, name)["record"].get("pages") or []
        rows[table] = [{"id": name, **changed, "pages": [*have, page]}]
        push(visit, scope, rows, _TIMES)
        visit.file.stream.seek(0)
        fields = {"table": table, "record_id": name, "key": page}
        visit.api.upload("/api/v1/upload", fields, visit.file)
    else:
        push(visit, scope, rows, _TIMES)
    return visit.go(_where(table, name, scope), N_("It is kept."))


def remove(visit: Visit, asked: RecordPageAsked) -> Response:
    """Delete it: it can be brought back."""
    table = _table(asked.table)
    scope = family_of(visit, Action.WRITE, asked.scope)
    push(visit, scope, {table: [{"id": asked.id, "deleted": True}]})
    return visit.go(address("family", scope=scope), N_("It is deleted. It can be brought back."))


def confirm(visit: Visit, asked: RecordPageAsked, form: RightForm) -> Response:
    """An odd value is right as it is."""
    table, scope = _table(asked.table), family_of(visit, Action.WRITE, asked.scope)
    entry = _found(visit, scope, table, asked.id)
    about = entry["record"]
    if form.of:
        table = "blood_test_results"
        about = next((each for each in entry["results"] if each["id"] == form.of), None)
        if about is None:
            raise NotFound("There is no such record, or none that you may see.", field="of")
    answered = [*(about.get("confirmed") or []), form.confirm]
    push(visit, scope, {table: [{"id": about["id"], "confirmed": answered}]})
    return visit.again(N_("Noted: it is right."))


def done(visit: Visit, asked: RecordPageAsked, form: DoneForm) -> Response:
    """Somebody did what a reminder says, at one of its times: the other phones fall silent."""
    scope = family_of(visit, Action.WRITE, asked.scope)
    name = hashlib.sha256(f"{asked.id}~{form.occurrence}~done".encode()).hexdigest()[:32]
    row = {"reminder_id": asked.id, "occurrence": form.occurrence, "action": "done"}
    push(visit, scope, {"reminder_actions": [{"id": name, **row}]})
    return visit.again(N_("Noted: it is done."))


def _results(visit: Visit, test: str) -> list[dict[str, Any]]:
    """Rows of results as they are to be stored: changed ones, new ones, those whose value was emptied."""
    found = []
    for row in forms.rows_of(visit.sent, "result"):
        had = {name: row.get(f"was_{name}", "") for name in ("name", "value", "unit")}
        now = {name: row[name] for name in had}
        if now == had or not (row["name"] and (row["value"] or row.get("id"))):
            continue
        name = row.get("id") or row.get("new") or ""
        if not row["value"]:
            found.append({"id": name, "deleted": True})
        else:
            found.append({"id": name, "blood_test_id": test, **forms.result(row)})
    return found


def _begun(templates: list[dict[str, Any]], chosen_id: str) -> list[dict[str, str]]:
    """Empty rows of results, the first with the names and units of a template."""
    begun: list[Any] = (
        next((each["indicators"] for each in templates if each["id"] == chosen_id), []) or []
    )
    said = [each if isinstance(each, dict) else {"name": str(each)} for each in begun]
    rows = [(str(each.get("name") or ""), str(each.get("unit") or "")) for each in said]
    rows += [("", "")] * _EMPTY_ROWS
    return [{"new": secrets.token_urlsafe(16), "name": name, "unit": unit} for name, unit in rows]


def _templates(visit: Visit, scope: str) -> list[dict[str, Any]]:
    found = visit.api.get("/api/v1/records/analysis_templates", scope=scope)
    return [each["record"] for each in found["entries"]]


def _files(visit: Visit, record: dict[str, Any]) -> list[dict[str, Any]]:
    """The pages of a document that have arrived, with links to them."""
    return [visit.api.get(url) for url in record.get("file_urls") or []]


def _to_do(visit: Visit, scope: str, record: dict[str, Any]) -> list[str]:
    """Times of a reminder that came and that nobody did yet, as far as the newest actions tell."""
    found = visit.api.get("/api/v1/records/reminder_actions", scope=scope)["entries"]
    over = {
        each["record"].get("occurrence")
        for each in found
        if each["record"].get("reminder_id") == record["id"]
        and each["record"].get("action") == "done"
    }
    came = dict.fromkeys((*(record.get("missed") or ()), record.get("last_occurrence")))
    return [each for each in came if each and each not in over]


def _found(visit: Visit, scope: str, table: str, name: str) -> Any:
    return visit.api.get(f"/api/v1/records/{table}/{quote(name, safe='')}", scope=scope)


def _was(visit: Visit) -> dict[str, str]:
    """What the form said when it was shown; what cannot be read is as if all was changed."""
    try:
        was = json.loads(visit.sent.get("was") or "{}")
    except ValueError:
        return {}
    return {name: str(value) for name, value in was.items()} if isinstance(was, dict) else {}


def _table(name: str) -> str:
    if name not in forms.FORMS:
        raise NotFound("There is no such table.", field="table")
    return name


def _where(table: str, name: str, scope: str) -> str:
    if table == "family_profiles":
        return address("child", scope=scope)
    return address("records", table, name, scope=scope)


_ACTS = {
    "save": Act(save),
    "remove": Act(remove),
    "confirm": Act(confirm, RightForm),
    "done": Act(done, DoneForm),
}

PAGES = (
    Page(
        path="records/{table}/{id}",
        shows=show_record,
        title=N_("Record"),
        asks=RecordPageAsked,
        acts=_ACTS,
        right=Action.READ,
        takes_file=True,
    ),
    Page(
        path="child",
        shows=show_profile,
        title=N_("The child"),
        asks=ProfileAsked,
        acts={"save": Act(save_profile)},
        right=Action.READ,
        menu=MENU,
    ),
)
