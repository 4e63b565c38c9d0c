"""Faults of the wall between families' data, for `mutations.py`: rows as its `_faults` takes them."""

from __future__ import annotations

from typing import Any

_ANY = ("",)
_SQLITE = ("sqlite",)

_WALL = "security/test_wall:no_family_sees_a_byte_of_the_other"

SECURITY: tuple[tuple[Any, ...], ...] = (
    (
        "shared/adapters/sqlite.py shared/sync/decision.py",
        "security/test_wall",
        _ANY,
        (
            "a listing forgets the teams",
            'WHERE collection = ? AND scope = ?"',
            'WHERE collection = ? AND (scope = ? OR scope IS NOT NULL)"',
            _WALL,
        ),
        (
            "a push asks nobody's rights",
            "return self.catalog.may(self.members.roles.get(scope_id), action)",
            "return True",
            _WALL,
        ),
    ),
    (
        "shared/sync/push.py shared/support/ledger.py",
        "security/test_wall",
        _ANY,
        (
            "a receipt tells on after its reader has left",
            "if Key(item.table, item.id) in readable]",
            "]",
            "a_receipt_tells_nothing_of_a_team_that_was_left",
        ),
        (
            "a phone's entry takes ids along to another team",
            'return [] if left else before.get("rejected", [])',
            'return before.get("rejected", [])',
            "a_supervisor_does_not_learn_ids_of_the_team_that_somebody_came_from",
        ),
    ),
    (
        "shared/sync/quota.py shared/support/ledger.py shared/jobs/sweep.py",
        "sync/test_inbox",
        _ANY,
        (
            "a member's refused records fill the disk",
            "yield self._person, kind, MOST_OF_A_MEMBER if self._member else MOST_OF_OTHERS",
            "yield self._person, kind, 10**9 if self._member else MOST_OF_OTHERS",
            "what_is_kept_of_a_member_is_bounded_and_a_signal_has_room_of_its_own",
        ),
        (
            "refused records without a signal take the room of those with one",
            '"urgent" if each.urgent else "rest"',
            '"rest"',
            "what_is_kept_of_a_member_is_bounded_and_a_signal_has_room_of_its_own",
        ),
        (
            "many accounts fill an inbox",
            "most = MOST_IN_A_SCOPE if self._member else MOST_OF_OTHERS_IN_A_SCOPE",
            "most = MOST_IN_A_SCOPE",
            "of_all_who_are_in_no_team_so_many_entries_are_kept_in_one_inbox",
        ),
        (
            "every refused record is looked for",
            "                if self._full(each):\n                    _decline(each, rejected)\n",
            "                if False:\n                    _decline(each, rejected)\n",
            "a_push_of_broken_records_costs_no_more_when_it_is_larger",
        ),
        (
            "refused records are kept for ever",
            '    "quarantine",\n',
            "",
            "what_nobody_has_to_look_at_any_more_ends_and_what_waits_stays",
        ),
    ),
    (
        "shared/support/ledger.py shared/support/devices.py shared/jobs/sweep.py",
        "sync/test_ledger",
        _ANY,
        (
            "a user has any number of phones",
            "others[: max(0, len(others) + 1 - MOST_OF_A_USER)]",
            "others[:0]",
            "of_a_user_the_phones_are_kept_that_were_heard_of_last",
        ),
        (
            "silent phones are kept for ever",
            '    "devices",\n',
            "",
            "a_phone_is_kept_for_half_a_year_after_it_was_heard_of",
        ),
        (
            "phones of people who have left come first",
            "place = (gone, problem is None,",
            "place = (False, problem is None,",
            "phones_of_members_come_first_then_those_with_a_problem",
        ),
    ),
    (
        "shared/accounts/account.py shared/access/audit.py",
        "accounts/test_administration",
        _ANY,
        (
            "unknown e-mails log in as a user called nobody",
            'NOBODY = "~nobody"',
            'NOBODY = "nobody"',
            "a_user_called_nobody_is_not_whom_an_unknown_e_mail_logs_in_as",
        ),
        (
            "a user may be called as the command line is",
            'OPERATOR = Caller("~operator",',
            'OPERATOR = Caller("operator",',
            "a_user_called_operator_gives_no_codes_that_outlive_their_rights",
        ),
    ),
    (
        "shared/settings.py",
        "test_settings",
        _ANY,
        (
            "a password may stand in an address",
            "if re.fullmatch(_USER_INFO, getattr(self, name), re.DOTALL):",
            "if False:",
            "a_function_with_a_password_in_an_address_does_not_start_and_does_not_repeat_it",
        ),
    ),
    (
        "shared/privacy/erasure.py shared/privacy/search.py",
        "security/test_privacy",
        _ANY,
        (
            "a receipt tells under which name something was refused",
            'each["id"] in ids for each in verdicts["rejected"]',
            'False for each in verdicts["rejected"]',
            "what_was_refused_is_erased_and_given_out_whatever_its_table_or_id_says",
        ),
        (
            "the ledger of phones keeps columns that are names",
            '**({"unknown_columns": None} if own else {})',
            "",
            "notices_and_what_phones_could_not_deliver_are_erased",
        ),
        (
            "what doctors did is not given out",
            '    "reviews": (),\n',
            "",
            "an_export_holds_everything_about_a_patient_and_nothing_about_others",
        ),
    ),
    (
        "functions/support.py shared/products/dermadetect/rights.py",
        "security/test_matrix",
        _ANY,
        (
            "anybody closes anybody's inbox",
            "if entry.fields.get(record.SCOPE) not in scopes:",
            "if False:",
            "everybody_gets_what_the_table_says_and_no_more",
        ),
        (
            "health workers read the inbox",
            'Action.INBOX: frozenset({"doctor",',
            'Action.INBOX: frozenset({"chw", "doctor",',
            "the_access_table_agrees_with_the_list_by_hand",
        ),
    ),
    (
        "shared/accounts/members.py shared/accounts/invites.py shared/accounts/scopes.py",
        "security/test_teams",
        _ANY,
        (
            "a supervisor puts an admin out",
            "if not self.policy.may_invite(mine.roles[scope_id], theirs):",
            "if False:",
            "members_are_put_out_by_those_who_may_give_their_role_away",
        ),
        (
            "a code of another team is made void",
            "or invite.scope_id != scope_id:",
            "or False:",
            "codes_are_listed_and_made_void_by_those_who_manage_their_team",
        ),
        (
            "a code outlives the rights of its maker",
            "if found is None or not self.members.policy.may_invite(role, invite.role):",
            "if found is None:",
            "a_code_ends_with_the_rights_of_its_maker",
        ),
        (
            "an empty team is anybody's",
            "or audit.is_known(self.store, named)",
            "or False",
            "nobody_takes_over_a_team_that_everybody_has_left",
        ),
    ),
    (
        "shared/api/web.py shared/telemetry.py",
        "security/test_headers",
        _ANY,
        (
            "every origin is let in",
            "return origin if origin in call.settings.origins else None",
            "return origin",
            "nobody_is_let_in_by_default",
        ),
        (
            "an origin that begins alike is let in",
            "return origin if origin in call.settings.origins else None",
            "return origin if origin and origin.startswith(call.settings.origins or '-') else None",
            "a_named_origin_gets_in_and_no_other",
        ),
        (
            "the log quotes what broke",
            'line["exception"] = entry.exc_info[0].__name__',
            'line["exception"] = repr(entry.exc_info[1])',
            "security/test_logs:no_secret_and_nothing_of_patients_is_logged_or_told",
        ),
    ),
    (
        "shared/privacy/erasure.py",
        "security/test_privacy",
        _SQLITE,
        (
            "erasing begins with the parent",
            "for each in reversed(list(records))",
            "for each in list(records)",
            "erasing_may_be_killed_at_any_commit_and_begun_again",
        ),
        (
            "receipts repeat what was erased",
            '    told["receipts"] = _drop(store, _receipts(store, named))',
            '    told["receipts"] = 0',
            "what_is_erased_is_gone_everywhere_and_the_others_stay",
        ),
        (
            "what comes late about a case of somebody erased stays",
            "named = {key, *records, *_erased_before(store, key)}",
            "named = {key, *records}",
            "what_a_phone_sends_afterwards_is_gone_when_it_is_erased_again",
        ),
    ),
    (
        "shared/accounts/invites.py shared/access/audit.py",
        "audit/test_rights",
        _SQLITE,
        (
            "nobody notes who joined",
            "                joined(who, invite, now_ms),\n            ]",
            "            ]",
            "a_change_of_rights_leaves_an_entry_with_the_humans_name",
        ),
        (
            "a deleted head ends the check",
            'if _head(store, scope_id).number < have["number"]:',
            "if False:",
            "audit/test_tampering:a_tampering_is_found_by_what_the_page_says",
        ),
    ),
    (
        "shared/privacy/erasure.py shared/adapters/sqlite.py",
        "security/test_privacy",
        _SQLITE,
        (
            "an erasure leaves the log of the database",
            "    store.forget_deleted()\n",
            "",
            "no_document_of_any_collection_and_no_file_keeps_a_word_of_it",
        ),
    ),
    (
        "shared/adapters/sqlite.py",
        "contracts/test_sqlite",
        _ANY,
        (
            "deleted values stay in free pages",
            "secure_delete = ON",
            "secure_delete = OFF",
            "what_was_deleted_is_in_no_file_while_others_use_the_store",
        ),
    ),
    (
        "shared/api/web.py shared/accounts/rates.py",
        "security/test_limits",
        _ANY,
        (
            "a stranger takes the turns of the phones at his address",
            "    if not call.bearer():\n        call.count_stranger()",
            "    call.count_stranger()",
            "a_stranger_is_refused_and_a_phone_behind_the_same_address_is_not",
        ),
        (
            "forged tokens are tried as often as one likes",
            "if call.bearer():  # it shows nobody",
            "if False:",
            "a_stranger_is_refused_and_a_phone_behind_the_same_address_is_not",
        ),
        (
            "first syncs are forgotten with the process",
            "store.commit(throttle.count(gates, reading, now_ms))",
            "pass",
            "first_syncs_are_counted_over_all_instances",
        ),
    ),
    (
        "infra/local/connections.py",
        "local/test_connections",
        _ANY,
        (
            "a body that dribbles is waited for",
            "late = spent > allowed or now - self.heard > limits.grace",
            "late = now - self.heard > limits.grace",
            "of_a_body_that_dribbles_the_function_gets_what_has_come",
        ),
        (
            "what has come of a photo is lost with the connection",
            "        if not self._hand_over(late=False):\n",
            "        if True:\n",
            "of_a_body_that_breaks_off_the_function_gets_what_has_come",
        ),
        (
            "an answer that nobody reads is kept",
            "            if late or now - self.sent_at > limits.grace:",
            "            if False:",
            "an_answer_that_nobody_reads_holds_no_thread_and_is_dropped",
        ),
        (
            "the newest connection is turned away",
            "(newest if longest.busy else longest).drop()",
            "newest.drop()",
            "the_longest_stalled_makes_way_for_the_next",
        ),
    ),
    (
        "infra/cli/phones.py infra/cli/audit.py",
        "cli/test_commands",
        _SQLITE,
        (
            "the inbox prints a name that was sent as an id",
            'have["record_id"] if valid_id(have["record_id"]) else None',
            'have["record_id"]',
            "every_command_does_what_it_says_and_prints_nothing_of_patients",
        ),
        (
            "the tail leaves out what is not sealed yet",
            "found = [*store.query(numbered), *store.query(unsealed)]",
            "found = [*store.query(numbered)]",
            "every_command_does_what_it_says_and_prints_nothing_of_patients",
        ),
    ),
    (
        "infra/cli/command.py",
        "cli/test_outside",
        _ANY,
        (
            "a setting may name a data folder that does not exist",
            'if chosen.record_store != "sqlite" or folder.is_dir():',
            "if True:",
            "a_data_folder_that_does_not_exist_is_refused_and_not_made",
        ),
        (
            "a refusal looks like wrong use",
            "    exit_code = 1\n",
            "    exit_code = 2\n",
            "a_refusal_has_a_code_and_a_sentence_and_wrong_use_another_exit_code",
        ),
    ),
)
