"""Every number that tunes the face modality, with its unit and its source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

MTCNN_NMS_LEVEL = 0.5
"""Overlap above which one of two windows of the same pyramid level is dropped. Zhang et al. 2016, their code."""
MTCNN_NMS_PYRAMID = 0.5
"""The same across pyramid levels. The reference code has 0.7; measured on 2,905 press photographs, 0.5 finds the
same faces with the same recognition accuracy and gives R-Net a fifth less to do."""
MTCNN_NMS_REFINED = 0.5
"""The same after R-Net. The reference code has 0.7; measured as above, 0.5 halves O-Net's work."""
MTCNN_NMS_OUTPUT = 0.7
"""Share of the smaller of two faces above which the weaker is dropped after O-Net. Zhang et al. 2016."""
MTCNN_MAX_WINDOWS = 400
"""Windows taken from one pyramid level, best first: bounds the cost of a picture made of texture. Photographs
of crowds propose fewer than 200 before suppression."""

USABLE_FACE = 40.0
"""Pixels of the photograph: side of the smallest face window that is searched at first. Such a face has some 15
pixels between the eyes, well under what enrolment accepts, so nothing usable is passed over; P-Net works on a
quarter of the pixels that faces half as large would need."""
THOROUGH_ENLARGES = 2
"""Factor on a detector's longest side when nothing was found at first."""
STRETCH_PERCENTILES = (0.5, 99.5)
"""Percentiles of the luminance taken as black and white when levels are stretched."""
STRETCH_BELOW = 160.0
"""Levels, 0..255: a picture whose range between those percentiles is narrower is stretched. Press photographs
darkened to 8% of their light: found in 20% at first, in all after the stretch (MTCNN); measured on 290."""
STRETCH_MIN_RANGE = 16.0
"""Levels: a range narrower than this holds noise, and is not spread further."""

BYSTANDER_SHARE = 0.33
"""Share of the main face's inter-eye distance under which another face does not make a portrait ambiguous: a
person three times as far away. Ours; on press photographs, of which one in eight shows several faces, any value
from 1/4 to 1/3 decides all but one in twenty of them the same way."""

MEAN_HEAD = ((-31.5, 0.0, 0.0), (31.5, 0.0, 0.0), (0.0, 37.2, 25.0), (-27.9, 70.2, 5.0), (27.9, 70.2, 5.0))
"""Millimetres: left eye, right eye, nose tip, left and right mouth corner as seen from the front; x to the right, y
down, z towards the viewer. x and y are the mean landmarks of frontal press photographs (the template of the default
recogniser) at the adult mean of 63 mm between the eyes (Dodgson, SPIE 5291, 2004); z is an estimate, and the pose
is the better the nearer a nose comes to it."""
CHIN_PER_MOUTH = 1.6
"""Distance from the eye line to the chin over that to the mouth corners: 112 mm by 70 mm on the head above. OFIQ
measures the chin; five landmarks do not have it."""

FACE_VIEW_SIDE = 96
"""Pixels, side of the square view of the face on which sharpness and exposure are measured."""
FACE_VIEW_EYES = (36.0, 40.0)
"""Pixels in that view: height of the eye line and distance between the eyes. 40 px is the warning limit of
InterEyeDistance, so that usable photographs are shrunk to it and never enlarged."""
FACE_VIEW_OVAL = (48, 54, 32, 40)
"""Pixels in that view: centre x, y and half axes of the oval that counts as face, from brow to chin."""

DARK_LEVEL = 25
"""Luminance (0..255) at or below which a pixel counts as under-exposed. OFIQ 1.0, UnderExposurePrevention."""
BRIGHT_LEVEL = 247
"""Luminance (0..255) at or above which a pixel counts as over-exposed. OFIQ 1.0, OverExposurePrevention."""
SHARPNESS_SIGMAS = (1.0, 2.0)
"""Pixels in the view: the detail that counts lies between these two Gaussian blurs. Finer detail is noise and
compression, coarser detail survives any blur."""
SHARPNESS_FULL = 0.2
"""Standard deviation of that detail over that of the luminance, scoring 100. Press photographs have .10 to .25
(1st and 99th percentile of 2,905), .17 in the middle; blurred by 3 px at 42 px between the eyes, .07."""

UNIFIED_SMALLEST = 1.0
"""Lowest component value (of 100) that enters the unified score, so that one zero does not hide all the rest."""


UPRIGHT_SIDE, UPRIGHT_CELL = 48, 4
"""Pixels: side of the view of a face as the test for upright faces sees it, and of the cells it is divided into."""
UPRIGHT_DIRECTIONS = 8
"""Directions in which luminance may rise, evenly around the circle."""
UPRIGHT_AROUND, UPRIGHT_FLOOR = 6.0, 8.0
"""Pixels of that view, and grey levels: gradients are divided by their mean within the former plus the latter, for
the noise of even skin to stay small."""
UPRIGHT_DOUBT = 0.75
"""Log-odds under which a photograph is searched in the other quarter turns as well. Of 300 press photographs
four have less; of 176 sets of landmarks that the default detector invents in them turned, one has more."""


@dataclass(frozen=True, slots=True)
class Limit:
    """When a component, in its native unit, is noted (`warn`) and when it stops an enrolment (`reject`).

    `upper`: too high is bad (an angle, by its size; a share of lost pixels); otherwise too low is. `remedy` is what
    the sender can do.
    """

    remedy: str
    warn: float
    reject: float | None = None
    upper: bool = False


_LARGER = "send a picture that shows the face larger"
_FRONT = "send a picture taken more from the front"
_WHOLE = "send a picture that shows the whole face"
LIMITS: Mapping[str, Limit] = {
    # The chip of a smaller face would be mostly invented; under 40 it is enlarged. Project requirement.
    "InterEyeDistance": Limit(_LARGER, warn=40.0, reject=24.0),
    # One eye has vanished; press photographs reach 60 degrees once in five hundred. Measured.
    "HeadPoseYaw": Limit(_FRONT, warn=35.0, reject=75.0, upper=True),
    # A raised or lowered head still shows its features; the estimate is too coarse to refuse by.
    "HeadPosePitch": Limit(_FRONT, warn=35.0, upper=True),
    # Alignment turns a head upright; detectors lose it beyond 45 degrees anyhow.
    "HeadPoseRoll": Limit("send the picture upright", warn=30.0, upper=True),
    # Log-odds that the landmarks fit an upright face. Of 2,905 upright press photographs one has less than the
    # rejecting limit (four less than -2.5) and some twenty are under 0; of 1,200 turned ones, most of which have
    # been turned back before they are judged by this, four were enrolled and did not match themselves.
    "Uprightness": Limit(
        "turn the photograph so that the face is upright and send it again", warn=0.0, reject=-4.0
    ),
    # Blur of 6 px at 42 px between the eyes gives .034; the cosine with the sharp picture is then .91. Measured.
    "Sharpness": Limit("send a sharper picture", warn=0.07, reject=0.03),
    # Shares of black or white pixels. Half a face in the dark is still recognised; nothing is left of a face beyond
    # the rejecting share. Measured on darkened and brightened press photographs.
    "UnderExposurePrevention": Limit("send a brighter picture", warn=0.5, reject=0.9, upper=True),
    "OverExposurePrevention": Limit("send a darker picture", warn=0.3, reject=0.6, upper=True),
    # Bits of entropy: a picture with fewer than eight grey levels in the face shows no features.
    "DynamicRange": Limit("send a picture with more contrast", warn=5.0, reject=3.0),
    # Distances to the edge of the picture, in inter-eye distances (left, right) and in eye-to-chin distances
    # (above, below): rejected where cheek, brow or mouth are cut, noted where the outline of the head is.
    "LeftwardCropOfTheFaceImage": Limit(_WHOLE, warn=0.5, reject=0.15),
    "RightwardCropOfTheFaceImage": Limit(_WHOLE, warn=0.5, reject=0.15),
    "MarginAboveOfTheFaceImage": Limit(_WHOLE, warn=0.5, reject=0.15),
    "MarginBelowOfTheFaceImage": Limit(_WHOLE, warn=1.0, reject=0.65),
}
"""Limits by component, for every recogniser; a recogniser's manifest may move them ([quality])."""

CONFIDENCE_LIMITS: Mapping[str, Limit] = {
    # Of 2,905 press photographs the central face scores .905 at the lowest and .963 or more in 99.8%. Patterned
    # cloth taken for a face scores up to .98, but what scores above .9 is smaller than 24 px between the eyes, with
    # two exceptions in 950 pictures of objects.
    "mtcnn": Limit("make sure that it shows a face", warn=0.97, reject=0.90),
    # As above: the central face scores .876 at the lowest; cloth taken for faces .66 to .82.
    "yunet": Limit("make sure that it shows a face", warn=0.85, reject=0.75),
    # Not measured here; InsightFace's own examples take 0.5 for a face.
    "scrfd": Limit("make sure that it shows a face", warn=0.65, reject=0.5),
}
"""Limits of DetectorConfidence by detector family: scores of two detectors do not mean the same."""

ASSISTED_BYTES = 512 << 10
"""Largest photograph that another process extracts. A larger one spends its time in decoding, which does not hold
the interpreter's lock, and would keep small ones waiting behind it."""

MAX_BATCH = 4
"""Chips embedded at once. Four take 4% less time each than one, more gain nothing further on a CPU; and of sixteen
callers fourteen would wait for one batch on one core, then all come back at once."""
MAX_QUEUE = 1024
"""Chips that may wait for the embedder."""
MAX_FACES = 64
"""Faces answered per photograph, most confident first; a crowd is cut here."""
SHORTLIST_MARGIN = 10
"""References beyond the k asked for that the index returns, so that what quantisation moved by a few ranks, or
what was expunged meanwhile, does not shorten an answer. The index re-ranks by itself, so few are enough."""
