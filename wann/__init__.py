"""Weight agnostic neural networks: search, evaluate, draw and use them.

Search:      SearchConfig, Coordinator, GenerationReport, Archive, Run, RunSpec, Outcome, load_run
Tasks:       load_task, read_card, Card, ControlTask, LocalEvaluator, Scores
Networks:    Network, load_network, load_out, draw_svg, save_svg
Structure:   Genome, Genomes, Topology, Topologies, compile, compile_all, forward
Evolution:   Population, first_generation, next_generation, mutate, rank
Activations: Activation, activation_names, register_activation
Constants:   SHARED_WEIGHTS, PRESETS
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from wann.activations import Activation, activation_names, register_activation
from wann.archive import Archive
from wann.config import PRESETS, SHARED_WEIGHTS, SearchConfig
from wann.forward import forward
from wann.genome import Genome, Genomes
from wann.mutation import mutate
from wann.network import Network, load_network
from wann.population import Population
from wann.ranking import rank
from wann.reproduction import first_generation, next_generation
from wann.scores import Scores
from wann.topology import Topologies, Topology, compile, compile_all
from wann.version import __version__

if TYPE_CHECKING:
    from wann.coordinator import Coordinator, GenerationReport
    from wann.evaluation import LocalEvaluator
    from wann.export.drawing import draw_svg, save_svg
    from wann.export.reference import load_out
    from wann.records import load_run
    from wann.run import Outcome, Run
    from wann.run_files import RunSpec
    from wann.tasks import Card, ControlTask, load_task, read_card


_LAZY = {  # names that load Gymnasium, Numba or pandas, and where they stand
    "Coordinator": "wann.coordinator",
    "GenerationReport": "wann.coordinator",
    "Run": "wann.run",
    "RunSpec": "wann.run_files",
    "Outcome": "wann.run",
    "load_run": "wann.records",
    "load_task": "wann.tasks",
    "read_card": "wann.tasks",
    "Card": "wann.tasks",
    "ControlTask": "wann.tasks",
    "LocalEvaluator": "wann.evaluation",
    "load_out": "wann.export.reference",
    "draw_svg": "wann.export.drawing",
    "save_svg": "wann.export.drawing",
}

__all__ = [
    "__version__",
    "SearchConfig",
    "Coordinator",
    "GenerationReport",
    "Archive",
    "Run",
    "RunSpec",
    "Outcome",
    "load_run",
    "load_task",
    "read_card",
    "Card",
    "ControlTask",
    "LocalEvaluator",
    "Scores",
    "Network",
    "load_network",
    "load_out",
    "draw_svg",
    "save_svg",
    "Genome",
    "Genomes",
    "Topology",
    "Topologies",
    "compile",
    "compile_all",
    "forward",
    "Population",
    "first_generation",
    "next_generation",
    "mutate",
    "rank",
    "Activation",
    "activation_names",
    "register_activation",
    "SHARED_WEIGHTS",
    "PRESETS",
]


def __getattr__(name: str) -> object:
    """Load a name that needs a heavier library when it is first used."""
    if name not in _LAZY:
        raise AttributeError(f"module 'wann' has no attribute {name!r}")
    return getattr(importlib.import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_LAZY])
