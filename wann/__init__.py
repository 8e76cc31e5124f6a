"""Weight agnostic neural networks: search, evaluate, tune, draw, export and use them.

Search:      SearchConfig, Coordinator, GenerationReport, Archive, Run, RunSpec, Outcome, load_run,
             OBJECTIVES
Tasks:       load_task, read_card, Card, ControlTask, ImageCard, ImageTask
Evaluation:  Scores, Fault, LocalEvaluator, RayEvaluator, Backend, open_evaluator, ray_session,
             run_task, score_images, image_logits
Settings:    evaluate_settings, Setting, sweep, Sweep, image_settings, ensemble
Tuning:      Tuning, TuningConfig, GradientTuning, GradientConfig
Comparison:  compare_runs, fixed_topology
Networks:    Network, load_network, load_out, draw_svg, save_svg
Export:      export_network, export_front, read_network, Masks, to_masks, load_masks, to_torch,
             from_torch, to_onnx, to_networkx, from_networkx, to_neat, from_neat, to_c, to_policy
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
    from wann.comparison import compare_runs
    from wann.config import PRESETS, SHARED_WEIGHTS, Backend, SearchConfig
    from wann.coordinator import Coordinator, GenerationReport
    from wann.distributed import RayEvaluator
    from wann.evaluation import LocalEvaluator
    from wann.export.c import to_c
    from wann.export.drawing import draw_svg, save_svg
    from wann.export.formats import export_front, export_network, read_network
    from wann.export.graph import from_networkx, to_networkx
    from wann.export.masks import Masks, load_masks, to_masks
    from wann.export.neat_python import from_neat, to_neat
    from wann.export.onnx_graph import to_onnx
    from wann.export.policy import to_policy
    from wann.export.pytorch import from_torch, to_torch
    from wann.export.reference import load_out
    from wann.fixed_topology import fixed_topology
    from wann.forward import forward
    from wann.genome import Genome, Genomes
    from wann.gradient_tuning import GradientTuning
    from wann.image_settings import ensemble, image_settings
    from wann.mutation import mutate
    from wann.network import Network, load_network
    from wann.objectives import OBJECTIVES
    from wann.population import Population
    from wann.ranking import rank
    from wann.ray_session import ray_session, run_task
    from wann.records import load_run
    from wann.reproduction import first_generation, next_generation
    from wann.rollout.images import image_logits, score_images
    from wann.run import Outcome, Run
    from wann.run_files import RunSpec
    from wann.scores import Fault, Scores
    from wann.settings import Setting, Sweep, evaluate_settings, sweep
    from wann.tasks import Card, ControlTask, ImageCard, ImageTask, load_task, read_card
    from wann.topology import Topologies, Topology, compile, compile_all
    from wann.tuning import Tuning
    from wann.tuning_config import GradientConfig, TuningConfig


_LAZY = {  # where each public name stands; what it takes is loaded with its first use
    "Activation": "wann.activations",
    "activation_names": "wann.activations",
    "register_activation": "wann.activations",
    "Archive": "wann.archive",
    "open_evaluator": "wann.backend",
    "compare_runs": "wann.comparison",
    "Backend": "wann.config",
    "PRESETS": "wann.config",
    "SearchConfig": "wann.config",
    "SHARED_WEIGHTS": "wann.config",
    "Coordinator": "wann.coordinator",
    "GenerationReport": "wann.coordinator",
    "RayEvaluator": "wann.distributed",
    "LocalEvaluator": "wann.evaluation",
    "to_c": "wann.export.c",
    "draw_svg": "wann.export.drawing",
    "save_svg": "wann.export.drawing",
    "export_front": "wann.export.formats",
    "export_network": "wann.export.formats",
    "read_network": "wann.export.formats",
    "from_networkx": "wann.export.graph",
    "to_networkx": "wann.export.graph",
    "load_masks": "wann.export.masks",
    "Masks": "wann.export.masks",
    "to_masks": "wann.export.masks",
    "from_neat": "wann.export.neat_python",
    "to_neat": "wann.export.neat_python",
    "to_onnx": "wann.export.onnx_graph",
    "to_policy": "wann.export.policy",
    "from_torch": "wann.export.pytorch",
    "to_torch": "wann.export.pytorch",
    "load_out": "wann.export.reference",
    "fixed_topology": "wann.fixed_topology",
    "forward": "wann.forward",
    "Genome": "wann.genome",
    "Genomes": "wann.genome",
    "ensemble": "wann.image_settings",
    "image_settings": "wann.image_settings",
    "mutate": "wann.mutation",
    "load_network": "wann.network",
    "Network": "wann.network",
    "OBJECTIVES": "wann.objectives",
    "Population": "wann.population",
    "rank": "wann.ranking",
    "ray_session": "wann.ray_session",
    "run_task": "wann.ray_session",
    "load_run": "wann.records",
    "first_generation": "wann.reproduction",
    "next_generation": "wann.reproduction",
    "image_logits": "wann.rollout.images",
    "score_images": "wann.rollout.images",
    "Outcome": "wann.run",
    "Run": "wann.run",
    "RunSpec": "wann.run_files",
    "Fault": "wann.scores",
    "Scores": "wann.scores",
    "evaluate_settings": "wann.settings",
    "Setting": "wann.settings",
    "sweep": "wann.settings",
    "Sweep": "wann.settings",
    "Card": "wann.tasks",
    "ControlTask": "wann.tasks",
    "ImageCard": "wann.tasks",
    "ImageTask": "wann.tasks",
    "load_task": "wann.tasks",
    "read_card": "wann.tasks",
    "compile": "wann.topology",
    "compile_all": "wann.topology",
    "Topologies": "wann.topology",
    "Topology": "wann.topology",
    "GradientConfig": "wann.tuning_config",
    "GradientTuning": "wann.gradient_tuning",
    "Tuning": "wann.tuning",
    "TuningConfig": "wann.tuning_config",
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
    "OBJECTIVES",
    "load_task",
    "read_card",
    "Card",
    "ControlTask",
    "ImageCard",
    "ImageTask",
    "Scores",
    "Fault",
    "LocalEvaluator",
    "RayEvaluator",
    "Backend",
    "open_evaluator",
    "ray_session",
    "run_task",
    "score_images",
    "image_logits",
    "evaluate_settings",
    "Setting",
    "sweep",
    "Sweep",
    "image_settings",
    "ensemble",
    "Tuning",
    "TuningConfig",
    "GradientTuning",
    "GradientConfig",
    "compare_runs",
    "fixed_topology",
    "Network",
    "load_network",
    "load_out",
    "draw_svg",
    "save_svg",
    "export_network",
    "export_front",
    "read_network",
    "Masks",
    "to_masks",
    "load_masks",
    "to_torch",
    "from_torch",
    "to_onnx",
    "to_networkx",
    "from_networkx",
    "to_neat",
    "from_neat",
    "to_c",
    "to_policy",
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


class _Package(ModuleType):
    """This package, in which `forward` and others are functions, not the modules of that name."""

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
