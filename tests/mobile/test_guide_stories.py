"""The stories of the mobile guide's client (`tests/dermadetect/phone`), told by phones with the kit.

On LokiJS and on SQLite: a day of edits, moves and repairs, and a line that breaks all the time.
"""

from __future__ import annotations

import pytest

from tests.dermadetect.phone import test_bad_line, test_real_client
from tests.dermadetect.phone.conftest import Make
from tests.e2e.conftest import deployment as deployment

pytestmark = pytest.mark.proof

#: The kit mends what this one has refused: `half an emoji does not cost the record` of its own tests.
OTHERWISE = {"test_half_an_emoji_stays_with_its_author_and_holds_up_nothing"}

globals().update(
    {
        name: story
        for module in (test_real_client, test_bad_line)
        for name, story in vars(module).items()
        if name.startswith("test_") and name not in OTHERWISE
    }
)


@pytest.fixture(params=["loki", "sqlite"])
def adapter(request: pytest.FixtureRequest) -> str:
    """Where phones keep their records."""
    return str(request.param)


@pytest.fixture
def make(phone: Make) -> Make:
    """The kit speaks one dialect."""
    return phone
