"""What entries of the audit trail say, in words."""

from __future__ import annotations

from shared.console.page import N_

#: What people did, by the trail's word for it. Products say what theirs mean (`Pages.actions`).
ACTIONS = {
    "log-in": N_("logged in"),
    "log-out": N_("logged out"),
    "end-session": N_("ended one of their sessions"),
    "end-sessions": N_("logged out everywhere"),
    "change-password": N_("changed their password"),
    "recover-password": N_("set another password by mail"),
    "set-up-factor": N_("set up a second factor"),
    "remove-factor": N_("removed their second factor"),
    "add-passkey": N_("added a passkey"),
    "remove-passkey": N_("removed a passkey"),
    "take-factor": N_("took off somebody's second factor"),
    "register": N_("made an account"),
    "join": N_("joined a team by a code"),
    "leave": N_("left a team"),
    "found": N_("made a team"),
    "invite": N_("made an invite code"),
    "void-invite": N_("made an invite code void"),
    "put-out": N_("put somebody out of a team"),
    "grant": N_("gave somebody a role"),
    "revoke": N_("ended somebody's membership"),
    "create-user": N_("made an account for somebody"),
    "reset-password": N_("set another password for somebody"),
    "disable-user": N_("closed somebody's account"),
    "enable-user": N_("opened somebody's account again"),
    "end-user-sessions": N_("logged somebody out everywhere"),
    "delete-user": N_("deleted somebody's account"),
    "delete-account": N_("deleted their account"),
    "export": N_("exported records"),
    "erase": N_("erased a record"),
    "move": N_("moved records to another team"),
    "push": N_("sent records from a phone"),
    "pull": N_("fetched records to a phone"),
    "undelete": N_("brought a deleted record back"),
    "inbox": N_("looked at the inbox"),
    "close_inbox": N_("closed an entry of the inbox"),
    "redrive_job": N_("queued a job again"),
    "add-hook": N_("named an address of another system"),
    "back-up": N_("copied the store"),
    "bring-back": N_("put a copy back"),
}
