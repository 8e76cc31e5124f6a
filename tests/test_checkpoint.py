import json
import struct
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fuzzing import count_refusals, mutations
from safetensors.numpy import load, save
from test_coordinator import CONFIG, MadeUpEvaluator, assert_same_state

from wann.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from wann.config import SearchConfig
from wann.coordinator import Coordinator
from wann.neat import NeatSearch, NeatState
from wann.network_evaluator import NetworkEvaluator
from wann.scores import Quarantined
from wann.tasks import load_task

LARGEST = 2**63 - 1


def searched(generations):
    search = Coordinator(CONFIG.replace(generations=max(generations, 1)), 3, 2, MadeUpEvaluator())
    while search.generation < generations:
        search.step()
    return search


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """The bytes of a checkpoint after ten generations."""
    path = tmp_path_factory.mktemp("saved") / "checkpoint"
    save_checkpoint(Checkpoint(searched(10).state, "abc", 12345, 6.25), path)
    return path.read_bytes()


def taken_apart(data):
    """Return the arrays and the metadata of a checkpoint's bytes."""
    (size,) = struct.unpack("<Q", data[:8])
    return load(data), json.loads(data[8 : 8 + size])["__metadata__"]


def changed(data, arrays=None, metadata=None, missing=()):
    """Return the bytes of a checkpoint with some arrays or metadata replaced or left out."""
    found, described = taken_apart(data)
    found |= arrays or {}
    described |= metadata or {}
    for name in missing:
        (found if name in found else described).pop(name)
    contiguous = {name: np.ascontiguousarray(each) for name, each in found.items()}
    return save(contiguous, metadata=described)


def refusal(data, tmp_path):
    """Return the one line with which a damaged checkpoint is refused."""
    path = tmp_path / "damaged"
    path.write_bytes(data)
    with pytest.raises(ValueError, match="damaged: not a usable checkpoint: ") as caught:
        load_checkpoint(path)
    assert "\n" not in str(caught.value)
    return str(caught.value).partition("checkpoint: ")[2]


@pytest.mark.parametrize("generations", [0, 1, 10])
def test_a_checkpoint_comes_back_exactly(tmp_path, generations):
    state = searched(generations).state
    before = Checkpoint(state, "abc", 2**70, 0.1 + 0.2)
    save_checkpoint(before, tmp_path / "x")
    after = load_checkpoint(tmp_path / "x")
    assert_same_state(after.state, state)
    assert (after.digest, after.num_steps, after.seconds) == ("abc", 2**70, 0.1 + 0.2)
    assert (len(state.archive.entries) > 0) == (generations > 0)


def test_a_checkpoint_replaces_the_one_before_and_leaves_nothing_else(tmp_path):
    for generations in (1, 4):
        state = searched(generations).state
        save_checkpoint(Checkpoint(state, "abc", 0, 0.0), tmp_path / "x")
    assert load_checkpoint(tmp_path / "x").state.population.generation == 4
    assert [each.name for each in tmp_path.iterdir()] == ["x"]


def test_taking_a_checkpoint_apart_and_together_changes_nothing(saved, tmp_path):
    (tmp_path / "x").write_bytes(changed(saved))
    (tmp_path / "y").write_bytes(saved)
    one, other = load_checkpoint(tmp_path / "x"), load_checkpoint(tmp_path / "y")
    assert_same_state(one.state, other.state)


def test_a_truncated_checkpoint_is_refused_wherever_it_ends(saved, tmp_path):
    for part in range(20):
        assert "damaged or truncated" in refusal(saved[: len(saved) * part // 20], tmp_path)
    assert "damaged or truncated" in refusal(saved[:-1], tmp_path)
    assert "damaged or truncated" in refusal(saved + b"\0", tmp_path)


def test_other_files_are_refused(tmp_path):
    for data in (b"", b"\0" * 100, b"{}", b"PK\x03\x04", b"\xff" * 4096):
        assert "damaged or truncated" in refusal(data, tmp_path)
    assert (
        refusal(save({"x": np.zeros(3)}), tmp_path) == "its format is None, not 'wann-checkpoint'"
    )


@pytest.mark.parametrize(
    ("metadata", "wanted"),
    [
        ({"format": "wann-network"}, "its format is 'wann-network', not 'wann-checkpoint'"),
        ({"version": "2"}, "its version is '2', but this reads '1'"),
        ({"generation": "-1"}, "counters"),
        ({"num_steps": "-1"}, "counters"),
        ({"seconds": "nan"}, "counters"),
        ({"seconds": "inf"}, "counters"),
        ({"seconds": "soon"}, "could not convert"),
        ({"generation": "9" * 5000}, "4300"),
        ({"num_inputs": "many"}, "invalid literal"),
        ({"num_inputs": "0"}, "at least one input"),
        ({"num_inputs": "9" * 40}, "too few nodes"),
        ({"num_outputs": "1"}, "outputs"),
    ],
)
def test_metadata_that_cannot_be_are_refused(saved, tmp_path, metadata, wanted):
    assert wanted in refusal(changed(saved, metadata=metadata), tmp_path)


def test_whatever_is_missing_is_named(saved, tmp_path):
    arrays, metadata = taken_apart(saved)
    for name in (*arrays, *metadata):
        message = refusal(changed(saved, missing=[name]), tmp_path)
        assert message == f"{name} is missing" or name == "format"


def test_arrays_of_another_type_or_shape_are_refused_by_name(saved, tmp_path):
    arrays, _ = taken_apart(saved)
    for name, array in arrays.items():
        wrong_type = array.astype(np.float32 if array.dtype != np.float32 else np.int8)
        assert f"{name} must be" in refusal(changed(saved, {name: wrong_type}), tmp_path)
        assert f"{name} must be" in refusal(changed(saved, {name: array[None]}), tmp_path)


def test_arrays_of_another_length_are_refused(saved, tmp_path):
    arrays, _ = taken_apart(saved)
    for name, array in arrays.items():
        if name != "archive.seen":
            refusal(changed(saved, {name: array[:-1]}), tmp_path)
            refusal(changed(saved, {name: array[:0]}), tmp_path)
            refusal(changed(saved, {name: np.concatenate([array, array])}), tmp_path)


@pytest.mark.parametrize("value", [-1, LARGEST, -LARGEST - 1, 2**31])
@pytest.mark.parametrize("name", ["genomes.node_offsets", "archive.edge_offsets"])
def test_hostile_offsets_are_refused(saved, tmp_path, name, value):
    hostile = taken_apart(saved)[0][name].copy()
    for index in (0, 1, -1):
        wrong = hostile.copy()
        wrong[index] = value
        assert "offsets must rise" in refusal(changed(saved, {name: wrong}), tmp_path)
    hostile[1:3] = LARGEST, -2  # whose differences overflow to positive numbers
    assert "offsets must rise" in refusal(changed(saved, {name: hostile}), tmp_path)


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("genomes.sources", 2**31 - 1, "gene 5 of the batch starts at no node"),
        ("genomes.sources", -1, "gene 5 of the batch starts at no node"),
        ("genomes.targets", 2**31 - 1, "gene 5 of the batch ends at no output or hidden node"),
        ("genomes.targets", 0, "gene 5 of the batch ends at no output or hidden node"),
        ("genomes.activations", 77, "node 5 of the batch has an unknown activation"),
        ("archive.sources", 2**31 - 1, "does not follow the evaluation order"),
        ("archive.sources", -5, "does not follow the evaluation order"),
        ("archive.activations", 0, "unknown activation"),
        ("archive.offsets", -9, "offsets must rise"),
        ("archive.keys", 12345, "is stored"),
        ("archive.returns", np.nan, "scores that are not numbers"),
    ],
)
def test_a_value_out_of_range_is_refused(saved, tmp_path, name, value, wanted):
    array = taken_apart(saved)[0][name].copy()
    array.reshape(-1)[min(5, array.size - 1)] = value
    assert wanted in refusal(changed(saved, {name: array}), tmp_path)


def test_genomes_that_form_a_cycle_are_refused(saved, tmp_path):
    arrays, _ = taken_apart(saved)
    hidden = int(arrays["genomes.sources"].max())
    gene = int(arrays["genomes.sources"].argmax())
    targets = arrays["genomes.targets"].copy()
    targets[gene] = hidden
    assert "form a cycle" in refusal(changed(saved, {"genomes.targets": targets}), tmp_path)


def test_flags_that_are_neither_true_nor_false_are_refused(saved, tmp_path):
    flags = taken_apart(saved)[0]["genomes.enabled"].view(np.uint8).copy()
    flags[3] = 2
    data = changed(saved, {"genomes.enabled": flags.view(np.bool_)})
    assert "neither true nor false" in refusal(data, tmp_path)


@pytest.mark.parametrize("dtype", ["F8_E4M3", "F8_E8M0", "BF16", "U8", "F128", 7, None])
@pytest.mark.parametrize("name", ["genomes.activations", "archive.keys"])
def test_a_dtype_that_does_not_belong_is_refused(saved, tmp_path, name, dtype):
    (size,) = struct.unpack("<Q", saved[:8])
    header = json.loads(saved[8 : 8 + size])
    start, end = header[name]["data_offsets"]
    num_bytes = 2 if dtype == "BF16" else 1
    header[name] |= {"dtype": dtype, "shape": [1, (end - start) // num_bytes]}
    text = json.dumps(header).encode()
    refusal(struct.pack("<Q", len(text)) + text + saved[8 + size :], tmp_path)


def quarantining(*networks):
    """Return the bytes of a checkpoint with these quarantined networks."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "checkpoint"
        state = replace(searched(2).state, quarantined=networks)
        save_checkpoint(Checkpoint(state, "abc", 1, 1.0), path)
        return path.read_bytes()


QUARANTINED = (
    Quarantined(2**64 - 1, 0, "environment 'X', seed 3, step 7: the reward was nan"),
    Quarantined(5, 1, ""),
    Quarantined(6, 1, "\u00fcberlauf" * 100),
)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_quarantined_networks_come_back_exactly(tmp_path, count):
    (tmp_path / "x").write_bytes(quarantining(*QUARANTINED[:count]))
    assert load_checkpoint(tmp_path / "x").state.quarantined == QUARANTINED[:count]


def test_a_checkpoint_without_quarantined_networks_does_not_mention_them(saved, tmp_path):
    (tmp_path / "x").write_bytes(saved)
    assert load_checkpoint(tmp_path / "x").state.quarantined == ()
    assert not [name for name in taken_apart(saved)[0] if "quarantine" in name]


@pytest.mark.parametrize(
    ("arrays", "missing", "wanted"),
    [
        ({}, ["quarantine.keys"], "quarantine.keys is missing"),
        ({"quarantine.keys": np.array([1, 2], np.uint64)}, [], "not one key, generation"),
        ({"quarantine.keys": np.array([5, 5, 6], np.uint64)}, [], "not one key, generation"),
        ({"quarantine.keys": np.array([5, 4, 6])}, [], "must be uint64 of 1 dimensions"),
        ({"quarantine.reasons": np.array([200, 10, 10], np.uint8)}, [], "can't decode"),
        (
            {"quarantine.reasons": np.frombuffer(b"x" * 1001 + b"\n\n", np.uint8)}, [],
            "reason is longer than 1000 characters",
        ),
        ({"quarantine.generations": np.array([0, 1, 0])}, [], "checksum differs"),
    ],
)  # fmt: skip
def test_damaged_quarantined_networks_are_refused(tmp_path, arrays, missing, wanted):
    data = changed(quarantining(*QUARANTINED), arrays, missing=missing)
    assert wanted in refusal(data, tmp_path)


def test_a_folder_or_a_device_is_refused(tmp_path):
    for path in (tmp_path, Path("/dev/null")):
        with pytest.raises(ValueError, match="not a usable checkpoint: a file was wanted"):
            load_checkpoint(path)


def test_a_missing_checkpoint_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        load_checkpoint(tmp_path / "nowhere")


def test_hundreds_of_mutated_checkpoints_are_read_or_refused_in_one_line(saved, tmp_path):
    path = tmp_path / "mutated"
    samples = [saved, quarantining(*QUARANTINED)]
    assert count_refusals(load_checkpoint, mutations(samples, 400, 5), path) > 300


@pytest.mark.slow
def test_ten_thousand_mutated_checkpoints_are_read_or_refused_in_one_line(saved, tmp_path):
    path = tmp_path / "mutated"
    assert count_refusals(load_checkpoint, mutations([saved], 10_000, 6), path) > 7000


def test_an_activation_that_has_another_number_now_is_refused(tmp_path, monkeypatch):
    from wann import checkpoint as module

    monkeypatch.setattr(module, "_registered", lambda: {"tanh": 200})
    path = tmp_path / "run.safetensors"
    save_checkpoint(Checkpoint(searched(1).state, "abc", 1, 1.0), path)
    with pytest.raises(ValueError, match="it has 'tanh' as activation 200, which is 5 now"):
        load_checkpoint(path)


def test_a_changed_bit_that_breaks_no_invariant_is_noticed(saved, tmp_path):
    arrays, _ = taken_apart(saved)
    returns = arrays["archive.returns"].copy()
    returns.flat[0] += 1.0
    assert "checksum differs" in refusal(changed(saved, {"archive.returns": returns}), tmp_path)


def test_a_run_of_neat_python_comes_back_with_its_archive(tmp_path):
    config = SearchConfig(algorithm="neat", population=12, episodes=2, validation_episodes=2)
    task = load_task("CartPole-v1")
    search = NeatSearch(config, 4, 2, NetworkEvaluator(task))
    for _ in range(3):
        search.step()
    save_checkpoint(Checkpoint(search.state, "d", 7, 1.5), tmp_path / "x")
    state = load_checkpoint(tmp_path / "x").state
    assert isinstance(state, NeatState)
    assert state.generation == 3
    assert state.archive.seen == search.archive.seen
    assert [each.key for each in state.archive.entries] == [
        each.key for each in search.archive.entries
    ]
    again = NeatSearch(config, 4, 2, NetworkEvaluator(task), state)
    assert again.step() == search.step()
    weights = np.concatenate([each.weights for each in search.archive.entries])
    np.testing.assert_array_equal(
        np.concatenate([each.weights for each in again.archive.entries]), weights
    )


def test_a_checkpoint_of_neat_python_with_a_damaged_part_is_refused(tmp_path):
    search = NeatSearch(
        SearchConfig(algorithm="neat", population=6, episodes=1, validation_episodes=2),
        4,
        2,
        NetworkEvaluator(load_task("CartPole-v1")),
    )
    search.step()
    save_checkpoint(Checkpoint(search.state, "d", 7, 1.5), tmp_path / "x")
    data = (tmp_path / "x").read_bytes()
    arrays, _ = taken_apart(data)
    for name in arrays:
        assert refusal(changed(data, missing=[name]), tmp_path)
    assert "finite" in refusal(
        changed(data, {"archive.weights": np.full_like(arrays["archive.weights"], np.nan)}),
        tmp_path,
    )
