"""Networks as one header of C99: straight-line code, no allocation, float or double."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float64

from wann.activations import LINEAR, activation_of
from wann.export.graph import weight_list
from wann.files import write_atomically
from wann.network import Network
from wann.tasks.faults import MissingDependency

if TYPE_CHECKING:
    from wann.export.formats import Options

LARGEST = 3.4e38  # that a float holds
_TYPES = {"float32": "float", "float64": "double"}
TERMS = 8  # of a sum in one line
MAX_COMMENT = 60  # characters of a name
WARNINGS = ("-Wall", "-Wextra", "-Wpedantic")


def to_c(
    network: Network, name: str = "", dtype: str = "float32", notes: Sequence[str] = ()
) -> str:
    """Return a C99 header whose function `NAME_forward(in, out)` computes the network.

    name: what every name in it begins with; that of the task when left out. dtype: "float32" or
        "float64". notes: lines for the comment at its top.
    Numbers are float or double, as `dtype` says or as NAME_REAL, which may be defined before the
    header is included. With a shared weight, NAME_WEIGHT may be defined as another one, and
    `NAME_forward_with(weight, in, out)` takes it as an argument; with a weight for each link, that
    takes an array [E].
    It includes only tgmath.h, keeps nothing between calls, needs no memory but the stack, and may
    write the outputs over the inputs. Nodes that no output needs are left out.
    Raises ValueError for a registered activation, a weight that a float cannot hold, and a name
    that is no C identifier.
    """
    name = name or _identifier(network.task)
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,62}", name):
        raise ValueError(f"a C name must be letters, digits and _, from a letter on, not {name!r}")
    upper = name.upper()
    topology = network.topology
    lines = [
        *_comment(network, name, notes),
        f"#ifndef {upper}_H",
        f"#define {upper}_H",
        "",
        "#include <tgmath.h>",
        "",
        f"#ifndef {upper}_REAL",
        f"#define {upper}_REAL {_TYPES[dtype]}",
        "#endif",
        f"#define {upper}_R(number) (({upper}_REAL)(number))",
        f"typedef {upper}_REAL {name}_real;",
        "",
        f"#define {upper}_NUM_INPUTS {topology.num_inputs}",
        f"#define {upper}_NUM_OUTPUTS {topology.num_outputs}",
        f"#define {upper}_NUM_WEIGHTS {topology.num_connections}",
        *_weights(network, name, dtype),
        *_activations(network, name),
        *_forward(network, name),
        "#endif",
    ]
    return "\n".join(lines) + "\n"


def write_c(
    network: Network,
    path: str | Path,
    about: Mapping[str, Any] | None = None,
    options: Options | None = None,
) -> None:
    """Write the network as a C99 header whose names begin with the file's; see `to_c`."""
    dtype = options.dtype if options is not None and options.dtype else "float32"
    notes = [f"{key}: {value}" for key, value in _flat(about or {})]
    write_atomically(path, to_c(network, _identifier(Path(path).stem), dtype, notes))


def _flat(about: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in about.items():
        yield from _flat(value) if isinstance(value, Mapping) else [(key, value)]


def run_c(path: str | Path, inputs: Float64[np.ndarray, "B I"]) -> Float64[np.ndarray, "B O"]:
    """Return the outputs that a header of `to_c` computes: compiled to a library, and called.

    The compiler is the one that CC names, else cc, gcc or clang. Raises MissingDependency when
    there is none, RuntimeError with its first complaint when it refuses the header.
    """
    import ctypes

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        function, num_outputs, is_double = compiled(Path(path), Path(folder))
        kind = ctypes.c_double if is_double else ctypes.c_float
        values = np.ascontiguousarray(inputs, dtype=kind)
        outputs = np.zeros((len(inputs), num_outputs), dtype=kind)
        pointers = [each.ctypes.data_as(ctypes.POINTER(kind)) for each in (values, outputs)]
        function(*pointers, ctypes.c_long(len(inputs)))
    return outputs.astype(np.float64)


def find_compiler() -> list[str]:
    """Return the command of a C compiler: what CC holds, else cc, gcc or clang.

    Raises MissingDependency when there is none.
    """
    command = shlex.split(os.environ.get("CC", ""))
    names = [command[0]] if command else ["cc", "gcc", "clang"]
    found = next((each for each in names if shutil.which(each)), None)
    if found is None:
        raise MissingDependency(
            f"checking a C header needs a C compiler, but there is no {' or '.join(names)}; "
            "install one (apt install gcc) or name it in CC; `wann.export.c.write_c` checks nothing"
        )
    return command or [found]


def compiled(header: Path, folder: Path) -> tuple[Any, int, bool]:
    """Return a function (in, out, batch) that runs the header on a batch.

    With it come the number of outputs, and whether numbers are double. The library is written to
    `folder` and loaded from there.
    """
    import ctypes

    text = header.read_text(encoding="ascii")
    name = re.search(r"^static inline void (\w+)_forward\(", text, re.M)
    sizes = [re.search(rf"^#define \w+_NUM_{kind} (\d+)$", text, re.M) for kind in _KINDS]
    kind = re.search(r"^#define \w+_REAL (float|double)$", text, re.M)
    if name is None or kind is None or None in sizes:
        raise ValueError(f"{header} is no header that `to_c` writes")
    num_inputs, num_outputs = (int(each[1]) for each in sizes if each is not None)
    (folder / "network.h").write_text(text, encoding="ascii")
    (folder / "run.c").write_text(
        '#include "network.h"\n'
        f"void run(const {name[1]}_real *in, {name[1]}_real *out, long batch);\n"
        f"void run(const {name[1]}_real *in, {name[1]}_real *out, long batch) {{\n"
        f"    for (; batch > 0; batch--, in += {num_inputs}, out += {num_outputs})\n"
        f"        {name[1]}_forward(in, out);\n}}\n",
        encoding="ascii",
    )
    options = ["-O2", "-std=c99", *WARNINGS, "-fPIC", "-shared"]
    command = [*find_compiler(), *options, "-o", "run.so", "run.c", "-lm"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        complaint = next(iter(done.stderr.splitlines()), f"exit code {done.returncode}")
        raise RuntimeError(f"{command[0]} cannot compile {header}: {complaint[:200]}")
    return ctypes.CDLL(str(folder / "run.so")).run, num_outputs, kind[1] == "double"


_KINDS = ("INPUTS", "OUTPUTS")


def _identifier(task: str) -> str:
    """Return a C identifier made from a task's name: cartpole_v1."""
    words = re.sub(r"[^a-z0-9]+", "_", task.lower()).strip("_")[:40]
    return words if words[:1].isalpha() else f"network_{words}".rstrip("_")


def _comment(network: Network, name: str, notes: Sequence[str]) -> Iterator[str]:
    yield f"/* {_plain(network.task) or 'A network'}: {name}_forward(in, out) computes its outputs."
    yield " *"
    for index, each in enumerate(network.input_names):
        offset = network.offset[index] if network.offset else 0.0
        scale = network.scale[index] if network.scale else 1.0
        text = _plain(each)
        if (offset, scale) != (0.0, 1.0):
            text = f"({text} - {offset!r}) / {scale!r}"
        yield f" * in[{index}]   {text}"
    for index, each in enumerate(network.output_names):
        yield f" * out[{index}]  {_plain(each)}"
    if network.action:
        yield f" * The action follows from the outputs by the rule '{network.action}'."
    for each in notes:
        yield f" * {_plain(each, 200)}"
    yield " */"


def _plain(text: str, length: int = MAX_COMMENT) -> str:
    """Return text that cannot end a comment, or begin a trigraph or another comment in it."""
    shown = "".join(each if each.isascii() and each.isprintable() else "_" for each in text)
    return re.sub(r"[*\\?]", "_", shown)[:length].rstrip()


def _weights(network: Network, name: str, dtype: str) -> Iterator[str]:
    upper = name.upper()
    numbers = [_number(upper, each, dtype) for each in weight_list(network)]
    if network.shared_weight is not None:
        yield ""
        yield f"#ifndef {upper}_WEIGHT"
        yield f"#define {upper}_WEIGHT {_number(upper, network.shared_weight, dtype)}"
        yield "#endif"
    elif numbers:
        yield ""
        yield f"static const {name}_real {name}_weights[{upper}_NUM_WEIGHTS] = {{"
        yield from (f"    {each}," for each in numbers)
        yield "};"


def _number(upper: str, value: float, dtype: str) -> str:
    if abs(value) > LARGEST and dtype == "float32":
        raise ValueError(f"a weight must fit into a float of C, but {value:g} does not")
    return f"{upper}_R({value!r})"


def _activations(network: Network, name: str) -> Iterator[str]:
    upper = name.upper()
    for each in sorted({int(network.topology.activations[node]) for node in _needed(network)}):
        activation = activation_of(each)
        if not activation.c:
            raise ValueError(
                f"activation {activation.name!r} is registered and has no form in C; only the "
                "paper's do"
            )
        if each == LINEAR:
            continue
        form = activation.c.replace("REAL", f"{upper}_REAL")
        yield ""
        yield f"static inline {name}_real {name}_{activation.name}({name}_real x) {{"
        yield f"    return {form};"
        yield "}"


def _needed(network: Network) -> list[int]:
    """Return the computed nodes that an output needs, in evaluation order."""
    topology = network.topology
    sources, offsets = topology.sources.tolist(), topology.offsets.tolist()
    needed = set(topology.outputs.tolist())
    for node in reversed(range(1 + topology.num_inputs, topology.num_nodes)):
        if node in needed:
            needed.update(sources[offsets[node] : offsets[node + 1]])
    return sorted(each for each in needed if each > topology.num_inputs)


def _forward(network: Network, name: str) -> Iterator[str]:
    topology, real = network.topology, f"{name}_real"
    is_shared = network.shared_weight is not None
    first = f"{real} weight" if is_shared else f"const {real} *weights"
    yield ""
    yield f"static inline void {name}_forward_with({first}, const {real} *in, {real} *out) {{"
    yield f"    {real} x;"
    yield "    (void)weight;" if is_shared else "    (void)weights;"
    yield "    (void)in;"
    for node in _needed(network):
        yield from _node(network, name, node)
    for index, node in enumerate(topology.outputs.tolist()):
        yield f"    out[{index}] = n{node};"
    yield "}"
    yield ""
    given = f"{name.upper()}_WEIGHT" if is_shared else f"{name}_weights"
    if not is_shared and not topology.num_connections:
        given = "0"  # a null pointer, for there are none
    yield f"static inline void {name}_forward(const {real} *in, {real} *out) {{"
    yield f"    {name}_forward_with({given}, in, out);"
    yield "}"
    yield ""


def _node(network: Network, name: str, node: int) -> Iterator[str]:
    """Yield the statements that compute a node: its sum, a few terms a line, and its activation."""
    topology = network.topology
    links = range(int(topology.offsets[node]), int(topology.offsets[node + 1]))
    one = f"{name.upper()}_R(1.0)"
    terms: list[str] = []
    for link in links:
        source = int(topology.sources[link])
        value = one if source == 0 else f"n{source}"
        if 0 < source <= topology.num_inputs:
            value = f"in[{source - 1}]"
        if network.shared_weight is None:
            value = f"weights[{link}]" if source == 0 else f"weights[{link}] * {value}"
        terms.append(value)
    for start in range(0, max(len(terms), 1), TERMS):
        line = " + ".join(terms[start : start + TERMS]) or f"{name.upper()}_R(0.0)"
        yield f"    x {'+=' if start else '='} {line};"
    total = "weight * x" if network.shared_weight is not None and terms else "x"
    activation_id = int(topology.activations[node])
    activation = activation_of(activation_id).name
    value = total if activation_id == LINEAR else f"{name}_{activation}({total})"
    yield f"    const {name}_real n{node} = {value};"
