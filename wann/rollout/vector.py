"""SIMD values for Numba kernels: WIDTH float64 or WIDTH32 float32 lanes, with operators.

LLVM vectorises a loop over lanes only when it can prove a great deal about it, and stops doing so
when the body grows (a network and its physics), without a word. A value that *is* an LLVM vector
cannot be missed: every operation below is one vector instruction. A processor with narrower
registers works through it in halves or quarters.

Types: `vector` (WIDTH x float64), `vector32` (WIDTH32 x float32), and for each a mask of as many
bits. In kernels: + - * / and comparisons between vectors of one type, or a vector and a number,
which takes the vector's type; & | ~ between masks; and the functions of this file.
An operation treats each lane alone, so a lane's result never depends on its neighbours.
Annotations in kernels say what a value is there, and Numba ignores them: `Vector` and `Mask` for
values of the two types, `Lanes` for the array that vectors are loaded from. In an operation, what
is annotated is the function that Numba calls while it compiles, with types in place of values.
Numba is imported here: import this file from kernels only.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
from jaxtyping import Float32, Float64
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.core.base import BaseContext
from numba.core.datamodel.manager import DataModelManager
from numba.core.typing.context import BaseContext as TypingContext
from numba.core.typing.templates import AbstractTemplate, Signature, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

WIDTH = 8  # lanes; one AVX-512 register of float64
WIDTH32 = 16  # lanes; the same register of float32

_INT32 = ir.IntType(32)
_INT64 = ir.IntType(64)
_VECTOR = ir.VectorType(ir.DoubleType(), WIDTH)
_VECTOR_OF_FLOAT32 = ir.VectorType(ir.FloatType(), WIDTH)
_CONTRACT = ("contract",)  # let a * b + c become one fused operation; nothing looser

Lanes: TypeAlias = Float64[np.ndarray, "rows L"]  # C-contiguous; the rows: `wann.rollout.layout`
Lanes32: TypeAlias = Float32[np.ndarray, "rows L"]  # C-contiguous
Builder: TypeAlias = Any  # llvmlite.ir.IRBuilder, whose decorated methods show no return types
Operation: TypeAlias = tuple[Signature, Callable[..., ir.Value]]  # its types, and how to emit it


class Vector(Protocol):  # noqa: PLW1641  # nothing hashes it
    """A value of the type `vector` or `vector32` as a kernel sees it, for annotations."""

    def __add__(self, other: Vector | float) -> Vector: ...
    def __radd__(self, other: float) -> Vector: ...
    def __sub__(self, other: Vector | float) -> Vector: ...
    def __rsub__(self, other: float) -> Vector: ...
    def __mul__(self, other: Vector | float) -> Vector: ...
    def __rmul__(self, other: float) -> Vector: ...
    def __truediv__(self, other: Vector | float) -> Vector: ...
    def __rtruediv__(self, other: float) -> Vector: ...
    def __neg__(self) -> Vector: ...
    def __lt__(self, other: Vector | float) -> Mask: ...
    def __le__(self, other: Vector | float) -> Mask: ...
    def __gt__(self, other: Vector | float) -> Mask: ...
    def __ge__(self, other: Vector | float) -> Mask: ...
    def __eq__(self, other: object) -> Mask: ...  # pyright: ignore[reportIncompatibleMethodOverride]


class Mask(Protocol):
    """A mask as a kernel sees it, for annotations."""

    def __and__(self, other: Mask) -> Mask: ...
    def __or__(self, other: Mask) -> Mask: ...
    def __invert__(self) -> Mask: ...


class VectorType(types.Type):
    """A register of lanes.

    element: the type of one lane. width: how many there are.
    """

    def __init__(self, element: types.Float, width: int) -> None:
        super().__init__(name=f"Vector({width} x {element})")
        self.element = element
        self.width = width

    @property
    def llvm(self) -> ir.VectorType:
        """The type that LLVM knows."""
        number = ir.DoubleType() if self.element == types.float64 else ir.FloatType()
        return ir.VectorType(number, self.width)


class MaskType(types.Type):
    """As many truth values."""

    def __init__(self, width: int) -> None:
        super().__init__(name=f"Mask({width})")
        self.width = width


vector = VectorType(types.float64, WIDTH)
vector32 = VectorType(types.float32, WIDTH32)
_mask_of = {each: MaskType(each.width) for each in (vector, vector32)}
_vector_of = {each.element: each for each in _mask_of}


@register_model(VectorType)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, dmm: DataModelManager, fe_type: VectorType) -> None:
        super().__init__(dmm, fe_type, fe_type.llvm)


@register_model(MaskType)
class _MaskModel(models.PrimitiveModel):
    def __init__(self, dmm: DataModelManager, fe_type: MaskType) -> None:
        super().__init__(dmm, fe_type, ir.VectorType(ir.IntType(1), fe_type.width))


def _operation(codegen: Callable[..., Any]) -> Callable[..., Any]:
    """Return Numba's intrinsic; kernels call it without the first parameter, the typing context."""
    return intrinsic(codegen)


def _vector_among(operands: Sequence[types.Type]) -> VectorType | None:
    """Return the vector type of operands that are vectors and numbers; None if they differ."""
    found = {each for each in operands if isinstance(each, VectorType)}
    others = [each for each in operands if not isinstance(each, VectorType)]
    if len(found) != 1 or not all(isinstance(each, types.Float | types.Integer) for each in others):
        return None
    return found.pop()


def _as_vector(
    context: BaseContext,
    builder: Builder,
    wanted: VectorType,
    numba_type: types.Type,
    value: ir.Value,
) -> ir.Value:
    """Return the LLVM vector of an operand: itself, or a number repeated in every lane."""
    if numba_type == wanted:
        return value
    number = context.cast(builder, value, numba_type, wanted.element)
    undefined = ir.Constant(wanted.llvm, ir.Undefined)
    first = builder.insert_element(undefined, number, ir.Constant(_INT32, 0))
    return builder.shuffle_vector(
        first, undefined, ir.Constant(ir.VectorType(_INT32, wanted.width), [0] * wanted.width)
    )


def _define_operator(
    symbol: Callable[..., Any],
    kind: Literal["arithmetic", "comparison", "logic"],
    emit: Callable[..., ir.Value],
) -> None:
    """Give Python's operator `symbol` a meaning: for two masks if it is logic, else for vectors.

    emit: called with the builder and both values.
    """

    @infer_global(symbol)  # pyright: ignore[reportOptionalCall]
    class _Template(AbstractTemplate):
        def generic(self, args, kws):
            if kind == "logic":
                fits = isinstance(args[0], MaskType) and args[0] == args[1]
                return signature(args[0], *args) if fits else None
            found = _vector_among(args)
            if found is None:
                return None
            return signature(found if kind == "arithmetic" else _mask_of[found], *args)

    def lower(context, builder, sig, args):
        if kind == "logic":
            return emit(builder, *args)
        wanted = next(each for each in sig.args if isinstance(each, VectorType))
        values = zip(sig.args, args, strict=True)
        return emit(builder, *(_as_vector(context, builder, wanted, *each) for each in values))

    if kind == "logic":
        lower_builtin(symbol, MaskType, MaskType)(lower)
        return
    for first in (VectorType, types.Float, types.Integer):
        for second in (VectorType, types.Float, types.Integer):
            if VectorType in (first, second):
                lower_builtin(symbol, first, second)(lower)


for _symbol, _name in (
    (operator.add, "fadd"),
    (operator.sub, "fsub"),
    (operator.mul, "fmul"),
    (operator.truediv, "fdiv"),
):
    _flags = () if _name == "fdiv" else _CONTRACT
    _define_operator(
        _symbol,
        "arithmetic",
        lambda builder, a, b, name=_name, flags=_flags: getattr(builder, name)(a, b, flags=flags),
    )
for _symbol, _name in (
    (operator.lt, "<"),
    (operator.le, "<="),
    (operator.gt, ">"),
    (operator.ge, ">="),
    (operator.eq, "=="),
):
    _define_operator(  # ordered: false when a lane is NaN, as in NumPy
        _symbol,
        "comparison",
        lambda builder, a, b, name=_name: builder.fcmp_ordered(name, a, b),
    )
for _symbol, _name in ((operator.and_, "and_"), (operator.or_, "or_")):
    _define_operator(
        _symbol, "logic", lambda builder, a, b, name=_name: getattr(builder, name)(a, b)
    )


@infer_global(operator.neg)  # pyright: ignore[reportOptionalCall]
class _Negation(AbstractTemplate):
    def generic(self, args: Sequence[types.Type], kws: dict[str, types.Type]) -> Signature | None:
        return signature(args[0], *args) if isinstance(args[0], VectorType) else None


@lower_builtin(operator.neg, VectorType)
def _negate(
    context: BaseContext, builder: Builder, sig: Signature, args: Sequence[ir.Value]
) -> ir.Value:
    return builder.fneg(args[0])


@infer_global(operator.invert)  # pyright: ignore[reportOptionalCall]
class _Inversion(AbstractTemplate):
    def generic(self, args: Sequence[types.Type], kws: dict[str, types.Type]) -> Signature | None:
        return signature(args[0], *args) if isinstance(args[0], MaskType) else None


@lower_builtin(operator.invert, MaskType)
def _invert(
    context: BaseContext, builder: Builder, sig: Signature, args: Sequence[ir.Value]
) -> ir.Value:
    return builder.not_(args[0])


@_operation
def splat(typingctx: TypingContext, number: types.Type) -> Operation:
    """Return a vector of float64 with this number in every lane."""

    def codegen(context, builder, sig, args):
        return _as_vector(context, builder, vector, sig.args[0], args[0])

    return vector(number), codegen


@_operation
def splat32(typingctx: TypingContext, number: types.Type) -> Operation:
    """Return a vector of float32 with this number in every lane."""

    def codegen(context, builder, sig, args):
        return _as_vector(context, builder, vector32, sig.args[0], args[0])

    return vector32(number), codegen


def _place(
    context: BaseContext, builder: Builder, sig: Signature, args: Sequence[ir.Value]
) -> ir.Value:
    """Return the address of the vector at array[row, lane]."""
    array = context.make_array(sig.args[0])(context, builder, args[0])
    indices = [context.cast(builder, args[k], sig.args[k], types.intp) for k in (1, 2)]
    item = cgutils.get_item_pointer(context, builder, sig.args[0], array, indices)
    return builder.bitcast(item, _vector_in(sig.args[0]).llvm.as_pointer())


def _vector_in(array: types.Type) -> VectorType:
    """Return the type of the vectors that an array is made of."""
    return _vector_of[array.dtype]  # pyright: ignore[reportAttributeAccessIssue]


@_operation
def product(typingctx: TypingContext, a: types.Type, b: types.Type) -> Operation:
    """Return a * b rounded, as NumPy rounds it: never fused into a sum that follows."""

    def codegen(context, builder, sig, args):
        return builder.fmul(*args)

    return signature(a, a, b), codegen


@_operation
def load(
    typingctx: TypingContext, array: types.Type, row: types.Type, lane: types.Type
) -> Operation:
    """Return the vector that starts at array[row, lane] of a `Lanes` or `Lanes32` array."""

    def codegen(context, builder, sig, args):
        value = builder.load(_place(context, builder, sig, args))
        value.align = sig.return_type.element.bitwidth // 8
        return value

    return signature(_vector_in(array), array, row, lane), codegen


@_operation
def load_flat(typingctx: TypingContext, array: types.Type, position: types.Type) -> Operation:
    """Return the vector that starts at this position of such an array, read flat."""

    def codegen(context, builder, sig, args):
        array = context.make_array(sig.args[0])(context, builder, args[0])
        index = context.cast(builder, args[1], sig.args[1], types.intp)
        item = builder.gep(array.data, [index])
        value = builder.load(builder.bitcast(item, sig.return_type.llvm.as_pointer()))
        value.align = sig.return_type.element.bitwidth // 8
        return value

    return signature(_vector_in(array), array, position), codegen


@_operation
def store(
    typingctx: TypingContext,
    array: types.Type,
    row: types.Type,
    lane: types.Type,
    value: types.Type,
) -> Operation:
    """Set the lanes from array[row, lane] on to a vector, or to one number."""

    def codegen(context, builder, sig, args):
        kind = _vector_in(sig.args[0])
        stored = builder.store(
            _as_vector(context, builder, kind, sig.args[3], args[3]),
            _place(context, builder, sig, args),
        )
        stored.align = kind.element.bitwidth // 8
        return context.get_dummy_value()

    return types.void(array, row, lane, value), codegen


@_operation
def select(typingctx: TypingContext, chosen: types.Type, a: types.Type, b: types.Type) -> Operation:
    """Return, lane by lane, a where the mask `chosen` is set and b elsewhere."""

    def codegen(context, builder, sig, args):
        kind = sig.return_type
        first = _as_vector(context, builder, kind, sig.args[1], args[1])
        second = _as_vector(context, builder, kind, sig.args[2], args[2])
        return builder.select(args[0], first, second)

    kind = next(each for each, its_mask in _mask_of.items() if its_mask == chosen)
    return signature(kind, chosen, a, b), codegen


def _call_llvm(builder: Builder, name: str, kind: VectorType, args: Sequence[ir.Value]) -> ir.Value:
    """Return what LLVM's own function `name` makes of vectors of this type."""
    function = cgutils.get_or_insert_function(
        builder.module,
        ir.FunctionType(kind.llvm, [kind.llvm] * len(args)),
        f"llvm.{name}.v{kind.width}f{kind.element.bitwidth}",
    )
    return builder.call(function, args)


def _unary(name: str) -> Callable[..., Any]:
    """Return the LLVM operation `name` as a function of one vector."""

    @_operation
    def operation(typingctx: TypingContext, x: types.Type) -> Operation:
        def codegen(context, builder, sig, args):
            return _call_llvm(builder, name, sig.return_type, args)

        return signature(x, x), codegen

    return operation


rint = _unary("rint")  # to the nearest whole number, ties to even, as numpy.round
floor = _unary("floor")
fabs = _unary("fabs")


@_operation
def copysign(typingctx: TypingContext, x: types.Type, sign: types.Type) -> Operation:
    """Return x with the signs of the vector `sign`."""

    def codegen(context, builder, sig, args):
        return _call_llvm(builder, "copysign", sig.return_type, args)

    return signature(x, x, sign), codegen


@_operation
def round32(typingctx: TypingContext, x: types.Type) -> Operation:
    """Return x rounded to float32, as a vector of float64."""

    def codegen(context, builder, sig, args):
        return builder.fpext(builder.fptrunc(args[0], _VECTOR_OF_FLOAT32), _VECTOR)

    return vector(x), codegen


@_operation
def square32(typingctx: TypingContext, x: types.Type) -> Operation:
    """Return the squares that C's powf gives for the float32 values x, as NumPy's scalar x**2 does.

    Once in some thousand values powf rounds to the other neighbour than x * x does.
    """

    def codegen(context, builder, sig, args):
        number = ir.FloatType()
        power = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(number, [number, number]), "powf"
        )
        power.attributes.add("nobuiltin")  # LLVM would turn a power of 2 into a product
        narrow = builder.fptrunc(args[0], _VECTOR_OF_FLOAT32)
        result = ir.Constant(_VECTOR_OF_FLOAT32, ir.Undefined)
        for lane in range(WIDTH):
            index = ir.Constant(_INT32, lane)
            value = builder.extract_element(narrow, index)
            squared = builder.call(power, [value, ir.Constant(number, 2.0)])
            result = builder.insert_element(result, squared, index)
        return builder.fpext(result, _VECTOR)

    return vector(x), codegen


@_operation
def pow2(typingctx: TypingContext, k: types.Type) -> Operation:
    """Return 2^k for whole k: from -1022 to 1023, of float32 from -126 to 127."""

    def codegen(context, builder, sig, args):
        # Adding 1.5 * 2^(digits) puts k into the low bits, from where it moves up to the exponent.
        kind = sig.return_type
        size, digits, bias = (64, 52, 1023) if kind == vector else (32, 23, 127)
        whole = ir.VectorType(ir.IntType(size), kind.width)
        magic = ir.Constant(kind.llvm, [1.5 * 2.0**digits] * kind.width)
        low_bits = builder.bitcast(builder.fadd(args[0], magic), whole)
        biased = builder.add(low_bits, ir.Constant(whole, [bias] * kind.width))
        exponent = builder.shl(biased, ir.Constant(whole, [digits] * kind.width))
        return builder.bitcast(exponent, kind.llvm)

    return signature(k, k), codegen


@_operation
def bits(typingctx: TypingContext, chosen: types.Type) -> Operation:
    """Return a mask as an int64 whose bit k is lane k; 0 when no lane is set."""

    def codegen(context, builder, sig, args):
        return builder.zext(builder.bitcast(args[0], ir.IntType(sig.args[0].width)), _INT64)

    return types.int64(chosen), codegen


@njit(error_model="numpy", forceinline=True)
def clip(x: Vector, low: Vector | float, high: Vector | float) -> Vector:
    """Return x limited to [low, high]; NaN stays NaN, as in numpy.clip."""
    x = select(x < low, low, x)
    return select(x > high, high, x)
