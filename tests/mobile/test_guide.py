"""The mobile guide is true: its code is the kit's code, and its tables have every code."""

from __future__ import annotations

import re

from shared.api.codes import ACCOUNTS_ONLY, HOOKS_ONLY, every_code
from shared.api.record_codes import RECORD_CODES
from tests.mobile.conftest import MOBILE
from tests.mobile.test_readme import APP
from tests.tables import table
from tests.test_docs import GUIDE, blocks

#: Codes that no answer to a sync or a digest carries: they belong to undelete, accounts, review and
#: webhooks.
OF_OTHERS = {
    *("parent_deleted", "purged"),
    *ACCOUNTS_ONLY,
    *HOOKS_ONLY,
    *("email_taken", "scope_taken"),
    *("claimed", "already_diagnosed", "idempotency_key_reused"),
    *("if_match_required", "case_changed", "too_much_to_count", "withdrawn", "too_late"),
}


def test_every_block_is_code_of_the_kit() -> None:
    whole = [path.read_text("utf-8") for path in (MOBILE / "src").rglob("*.ts*")]
    for _, block in blocks(GUIDE, "ts"):
        assert sum(block in text for text in whole) == 1, block


def test_the_guide_begins_with_the_app_of_the_kit() -> None:
    assert [code for _, code in blocks(GUIDE, "js")][:1] == [APP]


def test_every_fence_has_a_known_language() -> None:
    fences = re.findall(r"^```(.*)$", GUIDE.read_text(encoding="utf-8"), re.M)
    assert set(fences[::2]) <= {"js", "json", "sh", "ts"}
    assert set(fences[1::2]) == {""}


def test_the_guide_shows_what_follows_from_every_error() -> None:
    codes = {name for known in every_code().values() for name in known} - OF_OTHERS
    listed = [*table(GUIDE, "error code"), *table(GUIDE, "photo error code")]
    assert sorted(row[0].strip("`") for row in listed) == sorted(codes)


def test_record_codes_that_the_guide_names_exist() -> None:
    named = {row[0].strip("`") for row in table(GUIDE, "record code")}
    assert {"moved", "deleted"} <= named <= set(RECORD_CODES)
