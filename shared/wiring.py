"""Who is who in this process: settings choose adapters, adapters are made on first use.

The only module that names adapters, and it imports each only when it is asked for: a function pays
for what it uses. Everything made here is shared by the process's threads.
"""

from __future__ import annotations

import gc
import logging
import os
import pwd
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from shared import telemetry
from shared.access.audit import OPERATOR, Anchor, Sealer, told
from shared.access.membership import Caller
from shared.access.rights import Action
from shared.accounts import rates, tokens
from shared.accounts.jwks import RemoteKeys
from shared.accounts.keys import (
    CombinedKeys,
    JwksText,
    KeyStore,
    PublishedKeys,
    RingKeys,
    TokenPolicy,
    VerificationKeys,
)
from shared.accounts.oidc import OUTSIDE_ALGORITHMS, discovered
from shared.accounts.policy import AccountPolicy
from shared.ai.model import ChatRequest, Completion, Model
from shared.errors import ConfigurationFault, FileMissing, StoreUnavailable
from shared.files.file import CHECK, ONE_REQUEST, Attachment
from shared.files.store import FileStore
from shared.files.tickets import Tickets
from shared.jobs.cascade import KIND as CASCADE
from shared.jobs.cascade import Cascade
from shared.jobs.job import RetryPolicy
from shared.jobs.queue import Doorbell
from shared.jobs.queue_down import ring as ring_for
from shared.jobs.restore import KIND as RESTORE
from shared.jobs.restore import Restore
from shared.jobs.runner import Runner, Task
from shared.jobs.sweep import Sweeper
from shared.jobs.transfer import KIND as TRANSFER
from shared.jobs.transfer import Transfer
from shared.notify.notice import Deliveries, LogNotifier, Notifier
from shared.products.known import named, settings_of, variables
from shared.products.product import Parts, Product
from shared.records import killpoints
from shared.records.bell import Bell
from shared.records.collection import Catalog
from shared.records.store import RecordStore
from shared.settings import Settings, current, misspelt, own
from shared.sync import receipts
from shared.sync.pull import Puller
from shared.sync.push import Pusher
from shared.sync.retention import Purger
from shared.sync.session import SyncSession

if TYPE_CHECKING:
    from shared.accounts.forgotten import Letter
    from shared.accounts.passkeys import PasskeyHost
    from shared.accounts.services import AccountServices
    from shared.adapters.folder import Opened
    from shared.ai.conversation import Terms
    from shared.ai.embedding import Embedder
    from shared.ai.speech import Transcriber
    from shared.files.cleaning import Cleaner
    from shared.files.uploads import Uploads
    from shared.hooks.deliver import Poster
    from shared.hooks.fan_out import FanOut
    from shared.hooks.hooks import Hooks
    from shared.jobs.subscriber import Subscriber
    from shared.notify.mail import Mailer

log = logging.getLogger(__name__)

#: Models that cost nothing to ask: they run on machines of one's own.
FREE_MODELS = frozenset({"ollama", "scripted"})

#: Starts of functions, and stores, in one process after which what is there is kept: what a process
#: begins later, as tests do thousands of times, it may throw away again.
_MOST_KEEPS = 32
_keeps = count()


def settings() -> Settings:
    """The settings of this process."""
    return current()


def forget() -> None:
    """Drop all that was made of the settings: this process goes on with those of its environment now."""
    if store.cache_info().currsize:
        store().close()
    for value in list(globals().values()):
        if hasattr(value, "cache_clear"):
            value.cache_clear()


def all_settings() -> tuple[Any, ...]:
    """The settings of this process, and those that its product adds: dataclasses of `setting` fields."""
    added = settings_of(settings().product)
    return (settings(),) if added is None else (settings(), own(added))


def begin() -> Settings:
    """Start a function: read the settings (a bad one stops here, by name) and start its logs."""
    chosen = current()
    traced = chosen.trace_exporter != "none" or chosen.otel_exporter_otlp_endpoint
    telemetry.start(
        chosen.release,
        chosen.log_level,
        chosen.google_cloud_project,
        export=_trace_exporter if traced else None,
        share=chosen.trace_share,
    )
    if (added := settings_of(chosen.product)) is not None:
        own(added)
    for variable, meant in misspelt(variables(chosen.product)).items():
        log.warning("misspelt setting", extra={"setting": variable, "meant": meant})
    rates.demand_known(chosen.rate_limits)
    if chosen.totp_roles:
        product().accounts.demand_factor_roles(chosen.factor_roles)
    if chosen.token_jwks:
        verification_keys()
    if chosen.kill_folder:
        killpoints.arm(Path(chosen.kill_folder))
    _keep()
    return chosen


def _keep() -> None:
    """Let what is there by now, modules above all, be looked through for cycles no more.

    It stays as long as the process. To look through all of it takes 40 ms and more, in which no thread goes
    on, and Python does so every few large pushes.
    """
    if next(_keeps) < _MOST_KEEPS:
        gc.freeze()


def _trace_exporter() -> telemetry.Export:
    """Where spans go; loaded after the first answer, by the thread that sends them."""
    from shared.adapters.traces import exporter

    chosen = settings()
    return exporter(
        chosen.trace_exporter,
        chosen.google_cloud_project,
        chosen.k_service or chosen.product,
        chosen.release,
        collector=chosen.otel_exporter_otlp_endpoint,
        headers=chosen.otel_exporter_otlp_headers,
    )


class _TracedDoorbell:
    """Rings within a span, and tells the subscriber of it: its work belongs to the same trace."""

    def __init__(self, inner: Doorbell) -> None:
        self._inner = inner

    def ring(self, bell: Bell) -> None:
        with telemetry.span(f"ring {bell.kind}", kind="producer"):
            self._inner.ring(bell._replace(trace=telemetry.traceparent()))

    def close(self) -> None:
        self._inner.close()


class _TracedModel:
    """Asks within a span."""

    def __init__(self, inner: Model) -> None:
        self._inner = inner

    def ask(self, question: ChatRequest, timeout_seconds: float) -> Completion:
        with telemetry.span("ask model", kind="client") as span:
            answer = self._inner.ask(question, timeout_seconds)
            span.note("gen_ai.response.model", answer.model)
            return answer


def clock_ms() -> int:
    """The server's clock, Unix ms. It is this machine's, but where CLOCK_FILE moves it."""
    file = settings().clock_file
    ahead_ms = int(Path(file).read_text("ascii")) if file else 0
    return time.time_ns() // 1_000_000 + ahead_ms


@cache
def product() -> Product:
    """The product that this deployment serves."""
    return named(settings().product)


@cache
def parts() -> Parts:
    """What this deployment has, for the product to make its own things of."""
    return Parts(
        *(settings(), clock_ms, store, files, catalog, pusher, terms, embedder, transcriber),
        *(notifier, mailer, ring, hook_poster, hooks_secret),
    )


@cache
def catalog() -> Catalog:
    """The product's tables."""
    return product().catalog(settings())


def attachments() -> Mapping[str, Attachment]:
    """The tables whose records have files."""
    return product().attachments()


def file_bytes() -> int:
    """How large the largest file may be."""
    most = settings().file_bytes
    return max((each.most_bytes or most for each in attachments().values()), default=most)


def form_bytes() -> int:
    """How large the largest file of one request may be."""
    return min(file_bytes(), ONE_REQUEST)


class _Asking(Protocol):
    def bearer(self) -> str: ...

    def admit(self, account: str) -> None: ...


def caller(call: _Asking) -> Caller:
    """Who is asking, by the access token. Raises `Unauthenticated`, `KeysUnavailable`, `TooManyTries`."""
    found = tokens.verify(call.bearer(), verification_keys(), token_policy(), clock_ms() / 1000)
    call.admit(found.user_id)
    return found


def ring(bells: Sequence[Bell]) -> None:
    """Ring for jobs that were just stored. Never raises; the sweeper rings for what is not heard."""
    ring_for(doorbell, bells)


@cache
def store() -> RecordStore:
    """The record store."""
    made = _store()
    _keep()  # Google's client is much, and loaded only now
    return made


def _store() -> RecordStore:
    chosen = settings()
    if chosen.record_store == "firestore":
        from shared.adapters.firestore import FirestoreStore

        return FirestoreStore(
            chosen.google_cloud_project,
            chosen.firestore_database,
            overlap_seconds=chosen.overlap_seconds,
        )
    from shared.adapters.sqlite import SqliteStore

    return SqliteStore(chosen.data_path / "records.db")


def demand_room() -> None:
    """Raises `StoreUnavailable` if the disk of the data folder is nearly full: commits would soon fail."""
    chosen = settings()
    if chosen.record_store == "sqlite":
        left = shutil.disk_usage(chosen.data_path).free // 2**20
        if left < chosen.least_free_megabytes:
            raise StoreUnavailable(f"The disk of the data folder has {left} MB left.")


@cache
def files() -> FileStore:
    """The file store."""
    chosen = settings()
    if chosen.file_store == "gcs":
        from shared.adapters.gcs import GcsFiles

        return GcsFiles(
            chosen.google_cloud_project, chosen.files_bucket, endpoint=chosen.files_endpoint
        )
    from shared.adapters.folder import FolderFiles

    return FolderFiles(chosen.data_path / "files", files_secret(), clock_ms)


def open_link(token: str) -> Opened:
    """What a link of our own leads to. Raises `FileMissing` (`link_invalid`) and `LinkExpired`."""
    from shared.adapters.folder import FolderFiles

    there = files()
    if not isinstance(there, FolderFiles):
        raise FileMissing("This link leads nowhere.", code="link_invalid")
    return there.open_link(token, clock_ms())


@cache
def files_secret() -> bytes:
    """Signs the folder's links; the same in every process."""
    chosen = settings()
    if chosen.files_secret:
        return chosen.files_secret.encode()
    from shared.adapters.file_keys import FileKeys

    return FileKeys(chosen.data_path / "keys").secret("files")


@cache
def doorbell() -> Doorbell:
    """The queue's doorbell."""
    chosen = settings()
    if chosen.job_queue == "pubsub":
        from shared.adapters.pubsub import PubSubDoorbell

        return _TracedDoorbell(PubSubDoorbell(chosen.google_cloud_project, chosen.topic_prefix))
    from shared.adapters.sqlite_queue import FILE_NAME, SqliteDoorbell

    return _TracedDoorbell(SqliteDoorbell(chosen.data_path / FILE_NAME))


@cache
def verification_keys() -> VerificationKeys:
    """Public keys that access tokens are checked against: ours, and those of an outside issuer."""
    outside = _outside_keys()
    return own_keys() if outside is None else CombinedKeys((own_keys(), outside))


@cache
def own_keys() -> PublishedKeys:
    """Public keys of our own tokens."""
    chosen = settings()
    if chosen.token_jwks:
        return JwksText(chosen.token_jwks)
    if chosen.token_jwks_url:
        from shared.adapters.http_get import get

        return RemoteKeys(lambda: get(chosen.token_jwks_url), time.time)
    from shared.adapters.file_keys import FileKeys

    return FileKeys(chosen.data_path / "keys")


def _outside_keys() -> VerificationKeys | None:
    chosen = settings()
    if not chosen.oidc_issuer:
        return None
    from shared.adapters.http_get import get

    fetch = discovered(chosen.oidc_issuer, get)
    if chosen.oidc_jwks_url:
        fetch = lambda: get(chosen.oidc_jwks_url)  # noqa: E731
    policy = TokenPolicy(
        chosen.oidc_issuer,
        chosen.oidc_audience,
        chosen.token_leeway_seconds,
        account_policy().newcomer,
        types=tuple(each.lower() for each in chosen.oidc_token_type.split(",")),
    )
    return RemoteKeys(fetch, time.time, algorithms=OUTSIDE_ALGORITHMS, outside=policy)


def key_store() -> KeyStore:
    """Where the private keys are. Only the accounts function and operators may ask."""
    chosen = settings()
    if chosen.key_store == "secret_manager":
        from shared.adapters.secret_manager_keys import SecretManagerKeys

        return SecretManagerKeys(
            chosen.google_cloud_project,
            chosen.signing_keys_secret,
            endpoint=chosen.secret_manager_endpoint,
        )
    from shared.adapters.file_keys import FileKeys

    return FileKeys(chosen.data_path / "keys")


@cache
def signing_keys() -> RingKeys:
    """The private keys that sign access tokens; the first is made on one machine's own files."""
    return RingKeys(key_store(), time.time, make=settings().key_store == "files")


@cache
def accounts_verification_keys() -> VerificationKeys:
    """What the accounts function checks tokens against: the ring itself, nothing fetched from itself."""
    outside = _outside_keys()
    return signing_keys() if outside is None else CombinedKeys((signing_keys(), outside))


@cache
def accounts_secret() -> bytes:
    """Keys the hashes of the accounts function; the same in every instance."""
    chosen = settings()
    if chosen.accounts_secret:
        return chosen.accounts_secret.encode()
    if chosen.key_store != "files":  # no folder that instances share
        raise ConfigurationFault(
            f"ACCOUNTS_SECRET is needed with KEY_STORE={chosen.key_store}", field="ACCOUNTS_SECRET"
        )
    from shared.adapters.file_keys import FileKeys

    return FileKeys(chosen.data_path / "keys").secret("accounts")


def account_policy() -> AccountPolicy:
    """What the product decides about accounts."""
    return product().accounts


@cache
def accounts() -> AccountServices:
    """Registration, log-in, sessions, members, invites, scopes."""
    from shared.accounts.passwords import Passwords
    from shared.accounts.services import account_services
    from shared.accounts.session import Life

    chosen = settings()
    return account_services(
        store(),
        policy=account_policy(),
        passwords=Passwords(),
        keys=signing_keys(),
        token_policy=token_policy(),
        secret=accounts_secret(),
        factor_roles=chosen.factor_roles,
        of_users=catalog().of_users,
        tables=tuple(catalog().by_name),
        life=Life(chosen.refresh_days * 86_400_000, chosen.session_days * 86_400_000),
        post=_post(),
        address=chosen.public_url,
        administrators=product().rights.allowed.get(Action.ADMINISTER, frozenset()),
        host=_passkey_host(),
    )


def _passkey_host() -> PasskeyHost | None:
    from shared.accounts.passkeys import PasskeyHost

    chosen = settings()
    if not chosen.passkey_host:
        return None
    return PasskeyHost(chosen.passkey_host, chosen.public_url, product().title)


@cache
def console_accounts() -> AccountServices:
    """The same for the console: sessions of browsers end sooner."""
    from shared.accounts.session import Life

    chosen, whole = settings(), accounts()
    life = Life(chosen.console_idle_minutes * 60_000, chosen.console_hours * 3_600_000)
    issuer = replace(whole.login.issuer, life=life)
    return replace(
        whole,
        login=replace(whole.login, issuer=issuer),
        sessions=replace(whole.sessions, issuer=issuer),
    )


@cache
def mailer() -> Mailer | None:
    """Who carries mail; None: no mail is sent."""
    chosen = settings()
    if chosen.mailer == "off":
        return None
    from shared.adapters.smtp import SmtpMailer

    return SmtpMailer(
        chosen.smtp_host,
        chosen.smtp_port,
        security=chosen.smtp_security,
        sender=chosen.mail_from,
        user=chosen.smtp_user,
        password=chosen.smtp_password,
    )


def _post() -> Callable[[Letter | None], None] | None:
    """Sends letters beside whoever asks; None: no mail is sent."""
    carrier = mailer()
    if carrier is None:
        return None
    from shared.notify.mail import Mail, Outbox

    outbox = Outbox(carrier)
    return lambda letter: outbox.put(None if letter is None else Mail(*letter))


def photo_origin() -> str:
    """The origin beside our own that pages show photos from; empty: there is none."""
    chosen = settings()
    if chosen.file_store != "gcs":
        return ""
    return chosen.files_endpoint.rstrip("/") or "https://storage.googleapis.com"


def audit_heads() -> Path | None:
    """The file outside the store that gets each new head of the audit trail; None: only the logs do."""
    chosen = settings()
    if chosen.audit_heads:
        return Path(chosen.audit_heads)
    return chosen.data_path / "audit-heads.jsonl" if chosen.record_store == "sqlite" else None


def _keep_head(head: Anchor) -> None:
    path = audit_heads()
    if path is None:
        return
    try:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a") as file:
            file.write(told(head))
    except OSError as error:  # the trail goes on: the line is in the log, too
        log.error("audit head not kept", extra={"code": type(error).__name__})


def operator() -> Caller:
    """Whoever works at the command line, by the name that the trail gets."""
    try:
        here = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container's user without a name
        here = f"user {os.getuid()}"
    return replace(OPERATOR, name=settings().operator or here)


def token_policy() -> TokenPolicy:
    """What every access token must say."""
    chosen = settings()
    return TokenPolicy(
        chosen.token_issuer,
        chosen.token_audience,
        chosen.token_leeway_seconds,
        account_policy().newcomer,
        product().rights.roles,
        product().user_claim,
    )


@cache
def page_secret() -> bytes:
    """Signs page tokens; the same in every instance."""
    from shared.adapters.file_keys import FileKeys

    chosen = settings()
    if chosen.page_secret:
        return chosen.page_secret.encode()
    return FileKeys(chosen.data_path / "keys").page_secret()


@cache
def model(name: str = "") -> Model:
    """A language model by its name in the settings; empty: the one of MODEL."""
    chosen = settings()
    name = name or chosen.model
    if name == "vertex":
        from shared.adapters.vertex import VertexModel

        return VertexModel(
            project=chosen.google_cloud_project,
            location=chosen.vertex_location,
            endpoint=chosen.vertex_endpoint,
            dedicated=chosen.vertex_dedicated,
            api_endpoint=chosen.vertex_api_endpoint,
            credentials=chosen.vertex_credentials,
        )
    if name == "openai_compatible":
        from shared.adapters.openai_compatible import OpenAiCompatibleModel

        return OpenAiCompatibleModel(
            url=chosen.model_url, model=chosen.model_name, api_key=chosen.model_api_key
        )
    if name == "ollama":
        from shared.adapters.openai_compatible import OpenAiCompatibleModel

        return OpenAiCompatibleModel(url=chosen.ollama_url, model=chosen.ollama_model)
    from shared.adapters.scripted import ScriptedModel

    return ScriptedModel(product().draft)


def terms(task: str = "") -> Terms:
    """How language models are asked for a task, in which order, and what that may cost.

    Health is a task's own: a model that fails at one is still asked for another.
    """
    return _terms(task)


@cache
def _terms(task: str) -> Terms:
    from shared.ai.breaker import Breaker
    from shared.ai.conversation import Provider, Terms
    from shared.ai.spending import Prices, SpendingCap

    chosen = settings()

    def guarded(name: str) -> Breaker:
        return Breaker(
            _TracedModel(model(name)),
            failures=chosen.model_failures,
            rest_seconds=chosen.model_rest_seconds,
        )

    first, *others = chosen.order(task)
    own_budget = chosen.budget(task)
    cap = chosen.daily_cost_cap if own_budget is None else own_budget
    return Terms(
        guarded(first),
        chosen.model_max_tokens,
        chosen.model_timeout_seconds,
        prices=Prices(chosen.price_asked, chosen.price_answered, chosen.price_hour),
        spending_cap=SpendingCap(store(), cap, clock_ms, "" if own_budget is None else task)
        if cap
        else None,
        name=first,
        own_prices=Prices() if others and first in FREE_MODELS else None,
        instead=tuple(
            Provider(name, guarded(name), Prices() if name in FREE_MODELS else None)
            for name in others
        ),
    )


@cache
def embedder() -> Embedder | None:
    """The model that places texts and photos, or texts alone; None: there is none."""
    chosen = settings()
    if not chosen.siglip_endpoint:
        if chosen.text_embedder == "sentences":
            from shared.adapters.sentences import Sentences

            return Sentences()
        return None
    from shared.adapters.vertex import VertexEmbedder

    return VertexEmbedder(
        project=chosen.google_cloud_project,
        location=chosen.vertex_location,
        endpoint=chosen.siglip_endpoint,
        api_endpoint=chosen.vertex_api_endpoint,
        credentials=chosen.vertex_credentials,
    )


@cache
def transcriber() -> Transcriber | None:
    """Who hears what people say; None: nobody."""
    chosen = settings()
    if chosen.speech == "google":
        from shared.adapters.google_speech import GoogleSpeech

        return GoogleSpeech(
            project=chosen.google_cloud_project,
            location=chosen.speech_location,
            model=chosen.speech_model or "long",
            endpoint=chosen.speech_url,
        )
    if chosen.speech == "openai_compatible":
        from shared.adapters.openai_speech import OpenAiSpeech

        return OpenAiSpeech(
            url=chosen.speech_url,
            model=chosen.speech_model or "whisper-1",
            api_key=chosen.speech_api_key,
        )
    if chosen.speech == "sphinx":
        from shared.adapters.sphinx import SphinxSpeech

        return SphinxSpeech()
    return None


@cache
def notifier() -> Notifier:
    """Sends to phones."""
    chosen = settings()
    if chosen.notifier != "fcm":
        return LogNotifier()
    from shared.adapters.fcm import FcmNotifier

    return FcmNotifier(
        chosen.google_cloud_project,
        product().alert,
        url=chosen.fcm_url,
        credentials=chosen.fcm_credentials,
    )


@cache
def deliveries() -> Deliveries:
    """Pokes phones, and alerts those who are to look at a result."""
    return Deliveries(store(), catalog(), notifier(), clock_ms)


@cache
def hooks_secret() -> bytes:
    """What the secrets of endpoints are made of; the same in every instance."""
    chosen = settings()
    if chosen.hooks_secret:
        return chosen.hooks_secret.encode()
    if chosen.key_store != "files":  # no folder that instances share
        raise ConfigurationFault(
            f"HOOKS_SECRET is needed with KEY_STORE={chosen.key_store}", field="HOOKS_SECRET"
        )
    from shared.adapters.file_keys import FileKeys

    return FileKeys(chosen.data_path / "keys").secret("hooks")


@cache
def hooks() -> Hooks:
    """The endpoints of scopes."""
    from shared.hooks.hooks import Hooks

    return Hooks(store(), catalog(), product().events, hooks_secret, settings().networks)


@cache
def hook_poster() -> Poster:
    """Posts events to endpoints."""
    from shared.adapters.hook_post import HookPost

    return HookPost(settings().networks)


@cache
def fan_out() -> FanOut:
    """Makes deliveries of events."""
    from shared.hooks.fan_out import FanOut

    return FanOut(store(), ring, clock_ms)


@cache
def pusher() -> Pusher:
    """The write path."""
    chosen = settings()
    return Pusher(
        store(),
        catalog(),
        attempts=chosen.push_attempts,
        clock_tolerance_ms=chosen.clock_tolerance_seconds * 1000,
        receipt_days=chosen.receipt_days,
    )


@cache
def puller() -> Puller:
    """The read path."""
    chosen = settings()
    return Puller(
        store(),
        catalog(),
        secret=page_secret(),
        overlap_ms=chosen.overlap_seconds * 1000,
        side_by_side=chosen.record_store == "firestore",
    )


@cache
def session() -> SyncSession:
    """A phone's sync: the write path, the bells, the read path."""
    return SyncSession(pusher(), puller(), ring)


@cache
def tickets() -> Tickets:
    """Answers phones that have files."""
    chosen = settings()
    return Tickets(
        store(),
        attachments(),
        catalog(),
        most_bytes=chosen.file_bytes,
        keep_ms=chosen.upload_days * 86_400_000,
    )


@cache
def uploads() -> Uploads:
    """Takes files, and gives links to them."""
    from shared.files.uploads import Uploads

    chosen = settings()
    return Uploads(
        store(),
        files(),
        catalog(),
        keep_ms=chosen.upload_days * 86_400_000,
        link_seconds=chosen.link_seconds,
    )


@cache
def cleaner() -> Cleaner:
    """Removes files that belong to nothing."""
    from shared.files.cleaning import Cleaner

    return Cleaner(store(), files)


@cache
def runner() -> Runner:
    """Runs jobs of every kind."""
    from shared.files.checking import Check
    from shared.hooks.deliver import Deliver
    from shared.hooks.fan_out import KIND as HOOKS

    chosen = settings()
    tasks: dict[str, Task] = {
        CHECK: Check(store(), files, attachments(), product().photo_limits, doorbell),
        CASCADE: Cascade(store(), catalog(), clock_ms),
        RESTORE: Restore(store(), catalog(), clock_ms),
        TRANSFER: Transfer(store(), catalog(), clock_ms),
        HOOKS: Deliver(store(), hooks_secret, hook_poster, clock_ms),
        **product().tasks(parts()),
    }
    policy = RetryPolicy(chosen.job_attempts, chosen.retry_base_seconds, chosen.retry_cap_seconds)
    return Runner(
        store(), tasks, policy=policy, lease_ms=chosen.lease_seconds * 1000, clock=clock_ms
    )


@cache
def subscriber() -> Subscriber:
    """Answers doorbells, whatever their topic."""
    from shared.jobs.subscriber import Subscriber

    return Subscriber(store, runner, clock_ms, doorbell=doorbell, span=telemetry.span)


@cache
def sweeper() -> Sweeper:
    """The minute's round. What nobody can ring for, it runs."""
    from shared.hooks.fan_out import KIND as HOOKS

    rung = (*product().rung, CHECK, HOOKS)
    return Sweeper(
        store(),
        runner(),
        doorbell(),
        rung_kinds=rung,
        own_kinds=tuple(kind for kind in runner().kinds if kind not in rung),
        clock=clock_ms,
        rounds={
            "receipts": partial(receipts.remove_expired, store()),
            "late": runner().tell_late,
            "notices": deliveries().deliver,
            "hooks": fan_out().run,
            "purged": Purger(store(), catalog(), keep_days=settings().retention_days).purge,
            "sealed": Sealer(store(), _keep_head).seal,
            "cleaned": cleaner().clean,
            **product().rounds(parts()),
        },
    )
