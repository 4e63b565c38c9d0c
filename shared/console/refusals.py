"""What people are told when something is refused: by code, in words for those who look at the page."""

from __future__ import annotations

from shared.console.cookies import FIELD
from shared.console.page import N_
from shared.errors import Fault

#: Of faults that people meet here. Products add theirs in the templates of their pages.
SENTENCES = {
    "credentials_wrong": N_("The address or the password is wrong."),
    "account_disabled": N_("This account is closed. Ask whoever runs this service."),
    "totp_required": N_("Enter the code of your authenticator app."),
    "totp_wrong": N_("This code is wrong or was used already. Wait for the next one."),
    "login_late": N_("That took too long, or went on in another tab. Log in again."),
    "passkey_wrong": N_("The passkey was not accepted. Begin again, or use a code."),
    "passkeys_full": N_("You have as many passkeys as there may be. Remove one."),
    "session_ended": N_("You were logged out. Log in again: nothing that you signed is lost."),
    "forbidden": N_("Your role does not allow this."),
    "hand_over_first": N_("Nobody else has this role. Give it to somebody else before."),
    "not_found": N_("There is nothing here, or nothing that you may see."),
    "too_many_tries": N_("Too many tries. Wait a little, then try again."),
    "busy": N_("Somebody else changed the same thing at this moment. Try again."),
    "store_unavailable": N_("The records cannot be reached at the moment. Try again in a minute."),
    "files_unavailable": N_("Photos cannot be reached at the moment. Try again in a minute."),
    "internal": N_("Something went wrong on our side. Try again later."),
    "password_length": N_("The password is too short or too long."),
    "password_guessable": N_("This password is easy to guess. Take another one."),
    "invalid_email": N_("This is no e-mail address."),
    "invite_invalid": N_(
        "This code admits nobody: mistyped, expired or used up. Ask for another one."
    ),
    "mail_off": N_(
        "This service sends no mail. Ask an admin of your team, or whoever runs it, for a password."
    ),
    "reset_invalid": N_("This code is mistyped, too old, or was used. Ask for another mail."),
}


_FOREIGN = N_("This page was open for too long. Load it again, then repeat what you did.")


def sentence(fault: Fault) -> str:
    """The message (`N_`) of a fault; what has none says it in English."""
    if fault.field == FIELD:
        return _FOREIGN
    return SENTENCES.get(fault.code, fault.message)
