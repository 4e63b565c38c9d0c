"""Reads an answer in every form in which a phone in the field writes it.

Yes and no in the languages of `forms.py`; numbers with a decimal comma, in the digits of any script,
with or without a unit; °F, "9/10", ranges; "more than a month", "wiki 3", dates; lists and objects,
of which the worst counts. What is not understood is said to be so: it never reads as "no".

No library of PyPI does this (docs/decisions/0011-answers.md says which were tried). Nothing here
raises, whatever it is given, and no text is read beyond `MOST_CHARS`.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

from shared.products.dermadetect import forms

#: What an answer says. Mildest first: of several answers the last one counts.
OPEN, NO, UNSURE, UNCLEAR, YES, MUCH = range(6)
_MEANS = {
    "yes": YES,
    "there": YES,
    "some": YES,
    "much": MUCH,
    "no": NO,
    "over": NO,
    "unsure": UNSURE,
    "open": OPEN,
}

#: Characters of an answer that are read; a longer one is not understood unless what is read says yes.
MOST_CHARS = 600
#: Objects and lists in one another that an answer may have.
_MOST_DEPTH = 8
#: Entries of a list that are read; a longer one is not understood unless what is read says yes.
_MOST_ITEMS = 300
#: Words of the longest phrase of the tables.
_LONGEST = 7

#: Degrees Celsius of a living body; a number outside is a slip or another scale.
BODY_C = (25.0, 45.0)
#: Least that a number without its point is read as, °C: 312 is no temperature.
_SLIP_C = 34.0


class Measurement(NamedTuple):
    """What an answer measures: `amount` in the unit of the question, None when it has none.

    `says` is OPEN for no answer, UNCLEAR for one that could not be read, else what the words say.
    """

    amount: float | None
    says: int


# --- text --------------------------------------------------------------------------------------

#: Before decomposition: signs that Unicode would take apart wrongly.
_FIRST = str.maketrans(
    {"º": "°", "½": ".5", "¼": ".25", "¾": ".75", "œ": "oe", "Œ": "oe", "’": "'"}
)


#: After it: one letter for what people write in two ways, and one sign for each meaning.
class _Then(dict[int, str]):
    """What becomes of each sign; filled as signs come."""

    def __missing__(self, code: int) -> str:
        sign = chr(code)
        if code > 0x7F and sign.isdecimal():
            kept = str(unicodedata.decimal(sign))
        else:
            # Accents and vowel marks have a class of ten and more; vowel signs of Indic scripts have none.
            kept = "" if unicodedata.combining(sign) >= 10 else sign
        if len(self) < 4096:
            self[code] = kept
        return kept


_THEN = _Then(
    {
        **dict.fromkeys(map(ord, "ـ\u200b\u200c\u200d\u2060\ufeff٬\u200e\u200f"), ""),
        **{ord(one): other for one, other in zip("ىیېةکہøłı", "يييهكهoli", strict=True)},
        **{ord(one): other for one, other in zip("٫،؛؟⁄−‐‑–", ".,;?/----", strict=True)},
    }
)
_SEPARATORS = re.compile("[\\s\x00-/:-@\\[-`{-~\xa0-¿×÷‒-⁞।॥۔、。「」]+")


@lru_cache(maxsize=8192)
def fold(text: str) -> str:
    """A text without what does not matter: case, accents, vowel marks of Arabic, scripts of digits."""
    if text.isascii():
        return text.casefold().strip()
    found = unicodedata.normalize("NFKD", text.translate(_FIRST)).casefold()
    return found.translate(_THEN).strip()


def words(text: str) -> list[str]:
    """The words of a text, folded."""
    return [word for word in _SEPARATORS.split(fold(text)) if word]


def index(table: forms.Table, order: Iterable[str] = ()) -> dict[str, str]:
    """Phrase → word of ours. Of two words that claim a phrase the first of `order` gets it."""
    found: dict[str, str] = {}
    for name in (*order, *(name for name in table if name not in set(order))):
        for phrases in table[name].values():
            for phrase in phrases.split(","):
                for form in {fold(phrase), " ".join(words(phrase))} - {""}:
                    found.setdefault(form, name)
    return found


_REPLIES = index(forms.REPLIES, ("yes", "unsure", "much", "some", "no", "over", "there", "open"))
#: A sign that is part of such a word is lost among words: these count only as a whole.
for _lost in ("ve", "n"):
    _REPLIES[_lost] = "no" if _lost == "n" else "word"
_FILLERS = frozenset(words(forms.KEY_FILLERS)) | frozenset(
    word for phrase in forms.FILLERS.split(",") for word in words(phrase)
)
_ALONE = frozenset(words(forms.ALONE))
SIGNS = index({**forms.SIGNS, **forms.OTHERS, "pain": forms.QUESTIONS["pain"]})
_UNITS = index(forms.UNITS)
_NUMBERS = index(forms.NUMBERS)
_TIMES = index(forms.TIMES)

_OR = frozenset(index({"or": forms.REPLIES["or"]}))
_BUT = frozenset(index({"but": forms.REPLIES["but"]}))
for _joint in _OR | _BUT:
    if _REPLIES.get(_joint) in ("or", "but"):
        del _REPLIES[_joint]


def _phrases(
    tokens: list[str], *tables: Mapping[str, str], longest: int = _LONGEST
) -> Iterator[tuple[str, int]]:
    """(phrase, index of the table that knows it) along a text, longest first; -1 for a single word."""
    start = 0
    while start < len(tokens):
        for end in range(min(len(tokens), start + longest), start, -1):
            phrase = " ".join(tokens[start:end])
            known = next((at for at, table in enumerate(tables) if phrase in table), -1)
            if known >= 0 or end == start + 1:
                yield phrase, known
                start = end
                break


# --- yes and no --------------------------------------------------------------------------------


def reply(answer: object, own: str = "", depth: int = 0) -> int:
    """What an answer to a question of yes and no says. `own` is the sign that is asked about."""
    if answer is None or answer is True or answer is False:
        return OPEN if answer is None else YES if answer else NO
    if isinstance(answer, str):
        said = _said(answer[:MOST_CHARS], own)
        return UNCLEAR if len(answer) > MOST_CHARS and said < UNCLEAR else said
    if isinstance(answer, int | float):
        return YES if answer == 1 else NO if answer == 0 else UNCLEAR
    if depth > _MOST_DEPTH or not isinstance(answer, list | dict):
        return UNCLEAR
    if isinstance(answer, list):
        said = max((reply(item, own, depth + 1) for item in answer[:_MOST_ITEMS]), default=OPEN)
        return max(said, UNCLEAR) if len(answer) > _MOST_ITEMS else said
    given, more = parts(answer)
    if given is not None:
        said = max((reply(item, own, depth + 1) for item in given), default=OPEN)
        if said == YES and any(reply(item, own, depth + 1) == MUCH for item in more):
            return MUCH
        return said
    chosen = options(answer)
    if chosen:
        return max(reply(item, own, depth + 1) for item in chosen)
    return OPEN if all(item in (None, "", False) for item in answer.values()) else UNCLEAR


#: Keys of an object that hold the answer itself, as form engines name them; FHIR's are `value…`.
_GIVEN = frozenset(
    ("value", "present", "answer", "response", "selected", "checked", "result", "answers")
) | {"reading", "degrees", "measurement", "val"}
#: Keys that hold it when none of those is there.
_MORE = ("severity", "degree", "level", "amount", "grade", "score", "intensity")
_TOLD = ("text", "label", "display", "code", "name", "title", "key", "id", "option", "coding")


def parts(answer: Mapping[Any, Any]) -> tuple[list[object] | None, list[object]]:
    """Of an object that is an answer: what was answered (None: nothing of it is one), and how much."""
    given = [
        answer[key]
        for key in answer
        if isinstance(key, str) and (key in _GIVEN or key.startswith("value"))
    ]
    more = [answer[key] for key in _MORE if key in answer]
    if not given:
        given = more or [answer[key] for key in _TOLD if key in answer]
    return (given if given else None), more


def options(answer: Mapping[Any, Any]) -> list[str]:
    """The keys of an object of check boxes (`{"yes": true, "no": false}`) that are ticked."""
    return [key for key, item in answer.items() if isinstance(key, str) and ticked(item)]


def ticked(answer: object) -> bool:
    """Whether a check box is ticked."""
    return answer is True or (
        isinstance(answer, int | float | str) and answer is not False and reply(answer) >= YES
    )


_DIGITS = re.compile(r"[0-9]+(?:[.,][0-9]+)?")


@lru_cache(maxsize=8192)
def _said(text: str, own: str) -> int:
    whole = fold(text)
    if whole in _REPLIES and _REPLIES[whole] in _MEANS:
        return _MEANS[_REPLIES[whole]]
    if not whole:
        return OPEN
    if _DIGITS.fullmatch(whole):
        amount = float(whole.replace(",", "."))
        return YES if amount == 1 else NO if amount == 0 else UNCLEAR
    kinds = _kinds(words(whole), own)
    return _judged(kinds) if kinds else UNCLEAR


def _kinds(tokens: list[str], own: str) -> list[str]:
    """What each phrase of an answer is: a word of REPLIES, `own`, `sign`, `number`, `unit`, `word`."""
    kinds = []
    for phrase, known in _phrases(tokens, SIGNS, _REPLIES):
        if phrase in _ALONE and len(tokens) > 1:
            continue
        if known == 0 and (SIGNS[phrase] == own or phrase not in _REPLIES):
            kinds.append("own" if SIGNS[phrase] == own else "sign")
        elif phrase in _REPLIES:
            kinds.append(_REPLIES[phrase])
        elif phrase[0].isdigit():
            kinds.append("number" if phrase.strip("0") else "zero")
            if not phrase.isdigit():
                kinds.append("unit")
        elif phrase not in _FILLERS:
            kinds.append("unit" if phrase in _UNITS else "word")
    return kinds


#: How a sign is denied after it was named: "bleeding: none", "bleeding has stopped".
_ENDS = (["no"], ["over"], ["no", "there"], ["there", "over"])


def _judged(kinds: list[str]) -> int:
    if kinds[0] in ("number", "zero") and kinds[1:2] and kinds[1] in _MEANS:
        kinds = kinds[1:]  # "2 - No": the number of the choice
    first, rest = kinds[0], kinds[1:]
    yes = MUCH if "much" in kinds else YES
    if first in ("yes", "there", "some", "much"):
        # "seen: no", "present - none": the sign that is asked about, then the answer.
        return NO if first == "there" and rest in (["no"], ["over"]) else yes
    if first in ("unsure", "open"):
        return UNSURE if first == "unsure" or rest else OPEN
    if first in ("no", "over"):
        understood = {"no", "own", "sign", "open", "unit", "zero"}
        understood |= {"over"} if first == "over" else {"there"}
        # "no fever, bleeding": the no is about something else
        other = any(kind == "own" and before == "sign" for before, kind in pairwise(kinds))
        return NO if understood.issuperset(rest) and not other else UNCLEAR
    for at, kind in enumerate(kinds):
        if kind == "own":
            denied = kinds[max(at - 1, 0) : at] == ["no"] or kinds[at + 1 :] in _ENDS
            if not denied:
                return yes
        elif kind in ("yes", "some", "much") and kinds[at - 1] != "no":
            return yes
    if "own" in kinds and {"own", "no", "over", "there"}.issuperset(kinds):
        return NO
    # "3 days" under a sign says how long it has been there.
    return YES if "number" in kinds and "unit" in kinds else UNCLEAR


# --- lists of signs ----------------------------------------------------------------------------

_PIECES = re.compile(r"[,;|\n\r\t/•·&]+|\.\s|\s-\s|\s\+\s")


class SignList(NamedTuple):
    """What a list of signs names, whether anything of it was no sign, and whether it was only yes."""

    signs: frozenset[str]
    unknown: bool
    bare_yes: bool


@lru_cache(maxsize=4096)
def listed(text: str) -> SignList:
    """Signs that a text names: a `select_multiple`, a list with commas, or a sentence.

    "no fever", "fever: no" and "neither fever nor bleeding" name none.
    """
    signs: set[str] = set()
    unknown = bare = False
    for piece in _PIECES.split(fold(text[:MOST_CHARS])):
        found = list(_phrases(words(piece), SIGNS, _REPLIES))
        denied = joined = False
        for at, (phrase, known) in enumerate(found):
            means = _REPLIES.get(phrase)
            if known == 0:
                after = [_REPLIES.get(each) for each, _ in found[at + 1 : at + 3]]
                over = after in _ENDS
                if not denied and not over:
                    signs.add(SIGNS[phrase])
                joined = denied
                denied = False
            elif phrase in _ALONE and len(found) > 1:
                # "ni fièvre ni saignement"; once it is an "is" of Swahili
                denied = denied or (phrase == "ni" and found.count((phrase, known)) > 1)
                denied = denied or (joined and phrase in _OR)
            elif means == "no":
                denied = True
            elif phrase in _OR:
                denied = denied or joined
            elif means in _MEANS:
                bare = bare or _MEANS[means] >= YES or means == "unsure"
            elif phrase not in _FILLERS:
                unknown = unknown or not phrase.isdigit() or phrase.strip("0") != ""
                denied = False
    return SignList(frozenset(signs), unknown or len(text) > MOST_CHARS, bare)


def are_codes(text: str) -> bool:
    """Whether a text is nothing but numbers of choices; 0 is none."""
    numbers = words(text[:MOST_CHARS])
    return all(map(str.isdigit, numbers)) and any(number.strip("0") for number in numbers)


def texts(answer: object, depth: int = 0) -> list[str]:
    """Every text that an answer chooses: of a list, of check boxes, of objects with a label."""
    if isinstance(answer, str):
        return [answer]
    if depth > _MOST_DEPTH:
        return []
    if isinstance(answer, list):
        return [text for item in answer[:_MOST_ITEMS] for text in texts(item, depth + 1)]
    if not isinstance(answer, dict):
        return []
    given, _ = parts(answer)
    if given is None:
        return options(answer)
    found = [text for item in given for text in texts(item, depth + 1)]
    if not found and reply(given) >= YES:
        found = [answer[key] for key in _TOLD if isinstance(answer.get(key), str)]
    return found


# --- numbers -----------------------------------------------------------------------------------

_NUMBER = r"(?:[0-9]+(?:[.,][0-9]+)?|\.[0-9]+)"
#: "38°5", "38'5" and "38·5" are 38.5.
_POINT = re.compile(r"(?<=[0-9])\s?[°'·]\s?(?=[0-9])")
_CLOCK = re.compile(
    r"\b[0-9]{1,2}(?:[:h][0-9]{2})+\s*(?:am|pm)?\b|\b[0-9]{2,4}-[0-9]{1,2}-[0-9]{1,4}\b"
)
_DEGREES = re.compile(
    rf"({_NUMBER})\s*(?:°|deg(?:ree)?s?\.?)?\s*(celsius|fahrenheit|kelvin|[cfk](?![a-z]))?"
)
_LESS = re.compile(
    "|".join(
        sorted(
            (re.escape(p) for p, name in _TIMES.items() if name == "less"), key=len, reverse=True
        )
    )
)


def amount(answer: object) -> float | None:
    """A number, or a text that is one; None for anything else. Between -1e6 and 1e6."""
    if isinstance(answer, str):
        text = fold(answer[:40])
        if not re.fullmatch(rf"[-+]?{_NUMBER}", text):
            return None
        answer = float(text.replace(",", "."))
    if isinstance(answer, int | float) and not isinstance(answer, bool) and abs(answer) < 1e6:
        return float(answer)  # NaN fails the comparison
    return None


def celsius(degrees: float, unit: str = "") -> float | None:
    """°C of a body, from °C, °F, K or no unit; None when no reading of it is a body's.

    "395" is 39.5 without its point. A unit that makes no sense (103 °C) is not believed.
    """
    low, high = BODY_C
    read = {"f": (degrees - 32) / 1.8, "k": degrees - 273.15}.get(unit[:1], degrees)
    if low <= read <= high:
        return read
    for factor in (1, 10, 100):
        given = degrees / factor
        # 999 is what forms write for "not known", not 99.9 °F without its point
        for each in (given, (given - 32) / 1.8 if factor == 1 or given >= 100 else math.nan):
            if (low if factor == 1 else _SLIP_C) <= each <= high:
                return each
    return None


def temperature(answer: object, unit: str = "") -> Measurement:
    """The highest body temperature of an answer, °C. 0 is no reading."""
    return _worst(answer, unit, _temperature)


def _temperature(answer: object, unit: str) -> Measurement:
    if isinstance(answer, str):
        text = _POINT.sub(".", _CLOCK.sub(" ", fold(answer[:MOST_CHARS])))
        if _DIGITS.search(text):
            found = [(float(n.replace(",", ".")), u or unit) for n, u in _DEGREES.findall(text)]
            read = [each for each in (celsius(*pair) for pair in found) if each is not None]
            less = 0.1 if read and _LESS.match(text) else 0.0
            if read:
                return Measurement(max(read) - less, NO)
            return Measurement(None, OPEN if all(not n for n, _ in found) else UNCLEAR)
        return Measurement(None, reply(answer, "fever"))
    number = amount(answer)
    if number is None or number == 0:
        return Measurement(None, OPEN if number == 0 else reply(answer, "fever"))
    degrees = celsius(number, unit)
    return Measurement(degrees, UNCLEAR if degrees is None else NO)


def lowest(answer: object, unit: str = "") -> list[float]:
    """Further temperatures of an answer that holds several, °C: a young infant may be too cold as well."""
    if isinstance(answer, list):
        read = [_worst(item, unit, _temperature).amount for item in answer]
        return [each for each in read if each is not None]
    if not isinstance(answer, str):
        return []
    found = _DEGREES.findall(_POINT.sub(".", _CLOCK.sub(" ", fold(answer[:MOST_CHARS]))))
    read = [celsius(float(n.replace(",", ".")), u or unit) for n, u in found]
    return [each for each in read if each is not None]


_OF = re.compile(rf"({_NUMBER})\s*(?:/|out of|of|sur|kati ya|de|من|में से|on|ya)\s*([0-9]+)")


def pain(answer: object, scale: float | None = None) -> Measurement:
    """The worst pain of an answer, on a scale to 10."""
    if isinstance(answer, dict):
        top = next(
            (answer[key] for key in ("max", "out_of", "scale", "of", "maximum") if key in answer),
            None,
        )
        scale = amount(top) or scale
        given, more = parts(answer)
        read = [pain(item, scale) for item in (given or []) + more]
        return _worse(read) if read else Measurement(None, reply(answer, "pain"))
    return _worst(answer, "", lambda one, _unit: _pain(one, scale))


def _pain(answer: object, scale: float | None) -> Measurement:
    if isinstance(answer, str):
        text = fold(answer[:MOST_CHARS])
        of = [
            10 * float(some.replace(",", ".")) / float(all_)
            for some, all_ in _OF.findall(text)
            if float(all_) > 0
        ]
        if not of:
            each = [float(n.replace(",", ".")) for n in re.findall(_NUMBER, text)]
            of = (
                [n / 10 for n in each]
                if "%" in text
                else [10 * n / scale if scale else n for n in each]
            )
        if not of and text in _NUMBERS:
            of = [float(_NUMBERS[text])]
        if not of or [phrase for phrase, _ in _phrases(words(text), _UNITS) if phrase in _UNITS]:
            said = reply(answer, "pain")
            named = listed(text).signs
            said = max(said, MUCH) if "severe_pain" in named else said
            return Measurement(None, YES if said == UNCLEAR and "painful" in named else said)
        score: float | None = max(of)
    else:
        number = amount(answer)
        score = None if number is None else 10 * number / scale if scale else number
        if score is None:
            return Measurement(None, reply(answer, "pain"))
    if score is None or not 0 <= score <= 100:
        return Measurement(None, UNCLEAR)
    return Measurement(score, YES if score > 0 else NO)


_MM = {"mm": 1.0, "cm": 10.0, "in": 25.4}


def millimetres(answer: object, unit: str = "") -> Measurement:
    """The largest length of an answer, mm; a length without a unit is not understood."""
    return _worst(answer, unit, _millimetres)


def _millimetres(answer: object, unit: str) -> Measurement:
    text = fold(answer[:MOST_CHARS]) if isinstance(answer, str) else ""
    numbers = [float(n.replace(",", ".")) for n in re.findall(_NUMBER, text)]
    if not numbers and (number := amount(answer)) is not None:
        numbers = [number]
    if not numbers:
        said = reply(answer)
        return Measurement(math.inf if said >= YES else None, said)
    named = [word for word in re.findall(r"[^\s\d.,x*×]+", text) if _UNITS.get(word) in _MM]
    factor = _MM.get(_UNITS.get(named[-1], "") if named else unit)
    return Measurement(None, UNCLEAR) if factor is None else Measurement(max(numbers) * factor, NO)


def _worst(
    answer: object, unit: str, read: Callable[[Any, str], Measurement], depth: int = 0
) -> Measurement:
    """The worst of a list, of an object's parts, or the one."""
    if depth > _MOST_DEPTH:
        return Measurement(None, UNCLEAR)
    if isinstance(answer, list):
        return _worse([_worst(item, unit, read, depth + 1) for item in answer[:_MOST_ITEMS]])
    if isinstance(answer, dict):
        given, _ = parts(answer)
        if given is None:
            named = _by_unit(answer)
            chosen = named or [(item, unit) for item in options(answer)]
            if not chosen and any(item not in (None, "", False) for item in answer.values()):
                return Measurement(None, UNCLEAR)
            return _worse([_worst(item, each, read, depth + 1) for item, each in chosen])
        beside = unit_of(answer) or unit
        return _worse([_worst(item, beside, read, depth + 1) for item in given])
    return read(answer, unit)


def unit_of(answer: Mapping[Any, Any]) -> str:
    """The unit that an object names beside its value; "" for none that we know."""
    for key in ("unit", "units", "uom", "unit_of_measure"):
        unit = answer.get(key)
        if isinstance(unit, str):
            return _UNITS.get(fold(unit[:40]), _UNITS.get(" ".join(words(unit[:40])), ""))
    return ""


def _by_unit(answer: Mapping[Any, Any]) -> list[tuple[object, str]]:
    """Values of an object that names them by their unit: `{"weeks": 6}`, `{"celsius": 39.5}`."""
    units = ((item, unit_word(key)) for key, item in answer.items())
    return [(item, unit) for item, unit in units if unit and item not in (None, "")]


def unit_word(text: object) -> str:
    """Our word for a unit; "" for none that we know."""
    return _UNITS.get(fold(text[:40]), "") if isinstance(text, str) else ""


def _worse(readings: list[Measurement]) -> Measurement:
    amounts = [each.amount for each in readings if each.amount is not None]
    return Measurement(
        max(amounts, default=None), max((each.says for each in readings), default=OPEN)
    )


# --- times -------------------------------------------------------------------------------------

_DAYS = {"hour": 1 / 24, "day": 1.0, "week": 7.0, "month": 30.0, "year": 365.0}
#: Medicine's shorthand: 3/7 are days, 6/52 weeks, 8/12 months.
_SHORTHAND = re.compile(rf"[<>~=\s]*({_NUMBER})\s*/\s*(7|52|12)\b(?!\s*/)")
_SHORT_UNIT = {"7": "day", "52": "week", "12": "month"}
_SINCE = re.compile(r"(?:(?:since|from|on|started|began|depuis|le|desde|el|tangu|منذ)\s+)+")
_ISO = re.compile(r"p(?:([0-9]+)y)?(?:([0-9]+)m)?(?:([0-9]+)w)?(?:([0-9]+)d)?(?:t.*)?")
_TOKENS = re.compile("[0-9]+(?:[.,][0-9]+)?|\\.[0-9]+|<=?|≤|[^\\s\\d\x00-/:-@\\[-`{-~।]+")


def days(answer: object, unit: str, today: date) -> Measurement:
    """How long ago or how long, days: the longest that the answer can mean.

    From "6weeks", ">4 weeks", "more than a month", "wiki 3", "6/52", "P6W", a date; a bare number
    takes `unit`, and without one it is not understood.
    """
    return _worst(answer, unit, lambda one, of: _time(one, of, today, 30.0))


def _time(answer: object, unit: str, today: date, month: float) -> Measurement:
    factors = {**_DAYS, "month": month}
    number = amount(answer)
    if number is not None:
        known = factors.get(unit)
        return (
            Measurement(None, UNCLEAR)
            if known is None or number < 0
            else Measurement(number * known, NO)
        )
    if not isinstance(answer, str):
        return Measurement(None, UNCLEAR if reply(answer) >= UNCLEAR else OPEN)
    text = fold(answer[:MOST_CHARS])
    day = date_of(_SINCE.sub("", text), today)
    if day is not None:
        return Measurement(float((today - day).days), NO)
    if short := _SHORTHAND.fullmatch(text):
        return Measurement(float(short[1].replace(",", ".")) * factors[_SHORT_UNIT[short[2]]], NO)
    if len(text) > 1 and (iso := _ISO.fullmatch(text)) and any(iso.groups()):
        each = zip(iso.groups(), ("year", "month", "week", "day"), strict=True)
        return Measurement(sum(float(n) * factors[u] for n, u in each if n), NO)
    total, less = _spelt(text, unit, factors)
    if total is not None:
        return Measurement(total * less, NO)
    return Measurement(
        None, min(reply(answer), UNCLEAR) if reply(answer) in (OPEN, UNSURE) else UNCLEAR
    )


#: What "less than" leaves of a time: under a month is under four weeks.
_LESS_THAN = 0.9


def _spelt(text: str, unit: str, factors: Mapping[str, float]) -> tuple[float | None, float]:
    """Days of a time in words, and its share that counts: "less than a month" is none."""
    items: list[tuple[str, object]] = []
    less = 1.0
    vague: float | None = None
    for phrase, known in _phrases(_TOKENS.findall(text), _TIMES, _UNITS, _NUMBERS):
        if phrase[0].isdigit() or phrase[0] == ".":
            items.append(("number", float(phrase.replace(",", "."))))
        elif known == 0 and _TIMES[phrase] == "less":
            less = _LESS_THAN
        elif known == 0 and _TIMES[phrase] in ("long", "short"):
            longer = 3650.0 if _TIMES[phrase] == "long" else 2.0
            if phrase in _UNITS:
                items.append(("vague", _UNITS[phrase]))
            else:
                vague = max(vague or 0.0, longer)
        elif phrase in _UNITS:
            items.append(("unit", _UNITS[phrase]))
        elif phrase in _NUMBERS:
            items.append(("number", float(_NUMBERS[phrase])))
    sums: dict[str, float] = {}
    for at, (kind, value) in enumerate(items):
        if kind == "number":
            continue
        name, many = str(value), None
        if name.startswith("two "):
            name, many = name[4:-1], 2.0
        elif at and items[at - 1][0] == "number":
            many = float(str(items[at - 1][1]))
        elif at + 1 < len(items) and items[at + 1][0] == "number" and items[at + 2 : at + 3] == []:
            many = float(str(items[at + 1][1]))
        elif kind == "vague":
            many = 3.0  # "months", "days": several
        elif name in ("month", "year", "day", "hour"):
            many = 1.0
        if many is None or name not in factors:
            return None, 1.0
        sums[name] = max(sums.get(name, 0.0), many * factors[name])
    if sums:
        return sum(sums.values()), less
    numbers = [float(str(value)) for kind, value in items if kind == "number"]
    if numbers and unit in factors:
        return max(numbers) * factors[unit], less
    return (None, 1.0) if numbers else (vague, less)


_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "jan janv ene يناير जनवरी",
            "feb fev fevr febr فبراير फरवरी",
            "mar mars مارس मार्च",
            "apr avr abr aprili ابريل अप्रैल",
            "may mai مايو मई",
            "jun juin يونيو जून",
            "jul juil يوليو जुलाई",
            "aug aou aout ago اغسطس अगस्त",
            "sep set sept سبتمبر सितंबर",
            "oct out okt اكتوبر अक्टूबर",
            "nov نوفمبر नवंबर",
            "dec dez dic des ديسمبر दिसंबर",
        ),
        start=1,
    )
    for name in names.split()
}
_YMD = re.compile(r"([0-9]{4})[-/.]([0-9]{1,2})(?:[-/.]([0-9]{1,2}))?(?:[t ].*)?")
_DMY = re.compile(r"([0-9]{1,2})[-/. ]([0-9]{1,2})[-/. ]([0-9]{4}|[0-9]{2})(?:[t ,].*)?")
_COMPACT = re.compile(r"((?:19|20)[0-9]{2})([0-9]{2})([0-9]{2})")
_NAMED = re.compile(
    r"(?:([0-9]{1,2})(?:st|nd|rd|th)?[-\s/.]*(?:of |de )?)?([^\W\d_]{3,})[-\s/.,]*"
    r"(?:([0-9]{1,2})(?:st|nd|rd|th)?,?\s+)?(?:de )?([0-9]{4})"
)


def date_of(text: str, today: date) -> date | None:
    """The day that a text names; None when it is none or lies ahead.

    `01/08/2026` may be August or January: the later day that is not ahead counts, so that a child
    is not made older. A month without its day is its first.
    """
    text = fold(text[:40])
    if found := _YMD.fullmatch(text) or _COMPACT.fullmatch(text):
        return _day(today, (int(found[1]), int(found[2]), int(found[3] or 1)))
    if found := _DMY.fullmatch(text):
        first, second, year = int(found[1]), int(found[2]), int(found[3])
        if year < 100:
            year += 2000 if year <= today.year % 100 else 1900
        return _day(today, (year, second, first), (year, first, second))
    if (found := _NAMED.fullmatch(text)) and (month := _month(found[2])):
        return _day(today, (int(found[4]), month, int(found[1] or found[3] or 1)))
    return None


def _month(name: str) -> int | None:
    return _MONTHS.get(name) or _MONTHS.get(name[:3])


def _day(today: date, *readings: tuple[int, int, int]) -> date | None:
    known = []
    for reading in readings:
        try:
            day = date(*reading)
        except ValueError:
            continue
        if day <= today:
            known.append(day)
    return max(known, default=None)


# --- ages --------------------------------------------------------------------------------------

#: Years; older is taken for a slip of the keyboard.
OLDEST = 130
_YEAR_DAYS = 365.0


def age(answer: object, unit: str, today: date) -> Measurement:
    """Age in years. A bare number takes `unit`, else it is years; 1987 is a year of birth."""
    if isinstance(answer, dict):
        given, _ = parts(answer)
        if given is None and (named := _by_unit(answer)):
            each = [age(item, of, today).amount for item, of in named]
            known_years = [years for years in each if years is not None]
            return Measurement(sum(known_years), NO) if known_years else Measurement(None, UNCLEAR)
        read = [age(item, unit_of(answer) or unit, today) for item in given or ()]
        known = [each for each in read if each.amount is not None]
        return known[0] if known else (read[0] if read else Measurement(None, OPEN))
    number = amount(answer)
    if number is not None and not unit and 1900 <= number <= today.year:
        return Measurement(today.year - number, NO)
    if isinstance(answer, str):
        spoken = _TIMES.get(" ".join(words(answer[:40])))
        if spoken in ("newborn", "baby"):
            return Measurement(0.0 if spoken == "newborn" else 0.5, NO)
    read_days = _time(answer, unit or "year", today, _YEAR_DAYS / 12)
    if read_days.amount is None:
        return read_days
    years = read_days.amount / _YEAR_DAYS
    if isinstance(answer, str) and _LESS.match(fold(answer[:40])) and years > 1:
        return Measurement(None, UNCLEAR)  # "under five"
    return Measurement(years, NO) if 0 <= years <= OLDEST else Measurement(None, UNCLEAR)


def born(answer: object, today: date) -> Measurement:
    """Age in years from a day or a year of birth: completed years, under one the part of a year."""
    if isinstance(answer, dict):
        given, _ = parts(answer)
        answer = next(iter(given or ()), None)
    if answer in (None, ""):
        return Measurement(None, OPEN)
    if isinstance(answer, int | float) and not isinstance(answer, bool) and 1800 < answer < 1e8:
        answer = str(int(answer))
    if not isinstance(answer, str):
        return Measurement(None, UNCLEAR)
    text = fold(answer[:40])
    if re.fullmatch("[0-9]{4}", text):
        years = float(today.year - int(text))
        return Measurement(years, NO) if 0 <= years <= OLDEST else Measurement(None, UNCLEAR)
    day = date_of(text, today)
    if day is None:
        return Measurement(None, UNCLEAR)
    years = float(today.year - day.year - ((today.month, today.day) < (day.month, day.day)))
    if years > OLDEST:
        return Measurement(None, UNCLEAR)
    return Measurement(years or (today - day).days / 366, NO)
