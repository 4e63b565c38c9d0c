"""Faults of the accounts' code, for `mutations.py`: rows as its `_faults` takes them."""

from __future__ import annotations

from typing import Any

_SQLITE = ("sqlite",)
_ANY = ("",)

_SESSION = "shared/accounts/session.py"
_SERVICES = " ".join(
    f"shared/accounts/{name}.py"
    for name in (
        *("account", "caller", "credentials", "deletion", "invites", "login", "members"),
        *("registration", "sessions", "token_issuer"),
    )
)

ACCOUNTS: tuple[tuple[Any, ...], ...] = (
    (
        "shared/accounts/guessable.py",
        "accounts/test_registration",
        _ANY,
        (
            "a common word passes with a number behind it",
            "_is_common(text) or (_is_common(word) and all(_is_little(each) for each in around))",
            "_is_common(text)",
            "passwords_that_are_tried_first_are_refused",
        ),
        (
            "one's own name is a password",
            "or _is_made_of(text, known)",
            "",
            "passwords_that_are_tried_first_are_refused",
        ),
    ),
    (
        "shared/access/membership.py",
        "accounts/test_disabled",
        _SQLITE,
        (
            "a disabled account goes on",
            "if held.disabled_ms is not None:",
            "if False:",
            "a_disabled_account_is_refused_everywhere",
        ),
        (
            "a push does not read that the account is disabled",
            '"left", "disabled_at")',
            '"left")',
            "a_push_is_refused_also_if_the_account_is_disabled_while_it_is_under_way",
        ),
        (
            "a grant enables a disabled account",
            '"disabled_at": held.disabled_ms}',
            "}",
            "a_grant_or_a_revocation_leaves_a_disabled_account_disabled",
        ),
    ),
    (
        "shared/accounts/totp.py",
        "accounts/test_totp",
        _SQLITE,
        (
            "a code is good twice",
            "range(max(factor.step + 1, now - SKEW), now + SKEW + 1)",
            "range(now - SKEW, now + SKEW + 1)",
            "a_code_is_good_once_and_no_earlier_one_after_it",
        ),
        (
            "a recovery code is good for ever",
            "replace(factor, recovery=left)",
            "factor",
            "a_recovery_code_is_good_once",
        ),
    ),
    (
        "shared/accounts/tokens.py",
        "accounts/test_totp",
        _SQLITE,
        (
            "a token for the set-up is good for everything",
            'if "only" in claims and claims["only"] != (only or None):',
            "if False:",
            "the_role_says_who_must_set_up_a_factor",
        ),
    ),
    (
        "shared/accounts/tokens.py",
        "accounts/test_keys",
        _ANY,
        (
            "any kind of token is an access token",
            'removeprefix("application/") in taken',
            'removeprefix("application/") is not None',
            "only_access_tokens_are_taken_by_their_type",
        ),
    ),
    (
        _SERVICES,
        "accounts/test_disabled",
        _SQLITE,
        (
            "a session outlives its account",
            "or not account.version:",
            "or False:",
            "a_session_that_outlived_its_account_is_over",
        ),
        (
            "a deleted account leaves its e-mail",
            "writes.append(delete(accounts.login_key(account.email)))",
            "pass",
            "of_a_deleted_account_the_id_and_the_trail_stay",
        ),
    ),
    (
        _SERVICES,
        "accounts/test_invites",
        _SQLITE,
        (
            "an invite is not used up",
            "invite.used().fields",
            "invite.fields",
            "a_code_for_three_admits_three_members_of_whom_each_uses_it_once",
        ),
        (
            "two use the last place of an invite",
            "put(where, invite.used().fields, reading.documents[where].version)",
            "put(where, invite.used().fields, None)",
            "a_code_for_one_admits_one_however_many_come_at_once",
        ),
        (
            "a member uses an invite up again",
            "if invite is not None and invite.scope_id in held.roles:",
            "if False:",
            "a_code_for_three_admits_three_members_of_whom_each_uses_it_once",
        ),
    ),
    (
        _SERVICES,
        "accounts/test_throttle",
        _SQLITE,
        (
            "a right code is not judged after wrong ones beside it",
            "*throttle.unchanged(gates, reading),\n                joined(who",
            "joined(who",
            "a_right_try_among_wrong_ones_is_judged_after_them",
        ),
        (
            "a known device waits like a stranger",
            "throttle.is_there(device, reading) and not waits[device]",
            "False",
            "a_known_device_gets_through_while_its_address_is_attacked",
        ),
        (
            "every device is a known one",
            "throttle.is_there(device, reading) and not waits[device]",
            "not waits[device]",
            "a_known_place_gets_through_while_an_account_is_attacked",
        ),
        (
            "a right password leaves the account's tally",
            "writes += throttle.forgive([account], reading, now_ms)",
            "pass",
            "five_tries_are_free_then_even_the_right_password_waits",
        ),
    ),
    (
        _SERVICES,
        "accounts/test_sessions",
        _SQLITE,
        (
            "a new password ends no session",
            "password=password, generation=account.generation + 1)",
            "password=password, generation=account.generation)",
            "a_new_password_ends_all_other_sessions_and_keeps_this_one",
        ),
        (
            "anybody's session is ended by its id",
            "or session.user_id != caller.user_id:",
            "or False:",
            "nobody_ends_another_s_session",
        ),
        (
            "roles that read much stay logged in as long as others",
            "replace(self.life, idle_ms=min([self.life.idle_ms, *idle]))",
            "self.life",
            "roles_that_read_much_must_log_in_again_sooner",
        ),
        (
            "a refresh overtakes a new password",
            "moved.fields, version), accounts.kept(account)]",
            "moved.fields, version)]",
            "a_refresh_that_meets_a_new_password_is_over",
        ),
        # That two refreshes at the very same moment part ways is caught by chance only.
    ),
    (
        _SESSION,
        "accounts/test_sessions",
        _SQLITE,
        (
            "theft is not noticed",
            "return session.over(REUSED), None",
            'return session, ""',
            "an_old_token_after_its_successor_was_used_is_theft_and_ends_the_family",
        ),
        (
            "a session lives for ever",
            "min(now_ms + self.idle_ms, began_ms + self.whole_ms)",
            "now_ms + self.idle_ms",
            "a_session_ends_however_often_it_is_used",
        ),
        (
            "a flood of log-ins ends the phone's session",
            "return not over, session.previous is not None, session.used_ms",
            "return not over, True, session.began_ms",
            "a_flood_of_log_ins_does_not_end_the_session_of_a_phone_in_use",
        ),
        (
            "a lost answer is theft",
            "previous=shown",
            "previous=None",
            "a_refresh_whose_answer_was_lost_gives_the_same_successor_again",
        ),
        (
            "a session does not live on",
            "expires_ms=life.ends_ms(session.began_ms, now_ms)",
            "expires_ms=session.expires_ms",
            "a_phone_that_comes_back_after_three_weeks_just_refreshes",
        ),
    ),
    (
        _SESSION,
        "accounts/test_sessions",
        _ANY,
        (
            "a database gives the successor away",
            'hmac.new(secret, b"refresh',
            'hmac.new(b"", b"refresh',
            "a_database_alone_does_not_give_the_successor",
        ),
    ),
    (
        "shared/accounts/throttle.py",
        "accounts/test_throttle",
        _ANY,
        (
            "a caller chooses the address",
            "entries[-proxies] if",
            "entries[0] if",
            "an_address_is_what_our_own_proxy_wrote",
        ),
    ),
    (
        "shared/accounts/keys.py",
        "accounts/test_keys",
        _ANY,
        (
            "a key signs before it is known",
            "now + (0 if at_once else AHEAD_SECONDS)",
            "now",
            "a_rotation_publishes_first_signs_later_and_ends_the_old_key_last",
        ),
        (
            "a key ends before its tokens",
            "later[0].signs_from_s + KEEP_SECONDS",
            "later[0].signs_from_s",
            "a_rotation_under_load_fails_no_request",
        ),
    ),
    (
        "shared/accounts/jwks.py",
        "accounts/test_keys",
        _ANY,
        (
            "invented keys make a flood of fetches",
            "            if not self._may_try():\n                return\n",
            "",
            "an_unknown_key_is_looked_for_at_once_but_not_by_everybody",
        ),
        (
            "a cold source of keys is left alone for a minute",
            "AGAIN_SECONDS if self._keys else COLD_SECONDS",
            "AGAIN_SECONDS",
            "keys_that_answer_after_a_cold_start_are_there_seconds_later",
        ),
        (
            "whoever waited for keys begins another fetch",
            "                self._tried_s = self._clock()\n                log",
            "                log",
            "keys_that_answer_after_a_cold_start_are_there_seconds_later",
        ),
    ),
    # Two rings saved side by side meet by chance only: that fault is not planted.
)
