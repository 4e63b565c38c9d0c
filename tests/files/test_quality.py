"""Each defect is named, good photos are good, and a skin's tone changes neither."""

from __future__ import annotations

from functools import cache

import pytest
from PIL import Image

from shared.files.file import ANY_PHOTO
from shared.files.quality import REASONS, Quality, judge
from tests.files import generated
from tests.files.generated import TONES, blurred, exposed, glaring, grainy, photo, skin, spot
from tests.neutral.tables import PHOTO_LIMITS

#: Blurs, as standard deviations in px of a picture 448 px wide.
BLURS = (0, 0.5, 1, 1.5, 2, 3, 4, 6, 9, 14)
#: Every third is tried by each `make test`, all by `make proof`.
EVERY_TONE = pytest.mark.parametrize(
    "tone",
    [pytest.param(t, marks=() if t in TONES[::3] else pytest.mark.proof) for t in TONES],
    ids=lambda tone: bytes(tone).hex(),
)
SOME_TONES = pytest.mark.parametrize("tone", TONES[::3], ids=lambda tone: bytes(tone).hex())


def judged(picture: Image.Image) -> Quality:
    """As `derive` asks: of a picture about as long as the largest copy."""
    scaled = picture
    if max(picture.size) > 1000:
        scaled = picture.resize(
            (1000, 1000 * picture.height // picture.width), Image.Resampling.BOX
        )
    return judge(scaled, *picture.size, PHOTO_LIMITS)


@cache
def good(tone: tuple[int, int, int]) -> Image.Image:
    return photo(tone)


@EVERY_TONE
def test_a_sharp_and_well_lit_photo_is_good_on_every_skin(tone: tuple[int, int, int]) -> None:
    for seed in (1, 2):
        found = judged(photo(tone, seed=seed))
        assert (found.verdict, found.reasons) == ("good", ())
        assert found.version == PHOTO_LIMITS.version


@pytest.mark.parametrize("grey", [0, 128, 255])
def test_without_limits_no_photo_is_to_be_taken_again(grey: int) -> None:
    bad = Image.new("RGB", (64, 64), (grey, grey, grey))
    assert judge(bad, *bad.size, PHOTO_LIMITS).verdict == "retake"
    assert judge(bad, *bad.size, ANY_PHOTO).verdict == "good"


@SOME_TONES
@pytest.mark.parametrize("radius", [0.03, 0.06, 0.2, 0.35])
def test_moles_and_patches_of_any_size_are_good_on_every_skin(
    tone: tuple[int, int, int], radius: float
) -> None:
    assert judged(spot(skin(tone), radius=radius)).reasons == ()


@EVERY_TONE
def test_a_faint_redness_is_seen_on_every_skin(tone: tuple[int, int, int]) -> None:
    assert judged(spot(skin(tone), factors=(0.97, 0.88, 0.9))).reasons == ()


@EVERY_TONE
def test_smooth_skin_is_not_taken_for_blur(tone: tuple[int, int, int]) -> None:
    smooth = Image.blend(Image.new("RGB", generated.SIZE, tone), skin(tone), 0.15)
    assert judged(spot(smooth)).reasons == ()


@EVERY_TONE
def test_blur_is_named_on_every_skin_also_under_noise(tone: tuple[int, int, int]) -> None:
    soft = blurred(good(tone), 2.5)
    assert judged(soft).reasons == ("blurred",)
    assert "blurred" in judged(grainy(soft, 8)).reasons
    assert "blurred" not in judged(grainy(good(tone), 8)).reasons


@EVERY_TONE
def test_more_blur_is_never_less_blurred(tone: tuple[int, int, int]) -> None:
    found = [judged(blurred(good(tone), radius)) for radius in BLURS]
    named = ["blurred" in each.reasons for each in found]
    assert named == sorted(named)  # once blurred, always blurred
    assert not named[0]
    assert named[-1]
    measured = [each.measures["sharpness"] for each in found]
    while_sharp = [value for value in measured if value >= PHOTO_LIMITS.least_sharpness]
    assert while_sharp == sorted(while_sharp, reverse=True)


def test_sharpness_hardly_depends_on_the_tone() -> None:
    measured = [judged(good(tone)).measures["sharpness"] for tone in TONES]
    assert max(measured) < 1.25 * min(measured)


@EVERY_TONE
def test_what_is_hardly_recorded_is_too_dark(tone: tuple[int, int, int]) -> None:
    stops = -8 if tone[1] > 100 else -5
    assert judged(exposed(good(tone), stops)).reasons[0] == "too_dark"


@EVERY_TONE
def test_what_is_burnt_out_is_too_bright(tone: tuple[int, int, int]) -> None:
    stops = {True: 1.5, False: 4.5}[tone[1] > 150] + (3 if tone[1] < 60 else 0)
    assert "too_bright" in judged(exposed(good(tone), stops)).reasons


def test_less_light_is_never_less_dark_and_more_never_less_bright() -> None:
    for tone in TONES[::3]:
        down = ["too_dark" in judged(exposed(good(tone), -s)).reasons for s in range(0, 10, 2)]
        up = ["too_bright" in judged(exposed(good(tone), s)).reasons for s in range(0, 10, 2)]
        assert down == sorted(down)
        assert up == sorted(up)
        assert down[-1]
        assert up[-1]


@EVERY_TONE
def test_a_lamp_s_reflection_is_glare(tone: tuple[int, int, int]) -> None:
    assert "glare" in judged(glaring(good(tone))).reasons


def test_a_white_sheet_at_the_edge_is_no_glare() -> None:
    picture = good(TONES[5]).copy()
    picture.paste("white", (0, 0, 1600, 250))
    assert judged(picture).reasons == ()


@pytest.mark.parametrize(
    ("size", "expected"),
    [((599, 800), True), ((800, 599), True), ((600, 800), False), ((64, 48), True)],
)
def test_low_resolution_goes_by_the_shorter_edge_of_the_original(
    size: tuple[int, int], expected: bool
) -> None:
    picture = good(TONES[4]).resize(size, Image.Resampling.BOX)
    assert ("low_resolution" in judged(picture).reasons) is expected


@SOME_TONES
@pytest.mark.parametrize("at", [None, (0.98, 0.96), (0.0, 0.5), (0.5, 1.0)])
def test_nothing_in_the_middle_is_bad_framing(
    tone: tuple[int, int, int], at: tuple[float, float] | None
) -> None:
    plain = skin(tone)
    assert judged(spot(plain, at=at, radius=0.05) if at else plain).reasons == ("framing",)


def test_framing_is_not_named_where_blur_or_light_hide_it() -> None:
    plain = skin(TONES[5])
    for hidden in (blurred(plain, 5), exposed(plain, -8), exposed(plain, 6)):
        reasons = judged(hidden).reasons
        assert reasons
        assert "framing" not in reasons


def test_the_most_serious_reason_comes_first() -> None:
    worst = glaring(blurred(good(TONES[6]), 4)).resize((400, 300))
    small = judge(glaring(blurred(good(TONES[6]), 4)).resize((1000, 750)), 400, 300, PHOTO_LIMITS)
    assert small.reasons == ("blurred", "glare", "low_resolution")
    for found in (small, judged(worst)):
        assert list(found.reasons) == sorted(found.reasons, key=REASONS.index)
        assert found.verdict == "retake"


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (3, 2), (17, 900), (449, 20)])
@pytest.mark.parametrize("colour", ["black", "white", (120, 80, 60)])
def test_any_size_is_judged(size: tuple[int, int], colour: str | tuple[int, int, int]) -> None:
    found = judge(Image.new("RGB", size, colour), *size, PHOTO_LIMITS)
    assert found.verdict == "retake"
    assert set(found.reasons) <= set(REASONS)


def test_the_same_pixels_give_the_same_verdict() -> None:
    assert judged(good(TONES[3])) == judged(photo(TONES[3]))
