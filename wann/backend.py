"""What evaluates a search's networks: threads of this process, or actors of Ray."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from wann.config import Backend
from wann.evaluation import Evaluator, LocalEvaluator, has_kernel
from wann.tasks import AnyTask


def uses_ray(backend: Backend, task: AnyTask) -> bool:
    """Return whether this backend evaluates `task` by Ray's actors."""
    if backend.name != "auto":
        return backend.name == "ray"
    return bool(backend.cluster) or not has_kernel(task)


@contextlib.contextmanager
def open_evaluator(task: AnyTask, backend: Backend) -> Iterator[Evaluator]:
    """Have an evaluator of `task` in here; no thread, actor or process of it stays behind.

    Within it, `wann.ray_session.run_task` runs where the evaluator does.
    Raises what `ray_session` and the evaluators raise.
    """
    if not uses_ray(backend, task):
        with LocalEvaluator(task, backend.workers) as evaluator:
            yield evaluator
        return
    from wann.distributed import RayEvaluator
    from wann.ray_session import ray_session

    with (
        ray_session(backend.cluster, backend.workers),
        RayEvaluator(task, backend.workers, backend.deadline, backend.patience) as evaluator,
    ):
        yield evaluator
