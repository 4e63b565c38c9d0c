"""What things are called on MedMind's pages."""

from __future__ import annotations

from typing import NamedTuple

from shared.console.page import N_

#: The group of the navigation.
MENU = N_("Care")

#: What the audit trail's words mean.
ACTIONS = {
    "read_doses": N_("looked at doses"),
    "read_alerts": N_("looked at calls for help"),
    "read_said": N_("looked at what the patient said"),
    "read_plan": N_("looked at the plan"),
    "read_devices": N_("looked at the devices"),
    "read_schedule": N_("looked at a device's schedule"),
}


class StateWords(NamedTuple):
    """A state of a dose: its colour, a sign for those who see no colours, and its name."""

    kind: str
    sign: str
    name: str


STATES = {
    "planned": StateWords("grey", "○", N_("to come")),
    "due": StateWords("blue", "●", N_("due now")),
    "on_time": StateWords("green", "✓", N_("on time")),
    "late": StateWords("yellow", "◷", N_("late")),
    "skipped": StateWords("grey", "–", N_("skipped")),
    "missed": StateWords("red", "✗", N_("missed")),
}

#: What was said of a dose.
KINDS = {"taken": N_("taken"), "skipped": N_("skipped"), "undone": N_("taken back")}

FREQUENCIES = {
    "daily": N_("Every day"),
    "every_n_days": N_("Every so many days"),
    "weekly": N_("On days of the week"),
    "monthly": N_("Every month"),
    "every_n_hours": N_("Every so many hours"),
    "as_needed": N_("As needed"),
}

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

MEALS = {
    "": N_("Does not matter"),
    "before": N_("before a meal"),
    "with": N_("with a meal"),
    "after": N_("after a meal"),
}

#: What the clock does to the time of a dose in a night.
CLOCK = {
    "left_out": N_("The clock leaves this time out that night: the dose comes an hour later."),
    "twice": N_("The clock shows this time twice that night: the dose comes once, the first time."),
}

#: What alerts are about.
ALERT_KINDS = {
    "missed_dose": N_("A dose was missed"),
    "danger_words": N_("Words of danger were said"),
    "silent_device": N_("The device is silent"),
    "low_stock": N_("A medicine runs low"),
    "too_many_doses": N_("Taken more often than the plan allows"),
    "call_for_help": N_("A call for help"),
}

SEVERITIES = {
    "emergency": StateWords("emergency", "‼", N_("emergency")),
    "urgent": StateWords("red", "!", N_("urgent")),
    "notice": StateWords("yellow", "i", N_("to know")),
}

ALERT_STATES = {
    "open": N_("open"),
    "acknowledged": N_("somebody looks after it"),
    "ended": N_("over"),
}

#: How people are told.
WAYS = {"phone": N_("on my phones"), "mail": N_("by mail"), "webhook": N_("by a service of my own")}

#: What became of telling somebody.
TOLD = {
    "waiting": N_("is to be told"),
    "taken": N_("was sent"),
    "sent": N_("was told"),
    "missed": N_("could not be told"),
    "gone": N_("could not be told"),
    "gathered": N_("is told once a day"),
    "stopped": N_("needed not be told"),
}

#: Roles of a circle.
ROLES = {
    "caregiver": N_("Caregiver"),
    "doctor": N_("Doctor"),
    "patient": N_("Patient"),
    "device": N_("Device"),
}

#: Messages of the frame in the words of a circle.
INSTEAD = {
    "As your teams see it.": N_("As your circles see it."),
    "Code of a team": N_("Code of a circle"),
    "End this membership? Their phone drops the team's records.": N_(
        "End this membership? Their phone drops the circle's records."
    ),
    "From team": N_("From circle"),
    "In the team": N_("In the circle"),
    "Leave this team? Your phones drop its records.": N_(
        "Leave this circle? Your phones drop its records."
    ),
    "Look at the members of the team, and invite the user again if needed.": N_(
        "Look at the members of the circle, and invite the user again if needed."
    ),
    "Move to another team": N_("Move to another circle"),
    "My teams": N_("My circles"),
    "Nobody is in this team.": N_("Nobody is in this circle."),
    "Of no team": N_("Of no circle"),
    "Somebody of the team gives it to you.": N_("Somebody of the circle gives it to you."),
    "Team": N_("Circle"),
    "Teams": N_("Circles"),
    "The record is in another team by now, or the user has left this one.": N_(
        "The record is in another circle by now, or the user has left this one."
    ),
    "The user is in no team, or may not do this.": N_(
        "The user is in no circle, or may not do this."
    ),
    "The user is in several teams, and the app does not say which. Update the app.": N_(
        "The user is in several circles, and the app does not say which. Update the app."
    ),
    "The user is not in the team that the record names.": N_(
        "The user is not in the circle that the record names."
    ),
    "The user's role may not change records of this team.": N_(
        "The user's role may not change records of this circle."
    ),
    "They are out. Their phone drops the team's records with its next sync.": N_(
        "They are out. Their phone drops the circle's records with its next sync."
    ),
    "This person is in another team than you chose:": N_(
        "This person is in another circle than you chose:"
    ),
    "This person is in that team already.": N_("This person is in that circle already."),
    "To team": N_("To circle"),
    "You are in no team yet.": N_("You are in no circle yet."),
    "You are in the team.": N_("You are in the circle."),
    "You left the team.": N_("You left the circle."),
    "Your role may not see the members of this team.": N_(
        "Your role may not see the members of this circle."
    ),
    "joined a team by a code": N_("joined a circle by a code"),
    "left a team": N_("left a circle"),
    "made a team": N_("made a circle"),
    "moved records to another team": N_("moved records to another circle"),
    "put somebody out of a team": N_("put somebody out of a circle"),
}
