"""Every number that tunes the face modality, with its unit and its source."""

from __future__ import annotations

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

BYSTANDER_SHARE = 0.33
"""Share of the main face's inter-eye distance under which another face does not make a portrait ambiguous. Ours."""
MIN_INTER_EYE_PX = 24.0
"""Inter-eye distance in pixels under which a face is rejected: a recogniser's chip would be mostly invented."""
WARN_INTER_EYE_PX = 40.0
"""Inter-eye distance in pixels under which a face is noted: the chip has to be enlarged."""
FULL_INTER_EYE_PX = 90.0
"""Inter-eye distance in pixels that scores 100; ISO/IEC 19794-5 asks 90 px for a full frontal image."""
MIN_CONFIDENCE = 0.80
"""Detector confidence under which a face is rejected; what detectors take for faces by mistake lies below it."""
WARN_CONFIDENCE = 0.95
MAX_YAW_DEGREES = 65.0
"""Head pose beyond which a face is rejected: one eye is about to vanish, and landmarks are guesses."""
WARN_YAW_DEGREES = 35.0
WARN_PITCH_DEGREES = 35.0
WARN_ROLL_DEGREES = 30.0
SHARPNESS_SCALE = 12.0
"""Mean absolute Laplacian of the chip's luminance (0..255) that scores 63; crisp chips lie near 20, blurred near 2."""
MIN_SHARPNESS = 8.0
"""Sharpness component (0..100) under which a face is rejected."""
WARN_SHARPNESS = 20.0
DARK_LEVEL = 40
"""Luminance (0..255) at or below which a pixel counts as under-exposed."""
BRIGHT_LEVEL = 247
"""Luminance (0..255) at or above which a pixel counts as over-exposed."""
MIN_EXPOSURE = 10.0
"""Exposure component (0..100) under which a face is rejected: nearly all of it is black or white."""
WARN_EXPOSURE = 50.0
MIN_INSIDE = 65.0
"""Crop and margin components (0..100) under which a face is rejected: a third of it lies beyond that edge."""
WARN_INSIDE = 90.0
FORESHORTENING_DEGREES = 60.0
"""Yaw up to which the inter-eye distance is corrected for the turn of the head, as ISO/IEC 29794-5 does."""
NOSE_DEPTH = 0.95
"""How far the nose tip stands before the plane of the eyes, in halves of the inter-eye distance: seen from the
side by an angle, its offset from the middle of the eyes is NOSE_DEPTH * tan(angle) of the half distance seen."""
PITCH_FROM_NOSE = 180.0
"""Degrees of pitch per unit of the nose's height between eye line and mouth line, away from NOSE_HEIGHT."""
NOSE_HEIGHT = 0.53
"""Height of the nose tip between eye line (0) and mouth line (1) on a frontal face."""
MAX_BATCH = 16
"""Chips embedded at once. A CPU gains little beyond it, and a caller waits for the whole batch."""
MAX_QUEUE = 1024
"""Chips that may wait for the embedder."""
MAX_FACES = 64
"""Faces answered per photograph, most confident first; a crowd is cut here."""
SHORTLIST_FACTOR = 2
SHORTLIST_MARGIN = 16
"""A shortlist holds SHORTLIST_FACTOR * k + SHORTLIST_MARGIN references, so that what quantisation in the index
moved by a few ranks is still compared exactly."""

USABLE_FACE = 40.0
"""Pixels of the photograph: side of the smallest face window that is searched at first. Such a face has some 15
pixels between the eyes, well under what enrolment accepts, so nothing usable is passed over; P-Net works on a
quarter of the pixels that faces half as large would need."""
THOROUGH_ENLARGES = 2
"""Factor on a detector's longest side when nothing was found at first. Measured: see `find_faces`' tests."""
STRETCH_PERCENTILES = (0.5, 99.5)
"""Percentiles of all channel values taken as black and white when levels are stretched."""
STRETCH_BELOW = 160.0
"""Levels, 0..255: a picture whose range between those percentiles is narrower is stretched."""
STRETCH_MIN_RANGE = 16.0
"""Levels: a range narrower than this holds noise, and is not spread further."""
