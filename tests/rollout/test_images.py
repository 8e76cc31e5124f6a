"""Tests of wann.rollout.images: scores at their limits, parts of a batch, what is refused."""

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from networks import random_network

from wann.activations import ABS, INVERSE, LINEAR, SQUARE, register_activation
from wann.forward import forward
from wann.rollout.images import image_logits, logits_by_weight, score_images
from wann.topology import Topologies, Topology

WEIGHTS = np.array([-2.0, -1.0, -0.5, 0.5, 1.0, 2.0])
LARGEST = float(np.finfo(np.float32).max)


def random_topologies(count, num_inputs=20, num_outputs=5):
    rng = np.random.default_rng(0)
    sizes = rng.integers((0, 1), (30, 90), size=(count, 2)).tolist()
    return Topologies.stack(
        [
            random_network(num_inputs, num_outputs, *size, seed=k, output_links=True).topology
            for k, size in enumerate(sizes)
        ]
    )


def random_batch(num_images, num_inputs=20, num_outputs=5):
    rng = np.random.default_rng(1)
    images = rng.random((num_images, num_inputs)).astype(np.float32)
    return images, rng.integers(0, num_outputs, num_images)


def arguments(**changes):
    """Return the arguments of a good call of `score_images` with some of them changed."""
    images, labels = random_batch(9)
    good = {"topologies": random_topologies(3), "weights": WEIGHTS}
    return {**good, "images": images, "labels": labels, **changes}


def straight(activation_ids):
    """Return a network whose outputs are activations of one input each, in their order."""
    count = len(activation_ids)
    return Topology(
        count,
        np.concatenate([np.zeros(1 + count), np.arange(count + 1)]).astype(np.int32),
        np.arange(1, 1 + count, dtype=np.int32),
        np.array([1] * (1 + count) + list(activation_ids), np.uint8),
        np.arange(1 + count, 1 + 2 * count, dtype=np.int32),
    ).check()


def squares(count):
    """Return a network of two outputs: the input squared `count` times, and that minus itself."""
    last = 1 + count  # of the squares; behind it come its negative and the sum of both
    return Topology(
        1,
        np.array([0, 0, *range(count + 2), count + 3], np.int32),
        np.array([*range(1, last), last, last, last + 1], np.int32),
        np.array([1, 1] + [SQUARE] * count + [INVERSE, LINEAR], np.uint8),
        np.array([last, last + 2], np.int32),
    ).check()


def score(topology, weight, images, labels):
    """Return score and right answers of one network, as plain numbers."""
    scores, correct = score_images(
        Topologies.stack([topology]), np.array([weight]), np.array(images, np.float32),
        np.array(labels),
    )  # fmt: skip
    return scores[0, 0].item(), correct[0, 0].item()


def test_equal_outputs_score_the_logarithm_of_their_number_and_the_first_counts():
    topology = straight([LINEAR] * 4)
    assert score(topology, 1.0, [[2, 2, 2, 2]], [0]) == (pytest.approx(-np.log(4)), 1)
    assert score(topology, 1.0, [[2, 2, 2, 2]], [1]) == (pytest.approx(-np.log(4)), 0)


def test_large_outputs_do_not_overflow():
    topology = straight([LINEAR] * 3)
    assert score(topology, 1.0, [[1e30, 0, 0]], [0]) == (0.0, 1)
    got, correct = score(topology, 1.0, [[1e30, 0, 0]], [2])
    assert (got, correct) == (pytest.approx(-1e30), 0)
    got, _ = score(topology, 1.0, [[LARGEST, -LARGEST, 0]], [1])
    assert got == pytest.approx(-2 * LARGEST)


def test_an_output_that_is_infinite_or_nan_counts_as_the_largest_number_or_as_0():
    topology = squares(14)
    image = np.full((1, 1), 1.5)
    with np.errstate(invalid="ignore"):
        outputs = forward(topology, 1.0, image)[0]
    assert np.isinf(outputs[0])
    assert np.isnan(outputs[1])
    np.testing.assert_array_equal(image_logits(topology, 1.0, image), [[LARGEST, 0.0]])
    assert score(topology, 1.0, image, [0]) == (0.0, 1)
    assert score(topology, 1.0, image, [1]) == (-LARGEST, 0)


def test_outputs_without_links_score_as_their_activation_of_zero():
    topology = Topology(
        3,
        np.zeros(7, np.int32),
        np.zeros(0, np.int32),
        np.array([1, 1, 1, 1, LINEAR, 10], np.uint8),  # linear and cosine: 0 and 1
        np.array([4, 5], np.int32),
    ).check()
    got, correct = score(topology, 2.0, np.ones((5, 3)), [0, 0, 1, 1, 1])
    wanted = (2 * 0 + 3 * 1) / 5 - np.log(1 + np.e)
    assert (got, correct) == (pytest.approx(wanted, rel=1e-6), 3)


def test_one_output_is_always_right():
    assert score(straight([ABS]), 1.0, [[0.5], [3.0]], [0, 0]) == (0.0, 2)


def test_many_outputs_do_not_overflow_the_product_of_their_sums():
    topology = straight([LINEAR] * 3000)
    images = np.zeros((300, 3000))
    assert score(topology, 1.0, images, [0] * 300) == (pytest.approx(-np.log(3000)), 300)


def test_images_add_up_across_blocks():
    topologies = random_topologies(4)
    images, labels = random_batch(200)
    scores, correct = score_images(topologies, WEIGHTS, images, labels)
    parts = [
        (b - a, *score_images(topologies, WEIGHTS, images[a:b], labels[a:b]))
        for a, b in [(0, 1), (1, 64), (64, 129), (129, 200)]
    ]
    np.testing.assert_array_equal(sum(each[2] for each in parts), correct)
    mean = sum(each[0] * each[1] for each in parts) / 200
    np.testing.assert_allclose(mean, scores, rtol=1e-12)


def test_a_score_does_not_depend_on_what_else_is_in_the_call():
    topologies = random_topologies(7)
    images, labels = random_batch(100)
    scores, correct = score_images(topologies, WEIGHTS, images, labels)
    for start, stop in [(0, 3), (3, 3), (3, 7)]:
        part = score_images(topologies, WEIGHTS, images, labels, start, stop)
        np.testing.assert_array_equal(part[0], scores[start:stop])
        np.testing.assert_array_equal(part[1], correct[start:stop])
    alone = score_images(topologies.take(np.array([5])), WEIGHTS[2:3], images, labels)
    assert (alone[0][0, 0], alone[1][0, 0]) == (scores[5, 2], correct[5, 2])


def test_threads_that_share_a_batch_give_the_same_scores():
    topologies = random_topologies(60)
    images, labels = random_batch(300)
    scores, _ = score_images(topologies, WEIGHTS, images, labels)

    def part(start):
        return score_images(topologies, WEIGHTS, images, labels, start, start + 5)[0]

    with ThreadPoolExecutor(4) as pool:
        np.testing.assert_array_equal(np.concatenate(list(pool.map(part, range(0, 60, 5)))), scores)


def test_other_threads_run_while_the_kernel_does():
    images, labels = random_batch(1000)
    one = random_topologies(1)
    score_images(one, WEIGHTS, images[:1], labels[:1])  # compiles it
    many = one.take(np.zeros(4000, np.int64))
    thread = threading.Thread(target=score_images, args=(many, WEIGHTS, images, labels))
    thread.start()
    turns = 0
    while thread.is_alive():
        time.sleep(0.001)
        turns += 1
    assert turns > 5


def test_read_only_strided_and_other_types_of_arrays_give_the_same_scores():
    from wann.rollout.image_kernels import score_lanes

    topologies = random_topologies(3)
    images, labels = random_batch(20)
    wanted, _ = score_images(topologies, WEIGHTS, images, labels)
    for name in ("node_offsets", "edge_offsets", "offsets", "sources", "activations", "outputs"):
        getattr(topologies, name).flags.writeable = False
    wide = np.repeat(images.astype(np.float64), 2, axis=1)[:, ::2]
    wide.flags.writeable = False
    got, _ = score_images(topologies, WEIGHTS, wide, labels.astype(np.uint8))
    np.testing.assert_array_equal(got, wanted)
    assert len(score_lanes.signatures) == 1  # nothing was compiled anew


def test_no_topologies_and_no_weights_give_empty_scores():
    assert score_images(**arguments(start=2, stop=2))[0].shape == (0, 6)
    assert score_images(**arguments(weights=np.zeros(0)))[1].shape == (3, 0)
    images, _ = random_batch(4)
    assert logits_by_weight(random_topologies(1)[0], np.zeros(0), images).shape == (0, 4, 5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weights": np.array([1.0, np.nan])}, r"weights must be finite, but weights\[1\] is nan"),
        ({"weights": np.array([1e40])}, r"weights must be finite, but weights\[0\] is 1e\+40"),
        ({"weights": np.ones((2, 2))}, r"weights must have shape \(2,\)"),
        (
            {"images": np.zeros((9, 21))},
            r"images must have shape \(batch, 20\), at least one image, but .* is \(9, 21\)",
        ),
        ({"images": np.zeros((0, 20))}, r"at least one image, but the shape is \(0, 20\)"),
        ({"images": np.full((9, 20), np.nan)}, r"finite, but images\[0, 0\] is nan"),
        ({"labels": np.zeros(8, int)}, r"labels must have shape \(9,\), one an image, .* \(8,\)"),
        ({"labels": np.full(9, 5)}, r"labels must be 0 to 4, but labels\[0\] is 5"),
        ({"labels": np.full(9, -1)}, r"labels must be 0 to 4, but labels\[0\] is -1"),
        ({"labels": np.zeros(9)}, "labels must be whole numbers, but their type is float64"),
        ({"start": 2, "stop": 1}, "no topologies 2 to 1 in a batch of 3"),
        ({"stop": 4}, "no topologies 0 to 4 in a batch of 3"),
    ],
)
def test_what_does_not_fit_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        score_images(**arguments(**changes))


def test_weights_that_are_not_one_a_link_are_refused():
    topology = random_topologies(1)[0]
    wrong = np.ones(topology.num_connections + 1)
    with pytest.raises(ValueError, match="weights must have shape"):
        image_logits(topology, wrong, random_batch(2)[0])


def test_a_registered_activation_is_refused():
    added = register_activation("only_in_the_test_of_images", lambda x: x * 2.0)
    topology = straight([added.id, LINEAR])
    with pytest.raises(ValueError, match="a registered activation has no compiled form"):
        image_logits(topology, 1.0, np.zeros((1, 2)))


def test_importing_the_wrapper_loads_no_numba():
    program = "import sys, wann.rollout.images; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
