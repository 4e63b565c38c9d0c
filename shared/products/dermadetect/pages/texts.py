"""Texts that a doctor keeps, to put into diagnoses."""

from __future__ import annotations

import secrets
from typing import Annotated
from urllib.parse import quote

from msgspec import Meta, Struct

from shared.console.page import N_, Act, Page, Response
from shared.console.visit import Visit, address
from shared.products.dermadetect.rights import ReviewAction
from shared.products.dermadetect.saved_texts import MOST, NAME_CHARS, TEXT_CHARS

_API = "/api/v1/review/texts"


class TextsAsked(Struct):
    """Which text is changed; none: a new one is written."""

    id: Annotated[str, Meta(max_length=128)] = ""


class TextForm(Struct):
    """A text."""

    name: Annotated[str, Meta(max_length=1000)] = ""
    text: Annotated[str, Meta(max_length=20_000)] = ""
    id: Annotated[str, Meta(max_length=128)] = ""


class RemoveForm(Struct):
    """Which text goes."""

    id: Annotated[str, Meta(max_length=128)]


def show_texts(visit: Visit, asked: TextsAsked) -> Response:
    """All of them, and the form for one."""
    texts = visit.api.get(_API)["texts"]
    one = next((each for each in texts if each["id"] == asked.id), None)
    return visit.show(
        "dermadetect/texts.html",
        texts=texts,
        one=one,
        new_id=visit.typed.get("id") or secrets.token_urlsafe(12),
        most=MOST,
        name_chars=NAME_CHARS,
        text_chars=TEXT_CHARS,
    )


def save(visit: Visit, _asked: TextsAsked, form: TextForm) -> Response:
    """Keep a text."""
    body = {"name": form.name, "text": form.text}
    visit.api.send("PUT", f"{_API}/{quote(form.id, safe='')}", body)
    return visit.go(address("texts"), N_("The text is kept."))


def remove(visit: Visit, _asked: TextsAsked, form: RemoveForm) -> Response:
    """Remove a text."""
    visit.api.send("DELETE", f"{_API}/{quote(form.id, safe='')}")
    return visit.go(address("texts"), N_("The text is removed."))


PAGES = (
    Page(
        path="texts",
        shows=show_texts,
        title=N_("My texts"),
        asks=TextsAsked,
        acts={"save": Act(save, TextForm), "remove": Act(remove, RemoveForm)},
        right=ReviewAction.DIAGNOSE,
        menu=N_("Patients"),
    ),
)
