"""No token but our own opens anything, and no crooked one brings the server down."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import random
import time
from collections.abc import Callable, Iterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from shared.accounts.tokens import TokenPolicy
from tests.hostile.conftest import MARK, Attacker, Json, Pairs, fault_of

pytestmark = pytest.mark.usefixtures("untouched")

#: What is asked with every bad token; were it believed, it would be stored.
BODY = {"changes": {"patients": [{"id": "stolen", "last_modified_at": 1, "demographics": {}}]}}

REQUIRED = ("iss", "aud", "exp", "nbf", "iat", "sub", "chw_id")

MISSING = object()


def b64(data: bytes | Json) -> str:
    raw = data if isinstance(data, bytes) else json.dumps(data).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


class Forger:
    """Makes tokens of every kind: with our own key, so that only one thing is wrong with each."""

    def __init__(self, attacker: Attacker) -> None:
        self.key = attacker.deployment.keys.current()
        self.policy: TokenPolicy = attacker.deployment.policy
        self.user = attacker.user
        private = serialization.load_pem_private_key(self.key.pem, None)
        assert isinstance(private, ec.EllipticCurvePrivateKey)
        self.private = private
        self.public_pem = private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self.jwk: Json = jwt.algorithms.ECAlgorithm.to_jwk(private.public_key(), as_dict=True)
        self.jwks = (attacker.deployment.stack.data / "keys" / "jwks.json").read_bytes()

    def claims(self, **changes: Any) -> Json:
        now = int(time.time())
        good: Json = {
            "iss": self.policy.issuer,
            "aud": self.policy.audience,
            "sub": self.user,
            "chw_id": self.user,
            "role": "chw",
            "iat": now,
            "nbf": now,
            "exp": now + 900,
        }
        return {k: v for k, v in (good | changes).items() if v is not MISSING}

    def signed(
        self, header: Json | None = None, payload: bytes | None = None, **claims: Any
    ) -> str:
        """A token with a true signature over whatever it says; None in the header removes."""
        about = {"alg": "ES256", "typ": "JWT", "kid": self.key.kid, **(header or {})}
        about = {k: v for k, v in about.items() if v is not MISSING}
        text = f"{b64(about)}.{b64(payload if payload is not None else self.claims(**claims))}"
        return f"{text}.{b64(self.sign(text.encode()))}"

    def sign(self, text: bytes) -> bytes:
        return jwt.algorithms.ECAlgorithm(jwt.algorithms.ECAlgorithm.SHA256).sign(
            text, self.private
        )

    def hs(self, secret: bytes, alg: str = "HS256", **header: Any) -> str:
        about = {"alg": alg, "typ": "JWT", "kid": self.key.kid, **header}
        text = f"{b64(about)}.{b64(self.claims())}"
        return f"{text}.{b64(hmac.new(secret, text.encode(), hashlib.sha256).digest())}"

    def encoded(self, key: Any, alg: str, **header: Any) -> str:
        about = {"kid": self.key.kid, **header}
        return jwt.encode(self.claims(), key, algorithm=alg, headers=about)


@pytest.fixture(scope="session")
def forger(attacker: Attacker) -> Forger:
    return Forger(attacker)


Rows = Iterator[tuple[str, str]]


def check(attacker: Attacker, rows: Rows, code: str = "token_invalid") -> None:
    """Every token gets the same clear refusal."""
    wrong = {}
    for name, token in rows:
        headers = [("Authorization", f"Bearer {token}")]
        answer = attacker.ask("POST", "/api/sync", json.dumps(BODY).encode(), headers)
        fault = fault_of(answer, 401, code)
        if fault or answer.headers.get("www-authenticate") != "Bearer":
            wrong[name] = fault or "no WWW-Authenticate"
    assert wrong == {}


def test_a_good_token_of_the_forger_is_believed(attacker: Attacker, forger: Forger) -> None:
    # else nothing below would prove anything
    assert attacker.sync({}, token=forger.signed()).status == 200


NO_TOKEN: list[Pairs] = [
    [],
    [("Authorization", "")],
    [("Authorization", "Bearer")],
    [("Authorization", "Bearer ")],
    [("Authorization", "Bearer   ")],
    [("Authorization", "Basic dTpw")],
    [("Authorization", "Digest x")],
    [("Authorization", "BearerGOOD")],
    [("Authorization", "Token GOOD")],
    [("Authorization", "GOOD")],
    [("Authorization", "Bearer\tGOOD")],
    [("Proxy-Authorization", "Bearer GOOD")],
    [("Cookie", "Authorization=Bearer GOOD; token=GOOD")],
    [("X-Authorization", "Bearer GOOD")],
    [("X-Goog-Iap-Jwt-Assertion", "GOOD")],
]


def test_without_a_bearer_token_nothing_opens(attacker: Attacker) -> None:
    wrong = {}
    for headers in NO_TOKEN:
        sent = [(name, value.replace("GOOD", attacker.token)) for name, value in headers]
        for path in ("/api/sync", f"/api/sync?access_token={attacker.token}&token=x"):
            answer = attacker.ask("POST", path, json.dumps(BODY).encode(), sent)
            if fault := fault_of(answer, 401, "token_missing"):
                wrong[str(headers)] = fault
    assert wrong == {}


def headers_of_keys(forger: Forger) -> Rows:
    own = ec.generate_private_key(ec.SECP256R1())
    own_jwk = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(own.public_key()))
    kid = forger.key.kid
    yield "own key, our kid", forger.encoded(own, "ES256")
    yield "own key, own kid", forger.encoded(own, "ES256", kid="mine")
    yield "own key in jwk", forger.encoded(own, "ES256", jwk=own_jwk)
    yield (
        "own key in jwk, its kid",
        forger.encoded(own, "ES256", kid="k", jwk={**own_jwk, "kid": "k"}),
    )
    for name in ("jku", "x5u"):
        for url in (
            "http://127.0.0.1:1/jwks.json",
            "file:///etc/passwd",
            "https://example.invalid",
        ):
            yield f"{name} {url}", forger.encoded(own, "ES256", **{name: url})
    yield "x5c", forger.encoded(own, "ES256", x5c=[b64(b"certificate")], x5t="x")
    other = ec.generate_private_key(ec.SECP384R1())
    yield "ES384", forger.encoded(other, "ES384")
    yield "EdDSA of another", forger.encoded(ed25519.Ed25519PrivateKey.generate(), "EdDSA")
    small = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    yield "RS256", forger.encoded(small, "RS256")
    yield "PS256", forger.encoded(small, "PS256")
    # public keys as shared secrets (CVE-2015-9235 and its kin)
    jwk = json.dumps(forger.jwk).encode()
    for alg in ("HS256", "HS384", "HS512", "ES256", "hs256"):
        for name, secret in {
            "pem": forger.public_pem,
            "pem, stripped": forger.public_pem.strip(),
            "jwk": jwk,
            "jwks": forger.jwks,
            "kid": kid.encode(),
            "nothing": b"",
        }.items():
            yield f"{alg} with {name}", forger.hs(secret, alg)


def test_keys_and_algorithms_are_ours_never_the_tokens(attacker: Attacker, forger: Forger) -> None:
    check(attacker, headers_of_keys(forger))


def crooked_headers(forger: Forger) -> Rows:
    for alg in ("none", "None", "NONE", "nOnE", "", "EdDSA", "ES384", "ES512", "es256", "ES256K",
                "HS256", "RS256", 256, None, True, ["ES256"], {"a": 1}, MISSING, "ES256\x00"):  # fmt: skip
        signed = forger.signed({"alg": alg})
        yield f"alg {alg!r}, signed", signed
        yield f"alg {alg!r}, no signature", signed.rpartition(".")[0] + "."
        yield f"alg {alg!r}, two parts", signed.rpartition(".")[0]
    for kid in ("../../x", "../keys/jwks.json", "/etc/passwd", "/dev/null", "\x00", "a\x00b", "",
                "' OR 1=1 --", "x'; DROP TABLE patients; --", "k" * 5000, forger.key.kid + "\n",
                " " + forger.key.kid, forger.key.kid.upper() + "A", forger.key.kid + ".pem", "*",
                "ключ", "\ud800", 7, 0, None, True, [forger.key.kid], {"kid": forger.key.kid},
                MISSING, "http://127.0.0.1/jwks", "__proto__", "signing", "jwks", "page"):  # fmt: skip
        yield f"kid {str(kid)[:40]!r}", forger.signed({"kid": kid})
    for crit in (["exp"], [], ["b64"], "exp", None, {}, 1):
        yield f"crit {crit!r}", forger.signed({"crit": crit, "b64": False})
    yield "b64 false with crit", forger.signed({"b64": False, "crit": ["b64"]})
    for name, header in {
        "array": b"[]", "null": b"null", "text": b'"x"', "number": b"1", "nothing": b"",
        "not JSON": b"{", "not UTF-8": b"\xff\xfe", "deep": b"[" * 2500, "NaN": b'{"alg":NaN}',
        "digits": b'{"alg":"ES256","kid":' + b"9" * 5000 + b"}",
    }.items():  # fmt: skip
        text = f"{b64(header)}.{b64(forger.claims())}"
        yield f"header {name}", f"{text}.{b64(forger.sign(text.encode()))}"
    yield "two algs", two_algs(forger)


def two_algs(forger: Forger) -> str:
    """`alg` twice in the header: whichever is read, both must be right."""
    header = b'{"alg":"ES256","kid":"%s","alg":"none"}' % forger.key.kid.encode()
    text = f"{b64(header)}.{b64(forger.claims())}"
    return f"{text}.{b64(forger.sign(text.encode()))}"


def test_crooked_headers_are_refused(attacker: Attacker, forger: Forger) -> None:
    check(attacker, crooked_headers(forger))


NO_TIME: list[Any] = ["1999999999", "", True, False, None, [], {}, [1999999999], "NaN"]


def crooked_claims(forger: Forger) -> Rows:
    for name in REQUIRED:
        yield f"no {name}", forger.signed(None, None, **{name: MISSING})
        yield f"{name} null", forger.signed(None, None, **{name: None})
    for name in ("exp", "nbf", "iat"):
        for value in NO_TIME:
            yield f"{name} {value!r}", forger.signed(None, None, **{name: value})
        for text in ("NaN", "Infinity", "-Infinity", "1e999", "9" * 400, "9" * 4400):
            # NaN is neither past nor future: every comparison with it is false
            said = json.dumps(forger.claims(**{name: "HERE"})).replace('"HERE"', text)
            yield f"{name} {text[:9]}", forger.signed(payload=said.encode())
    now = int(time.time())
    for exp in ((now + 900) * 1000, 2**63, 10**300, -1e300):
        yield f"exp {exp}"[:20], forger.signed(exp=exp)
    for name in ("nbf", "iat"):
        for value in (now + 120, now + 10**6, 1e300, 2**63, (now + 120) * 1000, now + 90.5):
            yield f"{name} {value}", forger.signed(None, None, **{name: value})
    for issuer in ("", "evil", forger.policy.issuer + "/", forger.policy.issuer.upper() + "x",
                   [forger.policy.issuer], 1, {}):  # fmt: skip
        yield f"iss {issuer!r}", forger.signed(iss=issuer)
    for audience in ("", "evil", [], ["evil"], forger.policy.audience + "x", 1, {}, True,
                     {forger.policy.audience: 1}, [1], [None], ["evil", 1]):  # fmt: skip
        yield f"aud {audience!r}", forger.signed(aud=audience)
    for subject in (1, [], {}, True):
        yield f"sub {subject!r}", forger.signed(sub=subject)
    for user in ("a/b", "", " ", "a b", "x" * 129, "x" * 2000, "..", "__x__", "a\x00", "é", "a\n",
                 "\ud800", 1, 0, True, [], {}, ["hostile-chw"], "hostile-chw/", "*"):  # fmt: skip
        yield f"chw_id {str(user)[:30]!r}", forger.signed(chw_id=user)
    for role in ("", "CHW", "root", "admin ", "chw\x00", 1, True, None, [], {}, ["chw"]):
        yield f"role {role!r}", forger.signed(role=role)
    for device in ("a/b", "x" * 129, "__x__", 1, ["a"], {"a": 1}, "a\n", True):
        yield f"device {str(device)[:30]!r}", forger.signed(device=device)
        yield f"sid {str(device)[:30]!r}", forger.signed(sid=device)
    for name, payload in {
        "array": b"[]", "null": b"null", "text": b'"x"', "nothing": b"", "not JSON": b"{",
        "not UTF-8": b"\xff", "deep": b"[" * 3000, "digits": b"9" * 4400,
    }.items():  # fmt: skip
        yield f"payload {name}", forger.signed(payload=payload)


def test_crooked_claims_are_refused(attacker: Attacker, forger: Forger) -> None:
    check(attacker, crooked_claims(forger))


def test_expired_tokens_are_told_apart(attacker: Attacker, forger: Forger) -> None:
    def expired() -> Rows:
        now = time.time()
        for exp in (now - 31, int(now) - 60, 0, -1, -(10**9), 0.5, now - 1e6):
            yield f"exp {exp}", forger.signed(exp=exp)

    check(attacker, expired(), "token_expired")


def test_small_differences_of_clocks_are_forgiven(attacker: Attacker, forger: Forger) -> None:
    leeway = forger.policy.leeway_seconds
    now = time.time()
    for claims in (
        {"exp": now - leeway + 10},
        {"nbf": now + leeway - 2},
        {"iat": now + leeway - 2},
    ):
        assert attacker.sync({}, token=forger.signed(None, None, **claims)).status == 200, claims


GOOD: list[Json] = [
    {"aud": ["other", "AUD"]},
    {"role": MISSING},
    {"device": None},
    {"scopes": ["every", "team"], "admin": True, "is_superuser": 1},
]


def test_unneeded_claims_neither_help_nor_harm(attacker: Attacker, forger: Forger) -> None:
    for claims in GOOD:
        sent = {
            name: [forger.policy.audience if each == "AUD" else each for each in value]
            if name == "aud"
            else value
            for name, value in claims.items()
        }
        assert attacker.sync({}, token=forger.signed(None, None, **sent)).status == 200, claims


def test_scopes_and_roles_of_a_token_open_no_other_team(attacker: Attacker, forger: Forger) -> None:
    # memberships in the store decide, whatever a token (of ours) says
    token = forger.signed(scopes=["other-team"], role="supervisor", chw_id="nobody", sub="nobody")
    body = {"changes": {}, "scope_id": "other-team"}
    assert attacker.sync(body, token=token).json["server_updates"]["patients"] == []


def changed(token: str, seed: int) -> Rows:
    """One character another, at every place of a sample; parts swapped, cut, doubled."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/~"
    chance = random.Random(seed)
    # the last character of a part carries unused bits, so that not every change changes the bytes
    places = [p for p in range(len(token)) if p + 1 < len(token) and token[p + 1] != "."]
    for place in chance.sample(places, 150):
        other = chance.choice([c for c in alphabet if c != token[place]])
        yield f"place {place}: {other}", token[:place] + other + token[place + 1 :]
    header, payload, signature = token.split(".")
    yield from {
        "swapped": f"{payload}.{header}.{signature}",
        "two parts": f"{header}.{payload}",
        "no signature": f"{header}.{payload}.",
        "four parts": f"{token}.x",
        "five parts (JWE)": f"{header}.x.y.z.{signature}",
        "no header": f".{payload}.{signature}",
        "no payload": f"{header}..{signature}",
        "dots": "..",
        "more dots": "." * 4000,
        "cut": token[:-10],
        "zero signature": f"{header}.{payload}.{b64(bytes(64))}",
        "one-byte signature": f"{header}.{payload}.{b64(b'0')}",
        "DER signature": f"{header}.{payload}.{b64(bytes.fromhex('3006020101020101'))}",
        "quoted": f'"{token}"',
        "twice": f"{token} {token}",
        "comma": f"{token},{token}",
        "blank inside": f"{header}. {payload}.{signature}",
        "tab inside": f"{header}.\t{payload}.{signature}",
        "latin-1": f"{token}é",
        "unicode as latin-1": "ключ".encode().decode("latin-1") + token,
        "percent": token.replace(".", "%2E"),
        "bearer twice": f"Bearer {token}",
        "JSON serialization": json.dumps(
            {"payload": payload, "signatures": [{"protected": header, "signature": signature}]}
        ),
        "8 kB of x": "x" * 8100,
        "mark": MARK,
    }.items()


@pytest.mark.parametrize("seed", [1])
def test_not_one_character_may_change(attacker: Attacker, forger: Forger, seed: int) -> None:
    check(attacker, changed(forger.signed(), seed))


def test_a_changed_payload_under_an_old_signature_is_refused(
    attacker: Attacker, forger: Forger
) -> None:
    header, _, signature = forger.signed().split(".")
    check(
        attacker,
        ((who, f"{header}.{b64(forger.claims(chw_id=who))}.{signature}") for who in ("a", "b")),
    )


def test_other_kinds_of_tokens_are_no_access_tokens(attacker: Attacker, forger: Forger) -> None:
    def others() -> Rows:
        secret = (attacker.deployment.stack.data / "keys" / "page.secret").read_bytes()
        yield "page secret", forger.hs(secret)
        yield "page secret, no kid", forger.hs(secret, kid="page")
        # an id token of Google for this service, as Pub/Sub sends to push endpoints
        yield "no chw_id", forger.signed(chw_id=MISSING, email="push@example.iam", aud="https://x")
        yield "refresh token by its audience", forger.signed(aud="refresh")

    check(attacker, others())


def test_two_authorizations_are_refused(attacker: Attacker) -> None:
    good = ("Authorization", f"Bearer {attacker.token}")
    body = json.dumps(BODY).encode()
    for headers in ([good, ("Authorization", "Bearer x")], [("Authorization", "Basic x"), good],
                    [good, good]):  # fmt: skip
        answer = attacker.ask("POST", "/api/sync", body, headers)
        assert answer.status == 401, answer
        assert answer.json["error"]["code"] in ("token_invalid", "token_missing")


LONG: dict[str, Callable[[str], str]] = {
    "9 kB": lambda token: token + "x" * 9000,
    "9 kB of kid": lambda _: b64({"alg": "ES256", "kid": "k" * 10_000}) + ".e30.x",
    "60 kB": lambda token: token + "x" * 60_000,
    "100 kB": lambda token: token + "x" * 100_000,
    "1 MB": lambda token: "x" * 1_000_000,
    "NUL": lambda token: token + "\x00",
    "folded": lambda token: token[:9] + "\r\n " + token[9:],
    "another header": lambda token: "x\r\nX-More: " + token,
}


@pytest.mark.parametrize("name", LONG)
def test_what_the_http_server_refuses_itself_is_a_4xx(attacker: Attacker, name: str) -> None:
    """gunicorn and the local gateway refuse these before any code of ours runs."""
    token = LONG[name](attacker.token)
    answer = attacker.ask(
        "POST", "/api/sync", json.dumps(BODY).encode(), [("Authorization", f"Bearer {token}")]
    )
    assert answer.status in (0, 400, 401, 431), answer
    assert b"Traceback" not in answer.body
    # and the next caller is served
    assert attacker.sync({}).status == 200
