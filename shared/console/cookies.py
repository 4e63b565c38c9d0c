"""Cookies of the console, and the tokens of its forms.

The session's cookie holds the token of a log-in session (`shared/accounts/sessions.py`); the store has
only its hash. It goes to this host alone (`__Host-`), never to a script, never with a request that another
site causes. Forms carry a token as well: a keyed hash of the session, each time with another salt, so that
what a compressed page weighs does not tell it. A browser that says that another site asks
(`Sec-Fetch-Site`, or `Origin`) is refused whatever it shows.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets

from werkzeug.wrappers import Request, Response

from shared.errors import Forbidden

#: The session's token; what ties a form to a browser that has no session yet; the language; one message.
SESSION, VISITOR, LANGUAGE, SAID = (
    "__Host-session",
    "__Host-visitor",
    "__Host-language",
    "__Host-said",
)

#: The field of forms that holds their token.
FIELD = "token"

_YEAR = 365 * 86_400

_SALT_BYTES = 9
_SEAL_BYTES = 18

#: In the place of a form's salt, which is shorter: a form's token is no note, and the other way round.
_NOTE = b"a note for the next page\0"
_VISITOR = re.compile(r"[A-Za-z0-9_-]{32}")


def keep(response: Response, name: str, value: str, seconds: int | None = None) -> None:
    """Set a cookie; without `seconds` it ends with the browser."""
    response.set_cookie(
        name, value, max_age=seconds, path="/", secure=True, httponly=True, samesite="Strict"
    )


def keep_language(response: Response, language: str) -> None:
    """Remember a language for a year."""
    keep(response, LANGUAGE, language, _YEAR)


def drop(response: Response, name: str) -> None:
    """Remove a cookie."""
    response.delete_cookie(name, path="/", secure=True, httponly=True, samesite="Strict")


def visitor(request: Request) -> str | None:
    """What ties the forms of somebody without a session to this browser."""
    value = request.cookies.get(VISITOR, "")
    return value if _VISITOR.fullmatch(value) else None


def new_visitor() -> str:
    """Another one."""
    return secrets.token_urlsafe(24)


def form_token(secret: bytes, holder: str) -> str:
    """A token for the forms of a session, or of a visitor without one."""
    salt = secrets.token_bytes(_SALT_BYTES)
    return base64.urlsafe_b64encode(salt + _sealed(secret, salt, holder.encode())).decode()


def check_form(request: Request, secret: bytes, holder: str, token: str) -> None:
    """Raises `Forbidden` (of field `token`) if a form was not sent from a page of ours in this browser."""
    site = request.headers.get("Sec-Fetch-Site")
    origin = request.headers.get("Origin")
    foreign = site not in (None, "same-origin") or (
        origin is not None and origin.partition("://")[2] != request.host
    )
    try:
        data = base64.urlsafe_b64decode(token.encode())
    except ValueError:
        data = b""
    salt, seal = data[:_SALT_BYTES], data[_SALT_BYTES:]
    if foreign or not hmac.compare_digest(seal, _sealed(secret, salt, holder.encode())):
        raise Forbidden(
            "This form was open for too long, or came from elsewhere. Load the page again.",
            field=FIELD,
        )


def signed(secret: bytes, text: str) -> str:
    """A text for a cookie that only we can have written."""
    data = text.encode()
    return base64.urlsafe_b64encode(_sealed(secret, _NOTE, data) + data).decode()


def unsigned(secret: bytes, value: str) -> str | None:
    """The text of such a cookie; None if somebody else wrote it."""
    try:
        data = base64.urlsafe_b64decode(value.encode())
    except ValueError:
        return None
    seal, text = data[:_SEAL_BYTES], data[_SEAL_BYTES:]
    return text.decode() if hmac.compare_digest(seal, _sealed(secret, _NOTE, text)) else None


def _sealed(secret: bytes, salt: bytes, text: bytes) -> bytes:
    whole = b"console form\0" + salt + text
    return hmac.new(secret, whole, hashlib.sha256).digest()[:_SEAL_BYTES]
