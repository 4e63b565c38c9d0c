"""A case on one page: what there is to see, what is known, and what a doctor does with it."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import quote

from msgspec import Meta, Struct
from msgspec.structs import asdict

from shared.console.page import N_, Act, Page, Response
from shared.console.visit import Visit, address
from shared.errors import InvalidRequest, NotFound
from shared.products.dermadetect import case_rows
from shared.products.dermadetect.pages import case_told, case_words
from shared.products.dermadetect.pages.case_answers import form_of, record_text
from shared.products.dermadetect.pages.case_seen import MOST_CHARS, Changes, news_since, trace_of
from shared.products.dermadetect.review import WITHDRAW_MS
from shared.products.dermadetect.rights import ReviewAction, may

_API = "/api/v1/review/cases"

#: Versions of a photo, and the longest edges that they may have, px: the first that there is.
_VARIANTS = {"small": ("448", "896"), "large": ("896", "448"), "original": ("original",)}

#: Of these refusals the form gets another key: the one that it had is spent.
_SPENT = frozenset({"idempotency_key_reused", "withdrawn"})

#: Texts of a doctor that are put into her page, characters in all; of more the server inserts them.
_TEXTS_CHARS = 20_000

_Long = Annotated[str, Meta(max_length=20_000)]
_Short = Annotated[str, Meta(max_length=128)]


class CaseAsked(Struct):
    """Which case, which of its photos, and with which earlier one it is compared."""

    id: Annotated[str, Meta(max_length=200)]
    photo: Annotated[str, Meta(max_length=64)] = ""
    beside: Annotated[str, Meta(max_length=64)] = ""


class PhotoAsked(Struct):
    """Which version of a photo."""

    id: Annotated[str, Meta(max_length=64)]
    variant: Annotated[str, Meta(max_length=16)]


class SignForm(Struct):
    """A diagnosis, and what the page that it was written on knew."""

    key: _Short = ""
    version: Annotated[str, Meta(max_length=32)] = ""
    amends: _Short = ""
    diagnosis_text: _Long = ""
    prescription: _Long = ""
    verdict: Annotated[str, Meta(max_length=16)] = ""
    verdict_text: _Long = ""
    saved: _Short = ""  #: which of her texts a doctor wants in it
    seen: Annotated[str, Meta(max_length=MOST_CHARS)] = ""


class AssignForm(Struct):
    """To whom a case is given."""

    doctor_id: _Short


class CloseCaseForm(Struct):
    """Why nobody is needed any more."""

    word: Annotated[str, Meta(max_length=2000)]
    version: Annotated[str, Meta(max_length=32)] = ""


class WithdrawForm(Struct):
    """Which signature is taken back; the rest is what was signed, to be written again."""

    diagnosis_id: _Short
    diagnosis_text: _Long = ""
    prescription: _Long = ""
    verdict: Annotated[str, Meta(max_length=16)] = ""
    verdict_text: _Long = ""


# --- what is shown


def show_case(visit: Visit, asked: CaseAsked, said: str = "") -> Response:
    """Everything about a case. `said` is a message at the top."""
    case = visit.api.get(_path(asked.id))
    have, scope_id = case["case"], case["case"]["scope_id"]
    role = visit.roles.get(scope_id)
    today = datetime.fromtimestamp(visit.now_ms / 1000, UTC).date()
    rules = have.get("rules") or {}
    form = form_of(have.get("triage_data"), rules, today)
    news = news_since(visit.typed.get("seen", ""), case, form)
    site = case_rows.site(have.get("triage_data"))
    photos, earlier = case_told.photos_of(case), case_told.earlier_of(case, site)
    current = next((each for each in photos.ready if each["id"] == asked.photo), None)
    beside = next((each for each in earlier if asked.beside in each.photos), None)
    demographics = (case["patient"] or {}).get("demographics")
    signs = may(role, ReviewAction.DIAGNOSE) and not case["deleted_at"]
    assigns = may(role, ReviewAction.ASSIGN) and not case["deleted_at"]
    return visit.show(
        "dermadetect/case.html",
        case=case,
        have=have,
        review=case["review"],
        note=said,
        me=visit.caller.user_id,
        rank=case_words.WORD_OF.get(case["rank"], "look"),
        patient=None if case["patient"] is None else case_rows.in_brief(demographics, today),
        demographics=_others(demographics),
        site=site,
        form=form,
        flags=case_told.flags_of(case),
        by_rule=rules.get("flags") or (),
        look=rules.get("look") or (),
        together=case_told.together(case_told.flags_of(case)),
        photos=photos,
        current=current or next(iter(photos.ready), None),
        earlier=earlier,
        beside=beside,
        beside_photo=asked.beside if beside else "",
        readings=case_told.readings_of(case),
        judged=case_told.judged(case),
        conflicts=case_told.conflicts_of(case),
        timeline=case_told.timeline_of(case),
        news=news,
        changed=_columns(visit, case, news),
        trace=trace_of(case, form),
        diagnosis=_counts(case),
        key=_key_of(visit),
        left_ms=_left_ms(case, visit),
        signs=signs,
        assigns=assigns,
        doctors=_doctors(visit, scope_id) if assigns else (),
        texts=visit.api.get("/api/v1/review/texts")["texts"] if signs else (),
        texts_in_page=_TEXTS_CHARS,
        words_of=case_words,
        value_of=lambda value: _said(value, visit),
        name_of=lambda user_id: _name_of(case, visit, user_id),
    )


def show_photo(visit: Visit, asked: PhotoAsked) -> Response:
    """To the photo, by a link of this moment: a page that was left open still shows its photos."""
    if asked.variant not in _VARIANTS:
        raise NotFound("There is no such version.")
    links = visit.api.get(f"/api/v1/files/{quote(asked.id, safe='')}").get("links") or {}
    where = next((links[name] for name in _VARIANTS[asked.variant] if name in links), None)
    if where is None:
        raise NotFound("This photo cannot be shown.")
    return visit.go(where)


def _path(case_id: str, act: str = "") -> str:
    """A path of the API. What is no id finds nothing."""
    return "/".join([_API, quote(case_id, safe=""), *([act] if act else [])])


def _counts(case: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The diagnosis that counts."""
    counts = case["review"]["diagnosis_id"]
    return next((each for each in case["diagnoses"] if each["id"] == counts), None)


def _columns(visit: Visit, case: Mapping[str, Any], news: Changes) -> Sequence[str]:
    """Columns that changed: since the page of a refused form, or since the signature."""
    refused = getattr(visit.fault, "changed", None)
    if refused is not None:
        return list(refused)
    return () if news else list(case["changed"])


def _key_of(visit: Visit) -> str:
    """The key of the form: one a page, so that a form that is sent twice signs once."""
    typed = visit.typed.get("key", "")
    spent = visit.fault is not None and visit.fault.code in _SPENT
    return typed if typed and not spent and visit.fault is not None else secrets.token_urlsafe(18)


def _left_ms(case: Mapping[str, Any], visit: Visit) -> int:
    """For how long whoever looks can take her signature back, ms; 0: not any more."""
    review = case["review"]
    if review["signed_by"] != visit.caller.user_id or not review["signed_at"]:
        return 0
    return max(0, int(review["signed_at"]) + WITHDRAW_MS - visit.now_ms)


def _doctors(visit: Visit, scope_id: str) -> list[tuple[str, str]]:
    """Ids and names of the doctors of a scope."""
    found: list[tuple[str, str]] = []
    after = ""
    while True:
        page = visit.api.get("/api/v1/auth/members", scope_id=scope_id, after=after)
        found += [
            (each["user_id"], each["name"] or each["email"] or each["user_id"])
            for each in page["members"]
            if may(each["role"], ReviewAction.DIAGNOSE)
        ]
        after = page["next_after"]
        if not after:
            return sorted(found, key=lambda each: each[1].casefold())


#: What the page shows of a patient by itself.
_IN_BRIEF = frozenset({"name", "first_name", "last_name", "age", "sex", "gender", "village"})


def _others(demographics: object) -> list[tuple[str, Any]]:
    """What is known of a patient beside name, age, sex and village."""
    if not isinstance(demographics, dict):
        return []
    said = ((str(name), value) for name, value in demographics.items())
    return [(name, value) for name, value in said if name not in _IN_BRIEF and value is not None][
        :40
    ]


def _said(value: object, visit: Visit) -> str:
    """An answer as text."""
    if isinstance(value, bool):
        return visit.words.said(N_("Yes") if value else N_("No"))
    if value is None:
        return "–"
    if isinstance(value, str):
        return value
    if isinstance(value, list) and not any(isinstance(item, dict | list) for item in value):
        return ", ".join(_said(item, visit) for item in value) or "–"
    return record_text(value)


def _name_of(case: Mapping[str, Any], visit: Visit, user_id: str) -> str:
    """What somebody is called."""
    if user_id == visit.caller.user_id:
        return visit.words.said(N_("you"))
    return str(case["people"].get(user_id) or user_id or "–")


# --- what is done


def sign(visit: Visit, asked: CaseAsked, form: SignForm) -> Response:
    """Sign a diagnosis, or amend the one that counts."""
    if form.verdict in ("edit", "reject") and not form.verdict_text.strip():
        raise InvalidRequest("Say why you do not agree with the AI.", field="verdict_text")
    body = {
        "diagnosis_text": form.diagnosis_text,
        "prescription": form.prescription or None,
        "verdict": form.verdict or None,
        "verdict_text": (form.verdict and form.verdict_text) or None,
        "amends": form.amends or None,
    }
    path = _path(asked.id, "diagnosis")
    visit.api.post(path, body, if_match=_tag(form.version), idempotency_key=_line(form.key))
    return visit.go(_here(asked), N_("Signed. The phones get it with their next sync."))


def insert(visit: Visit, asked: CaseAsked, form: SignForm) -> Response:
    """The page again, with one of the doctor's texts at the end of her diagnosis."""
    texts = visit.api.get("/api/v1/review/texts")["texts"]
    found = next((each["text"] for each in texts if each["id"] == form.saved), "")
    text = "\n".join(filter(None, (form.diagnosis_text.rstrip(), found)))
    visit.typed = {**asdict(form), "diagnosis_text": text}
    return show_case(visit, asked)


def withdraw(visit: Visit, asked: CaseAsked, form: WithdrawForm) -> Response:
    """Take a signature back; what was signed stands in the form again."""
    visit.api.post(_path(asked.id, "withdraw"), {"diagnosis_id": form.diagnosis_id})
    visit.typed = {name: value for name, value in asdict(form).items() if name != "diagnosis_id"}
    return show_case(visit, asked, N_("The signature is taken back. The case is as it was before."))


def claim(visit: Visit, asked: CaseAsked) -> Response:
    """Take the case in hand, or keep it longer."""
    visit.api.post(_path(asked.id, "claim"))
    return visit.go(_here(asked), N_("You have this case in hand."))


def release(visit: Visit, asked: CaseAsked) -> Response:
    """Give the case back."""
    visit.api.post(_path(asked.id, "release"))
    return visit.go(_here(asked), N_("The case is free for others."))


def assign(visit: Visit, asked: CaseAsked, form: AssignForm) -> Response:
    """Give the case to a doctor."""
    visit.api.post(_path(asked.id, "claim"), {"doctor_id": form.doctor_id})
    return visit.go(_here(asked), N_("The case is given to the doctor."))


def close(visit: Visit, asked: CaseAsked, form: CloseCaseForm) -> Response:
    """Take the case off the list with a word."""
    visit.api.post(_path(asked.id, "close"), {"word": form.word}, if_match=_tag(form.version))
    return visit.go(address("cases"), N_("The case is off the list."))


def _tag(version: str) -> str:
    """The version that a page showed, as `If-Match` names it."""
    return f'"{_line(version)}"'


def _line(text: str) -> str:
    """What a form says a header shall be. One of our pages never sends anything but these letters."""
    return text if text.isascii() and text.isprintable() else "?"


def _here(asked: CaseAsked) -> str:
    return address("cases", asked.id, photo=asked.photo, beside=asked.beside)


PAGES = (
    Page(
        path="cases/{id}",
        shows=show_case,
        title=N_("Case"),
        asks=CaseAsked,
        right=ReviewAction.REVIEW,
        acts={
            "sign": Act(sign, SignForm),
            "insert": Act(insert, SignForm),
            "take-back": Act(withdraw, WithdrawForm),
            "claim": Act(claim),
            "release": Act(release),
            "assign": Act(assign, AssignForm),
            "close": Act(close, CloseCaseForm),
        },
    ),
    Page(
        path="photos/{id}/{variant}",
        shows=show_photo,
        title=N_("Photo"),
        asks=PhotoAsked,
        right=ReviewAction.REVIEW,
        quiet=True,
    ),
)
