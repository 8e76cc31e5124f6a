"""Ray, started for a search or joined: what is there, and how it is left as it was found."""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from wann.activations import Activation
from wann.kernel_cache import use_kernel_cache
from wann.tasks import AnyTask, ControlTask, ImageTask
from wann.tasks.faults import MissingDependency, text_of
from wann.topology import Topologies
from wann.worker import own_activations, portable, register, writable

CONNECT_LIMIT = 5.0  # s until a machine must have answered
HEALTH_LIMIT = 30.0  # s until a cluster must have said that it is well
STORE_BYTES = 256 * 2**20  # shared memory of a Ray that is started here
TASK_RETRIES = 3  # of a function whose worker was lost
AUTO = "auto"
MEMORY_RETRIES = "RAY_task_oom_retries"  # of a function that needs too much memory
AUTH_MODE = "RAY_AUTH_MODE"
AUTH_TOKEN = "RAY_AUTH_TOKEN"
STATISTICS = "RAY_USAGE_STATS_ENABLED"
NICENESS = "RAY_worker_niceness"  # of workers, added to this process's; Ray adds 15 by itself
# The name tells of other systems, but where this is 0 Ray listens on loopback alone everywhere.
BEYOND_LOOPBACK = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
TOKEN_VARIABLES = {AUTH_TOKEN, "RAY_AUTH_TOKEN_PATH"}

Result = TypeVar("Result")
_open_sessions: list[str] = []  # by address
_stored_tasks: list[tuple[AnyTask, Any]] = []  # with the reference of each, as long as they last


class ClusterFault(RuntimeError):
    """A cluster cannot be joined or has no worker left; the text says what to do."""


@contextlib.contextmanager
def ray_session(address: str = "", workers: int = 0) -> Iterator[None]:
    """Have a Ray at hand in here: that of this process, the cluster at `address`, or a new one.

    address: HOST:PORT, "auto" for the cluster this machine belongs to, "" for a Ray of one's own on
        this machine, which nobody else can reach and which ends with the session. workers: how
        many may work on it at once; 0 for as many as there are cores.
    Raises ValueError for an address that is none, ClusterFault when nobody answers there.
    """
    with _settings_kept():
        _prepare_environment(is_local=not address)
        import ray

        if ray.is_initialized():
            with _counted(address):
                yield
            return
        try:
            with _handlers_kept():
                if address:
                    _join(address)
                else:
                    _start(workers)
            with _counted(address):
                yield
        finally:
            with _handlers_kept():
                ray.shutdown()


@contextlib.contextmanager
def _counted(address: str) -> Iterator[None]:
    """Let `run_tasks` know in here that there is a Ray."""
    _open_sessions.append(address)
    try:
        yield
    finally:
        _open_sessions.pop()
        if not _open_sessions:
            _stored_tasks.clear()


def _prepare_environment(is_local: bool) -> None:
    """Set what Ray reads from the environment, before it is imported."""
    use_kernel_cache()  # so that workers on this machine use the same one
    if is_local:
        os.environ.setdefault(STATISTICS, "0")
        os.environ.setdefault(BEYOND_LOOPBACK, "0")
        os.environ.setdefault(NICENESS, "0")  # as threads would have
    os.environ.setdefault(MEMORY_RETRIES, str(TASK_RETRIES))  # else it is tried for ever
    logging.getLogger("ray").setLevel(logging.ERROR)


def _start(workers: int) -> None:
    import ray

    from wann.evaluation import available_cores

    if (
        not os.access(Path.home(), os.W_OK)
        and not {AUTH_MODE, *TOKEN_VARIABLES} & os.environ.keys()
    ):
        os.environ[AUTH_TOKEN] = secrets.token_hex(32)  # Ray would keep one in the home
    _read_settings_again()
    try:
        with _modules_found():
            ray.init(
                address="local",
                num_cpus=workers or available_cores(),
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
                object_store_memory=STORE_BYTES,
            )
    except (OSError, RuntimeError, ValueError) as error:
        raise ClusterFault(f"Ray cannot be started: {text_of(error)}") from error
    _hide_ray_messages()


@contextlib.contextmanager
def _modules_found() -> Iterator[None]:
    """Have processes started in here find all modules that this process finds."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(each for each in sys.path if each)
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before


def _join(address: str) -> None:
    import ray
    from ray import exceptions

    check_address(address)
    os.environ[AUTH_MODE] = _check_health(address)
    _read_settings_again()
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except exceptions.AuthenticationError as error:
        raise _token_fault(address) from error
    except (OSError, RuntimeError, ValueError) as error:
        why = text_of(error)
        raise ClusterFault(f"the cluster at {address} cannot be joined: {why}") from error
    _hide_ray_messages()


def check_address(address: str) -> None:
    """Raise ValueError when this is no address of a cluster, ClusterFault when no one is there."""
    if address == AUTO:
        return
    host, colon, port = address.rpartition(":")
    is_port = port.isdecimal() and 0 < int(port) < 2**16
    if not (colon and host and is_port) or "/" in host:  # ray://HOST:PORT cannot do what we need
        raise ValueError(f"a cluster's address is HOST:PORT or auto, but {address!r} was given")
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_LIMIT).close()
    except OSError as error:
        why = error.strerror or f"no answer within {CONNECT_LIMIT:g} s"
        origin = ", which RAY_ADDRESS names" if os.environ.get("RAY_ADDRESS") == address else ""
        raise ClusterFault(
            f"nobody answers at {address}{origin} ({why.lower()}); is `ray start --head` "
            "running there, and is the port open?"
        ) from None


def _check_health(address: str) -> str:
    """Return whether the cluster wants a token, as a value of RAY_AUTH_MODE.

    In processes of their own, for Ray's own attempt cannot be cut short: it takes two minutes and
    then ends the process. Ray by itself would not show its token to a cluster at HOST:PORT, and to
    "auto" also where the cluster has none, whose calls it then refuses.
    Raises ClusterFault when no cluster in good health answers in time.
    """
    given = os.environ.get(AUTH_MODE)
    modes = [given] if given else ["disabled", "token"] if _has_token() else ["disabled"]
    for mode in modes:
        errors = _health_errors(address, mode)
        if not errors:
            return mode
        if not any("AuthenticationError" in each for each in errors):
            why = errors[-1][:200]
            raise ClusterFault(f"no Ray cluster in good health answers at {address} ({why})")
    raise _token_fault(address)


def _health_errors(address: str, mode: str) -> list[str]:
    """Return the lines by which Ray's health check says what is wrong; none when all is well."""
    command = [sys.executable, "-m", "ray.scripts.scripts", "health-check"]
    command += [] if address == AUTO else ["--address", address]
    try:
        done = subprocess.run(
            command,
            env=os.environ | {AUTH_MODE: mode},
            capture_output=True,
            text=True,
            timeout=HEALTH_LIMIT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return [f"it said nothing within {HEALTH_LIMIT:g} s"]
    if not done.returncode:
        return []
    lines = [each.strip() for each in done.stderr.splitlines() if each.strip()]
    return lines or [f"the health check ended with {done.returncode}"]


def _has_token() -> bool:
    """Return whether Ray finds a token here."""
    return (
        bool(TOKEN_VARIABLES & os.environ.keys()) or (Path.home() / ".ray" / "auth_token").exists()
    )


def _token_fault(address: str) -> ClusterFault:
    return ClusterFault(
        f"the cluster at {address} refused this machine's token: put the head node's "
        "~/.ray/auth_token here too, or set RAY_AUTH_TOKEN"
    )


def _hide_ray_messages() -> None:
    """Keep Ray from writing of lost workers to standard output: we tell of them ourselves.

    There is no option for it; without this function of Ray's, its messages are shown.
    """
    import ray._private.worker as internals

    if hasattr(internals, "print_to_stdstream"):
        internals.print_to_stdstream = lambda *arguments, **options: None


@contextlib.contextmanager
def _settings_kept() -> Iterator[None]:
    """Restore the variables that Ray is told by, for what else this process does with Ray."""
    names = (AUTH_MODE, AUTH_TOKEN, STATISTICS, NICENESS, BEYOND_LOOPBACK, MEMORY_RETRIES)
    before = {name: os.environ[name] for name in names if name in os.environ}
    try:
        yield
    finally:
        for name in names:
            os.environ.pop(name, None)
        os.environ.update(before)
        if "ray" in sys.modules:
            _read_settings_again()


def _read_settings_again() -> None:
    """Tell a Ray that was imported earlier what the variables say now."""
    compiled: Any = importlib.import_module("ray._raylet")
    constants: Any = importlib.import_module("ray._private.ray_constants")
    compiled.Config.initialize("")
    is_linux = sys.platform not in ("darwin", "win32")
    constants.ENABLE_RAY_CLUSTER = constants.env_bool(BEYOND_LOOPBACK, is_linux)


@contextlib.contextmanager
def _handlers_kept() -> Iterator[None]:
    """Restore the handler of SIGTERM, which Ray replaces by one that saves nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, handler)


def run_task(
    function: Callable[..., Result], arguments: Sequence[Any] = (), num_gpus: float = 0.0
) -> Result:
    """Return what `function` returns; within a `ray_session`, it runs on the cluster.

    num_gpus: GPUs that it needs there, or a part of one. Function and arguments must be picklable.
    Raises what the function raises; ValueError when no machine of the cluster has so many GPUs;
    ClusterFault when its worker is lost again and again.
    """
    return run_tasks(function, [arguments], num_gpus)[0]


def run_tasks(
    function: Callable[..., Result], calls: Sequence[Sequence[Any]], num_gpus: float = 0.0
) -> list[Result]:
    """Return what `function` returns for each call's arguments, in their order; see `run_task`.

    At most as many run at once as the cluster has CPUs.
    """
    if not _open_sessions:
        return [function(*arguments) for arguments in calls]
    import ray
    from ray import exceptions

    name = getattr(function, "__name__", "the function")
    _check_gpus(name, num_gpus)
    remote = ray.remote(_carry_out).options(
        num_cpus=0,  # the evaluators, idle meanwhile, hold the CPUs
        num_gpus=num_gpus,
        max_retries=TASK_RETRIES,
        scheduling_strategy="SPREAD",
    )
    activations = own_activations()
    stored = {id(each): store_task(each) for call in calls for each in call if _is_task(each)}
    width = max(num_cpus(), 1)
    results: dict[int, Result] = {}
    running: dict[Any, int] = {}
    try:
        while len(results) < len(calls):
            place = len(results) + len(running)
            if place < len(calls) and len(running) < width:
                arguments = [stored.get(id(each), each) for each in calls[place]]
                running[remote.remote(activations, function, arguments)] = place
                continue
            ready, _ = ray.wait(list(running), num_returns=1)
            results[running[ready[0]]] = ray.get(ready[0])
            del running[ready[0]]
    except exceptions.RayTaskError as error:
        raise cause_of(error) from None
    except exceptions.RayError as error:
        raise ClusterFault(f"{name} could not be run on the cluster: {text_of(error)}") from error
    finally:
        for reference in running:
            ray.cancel(reference, force=True)
    return [results[place] for place in range(len(calls))]


def num_cpus() -> int:
    """Return how many CPUs the cluster has now."""
    import ray

    return int(ray.cluster_resources().get("CPU", 0))


def _check_gpus(name: str, num_gpus: float) -> None:
    """Raise ValueError when no machine has that many, for Ray would wait for ever."""
    import ray

    most = max(
        (each["Resources"].get("GPU", 0) for each in ray.nodes() if each["Alive"]), default=0
    )
    if num_gpus > most:
        raise ValueError(
            f"{name} needs {num_gpus:g} GPUs on one machine, but no machine of the cluster has "
            f"more than {most:g}"
        )


def _carry_out(
    activations: Sequence[Activation], function: Callable[..., Result], arguments: Sequence[Any]
) -> Result:
    """Return what a function returns in a worker."""
    use_kernel_cache()
    register(activations)
    import ray

    here = [ray.get(each) if isinstance(each, ray.ObjectRef) else each for each in arguments]
    own = [writable(each) if isinstance(each, Topologies) else each for each in here]
    return function(*own)


def _is_task(argument: Any) -> bool:
    return isinstance(argument, ControlTask | ImageTask)


def store_task(task: AnyTask) -> Any:
    """Return a reference to a task, its images with it, which each machine fetches once.

    Within a session a task is stored once, however often this is called.
    Raises ClusterFault when it is larger than a machine's object store: Ray would put it on disk
    here, but wait for ever there.
    """
    import ray
    from ray import exceptions, experimental

    for stored, reference in _stored_tasks:
        if stored is task:
            return reference
    try:
        reference = ray.put(portable(task))
    except (exceptions.ObjectStoreFullError, exceptions.OutOfDiskError) as error:
        raise ClusterFault(f"task {task.id!r} cannot be stored: {text_of(error)}") from error
    size = experimental.get_object_locations([reference])[reference]["object_size"]
    stores = [each["Resources"].get("object_store_memory", 0) for each in ray.nodes()]
    room = min((each for each in stores if each), default=0)
    if size > room:
        raise ClusterFault(
            f"task {task.id!r} takes {size / 1e6:.0f} MB, but the object store of a machine has "
            f"{room / 1e6:.0f} MB; give it more: ray start --object-store-memory BYTES"
        )
    if _open_sessions:
        _stored_tasks.append((task, reference))
    return reference


def cause_of(error: Exception) -> Exception:
    """Return what was raised on a worker, with its own text, for what Ray raises here."""
    from ray import exceptions

    cause = getattr(error, "cause", None)
    if isinstance(cause, exceptions.RaySystemError):  # what was sent could not be unpacked there
        cause = cause.client_exc
        if isinstance(cause, ModuleNotFoundError):
            return MissingDependency(
                f"a worker lacks module {cause.name!r}; install it on every machine of the cluster "
                "or put its folder on PYTHONPATH there"
            )
    return cause if isinstance(cause, Exception) else RuntimeError(text_of(error))
