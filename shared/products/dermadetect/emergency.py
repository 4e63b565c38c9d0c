"""Which red flags alone mean an emergency: refer now, whatever phone or model say.

A closed table, with a source for each row. A row holds when all its flags are there, from rules,
phone or model together. It only raises. To make something an emergency, or none any more, is to edit
a row: no code.

**To be confirmed by a clinician before use in a clinic** (`STATUS`). The sources are for facilities or
for specialists; what they ask of a health worker without a doctor in reach is our reading of them.
They were read in public copies and summaries: whoever confirms a row opens its source.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

#: Raised with every change of the table.
VERSION = "1"
DATED = "2026-11-29"
STATUS = "to be confirmed by a clinician"

_ETAT = "WHO, Paediatric emergency triage, assessment and treatment (ETAT), 2016, emergency signs"
_ETAT_URL = "https://www.who.int/publications/i/item/9789241510219"
_IITT = "WHO, ICRC, MSF: Interagency Integrated Triage Tool, 2020, red criteria"
_IITT_URL = "https://www.who.int/tools/triage"
_IMCI = "WHO, IMCI chart booklet, 2014, general danger signs: refer urgently"
_IMCI_URL = "https://www.who.int/publications/i/item/9789241506823"
_YOUNG = "WHO, IMCI: management of the sick young infant aged up to 2 months, 2019, possible serious bacterial infection"
_YOUNG_URL = "https://www.who.int/publications/i/item/9789241516365"
_SJS = "Creamer et al., UK guidelines for Stevens-Johnson syndrome/toxic epidermal necrolysis in adults, Br J Dermatol 2016;174:1194-1227"
_SJS_URL = "https://doi.org/10.1111/bjd.14530"
_NICE240 = "NICE NG240, Meningitis (bacterial) and meningococcal disease, 2024, recognition and transfer to hospital"
_NICE240_URL = "https://www.nice.org.uk/guidance/ng240"
_WSES = "WSES/SIS-E consensus conference on skin and soft-tissue infections, 2018, necrotising infections"
_WSES_URL = "https://doi.org/10.1186/s13017-018-0219-9"
_IDSA = "IDSA, Practice guidelines for skin and soft tissue infections, 2014, necrotizing fasciitis and gas gangrene"
_IDSA_URL = "https://doi.org/10.1093/cid/ciu296"


class EmergencyRule(NamedTuple):
    """All of `flags` together are an emergency."""

    flags: tuple[str, ...]
    why: str
    source: str
    url: str


ROWS: tuple[EmergencyRule, ...] = (
    EmergencyRule(
        ("breathing_difficulty",), "breathing is failing, or anaphylaxis", _ETAT, _ETAT_URL
    ),
    EmergencyRule(
        ("airway_swelling",),
        "tongue or throat may close: anaphylaxis, angioedema",
        "Resuscitation Council UK, Emergency treatment of anaphylaxis, 2021, recognition: airway",
        "https://www.resus.org.uk/library/additional-guidance/guidance-anaphylaxis/emergency-treatment",
    ),
    EmergencyRule(("shock",), "circulation is failing", _ETAT, _ETAT_URL),
    EmergencyRule(
        ("altered_consciousness",), "lethargic, unconscious or confused", _IMCI, _IMCI_URL
    ),
    EmergencyRule(("convulsions",), "convulsing", _ETAT, _ETAT_URL),
    EmergencyRule(
        ("unable_to_drink",), "cannot drink or feed, or vomits everything", _IMCI, _IMCI_URL
    ),
    EmergencyRule(("heavy_bleeding",), "heavy or uncontrolled bleeding", _IITT, _IITT_URL),
    EmergencyRule(("crepitus",), "gas in the tissue: necrotising infection", _IDSA, _IDSA_URL),
    EmergencyRule(("skin_detachment", "fever"), "SJS/TEN or scalded skin", _SJS, _SJS_URL),
    EmergencyRule(("skin_detachment", "mucosal_involvement"), "SJS/TEN", _SJS, _SJS_URL),
    EmergencyRule(("skin_detachment", "eye_involvement"), "SJS/TEN", _SJS, _SJS_URL),
    EmergencyRule(
        ("blistering", "mucosal_involvement", "fever"),
        "SJS/TEN before the skin comes off",
        _SJS,
        _SJS_URL,
    ),
    EmergencyRule(("purpura", "fever"), "meningococcal disease", _NICE240, _NICE240_URL),
    EmergencyRule(("neck_stiffness", "fever"), "meningitis", _NICE240, _NICE240_URL),
    EmergencyRule(("necrosis", "severe_pain"), "necrotising infection", _WSES, _WSES_URL),
    EmergencyRule(("necrosis", "fever"), "necrotising infection", _WSES, _WSES_URL),
    EmergencyRule(("necrosis", "spreading_infection"), "necrotising infection", _WSES, _WSES_URL),
    EmergencyRule(
        ("spreading_infection", "severe_pain", "fever"),
        "pain out of proportion: necrotising infection before the skin dies",
        _IDSA,
        _IDSA_URL,
    ),
    EmergencyRule(("young_infant", "fever"), "the sick young infant", _YOUNG, _YOUNG_URL),
    EmergencyRule(("young_infant", "low_temperature"), "the sick young infant", _YOUNG, _YOUNG_URL),
    EmergencyRule(
        ("young_infant", "spreading_infection"), "the sick young infant", _YOUNG, _YOUNG_URL
    ),
    EmergencyRule(
        ("young_infant", "blistering"),
        "neonatal herpes, scalded skin or bullous infection",
        "HSE (Ireland), Neonatal herpes, what to do: emergency department",
        "https://www2.hse.ie/conditions/neonatal-herpes",
    ),
    EmergencyRule(("young_infant", "skin_detachment"), "scalded skin", _YOUNG, _YOUNG_URL),
    EmergencyRule(
        ("eye_involvement", "fever", "spreading_infection"),
        "orbital cellulitis",
        "Children's Health Queensland, CHQ-GDL-00723, Peri-orbital and orbital cellulitis: emergency management, 2020; review with loss of vision and death",
        "https://pmc.ncbi.nlm.nih.gov/articles/PMC5905312",
    ),
)

#: What an emergency asks of a health worker; words of `analysis.NEXT_STEPS`.
STEPS = ("refer_now",)


class Emergency(NamedTuple):
    """`urgency` is "emergency" or None; `steps` are the next steps that it needs."""

    urgency: str | None
    steps: tuple[str, ...]


NONE = Emergency(None, ())
_SETS = tuple(frozenset(row.flags) for row in ROWS)


def urgency_of(flags: Iterable[str]) -> Emergency:
    """What flags mean by themselves. More flags never mean less."""
    seen = set(flags)
    if not seen:
        return NONE
    return Emergency("emergency", STEPS) if any(map(seen.issuperset, _SETS)) else NONE
