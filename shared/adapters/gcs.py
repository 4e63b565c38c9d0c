"""Files in a bucket of Google Cloud Storage.

The bucket is private: whoever downloads has a V4 signed URL, signed without a key file by IAM's
signBlob (one call for each link; the service account needs `serviceAccountTokenCreator` on itself
and `storage.objects.get` on the bucket). Whoever uploads past us has a resumable session.

- A name is written once: every upload carries `ifGenerationMatch=0`, and 412 says that it is there.
  `put` asks first all the same: an upload that is repeated after a lost answer then sends no byte,
  and the emulator, which ignores the condition, keeps the promise too (but for two at once).
- A file is read in ranges of one generation; length and CRC32C are compared before the last piece
  is given, so that what was cut never looks whole.
- One request waits `answer_seconds` for each answer and is repeated (408, 429, 5xx, network) for
  `patience_seconds`; then `FilesUnavailable`. Faults carry their cause, but no address: it may be a
  secret that lets its finder read or write.

`endpoint` is another address of Cloud Storage: the emulator or a test's server. Without credentials
nothing is signed there, and the emulator asks for no signature.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import google.auth
import google_crc32c
import requests
from google.api_core import exceptions as api
from google.api_core.retry import Retry
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError, RefreshError
from google.auth.transport.requests import AuthorizedSession, Request
from google.cloud import storage
from google.cloud.storage.exceptions import DataCorruption, InvalidResponse
from google.cloud.storage.retry import DEFAULT_RETRY

from shared.errors import (
    ConfigurationFault,
    Fault,
    FileFault,
    FileMissing,
    FileRefused,
    FilesUnavailable,
)
from shared.files.disposition import attachment
from shared.files.store import (
    PIECE_BYTES,
    Stored,
    checked,
    checked_prefix,
    checked_seconds,
    checked_type,
    is_name,
)

GOOGLE = "https://storage.googleapis.com"
IAM = "https://iamcredentials.googleapis.com"

#: Files and signBlob in one token.
_SCOPE = "https://www.googleapis.com/auth/cloud-platform"

#: What one upload request carries and one range request fetches, bytes; the memory that a call needs.
CHUNK_BYTES = 4 * 2**20

#: Wait for a connection, seconds: a little more than a lost SYN costs.
CONNECT_SECONDS = 3.05

#: Wait for an answer, seconds, and how long a request is repeated: together less than a phone waits.
ANSWER_SECONDS = 10.0
PATIENCE_SECONDS = 20.0
#: The most before a first repetition; each further one waits twice as long.
REST_SECONDS = 0.2

T = TypeVar("T")


class GcsFiles:
    """See `FileStore`. Clients are shared by threads."""

    def __init__(
        self,
        project: str,
        bucket: str,
        *,
        endpoint: str = "",
        credentials: Any = None,
        iam_endpoint: str = IAM,
        answer_seconds: float = ANSWER_SECONDS,
        patience_seconds: float = PATIENCE_SECONDS,
        rest_seconds: float = REST_SECONDS,
    ) -> None:
        if credentials is None:
            credentials = _anonymous() if endpoint else _own_credentials()
        self._credentials = credentials
        self._signs = not isinstance(credentials, AnonymousCredentials)
        self._endpoint = (endpoint or GOOGLE).rstrip("/")
        self._iam = iam_endpoint.rstrip("/")
        self._timeout = (CONNECT_SECONDS, answer_seconds)
        self._retry: Any = DEFAULT_RETRY.with_timeout(patience_seconds).with_delay(
            initial=rest_seconds, maximum=4.0, multiplier=2.0
        )
        self._session: Any = AuthorizedSession(credentials)  # type: ignore[no-untyped-call]
        # An address that is always given: STORAGE_EMULATOR_HOST, which the library would read, is
        # none of our settings.
        client: Any = storage.Client(  # type: ignore[no-untyped-call]
            project, credentials=credentials, client_options={"api_endpoint": self._endpoint}
        )
        # The library would fetch the bucket's location in the background, for spans that we do not
        # record, with a permission (storage.buckets.get) that this service does not have.
        client._bucket_metadata_cache = None
        self._client = client
        self._bucket = client.bucket(bucket)
        self._refreshing = threading.Lock()

    def put(self, name: str, data: Iterable[bytes], media_type: str) -> None:
        """See `FileStore`."""
        checked(name)
        checked_type(media_type)
        if self.stat(name) is not None:
            return
        blob = self._bucket.blob(name, chunk_size=CHUNK_BYTES)
        stream = _Stream(data)
        try:
            with _faults("store a file", missing=_no_bucket):
                blob.upload_from_file(
                    stream,
                    content_type=media_type,
                    if_generation_match=0,
                    checksum="crc32c",
                    **self._calling(),
                )
        except _Exists:
            return  # somebody else was first, or this is our own upload whose answer was lost
        except Exception:
            if stream.failed is not None:
                raise stream.failed from None  # the giver's own fault, not the store's
            raise

    def read(self, name: str) -> Iterator[bytes]:
        """See `FileStore`."""
        return self._read(checked(name))

    def _read(self, name: str) -> Iterator[bytes]:
        about = self._about(name)
        if about is None:
            raise FileMissing("There is no file under this name.")
        checksum: Any = google_crc32c.Checksum()  # type: ignore[no-untyped-call]
        held = b""
        for start in range(0, about.size, CHUNK_BYTES):
            end = min(start + CHUNK_BYTES, about.size)
            # Anew for each range, since a download forgets the generation; and at our own address,
            # not at the mediaLink of the answer.
            blob = self._bucket.blob(name, generation=about.generation)
            with _faults("read a file", missing=_gone):
                block = blob.download_as_bytes(
                    start=start, end=end - 1, raw_download=True, checksum=None, **self._calling()
                )
            if len(block) != end - start:
                raise FilesUnavailable("Cloud Storage gave a file in part.")
            checksum.update(block)
            for at in range(0, len(block), PIECE_BYTES):
                if held:
                    yield held
                held = block[at : at + PIECE_BYTES]
        if about.crc32c and base64.b64encode(checksum.digest()).decode() != about.crc32c:
            raise FilesUnavailable("Cloud Storage gave a file that is not what was stored.")
        if held:
            yield held

    def stat(self, name: str) -> Stored | None:
        """See `FileStore`. A bucket that does not exist has no files."""
        about = self._about(checked(name))
        return None if about is None else _stored(about)

    def _about(self, name: str) -> Any:
        with _faults("look for a file"):
            return self._bucket.get_blob(name, **self._calling())

    def delete(self, names: Iterable[str]) -> None:
        """See `FileStore`."""
        for name in [checked(name) for name in names]:
            try:
                with _faults("delete a file", missing=_gone):
                    self._bucket.blob(name).delete(**self._calling())
            except FileMissing:
                continue

    def list(self, prefix: str, *, behind: str = "", limit: int = 1000) -> list[Stored]:
        """See `FileStore`."""
        checked_prefix(prefix)
        if behind:
            checked(behind)
        with _faults("list files", missing=_no_bucket):
            found = self._client.list_blobs(
                self._bucket,
                prefix=prefix or None,
                start_offset=behind or None,  # which itself is listed too
                page_size=min(1000, limit + 1),
                fields="items(name,size,contentType,timeCreated),nextPageToken",
                **self._calling(),
            )
            # the emulator knows neither start_offset nor pages
            ours = (each for each in found if each.name > behind and is_name(each.name))
            return [_stored(each) for each in itertools.islice(ours, limit)]

    def link(self, name: str, *, media_type: str, file_name: str, seconds: int, now_ms: int) -> str:
        """See `FileStore`. One call to IAM. A link for more than 12 hours may end with IAM's key before.

        https://cloud.google.com/storage/docs/authentication/canonical-requests
        """
        path = f"/{self._bucket.name}/{quote(checked(name), safe='/~')}"
        host = urlsplit(self._endpoint).netloc
        signer = self._signer() if self._signs else "nobody@unsigned.invalid"
        moment = datetime.fromtimestamp(now_ms / 1000, UTC)
        scope = f"{moment:%Y%m%d}/auto/storage/goog4_request"
        parameters = {
            "X-Goog-Algorithm": "GOOG4-RSA-SHA256",
            "X-Goog-Credential": f"{signer}/{scope}",
            "X-Goog-Date": f"{moment:%Y%m%dT%H%M%SZ}",
            "X-Goog-Expires": str(checked_seconds(seconds)),
            "X-Goog-SignedHeaders": "host",
            "response-content-disposition": attachment(file_name),
            "response-content-type": checked_type(media_type),
        }
        query = "&".join(
            sorted(f"{key}={quote(value, safe='~')}" for key, value in parameters.items())
        )
        request = f"GET\n{path}\n{query}\nhost:{host}\n\nhost\nUNSIGNED-PAYLOAD"
        digest = hashlib.sha256(request.encode()).hexdigest()
        to_sign = f"GOOG4-RSA-SHA256\n{parameters['X-Goog-Date']}\n{scope}\n{digest}"
        signature = self._sign(signer, to_sign.encode()).hex() if self._signs else "00"
        return f"{self._endpoint}{path}?{query}&X-Goog-Signature={signature}"

    def session(self, name: str, media_type: str, size: int, origin: str = "") -> str | None:
        """See `FileStore`. The session lives a week; the emulator does not know `file_exists`."""
        checked_type(media_type)
        blob = self._bucket.blob(checked(name))
        try:
            with _faults("begin an upload", missing=_no_bucket):
                address: str = blob.create_resumable_upload_session(
                    content_type=media_type,
                    size=size,
                    origin=origin or None,
                    if_generation_match=0,
                    **self._calling(),
                )
        except _Exists as error:
            raise FileRefused("The file is there already.", code="file_exists") from error
        return address

    def close(self) -> None:
        """See `FileStore`."""
        self._client.close()
        self._session.close()

    def _calling(self) -> dict[str, Any]:
        return {"timeout": self._timeout, "retry": self._retry}

    # --- signing

    def _signer(self) -> str:
        """Whose key signs: this service's own account. Its token is fresh for minutes after this."""
        # Refreshed by one thread; the margin before the end is the library's, almost 4 minutes.
        with _faults("sign a link"), self._refreshing:
            if not self._credentials.valid:
                self._credentials.refresh(partial(Request(), timeout=self._timeout[1]))
        email = getattr(self._credentials, "service_account_email", None)
        if not isinstance(email, str) or "@" not in email:
            raise ConfigurationFault("links are signed by a service account, and this is none")
        return email

    def _sign(self, signer: str, data: bytes) -> bytes:
        address = f"{self._iam}/v1/projects/-/serviceAccounts/{quote(signer, safe='@')}:signBlob"
        body = json.dumps({"payload": base64.b64encode(data).decode()})

        def call() -> Any:
            answer = self._session.post(
                address,
                data=body,
                headers={"Content-Type": "application/json"},
                timeout=self._timeout,
            )
            if answer.status_code != 200:
                raise api.from_http_response(answer)  # type: ignore[no-untyped-call]
            return answer.json()

        with _faults("sign a link", missing=_no_signer):
            said = _patiently(self._retry, call)
            try:
                return base64.b64decode(said["signedBlob"], validate=True)
            except (KeyError, TypeError, ValueError) as error:
                raise FilesUnavailable("IAM gave no signature.") from error


class _Stream:
    """What the library uploads from: pieces of any size as a file that is read once, forwards."""

    def __init__(self, data: Iterable[bytes]) -> None:
        self._data = iter(data)
        self._rest = bytearray()
        self._at = 0
        self.failed: Exception | None = None  #: what the giver of the data raised

    def tell(self) -> int:
        return self._at

    def read(self, size: int) -> bytes:
        try:
            while len(self._rest) < size and (piece := next(self._data, None)) is not None:
                self._rest += piece
        except Exception as error:
            self.failed = error
            raise
        block = bytes(self._rest[:size])
        del self._rest[:size]
        self._at += len(block)
        return block


def _stored(about: Any) -> Stored:
    written_ms = round(about.time_created.timestamp() * 1000)
    return Stored(about.name, about.size, about.content_type or "", written_ms)


def _anonymous() -> Any:
    return AnonymousCredentials()  # type: ignore[no-untyped-call]


def _own_credentials() -> Any:
    try:
        credentials, _ = google.auth.default(scopes=(_SCOPE,))
    except DefaultCredentialsError as error:
        raise ConfigurationFault("FILE_STORE=gcs needs Google credentials") from error
    return credentials


def _patiently(retry: Retry, call: Callable[[], T]) -> T:
    return retry(call)()


# --- faults


class _Exists(Exception):
    """412: the name is there already."""


def _no_bucket() -> Fault:
    return ConfigurationFault("the bucket does not exist", field="FILES_BUCKET")


def _gone() -> Fault:
    return FileMissing("There is no file under this name.")


def _no_signer() -> Fault:
    return ConfigurationFault("IAM does not know this service's account")


#: Statuses that pass, after the library has given up repeating them.
_PASSING = (408, 410, 429, *range(500, 600))

#: What calls raise: the library's own, those of the network, and what ends its patience.
_LIBRARY = (
    api.GoogleAPIError,
    GoogleAuthError,
    InvalidResponse,
    DataCorruption,
    requests.RequestException,
    OSError,
    ValueError,  # the upload is not where the library thinks, or an answer is no JSON
)


@contextmanager
def _faults(doing: str, *, missing: Callable[[], Fault] | None = None) -> Iterator[None]:
    """Translate what the library raises; `missing` makes what a 404 means. Messages hold no address."""
    try:
        yield
    except Fault:
        raise
    except _LIBRARY as error:
        status = _status(error)
        if status == 412:
            raise _Exists from error
        if status == 404 and missing is not None:
            raise missing() from error
        if status in (401, 403) or (isinstance(error, RefreshError) and not error.retryable):
            raise FilesUnavailable(
                f"Cloud Storage refused this service's identity to {doing}."
            ) from error
        if status is None or status in _PASSING:
            raise FilesUnavailable(f"Cloud Storage did not {doing} in time.") from error
        raise FileFault(f"Cloud Storage refused to {doing} ({status}).") from error


def _status(error: BaseException) -> int | None:
    """The HTTP status behind an error; None for the network and for patience that ended."""
    if isinstance(error, api.GoogleAPICallError):
        return None if error.code is None else int(error.code)
    if isinstance(error, InvalidResponse):
        return int(error.response.status_code)
    return None
