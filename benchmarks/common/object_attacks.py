"""What a photograph goes through before it is searched with: the attacks of the object benchmark.

Each takes a photograph uint8 [h, w, 3] RGB, a generator and a second photograph for scenes, and returns another
photograph. Nothing here is used to train the embedder, whose own changes are in `models/train/object_embedding.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Attack = Callable[[Pixels, np.random.Generator, Pixels], Pixels]

JPEG_QUALITY = 90
"""Of every probe, after its attack."""


def crop(share: float) -> Attack:
    """A crop at a random place with that share of the area, of a random shape."""

    def attack(image: Pixels, random: np.random.Generator, scene: Pixels) -> Pixels:
        del scene
        height, width = image.shape[:2]
        stretch = float(np.exp(random.uniform(-0.3, 0.3)))
        w = int(min(width, max(8, width * np.sqrt(share) * stretch)))
        h = int(min(height, max(8, share * width * height / w)))
        x, y = int(random.integers(0, width - w + 1)), int(random.integers(0, height - h + 1))
        return image[y : y + h, x : x + w]

    return attack


def rotation(image: Pixels, random: np.random.Generator, scene: Pixels) -> Pixels:
    """A turn by 8 to 40 degrees, everything still seen, plain colour around."""
    del scene
    height, width = image.shape[:2]
    degrees = float(random.uniform(8, 40) * random.choice([-1, 1]))
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
    c, s = abs(turn[0, 0]), abs(turn[0, 1])
    w, h = int(width * c + height * s), int(width * s + height * c)
    turn[:, 2] += ((w - width) / 2, (h - height) / 2)
    colour = tuple(int(v) for v in random.integers(0, 256, 3))
    return _pixels(cv2.warpAffine(image, turn, (w, h), flags=cv2.INTER_LINEAR, borderValue=colour))


def quarter_turn(image: Pixels, random: np.random.Generator, scene: Pixels) -> Pixels:
    """A turn by 90, 180 or 270 degrees."""
    del scene
    return np.ascontiguousarray(np.rot90(image, int(random.integers(1, 4))))


def rephotograph(image: Pixels, random: np.random.Generator, scene: Pixels) -> Pixels:
    """The photograph seen at an angle on top of another one, slightly blurred, noisy and unevenly lit."""
    height, width = image.shape[:2]
    reach = random.uniform(0.06, 0.22, (4, 2)) * (width, height)
    start = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    signs = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]])
    seen = (start + reach * signs).astype(np.float32)
    warp = cv2.getPerspectiveTransform(start, seen)
    behind = cv2.resize(scene, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32)
    inside = cv2.warpPerspective(np.ones((height, width), np.float32), warp, (width, height))[..., None]
    front = cv2.warpPerspective(image, warp, (width, height), flags=cv2.INTER_LINEAR)
    mixed = front * inside + behind * (1 - inside)
    left, right = random.uniform(0.75, 1.15, 2).tolist()
    ramp = np.linspace(left, right, width)[None, :, None]
    mixed = cv2.GaussianBlur(mixed * ramp, (0, 0), 0.7) + random.normal(0, 4, mixed.shape)
    return jpeg(70)(_clipped(mixed), random, scene)


def jpeg(quality: int) -> Attack:
    """Compressed by JPEG at that quality."""

    def attack(image: Pixels, random: np.random.Generator, scene: Pixels) -> Pixels:
        del random, scene
        _, data = cv2.imencode(".jpg", image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
        return load(data.tobytes())

    return attack


def overlay(image: Pixels, random: np.random.Generator, scene: Pixels) -> Pixels:
    """Lines of text, a half transparent banner, and a picture glued over a corner."""
    out = image.copy()
    height, width = out.shape[:2]
    top = int(random.integers(0, max(1, height * 3 // 4)))
    band = out[top : top + height // 5].astype(np.float32)
    out[top : top + height // 5] = _clipped(0.4 * band + 0.6 * random.integers(0, 256, 3))
    for _ in range(int(random.integers(2, 5))):
        word = "".join(chr(c) for c in random.integers(65, 91, int(random.integers(4, 12))))
        at = (int(random.integers(-10, width // 2 + 1)), int(random.integers(10, height)))
        colour = tuple(int(v) for v in random.integers(0, 256, 3))
        size = random.uniform(0.5, 1.2) * width / 200
        cv2.putText(out, word, at, cv2.FONT_HERSHEY_DUPLEX, size, colour, max(1, width // 150), cv2.LINE_AA)
    side = int(min(height, width) * random.uniform(0.2, 0.35))
    x, y = int(random.choice([0, width - side])), int(random.choice([0, height - side]))
    out[y : y + side, x : x + side] = cv2.resize(scene, (side, side), interpolation=cv2.INTER_AREA)
    return out


def colour(image: Pixels, random: np.random.Generator, scene: Pixels) -> Pixels:
    """Brightness, contrast, tint and saturation; one in four becomes grey."""
    del scene
    x = image.astype(np.float32)
    mean = x.mean()
    x = (x - mean) * random.uniform(0.5, 1.5) + mean * random.uniform(0.6, 1.5)
    grey = x.mean(2, keepdims=True)
    x = grey + (x - grey) * (0.0 if random.random() < 0.25 else random.uniform(0.2, 2.0))
    x = 255.0 * (np.clip(x, 0, 255) / 255.0) ** random.uniform(0.6, 1.6)
    return _clipped(x * random.uniform(0.75, 1.3, 3))


def blur(image: Pixels, random: np.random.Generator, scene: Pixels) -> Pixels:
    """A Gaussian of 0.6 to 1.2 percent of the shorter side."""
    del scene
    return _pixels(cv2.GaussianBlur(image, (0, 0), random.uniform(0.006, 0.012) * min(image.shape[:2])))


def moire(image: Pixels, random: np.random.Generator, scene: Pixels) -> Pixels:
    """Two gratings at an angle, as from photographing a screen, and its rows of pixels."""
    del scene
    y, x = np.mgrid[0 : image.shape[0], 0 : image.shape[1]].astype(np.float32)
    wave = np.zeros(image.shape[:2], np.float32)
    for _ in range(2):
        angle, period = random.uniform(0, np.pi), random.uniform(2.2, 6.0)
        wave += np.sin(2 * np.pi / period * (x * np.cos(angle) + y * np.sin(angle)))
    rows = 6.0 * (y.astype(np.int64) % 2)
    return _clipped(image + (wave * random.uniform(8, 18) + rows)[..., None])


def pasted(image: Pixels, random: np.random.Generator, scene: Pixels) -> Pixels:
    """The photograph as one thing among others: 35 to 60 percent of the sides of another one."""
    side = max(image.shape[:2]) / random.uniform(0.35, 0.6)
    scale = side / max(scene.shape[:2])
    size = (int(scene.shape[1] * scale), int(scene.shape[0] * scale))
    out = _pixels(cv2.resize(scene, size, interpolation=cv2.INTER_LINEAR)).copy()
    small = min(1.0, 0.8 * out.shape[0] / image.shape[0], 0.8 * out.shape[1] / image.shape[1])
    shape = (max(1, int(image.shape[1] * small)), max(1, int(image.shape[0] * small)))
    front = cv2.resize(image, shape, interpolation=cv2.INTER_AREA)
    x = int(random.integers(0, out.shape[1] - shape[0] + 1))
    y = int(random.integers(0, out.shape[0] - shape[1] + 1))
    out[y : y + shape[1], x : x + shape[0]] = front
    return out


def mirror(image: Pixels, random: np.random.Generator, scene: Pixels) -> Pixels:
    """Left and right exchanged."""
    del random, scene
    return np.ascontiguousarray(image[:, ::-1])


def combined(image: Pixels, random: np.random.Generator, scene: Pixels) -> Pixels:
    """Three different ones of the others, one after the other; at most one of each kind that takes pixels away."""
    shape = [crop(0.5), rotation, rephotograph, mirror, pasted]
    look = [overlay, colour, blur, moire, jpeg(30)]
    first = shape[int(random.integers(len(shape)))]
    others = [look[n] for n in random.choice(len(look), 2, replace=False)]
    for attack in (first, *others):
        image = attack(image, random, scene)
    return image


ATTACKS: Mapping[str, Attack] = {
    "crop to 50%": crop(0.5),
    "crop to 25%": crop(0.25),
    "rotation": rotation,
    "quarter turn": quarter_turn,
    "re-photograph": rephotograph,
    "JPEG 20": jpeg(20),
    "overlay and text": overlay,
    "colour": colour,
    "blur": blur,
    "moire": moire,
    "paste into scene": pasted,
    "mirror": mirror,
    "three combined": combined,
}


def probe(attack: Attack, image: Pixels, random: np.random.Generator, scene: Pixels) -> bytes:
    """The attacked photograph as JPEG; enlarged where it became too small to be admitted."""
    out = attack(image, random, scene)
    least = min(out.shape[:2])
    if least < 48:
        out = _pixels(cv2.resize(out, None, fx=48 / least, fy=48 / least, interpolation=cv2.INTER_LINEAR))
    _, data = cv2.imencode(".jpg", out[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return bytes(data.tobytes())


def load(data: bytes) -> Pixels:
    """The pixels of a picture file, uint8 [h, w, 3] RGB."""
    found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if found is None:
        raise SystemExit("a file is no picture")
    return np.ascontiguousarray(found[:, :, ::-1], np.uint8)


def _clipped(x: NDArray[np.floating]) -> Pixels:
    return np.asarray(np.clip(np.rint(x), 0, 255), np.uint8)


def _pixels(x: object) -> Pixels:
    return np.asarray(x, np.uint8)
