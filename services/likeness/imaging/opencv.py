"""OpenCV, set up for a service: silent, and single-threaded because parallelism is across requests.

Everything else imports `cv2` from here, so that no call can run before these settings hold.
"""

from __future__ import annotations

import cv2

cv2.setNumThreads(1)
# What OpenCV would print is returned as an error with the sample's name; its log would only repeat it nameless.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

__all__ = ["cv2"]
