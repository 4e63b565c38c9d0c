"""When a photo of skin is worth taking again: the limits of `shared/files/quality.py` for DermaDetect.

**Skin tones.** No threshold asks what colour skin is. Contrasts are relative to the local brightness
(Weber), as reflectance is: the same structure measures the same on light and on dark skin. `too_dark` is
set low on purpose: the deepest tone of the Monk scale, well lit, has a luma of 37, and only what is
hardly recorded at all is called dark. The price is that light skin must be very underexposed to be named.

Names of the defects follow what dermatologists give as reasons: Jalaboi et al., "Explainable image
quality assessments in teledermatological photography" (Telemed J E Health 29, 2023: framing, lighting,
blur, resolution, distance).

Limits: the thresholds were set on generated photos (tests/files/generated.py), not on patients' photos;
the first hundred photos of the field should be read against them. A rash all over the picture may lack
`presence`; a blur of the lesion alone, with the middle sharp around it, is not found.
"""

from __future__ import annotations

from shared.files.file import PhotoLimits

PHOTO_LIMITS = PhotoLimits(
    version="1",
    # Sharp photos have 0.2 (skin without texture) to 1; a blur whose standard deviation is 1/220 of the
    # length leaves 0.1.
    least_sharpness=0.17,
    least_brightness=24,  # see "Skin tones"
    most_burnt=0.25,  # of the green, which shows blood and pigment best
    # A reflection as wide as a tenth of the photo has 0.01.
    most_glare=0.005,
    # MedSigLIP looks at 448 px; a doctor wants to look closer.
    least_short_edge=600,
    # Plain textured skin has up to 0.055, a faint redness 0.063, a mole 0.15 and more.
    least_presence=0.06,
)
