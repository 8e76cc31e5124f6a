"""Where the nodes and links of a network stand in a layered picture.

The method of Sugiyama, Tagawa & Toda 1981: nodes in columns by depth, an order in each column that
cuts crossings, then heights that keep links straight. All links of one node share a trunk, which
passes between the nodes of the columns it crosses.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise

from wann.topology import Topology

MAX_WAYPOINTS = 20_000  # beyond it links are drawn straight through
NUM_ORDERINGS = 24
NUM_SWAPPINGS = 6
NUM_LEVELLINGS = 16
TRUNK_STIFFNESS = 4.0  # how much straighter a trunk is kept than a link's ends


@dataclass(frozen=True, eq=False)
class Layers:
    """A network cut into columns: its nodes, and the waypoints of links that skip columns.

    Items are the nodes 0..N-1, then the waypoints. column_of: [items]. columns: the items of each,
    from top to bottom; inputs that feed nothing are in none.
    trunks: for each source node, the steps (item, item) of all its links, each once, to the right.
    backward: links (source, target) that do not go to the right, which only outputs can start.
    """

    num_nodes: int
    column_of: list[int]
    columns: list[list[int]]
    trunks: dict[int, list[tuple[int, int]]]
    backward: list[tuple[int, int]] = field(default_factory=list)

    def neighbours(self) -> tuple[list[list[int]], list[list[int]]]:
        """Return each item's neighbours to the left and to the right."""
        left: list[list[int]] = [[] for _ in self.column_of]
        right: list[list[int]] = [[] for _ in self.column_of]
        for steps in self.trunks.values():
            for start, end in steps:
                right[start].append(end)
                left[end].append(start)
        return left, right


def layers_of(topology: Topology) -> Layers:
    """Return the network in columns by longest path: inputs in the first, outputs in the last."""
    column_of = node_columns(topology)
    links = list(zip(topology.sources.tolist(), topology.targets().tolist(), strict=True))
    forward = [(a, b) for a, b in links if column_of[a] < column_of[b]]
    backward = [(a, b) for a, b in links if column_of[a] >= column_of[b]]
    targets: dict[int, list[int]] = {}
    for source, target in sorted(forward, key=lambda link: column_of[link[1]]):
        targets.setdefault(source, []).append(target)
    spans = [column_of[ends[-1]] - column_of[source] - 1 for source, ends in targets.items()]
    routed = sum(spans) <= MAX_WAYPOINTS
    trunks: dict[int, list[tuple[int, int]]] = {}
    for source, ends in targets.items():
        trunks[source] = (
            _trunk(source, ends, column_of) if routed else [(source, each) for each in ends]
        )
    shown = set(range(1 + topology.num_inputs, topology.num_nodes)) | {a for a, _ in links}
    columns: list[list[int]] = [[] for _ in range(max(column_of) + 1)]
    for item, column in enumerate(column_of):
        if item >= topology.num_nodes or item in shown:
            columns[column].append(item)
    return Layers(topology.num_nodes, column_of, columns, trunks, backward)


def node_columns(topology: Topology) -> list[int]:
    """Return each node's column [N]: its depth, and the last one for outputs."""
    depths = node_depths(topology)
    outputs = set(topology.outputs.tolist())
    last = 1 + max(depth for node, depth in enumerate(depths) if node not in outputs)
    return [last if node in outputs else depth for node, depth in enumerate(depths)]


def node_depths(topology: Topology) -> list[int]:
    """Return each node's depth [N]: its longest path, in links; 1 for a node without sources."""
    depths = [0] * topology.num_nodes
    sources, offsets = topology.sources.tolist(), topology.offsets.tolist()
    for node in range(1 + topology.num_inputs, topology.num_nodes):
        below = (depths[each] for each in sources[offsets[node] : offsets[node + 1]])
        depths[node] = 1 + max(below, default=0)
    return depths


def _trunk(source: int, targets: Sequence[int], column_of: list[int]) -> list[tuple[int, int]]:
    """Return the steps to all targets, which come by column; waypoints are added to `column_of`."""
    steps: list[tuple[int, int]] = []
    tip, column = source, column_of[source]
    for target in targets:
        while column < column_of[target] - 1:
            column += 1
            column_of.append(column)
            steps.append((tip, len(column_of) - 1))
            tip = len(column_of) - 1
        steps.append((tip, target))
    return steps


def in_good_order(layers: Layers) -> list[list[int]]:
    """Return the columns, each in an order found by barycentre sweeps and swaps of neighbours."""
    left, right = layers.neighbours()
    columns = [list(each) for each in layers.columns]
    best, fewest = columns, _num_crossings(columns, right)
    for sweep in range(NUM_ORDERINGS):
        rightwards = sweep % 2 == 0
        _sort_columns(columns, left if rightwards else right, rightwards)
        crossings = _num_crossings(columns, right)
        if crossings < fewest:
            best, fewest = [list(each) for each in columns], crossings
    for _ in range(NUM_SWAPPINGS):
        if not _swap_neighbours(best, left, right):
            break
    return best


def _places(columns: list[list[int]]) -> dict[int, int]:
    return {item: place for column in columns for place, item in enumerate(column)}


def _sort_columns(columns: list[list[int]], neighbours: list[list[int]], rightwards: bool) -> None:
    """Sort each column by the mean place of its items' neighbours; those without stay near."""
    places = _places(columns)
    for column in columns if rightwards else reversed(columns):

        def barycentre(item: int) -> float:
            near = neighbours[item]
            return sum(places[each] for each in near) / len(near) if near else places[item]

        column.sort(key=barycentre)
        places.update((item, place) for place, item in enumerate(column))


def _num_crossings(columns: list[list[int]], right: list[list[int]]) -> int:
    places = _places(columns)
    crossings = 0
    for column in columns:
        ends: list[int] = []
        for item in column:
            reached = sorted(places[each] for each in right[item])
            crossings += sum(len(ends) - bisect_right(ends, each) for each in reached)
            for each in reached:
                insort(ends, each)
    return crossings


def _swap_neighbours(
    columns: list[list[int]], left: list[list[int]], right: list[list[int]]
) -> bool:
    """Swap neighbours in a column where it removes a crossing; return whether any were swapped."""
    places = _places(columns)
    swapped = False
    for column in columns:
        for place in range(len(column) - 1):
            upper, lower = column[place], column[place + 1]
            gain = sum(
                _crossings_of(side[upper], side[lower], places)
                - _crossings_of(side[lower], side[upper], places)
                for side in (left, right)
            )
            if gain > 0:
                column[place], column[place + 1] = lower, upper
                places[upper], places[lower] = place + 1, place
                swapped = True
    return swapped


def _crossings_of(upper: list[int], lower: list[int], places: dict[int, int]) -> int:
    """Return how often steps to `upper` cross those to `lower`, whose starts stand below."""
    ends = sorted(places[each] for each in upper)
    return sum(len(ends) - bisect_right(ends, places[each]) for each in lower)


def heights(
    layers: Layers, columns: list[list[int]], gap: Callable[[int, int], float]
) -> dict[int, float]:
    """Return the y of each item of the columns, from 0 down, with links as straight as can be.

    gap: least distance between an item and the next below it in a column.
    Column after column is moved to where its neighbours pull it, which lowers the sum of squared
    rises of all steps each time.
    """
    left, right = layers.neighbours()
    gaps = [[gap(*pair) for pair in pairwise(column)] for column in columns]
    y: dict[int, float] = {}
    for column, distances in zip(columns, gaps, strict=True):
        tops = list(accumulate(distances, initial=0.0))
        middle = tops[-1] / 2
        y.update((item, top - middle) for item, top in zip(column, tops, strict=False))
    for turn in range(NUM_LEVELLINGS):
        numbers = range(len(columns))
        for number in numbers if turn % 2 else reversed(numbers):
            pulls = [_pull(item, left[item] + right[item], layers, y) for item in columns[number]]
            y.update(zip(columns[number], _closest(pulls, gaps[number]), strict=True))
    top = min(y.values(), default=0.0)
    return {item: each - top for item, each in y.items()}


def _pull(
    item: int, neighbours: list[int], layers: Layers, y: dict[int, float]
) -> tuple[float, float]:
    """Return where the neighbours pull an item to, and how strongly."""
    if not neighbours:
        return y[item], 0.01
    is_waypoint = item >= layers.num_nodes
    pulls = [
        TRUNK_STIFFNESS if is_waypoint and each >= layers.num_nodes else 1.0 for each in neighbours
    ]
    strength = sum(pulls)
    places = zip(pulls, neighbours, strict=True)
    return sum(pull * y[each] for pull, each in places) / strength, strength


def _closest(pulls: list[tuple[float, float]], gaps: list[float]) -> list[float]:
    """Return the places that keep the gaps and are closest to those wanted (least squares).

    pulls: (place wanted, strength). Isotonic regression by pooling adjacent violators
    (Ayer et al. 1955), after the gaps are taken out.
    """
    shifts = list(accumulate(gaps, initial=0.0))
    pools: list[list[float]] = []  # place, strength, number of items
    for (place, strength), shift in zip(pulls, shifts, strict=False):
        pools.append([place - shift, strength, 1])
        while len(pools) > 1 and pools[-2][0] >= pools[-1][0]:
            place_2, strength_2, count_2 = pools.pop()
            place_1, strength_1, count_1 = pools.pop()
            total = strength_1 + strength_2
            mean = (place_1 * strength_1 + place_2 * strength_2) / total
            pools.append([mean, total, count_1 + count_2])
    level = [place for place, _, count in pools for _ in range(int(count))]
    return [place + shift for place, shift in zip(level, shifts, strict=False)]
