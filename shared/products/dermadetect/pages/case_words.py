"""What the codes of a case are called on its page: each a message that is translated where it is shown."""

from __future__ import annotations

from typing import NamedTuple

from shared.console.page import N_
from shared.products.dermadetect.signal import RANKS


class Flag(NamedTuple):
    """A red flag: what it is called, and why a doctor should look for it."""

    name: str
    means: str


FLAGS = {
    "bleeding": Flag(
        N_("Bleeding"), N_("Look for the source, and for medicines that thin the blood.")
    ),
    "rapid_growth": Flag(N_("Grows fast"), N_("A tumour or a deep infection is possible.")),
    "fever": Flag(N_("Fever"), N_("38 °C or more: the whole body may be ill.")),
    "mucosal_involvement": Flag(
        N_("Mouth, genitals or other mucosa"), N_("A severe drug reaction is possible.")
    ),
    "eye_involvement": Flag(N_("Eye"), N_("Sight may be in danger.")),
    "purpura": Flag(
        N_("Purpura"),
        N_("Spots that do not fade under pressure: sepsis, vasculitis, low platelets."),
    ),
    "necrosis": Flag(
        N_("Dead skin"), N_("A necrotising infection or a closed vessel is possible.")
    ),
    "blistering": Flag(N_("Blisters"), N_("Burn, infection, drug reaction or bullous disease.")),
    "skin_detachment": Flag(N_("Skin comes off"), N_("SJS/TEN or scalded skin is possible.")),
    "severe_pain": Flag(
        N_("Severe pain"), N_("Pain out of proportion: a deep infection is possible.")
    ),
    "spreading_infection": Flag(
        N_("Infection spreads"), N_("Cellulitis or worse; it may need antibiotics today.")
    ),
    "facial_swelling": Flag(N_("Swollen face"), N_("Angioedema or an infection near the eye.")),
    "breathing_difficulty": Flag(
        N_("Hard to breathe"), N_("Anaphylaxis or a failing lung: an emergency.")
    ),
    "non_healing_ulcer": Flag(
        N_("Ulcer that does not heal"),
        N_("Open for four weeks or more: cancer, Buruli ulcer, leishmaniasis."),
    ),
    "suspicious_pigmented_lesion": Flag(
        N_("Suspicious dark mark"), N_("Melanoma must be ruled out.")
    ),
    "immunosuppressed": Flag(
        N_("Weak immune system"), N_("Infections run faster and look milder.")
    ),
    "infant": Flag(
        N_("Infant with signs of infection"), N_("Younger than one year: worsens quickly.")
    ),
    "pregnancy": Flag(
        N_("Pregnant, with signs of infection"), N_("Two patients; fewer medicines are safe.")
    ),
    "airway_swelling": Flag(
        N_("Swollen tongue or throat"), N_("The airway may close: an emergency.")
    ),
    "shock": Flag(N_("Shock"), N_("Circulation is failing: an emergency.")),
    "altered_consciousness": Flag(
        N_("Confused or unconscious"), N_("A general danger sign: an emergency.")
    ),
    "convulsions": Flag(N_("Convulsions"), N_("A general danger sign: an emergency.")),
    "unable_to_drink": Flag(N_("Cannot drink or feed"), N_("A general danger sign: an emergency.")),
    "heavy_bleeding": Flag(N_("Heavy bleeding"), N_("An emergency.")),
    "neck_stiffness": Flag(N_("Stiff neck"), N_("Meningitis is possible, above all with fever.")),
    "crepitus": Flag(
        N_("Crackling under the skin"), N_("Gas in the tissue: a necrotising infection.")
    ),
    "low_temperature": Flag(N_("Too cold"), N_("In a young infant a sign of sepsis.")),
    "young_infant": Flag(
        N_("Younger than two months, with signs of infection"),
        N_("Serious bacterial infection is possible."),
    ),
    "other": Flag(N_("Another red flag"), N_("The model named something that is in no list.")),
}

#: Why flags together are an emergency (`emergency.py`).
EMERGENCIES = (
    N_("SJS/TEN or scalded skin"),
    N_("SJS/TEN"),
    N_("SJS/TEN before the skin comes off"),
    N_("meningococcal disease"),
    N_("meningitis"),
    N_("necrotising infection"),
    N_("pain out of proportion: necrotising infection before the skin dies"),
    N_("the sick young infant"),
    N_("neonatal herpes, scalded skin or bullous infection"),
    N_("scalded skin"),
    N_("orbital cellulitis"),
)

#: How bad a case is at worst, as badges say it.
RISKS = {
    "emergency": N_("Emergency"),
    "red": N_("Red"),
    "look": N_("Needs a look"),
    "yellow": N_("Yellow"),
    "green": N_("Green"),
}

#: A case's rank as a word of `RISKS`.
WORD_OF = {rank: word for word, rank in RANKS.items()}

COLOURS = {
    "green": N_("Green"),
    "yellow": N_("Yellow"),
    "red": N_("Red"),
    "unknown": N_("Cannot be read"),
}

STATUSES = {
    "TRIAGED": N_("Triaged"),
    "PENDING_DIAGNOSIS": N_("Waits for a diagnosis"),
    "DIAGNOSED": N_("Diagnosed"),
}

SEXES = {"male": N_("male"), "female": N_("female"), "other": N_("other sex")}

#: Columns that changed, by their names.
COLUMNS = {
    "triage_data": N_("Answers"),
    "risk_level": N_("Colour by the phone"),
    "rules": N_("Red flags by rule"),
    "image_keys": N_("Photos that the phone names"),
    "image_urls": N_("Photos"),
    "ai_analysis": N_("Reading by the AI"),
    "patient_id": N_("Patient"),
    "demographics": N_("What is known of the patient"),
    "deleted_at": N_("Deleted"),
}

PHOTO_STATES = {
    "upload": N_("on its way"),
    "checking": N_("being checked"),
    "ready": N_("ready"),
    "refused": N_("refused"),
}

#: Why a photo is worth taking again (`shared/files/quality.py`).
RETAKE = {
    "incomplete": N_("it breaks off"),
    "blurred": N_("blurred"),
    "too_dark": N_("too dark"),
    "too_bright": N_("too bright"),
    "glare": N_("glare"),
    "low_resolution": N_("too few pixels"),
    "framing": N_("the skin problem is hardly in the picture"),
}

#: Why a photo was refused (`shared/files/file.py`).
REFUSED_PHOTOS = {
    "wrong_type": N_("It is no photo, or of another type than the phone said."),
    "type_not_allowed": N_("Photos of this type are not taken."),
    "empty_file": N_("It has no content."),
    "file_too_large": N_("It is too large."),
    "invalid_sha256": N_("The phone named it wrongly."),
    "broken_file": N_("It is damaged. It must be taken again."),
    "too_many_pixels": N_("It has too many pixels."),
    "wrong_size": N_("Something else came than the phone said."),
    "wrong_hash": N_("Something else came than the phone said."),
    "upload_lost": N_("A part was lost here. The phone sends it again."),
    "not_processed": N_("It could not be checked. The phone sends it again."),
}

READINGS = {
    "ok": N_("Read"),
    "insufficient_image": N_("The photos do not suffice"),
    "not_skin": N_("The photos show no skin"),
    "refused": N_("The model declined"),
    "parse_failed": N_("The answer could not be read"),
    "unavailable": N_("There is no reading"),
}

URGENCIES = {
    "routine": N_("Routine"),
    "soon": N_("Soon: within 14 days"),
    "urgent": N_("Urgent: within 72 hours"),
    "emergency": N_("Emergency: now"),
}

LEVELS = {
    "low": N_("low"),
    "med": N_("medium"),
    "medium": N_("medium"),
    "high": N_("high"),
    "unclear": N_("unclear"),
    "yes": N_("yes"),
    "no": N_("no"),
}

STEPS = {
    "refer_now": N_("Refer now"),
    "refer_within_3_days": N_("Refer within 3 days"),
    "refer_within_2_weeks": N_("Refer within 2 weeks"),
    "await_doctor": N_("Wait for the doctor"),
    "retake_photo": N_("Take the photo again"),
    "add_close_up_photo": N_("Add a close photo"),
    "add_overview_photo": N_("Add a photo from further away"),
    "ask_missing_information": N_("Ask what is missing"),
    "check_temperature": N_("Take the temperature"),
    "look_for_more_lesions": N_("Look for more lesions"),
    "advise_return_if_worse": N_("Come back if it gets worse"),
    "see_again_in_2_weeks": N_("See again in 2 weeks"),
}

#: Where the analysis stands (`shared/jobs/job.py`).
JOBS = {
    "awaiting_files": N_("The analysis waits for photos."),
    "queued": N_("The analysis is queued."),
    "running": N_("The model is reading the case."),
    "done": N_("The analysis is done."),
    "failed": N_("The analysis failed and is not tried again."),
    "parked": N_("The analysis was given up after several tries. An operator can start it again."),
    "stale": N_("The case changed meanwhile; a newer analysis takes its place."),
}

VERDICTS = {
    "agree": N_("Agrees with the AI"),
    "edit": N_("Corrects the AI"),
    "reject": N_("Rejects the AI"),
}

CONFLICTS = {
    "older": N_("Somebody changed it later."),
    "equal": N_("Both changed at the same time; the first that came stays."),
    "merged": N_("The more serious value stays."),
    "unseen_overwrite": N_("A phone wrote over what it had not seen."),
    "deleted": N_("It was deleted."),
}

TIMELINE = {
    "created": N_("Created on a phone"),
    "photo": N_("Photos announced"),
    "reading": N_("Read by the AI"),
    "claimed": N_("Taken in hand"),
    "assigned": N_("Given to a doctor"),
    "released": N_("Given back"),
    "signed": N_("Signed"),
    "amended": N_("Amended"),
    "withdrawn": N_("Signature taken back"),
    "closed": N_("Taken off the list"),
    "read": N_("Handed to the health worker's phone"),
    "deleted": N_("Deleted"),
}

#: What acts are refused with (the messages of `faults.py` and `review.py`), so that they are translated.
REFUSALS = (
    N_("Another doctor has this case in hand."),
    N_("This case has a diagnosis. To correct it, name it in amends."),
    N_("The case changed after you looked at it. Look again."),
    N_("This key came before with other content. Make a new one."),
    N_("This diagnosis was taken back. Sign again with a new key."),
    N_("It is too late to take this diagnosis back. Amend it."),
    N_("Only who signed a diagnosis may take it back."),
    N_("The case was deleted. A supervisor can bring it back."),
    N_("There is no such doctor in the scope of this case."),
    N_("This case waits for its diagnosis: sign it."),
    N_("There is no such case, or none that you may see."),
    N_("Say what you found."),
    N_("Say why you do not agree with the AI."),
)
