"""The settings of a deployment. This module alone reads the environment, once, into a frozen value.

Defaults run the whole system on one machine. A value that makes no sense stops the start with the
variable's name; secrets have no default. A product declares further settings in its package, of the same
`setting` fields. `.env.example` is generated from all of them (`infra/env_example.py`).
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import Field, dataclass, field, fields
from difflib import get_close_matches
from functools import cache, lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any, TypeVar, cast
from urllib.parse import urlsplit

from shared.errors import ConfigurationFault

Kind = TypeVar("Kind")

#: `MAJOR.MINOR.PATCH` (semver.org). The first heading of CHANGELOG.md names the same.
VERSION = "0.1.0"

#: An address that keys may come from: https, or this machine (tests); or nothing.
_HTTPS = r"(https://[^\s/?#@\\]+([/?#]\S*)?|http://(127\.0\.0\.1|localhost):\d+([/?#]\S*)?)?"

#: A collector's address, without user and query: spans hold names and numbers, so http will do.
_COLLECTOR = r"https?://[^\s/?#@\\]+(/[^\s?#]*)?"

#: A user, or a password, before the host of an address.
_USER_INFO = r"\w+://[^/?#]*@.*"

#: An origin as browsers send it (RFC 6454 6.2): no path, no wildcard; http for this machine only.
_ORIGIN = r"https://[a-z0-9.-]+(:\d+)?|http://(127\.0\.0\.1|localhost)(:\d+)?"

#: A name of so many letters that is so similar (0 to 1), and longer or shorter by no more than this, is a
#: slip of the pen.
_SLIP_LETTERS, _SLIP_SIMILAR, _SLIP_LONGER = 6, 0.88, 2

#: A host that passkeys may be bound to: a name of two parts or more, or this machine's.
_NAME = r"localhost|([a-z0-9-]+\.)+[a-z][a-z0-9-]+"

#: Models by name, and what each needs to be set.
MODELS = ("scripted", "vertex", "openai_compatible", "ollama")
_MODEL_NEEDS = {
    "vertex": ("vertex_endpoint",),
    "openai_compatible": ("model_url", "model_name"),
    "ollama": ("ollama_url", "ollama_model"),
}

#: Tasks with their models, and with their budgets.
_ORDERS = r"[a-z_]+=[a-z_]+(\+[a-z_]+)*(\s*,\s*[a-z_]+=[a-z_]+(\+[a-z_]+)*)*"
_BUDGETS = r"[a-z_]+=\d{1,6}(\.\d{1,4})?(\s*,\s*[a-z_]+=\d{1,6}(\.\d{1,4})?)*"

#: Where a key belongs that somebody would put into an address.
_KEYS_BELONG = {
    "model_url": "; the key belongs in MODEL_API_KEY",
    "speech_url": "; the key belongs in SPEECH_API_KEY",
}

#: A mail server's name or address, and a plain e-mail address: what goes into a header needs no quoting.
_HOST = r"[A-Za-z0-9.:-]+"
_SENDER = r"[A-Za-z0-9._+-]+@[A-Za-z0-9.-]+"

#: This machine, as SMTP_HOST may name it.
_HERE = ("localhost", "127.0.0.1", "::1")

#: Name, amount and seconds; the names are in `shared/accounts/rates.py`.
_RATES = r"[a-z-]+=\d{1,9}/[1-9]\d{0,8}(\s*,\s*[a-z-]+=\d{1,9}/[1-9]\d{0,8})*"


def setting(
    default: Any,
    doc: str,
    *,
    choices: tuple[str, ...] = (),
    low: float | None = None,
    high: float | None = None,
    secret: bool = False,
    shown: bool = False,
) -> Any:
    """A field of a frozen dataclass whose variable is the field's name in capitals.

    `shown`: admins of any team may see its value in the console. Not for what says where things are, or
    what is open to whom.
    """
    metadata = {"doc": doc, "choices": choices, "low": low, "high": high, "secret": secret}
    return field(default=default, metadata={**metadata, "shown": shown})


@dataclass(frozen=True)
class Settings:
    """One field per environment variable; the variable's name is the field's in capitals."""

    product: str = setting(
        "dermadetect",
        "Which product this deployment serves.",
        shown=True,
        choices=("dermadetect", "hemoday", "medmind", "buildtrace"),
    )
    data_folder: str = setting(
        ".data", "Where the embedded profile keeps its database and keys: a folder of its own."
    )

    least_free_megabytes: int = setting(
        200,
        "A data folder whose disk has less left is not ready: /ready answers 503.",
        low=0,
        high=10**9,
    )
    record_store: str = setting(
        "sqlite", "Where records are kept.", choices=("sqlite", "firestore")
    )
    job_queue: str = setting(
        "sqlite", "Who carries doorbells to subscribers.", choices=("sqlite", "pubsub")
    )
    model: str = setting(
        "scripted",
        "Who analyses what phones send. The scripted model looks at nothing and says so.",
        choices=("scripted", "vertex", "openai_compatible"),
        shown=True,
    )
    model_order: str = setting(
        "",
        "Models that are asked one after the other until one answers, as vertex,ollama. Empty: MODEL.",
        shown=True,
    )
    model_tasks: str = setting(
        "",
        "The same for tasks that want another order, as understand=ollama+vertex, separated by commas.",
    )
    model_budgets: str = setting(
        "",
        "What tasks may cost a day instead of DAILY_COST_CAP, as understand=2.5, separated by commas. "
        "Models that cost nothing (ollama) are asked beyond it.",
    )
    key_store: str = setting(
        "files",
        "Where the keys that sign tokens are kept.",
        choices=("files", "secret_manager"),
    )
    signing_keys_secret: str = setting(
        "signing-keys", "Name of the secret with the signing keys in Secret Manager."
    )
    secret_manager_endpoint: str = setting(
        "", "Another address of the Secret Manager API (tests); empty: Google's."
    )

    file_store: str = setting(
        "folder",
        "Where photos are kept: in the data folder, or in a bucket of Cloud Storage.",
        choices=("folder", "gcs"),
    )
    files_bucket: str = setting("", "The bucket of FILE_STORE=gcs.")
    files_endpoint: str = setting(
        "",
        "Another address of Cloud Storage (an emulator, without credentials); empty: Google's.",
    )
    link_seconds: int = setting(
        900,
        "How long a link to a photo lets anybody who has it download, seconds. Google's keys sign for "
        "12 hours at most.",
        low=30,
        high=43_200,
        shown=True,
    )
    files_secret: str = setting(
        "",
        "Signs the links of FILE_STORE=folder, at least 32 characters; empty: the data folder's keys "
        "make and keep one.",
        secret=True,
    )

    google_cloud_project: str = setting(
        "", "Project of Firestore, Pub/Sub, Cloud Storage, Vertex AI, Secret Manager, Cloud Trace."
    )
    firestore_database: str = setting("(default)", "Firestore database id.")
    topic_prefix: str = setting("", "Put before the names of Pub/Sub topics.")
    source_commit: str = setting(
        "", "The commit that is deployed, as `/version` and the logs name it; empty: not said."
    )

    token_issuer: str = setting("dermadetect", "The `iss` that access tokens must carry.")
    token_audience: str = setting("dermadetect-api", "The `aud` that access tokens must carry.")
    token_leeway_seconds: int = setting(
        30, "Clock difference between servers that a token may show, seconds.", low=0, high=300
    )
    token_jwks: str = setting("", "Public keys as JWKS text; empty: read from the key store.")
    token_jwks_url: str = setting(
        "", "Where public keys are fetched as JWKS, by https; empty: TOKEN_JWKS or the key store."
    )
    oidc_issuer: str = setting(
        "", "An outside issuer whose tokens are taken too (OpenID Connect); empty: none."
    )
    oidc_audience: str = setting("", "The `aud` that tokens of the outside issuer must carry.")
    oidc_token_type: str = setting(
        "at+jwt,JWT",
        "The `typ` that headers of its tokens must carry, one of those between commas: `at+jwt` if it "
        "marks its access tokens; most say `JWT` of all. `JWT,` takes tokens without one, too.",
    )
    oidc_jwks_url: str = setting(
        "", "Where its keys are; empty: where its discovery document says."
    )
    accounts_secret: str = setting(
        "",
        "Keys the hashes of the accounts function, at least 32 characters; empty: the key store "
        "makes and keeps one.",
        secret=True,
    )
    hooks_secret: str = setting(
        "",
        "The secrets of endpoints are made of it, at least 32 characters; empty: the key store makes and "
        "keeps one.",
        secret=True,
    )
    hook_networks: str = setting(
        "",
        "Networks beside the public one that endpoints may be in, like 10.20.0.0/16,127.0.0.0/8; plain "
        "http goes to this machine alone, where it is in one of them. Empty: none.",
    )
    refresh_days: int = setting(
        90,
        "How long a phone may stay away before it must log in again, days. Roles that read much have less "
        "(shared/products).",
        low=1,
        high=400,
        shown=True,
    )
    session_days: int = setting(
        365,
        "How long a log-in lives in all, however often it is used, days.",
        low=1,
        high=3650,
        shown=True,
    )
    totp_roles: str = setting(
        "",
        "Roles that must log in with a second factor, separated by commas (the product says which may be "
        "named). Who has yet to set it up can do nothing else. Empty: nobody must.",
        shown=True,
    )
    console_idle_minutes: int = setting(
        30,
        "After how many minutes without a click somebody is logged out of the console.",
        low=1,
        high=1440,
        shown=True,
    )
    console_hours: int = setting(
        12, "How long a log-in of the console lives in all, hours.", low=1, high=720, shown=True
    )
    console_time_zone: str = setting(
        "UTC",
        "The time zone of the console's pages before a browser says its own (IANA, like Africa/Nairobi).",
        shown=True,
    )
    audit_heads: str = setting(
        "",
        "A file, best on another disk, that gets a line for each new head of the audit trail. Empty: with "
        "sqlite audit-heads.jsonl in the data folder, else the logs alone.",
    )
    operator: str = setting(
        "",
        "Who works at the command line, for the audit trail; empty: the user of this machine who does.",
    )
    trusted_proxies: int = setting(
        0,
        "Entries of X-Forwarded-For that our own proxies write: 2 behind Google's load balancer, "
        "1 for Cloud Run alone or one proxy elsewhere, 0 without a proxy or with one on this machine.",
        low=0,
        high=5,
    )
    rate_limits: str = setting(
        "",
        "Rate limits that differ from the table in docs/security.md, as name=amount/seconds, separated by "
        "commas, like log-ins=300/60; amount 0: no limit.",
    )
    page_secret: str = setting(
        "",
        "Signs page tokens, at least 32 characters; empty: the key store makes and keeps one.",
        secret=True,
    )

    max_body_bytes: int = setting(
        16 * 2**20, "Largest request body as sent, bytes.", low=1024, high=32 * 2**20
    )
    max_inflated_bytes: int = setting(
        32 * 2**20, "Largest request body after gzip, bytes.", low=1024, high=128 * 2**20
    )
    file_bytes: int = setting(
        10 * 2**20, "Largest photo or document, bytes.", low=1024, high=32 * 2**20, shown=True
    )
    check_inline_bytes: int = setting(
        3 * 2**20,
        "Files up to this size are checked while the phone waits, larger ones by a job, bytes.",
        low=0,
        high=32 * 2**20,
    )
    upload_days: int = setting(
        7,
        "How long an upload may rest before what came of it is removed, days.",
        low=1,
        high=90,
        shown=True,
    )
    photos_wait_minutes: int = setting(
        30,
        "How long an analysis waits for the photos of its record before it does without them, minutes.",
        low=0,
        high=1440,
        shown=True,
    )
    cors_origins: str = setting(
        "",
        "Origins of web apps that browsers may let in, exact and separated by commas, like "
        "https://review.example.org; empty: none.",
    )
    hsts_seconds: int = setting(
        0,
        "How long browsers shall come back by https alone (Strict-Transport-Security), seconds; 0: not "
        "said. Only where everything is behind TLS.",
        low=0,
        high=63_072_000,
    )
    min_app_version: str = setting(
        "", "Oldest app version served (`X-App-Version`, like 1.4.0); empty: all.", shown=True
    )
    strict_columns: bool = setting(
        False, "Refuse records with columns that no table declares, instead of leaving those out."
    )
    page_rows: int = setting(
        2000, "Rows of one sync answer unless the phone asks for fewer.", low=1, high=50_000
    )
    page_bytes: int = setting(
        2 * 2**20, "Bytes of rows of one sync answer, about.", low=10_000, high=24 * 2**20
    )
    overlap_seconds: int = setting(
        300,
        "How far behind the cursor changes are read again; longer than a commit can live.",
        low=60,
        high=3600,
    )
    clock_tolerance_seconds: int = setting(
        120,
        "A phone's clock may be ahead this much before its times are shifted.",
        low=0,
        high=3600,
    )
    clock_file: str = setting(
        "",
        "A file with how many ms the server's clock is ahead of this machine's, to show two days in a "
        "minute; empty: it is right. For demos and tests on one machine.",
    )
    push_attempts: int = setting(
        8, "How often a contended push decides anew before it answers 503.", low=1, high=50
    )
    receipt_days: int = setting(
        7, "How long a push's receipt is kept, days.", low=1, high=365, shown=True
    )

    retention_days: int = setting(
        180,
        "How long deleted records keep their data and can be undone, days.",
        low=1,
        high=3650,
        shown=True,
    )
    silent_days: int = setting(
        3,
        "A phone that was not heard of for so long counts as a problem, days.",
        low=1,
        high=365,
        shown=True,
    )

    lease_seconds: int = setting(
        600,
        "How long a job belongs to its worker; longer than the function lives.",
        low=5,
        high=3600,
    )
    job_attempts: int = setting(8, "Attempts before a job is parked.", low=1, high=100, shown=True)
    retry_base_seconds: float = setting(
        20.0, "First wait before a job is tried again; doubles, with jitter.", low=0.05, high=3600
    )
    retry_cap_seconds: float = setting(
        3600.0, "Longest wait before a job is tried again.", low=1, high=86_400
    )
    model_timeout_seconds: float = setting(
        110.0, "Longest wait for one model answer, seconds.", low=0.5, high=240
    )
    model_max_tokens: int = setting(1024, "Longest model answer, tokens.", low=128, high=8192)

    vertex_location: str = setting("europe-west4", "Region of the Vertex AI endpoint.")
    vertex_endpoint: str = setting(
        "", "The model's endpoint: its number, or projects/…/locations/…/endpoints/…."
    )
    vertex_dedicated: bool = setting(True, "Whether the endpoint has its own DNS name.")
    vertex_api_endpoint: str = setting(
        "", "Another address of the Vertex AI API (tests, private access); empty: Google's."
    )
    vertex_credentials: str = setting(
        "default",
        "Who calls Vertex AI: the function's own account, or nobody (a local test server).",
        choices=("default", "anonymous"),
    )

    model_url: str = setting(
        "",
        "Where MODEL=openai_compatible asks (vLLM, Ollama): https, or this machine, like "
        "http://127.0.0.1:11434/v1.",
    )
    model_name: str = setting("", "The model's name on the server at MODEL_URL.")
    model_api_key: str = setting("", "The key of the server at MODEL_URL, if any.", secret=True)
    ollama_url: str = setting(
        "http://127.0.0.1:11434/v1",
        "Where the model `ollama` is asked, by its OpenAI-compatible face.",
    )
    ollama_model: str = setting("", "The model's name there.")
    model_failures: int = setting(
        5, "Failures in a row after which the model is left alone for a while.", low=1, high=1000
    )
    model_rest_seconds: float = setting(
        60.0, "How long the model is left alone, seconds.", low=0.1, high=3600
    )
    daily_cost_cap: float = setting(
        0.0,
        "What the model may cost a day (UTC), by the prices below; analyses beyond it wait. 0: no cap.",
        low=0,
        high=1e6,
    )
    price_asked: float = setting(
        0.0, "Price of a million tokens of questions, any currency.", low=0, high=1e4
    )
    price_answered: float = setting(
        0.0, "Price of a million tokens of answers, same currency.", low=0, high=1e4
    )
    price_hour: float = setting(
        0.0, "Price of an hour of answering, for endpoints paid by the hour.", low=0, high=1e4
    )

    speech: str = setting(
        "off",
        "Who hears what people say to devices: nobody, Google Speech-to-Text, a server that speaks "
        "OpenAI's transcriptions, or PocketSphinx here (English, fixed phrases).",
        choices=("off", "google", "openai_compatible", "sphinx"),
        shown=True,
    )
    speech_url: str = setting(
        "",
        "Where SPEECH=openai_compatible asks: https, or this machine, like http://127.0.0.1:8000/v1; or "
        "another address of SPEECH=google (tests).",
    )
    speech_model: str = setting(
        "", "The model's name there; empty: `long` of Google's, else whisper-1."
    )
    speech_location: str = setting("global", "Region of Speech-to-Text.")
    speech_api_key: str = setting("", "The key of SPEECH=openai_compatible, if any.", secret=True)
    speech_timeout_seconds: float = setting(
        20.0, "Longest wait for what was said, seconds.", low=0.5, high=120
    )

    siglip_endpoint: str = setting(
        "",
        "Endpoint in VERTEX_LOCATION that embeds photos, for a second look at those that the phone did not "
        "score; empty: none.",
    )
    text_embedder: str = setting(
        "letters",
        "What tells whether something like it was said before: letters, or a model of sentences that runs "
        "here (the extra `sentences`).",
        choices=("letters", "sentences"),
    )
    notifier: str = setting(
        "log",
        "Who pokes phones and notifies reviewers when an analysis is there: nobody (a log line), or "
        "Firebase Cloud Messaging.",
        choices=("log", "fcm"),
        shown=True,
    )
    fcm_url: str = setting("", "Another address of FCM (tests); empty: Google's.")
    fcm_credentials: str = setting(
        "default",
        "Who calls FCM: the function's own account, or nobody (a local test server).",
        choices=("default", "anonymous"),
    )

    public_url: str = setting(
        "",
        "Where people reach this deployment, like https://care.example.org, for links in mails.",
    )
    passkey_host: str = setting(
        "",
        "The host that passkeys of the console are bound to for ever, PUBLIC_URL's or one above it, like "
        "care.example.org; empty: no passkeys.",
        shown=True,
    )
    mailer: str = setting(
        "off",
        "Who carries mails to people who forgot their password: nobody, or the server at SMTP_HOST.",
        choices=("off", "smtp"),
        shown=True,
    )
    smtp_host: str = setting("", "The mail server of MAILER=smtp.")
    smtp_port: int = setting(587, "Its port; 465 goes with SMTP_SECURITY=tls.", low=1, high=65_535)
    smtp_security: str = setting(
        "starttls",
        "How the way to it is secured: TLS after STARTTLS, TLS from the start, or nothing, for a server on "
        "this machine.",
        choices=("starttls", "tls", "none"),
    )
    smtp_user: str = setting("", "Who logs in there; empty: nobody does.")
    smtp_password: str = setting("", "The password of SMTP_USER.", secret=True)
    mail_from: str = setting("", "The sender of mails, like care@example.org.")

    kill_folder: str = setting(
        "",
        "Tests only: where the name of the next point to die at is found (shared/records/killpoints.py).",
    )
    k_service: str = setting("", "Set by Cloud Run: the service that this process is.")

    trace_exporter: str = setting(
        "none",
        "Where spans of requests and jobs go: nowhere, standard output, or Cloud Trace. "
        "OTEL_EXPORTER_OTLP_ENDPOINT is beside it.",
        choices=("none", "console", "cloud_trace"),
    )
    otel_exporter_otlp_endpoint: str = setting(
        "",
        "A collector that gets the spans, too, by OTLP over HTTP, like http://127.0.0.1:4318. Needs the "
        "extra `otlp`. Empty: none.",
    )
    otel_exporter_otlp_headers: str = setting(
        "", "Headers for the collector, like api-key=…, separated by commas.", secret=True
    )
    trace_share: float = setting(
        0.1,
        "Share of requests that are traced although their caller did not decide.",
        low=0,
        high=1,
    )

    log_level: str = setting(
        "INFO", "Least severe log line written.", choices=("DEBUG", "INFO", "WARNING", "ERROR")
    )

    def __post_init__(self) -> None:
        if self.google and not self.google_cloud_project:
            raise _absurd("GOOGLE_CLOUD_PROJECT", f"is needed with {self.google[0]}")
        self._demand_models()
        if self.speech == "openai_compatible" and not self.speech_url:
            raise _absurd("SPEECH_URL", "is needed with SPEECH=openai_compatible")
        if self.daily_cost_cap and not (self.price_asked or self.price_answered or self.price_hour):
            raise _absurd("DAILY_COST_CAP", "needs PRICE_ASKED, PRICE_ANSWERED or PRICE_HOUR")
        if not re.fullmatch(r"(\d{1,6}(\.\d{1,6}){0,3})?", self.min_app_version):
            raise _absurd("MIN_APP_VERSION", "must be numbers like 1.4.0")
        if self.kill_folder and self.k_service:
            raise _absurd("KILL_FOLDER", "is for tests and must not be set on Cloud Run")
        if self.clock_file and self.k_service:
            raise _absurd("CLOCK_FILE", "is for demos and must not be set on Cloud Run")
        for name in ("page_secret", "files_secret", "accounts_secret", "hooks_secret"):
            if 0 < len(getattr(self, name)) < 32:
                raise _absurd(name.upper(), "needs at least 32 characters")
        if self.key_store == "secret_manager" and not (self.token_jwks or self.token_jwks_url):
            raise _absurd("TOKEN_JWKS_URL", "is needed with KEY_STORE=secret_manager")
        if self.file_store == "gcs" and not self.files_bucket:
            raise _absurd("FILES_BUCKET", "is needed with FILE_STORE=gcs")
        if not re.fullmatch(r"([a-z0-9][a-z0-9._-]{1,220}[a-z0-9])?", self.files_bucket):
            raise _absurd("FILES_BUCKET", "must be a bucket's name")
        try:
            _ = self.networks
        except ValueError:
            raise _absurd("HOOK_NETWORKS", "must be networks like 10.20.0.0/16") from None
        if self.oidc_issuer and not self.oidc_audience:
            raise _absurd("OIDC_AUDIENCE", "is needed with OIDC_ISSUER")
        if self.oidc_issuer and self.oidc_issuer == self.token_issuer:
            raise _absurd("OIDC_ISSUER", "must not be TOKEN_ISSUER")
        for name in (
            *("token_jwks_url", "oidc_issuer", "oidc_jwks_url"),
            *("model_url", "ollama_url", "speech_url", "fcm_url", "files_endpoint"),
        ):
            if re.fullmatch(_USER_INFO, getattr(self, name), re.DOTALL):
                # It would stand in logs and in errors of libraries.
                key = _KEYS_BELONG.get(name, "")
                raise _absurd(name.upper(), f"must have no user and no password in it{key}")
            if not re.fullmatch(_HTTPS, getattr(self, name)):
                raise _absurd(name.upper(), "must be an https address")
        collector = self.otel_exporter_otlp_endpoint
        if collector and not re.fullmatch(_COLLECTOR, collector):
            raise _absurd("OTEL_EXPORTER_OTLP_ENDPOINT", "must be like http://127.0.0.1:4318")
        safe = collector and re.fullmatch(_HTTPS, collector)
        if self.otel_exporter_otlp_headers and not safe:
            # else everybody on the way would read them
            raise _absurd("OTEL_EXPORTER_OTLP_HEADERS", "needs a collector at an https address")
        if not re.fullmatch(r"[\w.-]*", self.source_commit, re.ASCII):
            raise _absurd("SOURCE_COMMIT", "must be letters, digits, dots and dashes")
        if not all(re.fullmatch(_ORIGIN, origin) for origin in self.origins):
            raise _absurd("CORS_ORIGINS", "must be exact origins like https://review.example.org")
        if self.rate_limits and not re.fullmatch(_RATES, self.rate_limits):
            raise _absurd("RATE_LIMITS", "must be like log-ins=300/60,first-syncs=0/600")
        if self.public_url and not re.fullmatch(_ORIGIN, self.public_url):
            raise _absurd("PUBLIC_URL", "must be an origin like https://care.example.org")
        self._demand_mail()
        at = urlsplit(self.public_url).hostname or ""
        named = self.passkey_host
        if named and not (re.fullmatch(_NAME, named) and f".{at}".endswith(f".{named}")):
            # a browser makes no passkey for an address in numbers, nor for another host
            raise _absurd("PASSKEY_HOST", "must be the name of PUBLIC_URL's host, or end it")
        if self.lease_seconds <= self.model_timeout_seconds:
            raise _absurd("LEASE_SECONDS", "must be longer than MODEL_TIMEOUT_SECONDS")
        if self.max_inflated_bytes < self.max_body_bytes:
            raise _absurd("MAX_INFLATED_BYTES", "must not be smaller than MAX_BODY_BYTES")

    def _demand_models(self) -> None:
        """Every model that may be asked has what it needs."""
        for variable, named in (
            ("MODEL_ORDER", self.model_order.split(",")),
            ("MODEL_TASKS", [each for order in self.orders.values() for each in order]),
        ):
            if unknown := {each.strip() for each in named} - {"", *MODELS}:
                raise _absurd(variable, f"must name {', '.join(MODELS)}, not {min(unknown)}")
        if self.model_tasks and not re.fullmatch(_ORDERS, self.model_tasks):
            raise _absurd("MODEL_TASKS", "must be like understand=ollama+vertex")
        if self.model_budgets and not re.fullmatch(_BUDGETS, self.model_budgets):
            raise _absurd("MODEL_BUDGETS", "must be like understand=2.5")
        for name in dict.fromkeys((*self.order(), *sum(self.orders.values(), ()))):
            for needed in _MODEL_NEEDS.get(name, ()):
                if not getattr(self, needed):
                    raise _absurd(needed.upper(), f"is needed with MODEL={name}")

    def order(self, task: str = "") -> tuple[str, ...]:
        """The models that a task asks, in their order."""
        general = tuple(each.strip() for each in self.model_order.split(",") if each.strip())
        return self.orders.get(task) or general or (self.model,)

    @property
    def orders(self) -> dict[str, tuple[str, ...]]:
        """The orders of `model_tasks`."""
        pairs = (each.partition("=") for each in self.model_tasks.split(",") if each.strip())
        return {name.strip(): tuple(order.strip().split("+")) for name, _, order in pairs}

    def budget(self, task: str) -> float | None:
        """What a task may cost a day by itself; None: it has no budget of its own."""
        pairs = (each.partition("=") for each in self.model_budgets.split(",") if each.strip())
        found = {name.strip(): float(amount) for name, _, amount in pairs}
        return found.get(task)

    def _demand_mail(self) -> None:
        if self.mailer == "off":
            return
        for name, pattern in (("smtp_host", _HOST), ("mail_from", _SENDER), ("public_url", ".+")):
            if not re.fullmatch(pattern, getattr(self, name)):
                raise _absurd(name.upper(), f"is needed with MAILER={self.mailer}")
        if self.smtp_security == "none" and self.smtp_host not in _HERE:
            # else everybody on the way could read the codes, and the password
            raise _absurd("SMTP_SECURITY", "may be none for a server on this machine alone")
        if self.smtp_user and not self.smtp_password:
            raise _absurd("SMTP_PASSWORD", "is needed with SMTP_USER")

    @property
    def google(self) -> tuple[str, ...]:
        """The settings that choose a service of Google's."""
        chosen = {
            "RECORD_STORE=firestore": self.record_store == "firestore",
            "JOB_QUEUE=pubsub": self.job_queue == "pubsub",
            "MODEL=vertex": "vertex" in (*self.order(), *sum(self.orders.values(), ())),
            "FILE_STORE=gcs": self.file_store == "gcs",
            "KEY_STORE=secret_manager": self.key_store == "secret_manager",
            "TRACE_EXPORTER=cloud_trace": self.trace_exporter == "cloud_trace",
            "NOTIFIER=fcm": self.notifier == "fcm",
            "SIGLIP_ENDPOINT": bool(self.siglip_endpoint),
            "SPEECH=google": self.speech == "google",
        }
        return tuple(name for name, is_so in chosen.items() if is_so)

    @property
    def version(self) -> str:
        """Which release this code is."""
        return VERSION

    @property
    def release(self) -> str:
        """The version, and the commit if the deployment names it: `0.1.0+1a2b3c4` (semver.org)."""
        return f"{VERSION}+{self.source_commit}" if self.source_commit else VERSION

    @property
    def factor_roles(self) -> frozenset[str]:
        """The roles of `totp_roles`."""
        return frozenset(each.strip() for each in self.totp_roles.split(",") if each.strip())

    @property
    def networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """The networks of `hook_networks`."""
        return tuple(ip_network(each.strip()) for each in self.hook_networks.split(",") if each)

    @property
    def origins(self) -> tuple[str, ...]:
        """The origins of `cors_origins`."""
        return tuple(each.strip() for each in self.cors_origins.split(",") if each.strip())

    @property
    def data_path(self) -> Path:
        """The data folder, made on first use, and this process's files are private from then on."""
        return private_folder(Path(self.data_folder))


def private_folder(path: Path, *, all_of_it: bool = False) -> Path:
    """A folder that only its owner may enter, and whose new files only its owner may read.

    Sets the umask of this process, which children inherit: SQLite, the logs and the emulators choose
    modes of their own. A folder that is there with wider modes is mended, with `all_of_it` everything
    in it too. Raises `ConfigurationFault` if that cannot be.
    """
    os.umask(0o077)
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.stat().st_mode & stat.S_ISVTX:  # as /tmp: others could no longer work
        raise _absurd("DATA_FOLDER", "must be a folder of its own")
    _mend(path.resolve())
    for folder, folders, files in os.walk(path) if all_of_it else ():
        for name in (*folders, *files):
            with suppress(FileNotFoundError):  # a log or a draft that ended meanwhile
                _mend(Path(folder, name))
    return path


def _mend(path: Path) -> None:
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode) or not mode & 0o077:
        return
    try:
        path.chmod(stat.S_IMODE(mode) & ~0o077)
    except PermissionError as error:
        raise _absurd(
            "DATA_FOLDER", "holds what belongs to another user of this machine"
        ) from error


def _absurd(variable: str, problem: str) -> ConfigurationFault:
    return ConfigurationFault(f"{variable} {problem}", field=variable)


def _parse(name: str, kind: str, text: str, meta: Mapping[str, Any]) -> Any:
    variable = name.upper()
    try:
        value: Any = _PARSERS[kind](text)
    except ValueError:
        raise _absurd(variable, f"must be of type {kind}") from None
    if meta["choices"] and value not in meta["choices"]:
        raise _absurd(variable, f"must be one of {', '.join(meta['choices'])}")
    low, high = meta["low"], meta["high"]
    # `not >=` rather than `<`, so that NaN is refused too.
    if (low is not None and not value >= low) or (high is not None and not value <= high):
        raise _absurd(variable, f"must be from {low} to {high}")
    return value


def _parse_bool(text: str) -> bool:
    if text.lower() in ("true", "1", "yes"):
        return True
    if text.lower() in ("false", "0", "no"):
        return False
    raise ValueError(text)


_PARSERS: dict[str, Callable[[str], Any]] = {
    "str": str,
    "int": int,
    "float": float,
    "bool": _parse_bool,
}


def load(environ: Mapping[str, str]) -> Settings:
    """Settings from a mapping like `os.environ`; an empty value counts as absent.

    Raises `ConfigurationFault` naming the variable that is missing or absurd.
    """
    return read(environ, Settings)


def read(environ: Mapping[str, str], kind: type[Kind]) -> Kind:
    """As `load`: `setting` fields such as a product's own (`shared.products.known.settings_of`)."""
    given: dict[str, Any] = {}
    for spec in fields(cast(Any, kind)):
        text = environ.get(spec.name.upper(), "").strip()
        if text:
            given[spec.name] = _parse(spec.name, str(spec.type), text, spec.metadata)
    return kind(**given)


@cache
def current() -> Settings:
    """The settings of this process, read once."""
    return load(os.environ)


def own(kind: type[Kind]) -> Kind:
    """What a product adds to the settings of this process. `wiring.begin` has seen that it makes sense."""
    return read(os.environ, kind)


def misspelt(known: Collection[str], environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Variables that are no setting but nearly spelt like one: each with the setting it is near to.

    `known` are the names of all that are settings (`shared.products.known.variables`). Of this process,
    unless a mapping is given. Other programs have variables of their own, so that this is for a warning,
    never for a refusal.
    """
    names, settings = os.environ if environ is None else environ, frozenset(known)
    found = {name: _nearest(name, settings) for name in names if name not in settings}
    return {name: meant for name, meant in found.items() if meant}


@lru_cache(maxsize=1024)
def _nearest(name: str, known: frozenset[str]) -> str:
    """The setting that a name is nearly spelt like, or nothing. Remembered: it compares a lot."""
    if len(name) < _SLIP_LETTERS:
        return ""
    long = [each for each in known if abs(len(each) - len(name)) <= _SLIP_LONGER]
    return next(iter(get_close_matches(name.upper(), long, 1, _SLIP_SIMILAR)), "")


def example(variables: Mapping[str, Field[Any]]) -> str:
    """The text of `.env.example`: every variable with its sentence, range and default."""
    lines = ["# Generated by: python -m infra.env_example > .env.example", ""]
    for name, spec in variables.items():
        meta = spec.metadata
        notes = [meta["doc"]]
        if meta["choices"]:
            notes.append(f"One of: {', '.join(meta['choices'])}.")
        elif meta["low"] is not None:
            notes.append(f"From {meta['low']} to {meta['high']}.")
        lines.append("# " + " ".join(notes))
        value = "" if meta["secret"] else str(spec.default)
        lines += [f"#{name}={value}", ""]
    return "\n".join(lines)
