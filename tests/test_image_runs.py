"""Runs on images: the same bytes whatever evaluates them, and accuracy in what they leave."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from wann.backend import uses_ray
from wann.config import Backend, search_config
from wann.coordinator import Coordinator
from wann.distributed import RayEvaluator
from wann.evaluation import LocalEvaluator
from wann.forward import forward
from wann.network import load_network
from wann.ray_session import ClusterFault, ray_session, run_tasks
from wann.records import load_run
from wann.rollout.image_scores import minus_cross_entropy, score_batches
from wann.run import Run
from wann.run_files import RunSpec
from wann.scores import Scores
from wann.seeding import Purpose
from wann.tasks import ImageTask, load_task
from wann.worker import Worker

FINAL_FILES = ("front.csv", "front.jsonl", "champion.json")
DIGITS = load_task("digits")
assert isinstance(DIGITS, ImageTask)
LENGTH = {"task": "digits", "population": 24, "generations": 4, "seed": 7}
SPEC = RunSpec(search_config([("card", DIGITS.card.search), ("test", LENGTH)]), DIGITS.card)


def executed(root: Path, backend: Backend | None = None, **limits: Any) -> dict[str, bytes]:
    """Return the final files of a run below `root`."""
    run = Run(SPEC, root, backend or Backend("local", 1))
    run.execute(**limits)
    return {name: run.paths.file(name).read_bytes() for name in FINAL_FILES}


def champion_of(root: Path) -> Any:
    return json.loads(next(root.glob("results/runs/*/champion.json")).read_text())


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the root of a finished run."""
    root = tmp_path_factory.mktemp("finished")
    executed(root)
    return root


def test_the_champions_accuracy_is_what_its_network_reaches_on_all_test_images(
    finished: Path,
) -> None:
    path = next(finished.glob("results/runs/*/champion.json"))
    network = load_network(path)
    for name, images in (("test", DIGITS.data.test), ("validation", DIGITS.data.validation)):
        scores = network.scores[name]
        assert scores["images"] == len(images) == 359
        for weight, accuracy, mean in zip(
            scores["weights"], scores["accuracy_by_weight"], scores["mean_by_weight"], strict=True
        ):
            outputs = forward(network.topology, weight, images.images.astype(np.float64))
            assert accuracy == np.mean(outputs.argmax(axis=1) == images.labels)
            wanted = minus_cross_entropy(outputs, images.labels).mean()
            assert mean == pytest.approx(wanted, abs=2e-3)  # the mean of four unequal batches
        assert scores["accuracy"] == pytest.approx(np.mean(scores["accuracy_by_weight"]))
    assert network.action == "softmax"
    assert network.scores["mean"] == network.scores["test"]["mean"]
    assert network.observation_space == "images of 8 x 8 pixels, from 0 to 1, row by row"


def test_the_run_tells_how_many_images_there_were(finished: Path) -> None:
    path = next(finished.glob("results/runs/*/meta.json"))
    assert json.loads(path.read_text())["environment"] == {
        "source": "digits",
        "images": {"train": 1079, "validation": 359, "test": 359},
    }
    run = load_run(path.parent)
    assert run.metrics["num_steps"].iloc[0] >= 6 * 1000  # images, not generations
    assert run.champion is not None


def test_a_run_on_images_that_was_stopped_goes_on_to_the_same_bytes(
    finished: Path, tmp_path: Path
) -> None:
    executed(tmp_path, time_limit=0.0)
    again = executed(tmp_path)
    for name, content in again.items():
        assert content == next(finished.glob(f"results/runs/*/{name}")).read_bytes()


def test_a_network_of_a_run_starts_another(finished: Path, tmp_path: Path) -> None:
    champion = load_network(next(finished.glob("results/runs/*/champion.json")))
    outcome = Run(
        RunSpec(SPEC.config, SPEC.card, champion), tmp_path, Backend("local", 1)
    ).execute()
    held_out = champion.scores["validation"]["mean"]
    assert outcome.archive.best_mean >= held_out


def test_images_are_evaluated_here_unless_a_cluster_is_named() -> None:
    assert not uses_ray(Backend(), DIGITS)
    assert uses_ray(Backend("ray"), DIGITS)


def test_scores_of_ones_own_for_images_come_by_ask_and_tell() -> None:
    search = Coordinator(SPEC.config, DIGITS.num_inputs, DIGITS.num_outputs)
    batch = DIGITS.batch(int(search.seeds[0]))
    assert len(batch) == 1000
    returns, _ = score_batches(DIGITS, search.ask(), search.weights, search.seeds)
    report = search.tell(Scores(returns))
    assert report.best == returns.mean(axis=(1, 2)).max()
    assert search.archive.best_mean == report.best


def test_a_search_with_an_evaluator_of_images_holds_out_their_splits() -> None:
    with LocalEvaluator(DIGITS, 1) as evaluator:
        search = Coordinator(SPEC.config, DIGITS.num_inputs, DIGITS.num_outputs, evaluator)
        _, seeds = search.held_out(Purpose.TEST)
        np.testing.assert_array_equal(seeds, DIGITS.seeds(7, Purpose.TEST, 0, 4))


def test_a_worker_scores_images_as_this_process_does() -> None:
    from wann.reproduction import first_generation
    from wann.seeding import generator
    from wann.topology import compile_all
    from wann.version import __version__

    rng = generator(3, Purpose.REPRODUCTION, 0)
    networks = compile_all(first_generation(64, 10, SPEC.config, rng).genomes)
    seeds = DIGITS.seeds(3, Purpose.TRAIN, 0, 2)
    worker = Worker()
    worker.prepare(DIGITS, [], __version__)
    result = worker.evaluate(networks, np.array([0.5, -1.0]), seeds)
    with LocalEvaluator(DIGITS, 1) as evaluator:
        wanted = evaluator.evaluate(networks, np.array([0.5, -1.0]), seeds)
    np.testing.assert_array_equal(result.returns, wanted.returns)
    assert result.num_played == wanted.returns.size
    assert result.num_steps == wanted.num_steps


def _size_of(task: ImageTask, purpose: Purpose) -> tuple[int, bool]:
    split = task.split(purpose)
    return len(split), split.images.flags.owndata


@pytest.mark.ray
def test_two_actors_give_the_local_bytes_and_the_images_are_sent_once(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray

    sent: list[int] = []
    used: list[RayEvaluator] = []
    real_put, real_init = ray.put, RayEvaluator.__init__

    def put(value: Any) -> Any:
        sent.append(id(value))
        return real_put(value)

    def init(self: RayEvaluator, *arguments: Any) -> None:
        real_init(self, *arguments)
        used.append(self)

    monkeypatch.setattr(ray, "put", put)
    monkeypatch.setattr(RayEvaluator, "__init__", init)
    found = executed(tmp_path, Backend("ray", 2))
    for name, content in found.items():
        assert content == next(finished.glob(f"results/runs/*/{name}")).read_bytes()
    assert len(sent) == 1
    usage = used[0].usage
    assert usage.calls >= 8
    assert usage.bytes_sent / usage.calls < DIGITS.data.train.images.nbytes / 10


@pytest.mark.ray
def test_a_function_on_the_cluster_gets_the_images_without_a_copy() -> None:
    with ray_session(workers=1):
        (size, is_copy), *_ = run_tasks(_size_of, [(DIGITS, Purpose.TEST)] * 2)
    assert (size, is_copy) == (359, False)


@pytest.mark.ray
def test_images_that_do_not_fit_into_the_object_store_are_told_of(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import ray

    with ray_session(workers=1):
        small = [{"Resources": {"object_store_memory": 1e5}, "Alive": True}]
        monkeypatch.setattr(ray, "nodes", lambda: small)
        with pytest.raises(ClusterFault, match=r"task 'digits' takes .* MB, but the object store"):
            RayEvaluator(DIGITS)
