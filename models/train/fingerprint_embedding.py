"""Train the network that turns the minutiae of one impression into one vector, on drawn fingers alone.

    python models/train/fingerprint_embedding.py --steps 1450 --out FOLDER

Needs torch, onnx and onnxscript, which the product does not. Fingers are drawn again for every step: an orientation
field of an arch, a loop or a whorl (B. Sherlock, D. Monro, "A model for interpreting fingerprint orientation
fields", Pattern Recognition 26(7), 1993), minutiae with hard-core spacing along it, and two impressions of each
finger, which lose, gain, move and turn minutiae as measured on templates of sensors. The loss is InfoNCE (A.
van den Oord et al., "Representation learning with contrastive predictive coding", 2018) on impressions,
and on minutiae that both impressions of a finger show.

The network: each minutia sees its nearest neighbours in its own frame, so that nothing depends on where the finger
lay or how it was turned; two rounds of messages widen what it knows; a NetVLAD layer (R. Arandjelovic et al., CVPR
2016) sums the minutiae by word; linear discriminants at the end make 256 numbers of the sums. Written to FOLDER:
`checkpoint.pt` at intervals (a run that is started again goes on from it) and `fingerprint_embedding.onnx` at the
end. One thread and one seed give one result on one kind of processor; other processors round otherwise.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  torch's own habit

SLOTS = 144
"""Minutiae of a drawn finger, at most."""
MOST = 80
"""Minutiae of a drawn impression, at most."""
NEIGHBOURS = 12
WIDTH = 96
WORDS = 64
VALUES = 32
DIMENSION = 256
REACH = 80.0  # px; how far a minutia looks, the scale of the window over its neighbours
RIDGE = 1.0
"""Added to the variance within fingers when the projection is refitted, in mean variances."""
TAU = 2.0 * math.pi


# Fingers and impressions


def orientation(xy: Tensor, cores: Tensor, deltas: Tensor, present: Tensor, arch: Tensor) -> Tensor:
    """Ridge orientation [b, n] at points [b, n, 2]: half the winding about cores less that about deltas.

    `cores`, `deltas` [b, 2, 2]; `present` [b, 2], which of them the finger has; `arch` [b, 2], the height and
    width of an arch's bow, the height 0 for other classes.
    """
    to_core = xy[:, :, None] - cores[:, None]
    to_delta = xy[:, :, None] - deltas[:, None]
    winding = torch.atan2(to_core[..., 1], to_core[..., 0]) - torch.atan2(to_delta[..., 1], to_delta[..., 0])
    field = 0.5 * (winding * present[:, None]).sum(-1)
    bow = arch[:, None, 0] * torch.sin(math.pi * xy[..., 0] / arch[:, None, 1])
    return field + bow * torch.exp(-(((xy[..., 1] - 40) / 120) ** 2))


def smooth(xy: Tensor, length: float, terms: int = 16) -> Tensor:
    """A smooth random field with unit variance and correlation length `length` px at points [b, n, 2]."""
    count = len(xy)
    frequency = torch.randn(count, 2, terms) / length
    phase = torch.rand(count, 1, terms) * TAU
    return torch.cos(xy @ frequency + phase).sum(-1) * math.sqrt(2.0 / terms)


def spread(count: int, uniform: bool) -> Tensor:
    """Draws from 0..1, one per finger [b]; where `uniform`, all within a tenth of one another."""
    return 0.9 * torch.rand(1) + 0.1 * torch.rand(count) if uniform else torch.rand(count)


def draw_fingers(count: int, uniform: bool) -> tuple[Tensor, Tensor, Tensor, tuple[Tensor, ...]]:
    """Fingers: xy [b, SLOTS, 2] px, turn [b, SLOTS], present [b, SLOTS], and what `orientation` takes.

    `uniform`: all have nearly the same size, spacing and density of minutiae, as fingers taken by one sensor and
    one extractor have. A network that never saw such fingers side by side tells fingers apart by these instead.
    """
    size = torch.stack([110 + 45 * spread(count, uniform), 140 + 65 * spread(count, uniform)], -1)
    gap = 7.0 + 6.0 * spread(count, uniform)[:, None]
    tries = 420
    radius = torch.rand(count, tries).sqrt()
    around = torch.rand(count, tries) * TAU
    points = torch.stack([radius * torch.cos(around), radius * torch.sin(around)], -1) * size[:, None]
    crowding = smooth(points, 60.0)
    wanted = torch.rand(count, tries) < torch.sigmoid(crowding)
    area = math.pi * size.prod(-1)
    density = torch.exp(0.35 * 3.46 * (spread(count, uniform) - 0.5))
    target = (area * density * 1.25e-3).clamp(12, SLOTS)
    xy = torch.full((count, SLOTS, 2), 1e6)
    taken = torch.zeros(count, dtype=torch.long)
    rows = torch.arange(count)
    for t in range(tries):
        free = ((xy - points[:, t, None]) ** 2).sum(-1).amin(1) > gap[:, 0] ** 2
        take = wanted[:, t] & free & (taken < target)
        chosen = rows[take]
        xy[chosen, taken[chosen]] = points[chosen, t]
        taken[chosen] += 1
    present = torch.arange(SLOTS) < taken[:, None]
    xy = torch.where(present[..., None], xy, torch.zeros(()))
    kind = torch.rand(count)
    side = torch.where(torch.rand(count) < 0.5, 1.0, -1.0)
    wobble = torch.randn(count, 4, 2) * 14
    core = torch.stack([torch.zeros(count), torch.full((count,), -25.0)], -1) + wobble[:, 0]
    loop_delta = torch.stack([side * 75, torch.full((count,), 85.0)], -1) + wobble[:, 1]
    whorl = (kind < 0.32)[:, None]
    lower = core + torch.stack([8 * side, 22 + 45 * torch.rand(count)], -1)
    left = torch.stack([-85.0 * side, torch.full((count,), 95.0)], -1) + wobble[:, 2]
    cores = torch.stack([core, lower], 1)
    deltas = torch.stack([loop_delta, left], 1)
    is_arch = kind > 0.92
    has = torch.stack([~is_arch, whorl[:, 0] & ~is_arch], -1).float()
    bow = torch.where(is_arch, side.abs() * (0.6 + 0.5 * torch.rand(count)), torch.zeros(count))
    frame = (cores, deltas, has, torch.stack([bow, 120 + 60 * torch.rand(count)], -1))
    field = orientation(xy, *frame)
    mostly = (smooth(xy, 70.0) > 0) ^ (torch.rand(count, SLOTS) < 0.3)
    turn = field + math.pi * mostly + 0.08 * torch.randn(count, SLOTS)
    return xy, turn, present, frame


def draw_impression(
    xy: Tensor, turn: Tensor, present: Tensor, frame: tuple[Tensor, ...]
) -> tuple[Tensor, Tensor]:
    """One impression of each finger.

    Minutiae [b, KEPT, 4] (x, y, turn, present), and which of the finger's each is [b, KEPT], -1 if of none.
    """
    count = len(xy)
    contact = torch.stack([75 + 60 * torch.rand(count), 90 + 85 * torch.rand(count)], -1)
    centre = torch.randn(count, 2) * 30
    noise = 0.35 + 1.1 * torch.rand(count, 1)
    lost = 0.22 * torch.rand(count, 1) * noise
    dry = 1.2 * noise - 2.6
    seen = present & ((((xy - centre[:, None]) / contact[:, None]) ** 2).sum(-1) < 1)
    seen &= torch.rand(count, SLOTS) > lost + 0.5 * (smooth(xy, 40.0) < dry)
    extra = 40
    most = (seen.sum(1, keepdim=True) * 0.32 * torch.rand(count, 1) * noise + 1).clamp(max=extra)
    radius, around = torch.rand(count, extra).sqrt(), torch.rand(count, extra) * TAU
    fake = torch.stack([radius * torch.cos(around), radius * torch.sin(around)], -1) * contact[:, None]
    fake = fake + centre[:, None]
    host = torch.randint(0, SLOTS, (count, extra))
    placed = torch.gather(xy, 1, host[..., None].expand(-1, -1, 2)) + 9 * torch.randn(count, extra, 2)
    by_host = torch.gather(seen, 1, host) & (torch.rand(count, extra) < 0.5)
    fake = torch.where(by_host[..., None], placed, fake)
    fake_turn = orientation(fake, *frame) + math.pi * (torch.rand(count, extra) < 0.5)
    fake_turn = fake_turn + 0.25 * torch.randn(count, extra)
    fake_seen = torch.arange(extra) < most

    at = torch.cat([xy, fake], 1)
    towards = torch.cat([turn, fake_turn], 1)
    there = torch.cat([seen, fake_seen], 1)
    slots = torch.cat([torch.arange(SLOTS).expand(count, -1), torch.full((count, extra), -1)], 1)
    everyone = at.shape[1]
    tail = torch.where(torch.rand(count, everyone, 1) < 0.12, 2.6, 1.0)
    moved = at + 2.2 * noise[..., None] * tail * torch.randn(count, everyone, 2)
    bend = torch.stack([smooth(at, 60.0), smooth(at, 60.0)], -1) * 2.3 * noise[..., None]
    stretch = torch.eye(2) + 0.02 * torch.randn(count, 2, 2)
    moved = (moved + bend) @ stretch
    wide = torch.where(torch.rand(count, everyone) < 0.15, 2.8, 1.0)
    towards = towards + 0.09 * wide * noise * torch.randn(count, everyone)
    reversed_ = torch.rand(count, everyone) < 0.03
    towards = towards + math.pi * reversed_
    spin = 0.3 * torch.randn(count, 1)
    c, s = torch.cos(spin), torch.sin(spin)
    x = c * moved[..., 0] - s * moved[..., 1]
    y = s * moved[..., 0] + c * moved[..., 1]
    packed = torch.stack([x, y, towards + spin, there.float()], -1)
    order = torch.argsort(there.float() - torch.rand(count, everyone) * 0.5, dim=1, descending=True)[:, :MOST]
    packed = torch.gather(packed, 1, order[..., None].expand(-1, -1, 4))
    slots = torch.where(packed[..., 3] > 0, torch.gather(slots, 1, order), -1)
    return packed * packed[..., 3:], slots


# Network


def weighed(heard: Tensor, window: Tensor) -> Tensor:
    """The sum over neighbours of [b, n, k, w] with the weights [b, n, k]: [b, n, w]."""
    batch, count, many, wide = heard.shape
    flat = window.reshape(batch * count, 1, many) @ heard.reshape(batch * count, many, wide)
    return flat.reshape(batch, count, wide)


class Messages(nn.Module):
    """One round: each minutia hears from its neighbours, weighed by how near they are."""

    def __init__(self, geometry: int) -> None:
        super().__init__()
        self.pair = nn.Linear(geometry, WIDTH)
        self.own = nn.Linear(WIDTH, WIDTH, bias=False)
        self.other = nn.Linear(WIDTH, WIDTH, bias=False)
        self.heard_from = nn.Linear(WIDTH, WIDTH)
        self.after = nn.Sequential(nn.LayerNorm(2 * WIDTH), nn.Linear(2 * WIDTH, WIDTH), nn.GELU())
        self.out = nn.Linear(WIDTH, WIDTH)

    def forward(self, state: Tensor, geometry: Tensor, window: Tensor, neighbours: Tensor) -> Tensor:
        """The minutiae's new state [b, n, WIDTH]; `neighbours` [b, n, k] are places in the flattened batch."""
        batch, count, _ = state.shape
        others = self.other(state).reshape(batch * count, WIDTH)
        others = others.index_select(0, neighbours.reshape(-1)).reshape(batch, count, NEIGHBOURS, WIDTH)
        heard = F.relu(self.pair(geometry) + others + self.own(state)[:, :, None])
        heard = weighed(F.relu(self.heard_from(heard)), window)
        return state + self.out(self.after(torch.cat([state, heard], -1)))


class Embedding(nn.Module):
    """minutiae float32 [b, n, 4] (x, y in pixels at 500 dpi, turn in radians, 1 or 0 present) -> [b, DIMENSION]."""

    def __init__(self) -> None:
        super().__init__()
        self.rings = 8
        geometry = 4 + self.rings * 3
        self.first = nn.Sequential(nn.Linear(geometry, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH), nn.ReLU())
        self.begin = nn.Sequential(nn.LayerNorm(WIDTH), nn.Linear(WIDTH, WIDTH))
        self.rounds = nn.ModuleList([Messages(geometry), Messages(geometry)])
        self.last = nn.LayerNorm(WIDTH)
        self.word = nn.Linear(WIDTH, WORDS + 4)
        self.value = nn.Linear(WIDTH, VALUES)
        self.centre = nn.Parameter(torch.randn(WORDS, VALUES) * 0.1)
        self.project = nn.Linear(WORDS * VALUES, DIMENSION, bias=False)
        self.scale = nn.Parameter(torch.tensor(math.log(12.0)))
        self.local_scale = nn.Parameter(torch.tensor(math.log(12.0)))

    def local(self, minutiae: Tensor) -> Tensor:
        """What each minutia knows of its surroundings: [b, n, WIDTH]."""
        batch, count, _ = minutiae.shape
        x, y, turn, present = minutiae.unbind(-1)
        dx = x[:, None, :] - x[:, :, None]
        dy = y[:, None, :] - y[:, :, None]
        far = dx * dx + dy * dy + (1 - present)[:, None, :] * 1e7
        far = far + torch.eye(count, dtype=far.dtype, device=far.device) * 2e7
        near, index = torch.topk(far, NEIGHBOURS, dim=2, largest=False)
        start = torch.arange(batch, device=index.device)[:, None, None] * count
        flat = index + start
        everything = minutiae.reshape(batch * count, 4).index_select(0, flat.reshape(-1))
        everything = everything.reshape(batch, count, NEIGHBOURS, 4)
        dx = everything[..., 0] - x[..., None]
        dy = everything[..., 1] - y[..., None]
        c, s = torch.cos(turn)[..., None], torch.sin(turn)[..., None]
        u, v = c * dx + s * dy, c * dy - s * dx
        away = torch.sqrt(u * u + v * v + 1.0)
        turned = everything[..., 2] - turn[..., None]
        rings = torch.linspace(8.0, 120.0, self.rings, device=u.device)
        ring = torch.exp(-(((away[..., None] - rings) / 14.0) ** 2))
        cu, cv = (u / away)[..., None], (v / away)[..., None]
        geometry = torch.cat(
            [
                (u / 50)[..., None],
                (v / 50)[..., None],
                torch.cos(turned)[..., None],
                torch.sin(turned)[..., None],
                ring,
                ring * cu,
                ring * cv,
            ],
            -1,
        )
        geometry = geometry.clamp(-4.0, 4.0)
        window = torch.exp(-near.clamp(max=1e6) / (2 * REACH * REACH)) * everything[..., 3] * (near < 1e6)
        window = window * present[..., None]
        state = self.begin(weighed(self.first(geometry), window))
        for one in self.rounds:
            state = one(state, geometry, window, flat)
        return self.last(state)

    def sums(self, local: Tensor, present: Tensor) -> Tensor:
        """The minutiae summed by word: [b, WORDS * VALUES]."""
        words = torch.softmax(self.word(local), -1)[..., :WORDS] * present[..., None]
        sums = words.transpose(1, 2) @ self.value(local)
        sums = sums - words.sum(1)[..., None] * self.centre
        sums = sums / torch.sqrt(sums.square().sum(-1, keepdim=True) + 0.05)
        return sums.flatten(1)

    def gather(self, local: Tensor, present: Tensor) -> Tensor:
        """The sums projected: unit vectors [b, DIMENSION]."""
        return F.normalize(self.project(self.sums(local, present)), dim=-1)

    def forward(self, minutiae: Tensor) -> Tensor:
        """Unit vectors [b, DIMENSION]."""
        return self.gather(self.local(minutiae), minutiae[..., 3])


def contrast(left: Tensor, right: Tensor, scale: Tensor) -> Tensor:
    """InfoNCE in both directions: row i of `left` belongs to row i of `right`, unit vectors."""
    scores = left @ right.T * scale.exp().clamp(max=60.0)
    truth = torch.arange(len(left))
    return 0.5 * (F.cross_entropy(scores, truth) + F.cross_entropy(scores.T, truth))


def mated(left: Tensor, right: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """Positions in the flattened impressions of minutiae that both show, at most `most` drawn of them."""
    row, a, b = torch.nonzero((left[:, :, None] == right[:, None]) & (left >= 0)[:, :, None], as_tuple=True)
    chosen = torch.randperm(len(row))[:most]
    return (row * MOST + a)[chosen], (row * MOST + b)[chosen]


def losses(model: Embedding, fingers: int, uniform: bool) -> tuple[Tensor, Tensor]:
    """The two losses of one step over as many new fingers."""
    with torch.no_grad():
        drawn = draw_fingers(fingers, uniform)
        (left, left_slots), (right, right_slots) = draw_impression(*drawn), draw_impression(*drawn)
        at_left, at_right = mated(left_slots, right_slots, 1024)
    with torch.autocast("cpu", torch.bfloat16):
        local = model.local(torch.cat([left, right]))
        whole = model.gather(local, torch.cat([left, right])[..., 3]).float()
    local = F.normalize(local.float(), dim=-1).reshape(2, fingers * MOST, WIDTH)
    by_minutia = contrast(local[0][at_left], local[1][at_right], model.local_scale)
    return contrast(whole[:fingers], whole[fingers:], model.scale), by_minutia


def refit(model: Embedding, fingers: int, seed: int) -> None:
    """Put linear discriminants in the place of the learnt projection.

    They are the axes along which fingers differ most for how much impressions of one finger differ, each scaled to
    unit variance (K. Fukunaga, "Introduction to Statistical Pattern Recognition", 1990, 10.2). Batches of fingers
    are similar in style, and what a batch has in common counts as a difference between impressions.
    """
    torch.manual_seed(seed)
    model.eval()
    firsts, seconds, middles = [], [], []
    for _ in range(fingers // 128):
        drawn = draw_fingers(128, uniform=True)
        pair = []
        for _ in range(2):
            minutiae, _ = draw_impression(*drawn)
            with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
                pair.append(model.sums(model.local(minutiae), minutiae[..., 3]).float())
        middle = (pair[0].mean(0) + pair[1].mean(0)) / 2
        firsts.append(pair[0] - middle)
        seconds.append(pair[1] - middle)
        middles.append(middle)
    first, second, style = torch.cat(firsts), torch.cat(seconds), torch.stack(middles)
    within = (first - second).T @ (first - second) / (2 * len(first)) + torch.cov(style.T)
    between = (first.T @ second + second.T @ first) / (2 * len(first))
    within = within + RIDGE * torch.trace(within) / len(within) * torch.eye(len(within))
    inverse = torch.linalg.inv(torch.linalg.cholesky(within))
    power, axes = torch.linalg.eigh(inverse @ between @ inverse.T)
    power, axes = power[-DIMENSION:].clamp(min=0), axes[:, -DIMENSION:]
    weight = (inverse.T @ axes / torch.sqrt(1 + power)).T
    model.project = nn.Linear(WORDS * VALUES, DIMENSION)
    model.project.load_state_dict({"weight": weight, "bias": -weight @ style.mean(0)})


def export(model: Embedding, path: Path) -> None:
    """Write the network as ONNX: `minutiae` [batch, count, 4] -> `embedding` [batch, DIMENSION], count >= 17."""
    batch, count = torch.export.Dim("batch"), torch.export.Dim("count", min=NEIGHBOURS + 1, max=4096)
    example = draw_impression(*draw_fingers(3, uniform=False))[0]
    torch.onnx.export(
        model.eval(),
        (example,),
        str(path),
        input_names=["minutiae"],
        output_names=["embedding"],
        dynamic_shapes=({0: batch, 1: count},),
        dynamo=True,
        external_data=False,
        opset_version=18,
    )


def train(steps: int, varied: int, fingers: int, seed: int, out: Path) -> Embedding:
    """The trained network; goes on from `out`/checkpoint.pt where there is one."""
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    model = Embedding()
    rate = 2e-3
    adam = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=1e-3)
    begun = 0
    checkpoint = out / "checkpoint.pt"
    if checkpoint.exists():
        saved = torch.load(checkpoint)
        model.load_state_dict(saved["model"])
        adam.load_state_dict(saved["adam"])
        begun = saved["step"]
    started = time.monotonic()
    for step in range(begun, steps):
        torch.manual_seed(seed * 1_000_003 + step)
        warm = min(1.0, (step + 1) / 100)
        for group in adam.param_groups:
            group["lr"] = rate * warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / steps)))
        whole, local = losses(model, fingers, uniform=step >= varied)
        adam.zero_grad()
        (whole + 0.5 * local).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        adam.step()
        if step % 50 == 0:
            spent = time.monotonic() - started
            print(f"{step} {spent:.0f}s {whole.item():.3f} {local.item():.3f}", flush=True)
        if (step + 1) % 200 == 0 or step + 1 == steps:
            torch.save({"model": model.state_dict(), "adam": adam.state_dict(), "step": step + 1}, checkpoint)
    return model


def main() -> None:
    """Train and write."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--steps", type=int, default=1450)
    arguments.add_argument(
        "--varied", type=int, default=400, help="first steps, whose fingers are unlike in style"
    )
    arguments.add_argument("--fingers", type=int, default=128, help="fingers of one step")
    arguments.add_argument(
        "--refit", type=int, default=10_240, help="fingers that the projection is fitted to"
    )
    arguments.add_argument("--seed", type=int, default=5)
    arguments.add_argument("--out", type=Path, required=True)
    chosen = arguments.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    model = train(chosen.steps, chosen.varied, chosen.fingers, chosen.seed, chosen.out)
    refit(model, chosen.refit, chosen.seed + 1)
    export(model, chosen.out / "fingerprint_embedding.onnx")


if __name__ == "__main__":
    main()
