"""The contract of the key store (`shared/accounts/keys.py`), kept by a folder and by Secret Manager."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from shared.accounts.keys import KeyStore, Ring, make_key
from shared.adapters.file_keys import FileKeys
from shared.adapters.secret_manager_keys import SecretManagerKeys
from shared.errors import ConfigurationFault, Contended, KeysUnavailable
from tests.accounts.secret_manager import SecretManager

NOW = 1_772_366_400
RING = Ring((make_key(NOW),))
NEXT = RING.rotated(NOW)

Opener = Callable[[], KeyStore]


@pytest.fixture
def secret_manager() -> Iterator[SecretManager]:
    with SecretManager("clinic", "signing-keys") as server:
        yield server


@pytest.fixture(params=["files", "secret_manager"])
def open_keys(request: pytest.FixtureRequest, tmp_path: Path) -> Opener:
    """Opens the same store again and again, each time as another process would."""
    if request.param == "files":
        return lambda: FileKeys(tmp_path / "keys", lambda: NOW)
    server: SecretManager = request.getfixturevalue("secret_manager")
    return lambda: SecretManagerKeys("clinic", "signing-keys", endpoint=server.url)


def test_a_new_store_is_empty(open_keys: Opener) -> None:
    assert open_keys().load() == (Ring(), 0)


def test_what_was_saved_is_loaded_by_others(open_keys: Opener) -> None:
    version = open_keys().save(RING, 0)
    assert open_keys().load() == (RING, version)
    second = open_keys().save(NEXT, version)
    assert second > version
    assert open_keys().load() == (NEXT, second)


def test_a_save_of_an_older_version_is_refused_and_changes_nothing(open_keys: Opener) -> None:
    version = open_keys().save(RING, 0)
    for expect in (0, version - 1, version + 1):
        with pytest.raises(Contended):
            open_keys().save(NEXT, expect)
    assert open_keys().load() == (RING, version)


def test_of_saves_side_by_side_one_counts(open_keys: Opener) -> None:
    version = open_keys().save(RING, 0)
    rings = [RING.rotated(NOW) for _ in range(5)]

    def save(ring: Ring) -> bool:
        try:
            open_keys().save(ring, version)
        except Contended:
            return False
        return True

    with ThreadPoolExecutor(len(rings)) as pool:
        done = list(pool.map(save, rings))
    [winner] = [ring for ring, won in zip(rings, done, strict=True) if won]
    ring, newest = open_keys().load()
    assert ring == winner
    # and the next one is taken
    open_keys().save(RING, newest)
    assert open_keys().load()[0] == RING


def test_a_damaged_store_is_named_and_not_repeated(open_keys: Opener, tmp_path: Path,
                                                   request: pytest.FixtureRequest) -> None:  # fmt: skip
    open_keys().save(RING, 0)
    for text in ("hunter2", '"hunter2"', '{"keys": "hunter2", "follows": 1}',
                 '{"keys": [{"kid": "hunter2"}], "follows": 1}'):  # fmt: skip
        if "files" in request.node.callspec.id:
            (tmp_path / "keys" / "ring.json").write_text(text)
        else:
            server: SecretManager = request.getfixturevalue("secret_manager")
            server.versions[1:] = [text.encode()]
        with pytest.raises(ConfigurationFault) as caught:
            open_keys().load()
        assert "hunter2" not in caught.value.message


# --- what only one of them can meet


def test_private_keys_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    FileKeys(tmp_path / "keys").save(RING, 0)
    for name in ("ring.json", "jwks.json"):
        assert (tmp_path / "keys" / name).stat().st_mode & 0o077 == 0
    assert "PRIVATE" not in (tmp_path / "keys" / "jwks.json").read_text()
    assert '"d"' not in (tmp_path / "keys" / "jwks.json").read_text()


def test_a_reader_of_files_sees_each_change_at_once(tmp_path: Path) -> None:
    writer, reader = (FileKeys(tmp_path / "keys", lambda: NOW) for _ in range(2))
    version, ring = 0, Ring()
    for _ in range(20):  # within one tick of the file system's clock
        ring = Ring((make_key(NOW),))
        version = writer.save(ring, version)
        assert reader.find(ring.keys[0].kid) is not None


@pytest.mark.parametrize("status", [403, 401, 500, 503, 429])
def test_secret_manager_s_faults_pass(secret_manager: SecretManager, status: int) -> None:
    keys = SecretManagerKeys("clinic", "signing-keys", endpoint=secret_manager.url)
    keys.save(RING, 0)
    secret_manager.fail_with = status
    for act in (keys.load, lambda: keys.save(NEXT, 1)):
        with pytest.raises(KeysUnavailable):
            act()
    secret_manager.fail_with = None
    assert keys.load() == (RING, 1)


def test_no_answer_of_secret_manager_is_a_passing_fault() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        keys = SecretManagerKeys(
            "clinic", "s", endpoint=f"http://127.0.0.1:{nobody.getsockname()[1]}"
        )
        with pytest.raises(KeysUnavailable):
            keys.load()


def test_a_secret_that_was_never_made_is_named(secret_manager: SecretManager) -> None:
    keys = SecretManagerKeys("clinic", "another", endpoint=secret_manager.url)
    with pytest.raises(ConfigurationFault) as caught:
        keys.save(RING, 0)
    assert caught.value.field == "SIGNING_KEYS_SECRET"


def test_every_version_is_readable_and_says_which_it_follows(secret_manager: SecretManager) -> None:
    keys = SecretManagerKeys("clinic", "signing-keys", endpoint=secret_manager.url)
    keys.save(NEXT, keys.save(RING, 0))
    assert [json.loads(text)["follows"] for text in secret_manager.versions] == [0, 1]
