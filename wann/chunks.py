"""Chunks: the episodes of a batch, cut into pieces for workers by their expected cost."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64, UInt64

CALLS_A_CHUNK = 25.0  # a chunk takes at least as long as so many calls, so that calls cost 4 %
DRIVER_LOAD = 0.8  # chunks are so long that handing them out keeps the driver no busier than this
SHARES = 3.0  # a chunk is at most this share of what is left for each worker
LAST_CHUNKS = 1.0  # so many for each worker are not handed out ahead
MAX_SECONDS = 5.0  # of a chunk that can be divided: what is lost with a worker stays small
LEAST_SECONDS = 1e-9  # an episode is expected to take


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
        return self.num_networks * self._num_weights * self._num_seeds

    @property
    def _num_weights(self) -> int:
        return self.weights[1] - self.weights[0]

    @property
    def _num_seeds(self) -> int:
        return self.seeds[1] - self.seeds[0]

    def alone(self) -> list[Chunk]:
        """Return the same episodes as one chunk for each network."""
        return [Chunk((each, each + 1), self.weights, self.seeds) for each in range(*self.networks)]

    def front(self, num_episodes: int) -> Chunk:
        """Return its first episodes, at least one: about so many, not more where that is possible.

        They are whole networks, or some seeds of one under all weights, or weights of one seed.
        """
        num_weights, num_seeds = self._num_weights, self._num_seeds
        if num_episodes >= num_weights * num_seeds:
            last = self.networks[0] + num_episodes // (num_weights * num_seeds)
            return replace(self, networks=(self.networks[0], min(last, self.networks[1])))
        first = (self.networks[0], self.networks[0] + 1)
        if num_episodes >= num_weights:
            return Chunk(
                first, self.weights, (self.seeds[0], self.seeds[0] + num_episodes // num_weights)
            )
        weights = (self.weights[0], self.weights[0] + max(num_episodes, 1))
        return Chunk(first, weights, (self.seeds[0], self.seeds[0] + 1))

    def rest(self, num_episodes: int) -> list[Chunk]:
        """Return what comes after so many of its episodes, in their order."""
        in_order, weight = divmod(num_episodes, self._num_weights)
        network, seed = divmod(in_order, self._num_seeds)
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
    for one chunk. What an episode takes can hardly be foretold: a worker ends a chunk when its
    `budget` is spent, and what it has not played comes back by `cut_short`.
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
        self._num_workers = max(num_workers, 1)
        self._least = max(
            CALLS_A_CHUNK * call_seconds, self._num_workers * driver_seconds / DRIVER_LOAD
        )
        self._whole = Chunk((0, 1), (0, num_weights), (0, num_seeds))  # of one network
        self._next = 0  # place in the order of what has never been handed out
        self._pieces: deque[Chunk] = deque()  # what comes before that
        self._open = np.full(len(seconds), self._whole.num_episodes)  # episodes to hand out
        self.is_guess = bool(np.isnan(seconds).any())  # and then `learn` may be called
        self.order = np.argsort(-seconds, kind="stable")
        self._seconds = np.maximum(seconds[self.order], LEAST_SECONDS)  # an episode, in the order
        self._ends = self._whole.num_episodes * np.concatenate([[0.0], np.cumsum(self._seconds)])
        self._left = float(self._ends[-1])  # s to hand out

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

    @property
    def is_ending(self) -> bool:
        """Whether what is left is for workers that have nothing in hand."""
        return self._left < LAST_CHUNKS * self._num_workers * self.budget

    def learn(self, seconds: float) -> None:
        """Expect this of an episode of every network; for a batch of which nothing was known."""
        self._seconds[:] = max(seconds, LEAST_SECONDS)
        places = np.arange(len(self.order) + 1)
        self._ends = self._whole.num_episodes * self._seconds[0] * places
        self._left = float(self._open.sum() * self._seconds[0])

    def give_back(self, chunk: Chunk) -> None:
        """Put a chunk first again that was handed out, but not played."""
        self._pieces.appendleft(chunk)
        self._count(chunk, 1)

    def cut_short(self, chunk: Chunk, num_played: int, seconds: Float64[np.ndarray, "K"]) -> None:
        """Put first again what was not played of a chunk; seconds: that its networks took."""
        rest = chunk.rest(num_played)
        if rest:
            in_one = chunk.num_episodes // chunk.num_networks
            begun = (num_played - 1) // in_one  # the network that time ran out in
            an_episode = max(float(seconds[begun]) / (num_played - begun * in_one), LEAST_SECONDS)
            network = chunk.networks[0] + begun
            self._left += (an_episode - float(self._seconds[network])) * int(self._open[network])
            self._seconds[network] = an_episode
        for part in reversed(rest):
            self.give_back(part)

    def expected(self, chunk: Chunk) -> float:
        """Return how long a chunk is expected to take, s; NaN when that is not known."""
        each = float(self._seconds[slice(*chunk.networks)].sum())
        return each * (chunk.num_episodes // chunk.num_networks)

    def take(self) -> Chunk | None:
        """Return the next chunk; None when all are handed out."""
        if not self._pieces:
            if self._next >= len(self.order):
                return None
            self._pieces.append(self._uncut())
        piece, budget = self._pieces.popleft(), self.budget
        chunk = piece
        if not self.is_measured:
            chunk = piece.front(1)
        elif self.expected(piece) > budget * (1.0 + 1e-9):
            chunk = piece.front(int(budget / float(self._seconds[piece.networks[0]])))
        self._pieces.extendleft(reversed(piece.rest(chunk.num_episodes)))
        self._count(chunk, -1)
        return chunk

    def _count(self, chunk: Chunk, sign: int) -> None:
        """Take note that a chunk is to be handed out (1), or that it is handed out (-1)."""
        self._open[slice(*chunk.networks)] += sign * (chunk.num_episodes // chunk.num_networks)
        self._left += sign * self.expected(chunk)

    def _uncut(self) -> Chunk:
        """Return the next networks that were never handed out: a budget's worth, at least one."""
        first, last = self._next, self._next + 1
        if self.is_measured:
            limit = self._ends[first] + self.budget
            last = max(int(np.searchsorted(self._ends, limit, side="right")) - 1, last)
        self._next = last
        return replace(self._whole, networks=(first, last))
