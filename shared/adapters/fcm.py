"""The notifier on Firebase Cloud Messaging, HTTP v1: one POST a phone, nothing of any record in it.

A phone gets a silent data message `{"kind": "sync"}`; an alert is a notification of fixed words, too.
`collapse_key` and `apns-collapse-id` let a phone that was off get one message, not twenty. Messages about
other things have no `collapse_key`, since FCM keeps four of them for a phone; `tag` lets Android show one
a thing.
Wire: `POST /v1/projects/{project}/messages:send` with `{"message": {…}}`
(firebase.google.com/docs/reference/fcm/rest/v1/projects.messages).
"""

from __future__ import annotations

import hashlib
import threading
from typing import Any

from shared.errors import NotifyFault
from shared.notify.notice import NOT_TAKEN, SYNC, AlertWords, Message

#: Longest wait for one answer, seconds: nobody waits for a notice.
TIMEOUT_SECONDS = 5.0
#: Hours a message may wait for a phone that is off. Then the next sync brings the news anyway.
_LIFE_SECONDS = 3600

#: Longest `apns-collapse-id`, bytes (developer.apple.com, "Sending notification requests to APNs").
_LONGEST_ABOUT = 64

#: Answers after which FCM wants the message again, as it was not taken: too many, unavailable.
_NOT_TAKEN = (429, 503)

_URL = "https://fcm.googleapis.com"
_SCOPES = ("https://www.googleapis.com/auth/firebase.messaging",)


class FcmNotifier:
    """FCM of a project. `words` are an alert's; `credentials` is `default` or `anonymous` (a test server
    at `url`).
    """

    def __init__(
        self, project: str, words: AlertWords, *, url: str = "", credentials: str = "default"
    ) -> None:
        self._words = words
        self._address = f"{url or _URL}/v1/projects/{project}/messages:send"
        self._credentials = credentials
        self._lock = threading.Lock()
        self._session: Any = None

    def send(self, message: Message) -> bool:
        """See `shared.notify.notice.Notifier.send`."""
        import requests
        from google.auth.exceptions import GoogleAuthError

        try:
            response = self._opened().post(
                self._address,
                json={"message": wire_message(message, self._words)},
                timeout=TIMEOUT_SECONDS,
                allow_redirects=False,
            )
        except (requests.RequestException, GoogleAuthError, OSError) as error:
            raise NotifyFault(f"FCM does not answer ({type(error).__name__}).") from None
        if response.status_code == 200:
            return True
        # The error's text may repeat the token, so only its status is looked at.
        if response.status_code == 404 or "UNREGISTERED" in response.text[:4000]:
            return False
        code = NOT_TAKEN if response.status_code in _NOT_TAKEN else None
        raise NotifyFault(f"FCM answered {response.status_code}.", code=code)

    def _opened(self) -> Any:
        with self._lock:
            if self._session is None:
                import google.auth
                from google.auth.credentials import AnonymousCredentials
                from google.auth.transport.requests import AuthorizedSession

                if self._credentials == "anonymous":
                    known: Any = AnonymousCredentials()  # type: ignore[no-untyped-call]
                else:
                    known, _ = google.auth.default(scopes=_SCOPES)
                self._session = AuthorizedSession(known)  # type: ignore[no-untyped-call]
            return self._session


def wire_message(message: Message, words: AlertWords) -> dict[str, Any]:
    """The `message` of a request. `words` are those of an alert that has none of its own."""
    about = collapsed = message.about
    if len(about.encode()) > _LONGEST_ABOUT:
        collapsed = hashlib.sha256(about.encode()).hexdigest()
    android: dict[str, Any] = {
        "priority": "HIGH" if message.alert else "NORMAL",
        "ttl": f"{_LIFE_SECONDS}s",
    }
    if message.kind == SYNC:
        android["collapse_key"] = about
    elif message.alert:
        android["notification"] = {"tag": about}
    sent: dict[str, Any] = {
        "token": message.token,
        "data": {**message.data, "kind": message.kind},
        "android": android,
        "apns": {
            "headers": {
                "apns-collapse-id": collapsed,
                "apns-priority": "10" if message.alert else "5",
                "apns-push-type": "alert" if message.alert else "background",
            },
            "payload": {"aps": {"content-available": 1}},
        },
    }
    if message.alert:
        sent["notification"] = (message.words or words)._asdict()
    return sent
