"""OpenCV, set up for a service: silent, and single-threaded because parallelism is across requests.

Everything else imports `cv2` from here, so that no call can run before these settings hold.
"""

from __future__ import annotations

import cv2

_SILENT = 0


def _silence() -> None:
    """What OpenCV would print comes back as an error with the sample's name; its log would repeat it nameless."""
    at_home = getattr(cv2.utils, "logging", cv2)  # OpenCV 5 moved the function there
    at_home.setLogLevel(_SILENT)


cv2.setNumThreads(1)
_silence()

__all__ = ["cv2"]
