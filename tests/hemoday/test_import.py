"""CSV comes in as it was shown, once, with every line that could not be taken given back."""

from __future__ import annotations

import base64
import contextlib
import csv
import io
import json
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import InvalidRequest
from shared.export.formats import FORMATS
from shared.export.rows import columns_of, row_of
from shared.products.hemoday import sheet
from shared.products.hemoday.importing import Answers, Plan, checked, planned
from shared.products.hemoday.tables import CATALOG
from shared.records.collection import RecordFault
from shared.records.store import Document, Key
from tests.api.conftest import Api, StartApi
from tests.hemoday.at_home import NOW
from tests.hemoday.family import changes

UTC_ZONE = ZoneInfo("UTC")


def plan(text: str, scope: str = "f1", **answers: Any) -> Plan:
    found = sheet.sheet(text, "", answers.pop("delimiter", None))
    return planned(found, scope, Answers(UTC_ZONE, **answers))


def said(found: Plan) -> list[dict[str, Any]]:
    """What was taken, without ids."""
    return [
        {name: value for name, value in each.values.items() if name != "blood_test_id"}
        for each in found.taken.values()
    ]


def noon(text: str) -> int:
    return round(datetime.fromisoformat(f"{text}T12:00").replace(tzinfo=UTC).timestamp() * 1000)


# --- what files look like

WIDE = [
    # English, comma, unit in the header
    'Date,"Hb, g/dL",Ferritin (ng/mL),Note\n2026-03-31,9.4,1450,fasting\n',
    # Russian Excel: semicolon, decimal comma, days first
    "Дата;Гемоглобин, г/дл;Ферритин (нг/мл);Примечание\n31.03.2026;9,4;1450;fasting\n",
    # Arabic, tab
    "التاريخ\tالهيموغلوبين (g/dL)\tالفيريتين [ng/mL]\tملاحظة\n31/03/2026\t9.4\t1450\tfasting\n",
    # Hindi, Devanagari digits
    "दिनांक,हीमोग्लोबिन (g/dL),फेरिटिन (ng/mL),टिप्पणी\n३१/०३/२०२६,९.४,१४५०,fasting\n",
    # a row of units, a line of Excel's, blank lines
    "sep=;\n\nDate;Hb;Ferritin;Comment\n;g/dL;ng/mL;\n2026/03/31;9.4;1450;fasting\n\n",
    "Date,Hb,Ferritin,Comment\nunit,g/dL,ng/mL,\n31-03-26,9.4,1450,fasting\n",
]


@pytest.mark.parametrize("text", WIDE, ids=["en", "ru", "ar", "hi", "units", "year"])
def test_a_wide_table_is_a_blood_test_a_row(text: str) -> None:
    found = plan(text)
    test, haemoglobin, ferritin = said(found)
    assert test == {"date": noon("2026-03-31"), "comment": "fasting"}
    assert (haemoglobin["value"], ferritin["value"]) == (9.4, 1450)
    assert haemoglobin["unit"] in ("g/dL", "г/дл")
    assert (found.kind, found.given_back) == ("wide", [])


def test_a_long_table_has_units_and_ranges() -> None:
    text = (
        "Day;Test;Result;Unit;Low;High;Laboratory\n"
        "31.03.2026;АЛТ;38,5;U/L;5;40;Invitro\n"
        "31.03.2026;HBsAg;negative;;;;Invitro\n"
    )
    found = plan(text)
    assert found.kind == "long"
    assert said(found) == [
        {"date": noon("2026-03-31"), "laboratory": "Invitro"},
        {"name": "АЛТ", "value": 38.5, "unit": "U/L", "range_low": 5, "range_high": 40},
        {"name": "HBsAg", "value_text": "negative"},
    ]


def test_transfusions_have_indicators_before_and_after() -> None:
    text = (
        "Дата;Объём, мл;Вес (кг);Hb до, г/л;Hb после (г/л);Препарат\n"
        "31.03.2026;300;21,5;94;> 128;Деферасирокс\n"
    )
    found = plan(text)
    assert said(found) == [
        {
            "date": noon("2026-03-31"),
            "medication": "Деферасирокс",
            "volume_ml": 300,
            "weight_kg": 21.5,
            "indicators_before": [{"name": "Hb", "value": 94, "unit": "г/л"}],
            "indicators_after": [{"name": "Hb", "value_text": "> 128", "unit": "г/л"}],
        }
    ]


@pytest.mark.parametrize(
    ("days", "order", "read"),
    [
        (["03/04/2026"], None, None),  # nobody knows: it is asked
        (["03/04/2026"], "day_first", "2026-04-03"),
        (["03/04/2026"], "month_first", "2026-03-04"),
        (["03/04/2026", "25/04/2026"], None, "2026-04-03"),  # the second tells
        (["03/04/2026", "04/25/2026"], None, "2026-03-04"),
        (["25/04/2026", "04/25/2026"], None, None),  # they contradict each other
        (["03.04.2026"], None, "2026-04-03"),
        (["2026-04-03"], None, "2026-04-03"),
        (["2026-04-03 08:30"], None, "2026-04-03"),
    ],
)
def test_days_are_never_guessed(days: list[str], order: str | None, read: str | None) -> None:
    found = plan("Date,Hb\n" + "".join(f"{day},9\n" for day in days), date_order=order)
    if read is None:
        assert (found.ask, found.taken) == ("date_order", {})
        return
    assert found.ask is None
    first = said(found)[0]["date"]
    assert datetime.fromtimestamp(first / 1000, UTC).date().isoformat() == read


def test_every_line_that_is_not_taken_is_given_back() -> None:
    text = (
        "Date,Hb (g/dL),,Comment,Comment\n"
        "2026-02-30,9,,,\n"  # no such day
        "45292,9,,,\n"  # a number of Excel's
        "2026-03-01,,,,\n"  # nothing but a day
        "2026-03-02,9,5,a,b\n"
        "2026-03-02,9,5,a,b\n"
        "2026-03-03,9,,,,7\n"
        f"2026-03-04,{'9' * 201},,,\n"
        "2026-03-05,9\0,,,\n"
    )
    found = plan(text)
    assert [(each.line, each.column, each.code) for each in sorted(found.given_back)] == [
        (1, 3, "no_header"),
        (1, 5, "twice"),
        (2, 1, "unreadable_date"),
        (3, 1, "unreadable_date"),
        (4, None, "empty"),
        (6, None, "twice"),
        (7, None, "too_many_cells"),
        (8, 2, "too_long"),
        (9, None, "unreadable_text"),
    ]
    assert len(said(found)) == 2
    assert plan("Name,Hb\nx,9\n").given_back[0].code == "no_date"
    mixed = plan("Date;Volume ml;Ferritin\n2026-03-01;300;900\n2026-03-02;a lot;1\n")
    assert [(each.line, each.code) for each in mixed.given_back] == [
        (1, "unknown_column"),
        (3, "unreadable_value"),
    ]


def test_units_may_be_said_by_column() -> None:
    found = plan("Date,Hb\n2026-03-01,94\n", units={"2": "g/L"})
    assert said(found)[1] == {"name": "Hb", "value": 94, "unit": "g/L"}


#: What people complain of elsewhere, and what happens here.
COMPLAINTS = [
    # dannymcc/may#250, actualbudget/actual-server#106, collec-science#225: some days swapped, some not
    ("Date,Hb\n12/31/2026,9\n12/01/2026,8\n", ["2026-12-31", "2026-12-01"]),
    # Glucosio/glucosio-android#383: line breaks, commas and quotes in a note
    (
        'Date,Hb,Note\n2026-03-01,9,"Yet\nAnother, ""Test"""\n2026-03-02,8,\n',
        ["2026-03-01", "2026-03-02"],
    ),
    # asafdav/ng-csv#28: sep= in front, with a byte-order mark
    ("\ufeffsep=;\nDate;Hb\n2026-03-01;9\n", ["2026-03-01"]),
    # opendidac/opendidac#680: a decimal comma that becomes a thousand
    ("Date;Hb\n2026-03-01;1,33\n", ["2026-03-01"]),
    # barcradio/ultra-tracker#325, wger#204, plees-tracker#207: the same rows again
    ("Date,Hb\n2026-03-01,9\n2026-03-01,9\n", ["2026-03-01"]),
]


@pytest.mark.parametrize(("text", "days"), COMPLAINTS)
def test_what_people_complain_of_elsewhere(text: str, days: list[str]) -> None:
    found = plan(text)
    read = [
        datetime.fromtimestamp(each["date"] / 1000, UTC).date().isoformat()
        for each in said(found)
        if "date" in each
    ]
    assert read == days
    assert all(each.get("value") in (9, 8, 1.33, None) for each in said(found))


# --- broken and hostile files


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('Date,Hb\n2026-03-01,9\n2026-03-02,"9\n2026-03-03,9\n', "line 3"),
        ('Date,Hb\n2026-03-01,"9"x\n', "line 2"),
        ("\0D\0a\0t\0e\0,\0H\0b\n", "another encoding"),
        ("Date,Hb\n2026-03-01," + "x" * 1_000_000 + "\n", "line 2"),
        ("Date,Hb\n2026-03-01," + "x" * 30_000 + "\n", "Line 2"),
        ("Date" + ",x" * 300 + "\n2026-03-01\n", "Line 1"),
        ("Date,Hb\n" + "2026-03-01,9\n" * 30_000, "20000 rows"),
        ("x" * 10_000_000, "2000000 characters"),
        ("Date,Hb\n", "no row"),
        ("", "no row"),
    ],
    ids=["open", "inside", "utf-16", "huge", "long", "columns", "rows", "10MB", "header", "empty"],
)
def test_a_broken_file_is_refused_with_its_line(text: str, line: str) -> None:
    with pytest.raises(InvalidRequest, match=line):
        sheet.sheet(text, "", None)


@given(st.text(max_size=200), st.sampled_from([None, "comma", "semicolon", "tab"]))
def test_any_text_is_read_or_refused(text: str, delimiter: str | None) -> None:
    with contextlib.suppress(InvalidRequest):
        plan(text, delimiter=delimiter)


@given(
    st.lists(st.lists(st.text(max_size=12), min_size=1, max_size=6), min_size=1, max_size=6),
    st.sampled_from(["Date,Hb,Ferritin", "Date,Test,Result,Unit", "Date,Volume,Weight,Hb before"]),
)
def test_every_row_is_taken_or_given_back(rows: list[list[str]], header: str) -> None:
    lines = [
        ",".join('"{}"'.format(cell.replace('"', '""')) for cell in ["2026-03-01", *row])
        for row in rows
    ]
    text = "\n".join([header, *lines]).replace("\0", "")
    found = sheet.sheet(text, "", "comma")
    made = planned(found, "f1", Answers(UTC_ZONE))
    told = {each.line for each in made.taken.values()} | {each.line for each in made.given_back}
    assert {line for line, _ in found.rows[1:]} <= told


@pytest.mark.parametrize(
    ("encoding", "named"),
    [("utf-8", "utf-8"), ("utf-8-sig", "utf-8"), ("utf-16", "utf-16"), ("cp1251", "cp1251")],
)
def test_encodings_are_seen(encoding: str, named: str) -> None:
    text = "Дата;Гемоглобин, г/л\n31.03.2026;94\n"
    assert sheet.decoded(text.encode(encoding), None) == (text, named)
    with pytest.raises(InvalidRequest):
        sheet.decoded(b"\x98\xff\xfe", "utf-8")


def test_a_file_of_too_many_records_is_refused_soon() -> None:
    text = "Date" + ",Hb" * 190 + "\n" + ("2026-03-01" + ",9" * 190 + "\n") * 5
    assert len(plan(text).taken) == 2  # the same a thousand times
    many = "Date" + "".join(f",own {at}" for at in range(150)) + "\n"
    many += "".join(f"{2000 + at // 12}-{at % 12 + 1:02}-01{',9' * 150}\n" for at in range(200))
    with pytest.raises(InvalidRequest, match="5000 records"):
        plan(many)


@given(
    st.lists(
        st.one_of(
            st.integers(-(10**40), 10**40).map(str),
            st.floats(allow_nan=False).map(str),
            st.decimals(allow_nan=False, allow_infinity=False).map(str),
            st.from_regex(r"[<>≤≥]? ?-?[0-9०-९٠-٩]{1,40}([.,٫][0-9]{1,9})?", fullmatch=True),
        ),
        min_size=4,
        max_size=4,
    ),
    st.sampled_from(
        ["Date;Hb;PTH (ng/L);x;y", "Date;Test;Result;Low;High", "Date;Volume;Weight;Hb до;y"]
    ),
)
def test_any_number_is_stored_as_it_was_or_given_back(numbers: list[str], header: str) -> None:
    found = plan(f"{header}\n2026-03-01;{';'.join(numbers)}\n")
    assert len(found.token("f1")) == 64
    for each in found.taken.values():
        with contextlib.suppress(RecordFault):  # it is given back then
            checked(each)
    [row] = [
        cells
        for line, cells in sheet.sheet(f"{header}\nx;{';'.join(numbers)}\n", "", None).rows[1:]
    ]
    texts = [
        each.values["value_text"] for each in found.taken.values() if "value_text" in each.values
    ]
    assert {text.strip() for text in texts} <= {cell.strip() for cell in row}


# --- our own exports

TEXT = st.text(max_size=30) | st.sampled_from(
    ["=1+1", "'=1", "''-x", "+7", "a\nb", "\tq", " x ", "'"]
)
LOCALES = {
    "en": (",", "."),
    "ru": (";", ","),
    "de": (";", ","),
    "fr": (";", ","),
    "ar": (";", "."),
    "hi": (",", "."),
}


def exported(rows: list[Document], table: str, form: str) -> str:
    """A table as an export writes it."""
    out, columns = io.BytesIO(), columns_of(CATALOG.by_name[table])
    with FORMATS[form](out, columns) as writer:
        writer.write([row_of(each, columns) for each in rows])
    return out.getvalue().decode("utf-8-sig")


def resaved(text: str, locale: str) -> str:
    """As a spreadsheet of a locale saves the file again: its delimiter, its decimal sign."""

    delimiter, point = LOCALES[locale]
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=delimiter)
    for row in csv.reader(io.StringIO(text, newline="")):
        writer.writerow(
            [
                cell.replace(".", point)
                if cell.replace(".", "", 1).isascii() and cell.replace(".", "", 1).isdigit()
                else cell
                for cell in row
            ]
        )
    return out.getvalue()


@settings(max_examples=60)
@given(
    comment=TEXT,
    volume=st.none() | st.floats(-1e8, 1e8) | st.integers(-(10**8), 10**8),
    indicators=st.lists(
        st.fixed_dictionaries({"name": TEXT, "value": st.floats(-1e6, 1e6), "unit": TEXT}),
        max_size=3,
    ),
    confirmed=st.lists(TEXT, max_size=3),
    at=st.integers(0, 10**13),
    locale=st.sampled_from(sorted(LOCALES)) | st.none(),
)
def test_an_export_comes_back_without_loss(
    comment: str, volume: Any, indicators: Any, confirmed: list[str], at: int, locale: str | None
) -> None:
    table = CATALOG.by_name["transfusions"]
    values = table.coerce(
        {
            "date": at,
            "comment": comment,
            "volume_ml": volume,
            "indicators_before": indicators,
            "confirmed": confirmed,
        }
    ).values
    fields = {**values, "scope_id": "f1", "created_at": at, "last_modified_at": at + 1}
    rows = [Document(Key("transfusions", "t1"), fields, NOW * 1000)]
    if locale is None:  # as it came
        text = exported(rows, "transfusions", "csv-semicolon")
    else:
        text = resaved(exported(rows, "transfusions", "csv"), locale)
    found = plan(text)
    assert (found.kind, found.given_back) == ("export", [])
    [one] = found.taken.values()
    assert (one.id, one.created_ms, one.modified_ms) == ("t1", at, at + 1)
    back = table.coerce(one.values).values
    empty = {name for name, value in values.items() if value is None or value == "" or value == []}
    assert {**dict.fromkeys(empty), **back} == {**values, **dict.fromkeys(empty - back.keys())} | {
        name: back[name] for name in empty & back.keys()
    }


# --- the routes


@pytest.fixture
def api(start_api: StartApi) -> Api:
    api = start_api(product="hemoday")
    for user, family, role in (
        ("anna", "f1", "owner"),
        ("paul", "f1", "member"),
        ("vera", "f1", "viewer"),
        ("carl", "f2", "owner"),
    ):
        api.join(user, family, role)
    return api


def ask(api: Api, user: str, path: str, **body: Any) -> Any:
    answer = api.ask("POST", f"/api/v1/import{path}", body, token=api.token(user))
    return {"status": answer.status_code, **(answer.json or {})}


def pulled(api: Api, user: str) -> dict[str, Any]:
    found = api.ask("GET", "/api/v1/sync?last_pulled_at=null", token=api.token(user)).json
    assert found is not None
    return {table: sets["created"] + sets["updated"] for table, sets in found["changes"].items()}


LAB = "Date,Hb (g/dL),Ferritin\n2026-03-01,96,900\nnonsense,9,\n2026-04-01,9.5,\n"


def test_an_import_does_what_the_preview_showed_and_nothing_twice(api: Api) -> None:
    """Budget#327: what the preview left out came in; elabftw#2018: everything several times."""
    shown = ask(api, "paul", "/preview", text=LAB)
    assert (shown["status"], shown["new"], shown["kind"]) == (200, 5, "wide")
    asked = {
        each["values"]["name"]: each["questions"] for each in shown["records"] if each["questions"]
    }
    assert asked["Hb"]["value"]["code"] == "unlikely_value"
    assert asked["Ferritin"]["value"]["code"] == "unit_missing"
    assert [(each["line"], each["column"]) for each in shown["refused"]] == [(3, 1)]
    done = ask(api, "paul", "", text=LAB, token=shown["token"])
    assert (done["status"], done["added"], done["there"], done["refused_count"]) == (200, 5, 0, 1)
    there = pulled(api, "anna")
    assert {each["id"] for rows in there.values() for each in rows} == {
        each["id"] for each in shown["records"]
    }
    [odd] = [each for each in there["blood_test_results"] if each["value"] == 96]
    assert json.loads(odd["questions"])["value"]["code"] == "unlikely_value"
    again = ask(api, "anna", "", text=LAB, token=shown["token"])
    assert (again["added"], again["there"]) == (0, 5)
    later = ask(api, "anna", "/preview", text=LAB)
    assert (later["new"], all(each["there"] for each in later["records"])) == (0, True)
    assert pulled(api, "anna") == there


def test_a_family_takes_its_export_back_and_another_gets_records_of_its_own(api: Api) -> None:
    token = api.token("anna")
    rows = [{"id": "t1", "date": NOW, "comment": "=1+1", "volume_ml": 300.5}]
    api.ask("POST", "/api/v1/sync?last_pulled_at=null", changes(transfusions=rows), token=token)
    path = "/api/v1/exports/file?scope=f1&format=csv&table=transfusions"
    data = base64.b64encode(api.ask("GET", path, token=token).get_data()).decode()
    mine = ask(api, "anna", "/preview", base64=data)
    assert (mine["kind"], mine["encoding"], mine["new"]) == ("export", "utf-8", 0)
    theirs = ask(api, "carl", "/preview", base64=data)
    assert theirs["new"] == 1
    assert ask(api, "carl", "", base64=data, token=theirs["token"])["added"] == 1
    [copy] = pulled(api, "carl")["transfusions"]
    assert copy["id"] != "t1"
    assert (copy["comment"], copy["volume_ml"]) == ("=1+1", 300.5)
    changed = base64.b64encode(base64.b64decode(data).replace(b"300.5", b"310")).decode()
    shown = ask(api, "anna", "/preview", base64=changed)
    assert [each["code"] for each in shown["refused"]] == ["differs"]


def test_what_was_deleted_since_is_given_back(api: Api) -> None:
    shown = ask(api, "anna", "/preview", text=LAB)
    ask(api, "anna", "", text=LAB, token=shown["token"])
    [gone, _] = [each["id"] for each in shown["records"] if each["table"] == "blood_tests"]
    found = api.ask("GET", "/api/v1/sync?last_pulled_at=null", token=api.token("paul")).json or {}
    sets = {"blood_tests": {"created": [], "updated": [], "deleted": [gone]}}
    path = f"/api/v1/sync?last_pulled_at={found['timestamp']}"
    assert api.ask("POST", path, sets, token=api.token("paul")).status_code == 200
    again = ask(api, "anna", "", text=LAB, token=shown["token"])
    assert (again["added"], again["there"]) == (0, 2)
    back = [each for each in again["refused"] if each["line"] == 2]
    assert [each["code"] for each in back] == ["deleted"] * 3


def test_many_records_go_in_over_several_commits(api: Api) -> None:
    text = "Date,Hb (g/dL),ALT (U/L)\n" + "".join(
        f"{2000 + at // 300}-{at // 25 % 12 + 1:02}-{at % 25 + 1:02},9.5,30\n" for at in range(300)
    )
    shown = ask(api, "anna", "/preview", text=text)
    done = ask(api, "anna", "", text=text, token=shown["token"])
    assert (shown["new"], done["added"], done["refused"]) == (900, 900, [])


@pytest.mark.parametrize(
    ("user", "path", "body", "status", "field"),
    [
        ("vera", "/preview", {"text": LAB}, 404, None),
        ("carl", "/preview", {"text": LAB, "scope": "f1"}, 404, None),
        ("anna", "/preview", {}, 400, "text"),
        ("anna", "/preview", {"text": ""}, 400, "text"),
        ("anna", "/preview", {"base64": "%%%"}, 400, "base64"),
        ("anna", "/preview", {"base64": "/////w==", "encoding": "utf-8"}, 400, "encoding"),
        ("anna", "/preview", {"text": LAB, "delimiter": "pipe"}, 400, "delimiter"),
        ("anna", "/preview", {"text": LAB, "time_zone": "x"}, 400, "time_zone"),
        ("anna", "", {"text": LAB, "token": "other"}, 400, "token"),
        ("anna", "", {"text": "Date,Hb\n03/04/2026,9\n"}, 400, "date_order"),
        ("anna", "/preview", {"text": "x" * 10_000_000}, 413, None),
    ],
)
def test_what_cannot_be_done_says_why(
    api: Api, user: str, path: str, body: Any, status: int, field: str | None
) -> None:
    said = ask(api, user, path, **body)
    assert (said["status"], said["error"].get("field")) == (status, field)
