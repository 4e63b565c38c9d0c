"""Who people are to those who work with them: a name, and a telephone number to call.

Both stand in the account; people write them themselves, or an operator does. They are given out only for
somebody who is a member of the scope at this moment: whoever left, was put out or disabled, or never was
in it, stays an id.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from shared.access import membership
from shared.errors import InvalidRequest
from shared.records.record import valid_id
from shared.records.store import Key, Snapshot

#: What a reading of people needs of their documents; nothing secret of an account.
FIELDS = ("name", "phone", *membership.FIELDS)

_PHONE = re.compile(r"\+?[0-9]{5,15}")
_BETWEEN_DIGITS = re.compile(r"[\s().\-/\u2010-\u2015]+")


class Person(NamedTuple):
    """What members of a scope see of each other."""

    name: str | None
    phone: str | None


def account_key(user_id: str) -> Key:
    """The address of an account."""
    return Key("accounts", user_id)


def keys(user_ids: Iterable[str]) -> list[Key]:
    """What must be read to know these people: two documents each. What is no user's id is left out."""
    known = [user_id for user_id in dict.fromkeys(user_ids) if valid_id(user_id)]
    return [key for each in known for key in (account_key(each), membership.key(each))]


def in_scope(reading: Snapshot, user_id: str, scope_id: str) -> Person | None:
    """Somebody as members of a scope see them; None for who is no member of it at this moment."""
    found = reading.documents.get(membership.key(user_id)) if valid_id(user_id) else None
    if membership.role_of(user_id, found, scope_id) is None:
        return None
    account = reading.documents.get(account_key(user_id))
    said = {} if account is None else account.fields
    return Person(said.get("name"), said.get("phone"))


def normal_phone(text: str) -> str:
    """One spelling of a telephone number: digits, with a + before them if it was sent with one.

    Raises `InvalidRequest` for what has not 5 to 15 digits (ITU-T E.164).
    """
    digits = _BETWEEN_DIGITS.sub("", text[:100])
    if not (digits.isascii() and _PHONE.fullmatch(digits)):
        raise InvalidRequest(
            "phone must be a telephone number of 5 to 15 digits, best with + and the country's code.",
            field="phone",
        )
    return digits
