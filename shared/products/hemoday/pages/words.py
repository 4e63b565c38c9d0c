"""What things are called on HemoDay's pages."""

from __future__ import annotations

from shared.console.page import N_

#: What the audit trail's words mean.
ACTIONS = {
    "read_timeline": N_("looked at the family's records"),
    "read_record": N_("looked at a record"),
    "read_report": N_("made the doctor's report"),
    "search": N_("searched"),
}

#: One of each table, and a new one.
ONE = {
    "transfusions": N_("Transfusion"),
    "blood_tests": N_("Blood test"),
    "documents": N_("Document"),
    "reminders": N_("Reminder"),
    "analysis_templates": N_("Template"),
    "family_profiles": N_("The child"),
}

MANY = {
    "transfusions": N_("Transfusions"),
    "blood_tests": N_("Blood tests"),
    "documents": N_("Documents"),
    "reminders": N_("Reminders"),
    "analysis_templates": N_("Templates"),
}

CATEGORIES = {
    "blood_test": N_("Blood test"),
    "transfusion": N_("Transfusion"),
    "prescription": N_("Prescription"),
    "imaging": N_("X-ray, ultrasound, MRI"),
    "discharge": N_("Discharge letter"),
    "genetics": N_("Genetics"),
    "vaccination": N_("Vaccination"),
    "insurance": N_("Insurance"),
    "other": N_("Other"),
}

FREQUENCIES = {
    "once": N_("Once"),
    "daily": N_("Every day"),
    "weekly": N_("Every week"),
    "monthly": N_("Every month"),
    "every_n_days": N_("Every so many days"),
}

SEXES = {"": N_("Not said"), "female": N_("Girl"), "male": N_("Boy")}

#: Why something is asked (`questions.CODES`).
QUESTIONS = {
    "unlikely_value": N_("Hardly anybody has this value. Is it a slip, or another unit?"),
    "unknown_unit": N_("This unit is not known for this indicator."),
    "unit_missing": N_("The unit is missing."),
    "unreadable_value": N_("This is no number that can be read."),
    "unlikely_date": N_("The date is in the future, or long ago."),
    "unreadable_date": N_("This is no date of the form YYYY-MM-DD."),
    "unlikely_volume": N_("The volume does not fit the weight."),
    "unknown_time_zone": N_("This time zone is not known."),
    "ends_before": N_("The end is before the beginning."),
}

#: Where a value lies in its range.
PLACES = {"low": N_("low"), "high": N_("high"), "in": N_("in range")}
#: Messages of the frame in the words of a family.
INSTEAD = {
    "As your teams see it.": N_("As your families see it."),
    "Code of a team": N_("Code of a family"),
    "End this membership? Their phone drops the team's records.": N_(
        "End this membership? Their phone drops the family's records."
    ),
    "From team": N_("From family"),
    "In the team": N_("In the family"),
    "Leave this team? Your phones drop its records.": N_(
        "Leave this family? Your phones drop its records."
    ),
    "Look at the members of the team, and invite the user again if needed.": N_(
        "Look at the members of the family, and invite the user again if needed."
    ),
    "Move to another team": N_("Move to another family"),
    "My teams": N_("My families"),
    "Nobody is in this team.": N_("Nobody is in this family."),
    "Of no team": N_("Of no family"),
    "Somebody of the team gives it to you.": N_("Somebody of the family gives it to you."),
    "Team": N_("Family"),
    "Teams": N_("Families"),
    "The record is in another team by now, or the user has left this one.": N_(
        "The record is in another family by now, or the user has left this one."
    ),
    "The user is in no team, or may not do this.": N_(
        "The user is in no family, or may not do this."
    ),
    "The user is in several teams, and the app does not say which. Update the app.": N_(
        "The user is in several families, and the app does not say which. Update the app."
    ),
    "The user is not in the team that the record names.": N_(
        "The user is not in the family that the record names."
    ),
    "The user's role may not change records of this team.": N_(
        "The user's role may not change records of this family."
    ),
    "They are out. Their phone drops the team's records with its next sync.": N_(
        "They are out. Their phone drops the family's records with its next sync."
    ),
    "This person is in another team than you chose:": N_(
        "This person is in another family than you chose:"
    ),
    "This person is in that team already.": N_("This person is in that family already."),
    "To team": N_("To family"),
    "You are in no team yet.": N_("You are in no family yet."),
    "You are in the team.": N_("You are in the family."),
    "You left the team.": N_("You left the family."),
    "Your role may not see the members of this team.": N_(
        "Your role may not see the members of this family."
    ),
    "joined a team by a code": N_("joined a family by a code"),
    "left a team": N_("left a family"),
    "made a team": N_("made a family"),
    "moved records to another team": N_("moved records to another family"),
    "put somebody out of a team": N_("put somebody out of a family"),
}
