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


def chat(thing: Pixels) -> Pixels:
    image = np.full((1100, 620, 3), (229, 221, 213), np.uint8)
    image[:90] = (7, 94, 84)
    write(image, "< Seller 2  online", (20, 58), 1.0, WHITE)
    cv2.rectangle(image, (20, 110), (420, 200), WHITE, -1)
    write(image, "Is this still for sale?", (34, 164), 0.8)
    cv2.rectangle(image, (100, 220), (600, 700), (220, 248, 198), -1)
    into(image, thing, (110, 230), (480, 400))
    write(image, "18:22", (440, 680), 0.7)
    rows = ("Yes, 200 EUR", "Can you send it today", "Only cash, meet at station", "ok see you at 8")
    for n, row in enumerate(rows):
        left = 20 + 60 * (n % 2)
        cv2.rectangle(image, (left, 725 + 80 * n), (left + 500, 790 + 80 * n), WHITE, -1)
        write(image, row, (left + 14, 768 + 80 * n), 0.85)
    return image


def player(thing: Pixels) -> Pixels:
    image = np.full((720, 1100, 3), 15, np.uint8)
    into(image, thing, (0, 60), (1100, 560))
    write(image, "Video - Camera 4 North Gate - 2024-05-02", (20, 40), 0.9, WHITE)
    cv2.line(image, (20, 645), (1080, 645), (120, 120, 120), 4)
    cv2.circle(image, (400, 645), 10, RED, -1)
    write(image, "> || [] 01:42 / 05:10    speed 1.0x   HD  CC", (20, 695), 0.9, WHITE)
    return image


def printed(thing: Pixels) -> Pixels:
    """A page full of print around a picture that takes a fifth of it."""
    image = np.full((1200, 850, 3), 252, np.uint8)
    random = np.random.default_rng(4)
    words = (
        "the",
        "court",
        "found",
        "that",
        "item",
        "seized",
        "was",
        "property",
        "of",
        "owner",
        "as",
        "exhibit",
    )
    for n in (*range(8), *range(20, 34)):
        write(image, " ".join(random.choice(words, 8)), (40, 50 + 33 * n), 0.62)
    into(image, thing, (150, 310), (550, 360))
    return image


def catalogue(thing: Pixels) -> Pixels:
    image = np.full((700, 1000, 3), 245, np.uint8)
    into(image, thing, (30, 110), (420, 420))
    write(image, "LOT 214   AUCTION HOUSE VIENNA", (30, 70), 1.2)
    rows = (
        "Estimate 300 - 500 EUR",
        "Origin: private collection",
        "Condition report on request",
        "Provenance: by descent",
        "Dimensions 24 x 18 cm",
        "Signed lower right",
        "Sale 12 November, room 2",
    )
    for n, row in enumerate(rows):
        write(image, row, (480, 150 + 58 * n), 0.85)
    return image


def watermarked(thing: Pixels) -> Pixels:
    image = np.zeros((600, 800, 3), np.uint8)
    into(image, thing, (0, 0), (800, 600))
    veil = image.copy()
    for n in range(6):
        write(veil, "STOCKPHOTO * 48812 *", (-60 + 50 * (n % 2), 70 + 100 * n), 1.6, WHITE)
    return np.asarray(cv2.addWeighted(veil, 0.5, image, 0.5, 0), np.uint8)


def measured(thing: Pixels) -> Pixels:
    """Rulers along two sides and an exhibit's label."""
    image = np.full((700, 900, 3), (190, 190, 185), np.uint8)
    into(image, thing, (150, 60), (600, 500))
    for n in range(0, 900, 10):
        cv2.line(image, (n, 600), (n, 660 if n % 50 == 0 else 630), INK, 2)
    for n in range(18):
        write(image, str(n), (50 * n + 4, 690), 0.6)
    for n in range(0, 600, 10):
        cv2.line(image, (60, n), (120 if n % 50 == 0 else 90, n), INK, 2)
    cv2.rectangle(image, (770, 60), (890, 300), (255, 230, 80), -1)
    for n, row in enumerate(("EXHIBIT", "UNIT 7", "No 12", "LAB A")):
        write(image, row, (775, 110 + 50 * n), 0.75)
    return image


FRAMES: Mapping[str, Frame] = {
    "sales page": page,
    "window of an editor": desktop,
    "letterbox with captions": letterbox,
    "form": form,
    "evidence bag": bag,
    "overlay of a camera": camera,
    "logos all over": logos,
    "chat": chat,
    "video player": player,
    "page of print": printed,
    "catalogue": catalogue,
    "watermark": watermarked,
    "rulers and label": measured,
}
