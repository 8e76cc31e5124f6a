"""Checkpoints: all that a search needs to go on, in one file that never holds code."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wann.activations import PAPER_ACTIVATIONS, activation_named, activation_names
from wann.archive import Archive, Entry
from wann.coordinator import SearchState
from wann.files import write_atomically
from wann.genome import Genomes
from wann.neat.state import ARRAYS, NeatState, network_key
from wann.population import Population
from wann.scores import MAX_REASON, Quarantined
from wann.topology import Topologies

FORMAT = "wann-checkpoint"
VERSION = "1"
MAX_BYTES = 8 << 30  # a population of 100,000 with 1,000 genes each is 1 GB

_GENOME_ARRAYS = {
    "node_offsets": np.int64,
    "activations": np.uint8,
    "gene_offsets": np.int64,
    "sources": np.int32,
    "targets": np.int32,
    "enabled": np.bool_,
}
_TOPOLOGY_ARRAYS = {
    "node_offsets": np.int64,
    "edge_offsets": np.int64,
    "offsets": np.int32,
    "sources": np.int32,
    "activations": np.uint8,
    "outputs": np.int32,
    "keys": np.uint64,
}


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A search between two generations.

    state: of a search, or of a run of neat-python.
    digest: that of the run's identity, so that a checkpoint is never used for another run.
    num_steps, seconds: environment steps and time that the run took so far.
    """

    state: SearchState | NeatState
    digest: str
    num_steps: int
    seconds: float


def save_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Write a checkpoint to `path` (safetensors); whoever reads it sees the old or the new one."""
    from safetensors.numpy import save

    state = checkpoint.state
    metadata = {
        "format": FORMAT,
        "version": VERSION,
        "digest": checkpoint.digest,
        "generation": str(state.generation),
        "num_steps": str(checkpoint.num_steps),
        "seconds": repr(checkpoint.seconds),
        "activations": json.dumps(_registered()),
    }
    if isinstance(state, SearchState):
        genomes = state.population.genomes
        arrays = {f"genomes.{name}": getattr(genomes, name) for name in _GENOME_ARRAYS}
        metadata["num_inputs"] = str(genomes.num_inputs)
        metadata["num_outputs"] = str(genomes.num_outputs)
        arrays |= _quarantine_arrays(state.quarantined)
    else:
        arrays = {f"neat.{name}": array for name, array in state.arrays.items()}
        metadata["num_inputs"] = str(state.num_inputs)
        metadata["num_outputs"] = str(state.num_outputs)
    arrays |= _archive_arrays(state.archive)
    contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    metadata["checksum"] = _checksum(contiguous)
    write_atomically(path, save(contiguous, metadata=metadata))


def _archive_arrays(archive: Archive) -> dict[str, np.ndarray]:
    entries = archive.entries
    if not entries:
        return {}
    topologies = Topologies.stack([each.topology for each in entries])
    arrays = {f"archive.{name}": getattr(topologies, name) for name in _TOPOLOGY_ARRAYS}
    arrays["archive.returns"] = np.stack([each.returns for each in entries])
    arrays["archive.generations"] = np.array([each.generation for each in entries])
    arrays["archive.seen"] = np.array(sorted(archive.seen), dtype=np.uint64)
    weights = [each.weights for each in entries if each.weights is not None]
    if weights:
        arrays["archive.weights"] = np.concatenate(weights)
    return arrays


def _quarantine_arrays(quarantined: tuple[Quarantined, ...]) -> dict[str, np.ndarray]:
    if not quarantined:
        return {}
    reasons = "\n".join(each.reason for each in quarantined)
    return {
        "quarantine.keys": np.array([each.key for each in quarantined], np.uint64),
        "quarantine.generations": np.array([each.generation for each in quarantined]),
        "quarantine.reasons": np.frombuffer(reasons.encode(), np.uint8),
    }


def _checksum(arrays: dict[str, np.ndarray]) -> str:
    """Return the SHA-256 of all arrays, in order of their names."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(f"{name} {arrays[name].dtype} {arrays[name].shape} ".encode())
        digest.update(np.ascontiguousarray(arrays[name]).tobytes())
    return digest.hexdigest()


def _registered() -> dict[str, int]:
    """Return the ids of the activations that are not the paper's, by name."""
    names = activation_names()[len(PAPER_ACTIVATIONS) :]
    return {name: activation_named(name).id for name in names}


def _check_registered(stored: dict[str, int]) -> None:
    """Raise ValueError where a registered activation of a checkpoint has another id now."""
    for name, number in stored.items():
        if activation_named(name).id != number:
            raise ValueError(
                f"it has {name!r} as activation {number}, which is {activation_named(name).id} "
                "now; register activations in the same order"
            )


def load_checkpoint(path: Path) -> Checkpoint:
    """Return the checkpoint in `path`.

    Raises ValueError, naming the file, when it is not one, is damaged, of another version, or holds
    genomes or networks that break an invariant.
    """
    try:
        return _read(path)
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise ValueError(f"{path}: not a usable checkpoint: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    return f"{error.args[0]} is missing" if isinstance(error, KeyError) else str(error)


def _read(path: Path) -> Checkpoint:
    from safetensors import SafetensorError, safe_open

    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"larger than {MAX_BYTES:,} bytes")
    if not path.is_file():
        raise ValueError("a file was wanted, but this is a folder or a device")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, AttributeError) as error:  # the latter for a dtype that NumPy lacks
        raise ValueError(f"damaged or truncated ({error})") from error
    if metadata.get("format") != FORMAT:
        raise ValueError(f"its format is {metadata.get('format')!r}, not {FORMAT!r}")
    if metadata["version"] != VERSION:
        raise ValueError(f"its version is {metadata['version']!r}, but this reads {VERSION!r}")
    _check_registered(dict(json.loads(metadata["activations"])))
    num_inputs, num_outputs = int(metadata["num_inputs"]), int(metadata["num_outputs"])
    generation, num_steps = int(metadata["generation"]), int(metadata["num_steps"])
    seconds = float(metadata["seconds"])
    if generation < 0 or num_steps < 0 or not 0 <= seconds < np.inf:
        raise ValueError("its counters are not positive numbers")
    if any(name.startswith("neat.") for name in arrays):
        kept = {name: _typed(arrays, f"neat.{name}", kind) for name, kind in ARRAYS.items()}
        archive = _read_archive(arrays, num_inputs, num_outputs)
        state = NeatState(kept, archive, num_inputs, num_outputs).check()
    else:
        flat = {
            name: _typed(arrays, f"genomes.{name}", kind) for name, kind in _GENOME_ARRAYS.items()
        }
        genomes = Genomes(num_inputs, num_outputs, **flat).check()
        archive = _read_archive(arrays, num_inputs, num_outputs)
        state = SearchState(Population(genomes, generation), archive, _read_quarantined(arrays))
    if metadata["checksum"] != _checksum(arrays):
        raise ValueError("its arrays are not those that were written (the checksum differs)")
    return Checkpoint(state, metadata["digest"], num_steps, seconds)


def _typed(arrays: dict[str, np.ndarray], name: str, kind: type, dimensions: int = 1) -> np.ndarray:
    array = arrays[name]
    if array.dtype != kind or array.ndim != dimensions:
        wanted = f"{np.dtype(kind)} of {dimensions} dimensions"
        raise ValueError(f"{name} must be {wanted}, not {array.dtype} of {array.ndim}")
    if kind is np.bool_ and (array.view(np.uint8) > 1).any():  # undefined in NumPy and in kernels
        raise ValueError(f"{name} has bytes that are neither true nor false")
    return array


def _read_archive(arrays: dict[str, np.ndarray], num_inputs: int, num_outputs: int) -> Archive:
    if not any(name.startswith("archive.") for name in arrays):
        return Archive()
    flat = {
        name: _typed(arrays, f"archive.{name}", kind, 2 if name == "outputs" else 1)
        for name, kind in _TOPOLOGY_ARRAYS.items()
    }
    topologies = Topologies(num_inputs, **flat).check()
    if topologies.num_outputs != num_outputs:
        raise ValueError(f"its archive has {topologies.num_outputs} outputs, not {num_outputs}")
    returns = _typed(arrays, "archive.returns", np.float64, 3)
    generations = _typed(arrays, "archive.generations", np.int64)
    if not len(returns) == len(generations) == len(topologies):
        raise ValueError("its archive has not as many scores as networks")
    if np.isnan(returns).any() or 0 in returns.shape:
        raise ValueError("its archive has scores that are not numbers")
    keys = topologies.keys.tolist()
    own: Sequence[np.ndarray | None] = [None] * len(topologies)
    if "archive.weights" in arrays:
        weights = _typed(arrays, "archive.weights", np.float64)
        if len(weights) != len(topologies.sources) or not np.isfinite(weights).all():
            raise ValueError("its archive has not one finite weight for each link")
        own = parts = np.split(weights, topologies.edge_offsets[1:-1])
        keys = [network_key(*each) for each in zip(topologies, parts, strict=True)]
    entries = tuple(
        Entry(topology, returns[index], int(generations[index]), keys[index], own[index])
        for index, topology in enumerate(topologies)
    )
    return Archive(entries, frozenset(_typed(arrays, "archive.seen", np.uint64).tolist()))


def _read_quarantined(arrays: dict[str, np.ndarray]) -> tuple[Quarantined, ...]:
    if not any(name.startswith("quarantine.") for name in arrays):
        return ()
    keys = _typed(arrays, "quarantine.keys", np.uint64).tolist()
    generations = _typed(arrays, "quarantine.generations", np.int64).tolist()
    reasons = _typed(arrays, "quarantine.reasons", np.uint8).tobytes().decode().split("\n")
    if not len(set(keys)) == len(keys) == len(generations) == len(reasons):
        raise ValueError("its quarantined networks have not one key, generation and reason each")
    if max(map(len, reasons)) > MAX_REASON:
        raise ValueError(f"a quarantined network's reason is longer than {MAX_REASON} characters")
    rows = zip(keys, generations, reasons, strict=True)
    return tuple(Quarantined(*row) for row in rows)
