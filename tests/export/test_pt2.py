import io
import json

import numpy as np
import pytest

from tests.export.exported import assert_computes, every_activation, some_inputs
from tests.networks import random_network
from wann.export import pytorch
from wann.export.formats import Options
from wann.tasks import MissingDependency


@pytest.mark.slow
@pytest.mark.parametrize("shared", [True, False])
def test_a_program_computes_the_network_for_any_batch(shared, tmp_path):
    import torch

    network = every_activation() if shared else random_network(4, 2, 10, 30, seed=1, shared=False)
    path = tmp_path / "net.pt2"
    pytorch.write_pt2(network, path, {"made_by": "a test"}, Options(dtype="float64"))
    for rows in (1, 2, 33):
        inputs = some_inputs(network, rows)
        assert assert_computes(pytorch.run_pt2(path, inputs), network, inputs) > 0
    said = {"wann.json": ""}
    torch.export.load(io.BytesIO(path.read_bytes()), extra_files=said)
    assert json.loads(said["wann.json"])["export"] == {"made_by": "a test"}


@pytest.mark.slow
def test_float32_programs_are_within_tolerance(tmp_path):
    network = every_activation()
    path = tmp_path / "net.pt2"
    pytorch.write_pt2(network, path, {}, Options(dtype="float32"))
    inputs = some_inputs(network).astype(np.float32).astype(np.float64)
    outputs = pytorch.run_pt2(path, inputs)
    assert assert_computes(outputs, network, inputs, "float32") == len(inputs)


def test_too_old_a_pytorch_is_refused_before_anything_is_written(tmp_path, monkeypatch):
    import torch

    monkeypatch.setattr(torch, "__version__", "2.4.1+cpu")
    with pytest.raises(MissingDependency, match=r"needs torch 2\.6 or newer, but 2\.4\.1\+cpu"):
        pytorch.write_pt2(every_activation(), tmp_path / "net.pt2", {}, Options(dtype="float32"))
    assert list(tmp_path.iterdir()) == []
