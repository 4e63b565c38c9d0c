"""Settings: documented, complete, and refused by name when they make no sense."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from infra import env_example
from shared import settings
from shared.errors import ConfigurationFault
from shared.products.dermadetect.settings import DermaDetectSettings
from shared.products.known import variables
from shared.settings import Settings, load

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / ".env.example"

#: What a Google deployment needs beside its choice of adapters.
GOOGLE = {"GOOGLE_CLOUD_PROJECT": "clinic"}


def test_the_example_file_is_current() -> None:
    assert EXAMPLE.read_text(encoding="utf-8") == env_example.text(), "run: make generated"


def test_the_example_file_shows_the_defaults() -> None:
    lines = re.findall(r"^#([A-Z_]+)=(.*)$", EXAMPLE.read_text(encoding="utf-8"), re.MULTILINE)
    assert [name for name, _ in lines] == [*variables()]
    assert load(dict(lines)) == Settings()


def test_what_a_product_adds_is_held_to_its_range_when_a_function_starts() -> None:
    with pytest.raises(ConfigurationFault) as caught:
        settings.read({"CLAIM_MINUTES": "0"}, DermaDetectSettings)
    assert caught.value.field == "CLAIM_MINUTES"
    started = start("review", CLAIM_MINUTES="0")
    assert started.returncode != 0
    assert "CLAIM_MINUTES must be from 1" in started.stderr


@pytest.mark.parametrize("name", variables())
def test_every_setting_has_a_sentence(name: str) -> None:
    spec = variables()[name]
    sentence = spec.metadata["doc"]
    assert sentence[0].isupper()
    assert sentence.endswith(".")
    assert len(sentence.split()) >= 3
    # a number says its unit, in its name or in its sentence, and its range
    if spec.type in ("int", "float"):
        assert spec.metadata["low"] is not None
        assert spec.metadata["high"] is not None
        assert spec.metadata["low"] <= spec.default <= spec.metadata["high"]
    if spec.metadata["choices"]:
        assert spec.default in spec.metadata["choices"]
    if spec.metadata["secret"]:
        assert spec.default == ""


def test_defaults_load_from_an_empty_environment() -> None:
    assert load({}) == Settings()


def test_an_empty_value_counts_as_absent() -> None:
    assert load(dict.fromkeys(variables(), "  ")) == Settings()


def test_other_variables_are_none_of_ours() -> None:
    assert load({"PATH": "/bin", "page_rows": "7", "DERMADETECT_PAGE_ROWS": "7"}) == Settings()


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("DATA_FOLDR", "DATA_FOLDER"),
        ("RECORD_STROE", "RECORD_STORE"),
        ("RECORDS_STORE", "RECORD_STORE"),
        ("TOKEN_JWK_URL", "TOKEN_JWKS_URL"),
        ("MODELL", "MODEL"),
        ("page_rows", "PAGE_ROWS"),
    ],
)
def test_a_misspelt_variable_is_named_with_the_setting_that_it_is_near_to(
    variable: str, meant: str
) -> None:
    assert settings.misspelt(variables(), {variable: "x", "PATH": "/bin", meant: "y"}) == {
        variable: meant
    }


def test_variables_of_others_and_our_own_are_no_misspellings() -> None:
    others = """PATH HOME LANG SHELL USER PORT HOST K_REVISION K_CONFIGURATION FUNCTION_TARGET MODE
        FUNCTION_SIGNATURE_TYPE GOOGLE_CLOUD_QUOTA_PROJECT GOOGLE_APPLICATION_CREDENTIALS
        FIRESTORE_EMULATOR_HOST PUBSUB_EMULATOR_HOST STORAGE_EMULATOR_HOST CLOUD_RUN_JOB
        REQUESTS_CA_BUNDLE TOKEN DATABASE_URL LOG_FILE SERVICE VERSION MODEL_PATH SMOKE_EMAIL
        KUBERNETES_SERVICE_HOST GCLOUD_PROJECT PYTHONPATH VIRTUAL_ENV INFRA_TOOLS"""
    known = variables()
    assert settings.misspelt(known, dict.fromkeys([*others.split(), *known], "x")) == {}


@pytest.mark.parametrize(
    ("text", "value"),
    [("true", True), ("1", True), ("YES", True), ("false", False), ("0", False), ("No", False)],
)
def test_yes_and_no_are_read_in_their_usual_spellings(text: str, value: bool) -> None:
    assert load({"VERTEX_DEDICATED": text}).vertex_dedicated is value


#: An address with a user and a password; put together, since a scan looks for such.
_WITH_PASSWORD = "https://user:" + "hunter2" + "@models.example/v1"

#: variable that the fault must name, environment
ABSURD: list[tuple[str, dict[str, str]]] = [
    # not among the choices
    ("PRODUCT", {"PRODUCT": "hairdetect"}),
    ("RECORD_STORE", {"RECORD_STORE": "postgres"}),
    ("JOB_QUEUE", {"JOB_QUEUE": "celery"}),
    ("MODEL", {"MODEL": "Scripted"}),
    ("KEY_STORE", {"KEY_STORE": "drawer"}),
    ("VERTEX_CREDENTIALS", {"VERTEX_CREDENTIALS": "mine"}),
    ("LOG_LEVEL", {"LOG_LEVEL": "loud"}),
    # not of the type
    ("PAGE_ROWS", {"PAGE_ROWS": "many"}),
    ("PAGE_ROWS", {"PAGE_ROWS": "2000.0"}),
    ("MODEL_TIMEOUT_SECONDS", {"MODEL_TIMEOUT_SECONDS": "2 minutes"}),
    ("VERTEX_DEDICATED", {"VERTEX_DEDICATED": "maybe"}),
    # no number to count with
    ("RETRY_BASE_SECONDS", {"RETRY_BASE_SECONDS": "nan"}),
    ("RETRY_CAP_SECONDS", {"RETRY_CAP_SECONDS": "inf"}),
    ("MODEL_TIMEOUT_SECONDS", {"MODEL_TIMEOUT_SECONDS": "-inf"}),
    # needs another one
    ("GOOGLE_CLOUD_PROJECT", {"RECORD_STORE": "firestore"}),
    ("GOOGLE_CLOUD_PROJECT", {"JOB_QUEUE": "pubsub"}),
    ("GOOGLE_CLOUD_PROJECT", {"MODEL": "vertex", "VERTEX_ENDPOINT": "1"}),
    ("VERTEX_ENDPOINT", {"MODEL": "vertex", **GOOGLE}),
    ("GOOGLE_CLOUD_PROJECT", {"KEY_STORE": "secret_manager"}),
    ("TOKEN_JWKS_URL", {"KEY_STORE": "secret_manager", **GOOGLE}),
    ("OIDC_AUDIENCE", {"OIDC_ISSUER": "https://issuer.example"}),
    ("GOOGLE_CLOUD_PROJECT", {"FILE_STORE": "gcs", "FILES_BUCKET": "photos"}),
    ("FILES_BUCKET", {"FILE_STORE": "gcs", **GOOGLE}),
    # no bucket, no address of one
    ("FILES_BUCKET", {"FILES_BUCKET": "Photos/of"}),
    ("FILES_ENDPOINT", {"FILES_ENDPOINT": "http://storage.example"}),
    ("FILES_ENDPOINT", {"FILES_ENDPOINT": "127.0.0.1:9023"}),
    # more than Google's keys sign for
    ("LINK_SECONDS", {"LINK_SECONDS": "43201"}),
    # a user or a password in an address, or a host behind one
    ("MODEL_URL", {"MODEL_URL": _WITH_PASSWORD}),
    ("MODEL_URL", {"MODEL_URL": "https://hunter2@models.example/v1"}),
    ("MODEL_URL", {"MODEL_URL": "http://127.0.0.1:80@models.example/v1"}),
    ("MODEL_URL", {"MODEL_URL": "https://models.example\\@elsewhere.example/v1"}),
    ("MODEL_URL", {"MODEL_URL": "https://models.example\\elsewhere"}),
    ("FCM_URL", {"FCM_URL": _WITH_PASSWORD}),
    ("OIDC_JWKS_URL", {"OIDC_JWKS_URL": _WITH_PASSWORD}),
    # no address that keys may come from
    ("TOKEN_JWKS_URL", {"TOKEN_JWKS_URL": "http://keys.example/jwks.json"}),
    ("TOKEN_JWKS_URL", {"TOKEN_JWKS_URL": "file:///etc/passwd"}),
    ("OIDC_JWKS_URL", {"OIDC_JWKS_URL": "http://127.0.0.1.example:80/"}),
    ("OIDC_ISSUER", {"OIDC_ISSUER": "issuer.example", "OIDC_AUDIENCE": "app"}),
    # contradicts another one
    (
        "OIDC_ISSUER",
        {
            "OIDC_ISSUER": "https://a.example",
            "TOKEN_ISSUER": "https://a.example",
            "OIDC_AUDIENCE": "app",
        },
    ),
    ("LEASE_SECONDS", {"LEASE_SECONDS": "60", "MODEL_TIMEOUT_SECONDS": "60"}),
    ("MAX_INFLATED_BYTES", {"MAX_INFLATED_BYTES": "1024"}),
    # too weak
    ("PAGE_SECRET", {"PAGE_SECRET": "x" * 31}),
    ("ACCOUNTS_SECRET", {"ACCOUNTS_SECRET": "x" * 31}),
    ("FILES_SECRET", {"FILES_SECRET": "x" * 31}),
    # beyond either end of its range
    *(
        (spec.name.upper(), {spec.name.upper(): str(beyond)})
        for spec in fields(Settings)
        if spec.metadata["low"] is not None
        for beyond in (spec.metadata["low"] - 1, spec.metadata["high"] + 1)
    ),
]


@pytest.mark.parametrize(("variable", "environ"), ABSURD, ids=lambda value: str(value))
def test_an_absurd_value_is_refused_by_the_variable_s_name(
    variable: str, environ: dict[str, str]
) -> None:
    with pytest.raises(ConfigurationFault) as caught:
        load(environ)
    assert caught.value.field == variable
    assert variable in caught.value.message
    assert "hunter2" not in caught.value.message


@pytest.mark.parametrize(
    "url",
    ["https://models.example", "https://models.example:8443/v1?a=b@c", "http://localhost:8000/v1",
     "http://127.0.0.1:11434/v1", "https://[::1]:80/v1"],
)  # fmt: skip
def test_an_address_of_a_model_is_taken(url: str) -> None:
    assert load({"MODEL_URL": url}).model_url == url


def test_a_function_with_a_password_in_an_address_does_not_start_and_does_not_repeat_it() -> None:
    started = start("analyse", MODEL="openai_compatible", MODEL_NAME="m", MODEL_URL=_WITH_PASSWORD)
    assert started.returncode != 0
    assert "MODEL_URL must have no user and no password in it" in started.stderr
    assert "hunter2" not in started.stderr + started.stdout


def test_a_secret_is_never_repeated_in_a_fault_nor_written_as_an_example() -> None:
    with pytest.raises(ConfigurationFault) as caught:
        load({"PAGE_SECRET": "hunter2"})
    assert "hunter2" not in caught.value.message


def start(function: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", f"import functions.{function}"],
        cwd=ROOT,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_function_with_an_absurd_setting_does_not_start() -> None:
    started = start("status", PAGE_ROWS="-1")
    assert started.returncode != 0
    assert "PAGE_ROWS must be from 1" in started.stderr


def test_a_function_starts_with_a_misspelt_variable_and_names_it() -> None:
    started = start("status", PAGE_ROWZ="private")
    assert started.returncode == 0, started.stderr
    [line] = [json.loads(each) for each in started.stdout.splitlines() if "misspelt" in each]
    assert (line["setting"], line["meant"]) == ("PAGE_ROWZ", "PAGE_ROWS")
    assert "private" not in started.stdout + started.stderr


@pytest.mark.proof
def test_accounts_does_not_start_without_a_secret_that_its_instances_share() -> None:
    cloud = {
        "KEY_STORE": "secret_manager",
        "TOKEN_JWKS_URL": "https://api.example/.well-known/jwks.json",
        **GOOGLE,
    }
    started = start("accounts", **cloud)
    assert started.returncode != 0
    assert "ACCOUNTS_SECRET is needed" in started.stderr
    assert start("accounts", **cloud, ACCOUNTS_SECRET="x" * 32).returncode == 0
    assert start("sync", **cloud).returncode == 0  # nobody else needs it
