"""Every word that an analysis may hold, and how long its lists and texts may be."""

from __future__ import annotations

from shared.errors import ContractBroken


def _vocabulary(words: str) -> tuple[str, ...]:
    return tuple(words.split())


SCHEMA_VERSION = "1"

#: The collection of readings, a document each.
READINGS = "readings"

#: Code of `ContractBroken`: an answer breaks the contract.
CONTRACT_BROKEN = ContractBroken.code

DISCLAIMER = (
    "Made by software to help a doctor decide what to look at first. "
    "It is not a diagnosis. A doctor reviews every case."
)
#: The scripted model's answers carry this one, so that nobody at a clinic mistakes them.
DISCLAIMER_SCRIPTED = "TEST ANSWER WITHOUT ANY CLINICAL VALUE. " + DISCLAIMER

DRAFT_STATUSES = ("ok", "insufficient_image", "not_skin", "refused")
STATUSES = (*DRAFT_STATUSES, "parse_failed", "unavailable")
#: What became of the zero-shot triage; only `ok` has scores.
SECOND_LOOKS = _vocabulary("ok not_run phone_scored no_image no_endpoint failed")
#: Mildest first: routine, soon (within 14 days), urgent (within 72 h), emergency (now).
URGENCIES = ("routine", "soon", "urgent", "emergency")
#: Mildest first.
TRIAGES = ("green", "yellow", "red")
LIKELIHOODS = ("low", "med", "high")
YES_NO = ("yes", "no", "unclear")
RED_FLAGS = _vocabulary(
    "bleeding rapid_growth fever mucosal_involvement eye_involvement purpura necrosis "
    "blistering skin_detachment severe_pain spreading_infection facial_swelling "
    "breathing_difficulty non_healing_ulcer suspicious_pigmented_lesion immunosuppressed "
    "infant pregnancy "
    # signs of which some are an emergency by themselves (`shared.products.dermadetect.emergency`)
    "airway_swelling shock altered_consciousness convulsions unable_to_drink heavy_bleeding "
    "neck_stiffness crepitus low_temperature young_infant "
    "other"
)
IMAGE_VERDICTS = ("good", "usable", "unusable", "unclear")
IMAGE_ISSUES = ("blur", "dark", "glare", "far", "framing", "low_res", "hair")
PRIMARY_LESIONS = _vocabulary(
    "macule patch papule plaque nodule vesicle bulla pustule wheal ulcer erosion scar none unclear"
)
COLOURS = _vocabulary("red pink brown black blue purple white yellow skin_coloured unclear")
BORDERS = ("sharp", "ill_defined", "irregular", "raised", "unclear")
DISTRIBUTIONS = _vocabulary("single grouped scattered linear annular symmetric generalised unclear")
ABCDE = ("asymmetry", "border", "colour", "diameter", "evolution")
MISSING_INFORMATION = _vocabulary(
    "age sex body_site duration change_over_time symptoms fever pain itching bleeding "
    "contacts_with_same earlier_treatment earlier_skin_disease immune_status pregnancy travel "
    "exposure sharper_photo close_up_photo overview_photo scale_in_photo"
)
REFERRALS = {
    "emergency": "refer_now",
    "urgent": "refer_within_3_days",
    "soon": "refer_within_2_weeks",
}
#: Verbs for a CHW. Referral, looking, asking, photographing: no drug, dose or procedure, ever.
NEXT_STEPS = (
    *REFERRALS.values(),
    "await_doctor",
    "retake_photo",
    "add_close_up_photo",
    "add_overview_photo",
    "ask_missing_information",
    "check_temperature",
    "look_for_more_lesions",
    "advise_return_if_worse",
    "see_again_in_2_weeks",
)
UNCERTAINTIES = ("low", "medium", "high")

#: A red case is at least urgent, a yellow one at least soon; and back.
URGENCY_OF_TRIAGE = {"green": "routine", "yellow": "soon", "red": "urgent"}
TRIAGE_OF_URGENCY = {"routine": "green", "soon": "yellow", "urgent": "red", "emergency": "red"}
_RISK_LEVELS = {"high": "red", "medium": "yellow", "low": "green"}

MAX_OPINIONS = 5
MAX_REASONS = 5
MAX_STEPS = 5
MAX_MISSING = 5
MAX_IMAGES = 16
LABEL_CHARS = 80
REASON_CHARS = 160
NOTE_CHARS = 300


def triage_colour(value: object) -> str | None:
    """green, yellow or red for a risk level (high, medium and low count too); else None."""
    if not isinstance(value, str) or len(value) > 64:
        return None
    word = value.strip().lower()
    word = _RISK_LEVELS.get(word, word)
    return word if word in TRIAGES else None
