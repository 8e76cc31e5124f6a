"""The archive: the non-dominated networks of a whole run, by their held-out scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float64, Int64

from wann.ranking import non_dominated
from wann.scores import Scores, standard_error
from wann.topology import Topologies, Topology


@dataclass(frozen=True, eq=False)
class Entry:
    """A network of the archive.

    returns: [W, R] in held-out episodes. generation: when it was found. key: `Topology.key`, or
        where there are weights one of both. weights: the network's own, one a link, where it was
        not scored under shared ones; W is 1 then.
    """

    topology: Topology
    returns: Float64[np.ndarray, "W R"]
    generation: int
    key: int
    weights: Float64[np.ndarray, "E"] | None = None

    @cached_property
    def mean(self) -> float:
        """Mean return over all weights and episodes."""
        return float(self.returns.mean())

    @property
    def best_weight_index(self) -> int:
        """Index of the shared weight with the highest mean return; the first of equals."""
        return int(self.returns.mean(axis=1).argmax())


@dataclass(frozen=True, eq=False)
class Archive:
    """Networks that no other beats in both held-out mean return and number of connections.

    entries: by rising number of connections. seen: keys of all networks that were ever sent to
    held-out episodes, so that none is sent twice. An archive never changes; `add` makes another.
    """

    entries: tuple[Entry, ...] = ()
    seen: frozenset[int] = frozenset()

    def candidates(
        self, topologies: Topologies, scores: Scores, limit: int, comparable: bool = True
    ) -> Int64[np.ndarray, "K"]:
        """Return indices of at most `limit` networks worth scoring on held-out episodes.

        scores: of training episodes. Worth it is what no other of the batch dominates, was never
        scored, and seems better than every entry that is as small; the largest gain first, of equal
        ones (no entry is as small) the highest mean.
        comparable: whether the entries' scores are under the same weights. Where they are not, what
        seems worse may be better, so the network of highest mean that no other of the batch
        dominates and that was never scored comes first, whatever it gains.
        """
        sizes = topologies.num_connections
        means = scores.mean
        points = np.column_stack([means, -sizes.astype(np.float64)])
        front = np.flatnonzero(non_dominated(points) & (means > -np.inf))
        gains = [means[index] - self._best_mean(int(sizes[index])) for index in front]
        fresh = sorted(
            (-gain, -means[index], int(index))
            for gain, index in zip(gains, front, strict=True)
            if int(topologies.keys[index]) not in self.seen
        )
        chosen = [index for loss, _, index in fresh if loss < 0]
        if not comparable and fresh:
            best = min((below, index) for _, below, index in fresh)[1]  # highest mean
            chosen = [best, *(index for index in chosen if index != best)]
        return np.array(chosen[:limit], dtype=np.int64)

    def _best_mean(self, size: int) -> float:
        return max(
            (each.mean for each in self.entries if each.topology.num_connections <= size),
            default=-np.inf,
        )

    def add(
        self,
        topologies: Topologies,
        scores: Scores,
        generation: int = 0,
        weights: Sequence[Float64[np.ndarray, "_"]] | None = None,
    ) -> Archive:
        """Return an archive that also holds these networks, less what is then dominated.

        scores: of held-out episodes, as many as those of the networks already here. A network with
            a fault stays out, and counts as seen. weights: each network's own, if it has such.
        Raises ValueError when there are more or fewer weights or episodes than before.
        """
        shape = scores.returns.shape[1:]
        if self.entries and self.entries[0].returns.shape != shape:
            raise ValueError(
                f"scores must be [networks, {', '.join(map(str, self.entries[0].returns.shape))}], "
                f"as before, but they are {list(scores.returns.shape)}"
            )
        keys = topologies.keys.tolist()
        faulty = {each.index for each in scores.faults}
        found = [
            Entry(
                topology,
                scores.returns[index],
                generation,
                keys[index],
                None if weights is None else weights[index],
            )
            for index, topology in enumerate(topologies)
            if keys[index] not in self.seen and index not in faulty
        ]
        return Archive(_front([*self.entries, *found]), self.seen | set(keys))

    @property
    def best_mean(self) -> float:
        """Highest held-out mean return; minus infinity when the archive is empty."""
        return max((each.mean for each in self.entries), default=-np.inf)

    def champion(self) -> Entry:
        """Return the smallest network that is not worse than the best beyond one standard error.

        Best is the highest held-out mean; the standard error is that of the difference in the same
        episodes. The one-standard-error rule of Breiman et al. 1984, section 3.4.3, on paired
        observations: what chance may explain does not pay for more connections.
        Raises ValueError when the archive is empty.
        """
        if not self.entries:
            raise ValueError("the archive is empty: no network was scored on held-out episodes yet")
        best = max(self.entries, key=lambda each: each.mean)
        return next(each for each in self.entries if _is_as_good(each, best))


def _is_as_good(entry: Entry, best: Entry) -> bool:
    """Return whether an entry's mean is within one standard error of the best one's."""
    if not np.isfinite(entry.returns).all():
        return entry.mean >= best.mean
    shortfall = best.returns - entry.returns
    return float(shortfall.mean()) <= standard_error(shortfall)


def _front(entries: list[Entry]) -> tuple[Entry, ...]:
    """Return what none dominates, by connections; of equals in both, the one found first."""
    points = [(each.mean, -float(each.topology.num_connections)) for each in entries]
    kept = non_dominated(np.array(points).reshape(-1, 2))
    front: dict[tuple[int, float], Entry] = {}
    order = sorted(range(len(entries)), key=lambda index: entries[index].topology.num_connections)
    for index in order:
        if kept[index]:
            entry = entries[index]
            front.setdefault((entry.topology.num_connections, entry.mean), entry)
    return tuple(front.values())
