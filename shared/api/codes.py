"""Every code that an answer may carry, declared once, with what to do about it.

Codes are part of the API: they are added, never renamed. The sentences are written for the people
who build the app. `shared.api.openapi.document` publishes them; a test finds every code that is raised and
refuses one that is not listed here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from shared import errors
from shared.accounts.passwords import LONGEST, SHORTEST
from shared.errors import Fault
from shared.records import record

_IN_SECONDS = (
    "A time is in seconds where milliseconds are counted. `field` names it. A fault of the app."
)

#: Every code an error answer may carry, by the fault behind it: what happened, what to do.
ERROR_CODES: dict[type[Fault], dict[str, str]] = {
    errors.InvalidJson: {
        "invalid_json": "The body is not JSON in UTF-8, holds NaN or a lone surrogate, nests deeper "
        f"than {record.MAX_DEPTH} levels, or is not valid gzip. A fault of the app: sending the "
        "same bytes again cannot help."
    },
    errors.InvalidRequest: {
        "invalid_request": "The body is JSON but not of the documented shape, or the query is not: a part "
        "that is not documented is refused, too. `field` names the part. A fault of the app.",
        "time_in_milliseconds": "A time is in milliseconds where seconds are counted. `field` "
        "names it. A fault of the app.",
        "time_in_seconds": _IN_SECONDS,
        "invalid_email": "`email` is no e-mail address. Ask the user to correct it.",
        "invalid_range": "`Content-Range` is none. `bytes FIRST-LAST/TOTAL` with a piece, `bytes */TOTAL` "
        "to ask how far the upload is. A fault of the app.",
        "hook_address": "`url` is no address that may be posted to: https, a host by its name, at a public "
        "address. Correct it.",
        "hook_taken": "The scope has an endpoint with this address. Change that one.",
        "too_many_hooks": "The scope has as many endpoints as it may. Remove one first.",
        "file_not_taken": "The form's file cannot be taken. The message says why and what to do.",
        "wrong_size": "The file was announced with another size. Ask for a new ticket.",
        "password_length": f"A password has {SHORTEST} to {LONGEST} characters; `field` names it. "
        "Ask the user for another one.",
        "password_guessable": "The password is a common one, or made of the user's name or e-mail address "
        "or the product's name; `field` names it. Ask the user for another one: several words that do not "
        "belong together.",
    },
    errors.InvalidCursor: {
        "invalid_cursor": "`last_sync_timestamp`, `page` or `last_pulled_at` is none that this "
        "server gave to this user. Start the sync again from the cursor that was kept last.",
        "time_in_milliseconds": "A time is in milliseconds where seconds are counted. `field` "
        "names it. A fault of the app.",
        "time_in_seconds": _IN_SECONDS,
    },
    errors.StalePush: {
        "stale_push": "Records of the push changed here after the phone's last pull; `conflicts` "
        "names them. Nothing was applied. Call `synchronize()` again: it pulls, merges and pushes."
    },
    errors.ParentDeleted: {
        "parent_deleted": "The record that it belongs to is deleted. Bring that one back first."
    },
    errors.KeyReused: {
        "idempotency_key_reused": "The same key came before with other content, which is what is "
        "stored. Look at what is there, then send what is new with a new key."
    },
    errors.Purged: {
        "purged": "The record was deleted so long ago that its data is gone. Nothing brings it back."
    },
    errors.Unauthenticated: {
        "token_missing": "There is no bearer token. Log in, then send the same request again.",
        "token_expired": "Refresh the token, then send the same request again.",
        "token_invalid": "The token cannot be used here. Log in, then send the same request again.",
        "credentials_wrong": "E-mail or password is wrong. Ask the user again.",
        "refresh_invalid": "The refresh token is unknown or too old. Ask the user to log in; records "
        "stay on the phone.",
        "refresh_reused": "A refresh token was used that had been replaced: it may have been stolen. "
        "The session is over. Tell the user, and ask to log in; records stay on the phone.",
        "totp_required": "The password is right, and the account has a second factor: ask for the code of "
        "the authenticator app, or a recovery code, and send the same request with `otp`.",
        "totp_wrong": "The code is wrong, was used before, or is of another time; or nothing waits to be "
        "confirmed. Ask for the next one.",
        "totp_setup_required": "The user's role needs a second factor. Let the user set it up "
        "(`/api/v1/auth/totp`), then refresh the token; records stay on the phone.",
        "account_disabled": "The account was disabled or deleted. Say so, and let the user log in as "
        "somebody else; records are kept.",
        "session_ended": "The user logged out, or the password was changed. Ask to log in; records "
        "stay on the phone.",
    },
    errors.Forbidden: {
        "forbidden": "The user is known and may not do this. Sending it again cannot help.",
        "invite_needed": "Nobody registers here without a code. Ask the user for one.",
        "invite_invalid": "The code is mistyped, expired or used up. Ask the user for another one.",
        "hand_over_first": "The user is the last who looks after a scope. Let the user give somebody in it "
        "that role, then send it again.",
        "mail_off": "No mail is sent from here. Tell the user to ask an admin of the team.",
        "reset_invalid": "The code of the mail is mistyped, too old, or was used. Let the user ask for "
        "another mail.",
    },
    errors.Taken: {
        "email_taken": "There is an account of this e-mail address. Log in instead; also after a "
        "registration whose answer was lost.",
        "scope_taken": "The id belongs to another scope. Make another one.",
    },
    errors.TooManyTries: {
        "too_many_tries": "Too many wrong tries, or too many requests. Send the request again after "
        "`Retry-After` seconds; nothing is lost."
    },
    errors.KeysUnavailable: {
        "keys_unavailable": "The token cannot be judged now; it may well be good. Keep it, and send "
        "the same request again after `Retry-After` seconds."
    },
    errors.NotFound: {
        "not_found": "There is nothing at this path, or nothing that the caller may see."
    },
    errors.MethodNotAllowed: {
        "method_not_allowed": "The path exists, the method does not. `message` names those it has."
    },
    errors.PageExpired: {
        "page_expired": "The first page was asked for more than 30 days ago, or the server was restored "
        "since. Start the sync again from the last `new_sync_timestamp`; nothing is lost."
    },
    errors.UploadExpired: {
        "upload_expired": "The upload rested too long, and what had come was removed. Ask for a new "
        "ticket and send the file again."
    },
    errors.UploadIncomplete: {
        "upload_incomplete": "Bytes are still missing; `offset` is the first of them. Send the rest."
    },
    errors.FileMissing: {
        "link_invalid": "The link leads nowhere. Ask for the file, and follow the link that comes.",
        "file_missing": "The file is gone. Ask for it, and follow the link that comes.",
    },
    errors.LinkExpired: {
        "link_expired": "The link was good for some minutes. Ask for the file, and follow the link that "
        "comes."
    },
    errors.FilesUnavailable: {
        "files_unavailable": "The file store did not answer. Send the same request again after "
        "`Retry-After` seconds: what has come is kept."
    },
    errors.RequestTooLarge: {
        "request_too_large": "The body has too many bytes, before or after inflating, or too many "
        "values or records; `message` names the limit. Send the records in several requests, parents first."
    },
    errors.RequestTimeout: {
        "request_timeout": "The request did not come in time. Nothing was done; send it again."
    },
    errors.UriTooLong: {"uri_too_long": "The path with its query is longer than 16 KiB."},
    errors.HeadersTooLarge: {"headers_too_large": "The headers together are longer than 64 KiB."},
    errors.UnsupportedEncoding: {
        "unsupported_encoding": "Content-Encoding must be `gzip` or left out."
    },
    errors.AppTooOld: {
        "app_too_old": "Ask the user to update the app. Records stay on the phone until then."
    },
    Fault: {
        "internal": "A fault on our side. Try again later; report it with the request id.",
        "configuration": "This server is set up wrongly. Try again later; report it with the "
        "request id.",
    },
    errors.CommitTooBig: {
        "commit_too_big": "One record with all that hangs on it is larger than the store takes. "
        "Report it with the request id."
    },
    errors.Contended: {
        "busy": "Others are changing the same records. Send the same request again after "
        "`Retry-After` seconds."
    },
    errors.StoreUnavailable: {
        "store_unavailable": "The record store did not answer, and what was sent may or may not be "
        "stored. Send the same request again after `Retry-After` seconds: that is always safe."
    },
}

#: Codes of faults that many routes answer, but which only some routes of accounts, files or hooks do: these
#: name them one by one.
ACCOUNTS_ONLY = (
    "invalid_email",
    "password_length",
    "password_guessable",
    "credentials_wrong",
    "totp_required",
    "totp_wrong",
    "refresh_invalid",
    "refresh_reused",
    "session_ended",
    "invite_needed",
    "invite_invalid",
    "hand_over_first",
    "mail_off",
    "reset_invalid",
)
FILES_ONLY = ("invalid_range", "wrong_size", "file_not_taken")
HOOKS_ONLY = ("hook_address", "hook_taken", "too_many_hooks")
SELDOM = frozenset((*ACCOUNTS_ONLY, *FILES_ONLY, *HOOKS_ONLY))


def sentences_of(fault: type[Fault]) -> Mapping[str, str]:
    """The codes of a fault, each with what happened and what to do. Raises `KeyError`: it has none."""
    return fault.sentences or ERROR_CODES[fault]


def every_code() -> dict[type[Fault], Mapping[str, str]]:
    """`ERROR_CODES`, and those of the product whose faults are loaded."""
    own = {each: each.sentences for each in _below(Fault) if each.sentences}
    return {**ERROR_CODES, **own}


def _below(fault: type[Fault]) -> Iterator[type[Fault]]:
    for each in fault.__subclasses__():
        yield each
        yield from _below(each)
