"""What a network can be exported to: one table of formats, and the check that each one passes.

A format's module has `write_NAME(network, path, about, options)` and, unless it is a picture,
`run_NAME(path, inputs) -> outputs`, which executes the written file in the runtime it is for;
where files come back, also `read_NAME(path) -> Network`. (NAME is the format's, `-` as `_`.)
"""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float64

from wann.activations import COS, GAUSSIAN, RELU, SIGMOID, STEP, activation_of, is_compiled
from wann.checks import unknown
from wann.files import staged
from wann.forward import forward, trace
from wann.network import Network, load_network
from wann.version import __version__

if TYPE_CHECKING:
    from wann.tasks import ControlTask

DTYPES = ("float32", "float64")
TOLERANCE = {"float32": 1e-5, "float64": 1e-12}  # times 1 + the row's largest |sum|
LARGEST = {"float32": 1e30, "float64": 1e300}  # values beyond may overflow elsewhere
NOT_ZERO_AT_ZERO = (GAUSSIAN, SIGMOID, COS)
NUM_ROWS = 256  # of random inputs
NUM_EPISODES = 2  # that are replayed
MAX_REPLAYED_STEPS = 1000  # of one episode


@dataclass(frozen=True)
class Format:
    """A kind of file that a network can be exported to.

    suffix: what its files end in; "" for a folder. purpose: for `--help`.
    module: where its functions stand. needs: modules that are installed with `extra` of
        wann-search; "" is the package itself.
    dtypes: of its arithmetic, the default first; none for a picture, which is not executed.
    readable: whether `read` gives the network back.
    own_activations: whether activations that a user registered can be written.
    """

    name: str
    suffix: str
    purpose: str
    module: str
    needs: tuple[str, ...] = ()
    extra: str = ""
    dtypes: tuple[str, ...] = ("float64",)
    readable: bool = False
    own_activations: bool = False

    def write(
        self, network: Network, path: Path, about: Mapping[str, Any], options: Options
    ) -> None:
        """Write a network to `path`; see `export_network` for the rest of an export."""
        self._function("write")(network, path, about, options)

    def run(self, path: Path, inputs: Float64[np.ndarray, "B I"]) -> Float64[np.ndarray, "B O"]:
        """Return what the file at `path` computes, executed in the runtime it is for."""
        return np.asarray(self._function("run")(path, inputs), dtype=np.float64)

    def read(self, path: Path) -> Network:
        """Return the network in a file of this format. Raises ValueError for any other file."""
        return self._function("read")(path)

    def _function(self, verb: str) -> Callable[..., Any]:
        return getattr(
            importlib.import_module(self.module), f"{verb}_{self.name.replace('-', '_')}"
        )

    def require(self) -> None:
        """Raise MissingDependency, with the line that installs it, when a module is missing."""
        missing = [each for each in self.needs if importlib.util.find_spec(each) is None]
        if missing:
            from wann.tasks.faults import MissingDependency

            what = f"'wann-search[{self.extra}]'" if self.extra else " ".join(missing)
            raise MissingDependency(
                f"format {self.name!r} needs {', '.join(missing)}, which is not installed; "
                f"pip install {what}"
            )


@dataclass(frozen=True)
class Options:
    """How to export.

    weight: shared weight in place of the network's own; None keeps that.
    dtype: "float32" or "float64"; "" for the format's default.
    force: replace what exists. opset: ONNX's, 0 for the default.
    task: whose episodes are replayed; None for the one that the network names.
    """

    weight: float | None = None
    dtype: str = ""
    force: bool = False
    opset: int = 0
    task: ControlTask | None = None


@dataclass(frozen=True)
class Check:
    """How far what a written file computes is from `wann.forward`.

    rows: inputs compared: random ones and those visited in `episodes` replayed episodes.
    excluded: rows left out, because a step's input is too near 0 to be sure of, or because a value
        is too large for the dtype.
    max_difference: largest |difference| of an output. worst: that, as a fraction of what is
        allowed in its row: TOLERANCE[dtype] * (1 + the row's largest |sum before activation|).
    differing_actions: visited observations in which another action would be taken.
    """

    dtype: str
    rows: int
    excluded: int
    max_difference: float
    worst: float
    episodes: int
    differing_actions: int


FORMATS = {
    each.name: each
    for each in (
        Format(
            "json", ".json", "network file of this package", "wann.export.formats",
            readable=True, own_activations=True,
        ),
        Format(
            "masks", ".safetensors", "sparse masks, signs and scale, for binarization",
            "wann.export.masks", readable=True,
        ),
        Format(
            "torch", "", "folder with model.py, which PyTorch runs without this package",
            "wann.export.pytorch", dtypes=DTYPES,
        ),
        Format(
            "safetensors", ".safetensors", "tensors of the PyTorch module in one file",
            "wann.export.pytorch", dtypes=DTYPES, readable=True,
        ),
        Format(
            "pt2", ".pt2", "PyTorch program (torch.export) for any batch size",
            "wann.export.pytorch", dtypes=DTYPES,
        ),
        Format(
            "onnx", ".onnx", "ONNX graph for any batch size", "wann.export.onnx_graph",
            needs=("onnx", "onnxruntime"), extra="onnx", dtypes=DTYPES,
        ),
        Format(
            "networkx", ".json", "node-link JSON of networkx", "wann.export.graph",
            readable=True, own_activations=True,
        ),
        Format(
            "graphml", ".graphml", "GraphML, which programs for graphs read", "wann.export.graph",
            readable=True, own_activations=True,
        ),
        Format(
            "neat", ".py", "Python module that makes a genome of neat-python",
            "wann.export.neat_python",
        ),
        Format(
            "neat-json", ".json", "network file of neat-python", "wann.export.neat_json",
            readable=True, own_activations=True,
        ),
        Format(
            "c", ".h", "header of C99, for microcontrollers", "wann.export.c", dtypes=DTYPES,
        ),
        Format(
            "out", ".out", "file of the WANN reference implementation", "wann.export.reference",
            readable=True,
        ),
        Format(
            "svg", ".svg", "picture", "wann.export.drawing", dtypes=(), own_activations=True,
        ),
        Format(
            "svg-outputs", "", "folder of pictures: for each output, what feeds it",
            "wann.export.drawing", dtypes=(), own_activations=True,
        ),
        Format(
            "png", ".png", "picture of pixels", "wann.export.raster", dtypes=(),
            own_activations=True,
        ),
        Format(
            "dot", ".dot", "text that Graphviz draws", "wann.export.graph", dtypes=(),
            own_activations=True,
        ),
    )
}  # fmt: skip


def format_named(name: str) -> Format:
    """Return the format of this name. Raises ValueError with the nearest match."""
    if name not in FORMATS:
        raise unknown("format", name, FORMATS, "`wann export --help` names all")
    return FORMATS[name]


def export_network(
    network: Network, name: str, path: str | Path, options: Options = Options()
) -> Check | None:
    """Write a network to `path` in the format `name` and return how well the file computes it.

    The file is written beside `path`, executed, compared with `wann.forward` on random inputs and
    on the observations of replayed episodes, told of the difference, and only then renamed.
    Returns None for pictures.
    Raises ValueError for an unknown format, a network that the format cannot hold, and a path that
    exists; MissingDependency when the format needs what is not installed; RuntimeError when the
    file computes something else; OSError when it cannot be written. `path` is then as it was.
    """
    form, options = _prepared(name, options)
    network = _exportable(network, form, options)
    with staged(path, force=options.force) as staging:
        return _write_checked(network, form, staging, options)


def export_front(
    networks: Sequence[Network], name: str, folder: str | Path, options: Options = Options()
) -> list[Check | None]:
    """Write several networks to a new folder, as 01-12-connections.onnx and so on.

    Raises as `export_network` does; the folder then is as it was.
    """
    form, options = _prepared(name, options)
    ready = [_exportable(each, form, options) for each in networks]
    if not ready:
        raise ValueError("there is no network to export")
    digits = len(str(len(ready)))
    with staged(folder, force=options.force) as staging:
        staging.mkdir()
        checks = []
        for number, each in enumerate(ready, 1):
            stem = f"{number:0{digits}d}-{each.topology.num_connections}-connections"
            checks.append(_write_checked(each, form, staging / (stem + form.suffix), options))
        return checks


def read_network(path: str | Path) -> Network:
    """Return the network in a file of any format that comes back, told by its name's end.

    With an end that says nothing it must be a network file.
    Raises ValueError for any other and for a damaged file; OSError when it cannot be read.
    """
    path = Path(path)
    forms = [each for each in FORMATS.values() if each.readable and path.suffix == each.suffix]
    forms = forms or [FORMATS["json"]]
    problems: list[ValueError] = []
    for form in forms:
        form.require()
        try:
            return form.read(path)
        except ValueError as error:
            problems.append(error)
    raise problems[0]


def write_json(network: Network, path: Path, about: Mapping[str, Any], options: Options) -> None:
    """Write a network file. `about` goes into its "made_by"."""
    dataclasses.replace(network, made_by={**network.made_by, "export": dict(about)}).save(path)


def run_json(path: Path, inputs: Float64[np.ndarray, "B I"]) -> Float64[np.ndarray, "B O"]:
    """Return what a network file's network computes."""
    return load_network(path)(inputs)


def read_json(path: Path) -> Network:
    """Return the network in a network file."""
    return load_network(path)


def _prepared(name: str, options: Options) -> tuple[Format, Options]:
    """Return the format and the options with its dtype, both found right."""
    form = format_named(name)
    known = form.dtypes or DTYPES
    if options.dtype and options.dtype not in known:
        raise ValueError(
            f"format {name!r} computes in {' or '.join(known)}, but {options.dtype!r} was given"
        )
    form.require()
    return form, dataclasses.replace(options, dtype=options.dtype or known[0])


def _exportable(network: Network, form: Format, options: Options) -> Network:
    """Return the network with the weight that was asked for, if the format can hold it."""
    if options.weight is not None:
        network = dataclasses.replace(network, weights=float(options.weight))
    topology = network.topology.check()
    if not topology.num_connections:
        raise ValueError("the network has no connections, so there is nothing to export")
    if not form.own_activations and not is_compiled(topology.activations):
        names = [activation_of(int(each)).name for each in topology.activations if each > 11]
        raise ValueError(
            f"format {form.name!r} has no form of {names[0]!r}, an activation of your own; "
            "'json' keeps its name"
        )
    return network


def _write_checked(network: Network, form: Format, path: Path, options: Options) -> Check | None:
    about: dict[str, Any] = {"made_by": f"wann-search {__version__}"}
    form.write(network, path, about, options)
    if not form.dtypes:
        return None
    check, inputs, outputs = check_file(network, form, path, options)
    if check.worst > 1.0:
        better = "; --dtype float64 is more exact" if _has_better(form, options) else ""
        raise RuntimeError(
            f"{form.name} computes something else: its outputs are up to "
            f"{check.max_difference:.2g} away, {check.worst:.2g} times what {options.dtype} "
            f"allows{better}"
        )
    _remove(path)
    form.write(network, path, {**about, "check": dataclasses.asdict(check)}, options)
    if not np.array_equal(form.run(path, inputs), outputs, equal_nan=True):
        raise RuntimeError(f"{form.name} computes something else each time it is written")
    return check


def _has_better(form: Format, options: Options) -> bool:
    return options.dtype == "float32" and "float64" in form.dtypes


def _remove(path: Path) -> None:
    """Remove what was just written, a file or a folder of ours."""
    if path.is_dir():
        for each in path.iterdir():
            _remove(each)
        path.rmdir()
    else:
        path.unlink()


def check_file(
    network: Network, form: Format, path: Path, options: Options
) -> tuple[Check, Float64[np.ndarray, "B I"], Float64[np.ndarray, "B O"]]:
    """Return how far what the file at `path` computes is from the network, and on what.

    The inputs of the comparison and the file's outputs come with it.
    Raises RuntimeError when nothing can be compared, or the outputs have another shape.
    """
    from wann.export.replay import visited

    dtype = options.dtype or form.dtypes[0]
    drawn = _random_inputs(network, dtype)
    played = visited(network, options.task, NUM_EPISODES, MAX_REPLAYED_STEPS)
    inputs = np.concatenate([drawn, played.inputs.astype(dtype).astype(np.float64)])
    wanted = forward(network.topology, network.weights, inputs)
    kept, allowed = comparable(network, inputs, dtype)
    came = form.run(path, inputs)
    if came.shape != wanted.shape:
        raise RuntimeError(
            f"{form.name} gives outputs of shape {came.shape}, but {wanted.shape} was wanted"
        )
    single = form.run(path, inputs[:1])
    if not kept.any():
        raise RuntimeError(
            f"{form.name} cannot be checked: on every input a step's sum is too near 0, or a value "
            f"too large for {options.dtype}"
        )
    with np.errstate(invalid="ignore"):
        differences = np.abs(came - wanted)
        differences[0] = np.maximum(differences[0], np.abs(single[0] - wanted[0]))
    differences = np.nan_to_num(differences[kept], nan=np.inf, posinf=np.inf)
    same = played.same_actions(came[len(drawn) :], wanted[len(drawn) :])
    check = Check(
        dtype,
        int(kept.sum()),
        int((~kept).sum()),
        float(differences.max()),
        float((differences / allowed[kept, None]).max()),
        played.episodes,
        int((~same & kept[len(drawn) :]).sum()),
    )
    return check, inputs, came


def _random_inputs(network: Network, dtype: str) -> Float64[np.ndarray, "B I"]:
    """Return inputs of several sizes that the dtype holds exactly."""
    rng = np.random.default_rng(0)
    sizes = np.repeat([1.0, 0.1, 3.0, 1.0], NUM_ROWS // 4)[:, None]
    drawn = sizes * rng.normal(size=(NUM_ROWS, network.topology.num_inputs))
    return drawn.astype(dtype).astype(np.float64)


def comparable(
    network: Network, inputs: Float64[np.ndarray, "B I"], dtype: str
) -> tuple[Bool[np.ndarray, "B"], Float64[np.ndarray, "B"]]:
    """Return which rows can be compared [B], and how far apart outputs may be in each [B].

    A row cannot when a step's sum is so near 0 that rounding decides it, or when a value is too
    large for the dtype. A sum of nothing but exact zeros is 0 in every arithmetic.
    """
    topology = network.topology
    sums, values = trace(topology, network.weights, inputs)
    with np.errstate(over="ignore", invalid="ignore"):
        largest = np.maximum(np.abs(sums).max(axis=0), np.abs(values).max(axis=0))
        allowed = TOLERANCE[dtype] * (1.0 + np.abs(sums).max(axis=0))
    weights = np.broadcast_to(np.asarray(network.weights), topology.num_connections)
    is_zero = values == 0.0  # of the bias and the inputs, and then of each node for sure
    kept = largest < LARGEST[dtype]
    for node in range(1 + topology.num_inputs, topology.num_nodes):
        links = slice(topology.offsets[node], topology.offsets[node + 1])
        gets_zero = is_zero[topology.sources[links][weights[links] != 0.0]].all(axis=0)
        activation = int(topology.activations[node])
        if activation == STEP:
            kept &= gets_zero | (np.abs(sums[node]) > allowed)
        is_zero[node] = gets_zero & (activation not in NOT_ZERO_AT_ZERO)
        if activation in (STEP, RELU):
            is_zero[node] |= sums[node] < -allowed
    return kept, allowed
