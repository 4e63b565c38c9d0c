"""What words mean beyond their letters: indicators by any name, kinds of records, categories, months.

A record that means something is found by every word for it, in every language of the product: "Hb" finds
what was entered as «гемоглобин», "переливание" finds transfusions, "March" what has a day in March.
"""

from __future__ import annotations

from collections.abc import Iterator

from shared.products.hemoday import tables
from shared.products.hemoday.analytes import ANALYTES
from shared.products.hemoday.words import words

#: Letters of a word that names an indicator in any text; "Na" and "K" may be something else there.
_A_NAME = 3

#: What people call records of a table, in English, Russian, Arabic and Hindi.
_TABLES = {
    tables.PROFILES: "profile child patient; профиль ребенок пациент; ملف طفل مريض; प्रोफ़ाइल बच्चा मरीज़",
    tables.TRANSFUSIONS: "blood transfusion; переливание трансфузия гемотрансфузия; نقل الدم; रक्त आधान",
    tables.BLOOD_TESTS: "blood test laboratory; анализ крови лаборатория; تحليل فحص الدم مختبر; "
    "रक्त जांच परीक्षण",
    tables.RESULTS: "result; результат показатель; نتيجة; परिणाम नतीजा",
    tables.TEMPLATES: "template; шаблон; نموذج قالب; टेम्पलेट नमूना",
    tables.REMINDERS: "reminder; напоминание; تذكير; अनुस्मारक याद",
    tables.DOCUMENTS: "document; документ; وثيقة مستند; दस्तावेज़",
}

#: What people call the categories of documents.
_CATEGORIES = {
    "blood_test": "blood test lab report; анализ крови лаборатория; تحليل فحص الدم مختبر; रक्त जांच रिपोर्ट",
    "transfusion": "blood transfusion; переливание трансфузия; نقل الدم; रक्त आधान",
    "prescription": "prescription; рецепт назначение; وصفة; नुस्खा पर्चा",
    "imaging": "imaging mri x-ray ultrasound scan; мрт рентген узи снимок; أشعة رنين تصوير; "
    "एमआरआई एक्सरे अल्ट्रासाउंड",
    "discharge": "discharge; выписка; خروج; छुट्टी डिस्चार्ज",
    "genetics": "genetics dna; генетика днк; وراثة جينات; आनुवंशिकी जीन डीएनए",
    "vaccination": "vaccination vaccine; прививка вакцина вакцинация; تطعيم لقاح; टीका टीकाकरण",
    "insurance": "insurance; страховка страхование полис; تأمين; बीमा",
    "other": "other; другое прочее; أخرى; अन्य",
}

#: Months in the same languages, as they are said and as they stand in a date.
_MONTHS = (
    "January; январь января; يناير كانون; जनवरी",
    "February; февраль февраля; فبراير شباط; फ़रवरी",
    "March; март марта; مارس آذار; मार्च",
    "April; апрель апреля; أبريل نيسان; अप्रैल",
    "May; май мая; مايو أيار; मई",
    "June; июнь июня; يونيو حزيران; जून",
    "July; июль июля; يوليو تموز; जुलाई",
    "August; август августа; أغسطس آب; अगस्त",
    "September; сентябрь сентября; سبتمبر أيلول; सितंबर",
    "October; октябрь октября; أكتوبر تشرين; अक्टूबर",
    "November; ноябрь ноября; نوفمبر تشرين; नवंबर",
    "December; декабрь декабря; ديسمبر كانون; दिसंबर",
)


def _said() -> Iterator[tuple[str, str]]:
    """Each meaning with the names that it has."""
    yield from ((f"~{each.loinc}", each.names) for each in ANALYTES)
    yield from ((f"~{name}", names) for name, names in _TABLES.items())
    yield from ((f"~{name}", names) for name, names in _CATEGORIES.items())
    yield from ((month(number), names) for number, names in enumerate(_MONTHS, 1))


def month(number: int) -> str:
    """The meaning of a month, 1 to 12."""
    return f"~month {number}"


def _by_word() -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for meaning, names in _said():
        for word in words(names):
            found.setdefault(word.form, set()).add(meaning)
    return {word: frozenset(meanings) for word, meanings in found.items()}


#: Word → its meanings.
MEANINGS = _by_word()


def _names() -> Iterator[tuple[str, str]]:
    for each in ANALYTES:
        for name in each.names.split(";"):
            said = [word.form for word in words(name)]
            if len(said) == 1 and len(said[0]) >= _A_NAME:
                yield said[0], f"~{each.loinc}"


#: Words that name an indicator alone, wherever they stand: in a comment, a title, a PDF.
NAMES = dict(_names())
