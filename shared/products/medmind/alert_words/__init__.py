"""What an alert says on a locked screen and in a mail: how urgent it is, never what it is about."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from shared.console.page import N_
from shared.notify.notice import AlertWords
from shared.products.medmind.alert_tables import DIGEST, EMERGENCY, NOTICE, PATIENT_STEP, URGENT

#: Title and body by severity; of a digest.
_TEXTS: Final = {
    EMERGENCY: (N_("Help is needed now"), N_("Open the app at once and say that you are coming.")),
    URGENT: (N_("You are needed"), N_("Open the app to see what has happened.")),
    NOTICE: (N_("There is news of your circle"), N_("Open the app to see it.")),
    DIGEST: (N_("News of your circle today"), N_("Open the app to see what has come together.")),
}

#: The same for the patient, who is not asked to do what carers are asked to.
_PATIENT: Final = {
    EMERGENCY: (N_("Your circle is being told"), N_("Open the app to see who answers.")),
    URGENT: (N_("Please look at your app"), N_("Something waits for you there.")),
}

_MAIL: Final = N_("Open this page to see it and to say that you look after it:")

LANGUAGES: Final = ("en", "ar", "hi", "ru")


def _said(message: str, language: str) -> str:
    from shared.console.words import words_of  # gettext is not wanted by who only syncs

    known = language if language in LANGUAGES else "en"
    return words_of(known, (Path(__file__).parent,), "UTC").text(message)


def alert(severity: str, step: str, language: str) -> AlertWords:
    """What a phone shows; `severity` may be `digest`."""
    texts = _PATIENT if step == PATIENT_STEP and severity in _PATIENT else _TEXTS
    title, body = texts[severity]
    return AlertWords(_said(title, language), _said(body, language))


def mail(severity: str, step: str, language: str, link: str) -> tuple[str, str]:
    """Subject and text of a mail."""
    words = alert(severity, step, language)
    return words.title, "\n\n".join((words.body, _said(_MAIL, language), link)) + "\n"
