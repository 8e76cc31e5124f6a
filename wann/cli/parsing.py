"""Dataclasses as command-line options: what was typed, and errors of one line."""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import functools
import inspect
import io
import re
import textwrap
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, Any

from wann.checks import nearest

UNTYPED = None  # the value of an option that was not typed
TRUTHS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@functools.cache
def field_help(options: type) -> dict[str, str]:
    """Return the text that stands under each field of a dataclass in its source."""
    source = ast.parse(textwrap.dedent(inspect.getsource(options))).body[0]
    texts: dict[str, str] = {}
    name = ""
    for statement in getattr(source, "body", []):
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            name = statement.target.id
        elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant) and name:
            texts[name] = " ".join(str(statement.value.value).split())
            name = ""
        else:
            name = ""
    return texts


def parse_typed(
    argv: Sequence[str],
    prog: str,
    description: str,
    groups: Mapping[str, tuple[type, Sequence[str]]],
    metavars: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, Any]:
    """Return the options that were typed, by field name; what was not typed is left out.

    groups: by title, a dataclass and the fields of it that stand under that title in the help. A
        field's type, default, docstring and metadata make the option: "metavar" names its value,
        "positional" makes it an argument, "flag" an option without a value.
    metavars: names of values for fields that have no such metadata.
    Prints the help and raises SystemExit(0) when that was asked for. Raises ValueError of one line
    for an unknown option, with the nearest one, a missing value and one of the wrong type.
    """
    import tyro

    sections = {
        title: dataclasses.make_dataclass(
            title, [_option(options, name, metavars.get(name, "")) for name in names]
        )
        for title, (options, names) in groups.items()
    }
    whole = dataclasses.make_dataclass(
        "Options",
        [
            (title, section, dataclasses.field(default_factory=section))
            for title, section in sections.items()
        ],
    )
    errors = io.StringIO()
    try:
        with contextlib.redirect_stderr(errors):
            parsed, unknown = tyro.cli(
                tyro.conf.OmitArgPrefixes[whole],
                args=list(argv),
                prog=prog,
                description=description,
                return_unknown_args=True,
            )
    except SystemExit as stop:
        if not stop.code:
            raise
        raise ValueError(_plain(errors.getvalue())) from None
    if unknown:
        names = [name for _, fields in groups.values() for name in fields]
        raise _not_understood(unknown[0], names, prog)
    found: dict[str, Any] = {}
    for section in vars(parsed).values():
        found |= vars(section)
    for name, value in found.items():
        if value == "":
            raise ValueError(
                f"--{name.replace('_', '-')}: a value was wanted, but '' was given; "
                "leave it out for the default"
            )
    flags = {each.name for group, _ in groups.values() for each in _flags(group)}
    return {
        name: value
        for name, value in found.items()
        if value is not UNTYPED and (value or name not in flags)
    }


def _flags(options: type) -> list[dataclasses.Field[Any]]:
    return [each for each in dataclasses.fields(options) if each.metadata.get("flag")]


def _plain(box: str) -> str:
    """Return the message in one of tyro's boxes, which may be drawn in ASCII, as one line."""
    blocks: list[list[str]] = [[]]
    for line in re.sub(r"\x1b\[[0-9;]*m", "", box).splitlines():
        text = line.strip("│ ")
        if text.startswith(("╭", "╰")) or not text.strip("─-"):
            blocks.append([])
        else:
            blocks[-1].append(text)
    texts = [" ".join(block) for block in blocks if block]
    for text in texts:
        if missing := re.match(r"Missing value for argument '(\S+)'", text):
            return f"{missing[1]} needs a value"
        if text.startswith("Error parsing "):
            return text.removeprefix("Error parsing ")
    return "; ".join(texts)


def _not_understood(token: str, names: list[str], prog: str) -> ValueError:
    option = token.partition("=")[0]
    if not option.startswith("-"):
        return ValueError(f"{token!r} is one argument too many (`{prog} --help` names all)")
    known = [f"--{name.replace('_', '-')}" for name in names]
    near = nearest(option.replace("_", "-"), known)
    return ValueError(f"no option {option!r}{near} (`{prog} --help` names all)")


def _option(options: type, name: str, metavar: str) -> tuple[str, Any, Any]:
    """Return a field of the dataclass that tyro is given: UNTYPED, until something is typed."""
    import tyro
    from tyro.constructors import PrimitiveConstructorSpec

    field = next(each for each in dataclasses.fields(options) if each.name == name)
    text = field_help(options)[name]
    if field.metadata.get("flag"):
        flag = tyro.conf.arg(help=text, help_behavior_hint="")
        return name, Annotated[bool, flag, tyro.conf.FlagCreatePairsOff], False
    kind = _plain_type(typing.get_type_hints(options)[name])
    metavar = metavar or field.metadata.get("metavar", _METAVARS[kind])
    convert = _CONVERTERS[kind]
    spec = PrimitiveConstructorSpec(
        nargs="*" if kind is tuple else 1,
        metavar=metavar,
        instance_from_str=convert,
        is_instance=lambda value: True,
        str_from_instance=lambda value: [str(value)],
    )
    look = tyro.conf.arg(help=text, help_behavior_hint=_default_hint(field.default))
    if field.metadata.get("positional"):
        return name, Annotated[Any, spec, look, tyro.conf.Positional], UNTYPED
    return name, Annotated[Any, spec, look], UNTYPED


def _plain_type(hint: Any) -> type:
    """Return int for `int | None`, tuple for `tuple[str, ...]`, and so on."""
    if isinstance(hint, types.UnionType):
        hint = next(each for each in typing.get_args(hint) if each is not type(None))
    return typing.get_origin(hint) or hint


def _default_hint(default: Any) -> str:
    if default in (None, "", ()):
        return ""
    if isinstance(default, bool):
        return f"({str(default).lower()})"
    return f"({','.join(default) if isinstance(default, tuple) else default})"


def _whole_number(texts: list[str]) -> int:
    try:
        return int(texts[0])
    except ValueError:
        raise ValueError(f"a whole number was wanted, but {texts[0]!r} was given") from None


def _number(texts: list[str]) -> float:
    try:
        return float(texts[0])
    except ValueError:
        raise ValueError(f"a number was wanted, but {texts[0]!r} was given") from None


def _truth(texts: list[str]) -> bool:
    if texts[0].lower() not in TRUTHS:
        raise ValueError(f"true or false was wanted, but {texts[0]!r} was given")
    return TRUTHS[texts[0].lower()]


def _names(texts: list[str]) -> tuple[str, ...]:
    return tuple(name for text in texts for name in text.split(",") if name)


_CONVERTERS: dict[type, Callable[[list[str]], Any]] = {
    int: _whole_number,
    float: _number,
    bool: _truth,
    str: lambda texts: texts[0],
    tuple: _names,
}
_METAVARS = {int: "N", float: "X", bool: "true|false", str: "TEXT", tuple: "LIST"}
