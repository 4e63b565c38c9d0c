"""Signing keys: rotated while requests are verified, fetched from elsewhere, kept through outages."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from infra.local.table import load
from shared.accounts import tokens
from shared.accounts.jwks import AGAIN_SECONDS, COLD_SECONDS, FRESH_SECONDS, RemoteKeys
from shared.accounts.keys import (
    AHEAD_SECONDS,
    ALGORITHMS,
    KEEP_SECONDS,
    PUBLISHED_SECONDS,
    RING_SECONDS,
    CombinedKeys,
    JwksText,
    Ring,
    RingKeys,
    TokenPolicy,
    VerificationKey,
    VerificationKeys,
    make_key,
    parse_jwks,
)
from shared.accounts.oidc import OUTSIDE_ALGORITHMS
from shared.accounts.tokens import ACCESS_SECONDS
from shared.adapters.file_keys import FileKeys
from shared.errors import ConfigurationFault, Fault, KeysUnavailable, Unauthenticated
from tests.neutral.product import NOTEBOOKS

NOW = 1_772_366_400
POLICY = TokenPolicy("here", "api", 30, "member", NOTEBOOKS.rights.roles)


class Clock:
    def __init__(self) -> None:
        self.now: float = NOW

    def __call__(self) -> float:
        return self.now


class Source:
    """Answers fetches with `text`, or not at all."""

    def __init__(self, text: str = "") -> None:
        self.text, self.down, self.fetched = text, False, 0

    def __call__(self) -> str:
        self.fetched += 1
        if self.down:
            raise KeysUnavailable("down")
        return self.text


class Known:
    """These keys, by id."""

    def __init__(self, keys: Mapping[str, VerificationKey]) -> None:
        self.keys = keys

    def find(self, kid: str) -> VerificationKey | None:
        return self.keys.get(kid)


def at_once(act: Callable[[], None]) -> None:
    act()


@pytest.fixture
def clock() -> Clock:
    return Clock()


# --- the ring


def test_the_times_of_a_rotation_leave_no_gap() -> None:
    # a new key is known to everybody before it signs: a verifier's copy, behind a cached answer
    assert AHEAD_SECONDS >= PUBLISHED_SECONDS + FRESH_SECONDS
    # an old one is published until the last token that it can have signed has ended
    assert KEEP_SECONDS >= ACCESS_SECONDS + RING_SECONDS + 300 + PUBLISHED_SECONDS


def test_a_rotation_publishes_first_signs_later_and_ends_the_old_key_last() -> None:
    first = Ring((make_key(NOW),))
    ring = first.rotated(NOW)
    old, new = ring.keys
    for at, signing, published in (
        (NOW, old, (old, new)),
        (NOW + AHEAD_SECONDS - 1, old, (old, new)),
        (NOW + AHEAD_SECONDS, new, (old, new)),
        (NOW + AHEAD_SECONDS + KEEP_SECONDS - 1, new, (old, new)),
        (NOW + AHEAD_SECONDS + KEEP_SECONDS, new, (new,)),
    ):
        assert (ring.signing(at), ring.published(at)) == (signing, published)
    # it may be repeated, and the next one forgets what has ended
    assert ring.rotated(NOW + 1) == ring
    later = ring.rotated(NOW + AHEAD_SECONDS + KEEP_SECONDS)
    assert later.keys[0] == new
    assert len(later.keys) == 2


def test_a_key_that_leaked_is_replaced_at_once_and_forgotten() -> None:
    ring = Ring((make_key(NOW),))
    leaked = ring.keys[0]
    with pytest.raises(ValueError, match="signs now"):
        ring.without(leaked.kid, NOW)
    for base in (ring, ring.rotated(NOW)):
        now = NOW + 5
        after = base.rotated(now, at_once=True)
        signing = after.signing(now)
        assert signing not in (None, leaked)
        assert after.without(leaked.kid, now).published(now) == (signing,)


def test_a_ring_whose_first_key_signs_later_signs_with_it_all_the_same() -> None:
    # the clock was set back, or another machine's is ahead
    ring = Ring((make_key(NOW + 100),))
    assert ring.signing(NOW) == ring.keys[0]


def test_published_keys_are_public(clock: Clock) -> None:
    ring = Ring((make_key(NOW), make_key(NOW + 1, "EdDSA"))).rotated(NOW + 2)
    said = json.loads(ring.jwks(NOW + 3))["keys"]
    assert [each["kid"] for each in said] == [each.kid for each in ring.keys]
    for each in said:
        assert set(each) <= {"kty", "crv", "x", "y", "kid", "alg", "use", "nbf", "exp"}
    assert len(parse_jwks(ring.jwks(NOW + 3), ALGORITHMS)) == 3


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_keys_of_either_algorithm_sign_and_verify(
    algorithm: str, clock: Clock, tmp_path: Path
) -> None:
    store = FileKeys(tmp_path, clock)
    store.save(Ring((make_key(NOW, algorithm),)), 0)
    token = tokens.issue(store.current(), POLICY, user_id="u", role="member", now_s=NOW)
    assert jwt.get_unverified_header(token)["alg"] == algorithm
    for keys in (store, RingKeys(store, clock), JwksText((tmp_path / "jwks.json").read_text())):
        assert tokens.verify(token, keys, POLICY, NOW).user_id == "u"


@pytest.mark.proof
def test_a_rotation_under_load_fails_no_request(clock: Clock, tmp_path: Path) -> None:
    """Signers and verifiers of every kind work on while operators rotate four times."""
    store = FileKeys(tmp_path, clock)
    signer = RingKeys(store, clock, make=True)
    signer.current()
    served = RingKeys(store, clock)  # what the accounts function publishes
    cached: dict[str, tuple[float, str]] = {}

    def publish() -> str:  # through a cache that keeps answers as long as they allow
        at, text = cached.get("jwks", (0.0, ""))
        if clock() - at >= PUBLISHED_SECONDS:
            text = served.jwks()
            cached["jwks"] = (clock(), text)
        return text

    verifiers = [FileKeys(tmp_path, clock), RingKeys(store, clock), RemoteKeys(publish, clock)]
    alive: list[tuple[float, str]] = []
    failed: list[str] = []
    verified = 0
    stop = threading.Event()
    lock = threading.Lock()

    def verify() -> None:
        nonlocal verified
        while not stop.is_set():
            with lock:  # the clock stands while one request is judged
                now = clock()
                alive[:] = [(end, token) for end, token in alive if end > now]
                sample = [alive[0], alive[-1]] if alive else []
                for _, token in sample:
                    for keys in verifiers:
                        try:
                            tokens.verify(token, keys, POLICY, now)
                            verified += 1
                        except Fault as fault:
                            failed.append(f"{type(keys).__name__} {fault.code} at {now - NOW}")

    threads = [threading.Thread(target=verify) for _ in range(3)]
    for thread in threads:
        thread.start()
    kids = set()
    try:
        for step in range(4 * (AHEAD_SECONDS + KEEP_SECONDS) // 30):
            with lock:
                clock.now = NOW + 30 * step
                if step % ((AHEAD_SECONDS + KEEP_SECONDS) // 30) == 0:
                    ring, version = store.load()
                    store.save(ring.rotated(clock.now), version)
                key = signer.current()
                kids.add(key.kid)
                token = tokens.issue(key, POLICY, user_id="u", role="member", now_s=clock.now)
                alive.append((clock.now + ACCESS_SECONDS, token))
                for keys in verifiers:  # a token that was made this very moment
                    tokens.verify(token, keys, POLICY, clock.now)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert failed == []
    assert verified > 100
    assert len(kids) >= 4
    # and each store has forgotten what had ended
    assert len(store.load()[0].keys) <= 3


def test_an_ended_key_verifies_nothing_any_more(clock: Clock, tmp_path: Path) -> None:
    store = FileKeys(tmp_path, clock)
    old = store.current()
    ring, version = store.load()
    store.save(ring.rotated(NOW), version)
    token = tokens.issue(old, POLICY, user_id="u", role="member", now_s=NOW, seconds=10**6)
    clock.now = NOW + AHEAD_SECONDS + KEEP_SECONDS
    for keys in (store, RingKeys(store, clock)):
        assert keys.find(old.kid) is None
        with pytest.raises(Unauthenticated):
            tokens.verify(token, keys, POLICY, clock.now)


def test_processes_that_start_together_make_one_key(tmp_path: Path, clock: Clock) -> None:
    stores = [FileKeys(tmp_path, clock) for _ in range(6)]
    kids: list[str] = []
    start = threading.Barrier(len(stores))

    def begin(store: FileKeys) -> None:
        start.wait()
        kids.append(store.current().kid)

    threads = [threading.Thread(target=begin, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(kids) == 6
    assert len(set(kids)) == 1


class Breaking(FileKeys):
    down = False

    def load(self) -> tuple[Ring, int]:
        if self.down:
            raise KeysUnavailable("down")
        return super().load()


def test_a_ring_is_kept_while_its_store_is_down(clock: Clock, tmp_path: Path) -> None:
    store = Breaking(tmp_path, clock)
    keys = RingKeys(store, clock, make=True)
    kid = keys.current().kid
    store.down = True
    clock.now += 10 * RING_SECONDS
    assert keys.current().kid == kid
    with pytest.raises(KeysUnavailable):
        RingKeys(store, clock, make=True).current()


def test_without_keys_a_server_says_what_to_do(clock: Clock, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationFault, match="keys rotate"):
        RingKeys(FileKeys(tmp_path, clock), clock).current()


# --- published keys of elsewhere


def test_keys_are_fetched_once_and_renewed_behind_the_scenes(clock: Clock) -> None:
    ring = Ring((make_key(NOW),))
    source = Source(ring.jwks(NOW))
    waiting: list[Callable[[], None]] = []
    keys = RemoteKeys(source, clock, start=waiting.append)
    kid = ring.keys[0].kid
    for _ in range(5):
        assert keys.find(kid) is not None
    assert source.fetched == 1
    clock.now += FRESH_SECONDS
    assert keys.find(kid) is not None  # the old copy answers, the renewal runs beside it
    assert (source.fetched, len(waiting)) == (1, 1)
    waiting[0]()
    assert source.fetched == 2


def test_an_unknown_key_is_looked_for_at_once_but_not_by_everybody(clock: Clock) -> None:
    first = Ring((make_key(NOW),))
    source = Source(first.jwks(NOW))
    keys = RemoteKeys(source, clock, start=at_once)
    assert keys.find(first.keys[0].kid) is not None
    both = first.rotated(NOW)
    source.text = both.jwks(NOW)
    clock.now += AGAIN_SECONDS
    assert keys.find(both.keys[1].kid) is not None
    # and a flood of invented ids fetches once a minute
    fetched = source.fetched
    for number in range(100):
        assert keys.find(f"invented-{number}") is None
        clock.now += 1
    assert source.fetched - fetched <= 2


@pytest.mark.parametrize(
    "broken", ["down", "no json", "{}", '{"keys": []}', '{"keys": [{}]}', "[]"]
)
def test_an_outage_loses_no_key(clock: Clock, broken: str) -> None:
    ring = Ring((make_key(NOW),))
    source = Source(ring.jwks(NOW))
    keys = RemoteKeys(source, clock, start=at_once)
    assert keys.find(ring.keys[0].kid) is not None
    source.down, source.text = broken == "down", broken
    for _ in range(5):
        clock.now += 10 * FRESH_SECONDS
        assert keys.find(ring.keys[0].kid) is not None
        assert keys.find("unknown") is None
    assert source.fetched > 5


def test_while_there_never_was_a_key_a_token_is_not_called_bad(clock: Clock) -> None:
    ring = Ring((make_key(NOW),))
    source = Source(ring.jwks(NOW))
    source.down = True
    keys = RemoteKeys(source, clock, start=at_once)
    for _ in range(3):
        with pytest.raises(KeysUnavailable):
            keys.find(ring.keys[0].kid)
    assert source.fetched == 1
    source.down = False
    clock.now += AGAIN_SECONDS
    assert keys.find(ring.keys[0].kid) is not None


def test_keys_that_answer_after_a_cold_start_are_there_seconds_later(clock: Clock) -> None:
    # given `accounts` scaled to zero: its first answer takes six seconds, a fetch waits for five
    ring = Ring((make_key(NOW),))

    class Cold:
        fetched = 0

        def __call__(self) -> str:
            self.fetched += 1
            clock.now += 5 if self.fetched == 1 else 1
            if self.fetched == 1:
                raise KeysUnavailable("The source of keys does not answer.")
            return ring.jwks(NOW)

    source = Cold()
    keys = RemoteKeys(source, clock, start=at_once)
    # when the first phone was refused, others who waited with it do not each wait five seconds again
    for _ in range(3):
        with pytest.raises(KeysUnavailable):
            keys.find(ring.keys[0].kid)
    assert source.fetched == 1
    # then the next ones come in after seconds, not after a minute
    clock.now += COLD_SECONDS
    assert keys.find(ring.keys[0].kid) is not None


def test_many_threads_wait_for_one_fetch(clock: Clock) -> None:
    ring = Ring((make_key(NOW),))
    source = Source(ring.jwks(NOW))
    keys = RemoteKeys(source, clock)
    found: list[object] = []
    start = threading.Barrier(8)

    def find() -> None:
        start.wait()
        found.append(keys.find(ring.keys[0].kid))

    threads = [threading.Thread(target=find) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert source.fetched == 1
    assert None not in found
    assert len(found) == 8


def test_a_source_that_is_down_hides_no_key_of_another(clock: Clock) -> None:
    ring = Ring((make_key(NOW),))
    source = Source()
    source.down = True
    keys = CombinedKeys((JwksText(ring.jwks(NOW)), RemoteKeys(source, clock)))
    assert keys.find(ring.keys[0].kid) is not None
    with pytest.raises(KeysUnavailable):
        keys.find("perhaps theirs")


def rsa_jwk(bits: int = 2048, **more: str) -> dict[str, str]:
    public = rsa.generate_private_key(public_exponent=65537, key_size=bits).public_key()
    return {**jwt.algorithms.RSAAlgorithm.to_jwk(public, as_dict=True), "kid": "r", **more}


def ec_jwk(curve: ec.EllipticCurve, **more: str) -> dict[str, str]:
    public = ec.generate_private_key(curve).public_key()
    return {**jwt.algorithms.ECAlgorithm.to_jwk(public, as_dict=True), "kid": "e", **more}


def test_which_keys_are_taken_from_whom() -> None:
    outside = TokenPolicy("there", "app", role="member")
    secret = {"kty": "oct", "k": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0", "kid": "s"}
    rows = [
        # key, taken from us, taken from an outside issuer
        (ec_jwk(ec.SECP256R1(), alg="ES256"), True, True),
        (ec_jwk(ec.SECP256R1()), True, True),
        (ec_jwk(ec.SECP256R1(), alg="ES256", use="enc"), False, False),
        (ec_jwk(ec.SECP384R1(), alg="ES384"), False, False),
        (ec_jwk(ec.SECP256R1(), alg="RS256"), False, False),
        (rsa_jwk(alg="RS256"), False, True),
        (rsa_jwk(), False, True),
        (rsa_jwk(1024, alg="RS256"), False, False),
        (rsa_jwk(alg="PS256"), False, False),
        (rsa_jwk(alg="HS256"), False, False),
        ({**secret, "alg": "HS256"}, False, False),
        ({**secret, "alg": "RS256"}, False, False),
        (secret, False, False),
    ]
    for key, ours, theirs in rows:
        text = json.dumps({"keys": [key]})
        for taken, algorithms, policy in (
            (ours, ALGORITHMS, None),
            (theirs, OUTSIDE_ALGORITHMS, outside),
        ):
            if taken:
                assert parse_jwks(text, algorithms, outside=policy)
            else:
                with pytest.raises(ValueError, match=r"(?i)key"):
                    parse_jwks(text, algorithms, outside=policy)


def test_an_odd_key_among_good_ones_spoils_our_set_and_not_theirs() -> None:
    text = json.dumps({"keys": [ec_jwk(ec.SECP256R1(), alg="ES256"), {"kty": "??", "kid": "odd"}]})
    with pytest.raises(ValueError, match=r"(?i)key"):
        parse_jwks(text, ALGORITHMS)
    assert set(parse_jwks(text, OUTSIDE_ALGORITHMS, outside=POLICY)) == {"e"}


@pytest.mark.parametrize(
    ("typ", "ours", "strict"),
    [
        ("at+jwt", True, True),
        ("AT+JWT", True, True),
        ("application/at+jwt", True, True),
        ("JWT", True, False),  # as the release before signed ours, and most issuers all of theirs
        (None, False, False),
        ("", False, False),
        ("logout+jwt", False, False),
        ("dpop+jwt", False, False),
        ("at+jwt ", False, False),
        ("JOSE", False, False),
    ],
)
def test_only_access_tokens_are_taken_by_their_type(
    typ: str | None, ours: bool, strict: bool
) -> None:
    ring = Ring().rotated(NOW, at_once=True)
    key = ring.signing(NOW)
    assert key is not None
    good = tokens.issue(key, POLICY, user_id="amina", role="member", now_s=NOW)
    assert jwt.get_unverified_header(good)["typ"] == "at+jwt"
    claims = jwt.decode(good, options={"verify_signature": False})
    made = jwt.encode(
        claims, key.pem, algorithm=key.algorithm, headers={"kid": key.kid, "typ": typ}
    )
    public = JwksText(ring.jwks(NOW))
    for policy, taken in ((POLICY, ours), (replace(POLICY, types=("at+jwt",)), strict)):
        if taken:
            assert tokens.verify(made, public, policy, NOW).user_id == "amina"
        else:
            with pytest.raises(Unauthenticated) as caught:
                tokens.verify(made, public, policy, NOW)
            assert caught.value.code == "token_invalid"


def test_what_was_proven_once_is_asked_again_of_keys_clock_and_policy() -> None:
    ring = Ring().rotated(NOW, at_once=True)
    key = ring.signing(NOW)
    assert key is not None
    token = tokens.issue(key, POLICY, user_id="amina", role="member", now_s=NOW, seconds=900)
    keys = parse_jwks(ring.jwks(NOW), ALGORITHMS)
    source = Known(keys)
    for _ in range(2):
        assert tokens.verify(token, source, POLICY, NOW).user_id == "amina"

    def refused(keys: VerificationKeys, policy: TokenPolicy, now: float, said: str = token) -> str:
        with pytest.raises(Unauthenticated) as caught:
            tokens.verify(said, keys, policy, now)
        return str(caught.value.code)

    # another key of the same id, none of that id, and the same one published anew
    stranger = replace(keys[key.kid], key=ec.generate_private_key(ec.SECP256R1()).public_key())
    assert refused(Known({key.kid: stranger}), POLICY, NOW) == "token_invalid"
    assert refused(Known({}), POLICY, NOW) == "token_invalid"
    again = Known(parse_jwks(ring.jwks(NOW), ALGORITHMS))
    assert tokens.verify(token, again, POLICY, NOW).user_id == "amina"
    # another policy, and other times
    for policy in (replace(POLICY, audience="others"), replace(POLICY, issuer="elsewhere")):
        assert refused(source, policy, NOW) == "token_invalid"
    assert refused(source, POLICY, NOW + 900 + POLICY.leeway_seconds) == "token_expired"
    assert refused(source, POLICY, NOW - 3600) == "token_invalid"
    # and a token that says something else
    head, claims, signature = token.split(".")
    for said in (f"{head}.{claims}A.{signature}", f"{head}.{claims}.{signature[:-4]}AAAA"):
        assert refused(source, POLICY, NOW, said) == "token_invalid"


def test_no_more_proofs_are_kept_than_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "_MOST_PROOFS", 3)
    tokens._proofs.clear()
    ring = Ring().rotated(NOW, at_once=True)
    key, keys = ring.signing(NOW), JwksText(ring.jwks(NOW))
    assert key is not None
    for number in range(8):
        token = tokens.issue(key, POLICY, user_id=f"u{number}", role="member", now_s=NOW)
        assert tokens.verify(token, keys, POLICY, NOW).user_id == f"u{number}"
        assert len(tokens._proofs) == number % 3 + 1
    with pytest.raises(Unauthenticated):
        tokens.verify(f"{token}A", keys, POLICY, NOW)
    assert len(tokens._proofs) == 2


# --- who may load private keys


def test_only_the_accounts_function_reads_the_signing_keys() -> None:
    reading = {name for name, row in load().items() if "signing-keys" in row.reads_secrets}
    assert reading == {"accounts"}
    assert {name for name, row in load().items() if "ACCOUNTS_SECRET" in row.secrets} == {
        "accounts",
        "console",  # checks passwords and counts wrong ones, as `accounts` does
    }
    assert not any(
        "signing" in secret for row in load().values() for secret in row.secrets.values()
    )


def test_no_other_function_names_private_keys() -> None:
    folder = Path(__file__).parents[2] / "functions"
    naming = {
        path.stem
        for path in folder.glob("*.py")
        if any(
            word in path.read_text()
            for word in (
                "signing_keys",
                "key_store",
                "accounts_verification_keys",
                "wiring.accounts(",
            )
        )
    }
    assert naming == {"accounts"}
