"""What a reminder says on a locked screen and in a mail: that there is one, never what it is about."""

from __future__ import annotations

from typing import NamedTuple

from shared.notify.notice import AlertWords


class ReminderWords(NamedTuple):
    """Of one language."""

    title: str
    body: str
    late: str  #: instead of `body`
    mail: str  #: before the link


WORDS = {
    "en": ReminderWords(
        "Reminder",
        "It is time. Open the app to see what for.",
        "This one is late. Open the app to see what it was for.",
        "One of your family's reminders is due. Open this page to see which:",
    ),
    "ru": ReminderWords(
        "Напоминание",
        "Пора. Откройте приложение, чтобы посмотреть, о чём оно.",
        "Оно пришло с опозданием. Откройте приложение, чтобы посмотреть, о чём оно.",
        "Подошло время одного из напоминаний вашей семьи. Откройте эту страницу, чтобы посмотреть его:",
    ),
    "ar": ReminderWords(
        "تذكير",
        "حان الوقت. افتح التطبيق لمعرفة المطلوب.",
        "هذا التذكير متأخر. افتح التطبيق لمعرفة المطلوب.",
        "حان وقت أحد تذكيرات عائلتك. افتح هذه الصفحة لمعرفة أيها:",
    ),
    "hi": ReminderWords(
        "रिमाइंडर",
        "समय हो गया है। किसलिए, यह देखने के लिए ऐप खोलें।",
        "यह रिमाइंडर देर से आया है। किसलिए था, यह देखने के लिए ऐप खोलें।",
        "आपके परिवार के एक रिमाइंडर का समय हो गया है। कौन-सा, यह देखने के लिए यह पेज खोलें:",
    ),
}

LANGUAGES = tuple(WORDS)


def alert(language: str, *, late: bool) -> AlertWords:
    """What a phone shows."""
    words = WORDS.get(language, WORDS["en"])
    return AlertWords(words.title, words.late if late else words.body)


def mail(language: str, link: str, *, late: bool) -> tuple[str, str]:
    """Subject and text of a mail."""
    words = WORDS.get(language, WORDS["en"])
    return words.title, "\n\n".join([*([words.late] if late else []), words.mail, link]) + "\n"
