"""Takes out of a text what says who or where somebody is; what says how they are stays.

Two things are looked for: words that the record itself holds (names, places, ids), and forms that
identify whoever they belong to (numbers of telephones and files, addresses, positions, dates, handles).
Both are looked for in a folded text: accents, joined-up spellings and capitals do not hide a name.

Limits: a name that is misspelled or that the record does not hold stays, unless a title or "named"
stands before it; a place is found by what the record says, by a street's form or as a position.
`tests/ai/probes.py` is the table of what is found and of what must stay.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

REMOVED = "[removed]"

#: Letters that have no decomposition, as people write them without.
_PLAIN = str.maketrans({
    "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "ı": "i", "ŋ": "n", "ɓ": "b", "ɗ": "d",
    "ɛ": "e", "ɔ": "o", "ƙ": "k", "æ": "ae", "œ": "oe", "ß": "ss", "ة": "ه", "ى": "ي", "ـ": "",
    "\u2019": "'", "\u2018": "'", "\u02bc": "'", "\u2032": "'", "\u2033": '"', "\u201d": '"', "`": "'",
})  # fmt: skip

#: Marks above this are vowels of their scripts, not accents.
_LAST_ACCENT = "\u06ff"

#: Scripts from here on are written without blanks: names in them may stand anywhere, of two signs.
_UNSPACED = "\u0e00"

_LONGEST_WORD = 40


def fold(text: str) -> str:
    """`text` without accents and in one kind of quotes; case stays."""
    return "".join(folded for folded, _ in _folded(text))


def _folded(text: str) -> Iterator[tuple[str, int]]:
    """Each sign of the folded text, with where it came from."""
    for at, sign in enumerate(text):
        if sign.isascii() and sign != "`":
            yield sign, at
            continue
        for part in unicodedata.normalize("NFD", sign):
            if not (unicodedata.combining(part) and part <= _LAST_ACCENT):
                for plain in part.translate(_PLAIN):
                    yield plain, at


# --- forms ---------------------------------------------------------------------------------------

#: Months in English, French, Swahili, Hindi, Portuguese, Spanish, Arabic; folded.
_MONTHS = (
    "january|february|march|april|june|july|august|september|october|november|december|"
    "jan|feb|apr|jun|jul|aug|sept?|oct|nov|dec|"
    "janvier|fevrier|mars|avril|mai|juin|juillet|aout|septembre|octobre|novembre|decembre|"
    "janv|fevr|avr|juil|"
    "januari|februari|machi|aprili|mei|juni|julai|agosti|septemba|oktoba|novemba|desemba|"
    "जनवरी|फरवरी|मार्च|अप्रैल|मई|जून|जुलाई|अगस्त|सितंबर|सितम्बर|अक्टूबर|नवंबर|नवम्बर|दिसंबर|दिसम्बर|"
    "janeiro|fevereiro|marco|abril|maio|junho|julho|agosto|setembro|outubro|novembro|dezembro|"
    "fev|dez|"
    "enero|febrero|marzo|mayo|junio|julio|septiembre|setiembre|octubre|noviembre|diciembre|"
    "ene|abr|dic|"
    "يناير|فبراير|مارس|ابريل|مايو|يونيو|يوليو|اغسطس|سبتمبر|اكتوبر|نوفمبر|ديسمبر"
)
#: Also words of another meaning: months only beside a year, or after "the 5th".
_MAYBE_MONTHS = f"{_MONTHS}|may|mar|set|out|ago"
_ORDINAL = r"(?:st|nd|rd|th|er|o|a|\.)?"
_OF = r"[\s.,/-]*(?:(?:of|de|del|ya|mwezi wa)\s+)?"
_YEAR = r"(?:(?:19|20)\d\d|'?\d\d(?!\d))"
_LONG_YEAR = r"(?:19|20)\d\d"

#: Directions as words, and the one letter for each.
_SIDES = (
    "north|south|east|west|nord|sud|est|ouest|norte|sur|sul|este|oeste|leste|oeste|"
    "kaskazini|kusini|mashariki|magharibi|उत्तर|दक्षिण|पूर्व|पश्चिम|شمالا|جنوبا|شرقا|غربا"
)
_SIDE = rf"(?:[NSEWO]|{_SIDES})(?![^\W_])"
_DEGREES = r"(?:°|º|\*|deg\b\.?|degres?\b|degrees?\b|grados?\b|graus?\b|digrii\b|nyuzi\b)"
_NUMBER = r"\d{1,3}(?:[.,]\d+)?"
_MINUTES = (
    r"(?:\s*\d{1,2}(?:[.,]\d+)?\s*(?:'|min\w*)(?:\s*\d{1,2}(?:[.,]\d+)?\s*(?:\"|''|sec\w*)?)?)"
)

#: Units of time, size and weight, and words between them: a number before these is none of a house.
_MEASURED = (
    r"(?!(?:days?|weeks?|months?|years?|hours?|hrs?|minutes?|times|cm|mm|km|mg|kg|g|ml|in|on|by|of|"
    r"the|a|and|with|from|to|at|yo|x)\b)"
)
_STREET = "road|street|avenue|lane|rd|ave|drive|crescent|highway|boulevard|estate"
_DIGIT = (
    "zero|oh|one|two|three|four|five|six|seven|eight|nine|un|deux|trois|quatre|cinq|sept|huit|neuf|"
    "sifuri|moja|mbili|tatu|nne|tano|sita|saba|nane|tisa|um|dois|tres|quatro|cinco|seis|sete|oito|"
    "nove|uno|dos|cuatro|siete|ocho|nueve"
)
_TITLE = (
    "Mr|Mrs|Ms|Miss|Mister|Madam|Dr|Mama|Baba|Bwana|Bibi|Mzee|Mme|Mlle|Monsieur|Madame|Sr|Sra|Senor|"
    "Senora|Dona|Don|Shri|Smt"
)

#: Each over the folded text, on its own; what they find is joined.
_FORMS = tuple(
    re.compile(form)
    for form in (
        # addresses of the net, with their endings, or a path behind
        r"(?i)(?:https?://|www\.)\S+",
        r"(?i)(?<![\w@.])(?:[\w-]{1,63}\.){1,4}(?:com|org|net|info|gov|edu|me/|gle/|ly/|[a-z]{2}/(?=\w{4}))\S*",
        r"(?<![^\s@])[^\s@]++@[^\s@]+",
        r"(?i)[\w.-]{1,64}\s?(?:[(\[]at[)\]]|\bat\b)\s?[\w-]{1,63}\s?(?:[(\[]dot[)\]]|\bdot\b|\.)\s?(?:com|org|net|co)\b",
        # handles: after a sign, or after the name of a service
        r"(?i)(?<![\w@])@(?!(?:night|day|home|work|rest|school|bedtime|noon)\b)[a-z_][\w.]{2,}",
        r"(?i)\b(?:telegram|whatsapp|instagram|insta|facebook|fb|ig|twitter|tiktok|snapchat|skype|imo|viber)"
        r"\b(?:\s*(?::|is|id)\s*\S+|\s+[\w.]*[\d_.][\w.]*\w)",
        # machine-made ids, telephone numbers (seven digits or more, or digits as words)
        r"(?i)\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b",
        r"\+?\(?\d(?:[\s().\-/]{0,3}\d){6,}",
        rf"(?i)\b(?:{_DIGIT})(?:[\s,-]+(?:{_DIGIT})){{5,}}\b",
        # dates
        r"\b\d{1,4}[-/.]\d{1,2}[-/.]\d{2,4}\b",
        rf"\b\d{{1,2}}\s\d{{1,2}}\s{_LONG_YEAR}\b",
        r"\d{4}\s?年(?:\s?\d{1,2}\s?月)?(?:\s?\d{1,2}\s?日)?",
        rf"(?i)\b\d{{1,2}}{_ORDINAL}{_OF}(?:{_MAYBE_MONTHS})\b\.?{_OF}{_YEAR}",
        rf"(?i)\b(?:{_MAYBE_MONTHS})\b\.?{_OF}(?:\d{{1,2}}{_ORDINAL},?\s+)?{_LONG_YEAR}\b",
        rf"(?i)\b\d{{1,2}}{_ORDINAL}{_OF}(?:{_MONTHS})(?![^\W_])",
        rf"(?i)\b\d{{1,2}}(?:st|nd|rd|th)\s+(?:of\s+)?(?:{_MAYBE_MONTHS})\b",
        rf"(?i)\b(?:{_MONTHS})\s+(?:the\s+)?\d{{1,2}}(?:st|nd|rd|th)?\b(?!\s*(?:mm|cm|%|[.,/x-]\s*\d))",
        rf"(?i)\b(?:born|birth|dob|nee?|nascid[oa]|nacid[oa]|alizaliwa|kuzaliwa)\b[^\d\n]{{0,16}}{_LONG_YEAR}\b",
        # positions: decimals, degrees, words, codes
        r"[-+]?\d{1,3}(?!,\d00\b)[.,]\d{3,}",
        rf"(?i)(?:\b[NSEWO]\s*)?{_NUMBER}\s*{_DEGREES}{_MINUTES}\s*(?:{_SIDE})?",
        rf"(?i){_NUMBER}\s*{_DEGREES}\s*(?:\d{{1,2}}\s*)?{_SIDE}",
        rf"(?i)\b[NSEW]\s*{_NUMBER}\s*{_DEGREES}",
        rf"(?i)(?:\b[\w-]+\s+){{1,3}}degrees?\s+(?:(?:and\s+)?(?:[\w-]+\s+){{1,3}}minutes?\s+)?(?:{_SIDES})\b",
        rf"{_NUMBER}\s?{_SIDE}[\s,;/]*{_NUMBER}\s?{_SIDE}",
        rf"\b[NSEW]\s?{_NUMBER}[\s,;/]*[NSEW]\s?{_NUMBER}",
        rf"(?i)\b{_NUMBER}\s(?:{_SIDES})[\s,;]+(?:and\s+)?{_NUMBER}\s(?:{_SIDES})\b",
        r"-\d{1,2}[.]\d+[\s,;]+-?\d{1,3}[.]\d+|\d{1,2}[.]\d+[\s,;]+-\d{1,3}[.]\d+",
        r"(?i)\b(?:lat(?:itude)?|lon(?:g(?:itude)?)?|lng|gps)\b[\s:=.]*(?:-\d{1,3}[.,]?\d*|\d{1,3}[.,]\d{2,})°?(?!\d*\s*(?:mm|cm|m)\b)",
        r"(?i)\b[23456789CFGHJMPQRVWX]{4,8}\+[23456789CFGHJMPQRVWX]{2,3}\b",
        r"/{3}\s?[^\W\d_]+\.[^\W\d_]+\.[^\W\d_]+",
        # record numbers: after their name, or letters and four digits
        r"(?i)\b(?:MRN|NIN|NHIF|NHIS|UHID|SSN|CNIC|CPF|CNS|DNI|CURP|IPD|OPD|aadhaar|aadhar|passport|dossier|expediente|"
        r"prontuario|kadi|faili|ID)(?:\s*(?:no|nr|number|num|numero|card|n°|#|:|\.|=|is))*\s*[a-z]{0,4}[-/]?\d{3,}[\w/-]*",
        r"(?i)\b(?:file|folder|card|record|ticket|registration|reg|hospital|patient|client|insurance|member|chart|case|"
        r"policy|carte|fiche|ficha|historia)\.?\s*(?:(?:no|nr|number|num|numero|id)\b\.?|n°|#|:)[\s:#.]*[a-z]{0,4}[-/]?\d{2,}[\w/-]*",
        r"#\s?\d{3,}[\w/-]*",
        r"(?i)\b(?:lati|longi)tude\b[\s:=]*[-+]?\d{1,3}(?:[.,]\d+)?",
        r"\b[A-Z]{1,4}[-/]?\d{4}\w*\b",
        r"\b[A-Z]{2,3}\s?\d{3}\s?[A-Z]{1,2}\b",  # a car
        r"\d{5,}(?!\d*\s?(?:CFU|IU|cells|copies|/))\w*",
        r"(?i)\bp\.?\s?o\.?\s?box\s*\d+|\b(?:boite postale|caixa postal|apartado|s\.?l\.?p\.?)\s*\d+",
        # streets and houses
        rf"(?i)\b(?:(?:house|plot|flat|apartment|apt|no)\.?\s+)?\d{{1,4}}[a-d]?,?\s+(?:{_MEASURED}[a-z'-]+\s+){{1,2}}(?:{_STREET})\b",
        rf"(?:\b[A-Z][\w'-]+\s+){{1,2}}(?i:{_STREET})\b",
        r"(?i)\b(?:house|plot|flat|apartment|apt|nyumba|maison|casa)\s*(?:(?:no|number|namba|numero)\b\.?|n°|#)?\s*\d{1,4}[a-d]?\b(?!\s*(?:days?|weeks?|months?|years?|people|persons))",
        r"(?i)\b(?:\d{1,4}\s*,?\s*(?:bis\s+)?)?(?:rue|av\.|boulevard|impasse|calle|avenida|rua|"
        r"travessa|barabara ya|mtaa wa)\s+"
        r"(?:(?:de|du|des|da|do|dos|das|la|le|l'|d')\s*)*(?-i:[A-Z][\w'-]+(?:\s+[A-Z][\w'-]+)*)(?:,?\s+\d{1,4})?",
        # people the record may not hold, when their title is there
        rf"\b(?:{_TITLE})\b\.?\s+[A-Z][\w'-]+(?:\s+[A-Z][\w'-]+)?",
        r"\b(?i:named|called|name is|name:|anaitwa|s'appelle|se llama|chama-se)\s+"
        r"[A-Z][\w'-]+(?:\s+[A-Z][\w'-]+)?",
    )
)  # fmt: skip


# --- words that the record holds -----------------------------------------------------------------

_RUN = re.compile(r"[^\W\d_]+(?:['-][^\W\d_]+)*")
_TOKEN = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class Known:
    """What a record says of who and where: as words, as ids, and as signs of scripts without blanks."""

    words: frozenset[str]  #: folded, lower case; those of three letters and more count alone
    phrases: re.Pattern[str] | None
    kept: frozenset[str]  #: words that stay whatever a name says

    def spans(self, folded: str) -> Iterator[tuple[int, int]]:
        """Where they stand in a folded text."""
        lower = folded.lower()
        if len(lower) != len(folded):  # a letter whose small form is two, in no language we know
            lower = folded
        if self.phrases is not None:
            yield from (found.span() for found in self.phrases.finditer(lower))
        for found in _TOKEN.finditer(lower):
            if found[0] in self.words and len(found[0]) >= 3 and found[0] not in self.kept:
                yield found.span()
        before: re.Match[str] | None = None
        for found in _RUN.finditer(lower):
            if self._names(found[0]):
                yield found.span()
            for part in _TOKEN.finditer(found[0]) if "'" in found[0] or "-" in found[0] else ():
                if self._names(part[0]):
                    yield found.start() + part.start(), found.start() + part.end()
            if before is not None and found.start() - before.end() <= 2:
                joined = before[0] + found[0]
                if len(joined) >= 6 and joined in self.words:  # one word, written as two
                    yield before.start(), found.end()
            before = found

    def _names(self, run: str) -> bool:
        """Whether letters are known words written together, one initial and a plural's s aside."""
        run = re.sub("['-]", "", run)
        if not 3 <= len(run) <= _LONGEST_WORD or run in self.kept:
            return False
        return self._joined(run) or (len(run) > 3 and run[-1] == "s" and self._joined(run[:-1]))

    def _joined(self, run: str) -> bool:
        initials = {word[0] for word in self.words}
        # reached[at]: letters of the longest known word on a way to here; 0: there is none
        reached = {0: 1}
        if run[0] in initials:
            reached[1] = 1
        for at in range(len(run)):
            if at not in reached:
                continue
            for end in range(at + 2, len(run) + 1):
                if run[at:end] in self.words:
                    longest = max(reached[at], end - at, reached.get(end, 0))
                    # one initial goes with a long word only: it fits too much otherwise
                    if not (at == 1 and end - at < 4):
                        reached[end] = longest
        behind = reached.get(len(run) - 1, 0) if run[-1] in initials else 0
        return reached.get(len(run), 0) >= 3 or behind >= 4


def known(
    texts: Iterable[str], ids: Iterable[str], kept: frozenset[str], most: int
) -> Known | None:
    """What to look for: texts that say who or where, and ids; at most so many words, the longest."""
    words: set[str] = set()
    phrases: set[str] = set()
    for text in texts:
        plain = fold(text).lower()
        for word in plain.split():
            together = re.sub(r"[\W_]+", "", word)
            words |= {together, *_TOKEN.findall(word)}
        tokens = _TOKEN.findall(plain)
        if len(tokens) > 1:
            phrases.add(r"[\W_]*".join(map(re.escape, tokens)))
    for each in ids:
        tokens = _TOKEN.findall(fold(each).lower())
        if len("".join(tokens)) >= 3:
            phrases.add(r"[\W_]*".join(map(re.escape, tokens)))
    chosen = sorted((word for word in words if len(word) >= 2), key=lambda w: (-len(w), w))[:most]
    unspaced = [re.escape(word) for word in chosen if max(word) >= _UNSPACED]
    bounded = [
        rf"(?<![^\W_]){phrase}(?![^\W_])"
        for phrase in sorted(phrases, key=lambda p: (-len(p), p))[:most]
    ]
    pattern = re.compile("|".join([*bounded, *unspaced])) if bounded or unspaced else None
    found = frozenset(word for word in chosen if word not in kept and not word.isdigit())
    numbers = frozenset(word for word in chosen if word.isdigit() and len(word) >= 3)
    if not found and not numbers and pattern is None:
        return None
    return Known(found | numbers, pattern, kept)


# --- both ----------------------------------------------------------------------------------------


def removed(text: str, what: Known | None) -> str:
    """`text` with `[removed]` for everything that identifies."""
    pairs = list(_folded(text))
    folded = "".join(sign for sign, _ in pairs)
    spans = [found.span() for form in _FORMS for found in form.finditer(folded)]
    if what is not None:
        spans += what.spans(folded)
    said: list[str] = []
    done = 0
    for start, end in sorted(spans):
        if start == end or pairs[end - 1][1] < done:
            continue
        first, last = pairs[start][1], pairs[end - 1][1] + 1
        if first >= done:
            said += [text[done:first], REMOVED]
        done = max(done, last)
    return "".join([*said, text[done:]])
