"""What a search found, as tables for people and as plain data for programs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.table import Table

from wann.cli.display import IMAGES, Units, duration, shortened
from wann.scores import mean_with_interval

if TYPE_CHECKING:
    from wann.archive import Entry
    from wann.run import Outcome
    from wann.topology import Topology

MAX_FRONT_ROWS = 6


def plain_table(*columns: str) -> Table:
    """Return an empty table without lines; the first column stands left, the others right."""
    table = Table(box=None, pad_edge=False)
    for index, column in enumerate(columns):
        table.add_column(column, justify="right" if index else "left", header_style="dim")
    return table


def num_hidden(topology: Topology) -> int:
    """Return the number of a topology's hidden nodes."""
    return topology.num_nodes - 1 - topology.num_inputs - topology.num_outputs


def counted(number: int, noun: str) -> str:
    """Return a number and its noun, as "1 connection" or "6 connections"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def size_of(topology: Topology) -> str:
    """Return how large a network is, in words."""
    connections = counted(topology.num_connections, "connection")
    return f"{connections}, {counted(num_hidden(topology), 'hidden node')}"


def print_scores(console: Console, scores: dict[str, Any]) -> None:
    """Print the summary of a network's episodes: a row a shared weight, then their mean.

    Of a network with weights of its own it is one row.

    scores: as `wann.scores.summarise` gives them; with the accuracy if they are of images.
    """
    if is_of_images(scores):
        _print_accuracy(console, scores)
        return
    table = plain_table("shared weight", "mean return", "deviation")
    rows = zip(
        scores["weights"], scores["mean_by_weight"], scores["deviation_by_weight"], strict=True
    )
    for weight, mean, deviation in rows:
        table.add_row(f"{weight:g}", f"{mean:.1f}", f"{deviation:.1f}")
    low, high = scores["interval"]
    if scores["weights"]:
        which, deviation, over = "all weights", "", " over all weights"
    else:
        table.columns[0].header = "weights"
        which, deviation, over = "its own", f"{scores.get('deviation', 0.0):.1f}", ""
    table.add_row(which, f"{scores['mean']:.1f}", deviation, style="bold")
    console.print(table)
    console.print(f"95 % interval of the mean{over}: {low:.1f} to {high:.1f}")


def is_of_images(scores: dict[str, Any]) -> bool:
    """Return whether a summary tells of images: what share of them is told rightly."""
    by_weight = scores.get("accuracy_by_weight")
    if not isinstance(by_weight, list) or len(by_weight) != len(scores["weights"]):
        return False
    return all(isinstance(each, float | int) for each in [*by_weight, scores.get("accuracy")])


def _print_accuracy(console: Console, scores: dict[str, Any]) -> None:
    table = plain_table("shared weight", "accuracy", "cross-entropy")
    rows = zip(
        scores["weights"], scores["accuracy_by_weight"], scores["mean_by_weight"], strict=True
    )
    for weight, accuracy, mean in rows:
        table.add_row(f"{weight:g}", f"{accuracy:.1%}", f"{-mean:.3f}")
    table.add_row(
        "all weights", f"{scores['accuracy']:.1%}", f"{-scores['mean']:.3f}", style="bold"
    )
    console.print(table)


def tuned_line(scores: dict[str, Any]) -> str:
    """Return what `wann tune` reached, in words; "" for scores that it did not write."""
    test, best = scores.get("test"), scores.get("best_shared")
    shared = best.get("test") if isinstance(best, dict) else None
    if not isinstance(test, dict) or not isinstance(best, dict) or not isinstance(shared, dict):
        return ""
    of_images = "accuracy" in test
    name, count = ("accuracy", "images") if of_images else ("mean", "episodes")
    numbers = [test.get(name), best.get("weight"), shared.get(name)]
    if not all(isinstance(each, float | int) for each in [*numbers, test.get(count)]):
        return ""
    own, weight, with_shared = numbers
    shown = "{:.1%}" if of_images else "{:.1f}"
    what = f"accuracy {shown} on" if of_images else f"mean return {shown} in"
    where = counted(test[count], f"test {count.removesuffix('s')}")
    return (
        f"tuned weights: {what.format(own)} {where} "
        f"(best shared weight {weight:g}: {shown.format(with_shared)})"
    )


def units_of(scores: dict[str, Any]) -> Units:
    """Return how the numbers of a champion with these scores are shown."""
    return IMAGES if is_of_images(scores) else Units()


def solved_line(scores: dict[str, Any], solved: float | None) -> str:
    """Return whether the task counts as solved, and with how many weights; "" when unknown."""
    if solved is None:
        return ""
    means = scores["mean_by_weight"]
    reached = sum(mean >= solved for mean in means)
    bar = f"a mean return of {solved:g}"
    if not means:
        return (
            f"solved: it reaches {bar}" if scores["mean"] >= solved else f"not solved: below {bar}"
        )
    if reached == len(means):
        return f"solved with every weight: each reaches {bar}"
    if reached:
        return f"solved with {reached} of {len(means)} weights, which reach {bar}"
    return f"not solved: no weight reaches {bar}"


def front_table(entries: Sequence[Entry], key: int, decimals: int = 1) -> Table:
    """Return a few networks of the archive, the smallest first.

    key: the champion's in the archive; a star marks it. decimals: of the means.
    """
    table = plain_table("connections", "hidden nodes", "held-out mean", "95 % interval")
    for entry in _some(entries, next((e for e in entries if e.key == key), None)):
        mean, low, high = mean_with_interval(entry.returns)
        star = " *" if entry.key == key else ""
        hidden = str(num_hidden(entry.topology))
        table.add_row(
            f"{entry.topology.num_connections}{star}",
            hidden,
            f"{mean:.{decimals}f}",
            f"{low:.{decimals}f} to {high:.{decimals}f}",
        )
    return table


def _some(entries: Sequence[Entry], champion: Entry | None) -> list[Entry]:
    """Return at most MAX_FRONT_ROWS of the entries, spread evenly, and the champion with them."""
    if len(entries) <= MAX_FRONT_ROWS:
        return list(entries)
    places = {round(each) for each in np.linspace(0, len(entries) - 1, MAX_FRONT_ROWS - 1)}
    return [each for place, each in enumerate(entries) if place in places or each is champion]


def print_outcome(
    console: Console, outcome: Outcome, solved: float | None, total: int, name: str
) -> None:
    """Print the champion, its scores, the front, where the files are and what to type next.

    solved: the mean return that counts as solved. total: generations that the run is to have.
    name: what to call the run by in commands.
    """
    champion = outcome.champion
    test = champion.scores["test"]
    episodes = counted(test["episodes"], "episode")
    console.print(f"\nchampion of {champion.task}: {size_of(champion.topology)}", style="bold")
    if label := champion.made_by.get("algorithm"):
        console.print(label, soft_wrap=True)
    if is_of_images(test):
        measured = f"measured on {counted(test['images'], 'test image')} under each weight"
    elif test["weights"]:
        measured = f"measured in Gymnasium on {episodes} for each weight"
    else:
        measured = f"measured in Gymnasium on {episodes}, with weights of its own"
    console.print(f"{measured}, which selection never saw\n", soft_wrap=True)
    print_scores(console, test)
    verdict = solved_line(test, solved)
    if verdict:
        console.print(verdict)
    entries = outcome.archive.entries
    console.print(f"\nfront: the best network of each size, {len(entries)} in all", style="bold")
    key = outcome.archive.champion().key
    console.print(front_table(entries, key, units_of(test).decimals))
    console.print(_footer(outcome, total, name), soft_wrap=True)


def _footer(outcome: Outcome, total: int, name: str) -> str:
    longer = f" --generations {2 * total}" if outcome.generations >= total else ""
    done = f"{counted(outcome.generations, 'generation')} searched in {duration(outcome.seconds)}"
    is_images = is_of_images(outcome.champion.scores["test"])
    steps = "images seen" if is_images else "environment steps"
    return (
        f"\n{done}, {shortened(outcome.num_steps)} {steps}"
        f"\nfiles  {outcome.folder}: champion.json, champion.svg, front.csv, ..."
        f"\nnext   wann show {name}"
        f"\n       wann-search --resume {name}{longer}"
    )


def outcome_data(outcome: Outcome, target: float | None) -> dict[str, Any]:
    """Return what `--json` prints of a run. "reached" is None when there was no target."""
    champion = outcome.champion
    topology = champion.topology
    return {
        "run": outcome.folder.name,
        "folder": str(outcome.folder),
        "task": champion.task,
        "generations": outcome.generations,
        "resumed_at": outcome.resumed_at,
        "reached": None if target is None else outcome.reached,
        "search_seconds": outcome.seconds,
        "num_steps": outcome.num_steps,
        "champion": {
            "connections": topology.num_connections,
            "hidden_nodes": num_hidden(topology),
            "weight": champion.shared_weight,
            "scores": champion.scores,
        },
        "front": [
            {
                "connections": entry.topology.num_connections,
                "hidden_nodes": num_hidden(entry.topology),
                "held_out_mean": entry.mean,
                "generation": entry.generation,
            }
            for entry in outcome.archive.entries
        ],
    }


def seeds_summary(outcomes: Iterable[Outcome]) -> dict[str, dict[str, float]]:
    """Return median and quartiles over runs of what their champions reached.

    mean: in test episodes, over all weights. worst_weight: the mean of the weight that does worst.
    Of images, accuracy and worst_weight_accuracy in their place.
    """
    rows = [_figures(outcome) for outcome in outcomes]
    summary: dict[str, dict[str, float]] = {}
    for name in rows[0]:
        low, middle, high = np.percentile([row[name] for row in rows], [25, 50, 75]).tolist()
        summary[name] = {"lower_quartile": low, "median": middle, "upper_quartile": high}
    return summary


def _figures(outcome: Outcome) -> dict[str, float]:
    test = outcome.champion.scores["test"]
    connections = outcome.champion.topology.num_connections
    if is_of_images(test):
        worst = min(test["accuracy_by_weight"])
        return {
            "accuracy": test["accuracy"],
            "worst_weight_accuracy": worst,
            "connections": connections,
        }
    worst = min(test["mean_by_weight"], default=test["mean"])
    return {"mean": test["mean"], "worst_weight": worst, "connections": connections}


def seeds_table(seeds: Sequence[int], outcomes: Sequence[Outcome]) -> Table:
    """Return a row a seed, then median and quartiles."""
    is_images = is_of_images(outcomes[0].champion.scores["test"])
    score = "test accuracy" if is_images else "test mean"
    table = plain_table("seed", score, "worst weight", "connections", "generations", "search time")

    def shown(value: float) -> str:
        return f"{value:.1%}" if is_images else f"{value:.1f}"

    for seed, outcome in zip(seeds, outcomes, strict=True):
        mean, worst, connections = _figures(outcome).values()
        table.add_row(
            str(seed), shown(mean), shown(worst), str(connections), str(outcome.generations),
            duration(outcome.seconds),
        )  # fmt: skip
    summary = seeds_summary(outcomes)
    for name in ("lower_quartile", "median", "upper_quartile"):
        mean, worst, connections = (each[name] for each in summary.values())
        style = "bold" if name == "median" else ""
        cells = (shown(mean), shown(worst), f"{connections:.1f}")
        table.add_row(name.replace("_", " "), *cells, style=style)
    return table


def finite(data: Any) -> Any:
    """Return plain data with None in place of each number that JSON has no word for."""
    if isinstance(data, dict):
        return {key: finite(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [finite(value) for value in data]
    return None if isinstance(data, float) and not math.isfinite(data) else data
