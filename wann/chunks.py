"""Chunks: the episodes of a batch, cut into pieces for workers by their expected cost."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, UInt64

CALLS_A_CHUNK = 25.0  # a chunk takes at least as long as so many calls, so that calls cost 4 %
DRIVER_LOAD = 0.5  # chunks are so long that handing them out keeps the driver no busier than this
SHARES = 4.0  # a chunk is at most this share of what is left for each worker
MAX_SECONDS = 5.0  # of a chunk that can be divided: what is lost with a worker stays small


@dataclass(frozen=True)
class Chunk:
    """Some episodes of a batch, in the schedule's order: networks, under some weights, with seeds.

    networks, weights, seeds: (first, last + 1) of each; networks by their place in the order. They
    are played network by network, and of each one seed by seed under all weights.
    """

    networks: tuple[int, int]
    weights: tuple[int, int]
    seeds: tuple[int, int]

    @property
    def place(self) -> tuple[slice, slice, slice]:
        """Where its episodes are among all of the batch, [G, W, R]."""
        return slice(*self.networks), slice(*self.weights), slice(*self.seeds)

    @property
    def num_networks(self) -> int:
        """How many networks there are."""
        return self.networks[1] - self.networks[0]

    @property
    def num_episodes(self) -> int:
        """How many episodes there are to play."""
        num_weights, num_seeds = self.weights[1] - self.weights[0], self.seeds[1] - self.seeds[0]
        return self.num_networks * num_weights * num_seeds

    def alone(self) -> list[Chunk]:
        """Return the same episodes as one chunk for each network."""
        return [Chunk((each, each + 1), self.weights, self.seeds) for each in range(*self.networks)]

    def rest(self, num_played: int) -> list[Chunk]:
        """Return what is left of it, in its order, when so many of its episodes are played."""
        num_weights, num_seeds = self.weights[1] - self.weights[0], self.seeds[1] - self.seeds[0]
        in_order, weight = divmod(num_played, num_weights)
        network, seed = divmod(in_order, num_seeds)
        network, seed = self.networks[0] + network, self.seeds[0] + seed
        begun = (network, network + 1)
        parts = []
        if weight:
            parts.append(
                Chunk(begun, (self.weights[0] + weight, self.weights[1]), (seed, seed + 1))
            )
            seed += 1
        if weight or seed > self.seeds[0]:
            parts.append(Chunk(begun, self.weights, (seed, self.seeds[1])))
            network += 1
        parts.append(Chunk((network, self.networks[1]), self.weights, self.seeds))
        return [each for each in parts if each.num_episodes > 0]


class Costs:
    """What an episode of a network takes, as far as it was measured; s.

    A network that was seen in the latest batch is expected to take as long again, another one as
    long as the mean of that batch.
    """

    def __init__(self) -> None:
        """Know nothing yet."""
        self._latest: dict[int, float] = {}
        self._mean = np.nan

    def expected(self, keys: UInt64[np.ndarray, "G"]) -> Float64[np.ndarray, "G"]:
        """Return seconds an episode for networks of these keys; NaN as long as none is known."""
        return np.array([self._latest.get(key, self._mean) for key in keys.tolist()])

    def learn(self, keys: UInt64[np.ndarray, "G"], seconds: Float64[np.ndarray, "G"]) -> None:
        """Take a batch's measurements. seconds: an episode, NaN where a network was not played."""
        known = np.isfinite(seconds)
        if known.any():
            self._latest = dict(zip(keys[known].tolist(), seconds[known].tolist(), strict=True))
            self._mean = float(seconds[known].mean())


class Schedule:
    """Hands out the episodes of a batch in chunks: the longest expected first, ever smaller ones.

    A chunk is a share of what is left (guided self-scheduling; Polychronopoulos & Kuck 1987), but
    no smaller than calls are worth. The episodes of one network are divided where they are too many
    for one chunk. What an episode takes can hardly be foretold: a chunk that is not done when its
    `budget` is spent is to be ended, and the rest of it given back.
    order: the networks, the longest expected first; chunks are of places in it.
    """

    def __init__(
        self,
        seconds: Float64[np.ndarray, "G"],
        num_weights: int,
        num_seeds: int,
        num_workers: int,
        call_seconds: float,
        driver_seconds: float = 0.0,
    ) -> None:
        """Plan a batch.

        seconds: expected of an episode of each network, at least 0; all NaN where nothing is known,
            and then chunks are single episodes until `learn`.
        call_seconds: what a worker waits for a call. driver_seconds: what the driver works for one.
        """
        self._num_weights, self._num_seeds = num_weights, num_seeds
        self._num_workers = max(num_workers, 1)
        self._least = max(
            CALLS_A_CHUNK * call_seconds, self._num_workers * driver_seconds / DRIVER_LOAD
        )
        self._next = 0  # place in the order
        self._seed = self._weight = 0  # of the network there: where its episodes go on
        self._returned: deque[Chunk] = deque()
        self._num_left = len(seconds) * num_weights * num_seeds  # episodes to hand out
        self.is_guess = bool(np.isnan(seconds).any())  # and then `learn` may be called
        self.order = np.argsort(-seconds, kind="stable")
        self._plan(np.asarray(seconds, dtype=np.float64)[self.order])
        self._left = float(self._ends[-1])  # s to hand out

    def _plan(self, seconds: Float64[np.ndarray, "G"]) -> None:
        whole = np.maximum(seconds, 1e-9) * self._num_weights * self._num_seeds
        self._ends = np.concatenate([[0.0], np.cumsum(whole)])  # s up to each place in the order

    @property
    def is_measured(self) -> bool:
        """Whether it is known how long an episode takes."""
        return not math.isnan(self._left)

    @property
    def budget(self) -> float:
        """Seconds that the next chunk may take; infinite when nothing is known."""
        if not self.is_measured:
            return math.inf
        return max(min(self._left / (SHARES * self._num_workers), MAX_SECONDS), self._least)

    def learn(self, seconds: float) -> None:
        """Expect this of an episode of every network; for a batch of which nothing was known."""
        self._plan(np.full(len(self.order), seconds))
        self._left = self._num_left * max(seconds, 1e-9)

    def give_back(self, chunk: Chunk) -> None:
        """Put a chunk first again that was handed out, but not played."""
        self._returned.appendleft(chunk)
        self._num_left += chunk.num_episodes
        self._left += self.expected(chunk)

    def expected(self, chunk: Chunk) -> float:
        """Return how long a chunk is expected to take, s; NaN when that is not known."""
        first, last = chunk.networks
        whole = float(self._ends[last] - self._ends[first])
        all_episodes = (last - first) * self._num_weights * self._num_seeds
        return whole * chunk.num_episodes / all_episodes

    def take(self) -> Chunk | None:
        """Return the next chunk; None when all are handed out."""
        if not self._returned and self._next >= len(self.order):
            return None
        chunk = self._returned.popleft() if self._returned else self._cut()
        self._num_left -= chunk.num_episodes
        self._left -= self.expected(chunk)
        return chunk

    def _cut(self) -> Chunk:
        """Return the next chunk of what has never been handed out."""
        if not self.is_measured:
            return self._part(1)
        begin, budget = self._ends[self._next], self.budget
        whole = self._ends[self._next + 1] - begin
        if self._seed or self._weight or whole > budget:
            return self._part(int(budget / whole * self._num_weights * self._num_seeds))
        last = int(np.searchsorted(self._ends, begin + budget, side="right")) - 1
        first, self._next = self._next, max(last, self._next + 1)
        return Chunk((first, self._next), (0, self._num_weights), (0, self._num_seeds))

    def _part(self, num_episodes: int) -> Chunk:
        """Return the next episodes of one network, about so many: whole seeds, or part of one."""
        network, seed, weight = (self._next, self._next + 1), self._seed, self._weight
        num_seeds = min(num_episodes // self._num_weights, self._num_seeds - seed)
        if weight or num_seeds < 1:
            last = min(weight + max(num_episodes, 1), self._num_weights)
            chunk = Chunk(network, (weight, last), (seed, seed + 1))
            self._weight = last % self._num_weights
            self._seed += last == self._num_weights
        else:
            chunk = Chunk(network, (0, self._num_weights), (seed, seed + num_seeds))
            self._seed += num_seeds
        if self._seed == self._num_seeds:
            self._seed, self._next = 0, self._next + 1
        return chunk
