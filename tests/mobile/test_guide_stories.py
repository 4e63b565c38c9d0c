"""The stories of the mobile guide's client (`tests/dermadetect/phone`), told by phones with the kit."""

from __future__ import annotations

import pytest

from tests.dermadetect.phone import test_real_client
from tests.e2e.conftest import deployment as deployment

pytestmark = pytest.mark.proof

#: The kit mends what this one has refused: `half an emoji does not cost the record` of its own tests.
OTHERWISE = {"test_half_an_emoji_stays_with_its_author_and_holds_up_nothing"}

globals().update(
    {
        name: story
        for name, story in vars(test_real_client).items()
        if name.startswith("test_") and name not in OTHERWISE
    }
)
