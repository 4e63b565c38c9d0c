"""What a product is: one value, declared in a package of its own. Wiring reads it.

What differs between products is a value here, or a plain function that is listed here. A product's
tasks and rounds are made of `Parts`: what this deployment has, each part made at its first use.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from shared.files.file import ANY_PHOTO, PhotoLimits
from shared.notify.notice import SOMETHING_WAITS, AlertWords

if TYPE_CHECKING:
    from shared.access.membership import Caller
    from shared.access.rights import Rights
    from shared.accounts.policy import AccountPolicy
    from shared.ai.conversation import Terms
    from shared.ai.embedding import Embedder
    from shared.ai.model import ChatRequest
    from shared.ai.speech import Transcriber
    from shared.api.routes import Route
    from shared.console.page import Pages
    from shared.export.fhir import FhirMapping
    from shared.export.views import Views
    from shared.files.file import Attachment
    from shared.files.store import FileStore
    from shared.hooks.deliver import Poster
    from shared.hooks.event import Event
    from shared.jobs.runner import Task
    from shared.notify.mail import Mailer
    from shared.notify.notice import Notifier
    from shared.records.bell import Bell
    from shared.records.collection import Catalog
    from shared.records.migration import Migration
    from shared.records.store import Document, RecordStore, StoredCollection
    from shared.settings import Settings
    from shared.sync.push import Pusher

#: Something that the sweeper does each minute: given the time (server ms), it says how much it did.
Round = Callable[[int], int]


class Seed(NamedTuple):
    """Example data of one scope: who is in it, and what the first of them wrote."""

    members: tuple[tuple[str, str], ...] = ()  #: user, role
    #: Table, id, columns: JSON as objects, times in ms.
    records: tuple[tuple[str, str, Mapping[str, Any]], ...] = ()
    #: So long ago, ms, the records were stored, for an example that has been lived in.
    ago_ms: int = 0
    #: What happened since then, in its order, of now (Unix ms): when, which member, table, id, columns.
    since: Callable[[int], Sequence[tuple[int, str, str, str, Mapping[str, Any]]]] = lambda _now: ()


class StagePhone(Protocol):
    """An example phone: rows by table and id, edits that wait for a network."""

    @property
    def rows(self) -> Mapping[tuple[str, str], Mapping[str, Any]]:
        """What it holds."""
        ...

    def now(self) -> float:
        """Unix seconds, by its clock."""
        ...

    def save(self, table: str, record_id: str, **fields: Any) -> None:
        """Create or edit a record, offline."""
        ...

    def write(self, table: str, record_id: str, fields: Mapping[str, Any]) -> None:
        """As `save`, for columns of any name."""
        ...

    def sync(self) -> Any:
        """Push and pull."""
        ...


class Stage(Protocol):
    """Where a product's story is told: a running back end, on this machine. `url`: its address."""

    url: str

    def say(self, text: str) -> None:
        """One line of the story."""
        ...

    def expect(self, holds: bool, what: str) -> None:
        """The story ends here if something is not as it says."""
        ...

    def wait(self, holds: Callable[[], bool], what: str) -> None:
        """Until something holds that the server does by itself; the story ends if it never does."""
        ...

    def now_ms(self) -> int:
        """The server's clock, Unix ms."""
        ...

    def move_clock(self, to_ms: int) -> None:
        """Put the server's clock, and that of phones, to a moment; from there it goes on."""
        ...

    def ask(self, method: str, path: str, body: Any = None, token: str = "") -> tuple[int, Any]:
        """A request to a path here, or to a link: status and JSON, or bytes of what is none.

        A `body` of bytes is sent as it is.
        """
        ...

    def fetch(self, path: str, token: str, tag: str = "") -> tuple[int, Any, str]:
        """A GET that is repeated: status, JSON, ETag; 304 if `tag`, that of the one before, still holds."""
        ...

    def send(self, token: str, file: bytes, file_name: str, **fields: str) -> tuple[int, Any]:
        """A file in one form, to `/api/v1/upload`."""
        ...

    def phone(self, token: str, user: str) -> StagePhone:
        """A phone of somebody, that has never synced."""
        ...

    def keep(self, name: str, data: bytes) -> str:
        """Keep a file to be looked at; where it is."""
        ...


class TermsOf(Protocol):
    """How language models are asked for a task by its name in `MODEL_TASKS`; empty: for any."""

    def __call__(self, task: str = "", /) -> Terms:
        """The terms; the same each time."""
        ...


@dataclass(frozen=True, slots=True)
class Parts:
    """What a deployment has, for a product to make its own things of."""

    settings: Settings
    clock_ms: Callable[[], int]
    store: Callable[[], RecordStore]
    files: Callable[[], FileStore]
    catalog: Callable[[], Catalog]
    pusher: Callable[[], Pusher]  #: writes as phones do
    terms: TermsOf  #: how language models are asked, for a task
    embedder: Callable[[], Embedder | None]  #: None: there is no endpoint
    transcriber: Callable[[], Transcriber | None]  #: hears recordings; None: nobody does
    notifier: Callable[[], Notifier]  #: sends to phones
    mailer: Callable[[], Mailer | None]  #: None: no mail is sent
    #: Rings for jobs that a commit has just left due. Never raises.
    ring: Callable[[Sequence[Bell]], None]
    poster: Callable[[], Poster]  #: posts to addresses of others
    hooks_secret: Callable[[], bytes]  #: what secrets of webhooks are made of


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """One product. It leaves out what it has not.

    `tasks` are its own kinds of jobs, beside those of the engine; `rung` are those kinds that have a
    topic and a subscriber, the sweeper runs the others. `rounds` are what the sweeper does for it.
    """

    name: str  #: what `PRODUCT` says
    title: str  #: what people call it
    catalog: Callable[[Settings], Catalog]
    rights: Rights
    accounts: AccountPolicy
    user_claim: str = "sub"  #: the claim of access tokens that holds the user's id
    #: What phones show to those whom `Action.ALERT` is allowed.
    alert: AlertWords = SOMETHING_WAITS
    photo_limits: PhotoLimits = ANY_PHOTO  #: when a photo is worth taking again
    attachments: Callable[[], Mapping[str, Attachment]] = dict  #: by table
    tasks: Callable[[Parts], Mapping[str, Task]] = lambda _parts: {}
    rung: tuple[str, ...] = ()
    rounds: Callable[[Parts], Mapping[str, Round]] = lambda _parts: {}
    draft: Callable[[ChatRequest], Mapping[str, Any]] = lambda _asked: {}  #: by the scripted model
    #: What other systems may hear of; its writes are in the commits that make them true.
    events: tuple[Event, ...] = ()
    #: Hears which records a complete sync gave to a phone of the user whom they are for (`record.FOR`), and
    #: when (server ms). What it raises costs nobody a sync.
    delivered: Callable[[Parts, Caller, Sequence[Document], int], None] | None = None
    #: Routes of its own, which the function `review` serves.
    routes: Callable[[Parts], Sequence[Route]] = lambda _parts: ()
    #: Its pages of the console; None: it adds none.
    pages: Callable[[Parts], Pages] | None = None
    #: Schemas that its tables and routes name, for the API's description.
    schemas: Callable[[Catalog], Mapping[str, dict[str, Any]]] = lambda _catalog: {}
    #: A mapping of its records to FHIR, new for each export; None: it has none.
    fhir: Callable[[], FhirMapping] | None = None
    #: Its numbers for analysts; None: it has none.
    views: Callable[[], Views] | None = None
    #: Examples for the API's description by operation: `request` and `answer`.
    examples: Callable[[], Mapping[str, dict[str, Any]]] = dict
    #: Example data for a scope, to try things with; its ids begin with the scope's.
    seed: Callable[[str], Seed] = lambda _scope: Seed()
    #: What `make demo` tells, on a running back end; None: it shows the example data.
    story: Callable[[Stage], None] | None = None
    #: Changes of what it has stored to the form of this release, the newest last.
    migrations: Callable[[], Sequence[Migration]] = tuple
    #: What it stores beside its tables, and the indexes of its own queries.
    stored: Callable[[], Sequence[StoredCollection]] = tuple
