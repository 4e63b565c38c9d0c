"""What things are called on BuildTrace's pages."""

from __future__ import annotations

from typing import NamedTuple

from shared.console.page import N_

#: The group of the navigation.
MENU = N_("Project")

#: What the audit trail's words mean.
ACTIONS = {
    "read_drawings": N_("looked at the drawings"),
    "read_revision": N_("looked at a revision"),
    "read_comparison": N_("looked at a comparison"),
    "read_changes": N_("looked at changes"),
    "export_changes": N_("took changes along as a table"),
    "export_summary": N_("took a summary along as PDF"),
    "write_drawings": N_("made a drawing"),
    "write_revisions": N_("made a revision"),
    "write_comparisons": N_("asked for a comparison, or stopped it"),
}


class StateShown(NamedTuple):
    """A state: its colour, and its name, which says the same."""

    kind: str
    name: str


#: Of a comparison and its stages.
STATES = {
    "waiting": StateShown("", N_("waits")),
    "running": StateShown("blue", N_("at work")),
    "done": StateShown("green", N_("done")),
    "failed": StateShown("red", N_("did not work")),
    "cancelled": StateShown("yellow", N_("stopped")),
}

STAGES = {
    "ocr": N_("Read the sheets"),
    "diff": N_("Compare them"),
    "summary": N_("Say what changed"),
}

#: Of a revision.
REVISION_STATES = {
    "no_file": StateShown("yellow", N_("its file is not here yet")),
    "checking": StateShown("blue", N_("its file is being checked")),
    "reading": StateShown("blue", N_("is being read")),
    "read": StateShown("green", N_("read")),
    "refused": StateShown("red", N_("cannot be read")),
}

#: What became of a pair of sheets.
OUTCOMES = {
    "pending": StateShown("", N_("not compared yet")),
    "same": StateShown("green", N_("the same")),
    "changed": StateShown("yellow", N_("changed")),
    "could_not_align": StateShown("red", N_("could not be laid on each other")),
    "added": StateShown("blue", N_("new")),
    "removed": StateShown("red", N_("gone")),
    "unreadable": StateShown("red", N_("cannot be read")),
}

KINDS = {
    "added": N_("added"),
    "removed": N_("removed"),
    "moved": N_("moved"),
    "replaced": N_("replaced"),
    "text_changed": N_("text changed"),
    "dimension_changed": N_("dimension changed"),
}

REGIONS = {"title_block": N_("title block"), "margin": N_("margin")}

#: The ninth of a sheet.
PARTS = {
    "top left": N_("top left"),
    "top": N_("top"),
    "top right": N_("top right"),
    "left": N_("left"),
    "centre": N_("centre"),
    "right": N_("right"),
    "bottom left": N_("bottom left"),
    "bottom": N_("bottom"),
    "bottom right": N_("bottom right"),
}

#: What the viewer can show.
LAYERS = {
    "overlay": N_("Overlay"),
    "old": N_("Before"),
    "new": N_("After"),
    "slider": N_("Slider"),
    "blink": N_("Blink"),
}

#: Why something did not work, by code; what has none here says it in English.
FAULTS = {
    "file_missing": N_("A revision's file has not come yet. Upload it; this goes on by itself."),
    "file_gone": N_("The file is not there any more. Upload it again."),
    "sheet_gone": N_("A sheet is not there any more. Compare again."),
    "could_not_align": N_("These two sheets do not show the same drawing. Look at both."),
    "drawing_broken": N_(
        "A file cannot be read: it is damaged or cut off. Export or scan it again, as another revision."
    ),
    "drawing_encrypted": N_(
        "A file asks for a password. Save it without one and upload it as another revision."
    ),
    "drawing_empty": N_("A file has no page."),
}

#: Messages of the frame in the words of a project.
INSTEAD = {
    "As your teams see it.": N_("As your projects see it."),
    "Code of a team": N_("Code of a project"),
    "End this membership? Their phone drops the team's records.": N_(
        "End this membership? Their phone drops the project's records."
    ),
    "From team": N_("From project"),
    "In the team": N_("In the project"),
    "Leave this team? Your phones drop its records.": N_(
        "Leave this project? Your phones drop its records."
    ),
    "Look at the members of the team, and invite the user again if needed.": N_(
        "Look at the members of the project, and invite the user again if needed."
    ),
    "Move to another team": N_("Move to another project"),
    "My teams": N_("My projects"),
    "Nobody is in this team.": N_("Nobody is in this project."),
    "Of no team": N_("Of no project"),
    "Somebody of the team gives it to you.": N_("Somebody of the project gives it to you."),
    "Team": N_("People"),
    "Teams": N_("Projects"),
    "The record is in another team by now, or the user has left this one.": N_(
        "The record is in another project by now, or the user has left this one."
    ),
    "The user is in no team, or may not do this.": N_(
        "The user is in no project, or may not do this."
    ),
    "The user is in several teams, and the app does not say which. Update the app.": N_(
        "The user is in several projects, and the app does not say which. Update the app."
    ),
    "The user is not in the team that the record names.": N_(
        "The user is not in the project that the record names."
    ),
    "The user's role may not change records of this team.": N_(
        "The user's role may not change records of this project."
    ),
    "They are out. Their phone drops the team's records with its next sync.": N_(
        "They are out. Their phone drops the project's records with its next sync."
    ),
    "This person is in another team than you chose:": N_(
        "This person is in another project than you chose:"
    ),
    "This person is in that team already.": N_("This person is in that project already."),
    "To team": N_("To project"),
    "You are in no team yet.": N_("You are in no project yet."),
    "You are in the team.": N_("You are in the project."),
    "You left the team.": N_("You left the project."),
    "Your role may not see the members of this team.": N_(
        "Your role may not see the members of this project."
    ),
    "joined a team by a code": N_("joined a project by a code"),
    "left a team": N_("left a project"),
    "made a team": N_("made a project"),
    "moved records to another team": N_("moved records to another project"),
    "put somebody out of a team": N_("put somebody out of a project"),
}
