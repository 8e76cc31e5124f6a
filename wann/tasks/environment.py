"""Gymnasium's registry and `make`, with errors that a user can act on."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping
from types import ModuleType
from typing import Any, TypeAlias

import gymnasium
from gymnasium.envs.registration import (
    EnvSpec,
    find_highest_version,
    get_env_id,
    parse_env_id,
    registry,
)
from gymnasium.error import DependencyNotInstalled

from wann.checks import nearest, unknown
from wann.tasks.card import shipped_cards
from wann.tasks.faults import EnvironmentFault, MissingDependency, describe

Env: TypeAlias = gymnasium.Env[Any, Any]
Wrapper: TypeAlias = Callable[..., Any]

EXTRAS = ("box2d", "mujoco")  # of wann-search, named as Gymnasium's folders of environments


def available_tasks() -> tuple[str, ...]:
    """Return the names of all tasks: those with a card that ships, then other Gymnasium ids."""
    cards = shipped_cards()
    return (*cards, *sorted(name for name in registry if name not in cards))


def resolve_spec(name: str) -> EnvSpec:
    """Return what is registered under a Gymnasium id; without a version, under the newest one.

    name: "Id-v0", "Id", "namespace/Id-v0", or any with "module:" before, which is imported first.
    The spec can be pickled, and a process that has it needs no registration.
    Raises ValueError, with the nearest name, when there is none, or when there is no such module.
    """
    module, _, environment_id = name.rpartition(":")
    if module:
        import_named(module, name)
    if environment_id not in registry:
        environment_id = _newest(environment_id)
    if environment_id not in registry:
        prefixed = [f"{module}:{each}" for each in registry] if module else []
        known = [*available_tasks(), *prefixed]
        raise unknown("task", name, known, "`wann tasks --all` names all")
    return registry[environment_id]


def _newest(environment_id: str) -> str:
    """Return the id with its newest version when it has none, else the id itself."""
    try:
        namespace, name, version = parse_env_id(environment_id)
    except gymnasium.error.Error:
        return environment_id
    if version is not None:
        return environment_id
    return get_env_id(namespace, name, find_highest_version(namespace, name))


def import_named(module: str, name: str) -> ModuleType:
    """Return the module that `name`, "module:something", stands on.

    Raises ValueError when there is no such module, MissingDependency when it needs a package that
    is not installed, EnvironmentFault when importing it fails in another way.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name and f"{module}.".startswith(f"{error.name}."):
            raise ValueError(
                f"no module {module!r} for {name!r}; install it or put its folder on PYTHONPATH"
            ) from None
        raise _missing(name, error) from error
    except Exception as error:
        raise EnvironmentFault(
            f"module {module!r} for {name!r} cannot be imported: {describe(error)}"
        ) from error


def make_environment(
    spec: EnvSpec, arguments: Mapping[str, Any], wrappers: Iterable[str], max_steps: int
) -> Env:
    """Return a new environment, unchecked by Gymnasium, cut after `max_steps`, in its wrappers.

    arguments: keyword arguments of `gymnasium.make`. wrappers: "module:Class", innermost first.
    Raises MissingDependency when a package is not installed, ValueError when the environment does
    not take the arguments, or a wrapper does not exist or returns something else, EnvironmentFault
    when making fails.
    """
    loaded = [(each, load_wrapper(each)) for each in wrappers]
    broken = ""
    try:
        environment = gymnasium.make(
            spec, max_episode_steps=max_steps, disable_env_checker=True, **arguments
        )
        for name, wrapper in loaded:
            environment = wrapper(environment)
            if not isinstance(environment, gymnasium.Env):
                broken = (
                    f"wrapper {name!r} must return a Gymnasium environment, not {environment!r}"
                )
                break
    except (DependencyNotInstalled, ImportError) as error:
        raise _missing(spec.id, error, _extra(spec)) from error
    except Exception as error:
        if isinstance(error, TypeError) and arguments:
            raise ValueError(
                f"environment {spec.id!r} does not take the arguments {dict(arguments)!r}: "
                f"{describe(error)}"
            ) from error
        raise EnvironmentFault(
            f"environment {spec.id!r} could not be made: {describe(error)}"
        ) from error
    if broken:
        raise ValueError(broken)
    return environment


def load_wrapper(name: str) -> Wrapper:
    """Return the wrapper class "module:Class". Raises ValueError when there is none."""
    module_name, _, class_name = name.partition(":")
    module = import_named(module_name, name)
    wrapper: Any = getattr(module, class_name, None)
    if not callable(wrapper):
        near = nearest(class_name, [each for each in vars(module) if each[0].isupper()])
        raise ValueError(f"no class {class_name!r} in module {module_name!r}{near}")
    return wrapper


def _extra(spec: EnvSpec) -> str:
    """Return the extra of wann-search that installs what this environment needs, or ""."""
    for extra in EXTRAS:
        if f"gymnasium.envs.{extra}" in str(spec.entry_point):
            return extra
    return ""


def _missing(name: str, error: Exception, extra: str = "") -> MissingDependency:
    if extra:
        needs = f"a package that is not installed; pip install 'wann-search[{extra}]'"
    elif isinstance(error, ModuleNotFoundError) and error.name:
        needs = f"module {error.name!r}, which is not installed; install it with pip"
    else:
        needs = f"something that is not installed: {describe(error)}"
    return MissingDependency(f"{name!r} needs {needs}")
