"""The record store in Firestore: the `emulator` and `gcp` profiles.

Promises of the port (`shared/records/store.py`), kept like this:

- A commit is one Commit RPC: all or nothing, a precondition on every write that expects something.
  It is sent once. Whether a commit whose answer was lost has happened, only a new read can tell.
- `version` is `update_time`, the commit time in whole microseconds, and goes back unchanged as
  `current_document.update_time`. `updated_at` is the server's timestamp of the request in whole
  milliseconds: earlier than the commit, not in the order of commits, and equal for its writes.
- `read_at` is the `read_time` of the answer, which is there for missing documents too.
- `changes` asks the index for `updated_at` later than `after` minus an overlap longer than a commit
  can live, and keeps exactly the documents whose `update_time` is later than `after`. It is read
  at `read_at`, so it does not matter what is committed meanwhile.

Requests and answers are plain protocol buffers, sent and received through the client library's own
generated API (`client._firestore_api`: its channel, credentials, emulator). The library's batch and
snapshot classes would need the stored fields for a replacement under a precondition, know no
verify, and for 500 documents of 1 kB take 58 to 106 ms of CPU instead of 8 to write, 40 instead of
18 to read.

FIRESTORE_EMULATOR_HOST is honoured by the client library. **The emulator's reads are not consistent**:
it gives a commit its time and then applies it document by document, while reads outside of a
transaction, with a `read_time` or without, take no lock and so miss parts of commits that have an
earlier time than theirs (one query in three beside commits of 400 documents, some 40 ms late; one
in twenty beside small commits). A cursor would pass such a document for ever.
But a commit holds its documents' locks from before it takes its time until all is applied. So,
against the emulator and only there, each commit also takes the lock of one document that never
exists (by deleting it), and a reading begins with a commit of just that: commits come one after
the other, and at the time of the reading's own all earlier ones are complete. (From the emulator's
classes, `FlatLocalEntityStore` and `LockManager`, Cloud SDK 528.) Firestore itself needs none of
this: all answers of a read are valid at its last `read_time`.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any, TypeVar

from google.api_core import exceptions as api
from google.auth.exceptions import GoogleAuthError
from google.cloud import firestore
from google.cloud.firestore_v1.field_path import render_field_path
from google.cloud.firestore_v1.types import document, query, write
from google.cloud.firestore_v1.types import firestore as rpc

from shared.adapters.store_rules import (
    check_commit_bytes,
    check_count,
    check_fields,
    check_keys,
    check_query,
    check_scopes,
    check_writes,
)
from shared.errors import CommitTooBig, Contended, Fault, StoreFault, StoreUnavailable
from shared.records.store import (
    ABSENT,
    NEAR,
    STAMP,
    Change,
    Document,
    Key,
    Kind,
    Near,
    Position,
    Query,
    RecordStore,
    Snapshot,
    Write,
)

log = logging.getLogger(__name__)

#: How long one operation may take, seconds; a reading is tried again within it.
TIMEOUT_SECONDS = 10.0

#: How far behind the cursor `changes` asks the index, seconds. Longer than a commit can live (a
#: transaction ends after 270 s): a stamp set before that cannot belong to a commit after the cursor.
OVERLAP_SECONDS = 300

#: The document that never exists, whose lock the emulator's commits take; see above.
TURNSTILE = Key("emulator", "turnstile")

#: Keys in one BatchGetDocuments request: at 300-character ids still a tenth of the emulator's
#: 4 MiB. Answers need no splitting: each document is a gRPC message of its own.
KEYS_PER_REQUEST = 1000

# The bare protocol buffers behind the library's proto-plus wrappers, which cost several times more.
_Commit: Any = type(rpc.CommitRequest.pb(rpc.CommitRequest()))
_BatchGet: Any = type(rpc.BatchGetDocumentsRequest.pb(rpc.BatchGetDocumentsRequest()))
_RunQuery: Any = type(rpc.RunQueryRequest.pb(rpc.RunQueryRequest()))
_RunCount: Any = type(rpc.RunAggregationQueryRequest.pb(rpc.RunAggregationQueryRequest()))
_Value: Any = type(document.Value.pb(document.Value()))

_SERVER_TIME = write.DocumentTransform.FieldTransform.ServerValue.REQUEST_TIME
_FIELD_OPERATORS = {
    "==": query.StructuredQuery.FieldFilter.Operator.EQUAL,
    "in": query.StructuredQuery.FieldFilter.Operator.IN,
    "contains": query.StructuredQuery.FieldFilter.Operator.ARRAY_CONTAINS,
    "<": query.StructuredQuery.FieldFilter.Operator.LESS_THAN,
    "<=": query.StructuredQuery.FieldFilter.Operator.LESS_THAN_OR_EQUAL,
    ">": query.StructuredQuery.FieldFilter.Operator.GREATER_THAN,
    ">=": query.StructuredQuery.FieldFilter.Operator.GREATER_THAN_OR_EQUAL,
}
_DIRECTIONS = {
    "asc": query.StructuredQuery.Direction.ASCENDING,
    "desc": query.StructuredQuery.Direction.DESCENDING,
}
_COSINE = query.StructuredQuery.FindNearest.DistanceMeasure.COSINE
_AND = query.StructuredQuery.CompositeFilter.Operator.AND

_NO_ANSWER = "the record store did not answer; try again"

#: In Firestore's words for a query without its index, and for one whose index is still being built.
_NEEDS_INDEX = "requires an index"

#: What an error of the library means, by class and a part of its message; the first that fits.
_COMMIT_FAULTS: tuple[tuple[type[Exception], str, type[Fault], str], ...] = (
    (api.NotFound, "The database", StoreUnavailable, "the Firestore database does not exist"),
    (api.NotFound, "", Contended, "a document to be changed is gone"),
    (api.FailedPrecondition, "", Contended, "a document changed since it was read"),
    (api.AlreadyExists, "", Contended, "a document that was to be new exists"),
    (api.Aborted, "", Contended, "another commit was in the way"),
    (api.InvalidArgument, "too big", CommitTooBig, "the commit is too big for Firestore"),
    (api.InvalidArgument, "entity size", CommitTooBig, "a document is over Firestore's 1 MiB"),
    (api.InvalidArgument, "exceeds the max", CommitTooBig, "the commit is too big for Firestore"),
    (api.InvalidArgument, "payload size", CommitTooBig, "the commit is too big to send"),
    (api.InvalidArgument, "longer than 1048", CommitTooBig, "a value is over Firestore's 1 MiB"),
    (api.InvalidArgument, "", StoreFault, "Firestore refused a value of the commit"),
    (api.ResourceExhausted, "message exceeds", CommitTooBig, "the commit is over 4 MiB"),
    (api.ResourceExhausted, "message larger", CommitTooBig, "the commit is too big to send"),
    (api.PermissionDenied, "", StoreUnavailable, "Firestore refused this service's identity"),
    (api.Unauthenticated, "", StoreUnavailable, "Firestore refused this service's identity"),
    (api.GoogleAPICallError, "", StoreUnavailable, _NO_ANSWER),
    (GoogleAuthError, "", StoreUnavailable, "this service could not prove its identity"),
)
_READ_FAULTS: tuple[tuple[type[Exception], str, type[Fault], str], ...] = (
    # it passes: an index is being built, or an operator makes it (the log line names the query)
    (api.FailedPrecondition, _NEEDS_INDEX, StoreUnavailable, _NO_ANSWER),
    (api.FailedPrecondition, "", StoreFault, "the query's snapshot is too long ago"),
    (
        api.InvalidArgument,
        "",
        StoreFault,
        "Firestore cannot run this query, or not at this snapshot",
    ),
    (api.NotFound, "", StoreUnavailable, "the Firestore database does not exist"),
    (api.PermissionDenied, "", StoreUnavailable, "Firestore refused this service's identity"),
    (api.Unauthenticated, "", StoreUnavailable, "Firestore refused this service's identity"),
    (api.GoogleAPICallError, "", StoreUnavailable, _NO_ANSWER),
    (GoogleAuthError, "", StoreUnavailable, "this service could not prove its identity"),
)

#: Faults of a reading that pass by themselves.
_PASSING = (
    api.Aborted,
    api.DeadlineExceeded,
    api.InternalServerError,
    api.ResourceExhausted,
    api.ServiceUnavailable,
    api.Unknown,  # "Stream removed"
)

T = TypeVar("T")


class FirestoreStore(RecordStore):
    """Documents in a Firestore database; credentials are the environment's.

    Threads may share it; processes may not: make it after a fork.
    """

    def __init__(
        self,
        project: str,
        database: str = "(default)",
        *,
        overlap_seconds: float = OVERLAP_SECONDS,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        self._overlap = int(overlap_seconds * 1_000_000)
        self._timeout = timeout_seconds
        self._client: Any = firestore.Client(project=project, database=database)
        # Made here, not on first use: the library makes it without a lock.
        self._api: Any = self._client._firestore_api
        self._metadata: Any = self._client._rpc_metadata
        self._database: str = self._client._database_string
        self._parent = f"{self._database}/documents"
        emulated = self._client._emulator_host is not None
        self._turnstile = self._name(TURNSTILE) if emulated else None
        self._closed = False

    # -- reading ---------------------------------------------------------------------------------

    def read(
        self,
        keys: Sequence[Key],
        fields: Sequence[str] | None = None,
        read_at: int | None = None,
    ) -> Snapshot:
        check_keys(keys)
        check_fields(fields or ())
        wanted = list(dict.fromkeys(keys))
        if read_at is None and self._turnstile is not None:
            read_at = self._reading(self._pass_turnstile)
        if not wanted:
            if read_at is not None:
                return Snapshot(read_at, {})
            # Only an answer says what time it is; one about a document that never exists will do.
            return Snapshot(self.read([Key("nothing", "now")]).read_at, {})
        documents: dict[Key, Document] = {}
        for start in range(0, len(wanted), KEYS_PER_REQUEST):
            part = wanted[start : start + KEYS_PER_REQUEST]
            read_at, found = self._reading(partial(self._get, part, fields, read_at))
            documents.update(found)
        assert read_at is not None  # noqa: S101  for the type checker: there was a part
        return Snapshot(read_at, documents)

    def changes(
        self,
        collection: str,
        scopes: Sequence[str],
        after: int,
        read_at: int,
        *,
        behind: Position | None = None,
        fields: Sequence[str] | None = None,
        even_if_newer: bool = False,
    ) -> Iterator[Change]:
        # Firestore shows what was there at `read_at`, whatever was written since: nothing to do for
        # `even_if_newer`.
        scopes = check_scopes(scopes)
        check_fields(fields or ())
        if not scopes:
            return
        where: list[tuple[str, str, Any]] = [
            ("scope_id", "in", scopes) if len(scopes) > 1 else ("scope_id", "==", scopes[0])
        ]
        if after > self._overlap:
            where.append((STAMP, ">", after - self._overlap))
        listing = Query(
            collection,
            where=tuple(where),
            # Also when everything is asked for: the index (scope_id, updated_at) serves it.
            order=((STAMP, "asc"),),
            fields=None if fields is None else tuple(fields),
            start_after=behind,
            read_at=read_at,
        )
        for found, stamp in self._listing(listing):
            if found.version > after:
                yield Change(found, Position(stamp[0], found.key.id))

    def query(self, query: Query) -> Iterator[Document]:
        check_query(query)
        if query.near is not None:
            yield from self._reading(partial(self._nearest, query, query.near))
            return
        for found, _ in self._listing(query):
            yield found

    def count(self, query: Query) -> int:
        most = check_count(query)
        return self._reading(partial(self._count, query, most))

    # -- writing ---------------------------------------------------------------------------------

    def commit(self, writes: Sequence[Write]) -> int:
        check_writes(writes)
        if not writes:
            return self.read(()).read_at
        request = _Commit(database=self._database)
        for each in writes:
            self._add(request.writes.add(), each)
        check_commit_bytes(request.ByteSize())
        if self._turnstile is not None:
            request.writes.add(delete=self._turnstile)
        self._refuse_if_closed()
        try:
            return self._send(request, self._timeout)
        except (api.GoogleAPICallError, GoogleAuthError) as error:
            raise _fault(_COMMIT_FAULTS, error) from error

    def forget_deleted(self) -> None:
        """Google's files are Google's: versions of the last seven days stay (point in time recovery)."""

    def close(self) -> None:
        self._closed = True
        self._client.close()

    # -- requests --------------------------------------------------------------------------------

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise StoreUnavailable("the record store was closed")

    def _send(self, request: Any, timeout: float) -> int:
        answer = self._api.commit(
            request=rpc.CommitRequest.wrap(request),
            retry=None,
            timeout=timeout,
            metadata=self._metadata,
        )
        return _micros(rpc.CommitResponse.pb(answer).commit_time)

    def _pass_turnstile(self, timeout: float) -> int:
        """A time before which every commit of the emulator is applied; see the module's docstring."""
        request = _Commit(database=self._database)
        request.writes.add(delete=self._turnstile)
        return self._send(request, timeout)

    def _reading(self, attempt: Callable[[float], T]) -> T:
        """Run `attempt(timeout)` until it answers, within the timeout of one operation.

        An attempt takes in a whole stream, so one that breaks in the middle is repeated, too.
        """
        patience = _Patience(self._timeout)
        while True:
            self._refuse_if_closed()
            try:
                return attempt(patience.left())
            except (api.GoogleAPICallError, GoogleAuthError) as error:
                patience.wait(error)

    def _name(self, key: Key) -> str:
        return f"{self._parent}/{key.collection}/{key.id}"

    def _get(
        self,
        keys: Sequence[Key],
        fields: Sequence[str] | None,
        read_at: int | None,
        timeout: float,
    ) -> tuple[int, dict[Key, Document]]:
        request = _BatchGet(database=self._database, documents=[self._name(key) for key in keys])
        if fields is not None:
            request.mask.field_paths.extend(_mask(fields))
        if read_at is not None:
            _set_time(request.read_time, read_at)
        answers = self._api.batch_get_documents(
            request=rpc.BatchGetDocumentsRequest.wrap(request),
            retry=None,
            timeout=timeout,
            metadata=self._metadata,
        )
        newest = 0
        documents: dict[Key, Document] = {}
        for wrapped in answers:
            answer = rpc.BatchGetDocumentsResponse.pb(wrapped)
            # Documents may be read one after the other; all of them are valid at the last time.
            newest = max(newest, _micros(answer.read_time))
            if answer.WhichOneof("result") == "found":
                found = _document(answer.found)
                documents[found.key] = found
        return newest, documents

    def _listing(self, wanted: Query) -> Iterator[tuple[Document, tuple[Any, ...]]]:
        """Documents of a query, each with the position behind it, in one stream and one snapshot.

        Documents arrive as fast as the caller takes them. A stream that breaks, or that a slow
        caller keeps open for longer than an operation may take, is taken up behind the last
        document.
        """
        order = [field for field, _ in wanted.order]
        extra: set[str] = set()
        if wanted.fields is not None:
            extra = set(order) - set(wanted.fields)
            wanted = replace(wanted, fields=(*wanted.fields, *extra))
        left, behind, read_at = wanted.limit, wanted.start_after, wanted.read_at
        patience = _Patience(self._timeout)
        while left is None or left > 0:
            self._refuse_if_closed()
            stream = None
            try:
                stream = self._api.run_query(
                    request=self._run_query(wanted, left, behind, read_at),
                    retry=None,
                    timeout=patience.left(),
                    metadata=self._metadata,
                )
                for wrapped in stream:
                    answer = rpc.RunQueryResponse.pb(wrapped)
                    read_at = read_at or _micros(answer.read_time)
                    if not answer.document.name:
                        continue
                    found = _document(answer.document)
                    behind = (*(found.fields[field] for field in order), found.key.id)
                    for field in extra:
                        del found.fields[field]
                    left = None if left is None else left - 1
                    patience = _Patience(self._timeout)
                    yield found, behind
                return
            except (api.GoogleAPICallError, GoogleAuthError) as error:
                _tell_of_index(error, wanted)
                patience.wait(error)
            finally:
                if stream is not None:
                    stream.cancel()

    def _nearest(self, wanted: Query, near: Near, timeout: float) -> list[Document]:
        asked = rpc.RunQueryRequest.pb(self._run_query(wanted, None, None, wanted.read_at))
        del asked.structured_query.order_by[:]
        search = asked.structured_query.find_nearest
        search.vector_field.field_path = _path(near.field)
        _set_place(search.query_vector, near.place)
        search.distance_measure = _COSINE
        search.limit.value = wanted.limit or 0
        search.distance_threshold.value = 1 - near.least
        try:
            answers = self._api.run_query(
                request=rpc.RunQueryRequest.wrap(asked),
                retry=None,
                timeout=timeout,
                metadata=self._metadata,
            )
            found = [rpc.RunQueryResponse.pb(answer).document for answer in answers]
        except api.FailedPrecondition as error:
            _tell_of_index(error, wanted)
            raise
        return [_document(each) for each in found if each.name]

    def _count(self, wanted: Query, most: int, timeout: float) -> int:
        request = _RunCount(parent=self._parent)
        asked = request.structured_aggregation_query
        listing = rpc.RunQueryRequest.pb(self._run_query(wanted, None, None, None))
        asked.structured_query.CopyFrom(listing.structured_query)
        asked.aggregations.add(alias="found").count.up_to.value = most
        if wanted.read_at is not None:
            _set_time(request.read_time, wanted.read_at)
        answers = self._api.run_aggregation_query(
            request=rpc.RunAggregationQueryRequest.wrap(request),
            retry=None,
            timeout=timeout,
            metadata=self._metadata,
        )
        for wrapped in answers:
            answer = rpc.RunAggregationQueryResponse.pb(wrapped)
            if "found" in answer.result.aggregate_fields:
                return int(answer.result.aggregate_fields["found"].integer_value)
        raise api.Unknown("the stream ended without a count")  # type: ignore[no-untyped-call]

    def _run_query(
        self,
        wanted: Query,
        limit: int | None,
        behind: Sequence[Any] | None,
        read_at: int | None,
    ) -> rpc.RunQueryRequest:
        request = _RunQuery(parent=self._parent)
        asked = request.structured_query
        if limit is not None:
            asked.limit.value = limit
        asked.from_.add(collection_id=wanted.collection)
        if wanted.where:
            asked.where.composite_filter.op = _AND
        for field, operator, value in wanted.where:
            condition = asked.where.composite_filter.filters.add().field_filter
            condition.field.field_path = _path(field)
            condition.op = _FIELD_OPERATORS[operator]
            _set_operand(condition.value, field, list(value) if operator == "in" else value)
        for field, direction in wanted.order:
            asked.order_by.add(direction=_DIRECTIONS[direction]).field.field_path = _path(field)
        asked.order_by.add(direction=_DIRECTIONS["asc"]).field.field_path = "__name__"
        if wanted.fields is not None:
            for path in _mask(wanted.fields):
                asked.select.fields.add(field_path=path)
        if behind is not None:
            for (field, _), value in zip(wanted.order, behind[:-1], strict=True):
                _set_operand(asked.start_at.values.add(), field, value)
            last = self._name(Key(wanted.collection, behind[-1]))
            asked.start_at.values.add(reference_value=last)
            asked.start_at.before = False
        if read_at is not None:
            _set_time(request.read_time, read_at)
        asked_for: rpc.RunQueryRequest = rpc.RunQueryRequest.wrap(request)
        return asked_for

    def _add(self, to: Any, each: Write) -> None:
        """Fill the empty write `to`."""
        kind, key, fields, expect = each
        name = self._name(key)
        if expect == ABSENT:
            to.current_document.exists = False
        elif expect is not None:
            _set_time(to.current_document.update_time, expect)
        elif kind is Kind.PATCH:
            to.current_document.exists = True
        if kind is Kind.DELETE or (kind is Kind.VERIFY and expect == ABSENT):
            # Deleting what must not exist: refused if it does, else nothing is done or made.
            to.delete = name
            return
        to.update.name = name
        if kind is Kind.VERIFY:
            # An update of no field (what the libraries send for `set({}, merge=True)`). A write
            # that changes nothing keeps the update_time (WriteResult.update_time).
            to.update_mask.SetInParent()
            return
        if kind is Kind.PATCH:
            # A field that is in the mask and not in the document is removed.
            paths = [_path(field) for field in fields if field != STAMP]
            to.update_mask.field_paths.extend(paths)
            to.update_mask.SetInParent()
        # Without a mask the whole document is replaced, also under a precondition.
        stored = to.update.fields
        for field, value in fields.items():
            if value is not None and field != STAMP:
                (_set_place if field.startswith(NEAR) else _set)(stored[field], value)
        to.update_transforms.add(field_path=STAMP, set_to_server_value=_SERVER_TIME)


class _Patience:
    """How long a reading is tried again: with growing pauses, until its time is over."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._until: float | None = None  # counted from the first fault or question
        self._pause = 0.05

    def left(self) -> float:
        """Seconds until the end, at least a moment."""
        if self._until is None:
            self._until = time.monotonic() + self._seconds
        return max(self._until - time.monotonic(), 0.1)

    def wait(self, error: Exception) -> None:
        """Pause before the next attempt, or raise what `error` means."""
        if not isinstance(error, _PASSING) or self.left() <= self._pause + 0.1:
            raise _fault(_READ_FAULTS, error) from error
        time.sleep(self._pause * random.uniform(0.5, 1.0))  # noqa: S311  spreads retries
        self._pause *= 2


# -- values --------------------------------------------------------------------------------------


def _micros(time: Any) -> int:
    """A protocol buffer's time in microseconds, rounded down."""
    return int(time.seconds) * 1_000_000 + int(time.nanos) // 1000


def _set_time(time: Any, micros: int) -> None:
    time.seconds, fraction = divmod(micros, 1_000_000)
    time.nanos = fraction * 1000


def _set(value: Any, content: Any) -> None:
    """Fill the empty `value` with a JSON value."""
    if isinstance(content, str):
        value.string_value = content
    elif isinstance(content, bool):
        value.boolean_value = content
    elif isinstance(content, int):
        value.integer_value = content
    elif isinstance(content, float):
        value.double_value = content
    elif content is None:
        value.null_value = 0
    elif isinstance(content, Mapping):
        value.map_value.SetInParent()
        fields = value.map_value.fields
        for name, each in content.items():
            if not isinstance(name, str):
                raise ValueError(f"not a JSON value: a map with the key {name!r}")
            _set(fields[name], each)
    elif isinstance(content, (list, tuple)):
        value.array_value.SetInParent()
        values = value.array_value.values
        for each in content:
            _set(values.add(), each)
    else:
        raise ValueError(f"not a JSON value: {type(content).__name__}")


def _set_place(value: Any, place: Sequence[float]) -> None:
    """Fill the empty `value` with a vector, which Firestore has as a map of this shape."""
    value.map_value.fields["__type__"].string_value = "__vector__"
    _set(value.map_value.fields["value"], [float(each) for each in place])


def _set_operand(value: Any, field: str, content: Any) -> None:
    """Fill `value` with what `field` is compared with; `updated_at` is a time in Firestore."""
    if field != STAMP:
        _set(value, content)
    elif isinstance(content, list):
        for each in content:
            _set_operand(value.array_value.values.add(), field, each)
    else:
        _set_time(value.timestamp_value, content)


def _get_map(value: Any) -> dict[str, Any]:
    return {name: _get_value(each) for name, each in value.map_value.fields.items()}


def _get_field(name: str, value: Any) -> Any:
    found = _get_value(value)
    return found["value"] if name.startswith(NEAR) else found


_READERS: dict[str, Callable[[Any], Any]] = {
    "string_value": lambda value: value.string_value,
    "integer_value": lambda value: value.integer_value,
    "boolean_value": lambda value: value.boolean_value,
    "double_value": lambda value: value.double_value,
    "null_value": lambda _: None,
    "timestamp_value": lambda value: _micros(value.timestamp_value),
    "map_value": _get_map,
    "array_value": lambda value: [_get_value(each) for each in value.array_value.values],
}


def _get_value(value: Any) -> Any:
    return _READERS[value.WhichOneof("value_type")](value)


def _document(stored: Any) -> Document:
    _, collection, id = stored.name.rsplit("/", 2)
    return Document(
        Key(collection, id),
        {name: _get_field(name, value) for name, value in stored.fields.items()},
        _micros(stored.update_time),
    )


@lru_cache(maxsize=4096)
def _path(field: str) -> str:
    """A top-level field's path, quoted where it must be."""
    return str(render_field_path([field]))


def _mask(fields: Sequence[str]) -> list[str]:
    """Paths of a mask. The document's name stands for no field: an empty mask would ask for all."""
    return [_path(field) for field in dict.fromkeys(fields)] or ["__name__"]


def _tell_of_index(error: Exception, wanted: Query) -> None:
    """A line for operators, if Firestore refused a query for want of its index."""
    if isinstance(error, api.FailedPrecondition) and _NEEDS_INDEX in str(error):
        near = [] if wanted.near is None else [wanted.near.field]
        asked = [*(name for name, _, _ in wanted.where), *(name for name, _ in wanted.order), *near]
        about = {"collection": wanted.collection, "fields": ",".join(dict.fromkeys(asked))}
        log.error("index missing", extra=about)


def _fault(
    table: Iterable[tuple[type[Exception], str, type[Fault], str]], error: Exception
) -> Fault:
    for kind, part, fault, message in table:
        if isinstance(error, kind) and part in str(error):
            return fault(message)
    raise error
