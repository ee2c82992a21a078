"""Aligned chips to embeddings, for any recogniser that a manifest describes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from likeness.domain.errors import InvalidInput, LikenessError, Precondition
from likeness.inference.concurrency.turns import Turns
from likeness.inference.models.catalogue import Catalogue
from likeness.inference.models.manifest import FaceManifest
from likeness.inference.models.runtime import OnnxModel

MAX_IMAGES_PER_RUN = 32
"""Images (every view of a chip counted) that go through the graph at once: beyond it a CPU gains nothing and the
activations of one run no longer fit its caches."""

IMAGES_PER_PART = 2
"""Fewest images that are worth a thread of their own."""

FloatArray = npt.NDArray[np.float32]
Chips = npt.NDArray[np.uint8]


def magnify(images: FloatArray, zoom: float) -> FloatArray:
    """Magnifies float32 [..., height, width] by `zoom` >= 1 about the centre, keeping its size; bilinear."""
    for axis in (-2, -1):
        size = images.shape[axis]
        centre = (size - 1) / 2
        position = (np.arange(size) - centre) / zoom + centre
        low = np.clip(np.floor(position).astype(np.intp), 0, size - 2)
        share = (position - low).astype(np.float32)
        if axis == -2:
            share = share[:, None]
        images = images.take(low, axis) * (1 - share) + images.take(low + 1, axis) * share
    return images


class Embedder:
    """One recogniser, ready to embed; safe to call from several threads at once.

    Args:
        manifest: what the graph expects and returns.
        model: the graph. Its shapes are compared with the manifest here, not at the first request.
        turns: lets a run use idle cores; the caller of `embed` holds a turn. None keeps to the calling thread.

    Raises:
        InvalidInput: the manifest describes no recogniser.
        Precondition: the manifest does not describe this graph; every difference is named.
    """

    def __init__(self, manifest: FaceManifest, model: OnnxModel, turns: Turns | None = None) -> None:
        self.manifest = manifest
        self._model = model
        self._turns = turns
        self._settings = manifest.recogniser
        self._output = self._settings.output or model.outputs[0].name
        self._mean = np.array(manifest.input.mean, np.float32)
        self._std = np.array(manifest.input.std, np.float32)
        self._views = len(self._settings.zooms) * (2 if self._settings.mirror else 1)
        if differences := self._differences():
            raise Precondition(
                f"{manifest.origin} does not describe {model.path.name}: {'; '.join(differences)}",
                reason="MODEL_UNFIT",
            )

    @classmethod
    def open(
        cls, catalogue: Catalogue, manifest: FaceManifest, threads: int = 1, turns: Turns | None = None
    ) -> Embedder:
        """Loads the model of a manifest. Raises what `Catalogue.open` and the constructor raise."""
        return cls(manifest, catalogue.open(manifest, threads=threads), turns)

    def alone(self) -> Embedder:
        """The same graph in the calling thread alone, whatever is idle."""
        return Embedder(self.manifest, self._model)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of a chip in pixels."""
        return self.manifest.input.width, self.manifest.input.height

    @property
    def dimension(self) -> int:
        """Elements of an embedding."""
        return self._settings.dimension

    @property
    def space(self) -> str:
        """The template space that the embeddings live in."""
        return self._settings.template_space

    def embed(self, chips: Chips) -> FloatArray:
        """Embeds aligned chips.

        Args:
            chips: uint8 [n, height, width, 3], RGB.

        Returns:
            float32 [n, dimension]; rows of Euclidean length 1 if the manifest says `normalise`.

        Raises:
            InvalidInput: the array has another shape or type.
            LikenessError: the graph failed or returned values that are no embedding.
        """
        width, height = self.size
        if chips.dtype != np.uint8 or chips.ndim != 4 or chips.shape[1:] != (height, width, 3):
            raise InvalidInput(
                f"Model {self.manifest.id} takes chips of type uint8 and shape [n, {height}, {width}, 3] and was "
                f"given {chips.dtype} {list(chips.shape)}",
                reason="MODEL_INPUT_MISMATCH",
            )
        if len(chips) == 0:
            return np.empty((0, self.dimension), np.float32)
        step = max(1, MAX_IMAGES_PER_RUN // self._views)
        pieces = [self._embed_piece(chips[start : start + step]) for start in range(0, len(chips), step)]
        return np.concatenate(pieces)

    def _embed_piece(self, chips: Chips) -> FloatArray:
        images = self._views_of(chips)
        raw = self._run(images)
        views = raw.reshape(self._views, len(chips), self.dimension).astype(np.float32, copy=False)
        return self._finish(views.mean(axis=0))

    def _run(self, images: FloatArray) -> FloatArray:
        """The graph's output for the images; in halves, thirds, ... in parallel where cores are idle."""
        if self._turns is None:
            return self._model.run(images, [self._output])[self._output]
        with self._turns.spare(len(images) // IMAGES_PER_PART - 1) as others:
            parts = np.array_split(images, others + 1)
            found = self._turns.map(lambda part: self._model.run(part, [self._output])[self._output], parts)
        return np.concatenate(found)

    def _views_of(self, chips: Chips) -> FloatArray:
        """The graph's input: every view of every chip, float32, view by view, in the graph's layout."""
        count, height, width, _ = chips.shape
        planes = np.empty((self._views, count, 3, height, width), np.float32)
        for channel in range(3):
            source = 2 - channel if self.manifest.input.colour == "BGR" else channel
            np.subtract(chips[..., source], self._mean[channel], out=planes[0, :, channel])
            planes[0, :, channel] /= self._std[channel]
        for view, zoom in enumerate(self._settings.zooms[1:], start=1):
            planes[view] = magnify(planes[0], zoom)
        if (first := self._settings.zooms[0]) != 1:
            planes[0] = magnify(planes[0], first)
        if self._settings.mirror:
            half = self._views // 2
            planes[half:] = planes[:half, ..., ::-1]
        images = planes.reshape(-1, 3, height, width)
        return images if self.manifest.input.layout == "NCHW" else images.transpose(0, 2, 3, 1)

    def _finish(self, embeddings: FloatArray) -> FloatArray:
        lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
        if not np.all(np.isfinite(lengths)) or np.any(lengths == 0):
            raise LikenessError(
                f"Model {self.manifest.id} returned an embedding that is zero or not finite; check its file with: "
                f"likeness models verify {self.manifest.id}",
                reason="EMBEDDING_INVALID",
            )
        return embeddings / lengths if self._settings.normalise else embeddings

    def _differences(self) -> list[str]:
        declared = self.manifest.input
        size = [declared.height, declared.width]
        wanted = [3, *size] if declared.layout == "NCHW" else [*size, 3]
        spec = self._model.input
        found: list[str] = []
        if len(spec.shape) != 4 or any(
            have not in (None, want) for have, want in zip(spec.shape[1:], wanted, strict=False)
        ):
            found.append(f"the graph takes {spec}, [input] means [n, {', '.join(map(str, wanted))}]")
        batch = self._model.batch or "dynamic"
        if batch != declared.batch:
            found.append(f"the graph's batch is {batch}, input.batch says {declared.batch}")
        outputs = {output.name: output for output in self._model.outputs}
        if self._output not in outputs:
            found.append(f"there is no output {self._output!r}, only {', '.join(outputs)}")
        else:
            found.extend(self._output_differences(outputs[self._output].shape))
        return found

    def _output_differences(self, shape: tuple[int | None, ...]) -> list[str]:
        elements = [size for size in shape[1:] if size is not None]
        if len(elements) < len(shape) - 1:  # free dimensions are checked at each call
            return []
        total = int(np.prod(elements))
        return [f"the output has {total} elements, embedding.dimension says {self.dimension}"] * (
            total != self.dimension
        )
