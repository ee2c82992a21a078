"""The estimated cost of decoding against the growth of a process while it decodes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from likeness.imaging import cost
from likeness.imaging.headers import inspect
from likeness.imaging.opencv import cv2
from tests.unit.imaging.files import encoded

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="the peak of a process can be set back on Linux only"
)

WIDTH, HEIGHT = 3000, 2000
SLACK = 4 << 20  # bytes that the interpreter and the allocator take by the way

MEASURE = """
import json, sys
from pathlib import Path
from likeness.domain.samples import Sample
from likeness.imaging.decode import decode

def status(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))

grown = {}
for path in map(Path, sys.argv[1:]):
    data = path.read_bytes()
    for _ in range(2):  # the first time it also loads what it needs
        Path("/proc/self/clear_refs").write_text("5")
        before = status("VmRSS")
        decode(Sample(data))
        grown[path.name] = status("VmHWM") - before
print(json.dumps(grown))
"""


def scene(channels: int) -> np.ndarray:
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    return np.stack([x // 9, y // 7, (x + y) // 11, x // 5][:channels], axis=2).astype(np.uint8)


def files() -> dict[str, bytes]:
    colour, alpha = Image.fromarray(scene(3)), Image.fromarray(scene(4))
    grey, wide = colour.convert("L"), scene(4).astype(np.uint16) * 257
    turned = Image.Exif()
    turned[0x0112] = 6
    strip = {"tiffinfo": {278: HEIGHT}}
    return {
        "jpeg": encoded(colour, "JPEG"),
        "jpeg turned": encoded(colour, "JPEG", exif=turned),
        "jpeg grey": encoded(grey, "JPEG"),
        "jpeg cmyk": encoded(colour.convert("CMYK"), "JPEG"),
        "jpeg without end": encoded(colour, "JPEG")[:-2],
        "progressive": encoded(colour, "JPEG", progressive=True, subsampling=0),
        "progressive grey": encoded(grey, "JPEG", progressive=True),
        "progressive cmyk": encoded(colour.convert("CMYK"), "JPEG", progressive=True),
        "png": encoded(colour, "PNG", compress_level=1),
        "png with profile": encoded(colour, "PNG", compress_level=1, icc_profile=bytes(200)),
        "png grey": encoded(grey, "PNG", compress_level=1),
        "png grey with one clear": encoded(grey, "PNG", compress_level=1, transparency=7),
        "png palette with clear": encoded(grey.convert("P"), "PNG", compress_level=1, transparency=7),
        "png alpha": encoded(alpha, "PNG", compress_level=1),
        "png alpha turned": encoded(alpha, "PNG", compress_level=1, exif=turned),
        "png 16": cv2.imencode(".png", wide[:, :, :3])[1].tobytes(),
        "png 16 grey": cv2.imencode(".png", wide[:, :, 0])[1].tobytes(),
        "png 16 alpha": cv2.imencode(".png", wide)[1].tobytes(),
        "webp": encoded(colour, "WEBP", method=0),
        "webp alpha": encoded(alpha, "WEBP", method=0),
        "webp lossless": encoded(colour, "WEBP", lossless=True, method=0, quality=0),
        "webp lossless alpha": encoded(alpha, "WEBP", lossless=True, method=0, quality=0),
        "bmp": encoded(colour, "BMP"),
        "bmp 32": encoded(alpha, "BMP"),
        "tiff": encoded(colour, "TIFF"),
        "tiff alpha": encoded(alpha, "TIFF"),
        "tiff 16 alpha": cv2.imencode(".tiff", wide)[1].tobytes(),
        "tiff one strip lzw": encoded(colour, "TIFF", compression="tiff_lzw", **strip),
        "tiff one strip packbits": encoded(alpha, "TIFF", compression="packbits", **strip),
        "tiff one strip deflate": encoded(alpha, "TIFF", compression="tiff_adobe_deflate", **strip),
        "tiff jpeg": encoded(colour, "TIFF", compression="jpeg", **strip),
        "tiff jpeg cmyk": encoded(colour.convert("CMYK"), "TIFF", compression="jpeg", **strip),
        "tiff ycbcr": encoded(colour.convert("YCbCr"), "TIFF", compression="tiff_lzw", **strip),
        "fax": encoded(colour.convert("1"), "TIFF", compression="group4", **strip),
    }


@pytest.mark.slow
def test_no_picture_takes_more_than_was_estimated(tmp_path: Path) -> None:
    estimated = {}
    for name, data in files().items():
        (tmp_path / name).write_bytes(data)
        estimated[name] = cost.of(inspect(data), len(data))
    paths = [str(tmp_path / name) for name in estimated]
    done = subprocess.run([sys.executable, "-c", MEASURE, *paths], capture_output=True, text=True, check=True)
    grown = json.loads(done.stdout)
    over = {
        name: (grown[name], estimated[name]) for name in estimated if grown[name] > estimated[name] + SLACK
    }
    assert not over


EIGHT = """
import sys, threading
from pathlib import Path
from likeness.domain.samples import Sample
from likeness.imaging.decode import DecodeLimits, decode
from likeness.imaging.memory import MemoryBudget

def status(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))

data, limits = Path(sys.argv[1]).read_bytes(), DecodeLimits(memory=MemoryBudget(int(sys.argv[2])))
decode(Sample(data))  # the first time it also loads what it needs
Path("/proc/self/clear_refs").write_text("5")
before = status("VmRSS")
threads = [threading.Thread(target=decode, args=(Sample(data), limits)) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(status("VmHWM") - before)
"""


def test_eight_at_once_stay_within_the_budget(tmp_path: Path) -> None:
    """16-bit PNG with alpha is the most expensive kind: a small file, sixteen bytes a pixel.

    Two fit at a time. The allocator of each thread keeps some of what was freed, so half as much again may be held;
    without the budget it is three times as much.
    """
    path = tmp_path / "wide.png"
    path.write_bytes(cv2.imencode(".png", scene(4).astype(np.uint16) * 257)[1].tobytes())
    one = cost.of(inspect(path.read_bytes()), path.stat().st_size)
    budget = 5 * one // 2
    done = subprocess.run(
        [sys.executable, "-c", EIGHT, str(path), str(budget)], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 3 * budget // 2 < 4 * one
