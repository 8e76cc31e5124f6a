"""Image tasks: telling images apart, by the cross-entropy of a network's outputs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from wann.seeding import EPISODE_BITS, Purpose, episode_seeds
from wann.tasks.image_card import ImageCard
from wann.tasks.image_data import ImageData, ImageSet, load_images

PIECE_BITS = 14  # of a held-out seed: which piece, and above it of how many
USUAL_BATCH = 1000  # images; Gaier & Ha 2019


@dataclass(frozen=True, eq=False)
class ImageTask:
    """Images to be told apart, as a task; see `wann.tasks.task.Task` for the common fields.

    data: the images, in their splits. An input is a pixel, row by row; an output is a class, the
    largest one the network's answer (the first of equal ones).
    An "episode" is a batch of images, and its return minus the mean cross-entropy (nats) of the
    softmax of the outputs. In training it is drawn anew for each generation, common to all
    networks and weights; the held-out batches are pieces of their split that together are the
    whole. It can be pickled, its images with it.
    """

    id: str
    card: ImageCard
    data: ImageData
    notes: tuple[str, ...] = ()

    @property
    def num_inputs(self) -> int:
        """Number of inputs I: of pixels."""
        return self.data.height * self.data.width

    @property
    def num_outputs(self) -> int:
        """Number of outputs O: of classes."""
        return self.data.num_classes

    @property
    def input_names(self) -> tuple[str, ...]:
        """A name for each pixel: its row and column."""
        rows, columns = range(self.data.height), range(self.data.width)
        return tuple(f"pixel[{row},{column}]" for row in rows for column in columns)

    @property
    def output_names(self) -> tuple[str, ...]:
        """The names of the classes."""
        return self.data.classes

    @property
    def action_rule(self) -> str:
        """Outputs become probabilities by the softmax."""
        return "softmax"

    @property
    def offset(self) -> Float64[np.ndarray, "I"]:
        """Nothing is taken from a pixel."""
        return np.zeros(self.num_inputs)

    @property
    def scale(self) -> Float64[np.ndarray, "I"]:
        """A pixel is given as it is, from 0 to 1."""
        return np.ones(self.num_inputs)

    @property
    def observation_space(self) -> str:
        """What a network sees, in words."""
        return f"images of {self.data.height} x {self.data.width} pixels, from 0 to 1, row by row"

    @property
    def solved(self) -> float | None:
        """No mean cross-entropy counts as solved."""
        return None

    @property
    def batch_size(self) -> int:
        """How many images are in a training batch."""
        given = self.card.images.batch
        return min(USUAL_BATCH, len(self.data.train)) if given is None else given

    def split(self, purpose: Purpose) -> ImageSet:
        """Return the images for this purpose: TRAIN, VALIDATION or TEST."""
        splits = (self.data.train, self.data.validation, self.data.test)
        return splits[purpose]

    def seeds(
        self, run_seed: int, purpose: Purpose, generation: int, count: int
    ) -> Int64[np.ndarray, "R"]:
        """Return a seed for each batch; see `batch`.

        Held-out batches are the same for every run: `count` pieces of their split, of which none is
        larger than another by more than one image.
        Raises ValueError when there would be more pieces than images.
        """
        if purpose == Purpose.TRAIN:
            return episode_seeds(run_seed, purpose, generation, count)
        name, size = purpose.name.lower(), len(self.split(purpose))
        if count > size:
            raise ValueError(
                f"{name}_episodes must be at most the number of {name} images of task {self.id!r}, "
                f"{size:,}, but {count:,} was given"
            )
        pieces = np.arange(count, dtype=np.int64)
        return (int(purpose) << EPISODE_BITS) | (count << PIECE_BITS) | pieces

    def batch(self, seed: int) -> ImageSet:
        """Return a copy of the images that a seed stands for.

        A seed for training draws `batch_size` of them without replacement, in the order of the
        split; a held-out one names a piece of its split.
        Raises ValueError for a seed that `seeds` does not give.
        """
        purpose, low = seed >> EPISODE_BITS, seed & ((1 << EPISODE_BITS) - 1)
        if purpose == Purpose.TRAIN:
            rng = np.random.default_rng(seed)
            chosen = rng.choice(len(self.data.train), self.batch_size, replace=False)
            return self.data.train.take(np.sort(chosen))
        count, piece = low >> PIECE_BITS, low & ((1 << PIECE_BITS) - 1)
        if purpose not in (Purpose.VALIDATION, Purpose.TEST) or piece >= count:
            raise ValueError(f"seed {seed} names no batch of images; `ImageTask.seeds` gives those")
        images = self.split(Purpose(purpose))
        first, last = (len(images) * each // count for each in (piece, piece + 1))
        return images.take(slice(first, last))


def image_task(card: ImageCard, data_dir: str = "") -> ImageTask:
    """Return the task that a card of images describes.

    data_dir: where data sets are looked for first.
    Raises what `load_images` raises, and ValueError when the batch is larger than the data; both
    name the card.
    """
    try:
        data = load_images(card.images, data_dir)
        if card.images.batch is not None and card.images.batch > len(data.train):
            raise ValueError(
                f"images.batch must be at most the number of training images, "
                f"{len(data.train):,}, but {card.images.batch:,} was given"
            )
    except ValueError as error:
        raise ValueError(f"{card.where}: {error}") from None
    return ImageTask(card.task, card, data)
