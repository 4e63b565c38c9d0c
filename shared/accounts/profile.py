"""What people say of themselves: their name, and the telephone number that their team may call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from shared.access.membership import Caller
from shared.accounts import account as accounts
from shared.accounts.caller import Me, check
from shared.accounts.contention import retried
from shared.records.store import ABSENT, RecordStore, patch, put


@dataclass(frozen=True, slots=True)
class Profile:
    """Changes the caller's own. Threads may share it."""

    store: RecordStore

    def change(self, caller: Caller, said: Mapping[str, str | None], now_ms: int) -> Me:
        """Set what is named of `name` and `phone`; None removes it. Doing it again changes nothing."""

        def attempt() -> None:
            account = check(self.store, caller).account
            key = accounts.key(caller.user_id)
            if account.version:
                self.store.commit([patch(key, said, account.version)])
            else:
                first = accounts.first_fields(caller.user_id, now_ms)
                self.store.commit([put(key, {**first, **said}, ABSENT)])

        if said:
            retried(attempt)
        return check(self.store, caller)
