"""Search finds what is there, as people type it, and nothing of another family."""

from __future__ import annotations

import random
import unicodedata
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.products.hemoday.household import Household, Households
from shared.products.hemoday.search import Index, Search
from shared.products.hemoday.searching import LONGEST, snippet
from shared.products.hemoday.tables import CATALOG, DOCUMENTS, REMINDERS
from shared.products.hemoday.words import folded, words
from shared.records.store import Document, Key
from tests.api.conftest import Api, StartApi
from tests.hemoday.family import Family, changes, row

DAY = 86_400_000

#: 2026-03-12.
MARCH = 20_524 * DAY


def household(*rows: Document, version: int = 1) -> Household:
    tables: dict[str, dict[str, Document]] = {each.name: {} for each in CATALOG.collections}
    for each in rows:
        tables[each.key.collection][each.key.id] = each
    return Household("f1", version, 0, tables)


def reminder(id: str, title: str, at: int = MARCH, version: int = 1) -> Document:
    return Document(Key(REMINDERS, id), {"title": title, "remind_at": at}, version)


def found(index: Index, question: str, most: int = 100) -> list[str]:
    scores, _ = index.find([word.form for word in words(question)])
    return [hit.id for hit in index.best(scores, most)]


def index_of(*rows: Document) -> Index:
    index = Index()
    index.renew(household(*rows))
    return index


# --- how words are compared


@pytest.mark.parametrize(
    ("said", "typed"),
    [
        ("Haemoglobin", "HAEMOGLOBIN"),
        ("époux", "epoux"),  # databyss#292
        ("e\u0301poux", "époux"),  # composed and decomposed
        ("Øster", "oster"),  # obsidian-another-quick-switcher#23
        ("Straße", "STRASSE"),
        ("ребёнок", "ребенок"),
        ("كِتاب", "كتاب"),  # NotallyX#791
        ("أحمد", "احمد"),
        ("ا\u0654حمد", "أحمد"),  # stella#916
        ("ءَامِنُوا", "آمنوا"),  # quran.com-frontend-next#3342
        ("مستشفى", "مستشفي"),
        ("مدرسة", "مدرسه"),
        ("محـــمد", "محمد"),
        ("सड़क", "सडक"),
        ("क़लम", "क\u093cलम"),
        ("हिन्दी", "हिंदी"),
        ("माँ", "मां"),
        ("٧٫٢", "7.2"),
        ("७", "7"),
        ("7,2", "7.2"),
        ("12.03.2026", "2026-03-12"),
        ("3/2026", "2026-03"),
        ("3/25/2026", "2026-03-25"),
        ("0,1234", "0.1234"),
        ("multi-agent", "multi agent"),
        ("a=b", "a b"),  # SQLite.swift#855
        ("４５６", "456"),
    ],
)
def test_words_that_are_written_otherwise_are_the_same(said: str, typed: str) -> None:
    assert [each.form for each in words(said)] == [each.form for each in words(typed)] != []


@pytest.mark.parametrize(
    ("one", "other"), [("कि", "कु"), ("दिन", "दीन"), ("кот", "код"), ("7.2", "72")]
)
def test_words_that_are_others_stay_others(one: str, other: str) -> None:
    assert folded(one) != folded(other)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=80))
def test_words_of_any_text_stand_where_they_are_said_to_stand(text: str) -> None:
    at = 0
    for word in words(text):
        assert at <= word.start < word.end <= len(text)
        assert [each.form for each in words(text[word.start : word.end])] == [word.form]
        at = word.end


# --- everything is found

LETTERS = {
    "latin": "abcdefghijklmnopqrstuvwxyzéüñç",
    "cyrillic": "абвгдеёжзийклмнопрстуфхцчшщъыьэюя",
    "arabic": "ابتثجحخدذرزسشصضطظعغفقكلمنهويأإةى",
    "devanagari": "कखगघचछजझटठडढतथदधनपफबभमयरलवशषसह",
}


def a_word(rng: random.Random, letters: str) -> str:
    return "".join(rng.choice(letters) for _ in range(rng.randint(3, 12)))


def a_slip(rng: random.Random, word: str, letters: str) -> str:
    """The word with a letter too many, too few, another one, or two that changed places."""
    at = rng.randrange(len(word))
    kind = rng.randrange(4)
    if kind == 0:
        return word[:at] + rng.choice(letters) + word[at:]
    if kind == 1:
        return word[:at] + word[at + 1 :]
    if kind == 2:
        return word[:at] + rng.choice(letters) + word[at + 1 :]
    at = min(at, len(word) - 2)
    return word[:at] + word[at + 1] + word[at] + word[at + 2 :]


@pytest.mark.parametrize("script", LETTERS)
@pytest.mark.parametrize("seed", range(3))
def test_a_record_is_found_by_each_word_its_beginning_and_with_a_slip(
    script: str, seed: int
) -> None:
    rng, letters = random.Random(f"{script} {seed}"), LETTERS[script]
    said = {f"m{n}": [a_word(rng, letters) for _ in range(3)] for n in range(60)}
    index = index_of(*(reminder(id, " ".join(each)) for id, each in said.items()))
    for id, several in said.items():
        assert id in found(index, " ".join(several))[:1]
        for word in several:
            assert id in found(index, word)
            assert id in found(index, word[: rng.randint(3, len(word))])
            if len(folded(word)) >= 5:
                assert id in found(index, a_slip(rng, folded(word), letters)), word


def test_after_any_changes_it_finds_what_an_index_from_nothing_finds() -> None:
    rng = random.Random(7)
    index, rows = Index(), dict[str, Document]()
    for step in range(1, 120):
        id = f"m{rng.randrange(15)}"
        if id in rows and rng.random() < 0.4:
            del rows[id]
        else:
            said = " ".join(a_word(rng, "abcd") for _ in range(3))
            rows[id] = reminder(id, said, at=rng.randrange(400) * DAY, version=step)
        now = household(*rows.values(), version=step)
        index.renew(now)
        anew = Index()
        anew.renew(now)
        for asked in ("a", "abc", a_word(rng, "abcd"), "1970-03", "reminder abc"):
            assert found(index, asked) == found(anew, asked)
        assert index.size == anew.size


# --- what comes first


def test_whole_words_come_before_begun_ones_before_slips_and_the_newest_first() -> None:
    index = index_of(
        reminder("slip", "ferritim", MARCH + 9 * DAY),
        reminder("begun", "ferritins", MARCH + 8 * DAY),
        reminder("inside", "hyperferritinaemia", MARCH + 7 * DAY),
        reminder("old", "ferritin"),
        reminder("new", "ferritin", MARCH + DAY),
        reminder("both", "ferritin today", MARCH - DAY),
    )
    assert found(index, "ferritin") == ["new", "old", "both", "begun", "inside", "slip"]
    assert found(index, "ferritin today") == ["both"]


def test_a_long_question_finds_what_has_most_of_it() -> None:  # uwazi#1210
    rows = [reminder(f"m{n}", "ferritin before breakfast") for n in range(9)]
    index = index_of(*rows, reminder("best", "ferritin before transfusion"))
    assert found(index, "ferritin before transfusion in May") == ["best"]


@pytest.mark.parametrize(
    ("said", "typed"),
    [
        ("optimal knowledge", "knowledg"),  # joplin#8506
        ("capacitors", "cap"),  # joplin#6455
        ("M5G.CAP", "cap"),
        ("updates", "pdates"),  # meilisearch#1611: the first letter
        ("github", "thu"),  # another-notes-app#154: the middle
        ("a test-phrase", "test-phrase"),  # syncfusion flutter-widgets#2038
        ("collecteur d'eau", "d’eau"),  # lubelog#1339
        ("vidange & filtre", "vidange & fil"),
        ("more words, some words", "some more"),  # standardnotes/forum#3228
        ("الهيموغلوبين", "هيموغلوبين"),  # without the article
        ("deferasirox", "defersirox"),
        ("deferasirox", "defarasi"),  # a slip, and not yet at its end
        ("Т2*-МРТ сердца", "т2 мрт"),
    ],
)
def test_what_people_complained_about_is_found(said: str, typed: str) -> None:
    assert found(index_of(reminder("m1", said), reminder("m2", "breakfast")), typed)[:1] == ["m1"]


def test_short_words_and_numbers_forgive_no_slip() -> None:
    index = index_of(reminder("m1", "iron 2045 b12"))
    assert found(index, "irn") == found(index, "2046") == found(index, "2405") == []
    assert found(index, "20") == ["m1"]


def test_a_letter_means_what_begins_so_only_while_it_is_typed() -> None:
    index = index_of(reminder("m1", "vitamin b"), reminder("m2", "beta"), reminder("m3", "alpha"))
    assert sorted(found(index, "b")) == ["m1", "m2"]
    assert sorted(found(index, "b alpha")) == ["m1", "m3"]


# --- what words mean


@pytest.fixture
def place(family: Family) -> Family:
    indicators = '[{"name": "Hb", "value": 9.4, "unit": "g/dL"}]'
    family.melon().push(
        changes(
            transfusions=[
                row(
                    "t1",
                    date=MARCH,
                    volume_ml=300.0,
                    comment="спокойно",
                    indicators_before=indicators,
                )
            ],
            blood_tests=[row("b1", date=MARCH + 40 * DAY, laboratory="City laboratory")],
            blood_test_results=[
                row("r1", blood_test_id="b1", name="гемоглобин", value=95, unit="г/л"),
                row("r2", blood_test_id="b1", name="Ferritin", value_text="> 2000", unit="ng/mL"),
            ],
            analysis_templates=[row("a1", name="Quarterly", indicators='["Ferritin", "ALT"]')],
            reminders=[
                row(
                    "m1", title="Pills, ask for Ferritin", remind_at=MARCH, time_zone="Asia/Kolkata"
                )
            ],
            reminder_actions=[row("x1", reminder_id="m1", occurrence="Pills", action="done")],
            documents=[row("d1", name="Heart", category="imaging", date=MARCH, pages="[]")],
            family_profiles=[row("team1", patient_name="Mira", birth_date="2018-05-14")],
        )
    )
    return family


@pytest.mark.parametrize(
    ("question", "first"),
    [
        ("haemoglobin", {"r1", "t1"}),
        ("Hb", {"r1", "t1"}),
        ("الهيموغلوبين", {"r1", "t1"}),
        ("हीमोग्लोबिन", {"r1", "t1"}),
        ("hemoglobn", {"r1", "t1"}),
        ("ферритин", {"r2", "a1", "m1"}),
        ("переливание март", {"t1"}),
        ("transfusion 2026-03-12", {"t1"}),
        ("нвпоминание", {"m1"}),
        ("mri", {"d1"}),
        ("أشعة", {"d1"}),
        ("april 2026", {"b1", "r1", "r2"}),
        ("2000 ng", {"r2"}),
        ("300 ml", {"t1"}),
        ("mira", {"team1"}),
        ("14.05.2018", {"team1"}),
        ("pills", {"m1"}),
        ("kolkata", set()),
    ],
)
def test_a_record_is_found_by_what_it_means(place: Family, question: str, first: set[str]) -> None:
    hits, _ = Search(Households(place.store, CATALOG)).ask("team1", question, 50)
    best = hits[0].hit.score if hits else 0
    assert {each.hit.id for each in hits if each.hit.score == best} == first


def test_a_result_has_the_day_of_its_blood_test_as_that_changes(place: Family) -> None:
    search = Search(Households(place.store, CATALOG))
    assert search.ask("team1", "2000", 1)[0][0].hit.day == MARCH + 40 * DAY
    phone = place.melon()
    moved = row("b1", date=MARCH, laboratory="City laboratory")
    phone.push(
        {"blood_tests": {"created": [], "updated": [moved], "deleted": []}},
        phone.pull()["timestamp"],
    )
    assert search.ask("team1", "2000", 1)[0][0].hit.day == MARCH


def test_marks_are_where_the_words_are() -> None:  # sourcegraph#25088
    text = "🙂 " * 30 + "\nDeferasirox with breakfast, deferasirox without"
    scores, meant = index_of(reminder("m1", text)).find(["deferasirox", "breakf"])
    assert len(scores) == 1
    piece, marks = snippet(text, text.index("Deferasirox"), meant)
    units = piece.encode("utf-16-le")
    said = [units[2 * each.start : 2 * each.end].decode("utf-16-le") for each in marks]
    assert said == ["Deferasirox", "breakfast", "deferasirox"]
    assert len(piece) <= 160


# --- over HTTP


@pytest.fixture
def api(start_api: StartApi) -> Api:
    api = start_api(product="hemoday")
    for user, family, role in (
        ("anna", "f1", "owner"),
        ("vera", "f1", "viewer"),
        ("carl", "f2", "owner"),
        ("both", "f1", "member"),
        ("both", "f2", "member"),
    ):
        api.join(user, family, role)
    for user, mark in (("anna", "maple"), ("carl", "willow")):
        sets = changes(
            reminders=[
                {"id": f"{mark}-m{n}", "title": f"{mark} pills {n}", "remind_at": n * DAY}
                for n in range(1, 31)
            ],
            blood_tests=[{"id": f"{mark}-b", "date": 5 * DAY}],
            blood_test_results=[
                {"id": f"{mark}-r", "blood_test_id": f"{mark}-b", "name": "Hb", "value": 95}
            ],
        )
        token = api.token(user)
        assert (
            api.ask("POST", "/api/v1/sync?last_pulled_at=0", sets, token=token).status_code == 200
        )
    return api


def ask(api: Api, user: str, **query: Any) -> Any:
    from urllib.parse import urlencode

    answer = api.ask("GET", f"/api/v1/search?{urlencode(query)}", token=api.token(user))
    return {"status": answer.status_code, **(answer.json or {})}


def test_a_viewer_finds_what_the_family_has_page_by_page(api: Api) -> None:
    said: Any = {"next_page": ""}
    ids, page = list[str](), dict[str, str]()
    while said["next_page"] is not None:
        said = ask(api, "vera", q="pils", limit=7, **page)
        ids += [each["id"] for each in said["entries"]]
        page = {"page": said["next_page"]}
    assert ids == [f"maple-m{n}" for n in range(30, 0, -1)]


def test_an_entry_says_what_it_is_and_where_it_belongs(api: Api) -> None:
    [entry] = ask(api, "vera", q="haemoglobin")["entries"]
    assert entry == {
        "table": "blood_test_results",
        "id": "maple-r",
        "date": 5 * DAY,
        "title": "Hb",
        "snippet": "Hb 95",
        "marks": [{"start": 0, "end": 2}],
        "parent_id": "maple-b",
    }
    said = api.ask("GET", "/api/v1/trail", token=api.token("vera")).json
    assert said is not None
    assert [each["records"] for each in said["entries"] if each["action"] == "search"] == [
        {"blood_test_results": 1}
    ]


def test_a_table_and_days_are_asked_for(api: Api) -> None:
    assert {
        each["table"] for each in ask(api, "anna", q="1970", table="blood_tests")["entries"]
    } == {"blood_tests"}
    few = ask(api, "anna", q="pills", **{"from": 3 * DAY, "to": 5 * DAY})["entries"]
    assert [each["id"] for each in few] == ["maple-m4", "maple-m3"]


def test_a_question_in_a_body_is_answered_like_one_in_an_address(api: Api) -> None:
    query = {"q": "pills", "table": "reminders", "from": 3 * DAY, "to": 9 * DAY, "limit": 2}
    token = api.token("vera")
    asked = api.ask("POST", "/api/v1/search", query, token=token)
    assert asked.json == {
        name: value for name, value in ask(api, "vera", **query).items() if name != "status"
    }
    assert len(asked.json["entries"]) == 2
    wrong = api.ask("POST", "/api/v1/search", {**query, "to": "now"}, token=token)
    assert wrong.json is not None
    assert (wrong.status_code, wrong.json["error"]["field"]) == (400, "to")


@pytest.mark.parametrize(
    ("user", "query", "status", "code", "field"),
    [
        ("carl", {"q": "pills", "scope": "f1"}, 404, "not_found", None),
        ("nobody", {"q": "pills"}, 404, "not_found", None),
        ("both", {"q": "pills"}, 400, "invalid_request", "scope"),
        ("anna", {}, 400, "invalid_request", "q"),
        ("anna", {"q": ""}, 400, "invalid_request", "q"),
        ("anna", {"q": "x" * (LONGEST + 1)}, 400, "invalid_request", "q"),
        ("anna", {"q": "x" * 10_000}, 400, "invalid_request", "q"),
        ("anna", {"q": "pills", "table": "accounts"}, 400, "invalid_request", "table"),
        ("anna", {"q": "pills", "limit": 0}, 400, "invalid_request", "limit"),
        ("anna", {"q": "pills", "from": "today"}, 400, "invalid_request", "from"),
        ("anna", {"q": "pills", "page": "x"}, 400, "invalid_cursor", "page"),
        (
            "anna",
            {"q": "pills", "page": "W2ZhbHNlLGZhbHNlLDEsIngiXQ"},
            400,
            "invalid_cursor",
            "page",
        ),
    ],
)
def test_a_question_that_cannot_be_answered_says_why(
    api: Api, user: str, query: dict[str, Any], status: int, code: str, field: str | None
) -> None:
    said = ask(api, user, **query)
    assert (said["status"], said["error"]["code"], said["error"].get("field")) == (
        status,
        code,
        field,
    )


@pytest.mark.parametrize(
    "question",
    [
        "%",
        "' OR x=x --",
        "(((((",
        ".*+?[^",
        "\\",
        "~",
        "~718",
        "a" + "\u0301" * 190,
        "\u064b" * 200,
        "\u200b\u200d",
        "\0pills",
        "👨‍👩‍👧",
        "ﷺ" * 100,
        "٢٠٢٦-٠٣-١٢",
        "99.99.9999",
        "0000-00",
        "1.0000",
        '"',
        "@=#&",
    ],
)
def test_any_question_is_answered_and_finds_no_more_than_it_says(api: Api, question: str) -> None:
    said = ask(api, "anna", q=question)
    assert said["status"] == 200
    assert ("pills" in question) == bool(said["entries"])


# --- two families


@pytest.mark.parametrize("seed", range(4))
def test_two_families_find_their_own_alone_whatever_happens(family: Family, seed: int) -> None:
    from infra.local.phone import wall_ms
    from shared.access.membership import Caller
    from shared.support.moves import move

    rng = random.Random(seed)
    marks = {"team1": "maple", "team2": "willow"}
    family.join("carl", "team2")
    for scope in marks:
        family.join("owner1", scope, "owner")
    phones = {"team1": family.melon(), "team2": family.melon("carl")}
    search = Search(Households(family.store, CATALOG))
    owner = Caller("owner1", "owner", "phone")

    def where() -> dict[str, str]:
        """Living documents, and the families that have them."""
        return {
            each.key.id: str(each.fields["scope_id"])
            for each in family.all(DOCUMENTS)
            if not each.fields.get("deleted_at")
        }

    for step in range(40):
        scope, act = rng.choice(list(marks)), rng.random()
        id = f"{marks[scope]}-{rng.randrange(6)}"
        here = where().get(id)
        if here and (here != scope or act < 0.3):
            [to] = marks.keys() - {here}
            move(family.store, CATALOG, owner, Key(DOCUMENTS, id), to, wall_ms(), dry_run=False)
        else:
            sets: dict[str, list[Any]] = {"created": [], "updated": [], "deleted": []}
            if here and act < 0.6:
                sets["deleted"] = [id]
            else:
                new = row(id, name=f"{marks[scope]} step {step}", pages="[]")
                sets["updated" if here else "created"] = [new]
            phones[scope].push({DOCUMENTS: sets}, phones[scope].pull()["timestamp"])
        for each in marks:
            asked = rng.choice(("maple willow", "step", "document", "mapel", "wil"))
            found_now = {hit.hit.id for hit in search.ask(each, asked, 50)[0]}
            theirs = {id for id, place in where().items() if place == each}
            assert found_now <= theirs
            if asked in ("step", "document", "maple willow"):
                assert found_now == theirs


def test_families_that_nobody_asks_about_are_forgotten(family: Family) -> None:
    family.join("carl", "team2")
    for user, mark in (("member1", "t"), ("carl", "c")):
        family.melon(user).push(
            changes(reminders=[row(f"{mark}{n}", title=f"pill{n}", remind_at=n) for n in range(5)])
        )
    search = Search(Households(family.store, CATALOG), most=40)
    for scope in ("team1", "team2", "team1"):
        assert len(search.ask(scope, "pill", 50)[0]) == 5
    assert list(search._slots) == ["team1"]


def test_marks_of_unicode_forms_do_not_change_what_is_meant() -> None:
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        said = unicodedata.normalize(form, "Ёлка é أحمد क़लम")  # type: ignore[arg-type]
        assert [each.form for each in words(said)] == ["елка", "e", "احمد", "कलम"]
