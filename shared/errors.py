"""The one tree of errors. Every failure a caller can meet is a class here, with a stable code.

    Fault                          anything we answer for; `status`, `code`, `retryable`
    ├── RequestFault               the request as a whole cannot be used (4xx)
    │   ├── InvalidJson            400 invalid_json
    │   ├── InvalidRequest         400 invalid_request, or a more exact code
    │   ├── InvalidCursor          400 invalid_cursor
    │   ├── StalePush              409 stale_push
    │   ├── ParentDeleted          409 parent_deleted
    │   ├── KeyReused              409 idempotency_key_reused
    │   ├── Purged                 410 purged
    │   ├── Taken                  409 email_taken, scope_taken
    │   ├── PageExpired            410 page_expired
    │   ├── UploadExpired          410 upload_expired
    │   ├── UploadIncomplete       409 upload_incomplete
    │   ├── RequestTimeout         408 request_timeout
    │   ├── RequestTooLarge        413 request_too_large
    │   ├── UriTooLong             414 uri_too_long
    │   ├── HeadersTooLarge        431 headers_too_large
    │   ├── UnsupportedEncoding    415 unsupported_encoding
    │   ├── AppTooOld              426 app_too_old
    │   ├── NotFound               404 not_found
    │   └── MethodNotAllowed       405 method_not_allowed
    ├── AccessFault                who is asking
    │   ├── Unauthenticated        401 token_missing, token_invalid, token_expired, or of a log-in
    │   ├── Forbidden              403 forbidden, or of an invite, or of a forgotten password
    │   ├── TooManyTries           429 too_many_tries
    │   └── KeysUnavailable        503 keys_unavailable: a token cannot be judged now
    ├── StoreFault                 the record store
    │   ├── Contended              503 busy: a precondition failed; read again and decide anew
    │   ├── CommitTooBig           500 the caller must split its commit
    │   └── StoreUnavailable       503 store_unavailable
    ├── QueueUnavailable           503 a doorbell could not be rung; the sweeper rings later
    ├── FileFault                  the file store, or a file itself
    │   ├── FilesUnavailable       503 files_unavailable
    │   ├── FileMissing            404 file_missing: no bytes under this name; link_invalid
    │   ├── LinkExpired            410 link_expired
    │   └── FileRefused            422 the file is not what it says; a code for each reason
    ├── ModelFault                 the language model
    │   ├── ModelBusy              try again later (408, 429, 5xx, timeout, network)
    │   ├── ModelUnreadable        what came is no answer: empty, an error in a 200, a proxy's page
    │   ├── ModelMisconfigured     the deployment is at fault (401, 403, 404): tried for hours
    │   ├── ModelPaused            nobody was asked: the day's cap is reached, or the model rests
    │   └── ModelRefused           this request was refused (400), or the model declined
    │       └── ContractBroken     the answer breaks the contract, also after a repair
    ├── NotifyFault                a phone could not be notified
    ├── MailFault                  a mail could not be sent
    ├── HookFault                  an event could not be delivered; tried again for days
    │   ├── HookRests              the endpoint is left alone for a while: not an attempt
    │   └── HookEnded              the endpoint is gone or disabled: nothing more is sent
    └── ConfigurationFault         a setting is missing or absurd; named at start

Messages say what to do next and never carry data of records, so they may be logged and shown.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

#: What the system says of a disk that takes no more.
DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Fault(Exception):
    """Something went wrong that we know how to answer.

    `code` is stable and part of the API; `message` is for people and may change.
    `field` names the offending part of the request; `retry_after_s` is in seconds. `attempted` is
    false for what costs a job no attempt, since nothing was tried. `outage` is true where somebody
    must put a setting right: no attempt either, and tried for hours. `lasting` is true where the last
    attempt says that there will be no other result. `sentences` are of a product's own faults: by code,
    what happened and what to do; those of the engine stand in `shared.api.codes`.
    """

    code = "internal"
    status = 500
    retryable = False
    attempted = True
    outage = False
    lasting = False
    sentences: ClassVar[dict[str, str]] = {}

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        field: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or type(self).code
        self.field = field
        self.retry_after_s = retry_after_s

    def body(self, request_id: str) -> dict[str, object]:
        """Every error's JSON: `{"error": {code, message, field?, retry_after_s?, request_id}}`."""
        error: dict[str, object] = {"code": self.code, "message": self.message}
        if self.field is not None:
            error["field"] = self.field
        if self.retry_after_s is not None:
            error["retry_after_s"] = self.retry_after_s
        error["request_id"] = request_id
        return {"error": error}


class RequestFault(Fault):
    """The request cannot be used as it stands; sending it again unchanged cannot help."""

    code = "invalid_request"
    status = 400


class InvalidJson(RequestFault):
    """The body is not JSON that every phone and server reads alike."""

    code = "invalid_json"


class InvalidRequest(RequestFault):
    """The body is JSON, but not of the documented shape."""


class InvalidCursor(RequestFault):
    """A cursor or page token that this server did not give out."""

    code = "invalid_cursor"


class StalePush(RequestFault):
    """Records of the push changed on the server after the phone's pull. Nothing was applied.

    `conflicts` names them: (table, id). The phone pulls, merges and pushes again.
    """

    code = "stale_push"
    status = 409

    def __init__(self, message: str, conflicts: Sequence[tuple[str, str]]) -> None:
        super().__init__(message)
        self.conflicts = conflicts

    def body(self, request_id: str) -> dict[str, object]:
        """The usual shape, and the list beside it."""
        listed = [{"table": table, "id": name} for table, name in self.conflicts]
        return {**super().body(request_id), "conflicts": listed}


class ParentDeleted(RequestFault):
    """The record that another one belongs to is deleted: that one comes first."""

    code = "parent_deleted"
    status = 409


class KeyReused(RequestFault):
    """An idempotency key came a second time with other content. Nothing was stored."""

    code = "idempotency_key_reused"
    status = 409


class Purged(RequestFault):
    """The data of a deleted record is gone: nothing can bring it back."""

    code = "purged"
    status = 410


class Taken(RequestFault):
    """The name that was asked for belongs to somebody else."""

    code = "email_taken"
    status = 409


class PageExpired(RequestFault):
    """A page of a sync that began too long ago: start the sync again."""

    code = "page_expired"
    status = 410


class UploadExpired(RequestFault):
    """An upload that rested too long was removed: ask for a new ticket."""

    code = "upload_expired"
    status = 410


class UploadIncomplete(RequestFault):
    """Bytes of the file are still missing: `offset` is the first of them."""

    code = "upload_incomplete"
    status = 409

    def __init__(self, message: str, *, offset: int) -> None:
        super().__init__(message)
        self.offset = offset

    def body(self, request_id: str) -> dict[str, object]:
        """The usual shape, and the offset beside it."""
        return {**super().body(request_id), "offset": self.offset}


class RequestTooLarge(RequestFault):
    """The body is over the stated cap, before or after inflating."""

    code = "request_too_large"
    status = 413


class UriTooLong(RequestFault):
    """The request line is over its cap."""

    code = "uri_too_long"
    status = 414


class HeadersTooLarge(RequestFault):
    """The headers together are over their cap."""

    code = "headers_too_large"
    status = 431


class RequestTimeout(RequestFault):
    """The request did not come in time: the line broke, or it is too slow. Nothing was done."""

    code = "request_timeout"
    status = 408
    retryable = True


class UnsupportedEncoding(RequestFault):
    """A Content-Encoding other than gzip or identity."""

    code = "unsupported_encoding"
    status = 415


class AppTooOld(RequestFault):
    """The app's version is below the minimum that this deployment serves."""

    code = "app_too_old"
    status = 426


class NotFound(RequestFault):
    """No such path or thing, or none that the caller may see."""

    code = "not_found"
    status = 404


class MethodNotAllowed(RequestFault):
    """The path exists, the method does not."""

    code = "method_not_allowed"
    status = 405


class AccessFault(Fault):
    """The caller is not known, or may not do this."""


class Unauthenticated(AccessFault):
    """No usable token: log in or refresh, then send the same request again."""

    code = "token_invalid"
    status = 401


class Forbidden(AccessFault):
    """The caller is known and may not do this."""

    code = "forbidden"
    status = 403


class TooManyTries(AccessFault):
    """Too many wrong tries, or too many requests. Wait `retry_after_s`."""

    code = "too_many_tries"
    status = 429
    retryable = True
    fields: Mapping[str, str] = {}  #: of the answer's head: which limit, what is left


class KeysUnavailable(AccessFault):
    """The keys that tokens are checked against cannot be had. The token may well be good."""

    code = "keys_unavailable"
    status = 503
    retryable = True


class StoreFault(Fault):
    """The record store could not do its part; nothing of the commit was applied unless said."""


class Contended(StoreFault):
    """A document changed between the read and the commit. Read again and decide anew."""

    code = "busy"
    status = 503
    retryable = True


class CommitTooBig(StoreFault):
    """One commit was over the store's limit. The caller splits it; phones never see this."""

    code = "commit_too_big"


class StoreUnavailable(StoreFault):
    """The store did not answer in time. The commit may or may not have been applied."""

    code = "store_unavailable"
    status = 503
    retryable = True


class QueueUnavailable(Fault):
    """The doorbell could not be rung. The job is stored; the sweeper rings within a minute."""

    code = "queue_unavailable"
    status = 503
    retryable = True


class FileFault(Fault):
    """A file could not be had, or is not what it says."""


class FilesUnavailable(FileFault):
    """The file store did not answer in time. The same call may be made again."""

    code = "files_unavailable"
    status = 503
    retryable = True


class FileMissing(FileFault):
    """There are no bytes under this name."""

    code = "file_missing"
    status = 404


class FileRefused(FileFault):
    """The bytes are not the file that was declared, or none that can be shown safely."""

    code = "file_refused"
    status = 422
    found: str | None = None  #: what the bytes are, where they are of another type that is known


class LinkExpired(FileFault):
    """A link to a file that was good until a moment ago: ask for a new one."""

    code = "link_expired"
    status = 410


class ModelFault(Fault):
    """The language model did not give an analysis. The job tries again, whatever it was.

    `reading` is what was read all the same (other photos of the record), as a complete document.
    `urgency` is the worst urgency that an answer named which could not be read as a whole.
    """

    code = "model_failed"
    status = 502
    retryable = True
    reading: dict[str, Any] | None = None
    urgency: str | None = None


class ModelBusy(ModelFault):
    """A passing fault: overload, timeout, network. The job tries again later."""

    code = "model_busy"


class ModelUnreadable(ModelFault):
    """What came is no answer: empty, without choices, a proxy's page, without end. The next may be one."""

    code = "model_unreadable"


class ModelMisconfigured(ModelFault):
    """The deployment is at fault (address, key, permission, model). Tried until somebody puts it right."""

    code = "model_misconfigured"
    outage = True


class ModelPaused(ModelFault):
    """Nobody was asked: the day's cap is reached, or the model rests after faults. Not an attempt."""

    code = "model_resting"
    attempted = False


class ModelRefused(ModelFault):
    """The request was refused, or the model declined. Servers say so of a full GPU too: tried again."""

    code = "model_refused"


class ContractBroken(ModelRefused):
    """The model's answer breaks the contract, also after one repair. On the last attempt: failed."""

    code = "contract_broken"
    lasting = True


class NotifyFault(Fault):
    """A phone could not be notified. The sync brings the same news; nothing is lost."""

    code = "notify_failed"
    status = 502


class MailFault(Fault):
    """A mail could not be sent. Nobody waits for one: the log says so, and people ask again.

    `retryable`: no server was reached, so it was certainly not sent.
    """

    code = "mail_failed"
    status = 502


class HookFault(Fault):
    """An endpoint of somebody else's did not take an event. `code` says how: `http_503`, `timeout` …"""

    code = "hook_failed"
    status = 502
    retryable = True


class HookRests(HookFault):
    """The endpoint is left alone after a failure. Not an attempt."""

    code = "hook_rests"
    attempted = False


class HookEnded(HookFault):
    """The endpoint is gone (410) or disabled: nothing is sent until somebody enables it."""

    code = "hook_disabled"
    retryable = False


class ConfigurationFault(Fault):
    """A setting is missing or absurd. Raised at start, with the variable's name."""

    code = "configuration"
