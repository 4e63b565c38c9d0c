"""From where on a photo of skin is worth taking again."""

from __future__ import annotations

from shared.products.dermadetect.photo_limits import PHOTO_LIMITS
from tests.neutral import tables


def test_photos_of_skin_are_judged_by_the_limits_that_the_suite_of_files_measures() -> None:
    assert PHOTO_LIMITS == tables.PHOTO_LIMITS
