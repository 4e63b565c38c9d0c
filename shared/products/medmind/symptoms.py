"""Which symptom a patient's words name: a closed list of kinds, for counting. The words are kept.

A word of the list counts by its stem, in the languages that devices hear. What is not on the list is
`other`: it is counted, and nobody guesses. The list groups what people say; it is no diagnosis.
"""

from __future__ import annotations

import unicodedata

#: Stems of words by kind, in the order in which they are looked for: a headache is no other pain.
STEMS = {
    kind: tuple(unicodedata.normalize("NFC", stems).split("|"))
    for kind, stems in {
        "headache": "headache|migraine|head hurts|सिर दर्द|सिरदर्द|सिर में दर्द|صداع|головн|мигрен",
        "dizziness": "dizz|giddi|vertigo|light-headed|lightheaded|"
        "चक्कर|"
        "دوخة|دوار|"
        "головокруж|кружится",
        "vomiting": "vomit|throwing up|threw up|उल्टी|قيء|تقيؤ|استفراغ|рвот|тошнит и рв",
        "nausea": "nause|queasy|sick to my stomach|मतली|जी मिचला|غثيان|тошн",
        "diarrhoea": "diarrh|loose motion|दस्त|إسهال|اسهال|понос|диаре",
        "constipation": "constipat|कब्ज|कब्ज़|إمساك|امساك|запор",
        "breathlessness": "breath|सांस|साँस|ضيق تنفس|ضيق في التنفس|одышк|дыш",
        "fever": "fever|temperature|बुखार|حمى|حرارة|температур|жар|лихорад",
        "cough": "cough|खांसी|खाँसी|سعال|كحة|каш",
        "sleeplessness": "sleepless|insomnia|cannot sleep|can't sleep|नींद नहीं|अनिद्रा|أرق|бессон",
        "tiredness": "tired|fatigue|exhaust|थक|تعب|إرهاق|устал",
        "swelling": "swell|swollen|सूजन|تورم|отёк|отек|опух",
        "itching": "itch|खुजली|حكة|зуд",
        "fall": "i fell|fell down|had a fall|गिर|سقطت|وقعت|упал",
        "pain": "pain|ache|hurt|sore|दर्द|ألم|وجع|бол",
    }.items()
}

OTHER = "other"


def symptom(words: object) -> str:
    """The kind of symptom that some words name."""
    text = " ".join(unicodedata.normalize("NFC", str(words or "")).casefold().split())
    for kind, stems in STEMS.items():
        if any(stem in text for stem in stems):
            return kind
    return OTHER
