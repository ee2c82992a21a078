"""Pictures that frame a thing: pages, forms, bags, stills of a camera. What they frame changes, they do not."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import cv2
import numpy as np

from tests.unit.object.things import Pixels

Frame = Callable[[Pixels], Pixels]
INK, WHITE, RED = (20, 20, 20), (255, 255, 255), (200, 30, 30)


def write(
    image: Pixels, text: str, at: tuple[int, int], size: float, colour: tuple[int, int, int] = INK
) -> None:
    cv2.putText(image, text, at, cv2.FONT_HERSHEY_SIMPLEX, size, colour, 2, cv2.LINE_AA)


def into(image: Pixels, thing: Pixels, at: tuple[int, int], size: tuple[int, int]) -> None:
    """The middle of the thing fills a box at x, y of that width and height."""
    width, height = size
    scale = max(width / thing.shape[1], height / thing.shape[0])
    large = cv2.resize(thing, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)
    y, x = max(0, large.shape[0] - height) // 2, max(0, large.shape[1] - width) // 2
    part = cv2.resize(large[y : y + height, x : x + width], size)
    image[at[1] : at[1] + height, at[0] : at[0] + width] = part


def page(thing: Pixels) -> Pixels:
    image = np.full((1000, 600, 3), 252, np.uint8)
    image[:90] = (20, 60, 140)
    write(image, "MarketPlace Search Sell", (20, 56), 0.9, WHITE)
    into(image, thing, (20, 110), (560, 400))
    rows = (
        "Price: 120 EUR  BUY NOW",
        "Seller rating 99% (1204)",
        "Ships within 3 days",
        "Report listing",
        "See all",
    )
    for n, row in enumerate(rows):
        write(image, row, (20, 580 + 85 * n), 0.9)
        cv2.line(image, (20, 610 + 85 * n), (580, 610 + 85 * n), (170, 170, 170), 2)
    return image


def desktop(thing: Pixels) -> Pixels:
    image = np.full((600, 1000, 3), (236, 240, 243), np.uint8)
    image[:50] = (50, 50, 60)
    write(image, "File Edit View Window Help   12:44", (20, 34), 0.8, WHITE)
    for n in range(9):
        write(image, f"Folder {chr(65 + n)}{n * 7 % 10}", (16, 110 + 54 * n), 0.7)
    into(image, thing, (200, 80), (540, 480))
    for n, name in enumerate(("Exposure", "Contrast", "Crop 4:3", "Rotate", "Export", "Delete")):
        cv2.rectangle(image, (770, 95 + 75 * n), (980, 145 + 75 * n), (120, 120, 120), 2)
        write(image, name, (785, 130 + 75 * n), 0.8)
    return image


def letterbox(thing: Pixels) -> Pixels:
    image = np.zeros((600, 1000, 3), np.uint8)
    into(image, thing, (0, 100), (1000, 400))
    write(image, "CHANNEL 7 NEWS  LIVE FROM THE COURT", (40, 65), 1.2, WHITE)
    write(image, "Items recovered in raid, three held", (40, 565), 1.2, (255, 255, 0))
    return image


def form(thing: Pixels) -> Pixels:
    image = np.full((1000, 720, 3), 250, np.uint8)
    write(image, "PROPERTY RECORD  FORM 48-B", (50, 60), 1.1)
    for n, name in enumerate(("Case number", "Officer", "Date seized", "Place", "Description", "Signature")):
        cv2.rectangle(image, (40, 90 + 54 * n), (680, 144 + 54 * n), (60, 60, 60), 2)
        cv2.line(image, (250, 90 + 54 * n), (250, 144 + 54 * n), (60, 60, 60), 2)
        write(image, name, (52, 126 + 54 * n), 0.8)
    into(image, thing, (90, 450), (540, 480))
    write(image, "Photograph attached - do not fold", (90, 975), 0.8)
    return image


def bag(thing: Pixels) -> Pixels:
    image = np.full((800, 700, 3), (205, 214, 220), np.uint8)
    into(image, thing, (60, 260), (580, 480))
    for n in range(24):
        cv2.line(image, (30 * n, 0), (30 * n + 15, 24), RED, 3)
    cv2.rectangle(image, (60, 50), (640, 240), (250, 250, 250), -1)
    cv2.rectangle(image, (60, 50), (640, 240), INK, 3)
    write(image, "EVIDENCE", (80, 100), 1.3, RED)
    for n, row in enumerate(
        ("Case No. ________ Item ____", "Date/Time ______ By _____", "Chain of custody  Sealed")
    ):
        write(image, row, (80, 145 + 36 * n), 0.75)
    write(image, "TAMPER EVIDENT - DO NOT OPEN", (60, 780), 0.9, RED)
    return image


def camera(thing: Pixels) -> Pixels:
    image = np.zeros((600, 800, 3), np.uint8)
    into(image, thing, (0, 0), (800, 600))
    write(image, "BODY 3 X60A0042Z", (420, 40), 1.1, WHITE)
    write(image, "2024-03-11 T14:22:07Z", (400, 80), 1.0, WHITE)
    write(image, "REC", (40, 50), 1.2, (255, 40, 40))
    write(image, "CAM 02  LAT 48.2081 LON 16.3738", (40, 575), 1.0, WHITE)
    cv2.drawMarker(image, (400, 300), WHITE, cv2.MARKER_CROSS, 80, 3)
    return image


def logos(thing: Pixels) -> Pixels:
    image = np.zeros((600, 800, 3), np.uint8)
    into(image, thing, (0, 0), (800, 600))
    for n in range(6):
        x, y = 60 + n % 3 * 250, 120 + n // 3 * 300
        cv2.circle(image, (x, y), 46, WHITE, 5)
        cv2.circle(image, (x, y), 30, RED, -1)
        write(image, "PIXBANK", (x + 50, y + 10), 0.9, WHITE)
    return image


FRAMES: Mapping[str, Frame] = {
    "sales page": page,
    "window of an editor": desktop,
    "letterbox with captions": letterbox,
    "form": form,
    "evidence bag": bag,
    "overlay of a camera": camera,
    "logos all over": logos,
}
