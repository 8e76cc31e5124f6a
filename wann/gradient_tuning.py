"""Tuning by gradient: a weight for each link of a network that tells images apart.

Images of three splits never mix: gradients are of training images, which epoch's weights are kept
is chosen on validation images, and test images are looked at once, when all else is done.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from jaxtyping import Float32, Float64

from wann.image_settings import outputs_by_weight, sweep_images
from wann.network import Network
from wann.rollout.image_scores import LARGEST_OUTPUT, minus_cross_entropy
from wann.seeding import Purpose, generator
from wann.settings import SWEEP_POINTS, check_fits, check_has_links, sweep_weights
from wann.tasks import ImageSet, ImageTask
from wann.topology import Topology
from wann.tuning_config import GradientConfig
from wann.tuning_state import SAVE_INTERVAL, read_state, state_digest, state_path, write_state
from wann.version import __version__

if TYPE_CHECKING:
    import torch

METHOD = "adam"
USUAL_BATCH = 250  # images


@dataclass(frozen=True, eq=False)
class GradientState:
    """A tuning after so many epochs.

    weights: as they are now. first_moment, second_moment, num_steps: what Adam remembers.
    best, best_score, best_epoch: the weights with the lowest cross-entropy on the validation images
        so far, minus that, and after how many epochs they were found. shared_weight: the best one
        that all links share.
    """

    epoch: int
    weights: Float32[np.ndarray, "E"]
    first_moment: Float32[np.ndarray, "E"]
    second_moment: Float32[np.ndarray, "E"]
    num_steps: int
    best: Float32[np.ndarray, "E"]
    best_score: float
    best_epoch: int
    shared_weight: float


@dataclass(frozen=True)
class GradientReport:
    """An epoch of a tuning.

    loss: mean cross-entropy (nats) of its batches, each before the step it led to. validation,
        accuracy: mean cross-entropy and share told rightly of the validation images after it.
    best_epoch: after which epoch the validation cross-entropy was lowest so far.
    """

    epoch: int
    epochs: int
    loss: float
    validation: float
    accuracy: float
    best_epoch: int


Watch: TypeAlias = Callable[[GradientReport], None]


class GradientTuning:
    """Adam over one network's weights; it goes on where it was, and ends with the same bytes.

    A batch's loss is the mean cross-entropy of the softmax of the outputs (nats), its gradient that
    of the activations' PyTorch forms. The step activation has none: a weight whose every path to
    the outputs leads through step nodes stays as it was. A batch whose gradient is not finite
    changes nothing.
    """

    def __init__(
        self,
        task: ImageTask,
        network: Network,
        config: GradientConfig,
        state_folder: Path | str | None = None,
        prefix: str = "",
    ) -> None:
        """Prepare; nothing is written yet.

        state_folder: where the state is kept, in a file whose name begins with `prefix` and tells
            these settings from others; None to keep it nowhere.
        Raises ValueError when the network does not fit the task, has no links or has activations
        that PyTorch has no form of, and when a batch is larger than the training images are many.
        """
        check_fits(network.topology, task)
        check_has_links(network.topology)
        num_images = len(task.data.train)
        if config.batch > num_images:
            raise ValueError(
                f"batch must be at most the number of training images, {num_images:,}, but "
                f"{config.batch:,} was given"
            )
        self.batch = config.batch or min(USUAL_BATCH, num_images)
        self.task = task
        self.network = network
        self.config = config
        self._module = _module(network)
        settings = {"method": METHOD, "images": _fingerprint(task), **asdict(config)}
        self.digest = state_digest(network, task.card.table(), settings)
        self.path = state_path(state_folder, prefix, self.digest)
        self.state: GradientState | None = None
        self._saved_at = -math.inf

    def run(self, time_limit: float | None = None, watch: Iterable[Watch] = ()) -> Network:
        """Return the network with tuned weights, and what it makes of the images in its scores.

        time_limit: seconds after which no further epoch starts. watch: told of each one.
        It computes on one thread, so that nothing depends on how busy the machine is.
        Any exception, Ctrl+C included, saves the state of the last whole epoch before it goes on
        its way. Raises OSError, and ValueError for a damaged state.
        """
        deadline = math.inf if time_limit is None else time.monotonic() + time_limit
        if self.path is not None and self.path.exists():
            self.state = read_state(self.path, self.digest, self._state_of)
        with one_thread():
            state = self.state or self._first()
            self.state = state
            try:
                epochs = Epochs(self.task, self._module, self.config, self.batch, state)
                while not self._is_finished(state) and time.monotonic() < deadline:
                    state, report = self._next(state, epochs)
                    self.state = state
                    for each in watch:
                        each(report)
                    if time.monotonic() - self._saved_at > SAVE_INTERVAL:
                        self.save()
            finally:
                self.save()
        return self._finished(state)

    @property
    def is_begun(self) -> bool:
        """Whether there is a state to go on from."""
        return self.state is not None or (self.path is not None and self.path.exists())

    def save(self) -> None:
        """Write the state, if there is one and a place for it."""
        if self.path is not None and self.state is not None:
            values = asdict(self.state)
            arrays = {name: each for name, each in values.items() if isinstance(each, np.ndarray)}
            texts = {name: repr(each) for name, each in values.items() if name not in arrays}
            write_state(self.path, self.digest, arrays, texts)
        self._saved_at = time.monotonic()

    def _state_of(self, arrays: dict[str, np.ndarray], texts: dict[str, str]) -> GradientState:
        """Return the state in a file. Raises KeyError and ValueError when it holds none."""
        shape = (self.network.topology.num_connections,)
        names = ("weights", "first_moment", "second_moment", "best")
        for name in names:
            if arrays[name].shape != shape or arrays[name].dtype != np.float32:
                raise ValueError(f"{name} must be float32 {shape}")
        values: dict[str, Any] = {name: arrays[name] for name in names}
        values |= {name: int(texts[name]) for name in ("epoch", "num_steps", "best_epoch")}
        values |= {name: float(texts[name]) for name in ("best_score", "shared_weight")}
        return GradientState(**values)

    def _first(self) -> GradientState:
        """Return the state before the first epoch, at the best weights known so far."""
        topology = self.network.topology
        own = self.network.shared_weight
        tried = sweep_weights(SWEEP_POINTS, also=() if own is None else (own,))
        shared = sweep_images(self.task, topology, tried).best_weight
        starts = [np.full(topology.num_connections, shared)]
        if own is None:
            starts.append(np.asarray(self.network.weights, dtype=np.float64))
        vectors = [each.astype(np.float32) for each in starts]
        scores = [self._graded(each, self.task.data.validation)[0] for each in vectors]
        best = int(np.argmax(scores))
        start, nothing = vectors[best], np.zeros(topology.num_connections, np.float32)
        return GradientState(0, start, nothing, nothing, 0, start, scores[best], 0, shared)

    def _is_finished(self, state: GradientState) -> bool:
        """Return whether all epochs are done, or too many of them found nothing better."""
        patience = self.config.patience
        is_tired = patience > 0 and state.epoch - state.best_epoch >= patience
        return state.epoch >= self.config.epochs or is_tired

    def _next(self, state: GradientState, epochs: Epochs) -> tuple[GradientState, GradientReport]:
        """Return the state after one more epoch, and how it went."""
        loss = epochs.run(state.epoch + 1)
        after = dataclasses.replace(state, epoch=state.epoch + 1, **epochs.values())
        score, accuracy = self._graded(after.weights, self.task.data.validation)
        if score > state.best_score:
            after = dataclasses.replace(
                after, best=after.weights, best_score=score, best_epoch=after.epoch
            )
        report = GradientReport(
            after.epoch, self.config.epochs, loss, -score, accuracy, after.best_epoch
        )
        return after, report

    def _graded(
        self, weights: Float32[np.ndarray, "E"] | float, images: ImageSet
    ) -> tuple[float, float]:
        """Return minus the mean cross-entropy and the accuracy, as `wann.image_settings` has it."""
        return graded(self.network.topology, weights, images)

    def _finished(self, state: GradientState) -> Network:
        """Return the tuned network with its scores; the test images are first looked at here."""
        data = self.task.data
        scores: dict[str, dict[str, Any]] = {"tuned": {}, "shared": {}}
        for name, weights in (("tuned", state.best), ("shared", state.shared_weight)):
            for split in ("train", "validation", "test"):
                images: ImageSet = getattr(data, split)
                mean, accuracy = self._graded(weights, images)
                about = {"images": len(images), "mean": mean, "accuracy": accuracy}
                scores[name][split] = about
        return dataclasses.replace(
            self.network,
            weights=state.best.astype(np.float64),
            task=self.task.id,
            scores={
                "mean": scores["tuned"]["test"]["mean"],
                **scores["tuned"],
                "best_shared": {"weight": state.shared_weight, **scores["shared"]},
            },
            made_by={
                "version": __version__,
                "tuning": {"method": METHOD}
                | asdict(self.config)
                | {"batch": self.batch, "epochs": state.epoch, "kept_epoch": state.best_epoch},
                "from": self.network.made_by,
            },
        )


class Epochs:
    """Adam at work on a module's weights, an epoch at a time."""

    def __init__(
        self,
        task: ImageTask,
        module: torch.nn.Module,
        config: GradientConfig,
        batch: int,
        state: GradientState,
    ) -> None:
        """Put the module and Adam where the state says they are."""
        import torch

        train = task.data.train
        self.module = module
        self.weight = module.get_parameter("weight")
        self.config = config
        self.batch = batch
        self.images = torch.tensor(train.images)
        self.labels = torch.tensor(train.labels)
        self.num_batches = math.ceil(len(train) / batch)
        self.adam = torch.optim.Adam([self.weight], lr=config.learning_rate, foreach=False)
        with torch.no_grad():
            self.weight.copy_(torch.tensor(state.weights))
        self.adam.state[self.weight] = {
            "step": torch.tensor(float(state.num_steps)),
            "exp_avg": torch.tensor(state.first_moment),
            "exp_avg_sq": torch.tensor(state.second_moment),
        }

    def values(self) -> dict[str, Any]:
        """Return the weights and what Adam remembers as fields of a `GradientState`."""
        remembered = self.adam.state[self.weight]
        return {
            "weights": self.weight.detach().numpy().copy(),
            "first_moment": remembered["exp_avg"].numpy().copy(),
            "second_moment": remembered["exp_avg_sq"].numpy().copy(),
            "num_steps": int(remembered["step"]),
        }

    def run(self, number: int) -> float:
        """Make one epoch's steps and return the mean loss of its images.

        number: from 1; the seed and it decide the order of the images.
        """
        import torch

        config, num_images = self.config, len(self.labels)
        order = generator(config.seed, Purpose.TRAIN, number).permutation(num_images)
        total = 0.0
        for index, chosen in enumerate(torch.from_numpy(order).split(self.batch)):
            done = ((number - 1) * self.num_batches + index) / (config.epochs * self.num_batches)
            rate = 0.5 * config.learning_rate * (1.0 + math.cos(math.pi * done))
            self.adam.param_groups[0]["lr"] = rate  # Loshchilov & Hutter 2017, equation 5
            loss, gradient = loss_and_gradient(
                self.module, self.images[chosen], self.labels[chosen]
            )
            total += loss * len(chosen)
            if bool(gradient.isfinite().all()):
                self.weight.grad = gradient
                self.adam.step()
        return total / num_images


def loss_and_gradient(
    module: torch.nn.Module, images: torch.Tensor, labels: torch.Tensor
) -> tuple[float, torch.Tensor]:
    """Return the mean cross-entropy (nats) of images [B, I], and its gradient [E].

    Outputs count as in `wann.rollout.image_scores.bounded`.
    """
    import torch

    outputs = torch.nan_to_num(module(images), 0.0, LARGEST_OUTPUT, -LARGEST_OUTPUT)
    loss = torch.nn.functional.cross_entropy(outputs, labels)
    (gradient,) = torch.autograd.grad(loss, [module.get_parameter("weight")])
    return loss.item(), gradient


def graded(
    topology: Topology, weights: Float32[np.ndarray, "E"] | float, images: ImageSet
) -> tuple[float, float]:
    """Return minus the mean cross-entropy (nats) of the images, and the share told rightly."""
    each: Float64[np.ndarray, "1 *E"] = np.asarray(weights, dtype=np.float64)[np.newaxis]
    (outputs,) = outputs_by_weight(topology, each, images)
    score = float(minus_cross_entropy(outputs, images.labels).mean())
    return score, float((outputs.argmax(axis=1) == images.labels).mean())


@contextmanager
def one_thread() -> Iterator[None]:
    """Let PyTorch compute on one thread in here: sums then always come in the same order."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _module(network: Network) -> torch.nn.Module:
    """Return the network as a trainable module with a weight for each link."""
    from wann.export.pytorch import to_torch

    return to_torch(network, each=True)


def _fingerprint(task: ImageTask) -> str:
    """Return what differs when the images that tuning depends on do: those that are no test."""
    digest = hashlib.sha256()
    for images in (task.data.train, task.data.validation):
        digest.update(np.ascontiguousarray(images.images).data)
        digest.update(np.ascontiguousarray(images.labels).data)
    return digest.hexdigest()
