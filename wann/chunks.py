"""Chunks: the episodes of a batch, cut into pieces for workers by their expected cost."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64, UInt64

CALLS_A_CHUNK = 25.0  # a chunk takes at least as long as so many calls, so that calls cost 4 %
SHARES = 4.0  # a chunk is at most this share of what is left for each worker
MAX_SECONDS = 5.0  # of a chunk that can be divided: what is lost with a worker stays small


@dataclass(frozen=True, eq=False)
class Chunk:
    """Some episodes of a batch: these networks, under some weights, with some seeds.

    genomes: [K] indices in the batch. weights, seeds: (first, last + 1) in the batch's lists.
    """

    genomes: Int64[np.ndarray, "K"]
    weights: tuple[int, int]
    seeds: tuple[int, int]

    @property
    def num_episodes(self) -> int:
        """How many episodes there are to play."""
        num_weights = self.weights[1] - self.weights[0]
        return len(self.genomes) * num_weights * (self.seeds[1] - self.seeds[0])

    def alone(self) -> list[Chunk]:
        """Return the same episodes as one chunk for each network."""
        return [
            Chunk(self.genomes[place : place + 1], self.weights, self.seeds)
            for place in range(len(self.genomes))
        ]


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
    for one chunk.
    """

    def __init__(
        self,
        seconds: Float64[np.ndarray, "G"],
        num_weights: int,
        num_seeds: int,
        num_workers: int,
        call_seconds: float,
    ) -> None:
        """Plan a batch.

        seconds: expected of an episode of each network, at least 0; all NaN where nothing is known,
            and then chunks are single episodes until `learn`.
        call_seconds: what a call costs besides its work.
        """
        self._num_weights, self._num_seeds = num_weights, num_seeds
        self._num_workers = max(num_workers, 1)
        self._call_seconds = call_seconds
        self._next = 0  # place in the order
        self._seed = self._weight = 0  # of the network there: where its episodes go on
        self._returned: deque[Chunk] = deque()
        self.is_guess = bool(np.isnan(seconds).any())  # and then `learn` may be called
        self._order = np.argsort(-seconds, kind="stable")
        self._plan(np.asarray(seconds, dtype=np.float64))

    def _plan(self, seconds: Float64[np.ndarray, "G"]) -> None:
        self._seconds = np.maximum(seconds, 1e-9)
        whole = self._seconds[self._order] * self._num_weights * self._num_seeds
        self._ends = np.concatenate([[0.0], np.cumsum(whole)])  # s up to each place in the order

    @property
    def is_measured(self) -> bool:
        """Whether it is known how long an episode takes."""
        return not np.isnan(self._ends[-1])

    def learn(self, seconds: float) -> None:
        """Expect this of an episode of every network; for a batch of which nothing was known."""
        self._plan(np.full(len(self._order), seconds))

    def give_back(self, chunk: Chunk) -> None:
        """Put a chunk first again that was handed out, but not played."""
        self._returned.appendleft(chunk)

    def expected(self, chunk: Chunk) -> float:
        """Return how long a chunk is expected to take, s; NaN when that is not known."""
        return float(self._seconds[chunk.genomes].mean()) * chunk.num_episodes

    def take(self) -> Chunk | None:
        """Return the next chunk; None when all are handed out."""
        if self._returned:
            return self._returned.popleft()
        if self._next >= len(self._order):
            return None
        genome = self._order[self._next]
        an_episode = self._seconds[genome]
        if not self.is_measured:
            return self._part(genome, 1)
        done = self._ends[self._next] + an_episode * self._episodes_begun
        share = (self._ends[-1] - done) / (SHARES * self._num_workers)
        budget = max(min(share, MAX_SECONDS), CALLS_A_CHUNK * self._call_seconds)
        if self._episodes_begun or an_episode * self._num_weights * self._num_seeds > budget:
            return self._part(genome, int(budget / an_episode))
        last = int(np.searchsorted(self._ends, done + budget, side="right")) - 1
        first, self._next = self._next, max(last, self._next + 1)
        genomes = self._order[first : self._next]
        return Chunk(genomes, (0, self._num_weights), (0, self._num_seeds))

    @property
    def _episodes_begun(self) -> int:
        """How many episodes of the next network are handed out already."""
        return self._seed * self._num_weights + self._weight

    def _part(self, genome: int, num_episodes: int) -> Chunk:
        """Return the next episodes of one network, about so many: whole seeds, or part of one."""
        seed, weight = self._seed, self._weight
        num_seeds = min(num_episodes // self._num_weights, self._num_seeds - seed)
        if weight or num_seeds < 1:
            last = min(weight + max(num_episodes, 1), self._num_weights)
            chunk = Chunk(np.array([genome]), (weight, last), (seed, seed + 1))
            self._weight = last % self._num_weights
            self._seed += last == self._num_weights
        else:
            chunk = Chunk(np.array([genome]), (0, self._num_weights), (seed, seed + num_seeds))
            self._seed += num_seeds
        if self._seed == self._num_seeds:
            self._seed, self._next = 0, self._next + 1
        return chunk
