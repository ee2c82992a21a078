"""Trains `object-embed`: a 256-D global embedding that recognises a copy of a photograph.

Self-supervised, after SSCD (Pizzi et al., CVPR 2022): two strongly changed views of one photograph are drawn
together and all others apart (InfoNCE), and a differential-entropy term spreads the embeddings evenly over the
sphere, so that one threshold fits everywhere. Views grow from 64 to 128 pixels: much is learnt from small ones in a
third of the time, and the last of it from large ones alone. (Embeddings of past steps as further strangers, as in
XBM, made the training run away from them.)

    python object_embedding.py --images images.zip --out object-embed.onnx --minutes 60 --seed 7 --without gallery

Needs torch and opencv-python; neither is needed to run the product. `--images` holds WebP or JPEG files. Training
photographs of the weights shipped: clothing-dataset (CC0), coins-dataset (MIT), GroceryStoreDataset (MIT),
Caltech-101 (CC BY 4.0).
"""

from __future__ import annotations

import argparse
import math
import time
import zipfile
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

STORED = 144  # pixels, side of the stored photographs, squeezed to squares
SIDES = (64, 96, 128)  # pixels, sides of the views, one after another
USED = 160  # pixels, side at which the product runs the network
WIDTHS = (32, 64, 160, 320)  # multiples of 16, which vector units like
DIMENSION = 256
TEMPERATURE = 0.05
ENTROPY_WEIGHT = 1.0
STRENGTHS = (0.1, 0.9)
"""Between these the strength of each batch is drawn. At full strength alone nearly nothing is learnt: a tenth of a
photograph inside another one, turned, tinted and covered, is mostly beyond recognition at these sizes."""
TEXTS = 256
THUMB = 12  # pixels, side of the thumbnails by which a photograph is distinguished from those of `--without`
SAME = 0.97
"""Correlation of thumbnails from which two files are taken for one photograph."""


class Block(nn.Module):
    """The basic block of ResNet (He et al., CVPR 2016)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.skip = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.skip = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        """float [n, inputs, h, w] to float [n, outputs, h / stride, w / stride]."""
        y = functional.relu(self.norm1(self.first(x)))
        return functional.relu(self.norm2(self.second(y)) + self.skip(x))


class Network(nn.Module):
    """A slim ResNet-18 with generalised-mean pooling; RGB 0..255 in, L2-normalised float32 [n, 256] out.

    Elements are centred and scaled before the vector is brought to length 1: without that, all photographs point
    nearly the same way at first, and little is learnt for a long time.
    """

    def __init__(self) -> None:
        super().__init__()
        stem = WIDTHS[0]
        self.stem = nn.Conv2d(3, stem, 7, 2, 3, bias=False)
        self.norm = nn.BatchNorm2d(stem)
        blocks: list[nn.Module] = []
        inputs = stem
        for stage, width in enumerate(WIDTHS):
            blocks += [Block(inputs, width, 1 if stage == 0 else 2), Block(width, width, 1)]
            inputs = width
        self.body = nn.Sequential(*blocks)
        self.power = nn.Parameter(torch.tensor(3.0))
        self.head = nn.Linear(inputs, DIMENSION, bias=False)
        self.centred = nn.BatchNorm1d(DIMENSION, affine=False)

    def forward(self, x: Tensor) -> Tensor:
        """uint8-valued float [n, 3, h, w] to float32 [n, 256]."""
        y = functional.relu(self.norm(self.stem((x - 120.0) / 60.0)))
        y = self.body(functional.max_pool2d(y, 3, 2, 1)).float()
        pooled = y.clamp(min=1e-4).pow(self.power).mean((2, 3)).pow(1.0 / self.power)
        return functional.normalize(self.centred(self.head(pooled)), dim=1)


def thumbnails(photographs: np.ndarray) -> np.ndarray:
    """Unit vectors float32 [n, THUMB * THUMB] of photographs uint8 [n, h, w, 3]."""
    small = [cv2.resize(p, (THUMB, THUMB), interpolation=cv2.INTER_AREA).mean(2).ravel() for p in photographs]
    rows = np.stack(small).astype(np.float32)
    rows -= rows.mean(1, keepdims=True)
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6), np.float32)


def left_out(photographs: np.ndarray, folder: Path) -> np.ndarray:
    """The photographs that are not in the folder too, at any size."""
    pictures = [cv2.imread(str(path)) for path in sorted(folder.glob("*.jpg"))]
    squares = np.stack(
        [cv2.resize(p, (STORED, STORED), interpolation=cv2.INTER_AREA) for p in pictures if p is not None]
    )
    known = thumbnails(squares)
    nearest = (thumbnails(photographs) @ known.T).max(1)
    return np.asarray(photographs[nearest < SAME])


def decoded(archive: Path) -> np.ndarray:
    """Every photograph of a zip, uint8 [n, STORED, STORED, 3] RGB, in the order of their names."""
    with zipfile.ZipFile(archive) as images:
        names = sorted(name for name in images.namelist() if name.endswith((".webp", ".jpg")))
        out = np.empty((len(names), STORED, STORED, 3), np.uint8)
        for n, name in enumerate(names):
            image = cv2.imdecode(np.frombuffer(images.read(name), np.uint8), cv2.IMREAD_COLOR)
            if image is None:
                raise SystemExit(f"{name} in {archive} is no picture")
            out[n] = cv2.resize(image, (STORED, STORED), interpolation=cv2.INTER_AREA)[:, :, ::-1]
    return out


def texts(random: np.random.Generator, side: int) -> Tensor:
    """Masks of random letters and lines, float32 [TEXTS, 1, side, side] in 0..1."""
    masks = np.zeros((TEXTS, side, side), np.uint8)
    for mask in masks:
        for _ in range(random.integers(1, 4)):
            word = "".join(chr(c) for c in random.integers(33, 123, random.integers(2, 12)))
            at = (int(random.integers(-10, side // 2)), int(random.integers(10, side)))
            font, size = int(random.integers(0, 8)), float(random.uniform(0.4, 2.0)) * side / 96
            cv2.putText(mask, word, at, font, size, 255, int(random.integers(1, 4)), cv2.LINE_AA)
    return torch.from_numpy(masks[:, None]).float() / 255.0


class Views:
    """Draws changed views of photographs, `side` pixels high and wide, a batch at a time."""

    def __init__(self, photographs: np.ndarray, seed: int, side: int) -> None:
        self.side = side
        self._photographs = torch.from_numpy(photographs)
        self._random = torch.Generator().manual_seed(seed)
        self._texts = texts(np.random.default_rng(seed), side)
        line = (torch.arange(side) + 0.5) / side * 2 - 1
        y, x = torch.meshgrid(line, line, indexing="ij")
        self._grid = torch.stack([x, y, torch.ones_like(x)], -1).reshape(-1, 3)

    def _uniform(self, n: int, low: float, high: float) -> Tensor:
        return torch.rand(n, generator=self._random) * (high - low) + low

    def _happens(self, n: int, share: float) -> Tensor:
        return torch.rand(n, generator=self._random) < share

    def batch(self, n: int, strength: float) -> tuple[Tensor, Tensor]:
        """Two views of each of `n` photographs, float [n, 3, side, side] of 0..255.

        The first is changed little, the second by as much as `strength`, 0..1, says.
        """
        chosen = torch.randperm(len(self._photographs), generator=self._random)[:n]
        pixels = self._photographs[chosen].permute(0, 3, 1, 2).float()
        return self._view(pixels, 0.0), self._view(pixels, strength)

    def _view(self, pixels: Tensor, strength: float) -> Tensor:
        n = len(pixels)
        moved, inside = self._moved(pixels, strength)
        behind = pixels.roll(1, 0)
        background, _ = self._moved(behind, 0.0)
        plain = self._uniform(3 * n, 0, 255).reshape(n, 3, 1, 1).expand_as(background)
        background = torch.where(self._happens(n, 0.7)[:, None, None, None], background, plain)
        out = torch.where(inside, moved, background)
        out = self._coloured(out, strength)
        if strength:
            out = self._overlaid(out, strength)
            out = self._blurred(out, strength)
        return self._compressed(out, share=0.15 + 0.25 * strength).contiguous(
            memory_format=torch.channels_last
        )

    def _moved(self, pixels: Tensor, strength: float) -> tuple[Tensor, Tensor]:
        """Crops, turns, mirrors, tilts and frames; and where the photograph is seen, bool [n, 1, h, w]."""
        n = len(pixels)
        area = torch.exp(self._uniform(n, math.log(0.5) + strength * math.log(0.2), 0.0))
        area = torch.where(self._happens(n, 0.3), torch.ones(n), area)
        aspect = torch.exp(self._uniform(n, -0.3, 0.3))
        width, height = (area * aspect).sqrt().clamp(max=1), (area / aspect).sqrt().clamp(max=1)
        cx, cy = self._uniform(n, -1, 1) * (1 - width), self._uniform(n, -1, 1) * (1 - height)
        small = self._uniform(n, -0.6, 0.6) * self._happens(n, 0.1 + 0.3 * strength)
        quarters = torch.randint(0, 4, (n,), generator=self._random) * self._happens(n, 0.35 * strength)
        angle = small + quarters * (math.pi / 2)
        mirror = torch.where(self._happens(n, 0.1 + 0.3 * strength), -1.0, 1.0)
        tilt = 0.05 + 0.2 * strength
        # From the view to the photograph: out of the frame, tilted, turned, mirrored, then into the crop.
        framed = self._happens(n, 0.4 * strength)
        size = torch.where(framed, self._uniform(n, 0.35, 0.85), torch.ones(n))
        fx, fy = self._uniform(n, -1, 1) * (1 - size), self._uniform(n, -1, 1) * (1 - size)
        zero, one = torch.zeros(n), torch.ones(n)
        frame = torch.stack([1 / size, zero, -fx / size, zero, 1 / size, -fy / size, zero, zero, one], 1)
        bend = self._happens(n, 0.5)
        px, py = self._uniform(n, -tilt, tilt) * bend, self._uniform(n, -tilt, tilt) * bend
        lean = torch.stack([one, px, zero, py, one, zero, px, py, one], 1)
        c, s = torch.cos(angle), torch.sin(angle)
        turn = torch.stack([c * mirror, -s * mirror, zero, s, c, zero, zero, zero, one], 1)
        crop = torch.stack([width, zero, cx, zero, height, cy, zero, zero, one], 1)
        chain = [m.reshape(n, 3, 3) for m in (crop, turn, lean, frame)]
        whole_map = chain[0] @ chain[1] @ chain[2] @ chain[3]
        at = self._grid @ whole_map.transpose(1, 2)
        xy = at[..., :2] / at[..., 2:].clamp(min=0.2)
        in_frame = (self._grid[None] @ chain[3].transpose(1, 2))[..., :2].abs().amax(-1) <= 1
        seen = (in_frame & (xy.abs().amax(-1) <= 1)).reshape(n, 1, self.side, self.side)
        grid = xy.reshape(n, self.side, self.side, 2)
        return functional.grid_sample(pixels, grid, padding_mode="reflection", align_corners=False), seen

    def _coloured(self, x: Tensor, strength: float) -> Tensor:
        n, reach = len(x), 0.2 + 0.3 * strength

        def factor() -> Tensor:
            return torch.exp(self._uniform(n, -reach, reach))[:, None, None, None]

        mean = x.mean((1, 2, 3), keepdim=True)
        x = (x - mean) * factor() + mean * factor()
        grey = x.mean(1, keepdim=True)
        bleached = self._happens(n, 0.15 * strength)[:, None, None, None]
        x = torch.where(bleached, grey.expand_as(x), grey + (x - grey) * factor())
        tint = torch.exp(self._uniform(3 * n, -1, 1) * (0.05 + 0.2 * strength))
        return (x * tint.reshape(n, 3, 1, 1)).clamp(0, 255)

    def _overlaid(self, x: Tensor, strength: float) -> Tensor:
        n = len(x)
        letters = self._texts[torch.randint(0, TEXTS, (n,), generator=self._random)]
        opacity = (self._uniform(n, 0.4, 1.0) * self._happens(n, 0.3 * strength))[:, None, None, None]
        ink = self._uniform(3 * n, 0, 255).reshape(n, 3, 1, 1)
        x = x + (ink - x) * letters * opacity
        side = self.side
        line = torch.arange(side)[None]
        left, top = self._uniform(n, 0, side)[:, None], self._uniform(n, 0, side)[:, None]
        wide, high = self._uniform(n, 5, 0.5 * side)[:, None], self._uniform(n, 5, 0.5 * side)[:, None]
        patch = ((line >= top) & (line < top + high))[:, None, :, None]
        patch = patch & ((line >= left) & (line < left + wide))[:, None, None, :]
        patch = patch & self._happens(n, 0.25 * strength)[:, None, None, None]
        x = torch.where(patch, self._uniform(3 * n, 0, 255).reshape(n, 3, 1, 1), x)
        # Moire: a fine grating, as from photographing a screen.
        y_axis, x_axis = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
        fx, fy = self._uniform(n, -1.5, 1.5)[:, None, None], self._uniform(n, -1.5, 1.5)[:, None, None]
        wave = torch.sin(fx * x_axis + fy * y_axis)[:, None]
        depth = (self._uniform(n, 5, 40) * self._happens(n, 0.15 * strength))[:, None, None, None]
        return (x + wave * depth).clamp(0, 255)

    def _blurred(self, x: Tensor, strength: float) -> Tensor:
        soft = self._happens(len(x), 0.25 * strength)[:, None, None, None]
        factor = int(torch.randint(2, 5, (1,), generator=self._random))
        small = functional.interpolate(x, scale_factor=1 / factor, mode="area")
        blurred = functional.interpolate(small, size=(self.side, self.side), mode="bilinear")
        noise = torch.randn(x.shape, generator=self._random) * 12.0
        x = torch.where(soft, blurred, x)
        return torch.where(
            self._happens(len(x), 0.15 * strength)[:, None, None, None], (x + noise).clamp(0, 255), x
        )

    def _compressed(self, x: Tensor, share: float) -> Tensor:
        picked = torch.nonzero(self._happens(len(x), share))[:, 0].tolist()
        quality = self._uniform(len(x), 10, 60).int().tolist()
        for n in picked:
            pixels = np.ascontiguousarray(x[n].permute(1, 2, 0).byte().numpy())
            _, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality[n]])
            x[n] = torch.from_numpy(cv2.imdecode(data, cv2.IMREAD_COLOR)).permute(2, 0, 1).float()
        return x


def loss_of(every: Tensor) -> tuple[Tensor, Tensor]:
    """InfoNCE over the 2n embeddings, and minus the Kozachenko-Leonenko estimate of their entropy.

    Rows i and i + n of `every` are of one photograph.
    """
    count = len(every)
    cosines = every @ every.T
    cosines.fill_diagonal_(-math.inf)
    partner = torch.arange(count).roll(count // 2)
    contrast = functional.cross_entropy(cosines / TEMPERATURE, partner)
    negatives = cosines.detach().clone()
    negatives[torch.arange(count), partner] = -math.inf
    nearest = negatives.argmax(1)
    distance = (every - every[nearest]).pow(2).sum(1).add(1e-8).sqrt()
    return contrast, -distance.log().mean()


def train(options: argparse.Namespace) -> None:
    """Train for the minutes given, writing the graph now and then."""
    torch.manual_seed(options.seed)
    torch.set_num_threads(options.threads)
    photographs = decoded(options.images)
    if options.without is not None:
        photographs = left_out(photographs, options.without)
    views_of = [Views(photographs, options.seed + n, side) for n, side in enumerate(SIDES)]
    stages = list(zip((*options.until, 1.0), views_of, strict=True))
    network = Network().to(memory_format=torch.channels_last)
    if options.start is not None:
        network.load_state_dict(torch.load(options.start))
    parameters = sum(p.numel() for p in network.parameters())
    print(f"{parameters:,} parameters, {len(photographs):,} photographs", flush=True)
    optimiser = torch.optim.AdamW(network.parameters(), lr=options.rate, weight_decay=0.05)
    strengths = np.random.default_rng(options.seed)
    begun, saved, step = time.monotonic(), time.monotonic(), 0
    while (spent := time.monotonic() - begun) < 60 * options.minutes:
        share = spent / (60 * options.minutes)
        warm = min(1.0, (step + 1) / 50)
        for group in optimiser.param_groups:
            group["lr"] = options.rate * warm * (0.5 + 0.5 * math.cos(math.pi * share) + 0.005)
        views = next(views for until, views in stages if share < until)
        mild, strong = views.batch(options.batch, strengths.uniform(*STRENGTHS))
        contrast, spread = loss_of(network(torch.cat([mild, strong])))
        optimiser.zero_grad()
        (contrast + ENTROPY_WEIGHT * warm * spread).backward()
        optimiser.step()
        step += 1
        if step % 20 == 0:
            now = time.monotonic() - begun
            print(
                f"{now:6.0f} s  step {step}  {views.side} px  contrast {contrast:.3f}  spread {spread:.3f}",
                flush=True,
            )
        if time.monotonic() - saved > 300:
            export(network, options.out)
            saved = time.monotonic()
    export(network, options.out)


def export(network: Network, path: Path) -> None:
    """Write the network as ONNX: `pixels` float32 [n, 3, USED, USED] to `embedding` float32 [n, 256]."""
    torch.save(network.state_dict(), path.with_suffix(".pt"))
    twin = Network()
    twin.load_state_dict(network.state_dict())
    torch.onnx.export(
        twin.eval(), (torch.zeros(1, 3, USED, USED),), str(path), dynamo=False, opset_version=17,
        input_names=["pixels"], output_names=["embedding"],
        dynamic_axes={"pixels": {0: "n"}, "embedding": {0: "n"}},
    )  # fmt: skip


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=Path, required=True, help="zip of photographs")
    parser.add_argument("--without", type=Path, help="folder whose photographs are left out")
    parser.add_argument("--out", type=Path, required=True, help="the ONNX file to write")
    parser.add_argument("--start", type=Path, help="weights to begin from, a .pt that an earlier run wrote")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument(
        "--until", type=float, nargs=2, default=(0.6, 0.9), metavar="SHARE",
        help="shares of the time until which views have 64 and 96 pixels (.6 .9)",
    )  # fmt: skip
    parser.add_argument("--batch", type=int, default=160)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--threads", type=int, default=1)
    train(parser.parse_args())


if __name__ == "__main__":
    main()
