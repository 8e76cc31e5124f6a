"""Weight agnostic neural networks: search, evaluate, draw and use them.

Search:      SearchConfig, Coordinator, GenerationReport, Archive, Run, RunSpec, Outcome, load_run,
             OBJECTIVES
Tasks:       load_task, read_card, Card, ControlTask
Evaluation:  Scores, Fault, LocalEvaluator, RayEvaluator, Backend, open_evaluator, ray_session,
             run_task
Networks:    Network, load_network, load_out, draw_svg, save_svg
Structure:   Genome, Genomes, Topology, Topologies, compile, compile_all, forward
Evolution:   Population, first_generation, next_generation, mutate, rank
Activations: Activation, activation_names, register_activation
Constants:   SHARED_WEIGHTS, PRESETS
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING

from wann.version import __version__

if TYPE_CHECKING:
    from wann.activations import Activation, activation_names, register_activation
    from wann.archive import Archive
    from wann.backend import open_evaluator
    from wann.config import PRESETS, SHARED_WEIGHTS, Backend, SearchConfig
    from wann.coordinator import Coordinator, GenerationReport
    from wann.distributed import RayEvaluator
    from wann.evaluation import LocalEvaluator
    from wann.export.drawing import draw_svg, save_svg
    from wann.export.reference import load_out
    from wann.forward import forward
    from wann.genome import Genome, Genomes
    from wann.mutation import mutate
    from wann.network import Network, load_network
    from wann.objectives import OBJECTIVES
    from wann.population import Population
    from wann.ranking import rank
    from wann.ray_session import ray_session, run_task
    from wann.records import load_run
    from wann.reproduction import first_generation, next_generation
    from wann.run import Outcome, Run
    from wann.run_files import RunSpec
    from wann.scores import Fault, Scores
    from wann.tasks import Card, ControlTask, load_task, read_card
    from wann.topology import Topologies, Topology, compile, compile_all


_LAZY = {  # where each public name stands; what it takes is loaded with its first use
    "Activation": "wann.activations",
    "activation_names": "wann.activations",
    "register_activation": "wann.activations",
    "Archive": "wann.archive",
    "open_evaluator": "wann.backend",
    "Backend": "wann.config",
    "SearchConfig": "wann.config",
    "SHARED_WEIGHTS": "wann.config",
    "PRESETS": "wann.config",
    "Coordinator": "wann.coordinator",
    "GenerationReport": "wann.coordinator",
    "RayEvaluator": "wann.distributed",
    "LocalEvaluator": "wann.evaluation",
    "draw_svg": "wann.export.drawing",
    "save_svg": "wann.export.drawing",
    "load_out": "wann.export.reference",
    "forward": "wann.forward",
    "Genome": "wann.genome",
    "Genomes": "wann.genome",
    "mutate": "wann.mutation",
    "Network": "wann.network",
    "load_network": "wann.network",
    "OBJECTIVES": "wann.objectives",
    "Population": "wann.population",
    "rank": "wann.ranking",
    "ray_session": "wann.ray_session",
    "run_task": "wann.ray_session",
    "load_run": "wann.records",
    "first_generation": "wann.reproduction",
    "next_generation": "wann.reproduction",
    "Run": "wann.run",
    "Outcome": "wann.run",
    "RunSpec": "wann.run_files",
    "Fault": "wann.scores",
    "Scores": "wann.scores",
    "Card": "wann.tasks",
    "ControlTask": "wann.tasks",
    "load_task": "wann.tasks",
    "read_card": "wann.tasks",
    "Topologies": "wann.topology",
    "Topology": "wann.topology",
    "compile": "wann.topology",
    "compile_all": "wann.topology",
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
    "Scores",
    "Fault",
    "LocalEvaluator",
    "RayEvaluator",
    "Backend",
    "open_evaluator",
    "ray_session",
    "run_task",
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
    "OBJECTIVES",
]


class _Package(ModuleType):
    """This package, in which `forward` and `ray_session` are functions, not their modules."""

    def __setattr__(self, name: str, value: object) -> None:
        if name not in _LAZY or not isinstance(value, ModuleType):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> object:
    """Load a public name when it is first used: starting a command must not wait for NumPy."""
    if name not in _LAZY:
        raise AttributeError(f"module 'wann' has no attribute {name!r}")
    value = getattr(importlib.import_module(_LAZY[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_LAZY])
