"""Cloud Storage's adapter against a server that keeps its conditions, signs, and fails.

The emulator checks no signature, no expiry and no condition; here each is looked at as it goes over
the wire. Signatures are verified by code of this file, written from Google's description of canonical
requests (https://cloud.google.com/storage/docs/authentication/canonical-requests).
"""

from __future__ import annotations

import datetime
import hashlib
import random
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from google.auth import exceptions as auth_exceptions
from google.auth.credentials import Credentials
from google.cloud.storage._signing import generate_signed_url_v4
from google.oauth2 import service_account

from shared.adapters.gcs import CHUNK_BYTES, GcsFiles
from shared.errors import (
    ConfigurationFault,
    FileFault,
    FileMissing,
    FileRefused,
    FilesUnavailable,
)
from shared.files.store import PIECE_BYTES
from tests.files.google import BUCKET, SIGNER, Fault, GoogleServer, Seen
from tests.patience import PATIENCE_SECONDS, until

#: 2026-03-01T12:00:00.999Z: the fraction must be cut, not rounded.
NOW_MS = 1_772_366_400_999
NAME = "originals/t-1/a.b"


class Account(Credentials):  # type: ignore[misc, no-any-unimported]
    """As the metadata server gives it: the account's name is known after the first refresh."""

    def __init__(self, email: str = SIGNER, fault: Exception | None = None) -> None:
        super().__init__()
        self.service_account_email = "default"
        self.refreshed = 0
        self._email, self._fault = email, fault

    def refresh(self, request: Any) -> None:
        if self._fault is not None:
            raise self._fault
        self.refreshed += 1
        self.service_account_email = self._email
        self.token = f"token-{self.refreshed}"
        self.expiry = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
        self.expiry += datetime.timedelta(hours=1)


@pytest.fixture
def google() -> Iterator[GoogleServer]:
    with GoogleServer() as server:
        yield server


def opened(google: GoogleServer, account: Any = None, **patience: float) -> GcsFiles:
    patience.setdefault("rest_seconds", 0.01)
    return GcsFiles(
        "clinic",
        BUCKET,
        endpoint=google.url,
        credentials=account or Account(),
        iam_endpoint=google.url,
        **patience,
    )


@pytest.fixture
def files(google: GoogleServer) -> Iterator[GcsFiles]:
    files = opened(google)
    yield files
    files.close()


@pytest.fixture
def impatient(google: GoogleServer) -> Iterator[GcsFiles]:
    files = opened(google, answer_seconds=0.15, patience_seconds=0.1)
    yield files
    files.close()


def noise(size: int) -> bytes:
    return random.Random(size).randbytes(size)


# --- links


def verified(url: str, google: GoogleServer, *, method: str = "GET", host: str = "") -> None:
    """Raises unless the URL is signed by the server's key, rebuilt from what a server would see."""
    parts = urlsplit(url)
    pairs = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=True)
    said = dict(pairs)
    assert len(said) == len(pairs), "a parameter twice"
    signature = bytes.fromhex(said.pop("X-Goog-Signature"))
    query = "&".join(f"{quote(k, safe='')}={quote(v, safe='')}" for k, v in sorted(said.items()))
    signed = said["X-Goog-SignedHeaders"].split(";")
    have = {"host": host or parts.netloc}
    request = "\n".join(
        [
            method,
            quote(unquote(parts.path), safe="/"),
            query,
            *(f"{name}:{have[name]}" for name in signed),
            "",
            ";".join(signed),
            "UNSIGNED-PAYLOAD",
        ]
    )
    scope = said["X-Goog-Credential"].partition("/")[2]
    to_sign = "\n".join(
        [
            said["X-Goog-Algorithm"],
            said["X-Goog-Date"],
            scope,
            hashlib.sha256(request.encode()).hexdigest(),
        ]
    )
    google.key.public_key().verify(
        signature, to_sign.encode(), padding.PKCS1v15(), hashes.SHA256()
    )  # fmt: skip


def link(files: GcsFiles, file_name: str = "wound.jpg", seconds: int = 900) -> str:
    return files.link(
        NAME, media_type="image/jpeg", file_name=file_name, seconds=seconds, now_ms=NOW_MS
    )


def test_a_link_is_signed_for_this_file_and_this_moment(files: GcsFiles,
                                                        google: GoogleServer) -> None:  # fmt: skip
    url = link(files)
    verified(url, google)
    parts = urlsplit(url)
    assert f"{parts.scheme}://{parts.netloc}" == google.url
    assert parts.path == f"/{BUCKET}/{NAME}"
    said = dict(parse_qsl(parts.query))
    assert len(said.pop("X-Goog-Signature")) == 512
    assert said == {
        "X-Goog-Algorithm": "GOOG4-RSA-SHA256",
        "X-Goog-Credential": f"{SIGNER}/20260301/auto/storage/goog4_request",
        "X-Goog-Date": "20260301T120000Z",
        "X-Goog-Expires": "900",
        "X-Goog-SignedHeaders": "host",
        "response-content-disposition": 'attachment; filename="wound.jpg"',
        "response-content-type": "image/jpeg",
    }


@pytest.mark.parametrize("seconds", [1, 900, 43_200, 604_800])
@pytest.mark.parametrize("file_name", ["a.jpg", "Wunde & Arm (1).jpg", "घाव 100%.jpg", 'a"b~c.jpg'])
def test_google_s_own_code_signs_the_same(
    files: GcsFiles, google: GoogleServer, file_name: str, seconds: int
) -> None:
    url = link(files, file_name, seconds)
    said = dict(parse_qsl(urlsplit(url).query))
    pem = google.key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    about = {"client_email": SIGNER, "private_key": pem.decode(), "token_uri": "https://x.invalid"}
    theirs = generate_signed_url_v4(
        service_account.Credentials.from_service_account_info(about),
        f"/{BUCKET}/{NAME}",
        seconds,
        api_access_endpoint=google.url,
        response_type="image/jpeg",
        response_disposition=said["response-content-disposition"],
        _request_timestamp="20260301T120000Z",
    )
    assert url == theirs
    verified(url, google)


def tampered(url: str) -> Iterator[str]:
    """The URL with each part changed alone."""
    parts = urlsplit(url)
    yield url.replace(f"/{BUCKET}/", f"/{BUCKET}x/")
    yield url.replace(NAME, NAME + "c")
    yield url.replace(parts.netloc, "storage.example:80")
    for key, value in parse_qsl(parts.query):
        if key == "X-Goog-Signature":
            yield url.replace(value, value[:-1] + ("0" if value[-1] != "0" else "1"))
            continue
        written = f"{key}={quote(value, safe='~')}"
        assert written in url
        if key != "X-Goog-SignedHeaders":
            yield url.replace(written, f"{key}={quote(value + '1', safe='~')}")
        if key.startswith("response-"):
            yield url.replace(written + "&", "")
    yield url + "&generation=1"


def test_no_part_of_a_link_can_be_changed(files: GcsFiles, google: GoogleServer) -> None:
    url = link(files)
    changed = list(tampered(url))
    assert len(changed) == 13
    for each in changed:
        assert each != url
        with pytest.raises(InvalidSignature):
            verified(each, google)
    for method in ("PUT", "DELETE", "POST", "HEAD"):
        with pytest.raises(InvalidSignature):
            verified(url, google, method=method)


def test_iam_is_asked_once_for_each_link_as_this_service(files: GcsFiles,
                                                         google: GoogleServer) -> None:  # fmt: skip
    link(files)
    [seen] = google.seen
    assert (seen.method, seen.path) == (
        "POST",
        f"/v1/projects/-/serviceAccounts/{SIGNER}:signBlob",
    )
    assert seen.headers["authorization"] == "Bearer token-1"
    assert seen.headers["content-type"] == "application/json"


def test_a_token_is_fetched_once_for_all_threads_and_anew_before_it_ends(
    google: GoogleServer,
) -> None:
    account = Account()
    files = opened(google, account)
    start = threading.Barrier(8)

    def one(_: int) -> str:
        start.wait()
        return link(files)

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(one, range(8)))) == 1
    assert account.refreshed == 1
    # two minutes of life are left: too few for a request that waits
    account.expiry = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
    account.expiry += datetime.timedelta(minutes=2)
    link(files)
    assert account.refreshed == 2
    assert google.seen[-1].headers["authorization"] == "Bearer token-2"
    files.close()


@pytest.mark.parametrize("email", ["default", "", "me"])
def test_who_is_no_service_account_cannot_sign(google: GoogleServer, email: str) -> None:
    files = opened(google, Account(email))
    with pytest.raises(ConfigurationFault):
        link(files)
    assert google.seen == []
    files.close()


@pytest.mark.parametrize(
    "answer",
    [b"", b"[]", b"{}", b'{"signedBlob": 5}', b'{"signedBlob": "%%%"}', b"<html>"],
)
def test_an_odd_answer_of_iam_is_no_signature(
    files: GcsFiles, google: GoogleServer, answer: bytes
) -> None:
    google.answer = lambda seen: (200, {}, answer)  # type: ignore[method-assign]
    with pytest.raises(FilesUnavailable):
        link(files)


def test_without_credentials_nothing_is_signed_and_nobody_asked(google: GoogleServer) -> None:
    files = GcsFiles("clinic", BUCKET, endpoint=google.url)
    url = link(files)
    assert url.endswith("X-Goog-Signature=00")
    with pytest.raises(InvalidSignature):
        verified(url, google)
    assert google.seen == []
    files.close()


# --- what goes over the wire


def test_a_session_takes_exactly_this_file(files: GcsFiles, google: GoogleServer) -> None:
    address = files.session(NAME, "image/jpeg", 12_345, "https://app.example")
    assert address is not None
    assert "secret-session" in address
    [seen] = google.seen
    assert (seen.method, seen.path) == ("POST", f"/upload/storage/v1/b/{BUCKET}/o")
    assert seen.query == {"uploadType": ["resumable"], "ifGenerationMatch": ["0"]}
    assert seen.headers["x-upload-content-type"] == "image/jpeg"
    assert seen.headers["x-upload-content-length"] == "12345"
    assert seen.headers["origin"] == "https://app.example"
    assert seen.headers["authorization"] == "Bearer token-1"
    assert seen.body == b'{"name": "originals/t-1/a.b"}'


def test_a_session_for_no_browser_names_no_origin(files: GcsFiles, google: GoogleServer) -> None:
    assert files.session(NAME, "image/jpeg", 0)
    assert "origin" not in google.seen[0].headers
    assert google.seen[0].headers["x-upload-content-length"] == "0"


def test_a_session_for_a_name_that_is_there_is_refused(files: GcsFiles,
                                                       google: GoogleServer) -> None:  # fmt: skip
    google.have(NAME, b"x")
    with pytest.raises(FileRefused) as caught:
        files.session(NAME, "image/jpeg", 5)
    assert caught.value.code == "file_exists"


def test_an_upload_carries_its_condition_and_type(files: GcsFiles, google: GoogleServer) -> None:
    data = noise(CHUNK_BYTES * 2 + 5)
    files.put(NAME, [data[:7], data[7:]], "image/webp")
    about, begin, *parts = google.seen
    assert about.method == "GET"
    assert begin.query == {"uploadType": ["resumable"], "ifGenerationMatch": ["0"]}
    assert begin.headers["x-upload-content-type"] == "image/webp"
    # one chunk at a time: memory stays flat
    assert [len(part.body) for part in parts] == [CHUNK_BYTES, CHUNK_BYTES, 5]
    assert google.objects[NAME].data == data
    assert google.objects[NAME].type == "image/webp"


@pytest.mark.parametrize("moment", ["begin", "end"])
def test_who_is_second_changes_nothing(files: GcsFiles, google: GoogleServer, moment: str) -> None:
    # given another writer who comes between our look and our upload, or during it
    method = {"begin": "POST", "end": "PUT"}[moment]

    def other(seen: Seen) -> None:
        if seen.method == method:
            google.have(NAME, b"first")

    google.before = other
    # when we store
    files.put(NAME, [b"second"], "image/jpeg")
    # then his is there
    assert google.objects[NAME].data == b"first"


def test_what_is_there_already_costs_one_look_and_no_byte(files: GcsFiles,
                                                          google: GoogleServer) -> None:  # fmt: skip
    google.have(NAME, b"first")
    files.put(NAME, [b"second"], "image/jpeg")
    assert [seen.method for seen in google.seen] == ["GET"]


@pytest.mark.parametrize("lost", ["POST", "PUT"])
def test_an_upload_whose_answer_is_lost_is_stored_once(files: GcsFiles, google: GoogleServer,
                                                       lost: str) -> None:  # fmt: skip
    google.failing = lambda seen: seen.method == lost
    google.faults.append(Fault("lost"))
    files.put(NAME, [b"whole"], "image/jpeg")
    assert google.objects[NAME].data == b"whole"
    generation = google.objects[NAME].generation
    # and the whole call again, as after a crash
    files.put(NAME, [b"whole"], "image/jpeg")
    assert google.objects[NAME].generation == generation


def test_a_download_is_of_one_generation_at_our_address(files: GcsFiles,
                                                        google: GoogleServer) -> None:  # fmt: skip
    data = noise(CHUNK_BYTES + 5)
    google.have(NAME, data)
    pieces = list(files.read(NAME))
    assert b"".join(pieces) == data
    assert max(map(len, pieces)) == PIECE_BYTES
    _, *ranges = google.seen
    assert [seen.headers["range"] for seen in ranges] == [
        f"bytes=0-{CHUNK_BYTES - 1}",
        f"bytes={CHUNK_BYTES}-{CHUNK_BYTES + 4}",
    ]
    assert {seen.query["generation"][0] for seen in ranges} == {"1000000"}


def test_a_file_deleted_under_a_reader_is_missing(files: GcsFiles, google: GoogleServer) -> None:
    google.have(NAME, noise(CHUNK_BYTES + 5))
    pieces = files.read(NAME)
    next(pieces)
    google.objects.clear()
    with pytest.raises(FileMissing):
        list(pieces)


def test_a_list_asks_behind_and_turns_pages(files: GcsFiles, google: GoogleServer) -> None:
    for number in range(7):
        google.have(f"incoming/{number}", b"x" * number)
    google.have("incoming/4=odd", b"")  # not ours
    google.have("other/1", b"")
    found = files.list("incoming/", behind="incoming/1", limit=4)
    assert [(each.name, each.size) for each in found] == [
        (f"incoming/{n}", n) for n in (2, 3, 4, 5)
    ]
    assert found[0].written_ms == 1_772_366_400_250
    assert google.seen[0].query["startOffset"] == ["incoming/1"]
    assert google.seen[0].query["prefix"] == ["incoming/"]


def test_the_emulator_s_variable_moves_nothing(google: GoogleServer,
                                               monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://127.0.0.1:9")
    google.have(NAME, b"x")
    files = opened(google)
    assert files.stat(NAME) is not None
    files.close()


# --- faults


ACTS: dict[str, Callable[[GcsFiles], object]] = {
    "stat": lambda files: files.stat(NAME),
    "read": lambda files: b"".join(files.read(NAME)),
    "list": lambda files: files.list(""),
    "delete": lambda files: files.delete([NAME]),
    "put": lambda files: files.put("originals/new", [b"secret bytes"], "image/jpeg"),
    "session": lambda files: files.session("originals/new", "image/jpeg", 5),
    "link": link,
}

PASSING = [
    *(Fault("status", status) for status in (408, 429, 500, 502, 503, 504)),
    Fault("reset"),
    Fault("slow"),
]

FAULTS = pytest.mark.parametrize("fault", PASSING, ids=lambda f: f"{f.kind}{f.status or ''}")


def recovered(files: GcsFiles, act: str) -> bool:
    """Whether it works now. A client of little patience may find a busy machine's answer late."""
    try:
        ACTS[act](files)
    except FilesUnavailable:
        return False
    return True


@pytest.mark.parametrize("act", ACTS)
@FAULTS
def test_a_fault_that_stays_is_unavailable_and_tells_no_secret(
    impatient: GcsFiles, google: GoogleServer, act: str, fault: Fault
) -> None:
    google.have(NAME, b"secret bytes")
    google.always = fault
    with pytest.raises(FilesUnavailable) as caught:
        ACTS[act](impatient)
    assert caught.value.retryable
    assert caught.value.__cause__ is not None
    for secret in ("secret", "127.0.0.1", "upload_id", "originals", SIGNER, "token", "Signature"):
        assert secret not in str(caught.value)
    google.always = None
    until(lambda: recovered(impatient, act), f"{act} after a fault")


@pytest.mark.parametrize("act", ACTS)
@FAULTS
def test_a_fault_that_passes_is_not_seen(google: GoogleServer, act: str, fault: Fault) -> None:
    files = opened(google, answer_seconds=0.3, patience_seconds=30)
    google.have(NAME, b"secret bytes")
    google.faults += [fault, fault]
    ACTS[act](files)
    assert not google.faults
    if act == "put":
        assert google.objects["originals/new"].data == b"secret bytes"
    files.close()


def test_what_is_sent_in_parts_survives_faults_of_each_part(google: GoogleServer) -> None:
    files = opened(google, answer_seconds=5, patience_seconds=30)
    data = noise(CHUNK_BYTES * 2)
    google.failing = lambda seen: seen.method == "PUT"
    google.faults += [Fault("status", 503), Fault("lost"), Fault("reset"), Fault("lost")]
    files.put(NAME, [data], "image/jpeg")
    assert not google.faults
    assert google.objects[NAME].data == data
    files.close()


@pytest.mark.parametrize("kind", ["cut", "short", "garbled"])
@pytest.mark.parametrize("size", [3, PIECE_BYTES, CHUNK_BYTES + 3])
def test_a_download_that_is_cut_never_looks_whole(
    google: GoogleServer, impatient: GcsFiles, kind: str, size: int
) -> None:
    data = noise(size)
    google.have(NAME, data)
    google.failing = lambda seen: seen.query.get("alt") == ["media"]
    google.always = Fault(kind)
    got = bytearray()
    with pytest.raises(FilesUnavailable):
        list(_noted(impatient.read(NAME), got))
    assert len(got) < size


def _noted(pieces: Iterator[bytes], got: bytearray) -> Iterator[None]:
    for piece in pieces:
        got.extend(piece)
        yield


def test_a_download_goes_on_where_it_was_cut(files: GcsFiles, google: GoogleServer) -> None:
    data = noise(CHUNK_BYTES + 3)
    google.have(NAME, data)
    google.failing = lambda seen: seen.query.get("alt") == ["media"]
    google.faults += [Fault("cut"), Fault("cut")]
    assert b"".join(files.read(NAME)) == data
    assert not google.faults


#: A status that repeating cannot heal: what each call makes of it.
LASTING: list[tuple[int, str, type[Exception]]] = [
    *((status, act, FilesUnavailable) for status in (401, 403) for act in ACTS),
    *((400, act, FileFault) for act in ACTS),
    *((404, act, ConfigurationFault) for act in ("put", "list", "session", "link")),
]


@pytest.mark.parametrize(("status", "act", "expected"), LASTING)
def test_a_refusal_is_said_at_once(
    files: GcsFiles, google: GoogleServer, status: int, act: str, expected: type[Exception]
) -> None:
    google.have(NAME, b"x")
    google.always = Fault("status", status)
    with pytest.raises(expected) as caught:
        ACTS[act](files)
    assert "secret" not in str(caught.value)
    assert "127.0.0.1" not in str(caught.value)
    # a token that was refused is fetched anew, at most twice; nothing else is asked again
    assert len(google.seen) <= (3 if status == 401 else 2)


def test_missing_is_missing_for_those_who_look(files: GcsFiles, google: GoogleServer) -> None:
    google.always = Fault("status", 404)
    assert files.stat(NAME) is None
    files.delete([NAME])
    with pytest.raises(FileMissing):
        next(files.read(NAME))


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize(
    "fault",
    [
        auth_exceptions.RefreshError("secret refused"),
        auth_exceptions.RefreshError("secret passing", retryable=True),
        auth_exceptions.TransportError(ConnectionError("secret metadata server")),
    ],
)
def test_without_a_token_files_are_unavailable(google: GoogleServer, act: str,
                                               fault: Exception) -> None:  # fmt: skip
    files = opened(google, Account(fault=fault), patience_seconds=0.1)
    with pytest.raises(FilesUnavailable) as caught:
        ACTS[act](files)
    assert "secret" not in str(caught.value)
    assert google.seen == []
    files.close()


@pytest.mark.parametrize("act", ACTS)
def test_nobody_at_the_address_is_unavailable(act: str) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        files = GcsFiles(
            "clinic",
            BUCKET,
            endpoint=address,
            credentials=Account(),
            iam_endpoint=address,
            patience_seconds=0.1,
        )
        with pytest.raises(FilesUnavailable) as caught:
            ACTS[act](files)
        assert "127.0.0.1" not in caught.value.message
        files.close()


def test_the_library_asks_nothing_of_its_own(files: GcsFiles, google: GoogleServer) -> None:
    google.have(NAME, b"x")
    for act in ACTS.values():
        google.objects.pop("originals/new", None)
        act(files)
    for thread in threading.enumerate():
        if "_background" in thread.name:  # it would ask for the bucket, beside us
            thread.join(PATIENCE_SECONDS)
    assert f"/storage/v1/b/{BUCKET}" not in {seen.path for seen in google.seen}
