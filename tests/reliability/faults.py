"""Faults that would hurt somebody, planted to see that a test notices: `tests/reliability/test_faults.py`.
Those of a product stand with its tests: `tests/dermadetect/faults.py`.

A fault says what a function does wrong: it loses what it is given, believes what it should check, gives
too much away. It names the function, never the text of a line, so it stays true however the function is
written. Which lines of the engine no test looks at is asked by `make mutants`.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import itertools
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import reduce
from types import FunctionType
from typing import Any, NamedTuple

import jwt

from shared.access import membership
from shared.accounts.throttle import Tally
from shared.errors import Contended, FileRefused, QueueUnavailable
from shared.records.store import Kind, Query, Write

#: A function, or a method unbound, of any shape.
Function = Callable[..., Any]
Wrong = Callable[[Function], Function]


class Fault(NamedTuple):
    """`wrong` makes the faulty function of the real one at `target`, "module:name" or "module:Class.name".

    `tests` must fail with it, whichever of them does so first: "folder/file:name" without "test_". On an
    adapter they run with that adapter alone.
    """

    name: str
    target: str
    wrong: Wrong
    tests: str
    on: str = "sqlite"

    def nodes(self) -> list[str]:
        """The tests, as pytest names them."""
        named = (each.split(":") for each in self.tests.split())
        return [f"tests/{file}.py::test_{name}" for file, name in named]


def plant(target: str, wrong: Wrong) -> None:
    """Put a fault into this process, for good."""
    home, _, path = target.partition(":")
    *classes, name = path.split(".")
    module = importlib.import_module(home)
    if not classes:
        _rewrite(inspect.unwrap(getattr(module, name)), wrong)
        return
    holder = reduce(getattr, classes, module)
    held = inspect.getattr_static(holder, name)
    if isinstance(held, property):
        setattr(holder, name, property(wrong(held.fget or held.__get__)))
    elif isinstance(held, staticmethod | classmethod):
        setattr(holder, name, type(held)(wrong(held.__func__)))
    else:
        setattr(holder, name, wrong(held))


def _rewrite(function: Any, wrong: Wrong) -> None:
    """Change the function itself: others have imported it by its name, or hold it in a table."""
    real = FunctionType(
        function.__code__, function.__globals__, function.__name__, function.__defaults__
    )
    real.__kwdefaults__ = function.__kwdefaults__
    planted = f"_planted_{function.__name__}"
    function.__globals__[planted] = wrong(real)
    function.__code__ = eval(f"lambda *given, **named: {planted}(*given, **named)").__code__


# --- what functions do wrong


def gives(value: Any) -> Wrong:
    """Always the same, whatever it is asked."""
    return lambda _real: lambda *_given, **_named: value


nothing, no, yes = gives(None), gives(False), gives(True)


def giving(change: Callable[[Any], Any]) -> Wrong:
    """What it should give, changed."""
    return lambda real: lambda *given, **named: change(real(*given, **named))


def _writing(change: Callable[[Sequence[Write]], Sequence[Write]]) -> Wrong:
    """A store's `commit` that writes something else than it was given."""

    def wrong(real: Function) -> Function:
        def commit(store: Any, writes: Sequence[Write]) -> int:
            writes = change(writes)
            return int(real(store, writes) if writes else store.read([]).read_at)

        return commit

    return wrong


def _unchecked(writes: Sequence[Write]) -> list[Write]:
    return [write._replace(expect=None) for write in writes if write.kind is not Kind.VERIFY]


def _as_puts(writes: Sequence[Write]) -> list[Write]:
    return [
        write._replace(kind=Kind.PUT) if write.kind is Kind.PATCH else write for write in writes
    ]


def _claimed(real: Function) -> Function:
    """A commit that is refused says that it was applied."""

    def commit(store: Any, writes: Sequence[Write]) -> int:
        try:
            return int(real(store, writes))
        except Contended:
            return int(store.read([]).read_at)

    return commit


def _later(real: Function) -> Function:
    """A listing that begins a microsecond after the cursor's next version."""

    def changes(store: Any, table: str, scopes: Any, after: int, read_at: int, **more: Any) -> Any:
        found = list(real(store, table, scopes, after, read_at, **more))
        oldest = min((each.document.version for each in found), default=0)
        return iter(each for each in found if each.document.version != oldest)

    return changes


def _of_all_teams(real: Function) -> Function:
    """A listing that forgets whom it was asked for."""

    def changes(store: Any, table: str, scopes: Any, *given: Any, **more: Any) -> Iterator[Any]:
        every = {found.fields.get("scope_id") for found in store.query(Query(table))} - {None}
        return real(store, table, sorted({*scopes, *every})[:30], *given, **more)  # type: ignore[no-any-return]

    return changes


def _without_conditions(real: Function) -> Function:
    return lambda store, query: real(store, dataclasses.replace(query, where=()))


def _cut(real: Function) -> Function:
    """A file that ends a byte early."""

    def read(files: Any, name: str) -> Iterator[bytes]:
        return iter([b"".join(real(files, name))[:-1]])

    return read


def _accepting(real: Function) -> Function:
    """What a check finds, also of a file that it should refuse."""

    def found(*given: Any) -> Any:
        try:
            return real(*given)
        except FileRefused:
            return {"width": 1, "height": 1}

    return found


def _unsigned(_real: Function) -> Function:
    """Claims are read, the signature under them is not."""

    def claims(token: str, *_given: Any) -> Any:
        return jwt.decode(token, options={"verify_signature": False})

    return claims


def _not_urgent(real: Function) -> Function:
    """What is refused is kept like anything else, for whenever somebody looks."""

    def ask(quota: Any, refusal: Any, whose: Mapping[str, Any], told: Any = None) -> None:
        real(quota, refusal, {**whose, "urgent": False}, told)

    return ask


def _twice(real: Function) -> Function:
    """A queue that takes each bell twice."""

    def ring(doorbell: Any, bell: Any) -> None:
        real(doorbell, bell)
        real(doorbell, bell)

    return ring


def _rests_on(real: Function) -> Function:
    """A doorbell that rests until its clock says what it would have said, had nobody set it back."""

    def ring(doorbell: Any, bell: Any) -> None:
        if doorbell._clock() * 1000 < doorbell._resting_until:
            raise QueueUnavailable("the doorbell file was locked a moment ago")
        real(doorbell, bell)

    return ring


def _set_by(by_ms: int) -> Wrong:
    """Workers whose clock is set by so much whenever one of them begins."""

    def wrong(real: Function) -> Function:
        ahead = itertools.count(0, by_ms)

        def begin(runner: Any, *given: Any, clock: Callable[[], int], **named: Any) -> None:
            off = next(ahead)
            real(runner, *given, clock=lambda: clock() + off, **named)

        return begin

    return wrong


def _with(**fields: Any) -> Wrong:
    """A frozen dataclass with other values."""
    return giving(lambda value: dataclasses.replace(value, **fields))


BOTH = (
    ("shared.adapters.sqlite:SqliteStore", "sqlite"),
    (
        "shared.adapters.firestore:FirestoreStore",
        "firestore",
    ),
)

#: What a store must never do, planted into each.
STORE = (
    ("no precondition is checked", "commit", _writing(_unchecked),
     "contracts/test_store:a_precondition_decides_about_the_whole_commit"),
    ("a refused commit says it was applied", "commit", _claimed,
     "contracts/test_store:a_precondition_decides_about_the_whole_commit"),
    ("a commit writes its first document alone", "commit", _writing(lambda writes: writes[:1]),
     "contracts/test_store:documents_that_one_commit_wrote_are_all_listed"),
    ("a commit is lost", "commit", _writing(lambda _writes: []),
     "contracts/test_store:a_put_replaces_the_whole_document"),
    ("a patch drops what it does not name", "commit", _writing(_as_puts),
     "contracts/test_store:a_patch_leaves_other_fields_alone"),
    ("what is deleted stays", "commit",
     _writing(lambda writes: [each for each in writes if each.kind is not Kind.DELETE]),
     "contracts/test_store:deleting_removes_the_document_for_good"),
    ("a listing skips the first news", "changes", _later,
     "contracts/test_store:changes_are_those_after_and_not_later_than_the_reading"),
    ("a listing shows other teams", "changes", _of_all_teams,
     "contracts/test_store:changes_keep_to_the_scopes_and_the_collection"),
    ("a query forgets its conditions", "query", _without_conditions,
     "contracts/test_store:a_query_finds_what_it_asks_for_in_its_order"),
    ("a reading is later than what it shows", "read",
     giving(lambda found: dataclasses.replace(found, read_at=found.read_at + 60_000_000)),
     "contracts/test_store:what_is_committed_after_a_reading_is_later_than_it"),
)  # fmt: skip

_SYNC = "shared.sync."
_JOBS = "shared.jobs."
_DECISION = "shared.sync.decision:Decision."

# fmt: off
#: What the engine must never do.
ENGINE = (
    # an edit is lost
    Fault("the earlier edit wins", _SYNC + "conflict:Writer.is_later",
          giving(lambda later: None if later is None else not later),
          "sync/test_push:an_edit_that_lost_leaves_the_servers_value_on_the_phone"),
    Fault("what nobody has seen counts as seen", _SYNC + "conflict:Writer.has_seen", yes,
          "sync/test_conflict:what_a_restored_phone_cannot_have_seen_is_named_and_kept"),
    Fault("what a phone has seen counts as unseen", _SYNC + "conflict:Writer.has_seen", no,
          "sync/test_push:overwriting_what_one_has_seen_is_no_conflict"),
    Fault("a time from the future stays", _SYNC + "conflict:Writer.corrected",
          lambda _real: lambda _writer, raw_ms: raw_ms,
          "sync/test_push:nothing_from_the_future_sticks"),
    Fault("an overwritten value is not named", _SYNC + "conflict:merge",
          lambda real: lambda *given: dataclasses.replace(real(*given), overwritten={}),
          "sync/test_push:a_value_overwritten_unseen_is_kept_and_named"),
    Fault("a lost value is not kept", _SYNC + "journal:Journal._conflict", nothing,
          "sync/test_push:an_edit_that_lost_leaves_the_servers_value_on_the_phone"),
    Fault("of two edits in a push the later alone is kept", _SYNC + "exchange:Entry.then",
          lambda _real: lambda _entry, later: later,
          "sync/test_conflict:two_partial_edits_in_one_push_add_up"),
    Fault("a refused record is not kept", _SYNC + "journal:Journal.keep", nothing,
          "sync/test_push:one_bad_record_among_a_hundred_is_refused_by_name"),
    Fault("a push that was answered is applied again", _SYNC + "receipts:key",
          giving(lambda key: key._replace(id=uuid.uuid4().hex)),
          "sync/test_push:a_replay_repeats_the_unseen_overwrite_of_the_first_answer"),
    # two families are mixed up
    Fault("a push asks for no rights", _DECISION + "_may_read", yes,
          "sync/test_push:an_id_of_another_team_is_refused_like_one_that_cannot_be_used "
          "security/test_wall:no_family_sees_a_byte_of_the_other"),
    Fault("every role may do everything", "shared.access.rights:Rights.may", yes,
          "security/test_matrix:the_access_table_agrees_with_the_list_by_hand"),
    Fault("a receipt is good for everybody", _SYNC + "receipts:key",
          giving(lambda key: key._replace(id="one")),
          "sync/test_push:a_receipt_is_only_good_for_the_phone_that_sent_it"),
    Fault("a page token is not checked", _SYNC + "pull:Puller._sign", gives(b"0" * 16),
          "sync/test_pull:a_page_token_is_only_good_for_its_user_and_its_hour"),
    Fault("records of a team that was left stay", "shared.access.membership:parse", _with(left_ms={}),
          "sync/test_pull:a_phone_that_loses_its_team_drops_its_records"),
    Fault("who left a team is told of it", "shared.access.membership:role_of", gives("doctor"),
          "notify/test_notice:who_left_the_team_is_not_told_whatever_the_ledger_says"),
    Fault("photos are shown to strangers", "shared.access.rights:Rights.may", yes,
          "files/test_uploads:another_team_learns_nothing_of_a_photo"),
    # a red case is silent
    Fault("red and green become green", _SYNC + "conflict:_combined",
          lambda _real: lambda _spec, _stored, value: value,
          "sync/test_conflict:red_stays_red_between_two_that_did_not_know_of_each_other"),
    Fault("a photo vanishes between two edits", _SYNC + "conflict:_combined",
          lambda _real: lambda _spec, _stored, value: value,
          "sync/test_conflict:no_photo_vanishes_between_two_that_did_not_know_of_each_other"),
    Fault("a refused red case is not marked urgent", _SYNC + "quota:Quota.ask", _not_urgent,
          "sync/test_push:a_refused_red_case_is_marked_urgent"),
    Fault("nobody is told of a result", "shared.notify.notice:Deliveries.deliver", gives(0),
          "notify/test_notice:a_result_pokes_phones_and_notifies_doctors_of_its_team_once"),
    # work is lost or done twice
    Fault("the sweeper finds nothing due", _JOBS + "runner:Runner.due", gives([]),
          "jobs/test_runner:what_is_due_is_drained_the_most_urgent_first"),
    Fault("a lost bell is made good by no other", _JOBS + "subscriber:Subscriber._ring_on", gives(None),
          "jobs/test_subscriber:one_bell_leads_to_all_that_wait_unheard"),
    Fault("one failure ends a job", _JOBS + "runner:Runner._goes_on", no,
          "jobs/test_runner:a_busy_model_is_tried_again_later_not_now"),
    Fault("a lease ends at once", _JOBS + "job:Job.move",
          lambda real: lambda job, state, now_ms, **fields: real(
              job, state, now_ms, **{**fields, **({"due_at": now_ms} if state == "running" else {})}),
          "jobs/test_runner:killed_while_the_model_thinks_the_job_waits_for_its_lease"),
    Fault("a job that moved on is written over", _JOBS + "job:Job.move",
          giving(lambda write: write._replace(expect=None)),
          "jobs/test_runner:a_worker_that_lost_its_lease_changes_nothing"),
    Fault("a bell is lost", "shared.adapters.sqlite_queue:SqliteDoorbell.ring", nothing,
          "jobs/test_sqlite_bells:the_longest_due_come_first_and_no_more_than_fit"),
    Fault("a bell is rung twice", "shared.adapters.sqlite_queue:SqliteDoorbell.ring", _twice,
          "jobs/test_sqlite_bells:a_bell_in_delivery_is_not_taken_again_before_the_deadline"),
    Fault("a doorbell set back rests on", "shared.adapters.sqlite_queue:SqliteDoorbell.ring", _rests_on,
          "jobs/test_sqlite_bells:a_doorbell_that_rests_rings_again_though_its_clock_was_set_back"),
    Fault("a clock that was set back takes versions back", "shared.adapters.sqlite:_Commit.apply",
          lambda real: lambda commit, db, _newest, clock: real(commit, db, 0, clock),
          "contracts/test_sqlite:versions_rise_after_reopening_with_a_clock_that_was_set_back"),
    Fault("a clock set forward ends a lease", _JOBS + "runner:Runner.__init__", _set_by(3_600_000),
          "jobs/test_runner:killed_while_the_model_thinks_the_job_waits_for_its_lease"),
    Fault("a clock set back leaves what is due", _JOBS + "runner:Runner.__init__", _set_by(-3_600_000),
          "jobs/test_runner:killed_while_the_model_thinks_the_job_waits_for_its_lease"),
    Fault("an answered bell comes again", "shared.adapters.sqlite_queue:Bells.acknowledge", nothing,
          "jobs/test_sqlite_bells:an_answer_that_comes_after_the_deadline_changes_nothing "
          "jobs/test_sqlite_bells:the_last_attempt_is_followed_by_dead_letters_until_one_is_taken"),
    Fault("a refused bell is forgotten", "shared.adapters.sqlite_queue:Bells.refuse",
          lambda _real: lambda bells, delivery, _now_ms: bells.acknowledge(delivery),
          "jobs/test_sqlite_bells:the_last_attempt_is_followed_by_dead_letters_until_one_is_taken"),
    Fault("the day's cap is none", "shared.ai.spending:SpendingCap._add",
          lambda real: lambda cap, key, micros, _allowed: real(cap, key, micros, lambda _sum: True),
          "ai/test_spending:what_does_not_fit_waits_until_the_next_day"),
    # a token, code or password is believed
    Fault("a token's signature is not checked", "shared.accounts.tokens:_claims", _unsigned,
          "accounts/test_http:tokens_that_an_outside_issuer_did_not_make_for_us_are_refused"),
    Fault("a token never expires", "shared.accounts.tokens:_check_times", nothing,
          "accounts/test_http:store_faults_and_expired_tokens_keep_their_word"),
    Fault("any kind of token is an access token", "shared.accounts.tokens:_is_type", yes,
          "accounts/test_keys:only_access_tokens_are_taken_by_their_type"),
    Fault("a disabled account goes on", "shared.access.membership:known",
          lambda _real: membership.parse,
          "accounts/test_disabled:a_disabled_account_is_refused_everywhere"),
    Fault("every password fits", "shared.accounts.passwords:Passwords.fits", yes,
          "accounts/test_throttle:five_tries_are_free_then_even_the_right_password_waits"),
    Fault("wrong tries are not counted", "shared.accounts.throttle:tally_of", gives(Tally()),
          "accounts/test_throttle:five_tries_are_free_then_even_the_right_password_waits"),
    Fault("a code is good twice", "shared.accounts.totp:used",
          lambda real: lambda factor, *given: factor if real(dataclasses.replace(factor, step=0), *given)
          else None,
          "accounts/test_totp:a_code_is_good_once_and_no_earlier_one_after_it"),
    Fault("theft of a session is not noticed", "shared.accounts.session:Session.over",
          lambda _real: lambda session, _why: session,
          "accounts/test_sessions:an_old_token_after_its_successor_was_used_is_theft_and_ends_the_family"),
    Fault("a session lives for ever", "shared.accounts.session:Life.ends_ms", gives(1 << 52),
          "accounts/test_sessions:a_session_ends_however_often_it_is_used"),
    Fault("an invite is not used up", "shared.accounts.invite:Invite.used",
          lambda _real: lambda invite: invite,
          "accounts/test_invites:a_code_for_three_admits_three_members_of_whom_each_uses_it_once"),
    Fault("a caller chooses the address", "shared.accounts.throttle:client_address",
          lambda real: lambda remote, forwarded, proxies: forwarded.split(",")[0].strip()
          or real(remote, forwarded, proxies),
          "accounts/test_throttle:an_address_is_what_our_own_proxy_wrote"),
    # a cursor skips rows
    Fault("a new history is not noticed", _SYNC + "pull:Puller._plan",
          lambda real: lambda puller, members, cursor_ms, _lost, whole: real(
              puller, members, cursor_ms, False, whole),
          "sync/test_pull:a_cursor_from_before_the_epoch_gets_everything_and_is_asked_to_upload"),
    Fault("old records of a new team do not come", "shared.access.membership:parse",
          giving(lambda held: dataclasses.replace(held, since_ms=dict.fromkeys(held.since_ms, 0))),
          "sync/test_pull:a_phone_that_joins_a_team_gets_its_old_records"),
    Fault("a pull begins a second late", _SYNC + "pull:Puller._groups",
          lambda real: lambda mode, table, scopes, after: real(mode, table, scopes, after + 1_000_000),
          "sync/test_pull:only_what_changed_comes_again"),
    Fault("the cursor moves before the last page", _SYNC + "pull:Puller._page",
          giving(lambda page: dataclasses.replace(page, cursor_ms=page.cursor_ms or 1 << 42)),
          "sync/test_pull:pages_bring_each_row_once_whatever_their_size"),
    Fault("a record that moved away stays", _SYNC + "pull:Puller._moved", nothing,
          "sync/test_pull:a_record_that_moved_away_is_dropped_and_arrives_where_it_went"),
    Fault("a phone that is behind is told that it is not", _SYNC + "digest:digest", _with(current=True),
          "sync/test_digest:a_phone_that_is_behind_is_told_to_pull_first"),
    # what was deleted comes back, or does not go
    Fault("a late edit brings a deleted record back", _DECISION + "_lose_to_deletion", nothing,
          "sync/test_watermelon:an_edit_of_what_was_deleted_meanwhile_is_kept_before_the_phone_drops_it"),
    Fault("a creation after its deletion is alive", _DECISION + "_delete_unknown", nothing,
          "sync/test_push:a_creation_that_comes_after_its_own_deletion_stays_deleted"),
    Fault("children of a deleted record stay", _DECISION + "_take_children", nothing,
          "sync/test_conflict:the_children_of_a_deleted_parent_go_in_the_same_commit"),
    Fault("a cascade ends at the children", _JOBS + "tree_walk:TreeWalk.next", gives(()),
          "jobs/test_cascade:children_follow_their_parent_also_the_servers_own_rows"),
    Fault("a late cascade deletes what was brought back", _JOBS + "cascade:Cascade.holds", yes,
          "jobs/test_restore:a_cascade_that_comes_late_does_not_delete_what_was_brought_back"),
    Fault("a purge blanks nothing", _SYNC + "retention:Purger.blank", gives(1),
          "sync/test_retention:a_tombstone_keeps_its_data_then_only_its_id"),
    Fault("what is erased stays in receipts", "shared.privacy.erasure:_receipts", gives(()),
          "security/test_privacy:what_is_erased_is_gone_everywhere_and_the_others_stay"),
    # a file or a trail is not what it was
    Fault("a file ends a byte early", "shared.adapters.folder:FolderFiles.read", _cut,
          "contracts/test_files:bytes_are_not_touched", on="folder"),
    Fault("a photo is not compared with its hash", "shared.files.checking:Check._found",
          _accepting, "files/test_uploads:a_file_of_another_hash_is_refused_and_may_be_sent_again"),
    Fault("a push leaves no trail", "shared.access.audit:entries", gives([]),
          "audit/test_audit:a_push_leaves_an_entry_in_its_own_commit"),
    Fault("a read of records leaves no trail", "shared.access.audit:note", nothing,
          "api/test_trail:whoever_reads_records_is_named_in_the_trail"),
    Fault("a tampered trail is called whole", "shared.access.audit:verify",
          giving(lambda found: found._replace(faults=())),
          "audit/test_tampering:a_tampering_is_found_by_what_the_page_says"),
)
# fmt: on

FAULTS = (
    *(
        Fault(name, f"{store}.{method}", wrong, tests, on)
        for (store, on), (name, method, wrong, tests) in itertools.product(BOTH, STORE)
    ),
    *ENGINE,
)
