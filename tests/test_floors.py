"""The floors of the house: which file may import which."""

import ast
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "wann"
FLOORS = {
    0: "activations objectives config checks kernel_cache seeding files strict_json tuning_config "
    "version",
    1: "fixed_topology genome topology topology_kernels forward network network_file",
    2: "scores ranking ranking_kernels mutation population reproduction archive "
    "reproduction_kernels",
    3: "tasks",
    4: "rollout",
    5: "evaluation backend chunks distributed kernel_build network_evaluator ray_session "
    "weight_evaluator worker",
    6: "coordinator checkpoint comparison gradient_tuning image_settings neat run run_files "
    "records settings tuning tuning_state",
    7: "cli __main__ __init__",
}
FLOOR_OF = {name: floor for floor, names in FLOORS.items() for name in names.split()}
WINGS = ("export", "tickets")
HIGHEST_FOR_WINGS = 6
TO_A_WING = {  # the functions of floor 6 that reach a wing, and what they take from it
    ("wann.records", "draw"): {"wann.export.drawing", "wann.export.progress"},
    ("wann.gradient_tuning", "_module"): {"wann.export.pytorch"},
}
HEAVY = ("numba", "ray", "torch", "pandas", "gymnasium", "scipy", "matplotlib", "networkx")


@dataclass(frozen=True)
class Import:
    """One import of one file: the modules' names, and the function it stands in ("" for none)."""

    importer: str
    imported: str
    function: str


def module_name(path, root=ROOT):
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(path, root=ROOT):
    """Return every import in a file, wherever it stands."""
    found = []
    importer = module_name(path, root)

    def visit(node, function):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            function = node.name
        if isinstance(node, ast.Import):
            found.extend(Import(importer, alias.name, function) for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import; write the module's full name"
            for alias in node.names:
                module = f"{node.module}.{alias.name}"
                is_module = find(module) is not None
                found.append(Import(importer, module if is_module else node.module, function))
        for child in ast.iter_child_nodes(node):
            visit(child, function)

    visit(ast.parse(path.read_text()), "")
    return found


def find(module):
    """Return the file of a module of ours, or None."""
    path = ROOT.joinpath(*module.split("."))
    for each in (path.with_suffix(".py"), path / "__init__.py"):
        if each.is_file():
            return each
    return None


def part(module):
    """Return the file or folder of `wann` that a module belongs to; "__init__" for `wann`."""
    return module.split(".")[1] if "." in module else "__init__"


def floor(module):
    """Return a module's floor. Wings stand beside floor 6 and are dealt with by name."""
    assert part(module) in FLOOR_OF, f"give {module} a floor in {Path(__file__).name}"
    return FLOOR_OF[part(module)]


def is_wing(module):
    return part(module) in WINGS


OUR_IMPORTS = [
    each
    for path in sorted(PACKAGE.rglob("*.py"))
    for each in imports_of(path)
    if each.imported.split(".")[0] == "wann"
]


def test_every_file_has_a_floor_or_stands_in_a_wing():
    for path in PACKAGE.rglob("*.py"):
        module = module_name(path)
        assert is_wing(module) or floor(module) >= 0


def test_a_file_imports_from_its_own_floor_or_below():
    wrong = [
        each
        for each in OUR_IMPORTS
        if not is_wing(each.importer)
        and not is_wing(each.imported)
        and floor(each.imported) > floor(each.importer)
    ]
    assert wrong == []


def test_a_wing_imports_from_floors_0_to_6_and_from_wings():
    wrong = [
        each
        for each in OUR_IMPORTS
        if is_wing(each.importer)
        and not is_wing(each.imported)
        and floor(each.imported) > HIGHEST_FOR_WINGS
    ]
    assert wrong == []


def test_floors_below_6_never_reach_a_wing_and_floor_6_only_inside_the_functions_named_here():
    found = {}
    for each in OUR_IMPORTS:
        if is_wing(each.imported) and not is_wing(each.importer) and floor(each.importer) < 7:
            found.setdefault((each.importer, each.function), set()).add(each.imported)
    assert found == TO_A_WING
    assert all(floor(importer) == 6 for importer, _ in found)
    assert all(function for _, function in found)


def test_only_the_command_line_imports_the_command_line():
    wrong = [
        each for each in OUR_IMPORTS if part(each.imported) == "cli" and floor(each.importer) < 7
    ]
    assert wrong == []


def test_the_environments_import_gymnasium_numpy_and_themselves():
    allowed = {"gymnasium", "numpy", "wann_envs", *sys.stdlib_module_names}
    paths = sorted((ROOT / "envs" / "wann_envs").rglob("*.py"))
    assert paths
    for path in paths:
        for each in imports_of(path, ROOT / "envs"):
            assert each.imported.split(".")[0] in allowed, each


def test_no_file_of_ours_uses_assert():
    for path in PACKAGE.rglob("*.py"):
        tree = ast.parse(path.read_text())
        assert not [node for node in ast.walk(tree) if isinstance(node, ast.Assert)], path


def loaded_after(statement, names):
    """Return which of the packages a fresh process has loaded after a statement."""
    command = f"{statement}\nimport sys\nprint(*[n for n in {names!r} if n in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", command], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return done.stdout.split()


def test_importing_the_package_loads_nothing_heavy():
    assert loaded_after("import wann", HEAVY) == []


@pytest.mark.parametrize("number", [0, 1, 2])
def test_floors_0_to_2_load_nothing_heavy(number):
    modules = [
        f"wann.{name}"
        for name in FLOORS[number].split()
        if not name.endswith("_kernels") and find(f"wann.{name}")
    ]
    assert loaded_after(f"import {', '.join(modules)}", HEAVY) == []
