"""Deliberate faults, each with the tests that must notice it: `tests/reliability/test_mutations.py`.

A fault is a replacement of one text of one file. The text must stand there exactly once, so that
the table cannot go out of date silently. `tests` is the narrowest selection that must fail with the
fault in place; `on` are the parameters of those tests (an adapter each) with which it must.

What cannot be caught for certain is left out on purpose, with the reason beside its neighbours.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from tests.reliability.mutations_accounts import ACCOUNTS
from tests.reliability.mutations_ai import ROWS as AI
from tests.reliability.mutations_files import ROWS as FILES
from tests.reliability.mutations_security import SECURITY

_ROOT = Path(__file__).parents[2]


class Mutation(NamedTuple):
    """One fault. `on` "" stands for tests without an adapter as their parameter."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    on: tuple[str, ...]


def _faults(
    file: str, suite: str, on: tuple[str, ...], *rows: tuple[str, str, str, str]
) -> tuple[Mutation, ...]:
    """Rows of (name, old, new, tests): tests of `suite`, or of another file before a colon.

    `file` may name several, separated by blanks: a fault belongs to the one that holds its text.
    """
    return tuple(
        Mutation(name, home, old, new, tuple(_node(suite, test) for test in tests.split()), on)
        for name, old, new, tests in rows
        for home in _homes(file.split(), old)
    )


def _homes(files: list[str], old: str) -> list[str]:
    return [file for file in files if old in (_ROOT / file).read_text()] or files[:1]


def _node(suite: str, test: str) -> str:
    file, _, name = test.rpartition(":")
    return f"tests/{file or suite}.py" + (f"::test_{name}" if name else "")


BOTH = ("sqlite", "firestore")

# -- the record store ----------------------------------------------------------------------------

_STORE = "contracts/test_store"

SQLITE = _faults(
    "shared/adapters/sqlite.py shared/adapters/sqlite_queries.py",
    _STORE,
    ("sqlite",),
    (
        "a listing begins with the cursor's own version",
        'position = max(behind or Position(after, ""), Position(after, "~" * 301))',
        'position = behind or Position(after, "")',
        "changes_are_those_after_and_not_later_than_the_reading",
    ),
    (
        "a listing begins a microsecond too late",
        'position = max(behind or Position(after, ""), Position(after, "~" * 301))',
        'position = max(behind or Position(after + 1, "~" * 301), Position(after + 1, "~" * 301))',
        "changes_are_those_after_and_not_later_than_the_reading",
    ),
    (
        "a listing does not end at its reading",
        "AND version <= ?",
        "AND version <= ? + 1000000000",
        "changes_are_those_after_and_not_later_than_the_reading",
    ),
    (
        "a listing leaves out its reading's own version",
        "AND version <= ?",
        "AND version < ?",
        "changes_are_those_after_and_not_later_than_the_reading",
    ),
    (
        "a listing begins anew instead of behind a position",
        'position = max(behind or Position(after, ""), Position(after, "~" * 301))',
        'position = Position(after, "~" * 301)',
        "a_listing_resumes_behind_any_position",
    ),
    (
        "a position skips the rest of its commit",
        "position = Position(row[1], row[0])",
        'position = Position(row[1], "~" * 301)',
        "a_listing_resumes_behind_any_position",
    ),
    (
        "a listing has no order among equal versions",
        'ORDER BY version, id LIMIT ?"',
        'ORDER BY version, random() LIMIT ?"',
        "a_listing_resumes_behind_any_position",
    ),
    (
        "a listing stops after a page",
        "full = len(rows) == PAGE",
        "full = False",
        "a_listing_longer_than_a_page_is_whole_and_may_be_abandoned",
    ),
    (
        "a listing forgets the scopes",
        'WHERE collection = ? AND scope = ?"',
        'WHERE collection = ? AND (scope = ? OR scope IS NOT NULL)"',
        "changes_keep_to_the_scopes_and_the_collection",
    ),
    (
        "a listing forgets the collection",
        'FROM documents WHERE collection = ? AND scope = ?"',
        'FROM documents WHERE collection >= substr(?, 1, 0) AND scope = ?"',
        "changes_keep_to_the_scopes_and_the_collection",
    ),
    (
        "a mask is ignored",
        "if fields is not None:\n        stored = ",
        "if False:\n        stored = ",
        "a_mask_gives_the_named_fields_that_exist",
    ),
    (
        "an empty mask gives everything",
        "if fields is not None:\n        stored = ",
        "if fields:\n        stored = ",
        "a_document_without_the_masked_fields_is_found",
    ),
    (
        "a reading's time is the wall clock",
        "return Snapshot(newest, documents)",
        "return Snapshot(self._clock(), documents)",
        "contracts/test_sqlite:a_reading_is_at_the_newest_commit_never_at_the_wall_clock",
    ),
    (
        "a reading is no snapshot",
        "with self._connection() as db, _snapshot(db):",
        "with self._connection() as db:",
        "a_reading_never_shows_half_a_commit",
    ),
    (
        "a reading's time is that of an older commit",
        "return Snapshot(newest, documents)",
        "return Snapshot(newest - 1000, documents)",
        "what_was_committed_before_a_reading_is_not_later_than_it",
    ),
    (
        "no precondition is checked",
        "_check_preconditions(db, self._writes)\n        if not",
        "if not",
        "a_precondition_decides_about_the_whole_commit",
    ),
    *(
        (
            f"the version that a {kind.lower()} expects is not checked",
            "guarded = [w for w in writes if w.expect is not None or w.kind is Kind.PATCH]",
            "guarded = [\n        w\n        for w in writes\n"
            f"        if (w.expect is not None or w.kind is Kind.PATCH) and w.kind is not Kind.{kind}\n"
            "    ]",
            "a_precondition_decides_about_the_whole_commit",
        )
        for kind in ("PUT", "PATCH", "VERIFY", "DELETE")
    ),
    (
        "what must be absent may exist",
        "guarded = [w for w in writes if w.expect is not None or w.kind is Kind.PATCH]",
        "guarded = [w for w in writes if w.expect or w.kind is Kind.PATCH]",
        "a_precondition_decides_about_the_whole_commit",
    ),
    (
        "a commit that is refused says that it was applied",
        "_check_preconditions(db, self._writes)\n        if not",
        "try:\n            _check_preconditions(db, self._writes)\n"
        "        except Contended:\n            return newest\n        if not",
        "a_precondition_decides_about_the_whole_commit",
    ),
    (
        "preconditions are checked before the lock is taken",
        "process = self._process_here()\n        process.waiting.append(mine)\n",
        "with self._connection() as db:\n            _check_preconditions(db, writes)\n"
        "        time.sleep(0.002)\n"
        "        mine._writes = ()\n"
        "        process = self._process_here()\n        process.waiting.append(mine)\n",
        "of_two_racing_commits_with_one_expectation_exactly_one_wins",
    ),
    (
        "writes are applied one by one",
        "_check_preconditions(db, self._writes)\n        if not",
        "for each in self._writes:\n"
        "            _check_preconditions(db, [each])\n"
        "            if each.kind is Kind.PUT:\n"
        "                scope, data = self._puts[each.key]\n"
        "                db.execute(_PUT, (scope, newest, data.decode(), *each.key))\n"
        '                db.execute("COMMIT")\n'
        '                db.execute("BEGIN IMMEDIATE")\n'
        "        if not",
        "a_precondition_decides_about_the_whole_commit",
    ),
    (
        "a commit that breaks leaves its writes to those that it waited with",
        'db.execute("ROLLBACK TO own")',
        "pass",
        "contracts/test_sqlite:a_commit_that_breaks_half_way_leaves_nothing_and_those_that_it_waited_with",
    ),
    (
        "a refused commit refuses those that it waited with",
        "if not db.in_transaction:\n            raise",
        "raise",
        "contracts/test_sqlite:a_commit_that_is_refused_leaves_those_that_it_waited_with",
    ),
    (
        "who waits is told that it was written, whatever became of it",
        "commit.fault = commit.fault or _again(error)",
        "pass",
        "contracts/test_sqlite:a_file_that_stays_locked_refuses_all_who_wait",
    ),
    (
        "commits of a group share a version",
        "newest = commit.apply(db, newest, self._clock)",
        "newest = commit.apply(db, before, self._clock)",
        "contracts/test_sqlite:commits_that_wait_go_to_disk_together_with_versions_of_their_own",
    ),
    (
        "who gave up waiting is written all the same",
        "process.waiting.remove(mine)",
        "pass",
        "contracts/test_sqlite:a_commit_that_gave_up_waiting_is_not_written_later",
    ),
    (
        "verifying writes the document",
        "patches = [write for write in writes if write.kind is Kind.PATCH]",
        "patches = [w for w in writes if w.kind is Kind.PATCH or (w.kind is Kind.VERIFY and w.expect)]",
        "verifying_changes_neither_fields_nor_version",
    ),
    (
        "verifying absence makes the document",
        "write.key: _stored(write.fields) for write in writes if write.kind is Kind.PUT",
        "w.key: _stored(w.fields)\n            for w in writes\n"
        "            if w.kind is Kind.PUT or (w.kind is Kind.VERIFY and not w.expect)",
        "verifying_absence_creates_nothing",
    ),
    (
        "nothing is deleted",
        'db.executemany("DELETE FROM documents WHERE collection = ? AND id = ?", self._deletes)',
        "pass",
        "deleting_removes_the_document_for_good",
    ),
    (
        "a deletion forgets the collection",
        '"DELETE FROM documents WHERE collection = ? AND id = ?"',
        "\"DELETE FROM documents WHERE ? <> '' AND id = ?\"",
        "deleting_keeps_to_the_collection",
    ),
    (
        "a null is stored",
        "if value is not None and name != STAMP}",
        "if name != STAMP}",
        "a_null_is_not_stored",
    ),
    (
        "a patch merges maps",
        "return {key: _stored(orjson.loads(data[key]) | fields) for _, key, fields, _ in patches}",
        "def merged(have: Any, new: Any) -> Any:\n"
        "        if not isinstance(have, dict) or not isinstance(new, Mapping):\n"
        "            return new\n"
        "        return {**have, **{n: merged(have.get(n), v) for n, v in new.items()}}\n\n"
        "    return {k: _stored(merged(orjson.loads(data[k]), f)) for _, k, f, _ in patches}",
        "a_patch_replaces_a_map_whole",
    ),
    (
        "a patch replaces the document",
        "_stored(orjson.loads(data[key]) | fields)",
        "_stored(fields)",
        "a_patch_leaves_other_fields_alone",
    ),
    (
        "a patch keeps the scope that the document had",
        "_PUT,\n            [(scope, self.version",
        "_PUT.replace('scope = excluded.scope,', ''),\n            [(scope, self.version",
        "a_document_that_moved_is_in_its_new_scope",
    ),
    (
        "the stamp is the caller's",
        "self.version = max(-(-clock() // 1000) * 1000, newest + 1000)",
        "forged = [w.fields[STAMP] for w in self._writes if w.fields.get(STAMP)]\n"
        "        self.version = forged[0] if forged else"
        " max(-(-clock() // 1000) * 1000, newest + 1000)",
        "no_write_takes_its_stamp_or_version_from_the_caller",
    ),
    (
        "versions stand still with the clock",
        "self.version = max(-(-clock() // 1000) * 1000, newest + 1000)",
        "self.version = -(-clock() // 1000) * 1000",
        "contracts/test_sqlite:versions_rise_by_a_millisecond_while_the_clock_stands_or_goes_back",
    ),
    (
        "commits are not numbered",
        'db.execute("UPDATE newest SET version = ?", (newest,))',
        "pass",
        "what_was_committed_before_a_reading_is_not_later_than_it",
    ),
    (
        "a document over the bytes is taken if it is a patch",
        "+ sum(len(_json(dict(write.fields))) for write in self._patches)",
        "",
        "a_commit_over_the_limits_is_refused_whole",
    ),
    (
        "characters are counted for bytes",
        "sum(len(data) for _, data in self._puts.values())",
        "sum(len(data.decode()) for _, data in self._puts.values())",
        "a_commit_over_the_limits_is_refused_whole",
    ),
    (
        "a file out of reach is contended",
        'sqlite3.SQLITE_CANTOPEN: (StoreUnavailable, "',
        'sqlite3.SQLITE_CANTOPEN: (Contended, "',
        "a_store_out_of_reach_is_unavailable",
    ),
    (
        "a locked file is contended",
        'sqlite3.SQLITE_BUSY: (StoreUnavailable, "',
        'sqlite3.SQLITE_BUSY: (Contended, "',
        "contracts/test_sqlite:a_store_that_another_program_keeps_locked_is_unavailable",
    ),
    (
        "a closed store opens again",
        "if self._closed:\n            raise",
        "if False:\n            raise",
        "a_closed_store_is_unavailable",
    ),
    (
        "a query's limit is ignored",
        "left = query.limit",
        "left = None",
        "a_query_keeps_to_its_limit",
    ),
    (
        "a query breaks ties downwards",
        'order.append(("id", "asc"))',
        'order.append(("id", "desc"))',
        "equal_values_are_ordered_by_id",
    ),
    (
        "true is one",
        "kinds = \"'true', 'false'\"",
        "kinds = \"'true', 'false', 'integer'\"",
        "a_query_finds_what_it_asks_for_in_its_order",
    ),
    (
        "a document without the field is in the order",
        'where += [f"{column} IS NOT NULL" for column, _ in order]',
        "pass",
        "a_query_finds_what_it_asks_for_in_its_order",
    ),
)

FIRESTORE = _faults(
    "shared/adapters/firestore.py",
    _STORE,
    ("firestore",),
    (
        "a listing begins with the cursor's own version",
        "if found.version > after:",
        "if found.version >= after:",
        "changes_are_those_after_and_not_later_than_the_reading",
    ),
    (
        "a listing begins a microsecond too late",
        "if found.version > after:",
        "if found.version > after + 1:",
        "changes_are_those_after_and_not_later_than_the_reading",
    ),
    (
        "what the overlap brings is not sorted out",
        "if found.version > after:",
        "if True:",
        "changes_are_those_after_and_not_later_than_the_reading",
    ),
    (
        "the index is asked without an overlap",
        'where.append((STAMP, ">", after - self._overlap))',
        'where.append((STAMP, ">", after))',
        "documents_that_one_commit_wrote_are_all_listed",
    ),
    (
        "a cursor is compared with the time of the request",
        "if found.version > after:",
        "if stamp[0] > after:",
        "documents_that_one_commit_wrote_are_all_listed",
    ),
    (
        "a listing is not read at its reading",
        "start_after=behind,\n            read_at=read_at,",
        "start_after=behind,",
        "changes_are_those_after_and_not_later_than_the_reading",
    ),
    (
        "a listing begins anew instead of behind a position",
        "start_after=behind,\n            read_at=read_at,",
        "read_at=read_at,",
        "a_listing_resumes_behind_any_position",
    ),
    (
        "a listing goes on with the last document",
        "asked.start_at.before = False",
        "asked.start_at.before = True",
        "a_listing_resumes_behind_any_position",
    ),
    (
        "ties are broken downwards",
        'asked.order_by.add(direction=_DIRECTIONS["asc"]).field.field_path = "__name__"',
        'asked.order_by.add(direction=_DIRECTIONS["desc"]).field.field_path = "__name__"',
        "equal_values_are_ordered_by_id",
    ),
    (
        "a listing forgets the scopes",
        "where=tuple(where),\n            # Also",
        "where=tuple(where[1:]),\n            # Also",
        "changes_keep_to_the_scopes_and_the_collection",
    ),
    (
        "a listing takes the first scope only",
        '("scope_id", "in", scopes) if len(scopes) > 1 else ("scope_id", "==", scopes[0])',
        '("scope_id", "==", scopes[0])',
        "changes_keep_to_the_scopes_and_the_collection",
    ),
    (
        "a mask is ignored",
        "request.mask.field_paths.extend(_mask(fields))",
        "pass",
        "a_mask_gives_the_named_fields_that_exist",
    ),
    (
        "an empty mask gives everything",
        ' or ["__name__"]',
        "",
        "a_query_masks_what_comes_back",
    ),
    (
        "a query's mask is ignored",
        "asked.select.fields.add(field_path=path)",
        "pass",
        "a_query_masks_what_comes_back",
    ),
    (
        "a query's limit is ignored",
        "asked.limit.value = limit",
        "pass",
        "a_query_keeps_to_its_limit",
    ),
    (
        "a reading's time is older than what it shows",
        "return Snapshot(read_at, documents)",
        "return Snapshot(read_at - 60_000_000, documents)",
        "what_was_committed_before_a_reading_is_not_later_than_it",
    ),
    (
        "a reading's time is later than what it shows",
        "return Snapshot(read_at, documents)",
        "return Snapshot(read_at + 60_000_000, documents)",
        "what_is_committed_after_a_reading_is_later_than_it",
    ),
    (
        "what must be absent may exist",
        "to.current_document.exists = False",
        "pass",
        "a_precondition_decides_about_the_whole_commit",
    ),
    (
        "a patch makes the document",
        "to.current_document.exists = True",
        "pass",
        "a_patch_needs_a_document",
    ),
    *(
        (
            f"the version that a {kind.lower()} expects is not checked",
            "elif expect is not None:",
            f"elif expect is not None and kind is not Kind.{kind}:",
            "a_precondition_decides_about_the_whole_commit",
        )
        for kind in ("PUT", "PATCH", "VERIFY", "DELETE")
    ),
    (
        "verifying writes the stamp",
        "to.update_mask.SetInParent()\n            return",
        "to.update_mask.SetInParent()",
        "verifying_changes_neither_fields_nor_version",
    ),
    (
        "verifying replaces the document",
        "to.update_mask.SetInParent()\n            return",
        "return",
        "verifying_changes_neither_fields_nor_version",
    ),
    (
        "verifying absence makes the document",
        "if kind is Kind.DELETE or (kind is Kind.VERIFY and expect == ABSENT):",
        "if kind is Kind.DELETE:",
        "verifying_absence_creates_nothing",
    ),
    (
        "a null is stored",
        "if value is not None and field != STAMP:",
        "if field != STAMP:",
        "a_null_is_not_stored",
    ),
    (
        "a patch merges maps",
        "paths = [_path(field) for field in fields if field != STAMP]",
        "paths = []\n            for field, value in fields.items():\n"
        "                if isinstance(value, dict) and value:\n"
        '                    paths += [f"{_path(field)}.{_path(name)}" for name in value]\n'
        "                elif field != STAMP:\n"
        "                    paths.append(_path(field))",
        "a_patch_replaces_a_map_whole",
    ),
    (
        "a patch replaces the document",
        "if kind is Kind.PATCH:\n            # A field",
        "if False:\n            # A field",
        "a_patch_leaves_other_fields_alone",
    ),
    (
        "a null of a patch is ignored",
        "paths = [_path(field) for field in fields if field != STAMP]",
        "paths = [_path(f) for f, v in fields.items() if f != STAMP and v is not None]",
        "a_patch_with_null_removes_the_field",
    ),
    (
        "nothing is stamped",
        "to.update_transforms.add(field_path=STAMP, set_to_server_value=_SERVER_TIME)",
        "pass",
        "a_mask_can_ask_for_the_stamp",
    ),
    (
        "the stamp is the caller's",
        "to.update_transforms.add(field_path=STAMP, set_to_server_value=_SERVER_TIME)",
        "if fields.get(STAMP):\n            _set(stored[STAMP], fields[STAMP])\n"
        "        else:\n            to.update_transforms.add(\n"
        "                field_path=STAMP, set_to_server_value=_SERVER_TIME\n            )",
        "no_write_takes_its_stamp_or_version_from_the_caller",
    ),
    (
        "writes are applied one by one",
        "return self._send(request, self._timeout)\n",
        "for each in writes:\n                single = _Commit(database=self._database)\n"
        "                self._add(single.writes.add(), each)\n"
        "                done = self._send(single, self._timeout)\n"
        "            return done\n",
        "a_precondition_decides_about_the_whole_commit",
    ),
    (
        "a commit that is refused says that it was applied",
        "raise _fault(_COMMIT_FAULTS, error) from error",
        "fault = _fault(_COMMIT_FAULTS, error)\n"
        "            if isinstance(fault, Contended):\n                return 1\n"
        "            raise fault from error",
        "a_precondition_decides_about_the_whole_commit",
    ),
    (
        "a commit that is refused says that the store is out of reach",
        '(api.FailedPrecondition, "", Contended, ',
        '(api.FailedPrecondition, "", StoreUnavailable, ',
        "a_precondition_decides_about_the_whole_commit",
    ),
    (
        "a store out of reach is contended",
        '(api.InvalidArgument, "", StoreFault, "Firestore refused a value of the commit"),',
        '(api.ServiceUnavailable, "", Contended, "x"),',
        "a_store_out_of_reach_is_unavailable",
    ),
    (
        "a closed store answers",
        "if self._closed:\n            raise",
        "if False:\n            raise",
        "a_closed_store_is_unavailable",
    ),
    (
        "versions are rounded to milliseconds",
        "int(time.nanos) // 1000",
        "int(time.nanos) // 1000000 * 1000",
        "a_put_replaces_the_whole_document",
    ),
    # Not here, since only luck shows them against the emulator: a reading that does not pass the
    # turnstile, and the parts of a long reading at times of their own.
)

RULES = _faults(
    "shared/adapters/store_rules.py",
    _STORE,
    BOTH,
    (
        "any number of scopes is listed",
        "if len(distinct) > MAX_IN_VALUES:",
        "if False:",
        "thirty_scopes_are_listed_together_and_no_more",
    ),
    (
        "any number of writes is taken",
        "if len(writes) > MAX_COMMIT_WRITES:",
        "if False:",
        "a_commit_over_the_limits_is_refused_whole",
    ),
    (
        "a document may be written twice in a commit",
        "if len({write.key for write in writes}) < len(writes):",
        "if False:",
        "a_document_has_one_write_in_a_commit",
    ),
    (
        "senseless preconditions are taken",
        "(kind is Kind.VERIFY and expect is None)\n",
        "False\n",
        "a_senseless_precondition_is_refused",
    ),
    (
        "any id is taken",
        "if not _COLLECTION(collection) or not _ID(id):",
        "if not _COLLECTION(collection):",
        "other_ids_are_refused",
    ),
    (
        "a comparison without an order is taken",
        "if unordered:",
        "if False:",
        "a_query_that_the_stores_would_answer_differently_is_refused",
    ),
) + _faults(
    "shared/adapters/store_rules.py",
    _STORE,
    ("sqlite",),
    # The emulator refuses it by itself.
    (
        "any number of bytes is taken",
        "if size > MAX_COMMIT_BYTES:",
        "if False:",
        "a_commit_over_the_limits_is_refused_whole",
    ),
)

# -- the engine ----------------------------------------------------------------------------------

_PUSH = "sync/test_push"
_PULL = "sync/test_pull"
_RUNNER = "jobs/test_runner"
_SQLITE = ("sqlite",)

PUSH = _faults(
    "shared/sync/push.py shared/sync/receipts.py shared/sync/decision.py shared/sync/journal.py",
    _PUSH,
    _SQLITE,
    (
        "whoever asks may do everything",
        "return self.catalog.may(self.members.roles.get(scope_id), action)",
        "return True",
        "an_id_of_another_team_is_refused_like_one_that_cannot_be_used",
    ),
    (
        "memberships are not verified at the commit",
        "writes.append(verify(membership.key(decision.caller.user_id), decision.members.version))",
        "pass",
        f"{_PULL}:a_membership_that_changes_while_a_push_is_on_its_way_is_seen",
    ),
    (
        "a parent is not guarded",
        "size + WRITE_OVERHEAD + extra, guard)",
        "size + WRITE_OVERHEAD + extra)",
        "a_parent_deleted_while_a_child_is_on_its_way_leaves_no_live_orphan",
    ),
    (
        "a parent's version is not followed from commit to commit",
        "version = versions.get(key) or (",
        "version = (",
        "a_push_in_several_commits_goes_through_at_once",
    ),
    (
        "a deleted parent takes children",
        "if parent.deleted:",
        "if False:",
        "a_child_of_a_deleted_parent_is_refused",
    ),
    (
        "a parent of another team is taken",
        "if not self._may(parent.scope_id, Action.READ):\n",
        "if False:\n",
        "a_parent_of_another_team_is_answered_like_an_unknown_one",
    ),
    (
        "the receipt is ignored",
        "if earlier is not None:\n            return",
        "if False:\n            return",
        "a_replay_repeats_the_unseen_overwrite_of_the_first_answer",
    ),
    (
        "a big push that was answered reads everything again",
        "if earlier is not None:\n                return",
        "if False:\n                return",
        "a_big_push_that_was_answered_reads_hardly_anything_when_it_comes_again",
    ),
    (
        "a replay of a big push tells values to one who left",
        "reading = self.store.read([membership.key(caller.user_id), *told], self._mask)",
        "reading = Reading(0, {})",
        "a_big_push_that_was_answered_reads_hardly_anything_when_it_comes_again",
    ),
    (
        "what was just written is read by its key and listed too",
        "return self.read_at >= after",
        "return False",
        f"{_PULL}:what_a_push_has_stored_is_listed_and_not_read_by_key_too",
    ),
    (
        "what no listing brings is left to it",
        "return self.read_at >= after",
        "return True",
        f"{_PULL}:a_cursor_after_the_commit_of_its_own_push_gets_the_row_all_the_same",
    ),
    (
        "a row from before the cursor is left to the listing",
        "and have.version > after\n",
        "",
        f"{_PULL}:what_a_push_has_stored_is_listed_and_not_read_by_key_too",
    ),
    (
        "a first sync leaves a deletion of its own push untold",
        "if after == 0:\n            return",
        "if False:\n            return",
        f"{_PULL}:a_row_of_a_push_that_is_deleted_before_the_answer_is_dropped",
    ),
    (
        "no receipt is kept",
        "*_audited(decision, receipt), self._receipt(receipt, decision)]",
        "*_audited(decision, receipt)]",
        "a_replay_repeats_the_unseen_overwrite_of_the_first_answer",
    ),
    (
        "a receipt never expires",
        '"expires_at": expires_at, ',
        '"expires_at": None, ',
        "jobs/test_sweep:receipts_go_when_they_expire_and_not_before",
    ),
    (
        "a receipt is good for other users",
        'text = f"{caller.user_id}\\n{caller.device}\\n{push.cursor_ms}\\n{push.fingerprint}"',
        'text = f"{push.cursor_ms}\\n{push.fingerprint}"',
        "a_receipt_is_only_good_for_the_phone_that_sent_it",
    ),
    (
        "a conflict is not logged",
        "            self._log(write, guard)\n",
        "            pass\n",
        "an_edit_that_lost_leaves_the_servers_value_on_the_phone",
    ),
    (
        "an edit that lost does not come back",
        "        if stale or lost:\n",
        "        if False:\n",
        "sync/test_conflict:a_change_that_comes_again_gets_what_became_of_it",
    ),
    (
        "an unseen overwrite is not logged",
        'self.journal.name(entry, have, "client", "unseen_overwrite", yours)',
        "pass",
        "a_value_overwritten_unseen_is_kept_and_named",
    ),
    (
        "a lost answer hides the unseen overwrite",
        "if entry.key in self.tried:",
        "if False:",
        "an_unseen_overwrite_is_named_although_a_later_part_was_tried_again",
    ),
    (
        "every row counts as held by its phone",
        "exact = known and not differs and not entry.overtaken and self._complete_copy(entry, after)",
        "exact = True",
        f"{_PULL}:an_edit_that_leaves_columns_out_brings_the_row",
    ),
    (
        "a deletion of an unknown id leaves nothing",
        "        if scope_id is None:\n            return\n        own = ",
        "        return\n        own = ",
        "a_creation_that_comes_after_its_own_deletion_stays_deleted",
    ),
    (
        "an own deletion is told",
        "            record.ECHO: self.echo,\n        }\n        writes =",
        "            record.ECHO: None,\n        }\n        writes =",
        f"{_PULL}:a_deletion_is_told_to_the_others_and_not_to_its_phone",
    ),
    (
        "no row counts as held by its phone",
        "exact = known and not differs and not entry.overtaken and self._complete_copy(entry, after)",
        "exact = False",
        f"{_PULL}:a_phone_does_not_get_its_own_push_back",
    ),
    (
        "a clock that is ahead is not shifted",
        "offset if offset > clock_tolerance_ms else 0,",
        "0,",
        "a_clock_that_is_ahead_is_shifted_back",
    ),
    (
        "a clock that is behind is shifted too",
        "offset if offset > clock_tolerance_ms else 0,",
        "offset,",
        "a_clock_behind_is_reported_and_not_corrected",
    ),
    (
        "a small difference of clocks is corrected",
        "offset if offset > clock_tolerance_ms else 0,",
        "max(offset, 0),",
        "a_clock_within_the_tolerance_is_left_alone",
    ),
    (
        "a case has no job",
        "self.steps.append(Step([own, *effects.writes],",
        "self.steps.append(Step([own],",
        "a_red_case_is_stored_with_its_job_and_moves_on",
    ),
    (
        "a job is committed before its case",
        "self.steps.append(Step([own, *effects.writes],",
        "if effects.writes:\n            self.store.commit(effects.writes)\n"
        "        self.steps.append(Step([own],",
        "a_case_and_its_job_are_one_commit",
    ),
    (
        "a job may go into another commit than its case",
        "self.steps.append(Step([own, *effects.writes],",
        "for late in effects.writes:\n            self.steps.append(Step([late], 900))\n"
        "        self.steps.append(Step([own],",
        "a_case_and_its_job_are_one_commit",
    ),
    (
        "a deletion has no job",
        "if self.catalog.children(table):",
        "if False:",
        "a_deletion_makes_the_job_that_deletes_the_children",
    ),
    (
        "an update expects nothing of the stored row",
        "own = patch(entry.key, fields, have.version)",
        "own = patch(entry.key, fields, None)",
        "an_edit_is_judged_anew_when_the_row_changes_meanwhile",
    ),
    (
        "a creation expects nothing",
        "own = put(entry.key, fields, ABSENT)",
        "own = put(entry.key, fields, None)",
        "a_new_row_does_not_replace_one_that_was_created_meanwhile",
    ),
    (
        "a deletion expects nothing of the stored row",
        "writes = [patch(entry.key, fields, have.version)]",
        "writes = [patch(entry.key, fields, None)]",
        "a_deletion_is_judged_anew_when_the_row_changes_meanwhile",
    ),
    (
        "a refused record is not kept",
        "            self.quota.ask(refusal, whose, told)\n",
        "            pass\n",
        "one_bad_record_among_a_hundred_is_refused_by_name",
    ),
    (
        "a refused red case is not urgent",
        "self.outcome.urgent += urgent",
        "pass",
        "a_refused_red_case_is_marked_urgent",
    ),
    (
        "one fault of the store ends a push",
        "unreachable=_UNREACHABLE_ATTEMPTS,",
        "unreachable=1,",
        "a_commit_whose_answer_was_lost_makes_no_conflict",
    ),
    (
        "a record may have any size",
        "if size > MAX_RECORD_BYTES:",
        "if False:",
        "a_record_over_the_limit_is_refused_by_name",
    ),
)

CONFLICT = _faults(
    "shared/sync/conflict.py",
    "sync/test_conflict",
    _SQLITE,
    (
        "an undo leaves the time as it was",
        "        changed[name] = _after_seen(mine, theirs)\n        elif",
        "        pass\n        elif",
        "a_watermelon_push_that_the_network_held_back_does_not_undo_an_undo",
    ),
    (
        "an unseen undo leaves the time as it was",
        "elif not writer.pulled_first and writer.is_later(mine, theirs):",
        "elif False:",
        "an_undo_moves_the_time_on_also_where_the_record_was_not_seen",
    ),
    (
        "the very same edit counts as another one",
        "if mine.raw_ms in (theirs.raw_ms, theirs.modified_ms, last.raw_ms, last.modified_ms):",
        "if False:",
        "the_very_same_edit_again_moves_nothing",
    ),
    (
        "an offered copy of a record with two times is another edit",
        "(theirs.raw_ms, theirs.modified_ms, last.raw_ms, last.modified_ms):",
        "(theirs.raw_ms, theirs.modified_ms):",
        "offering_the_very_copy_that_is_stored_writes_nothing",
    ),
    (
        "a copy that is offered after a restore is an edit of what is newer",
        "return 0 if entry.fresh else writer.cursor_ms * 1000",
        "return writer.cursor_ms * 1000",
        "a_copy_that_is_offered_after_a_restore_is_no_edit_of_what_is_newer",
    ),
    (
        "what WatermelonDB sends again drops what came after it",
        "        if history.is_replayed(name, value, mine.raw_ms):",
        "        if False:",
        "what_a_watermelon_phone_sends_again_after_a_lost_answer_drops_no_photo_of_others",
    ),
    (
        "a blind edit lowers by a value that was there before",
        "        if name in old or held:",
        "        if name in old:",
        "a_watermelon_phone_gets_what_its_blind_merge_did_not_lower",
    ),
    (
        "a device's own clock does not decide about its own edits",
        "        if not self.is_own(theirs):\n            mine_ms",
        "        if True:\n            mine_ms",
        f"{_PUSH}:of_two_edits_in_a_device_s_future_its_own_clock_tells_the_later",
    ),
    (
        "phones without a name are one phone",
        "return self.device != record.UNNAMED and stamp[4:]",
        "return stamp[4:]",
        f"{_PUSH}:two_phones_that_name_no_device_are_not_one",
    ),
    (
        "a clock that was set in between is compared as it is",
        "if abs(mine.offset_ms - theirs.offset_ms) > self.tolerance_ms:",
        "if False:",
        "an_own_later_edit_never_loses_to_an_own_earlier_one_whose_answer_was_lost",
    ),
    (
        "at equal times the later arrival wins",
        "return None if mine_ms == theirs_ms else mine_ms > theirs_ms",
        "return mine_ms >= theirs_ms",
        f"{_PUSH}:equal_times_keep_the_stored_value",
    ),
    (
        "the earlier edit wins",
        "return None if mine_ms == theirs_ms else mine_ms > theirs_ms",
        "return None if mine_ms == theirs_ms else mine_ms < theirs_ms",
        f"{_PUSH}:an_edit_that_lost_leaves_the_servers_value_on_the_phone",
    ),
    (
        "what a phone has seen counts as unseen",
        "        seen = writer.has_seen(stamp, cursor_us)\n",
        "        seen = False\n",
        f"{_PUSH}:overwriting_what_one_has_seen_is_no_conflict",
    ),
    (
        "everything counts as seen",
        "        seen = writer.has_seen(stamp, cursor_us)\n",
        "        seen = True\n",
        "what_a_restored_phone_cannot_have_seen_is_named_and_kept",
    ),
    (
        "the version that a phone names is not heeded",
        "if entry.version_ms in [stamp // 1000 for stamp in stamps]:",
        "if False:",
        "the_version_that_a_phone_names_it_has_seen",
    ),
    (
        "the server's own write counts as unseen",
        "            record.client_version(document),\n",
        "            document.version,\n",
        f"{_PUSH}:the_servers_own_write_is_no_unseen_edit",
    ),
    (
        "columns that a phone did not name are taken too",
        "if name in entry.named or _rises(",
        "if True or _rises(",
        "a_restored_phone_names_what_it_changed",
    ),
    (
        "a stale copy counts as an edit",
        "        if name in old or held:",
        "        if held:",
        "edits_of_different_columns_both_stand_in_either_order",
    ),
    (
        "what a column held before is forgotten",
        "            if name in before:\n",
        "            if False:\n",
        "edits_of_different_columns_both_stand_in_either_order",
    ),
    (
        "a column keeps no time of its own",
        'entry["stamp"] = tuple(self.stamp(name))',
        "pass",
        "edits_of_different_columns_both_stand_in_either_order",
    ),
    (
        "the higher of two unseen choices does not stay",
        "return max((stored, value), key=order.index)",
        "return value",
        "red_stays_red_between_two_that_did_not_know_of_each_other",
    ),
    (
        "a photo vanishes between two edits",
        "both = list(dict.fromkeys([*(stored or ()), *(value or ())]))",
        "both = list(value or ())",
        "no_photo_vanishes_between_two_that_did_not_know_of_each_other",
    ),
    (
        "a colour that one has seen cannot be lowered",
        "    if seen:\n        drops",
        "    if seen and spec.merge is Merge.LAST:\n        drops",
        "who_has_seen_the_row_may_lower_its_colour_and_remove_a_photo",
    ),
    (
        "a blind merge is not named",
        "overwrites=drops and",
        "overwrites=False and",
        "what_a_watermelon_phone_lowers_by_a_blind_merge_is_named",
    ),
    (
        "an edit of what one has seen keeps its slow clock",
        "return mine._replace(modified_ms=max(mine.modified_ms, theirs.modified_ms + 1))",
        "return mine",
        "an_edit_of_what_one_has_seen_wins_whatever_the_clock_says",
    ),
    (
        "a deletion of what one has seen loses by the clock",
        "if entry.raw_ms is None or writer.has_seen(last, _seen_until(document, entry, writer)):",
        "if entry.raw_ms is None:",
        "an_edit_of_what_one_has_seen_wins_whatever_the_clock_says",
    ),
    (
        "times from the future stay",
        "return max(0, min(raw_ms - self.shift_ms, self.now_ms))",
        "return max(0, raw_ms - self.shift_ms)",
        f"{_PUSH}:nothing_from_the_future_sticks",
    ),
)

CURSORS = _faults(
    "shared/sync/conflict.py",
    "sync/test_conflict",
    ("",),
    (
        "an own change in the ms of the cursor is unseen",
        "return stamp.version <= until or (",
        "return stamp.version <= until or False and (",
        "what_a_device_wrote_in_the_ms_of_its_cursor_it_has_seen",
    ),
)

SIGNAL = _faults(
    "shared/products/dermadetect/signal.py shared/products/dermadetect/tables.py"
    " shared/products/dermadetect/review.py shared/products/dermadetect/worklist.py"
    " shared/sync/decision.py shared/sync/journal.py shared/support/inbox.py",
    "review/test_signal",
    _SQLITE,
    (
        "a colour that nobody can read counts as green",
        "    ranks = [RANKS.get(str(colour), LOOK)]",
        '    ranks = [RANKS.get(str(colour), RANKS["green"])]',
        "a_case_without_a_colour_stands_in_the_list_until_somebody_looked",
    ),
    (
        "an emergency ranks as any red case",
        "    if urgency_of(said.flags).urgency is not None:",
        "    if False:",
        "the_list_goes_emergency_red_look_and_within_a_class_by_how_long_the_patient_waits",
    ),
    (
        "what loses in red is only logged",
        "        if self.catalog.urgent(conflict.table, lost):",
        "        if False:",
        "a_red_edit_that_loses_is_met_by_a_doctor",
    ),
    (
        "a red case of nobody's team is nobody's",
        "            scopes = self.members.scopes or (record.UNFILED,)",
        "            scopes = (None,)",
        "a_red_case_of_two_teams_waits_in_both_and_one_of_none_with_the_admins",
    ),
    (
        "the oldest entries hide the urgent ones",
        "((True, False), (True, True), (False, False), (False, True))",
        "((False, False), (False, True), (True, False), (True, True))",
        "others_entries_hide_no_urgent_one",
    ),
    (
        "deleting is a way out",
        "if document.fields.get(record.DELETED) is None or asked.status == PENDING:",
        "if document.fields.get(record.DELETED) is None:",
        "a_waiting_case_that_is_deleted_stays_until_it_is_closed_with_a_word",
    ),
    (
        "signed is a sink",
        "        if not since:",
        "        if True:",
        "what_becomes_worse_after_the_signature_is_read_and_listed_again",
    ),
    (
        "a signature covers what was not seen",
        "        if seen == case.version:",
        "        if True:",
        "a_signature_on_what_is_older_than_the_case_is_refused_and_says_what_changed",
    ),
    (
        "a case is closed without its diagnosis",
        "            if have.get(record.DELETED) is None and not have.get(CHANGED):",
        "            if False:",
        "a_case_that_waits_for_its_diagnosis_is_not_closed_with_a_word",
    ),
    (
        "a closing word covers what was not seen",
        "            self._check_seen(scene.case, seen)\n            off",
        "            off",
        "a_waiting_case_that_is_deleted_stays_until_it_is_closed_with_a_word",
    ),
    (
        "what its own push takes back was never there",
        "        for earlier in entry.earlier:",
        "        for earlier in ():",
        "a_signal_that_its_own_push_takes_back_is_met_by_a_doctor",
    ),
    (
        "what a clock that was set back overtook is lost with what is refused",
        "                if entry.overtaken:",
        "                if False:",
        "an_answer_that_a_clock_set_back_overtook_is_met_by_a_doctor_all_the_same",
    ),
    (
        "an answer that nobody understands is no signal once it is refused",
        "return said.triage is not None or bool(said.look)",
        "return said.triage is not None",
        "an_answer_that_nobody_understands_is_kept_as_a_signal",
    ),
    (
        "the same colour is lost only once",
        'raw = {**lost, "last_modified_at": entry.raw_ms}',
        "raw = lost",
        "the_same_colour_that_is_lost_once_more_is_an_entry_once_more",
    ),
    (
        "a colour that nobody can read says less than a signed red",
        'now["colour"] < signed["colour"] or unreadable,',
        'now["colour"] < signed["colour"],',
        "a_signed_case_whose_colour_nobody_can_read_any_more_is_listed_again",
    ),
    (
        "raised again after the signature is no news",
        'if now["colour"] > signed["colour"]:',
        "if False:",
        "a_signed_case_that_was_lowered_and_is_raised_again_is_listed_again",
    ),
    (
        "an age that comes later changes nothing",
        'if turn.before.get("demographics") == turn.values.get("demographics"):',
        "if True:",
        "open_cases_are_judged_again_when_the_patient_turns_out_to_be_a_baby",
    ),
)

INTAKE = (
    *_faults(
        "shared/sync/exchange.py shared/sync/push.py shared/sync/conflict.py shared/sync/decision.py",
        "sync/test_conflict",
        _SQLITE,
        (
            "of two edits in a push one is kept",
            "                first = first.then(entry)",
            "                first = entry",
            "two_partial_edits_in_one_push_add_up",
        ),
        (
            "edits of a push are applied as they stand",
            "first, *later = in_order = sorted(copies, key=_moment)",
            "first, *later = in_order = copies",
            "edits_of_one_push_are_applied_in_the_order_of_their_times",
        ),
        (
            "a later whole row undoes an edit that it does not name",
            "if name in named or name not in values}",
            "if True}",
            "what_a_later_whole_row_does_not_name_keeps_the_earlier_edit",
        ),
        (
            "an edit after a deletion vanishes",
            "                refusals.append(_after_its_deletion(entry))\n",
            "                pass\n",
            "an_edit_after_a_deletion_in_one_push_is_refused_and_kept",
        ),
        (
            "a replay refuses what was taken in another copy",
            'taken = {Key(*item) for item in kept["taken"]}',
            "taken = set()",
            "a_record_that_stands_twice_gets_the_same_verdict_in_a_replay",
        ),
        (
            "children wait for the sweeper",
            "        self._take_children()\n\n",
            "\n",
            "the_children_of_a_deleted_parent_go_in_the_same_commit",
        ),
        (
            "created_at is the server's",
            "record.CREATED: created_ms,",
            "record.CREATED: self.now_ms,",
            "created_at_is_the_phone_s_and_received_at_the_server_s",
        ),
        (
            "a clamped time stays on the phone",
            "        stale = stale or entry.raw_ms not in (None, have.fields.get(record.MODIFIED))\n",
            "",
            "watermelon_s_own_created_at_survives_and_its_clamped_time_comes_back",
        ),
    ),
    *_faults(
        "shared/sync/dialects/batch.py shared/sync/dialects/watermelon.py",
        "sync/test_conflict",
        _SQLITE,
        (
            "rows that a phone sent come back whole",
            "shown = row(item) if held is None else news(item, held)",
            "shown = row(item)",
            "of_what_the_phone_sent_only_the_news_comes_back",
        ),
        (
            "a rolled back phone is taken for itself",
            'arguments.get("receipt", ""),',
            '"",',
            "a_watermelon_phone_that_was_rolled_back_gets_everything_again",
        ),
    ),
    *_faults(
        "shared/sync/journal.py",
        "sync/test_conflict",
        _SQLITE,
        (
            "two large sides go into one document",
            "if sum(sizes) <= MAX_RECORD_BYTES:",
            "if True:",
            "two_large_sides_of_a_conflict_are_kept_apart",
        ),
        (
            "entries of a stale push are counted, not weighed",
            "size + size_of(write) > MAX_COMMIT_BYTES // 2",
            "False",
            "a_stale_push_of_large_records_keeps_the_values",
        ),
    ),
    *_faults(
        "shared/sync/dialects/reading.py shared/records/record.py",
        "sync/test_reading",
        ("",),
        (
            "half a character stops the push",
            "        return _read_apart(data)\n",
            "        raise _no_json() from None\n",
            "one_unreadable_record_is_taken_out_and_the_others_are_read",
        ),
        (
            "a long integer is rounded without a word",
            "if too_deep(data) or long_integer(data) else value",
            "if too_deep(data) else value",
            "an_integer_that_json_cannot_carry_is_named_at_any_length",
        ),
    ),
)

#: What the fleet has found.
OWN_EDITS = _faults(
    "shared/sync/conflict.py shared/sync/push.py shared/sync/decision.py shared/sync/dialects/batch.py",
    "sync/test_conflict_fleet",
    _SQLITE,
    (
        "an undo counts as a row that was sent again",
        "if not writer.is_own(theirs):\n        return None\n",
        "return None\n",
        "an_undo_after_a_sync_that_did_not_end_is_an_edit",
    ),
    (
        "a row that was sent again counts as an undo",
        "if not writer.is_own(theirs):\n        return None\n",
        "if False:\n        return None\n",
        "an_old_value_of_a_phone_that_did_not_see_the_new_one_is_no_undo",
    ),
    (
        "a late request counts as an undo",
        "later = mine.raw_ms != theirs.raw_ms and bool(writer.is_later(mine, theirs))",
        "later = True",
        "a_request_that_arrives_late_is_no_undo",
    ),
    (
        "a clone's row undoes what its twin has changed",
        "return alone if later else None",
        "return later or None",
        "a_clone_that_edits_another_column_undoes_nothing_of_its_twin",
    ),
    (
        "an edit back counts only if its record brings nothing else",
        "if not merged.differs or entry.named is not None:",
        "if not merged.differs:",
        "an_edit_back_to_what_is_stored_counts_beside_one_of_another_column",
    ),
    (
        "what a push overtakes itself is not named",
        "if in_order != copies and first.coerced is not None:",
        "if False:",
        "an_edit_that_its_own_push_overtakes_is_named",
    ),
    (
        "a phone does not learn what overtook its edit",
        "if name not in sent.overtaken:",
        "if True:",
        "an_edit_that_its_own_push_overtakes_is_named",
    ),
    (
        "what a new record's push overtakes is not named",
        "self.journal.name_overtaken(entry, after)",
        "pass",
        "a_new_record_that_its_own_push_overtakes_is_named",
    ),
)

PULL = _faults(
    "shared/sync/pull.py",
    _PULL,
    _SQLITE,
    (
        "the epoch is ignored",
        "or (epoch is not None and cursor_ms",
        "or (False and epoch is not None and cursor_ms",
        "a_cursor_from_before_the_epoch_gets_everything_and_is_asked_to_upload",
    ),
    (
        "a cursor from the future is believed",
        "cursor_ms * 1000 > snapshot\n",
        "False\n",
        "a_cursor_from_the_future_gets_everything",
    ),
    (
        "a record that moved away stays on the phone",
        '*self._groups("moved", record.REVOCATIONS, sorted({*held, *lost}), after),',
        "",
        "a_record_that_moved_away_is_dropped_and_arrives_where_it_went",
    ),
    (
        "a record that moved between one's own teams is dropped",
        'if back or self.catalog.may(members.roles.get(str(fields.get("to_scope"))), Action.READ):',
        "if back:",
        "a_record_that_moved_between_two_of_my_teams_stays",
    ),
    (
        "a record that came back is dropped",
        'if back or self.catalog.may(members.roles.get(str(fields.get("to_scope"))), Action.READ):',
        'if not back and self.catalog.may(members.roles.get(str(fields.get("to_scope"))), Action.READ):',
        "a_record_that_moved_away_is_dropped_and_arrives_where_it_went",
    ),
    (
        "a lost team's records stay on the phone",
        '*self._groups("lost", table, sorted(lost), 0),',
        "",
        "a_phone_that_loses_its_team_drops_its_records",
    ),
    (
        "a lost team's records are named only if they changed",
        '*self._groups("lost", table, sorted(lost), 0),',
        '*self._groups("lost", table, sorted(lost), after),',
        "a_phone_that_loses_its_team_drops_its_records",
    ),
    (
        "a new team's old records do not come",
        '*self._groups("rows", table, new, 0),',
        '*self._groups("rows", table, new, after),',
        "a_phone_that_joins_a_team_gets_its_old_records",
    ),
    (
        "a grant stamped before the cursor is overlooked",
        "recent = cursor_ms - self._overlap_ms",
        "recent = cursor_ms",
        "a_grant_that_was_stamped_before_the_cursor_and_committed_after_it_is_seen",
    ),
    (
        "a team lost between two pages is listed on",
        "held = (s for s in segment.scopes if self.catalog.may(members.roles.get(s), Action.READ))",
        "held = iter(segment.scopes)",
        "a_team_lost_between_two_pages_is_not_listed_further",
    ),
    (
        "a page token's signature is not checked",
        "if not hmac.compare_digest(data[:32], self._sign(data[32:])):",
        "if len(data) < 33:",
        "a_page_token_is_only_good_for_its_user_and_its_hour",
    ),
    (
        "a page token is good for other users",
        "if user != caller.user_id:",
        "if False:",
        "a_page_token_is_only_good_for_its_user_and_its_hour",
    ),
    (
        "a page token is good for ever",
        "if now_ms - state.began_ms > PAGE_LIFE_MS or",
        "if",
        "a_page_token_is_only_good_for_its_user_and_its_hour",
    ),
    (
        "the cursor moves before the last page",
        "pull.cursor_ms = state.cursor_ms\n",
        "pass\n",
        "pages_bring_each_row_once_whatever_their_size",
    ),
    (
        "a page leaves out the rest of a commit",
        "place = None if behind is None else Position(*behind)",
        "place = None if behind is None else Position(behind[0] + 1, behind[1])",
        "pages_bring_each_row_once_whatever_their_size",
    ),
    (
        "a page's position holds for every table",
        "behind=behind if at == 0 else None,",
        "behind=behind,",
        "a_page_within_one_table_does_not_cut_off_older_rows_of_the_next",
    ),
    (
        "a deletion is not told",
        'return None if segment.mode == "fresh" else Gone(segment.table, document.key.id)',
        "return None",
        "a_deletion_is_told_to_the_others_and_not_to_its_phone",
    ),
    (
        "a first sync lists deletions",
        'return None if segment.mode == "fresh" else Gone(segment.table, document.key.id)',
        "return Gone(segment.table, document.key.id)",
        "a_first_sync_lists_no_deletions",
    ),
    (
        "everything is echoed",
        "if echo and fields.get(record.ECHO) == echo:",
        "if False:",
        "a_phone_does_not_get_its_own_push_back",
    ),
    (
        "whatever any phone sent is taken for an echo",
        "if echo and fields.get(record.ECHO) == echo:",
        "if echo and fields.get(record.ECHO):",
        "the_other_phone_of_the_same_user_gets_it",
    ),
    (
        "the cursor is rounded up",
        "newest_ms = max(state.snapshot // 1000, 1) if",
        "newest_ms = max(state.snapshot // 1000, 1) + 1 if",
        "only_what_changed_comes_again",
    ),
    (
        "rows asked for are shown to anybody",
        "            if not self.catalog.may(role, Action.READ):\n"
        "                continue\n"
        "            if document",
        "            if document",
        "what_an_answer_showed_is_not_shown_again_to_one_who_left",
    ),
    (
        "more than thirty teams are cut off",
        "for at in range(0, len(scopes), SCOPES_A_QUERY)",
        "for at in range(0, len(scopes), SCOPES_A_QUERY)[:1]",
        "more_than_thirty_teams_are_all_listed",
    ),
)

MEMBERSHIP = _faults(
    "shared/access/membership.py",
    _PULL,
    _SQLITE,
    (
        "a grant has no time",
        '{"role": role, "since": now_ms}',
        '{"role": role, "since": 0}',
        "a_phone_that_joins_a_team_gets_its_old_records",
    ),
    (
        "a revocation leaves no trace",
        "{**held.left_ms, scope_id: now_ms}",
        "held.left_ms",
        "a_phone_that_loses_its_team_drops_its_records",
    ),
    (
        "a revocation stays after the return",
        "for scope, at in held.left_ms.items() if scope != scope_id}",
        "for scope, at in held.left_ms.items()}",
        "a_phone_that_comes_back_to_its_team_gets_it_again",
    ),
    (
        "two grants at once lose one",
        "held.version or ABSENT",
        "None",
        "of_two_grants_at_once_none_is_lost",
    ),
    (
        "a changed role changes nothing",
        "if held.roles.get(scope_id) == role:",
        "if scope_id in held.roles:",
        "before_a_doctor_signed_a_health_worker_sees_a_part_of_the_analysis",
    ),
)

REDACTION = _faults(
    "shared/sync/dialects/batch.py",
    _PULL,
    _SQLITE,
    (
        "nothing is redacted",
        "have = collection.redact(document.fields, role)",
        "have = document.fields",
        "before_a_doctor_signed_a_health_worker_sees_a_part_of_the_analysis",
    ),
) + _faults(
    "shared/products/dermadetect/who_sees_analysis.py",
    "ai/test_analyse",
    _SQLITE,
    (
        "a signed analysis stays redacted",
        "if analysis is None or signed or may(",
        "if analysis is None or may(",
        "before_a_doctor_signed_a_health_worker_sees_a_part_of_the_analysis",
    ),
    (
        "a doctor sees a part of the analysis",
        "if analysis is None or signed or may(role, ReviewAction.SEE_UNSIGNED_ANALYSIS):",
        "if analysis is None or signed:",
        "before_a_doctor_signed_a_health_worker_sees_a_part_of_the_analysis",
    ),
)

JOBS = (
    _faults(
        "shared/jobs/runner.py",
        _RUNNER,
        _SQLITE,
        (
            "a lease is ignored",
            "if job.due_at is None or job.due_at > now:",
            "if False:",
            "killed_while_the_model_thinks_the_job_waits_for_its_lease",
        ),
        (
            "a lease is not taken",
            "due_at=now + self._lease_ms,",
            "due_at=now,",
            "killed_while_the_model_thinks_the_job_waits_for_its_lease",
        ),
        (
            "a lease never ends",
            "due_at=now + self._lease_ms,",
            "due_at=None,",
            "killed_while_the_model_thinks_the_job_waits_for_its_lease",
        ),
        (
            "a job that ended runs again",
            "if job.state in jobs.FINAL:\n                return job.state",
            "",
            "the_same_bell_three_times_makes_one_analysis",
        ),
        (
            "an own claim is not known again",
            "if job.token == token:",
            "if False:",
            "a_lost_answer_of_any_commit_loses_no_lease",
        ),
        (
            "a claim carries no token",
            "token=token,",
            "token=None,",
            "a_lost_answer_of_any_commit_loses_no_lease",
        ),
        (
            "attempts are not counted",
            "attempts=job.attempts + 1,",
            "attempts=job.attempts,",
            "killed_while_the_model_thinks_the_job_waits_for_its_lease",
        ),
        (
            "a job is never parked",
            "            return job.attempts < self._policy.attempts",
            "            return True",
            "a_job_that_never_works_is_parked_and_the_doctor_still_gets_the_case",
        ),
        (
            "a job that kills its workers is never parked",
            "if job.attempts >= self._policy.attempts:",
            "if False:",
            "a_job_that_kills_every_worker_is_parked",
        ),
        (
            "a lasting fault is tried again",
            "if fault.retryable and self._goes_on(job, fault):",
            "if self._goes_on(job, fault):",
            "a_lasting_fault_fails_at_once_and_the_doctor_still_gets_the_case",
        ),
        (
            "a result and its job's end are two commits, the job first",
            "self._store.commit([job.move(reached, now, fault=code), *(writes or ())])",
            "self._store.commit([job.move(reached, now, fault=code)])\n"
            "                if writes:\n                    self._store.commit(writes)",
            "killed_around_any_commit_the_case_gets_exactly_one_analysis",
        ),
        (
            "a result and its job's end are two commits, the result first",
            "self._store.commit([job.move(reached, now, fault=code), *(writes or ())])",
            "if writes:\n                    self._store.commit(writes)\n"
            "                self._store.commit([job.move(reached, now, fault=code)])",
            "a_result_and_the_end_of_its_job_are_one_commit",
        ),
        (
            "a claim and its row are two commits",
            "self._store.commit([claim, *self._tasks[job.kind].started(job, now)])",
            "started = self._tasks[job.kind].started(job, now)\n"
            "                self._store.commit([claim])\n"
            "                self._store.commit(started)",
            "a_claim_and_what_the_phone_sees_of_it_are_one_commit",
        ),
        (
            "a bell does only its own job",
            "while time.monotonic() + longest < end:",
            "while False:",
            "one_bell_drains_what_is_due_the_most_urgent_first",
        ),
        (
            "the most urgent is not first",
            "return sorted(found, key=lambda job: job.priority)",
            "return sorted(found, key=lambda job: -job.priority)",
            "one_bell_drains_what_is_due_the_most_urgent_first",
        ),
        (
            "a postponed job is due at once",
            "due = now + self._policy.wait_ms(tries, fault.retry_after_s)",
            "due = now",
            "a_busy_model_is_tried_again_later_not_now",
        ),
        (
            "a redriven job keeps its attempts",
            "job.move(jobs.QUEUED, now, due_at=now, attempts=0, outage_at=None)",
            "job.move(jobs.QUEUED, now, due_at=now, outage_at=None)",
            "a_redriven_job_has_all_its_attempts_again",
        ),
    )
    + _faults(
        "shared/jobs/job.py",
        _RUNNER,
        _SQLITE,
        (
            "a move expects nothing",
            "expect=self.version",
            "expect=None",
            "a_worker_that_lost_its_lease_changes_nothing",
        ),
    )
    + _faults(
        "shared/jobs/job.py",
        _RUNNER,
        ("",),
        (
            "a wait ignores what the server asked for",
            "max(wait, min(retry_after_s or 0.0, self.cap_seconds))",
            "wait",
            "a_wait_is_at_least_what_the_server_asked_for",
        ),
    )
    + _faults(
        "shared/products/dermadetect/analyse.py",
        "ai/test_analyse",
        _SQLITE,
        (
            "a stale result is stored",
            "return case if case.fields.get(JOB) == job.id else None",
            "return case",
            "a_case_that_changed_meanwhile_never_gets_the_stale_result",
        ),
        (
            "a deleted case gets a result",
            "if case is None or case.fields.get(record.DELETED) is not None:",
            "if case is None:",
            "a_case_deleted_meanwhile_makes_its_job_stale",
        ),
        (
            "a stale job writes the newer job's row",
            "row.fields.get(JOB) != job.id or ",
            "",
            "a_stale_job_leaves_the_newer_jobs_row_alone",
        ),
        (
            "a stale job brings a deleted row back",
            " or row.fields.get(record.DELETED):",
            ":",
            "a_stale_job_brings_no_deleted_row_back",
        ),
    )
    + _faults(
        "shared/records/record.py",
        _RUNNER,
        _SQLITE,
        (
            "the server's write expects nothing",
            "{**fields, ECHO: None, EDITED: client_version(document)},\n        document.version,",
            "{**fields, ECHO: None, EDITED: client_version(document)},\n        None,",
            "a_case_that_changes_just_before_the_result_is_stored_never_gets_it",
        ),
        (
            "the server's write keeps the echo",
            "{**fields, ECHO: None, EDITED",
            "{**fields, EDITED",
            f"{_PULL}:a_replay_brings_the_row_if_the_server_wrote_over_it_meanwhile",
        ),
    )
    + _faults(
        "shared/jobs/tree_walk.py",
        "jobs/test_cascade",
        _SQLITE,
        (
            "a cascade ends at the children",
            "if not self.catalog.children(key.collection):",
            "if True:",
            "children_follow_their_parent_also_the_servers_own_rows",
        ),
        (
            "an older job undoes what was decided after it",
            "if parent is None or not self.holds(parent):",
            "if parent is None:",
            "jobs/test_restore:a_cascade_that_comes_late_does_not_delete_what_was_brought_back",
        ),
    )
    + _faults(
        "shared/jobs/restore.py shared/support/undelete.py",
        "jobs/test_restore",
        _SQLITE,
        (
            "what was deleted by itself comes back too",
            'have.get(record.DELETED_WITH) == f"{parent.key.collection}/{parent.key.id}"\n            and ',
            "",
            "a_patient_comes_back_with_what_was_deleted_along_with_it",
        ),
        (
            "what comes back keeps the hash of a deletion",
            "record.HASH: record.content_hash(record_id, scope_id, values)[0],",
            "",
            "what_comes_back_has_the_content_it_had",
        ),
        (
            "a blank record comes back",
            "if stored.fields.get(record.KEPT) is None:",
            "if False:",
            "what_was_purged_is_gone_for_good",
        ),
        (
            "anybody may bring records back",
            "if not catalog.may(role, Action.UNDELETE):",
            "if False:",
            "only_supervisors_may_and_strangers_are_told_nothing",
        ),
        (
            "strangers may bring records back",
            "if not catalog.may(role, Action.READ):",
            "if False:",
            "only_supervisors_may_and_strangers_are_told_nothing",
        ),
        (
            "a child comes back without its parent",
            "if parent.fields.get(record.DELETED) is not None:",
            "if False:",
            "a_child_needs_its_parent_first",
        ),
        (
            "an undelete ends at the record",
            "if catalog.children(key.collection):",
            "if False:",
            "a_patient_comes_back_with_what_was_deleted_along_with_it",
        ),
    )
    + _faults(
        "shared/jobs/transfer.py",
        "jobs/test_transfer",
        _SQLITE,
        (
            "a record that moved keeps the hash of its old scope",
            "{record.SCOPE: to_scope, record.HASH: content_hash}",
            "{record.SCOPE: to_scope}",
            "sync/test_digest:a_patient_that_moved_has_the_digest_of_its_new_team",
        ),
        (
            "earlier revocations say where the record was",
            "if earlier.key != left",
            "if False",
            "moving_again_changes_nothing_and_moving_back_undoes_it "
            "a_patient_that_moves_on_twice_reaches_who_is_in_the_first_and_the_last_team",
        ),
        (
            "log entries stay behind",
            "if entry.fields.get(record.SCOPE) != scope_id:",
            "if False:",
            "log_entries_move_with_their_record",
        ),
        (
            "grandchildren stay behind",
            "return (*own, due(KIND, child.key, to_scope, self.clock()))",
            "return own",
            "a_patient_moves_with_everything_below",
        ),
        (
            "children can move alone",
            "if collection.parent is not None:",
            "if False:",
            "what_cannot_be_moved_is_said",
        ),
    )
    + _faults(
        "shared/sync/retention.py",
        "sync/test_retention",
        _SQLITE,
        (
            "purging trusts the stamp alone",
            "if document.version <= before * 1000 and not waits:",
            "if not waits:",
            "a_server_clock_far_ahead_purges_nothing_early",
        ),
        (
            "purging leaves nothing at all",
            "self._store.commit([put(document.key, fields, document.version), *logs])",
            "self._store.commit([delete(document.key), *logs])",
            "a_phone_that_comes_back_after_a_year_is_right",
        ),
        (
            "purging forgets the log",
            "for log in record.LOGS",
            "for log in ()",
            "log_entries_of_a_purged_record_go_with_it",
        ),
        (
            "purging takes another record's log entries",
            'if entry.fields.get("table") == key.collection',
            "",
            "log_entries_of_a_purged_record_go_with_it",
        ),
    )
    + _faults(
        "shared/sync/digest.py",
        "sync/test_digest",
        _SQLITE,
        (
            "deleted records count",
            "if have.get(record.DELETED) is None:",
            "if True:",
            "a_phone_that_is_up_to_date_has_the_servers_digest",
        ),
        (
            "a phone that is behind gets a digest",
            "if changed:",
            "if False:",
            "a_phone_that_is_behind_is_told_to_pull_first",
        ),
        (
            "a changed membership goes unnoticed",
            "changed = members.version > after or any(",
            "changed = any(",
            "a_membership_that_changed_calls_for_a_pull",
        ),
    )
    + _faults(
        "shared/support/ledger.py",
        "sync/test_ledger",
        _SQLITE,
        (
            "an idle pull writes",
            "and since < _IDLE_MS:",
            "and False:",
            "an_idle_pull_writes_nothing_but_once_a_day",
        ),
        (
            "a failing phone writes at every attempt",
            "and since < _FAILING_MS:",
            "and False:",
            "failures_are_counted_and_a_success_ends_them",
        ),
        (
            "a ledger that is down fails the sync",
            'except Fault as fault:\n            log.warning("device ledger not written"',
            'except KeyError as fault:\n            log.warning("device ledger not written"',
            "a_ledger_that_cannot_be_written_fails_nothing",
        ),
    )
    + _faults(
        "shared/jobs/cascade.py",
        "jobs/test_cascade",
        _SQLITE,
    )
    + _faults(
        "shared/jobs/sweep.py shared/sync/receipts.py",
        "jobs/test_sweep",
        _SQLITE,
        (
            "receipts go before they expire",
            '("expires_at", "<=", now_ms)',
            '("expires_at", ">", now_ms)',
            "receipts_go_when_they_expire_and_not_before",
        ),
        (
            "an unreachable queue stops a sweep",
            "except QueueUnavailable:",
            "except KeyError:",
            "an_unreachable_queue_does_not_stop_the_rest",
        ),
        (
            "a dead letter ends a lease",
            "if job.state == jobs.QUEUED and job.due_at",
            "if job.due_at",
            f"{_RUNNER}:a_dead_letter_never_touches_a_live_lease",
        ),
    )
)

# -- the queue and the model ---------------------------------------------------------------------

_BELLS = "jobs/test_sqlite_bells"

QUEUE = (
    _faults(
        "shared/adapters/sqlite_queue.py",
        _BELLS,
        ("",),
        (
            "a bell in delivery is due",
            "ring_at = :deadline",
            "ring_at = ring_at",
            "a_bell_in_delivery_is_not_taken_again_before_the_deadline",
        ),
        (
            "a late answer acknowledges another delivery",
            '"DELETE FROM doorbells WHERE id = ? AND attempts = ? AND dead = ?",\n'
            "                (delivery.id, delivery.attempt, delivery.dead),",
            '"DELETE FROM doorbells WHERE id = ?",\n                (delivery.id,),',
            "an_answer_that_comes_after_the_deadline_changes_nothing",
        ),
        (
            "a bell never becomes a dead letter",
            "dead = CASE WHEN dead = 0 AND attempts >= :last THEN attempts ELSE dead END,",
            "dead = dead,",
            "the_last_attempt_is_followed_by_dead_letters_until_one_is_taken",
        ),
        (
            "a refused bell comes at once",
            "wait = 0.0 if spent else self._policy.backoff_seconds(delivery.attempt)",
            "wait = 0.0",
            "a_refused_bell_waits_and_a_spent_one_goes_on_at_once",
        ),
        (
            "the longest due does not come first",
            "ORDER BY ring_at, id LIMIT :limit",
            "ORDER BY ring_at DESC, id LIMIT :limit",
            "the_longest_due_come_first_and_no_more_than_fit",
        ),
        (
            "a bell is kept for ever",
            "ring_at <= :now AND rung_at < :oldest",
            "ring_at <= :now AND rung_at < 0 * :oldest",
            "a_bell_nobody_takes_for_a_week_is_dropped",
        ),
    )
    + _faults(
        "shared/adapters/sqlite_queue.py",
        "contracts/test_queue",
        _SQLITE,
        (
            "a fault of the file is not translated",
            "except (sqlite3.Error, OSError) as error:\n            self._resting",
            "except OSError as error:\n            self._resting",
            "an_unreachable_queue_is_said_and_does_not_hold_the_caller",
        ),
        (
            "every ring waits for a locked file",
            "self._resting_until = _now_ms(self._clock) + int(REST_SECONDS * 1000)",
            "pass",
            "an_unreachable_queue_is_said_and_does_not_hold_the_caller",
        ),
    )
    + _faults(
        "shared/adapters/pubsub.py",
        "contracts/test_queue",
        ("pubsub",),
        (
            "every ring waits for a silent queue",
            "self._resting_until = self._clock() + REST_SECONDS",
            "pass",
            "an_unreachable_queue_is_said_and_does_not_hold_the_caller",
        ),
        (
            "a fault of the library is not translated",
            "except (GoogleAPIError, GoogleAuthError, TimeoutError) as error:",
            "except GoogleAuthError as error:",
            "an_unreachable_queue_is_said_and_does_not_hold_the_caller",
        ),
        (
            "the topic's prefix is forgotten",
            'publisher.topic_path(self._project, f"{self._topic_prefix}{bell.kind}")',
            "publisher.topic_path(self._project, bell.kind)",
            "a_bell_arrives_with_its_ids",
        ),
        (
            "a bell is not waited for",
            "future.result(timeout=RING_TIMEOUT_SECONDS)",
            "pass",
            "an_unreachable_queue_is_said_and_does_not_hold_the_caller",
        ),
    )
)

_MODEL = "contracts/test_model"

MODEL = _faults(
    "shared/adapters/scripted.py",
    _MODEL,
    ("scripted",),
    (
        "a busy model does not say how long",
        'raise ModelBusy("The scripted model is busy.", retry_after_s=retry_after_s)',
        'raise ModelBusy("The scripted model is busy.")',
        "a_busy_model_says_so_with_the_wait_it_was_given",
    ),
    (
        "a refusal is worth another try",
        'raise ModelRefused("The scripted model refuses',
        'raise ModelBusy("The scripted model refuses',
        "a_refusal_is_told_from_a_busy_model",
    ),
    (
        "an answer past the timeout is waited for",
        "time.sleep(min(seconds, timeout_seconds))\n        if seconds >= timeout_seconds:",
        "time.sleep(seconds)\n        if False:",
        "an_answer_past_the_timeout_is_a_busy_model_and_nobody_waits_for_it",
    ),
) + _faults(
    "shared/adapters/vertex.py shared/adapters/chat.py",
    _MODEL,
    ("vertex",),
    (
        "too many requests are a refusal",
        "if status in _PASSING or status >= 500 or (full and status not in _DEPLOYMENT):",
        "if status >= 500:",
        "a_busy_model_says_so_with_the_wait_it_was_given",
    ),
    (
        "the server's wait is forgotten",
        'call.retry_after_s = retry_after(response.headers.get("Retry-After"))',
        "pass",
        "a_busy_model_says_so_with_the_wait_it_was_given",
    ),
    (
        "the timeout is forgotten",
        "seconds = min(timeout_seconds, MAX_TIMEOUT_SECONDS)",
        "seconds = MAX_TIMEOUT_SECONDS",
        "an_answer_past_the_timeout_is_a_busy_model_and_nobody_waits_for_it",
    ),
    (
        "a refusal is a busy model",
        'return ModelRefused(f"{server} answered',
        'return ModelBusy(f"{server} answered',
        "a_refusal_is_told_from_a_busy_model",
    ),
)

_MELON = "sync/test_watermelon"

WATERMELON = (
    *_faults(
        "shared/sync/push.py shared/sync/decision.py shared/sync/journal.py",
        _MELON,
        _SQLITE,
        (
            "a stale push is applied",
            "        if self.stale:\n",
            "        if False:\n",
            "a_stale_push_is_refused_whole_and_names_what_is_stale",
        ),
        (
            "a late edit of a deleted record is not kept",
            "            self.store.commit(writes)\n",
            "            pass\n",
            "an_edit_of_what_was_deleted_meanwhile_is_kept_before_the_phone_drops_it",
        ),
    ),
    *_faults(
        "shared/sync/dialects/watermelon.py",
        _MELON,
        _SQLITE,
        (
            "rows are created on every pull",
            'kind = "created" if asked.cursor_ms == 0 and not',
            'kind = "created" if not',
            "later_pulls_only_update_so_that_nothing_deleted_comes_back",
        ),
        (
            "lists leave as lists",
            "value = orjson.dumps(value).decode() if strings else record.canonical(value)",
            "pass",
            "columns_leave_as_what_the_phones_database_holds",
        ),
        (
            "refused records are marked as synced",
            'answer["experimentalRejectedIds"] = ids',
            "pass",
            "bad_records_stay_on_the_phone_and_the_rest_is_stored",
        ),
    ),
)

_REVOKED = "sync/test_revocation"

REVOCATION = (
    *_faults(
        "shared/sync/pull.py",
        _REVOKED,
        _SQLITE,
        (
            "taken records go before their edits are heard",
            "if cursor_ms >= before_ms:",
            "if True:",
            "edits_of_a_moved_record_are_heard_before_the_phone_drops_it",
        ),
        (
            "a cursor handed out lies behind what it should bring",
            "before_ms = (min(taken, default=0) - 1) // 1000",
            "before_ms = min(taken, default=0) // 1000 + 1",
            "edits_of_a_moved_record_are_heard_before_the_phone_drops_it",
        ),
        (
            "what the server rewrites while it is listed is missed",
            'even_if_newer=segment.mode != "moved",',
            'even_if_newer=segment.mode == "lost",',
            f"{_PULL}:a_row_that_the_server_rewrites_while_it_is_listed_comes_all_the_same",
        ),
        (
            "a push has one chance",
            "max(before_ms - _CHANCES + 1, cursor_ms + 1)",
            "before_ms",
            "a_push_that_the_network_swallowed_has_more_chances",
        ),
        (
            "what is edited while a lost team is listed stays on the phone",
            'even_if_newer=segment.mode != "moved",',
            'even_if_newer=segment.mode == "rows",',
            f"{_PULL}:what_is_edited_while_a_lost_team_is_listed_goes_too",
        ),
        (
            "the latest loss decides, not the first",
            "(min(taken, default=0) - 1)",
            "(max(taken, default=0) - 1)",
            "what_was_held_back_comes_at_once_however_often_it_happened",
        ),
        (
            "revocations are asked for twice",
            "known[segment] = kept",
            "pass",
            "revocations_are_asked_for_once_unless_they_are_many",
        ),
        (
            "of many revocations the last are forgotten",
            "if len(kept) <= _MOST_KEPT:\n                    known",
            "if True:\n                    known",
            "revocations_are_asked_for_once_unless_they_are_many",
        ),
        (
            "other deletions are held back too",
            'if item.mode not in ("lost", "moved")]',
            "if False]",
            "other_changes_are_not_held_back",
        ),
    ),
    *_faults(
        "shared/sync/push.py shared/sync/conflict.py shared/sync/decision.py"
        " shared/sync/journal.py shared/sync/quota.py",
        _REVOKED,
        _SQLITE,
        (
            "late edits are lost with a push that is stale",
            'bool(self.whose["late"] or self.whose["urgent"])',
            'bool(self.whose["urgent"])',
            "an_edit_in_a_push_that_is_stale_is_kept_all_the_same",
        ),
        (
            "a push that the network held back undoes a later one",
            "return writer.pulled_first and record.client_version(document) > writer.cursor_ms * 1000",
            "return False",
            f"{_MELON}:a_push_that_comes_late_does_not_undo_a_later_one",
        ),
        (
            "a lost edit is kept where its record was",
            "            self._log(write, guard)\n",
            "            self._log(write)\n",
            "jobs/test_transfer:an_edit_that_loses_at_the_same_moment_is_kept_where_the_record_is",
        ),
        (
            "a leaver is not heard",
            "return scope_id if once or scope_id in left else None",
            "return scope_id if once else None",
            "a_leaver_is_heard_too_before_everything_goes",
        ),
        (
            "what a leaver made anew is not heard",
            "return next(iter(left)) if len(left) == 1 and not self.members.roles else None",
            "return None",
            "a_leaver_is_heard_too_before_everything_goes",
        ),
        (
            "a late deletion vanishes",
            "self.journal.keep(_refusal(entry, _moved()), address)",
            "pass",
            "a_deletion_of_a_moved_record_is_no_deletion_but_is_kept",
        ),
        (
            "strangers may write into an inbox",
            "return scope_id if once or scope_id in left else None",
            "return scope_id",
            "jobs/test_transfer:a_strangers_id_is_refused_as_ever",
        ),
        (
            "what was looked at comes up again",
            "if copy.key in known:",
            "if False:",
            "sync/test_inbox:what_was_looked_at_stays_off_the_list_however_often_it_is_sent",
        ),
    ),
)

# -- doctors -------------------------------------------------------------------------------------

_REVIEW, _LIST, _HTTP = "review/test_review", "review/test_worklist", "review/test_http"

REVIEW = (
    *_faults(
        "shared/products/dermadetect/review.py",
        _REVIEW,
        _SQLITE,
        (
            "a case has as many diagnoses as doctors",
            "if current != signature.amends:",
            "if False:",
            "a_second_doctor_learns_who_signed_and_when "
            "of_many_doctors_at_once_exactly_one_signs "
            "only_the_diagnosis_that_counts_can_be_amended",
        ),
        (
            "what doctors did meanwhile is overwritten",
            "expect = ABSENT if self.review is None else self.review.version",
            "expect = None",
            "a_claim_that_was_overtaken_is_refused "
            "a_signature_that_was_overtaken_by_a_claim_is_refused",
        ),
        (
            "a case may move while it is signed",
            "        record.server_patch(scene.case, judges),\n",
            "        record.server_patch(scene.case, judges)._replace(expect=None),\n",
            "a_case_that_moves_at_that_moment_is_diagnosed_by_nobody_of_its_old_team",
        ),
        (
            "a doctor may leave while signing",
            "        scene.membership,\n    )",
            "    )",
            "a_doctor_who_leaves_at_that_moment_signs_nothing",
        ),
        (
            "a claim is guarded by nothing but itself",
            "guards = [scene.membership, scene.same_case]",
            "guards = []",
            "who_loses_the_role_at_that_moment_changes_nothing",
        ),
        (
            "a deleted case is claimed",
            "guards = [scene.membership, scene.same_case]",
            "guards = [scene.membership]",
            "a_case_that_is_deleted_at_that_moment_is_not_claimed",
        ),
        (
            "a case is given to whoever leaves",
            "guards.append(verify(theirs, found.version))",
            "pass",
            "a_doctor_who_leaves_at_that_moment_is_given_nothing",
        ),
        (
            "a release is guarded by nothing but itself",
            "[released, scene.membership, scene.same_case, *trail]",
            "[released, *trail]",
            "who_loses_the_role_at_that_moment_changes_nothing",
        ),
        (
            "a claim keeps nobody off",
            "if held is not None and held[0] != caller.user_id:",
            "if False:",
            "a_claim_keeps_others_off_until_it_ends",
        ),
        (
            "a claim never ends",
            "if until > now_ms else None",
            "if until else None",
            "a_claim_keeps_others_off_until_it_ends",
        ),
        (
            "a case is given to anybody",
            "if found is None or not may(role, ReviewAction.DIAGNOSE):",
            "if found is None:",
            "a_case_is_given_to_doctors_of_its_team_only",
        ),
        (
            "a key is taken for what it came with first",
            "if earlier.fields.get(REQUEST) != fingerprint:",
            "if False:",
            "a_key_with_other_content_is_refused a_key_for_another_case_is_refused",
        ),
        (
            "two doctors share their keys",
            'text = f"{user_id}\\n{idempotency_key}"',
            "text = idempotency_key",
            "keys_of_two_doctors_are_two_keys",
        ),
        (
            "a repetition is another signature",
            "if earlier is not None:\n                if",
            "if False:\n                if",
            "the_same_request_gets_the_same_answer_and_signs_once",
        ),
        (
            "an older version does not know the newer",
            '*(record.server_patch(document, {"amended_by": key.id}) for document in older),',
            "",
            "an_amendment_keeps_both_versions_and_phones_get_both",
        ),
        (
            "a lost answer is not settled",
            "unreachable=_UNREACHABLE_ATTEMPTS,",
            "unreachable=1,",
            "a_lost_answer_of_the_store_is_settled_by_reading_again",
        ),
    ),
    *_faults(
        "shared/products/dermadetect/screen.py",
        _REVIEW,
        ("",),
        (
            "a misspelt field vanishes",
            "class ReviewDiagnosisRequest(Struct, forbid_unknown_fields=True):",
            "class ReviewDiagnosisRequest(Struct):",
            "a_body_that_is_not_as_documented_is_refused_by_name",
        ),
    ),
    *_faults(
        "shared/products/dermadetect/rights.py",
        _REVIEW,
        _SQLITE,
        (
            "supervisors diagnose",
            'ReviewAction.DIAGNOSE: frozenset({"doctor"}),',
            'ReviewAction.DIAGNOSE: frozenset({"doctor", "supervisor"}),',
            "the_role_in_the_case_s_team_decides",
        ),
        (
            "health workers release",
            'ReviewAction.REVIEW: frozenset({"doctor", "supervisor", "admin"}),',
            'ReviewAction.REVIEW: frozenset({"doctor", "supervisor", "admin", "chw"}),',
            "the_role_in_the_case_s_team_decides",
        ),
    ),
    *_faults(
        "shared/products/dermadetect/analyse.py shared/products/dermadetect/tables.py"
        " shared/products/dermadetect/signal.py",
        _LIST,
        _SQLITE,
        (
            "an analysis that ends late undoes a signature",
            '{"ai_analysis": shown, RANK: rank}',
            '{"ai_analysis": shown, RANK: rank, "status": "PENDING_DIAGNOSIS"}',
            "review/test_review:an_analysis_that_ends_after_the_signature_does_not_undo_it",
        ),
        (
            "an edit undoes a signature",
            "    if status == DIAGNOSED:\n        now = ",
            "    if False:\n        now = ",
            "review/test_review:a_case_that_is_edited_after_the_signature_stays_diagnosed",
        ),
        (
            "an analysis makes no case more urgent",
            '{"ai_analysis": shown, RANK: rank}',
            '{"ai_analysis": shown}',
            "an_analysis_raises_the_urgency_and_never_lowers_it",
        ),
        (
            "a case becomes less urgent",
            "return min(rank, stored) if isinstance(stored, int) else rank",
            "return rank",
            "an_edit_raises_the_urgency_and_never_lowers_it "
            "an_analysis_raises_the_urgency_and_never_lowers_it",
        ),
    ),
    *_faults(
        "shared/products/dermadetect/worklist.py",
        _LIST,
        _SQLITE,
        (
            "deleted cases wait for a doctor",
            "if document.fields.get(record.DELETED) is None or asked.status == PENDING:",
            "if True:",
            "deleted_cases_are_not_listed_and_do_not_shorten_a_page",
        ),
        (
            "a page ends where it began",
            "_seal(asked.unread, listed[-1][0])",
            "_seal(asked.unread, listed[0][0])",
            "pages_bring_every_case_once_in_order",
        ),
        (
            "teams come one after the other",
            "heapq.merge(*map(stream, _groups(scopes)), key=place)",
            "(found for group in _groups(scopes) for found in stream(group))",
            "the_list_of_more_than_thirty_teams_is_one_list",
        ),
        (
            "a poll hears of cases only",
            "for name in _WATCHED",
            "for name in _WATCHED[:1]",
            "a_poll_hears_of_everything_that_the_list_shows",
        ),
        (
            "a poll does not hear of new teams",
            "if after > read_at or members.version > after:",
            "if after > read_at:",
            "a_poll_hears_of_everything_that_the_list_shows",
        ),
        (
            "a poll is answered from a history that is gone",
            "began_ms <= asked.since_ms",
            "began_ms >= 0",
            "a_time_of_a_history_that_is_gone_gets_the_whole_list",
        ),
        (
            "any role reads the list",
            "if may(members.roles[name], ReviewAction.REVIEW)]",
            "if may(members.roles[name], Action.READ)]",
            "nobody_sees_cases_of_a_team_where_the_role_does_not_allow_it",
        ),
        (
            "an older pull counts as a delivery",
            "known[whom] * 1000 >= version:",
            "known[whom] > 0:",
            "a_diagnosis_that_a_phone_was_given_is_not_listed_and_is_not_asked_for_again",
        ),
        (
            "pulls deliver to whom left",
            "if not may(members.roles.get(scope_id), Action.READ):\n            return 0",
            "if not may(members.roles.get(scope_id), Action.READ):\n            return handed_out",
            "pulls_of_other_teams_deliver_nothing_to_whom_left_the_team",
        ),
        (
            "pulls from before a membership deliver",
            "return handed_out if handed_out >= members.since_ms[scope_id] else 0",
            "return handed_out",
            "pulls_of_other_teams_deliver_nothing_to_whom_left_the_team",
        ),
        (
            "diagnoses are unread at once",
            "now_ms - self._unread_ms",
            "now_ms",
            "a_diagnosis_that_no_phone_was_given_is_listed_after_a_day",
        ),
        (
            "a case that has left is listed as unread",
            "elif case in documents and _of(entry.fields[record.SCOPE], documents[case]):",
            "elif case in documents:",
            "an_unread_diagnosis_is_not_shown_to_the_team_that_its_case_has_left",
        ),
        (
            "a patient who went to another team is shown",
            "patient = None  # it is on",
            "pass  # it is on",
            "a_patient_of_another_team_is_not_shown",
        ),
        (
            "what strangers sent is shown",
            "            and entry.fields.get(record.SCOPE) == scope_id\n",
            "",
            "a_case_shows_refused_versions_of_its_own_team_only",
        ),
    ),
    *_faults(
        "shared/support/ledger.py",
        _LIST,
        _SQLITE,
        (
            "phones of others deliver",
            'where=(("user_id", "==", user_id),), ',
            "",
            "a_diagnosis_that_a_phone_was_given_is_not_listed_and_is_not_asked_for_again",
        ),
    ),
    *_faults(
        "shared/records/record.py",
        _LIST,
        _SQLITE,
        (
            "what doctors did stays behind and is kept for ever",
            'LOGS = ("conflicts", "quarantine", "reviews", "files", "readings")',
            'LOGS = ("conflicts", "quarantine", "files", "readings")',
            "what_doctors_did_moves_with_the_case what_doctors_did_is_purged_with_the_case",
        ),
    ),
    *_faults(
        "functions/sync.py shared/support/ledger.py shared/products/dermadetect/routes.py",
        _HTTP,
        ("",),
        (
            "the last of several pages delivers nothing",
            "if attempt.cursor_ms is not None:\n            ledger.remember(wiring.store(), attempt)",
            "pass",
            "a_diagnosis_is_read_when_a_phone_of_the_health_worker_was_given_it",
        ),
        (
            "a streamed pull delivers nothing",
            "attempt.cursor_ms = synced.pull.cursor_ms if any(attempt.pulled.values()) else None",
            "pass",
            "a_diagnosis_is_read_when_a_phone_of_the_health_worker_was_given_it",
        ),
        (
            "a pull that breaks off delivers",
            '    attempt.outcome = "interrupted"\n',
            '    attempt.outcome, attempt.cursor_ms = "interrupted", synced.pull.cursor_ms\n',
            "a_pull_that_breaks_off_is_no_delivery",
        ),
        (
            "a tag does not change with the list",
            'if name != "timestamp"}',
            'if name not in ("timestamp", "cases")}',
            "a_screen_that_is_current_gets_no_body",
        ),
        (
            "no news are taken for the list",
            'if not value["changed"]:',
            "if False:",
            "an_answer_without_news_carries_no_tag",
        ),
    ),
)

MUTATIONS = (
    *SQLITE,
    *FIRESTORE,
    *RULES,
    *PUSH,
    *CONFLICT,
    *INTAKE,
    *CURSORS,
    *SIGNAL,
    *OWN_EDITS,
    *PULL,
    *MEMBERSHIP,
    *REDACTION,
    *JOBS,
    *QUEUE,
    *MODEL,
    *WATERMELON,
    *REVOCATION,
    *(fault for rows in (*ACCOUNTS, *SECURITY) for fault in _faults(*rows)),
    *(
        fault
        for file, suite, on, rows in (*AI, *FILES)
        for fault in _faults(file, suite, (on,), *rows)
    ),
    *REVIEW,
)
