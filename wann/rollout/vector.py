"""A SIMD value for Numba kernels: WIDTH float64 lanes in one register, with operators.

LLVM vectorises a loop over lanes only when it can prove a great deal about it, and stops doing so
when the body grows (a network and its physics), without a word. A value that *is* an LLVM vector
cannot be missed: every operation below is one vector instruction. A processor with narrower
registers than WIDTH works through it in halves or quarters.

Types: `vector` (WIDTH x float64) and `mask` (WIDTH x bit). In kernels: + - * / and comparisons
between vectors, or a vector and a number; & | ~ between masks; and the functions of this file.
An operation treats each lane alone, so a lane's result never depends on its neighbours.
Numba is imported here: import this file from kernels only.
"""

import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

WIDTH = 8  # lanes; one AVX-512 register of float64

_INT32 = ir.IntType(32)
_INT64 = ir.IntType(64)
_VECTOR = ir.VectorType(ir.DoubleType(), WIDTH)
_VECTOR_OF_FLOAT32 = ir.VectorType(ir.FloatType(), WIDTH)
_VECTOR_OF_INT64 = ir.VectorType(_INT64, WIDTH)
_MASK = ir.VectorType(ir.IntType(1), WIDTH)
_BITS = ir.IntType(WIDTH)
_CONTRACT = ("contract",)  # let a * b + c become one fused operation; nothing looser


class VectorType(types.Type):
    """WIDTH float64 lanes."""

    def __init__(self) -> None:
        super().__init__(name=f"Vector({WIDTH})")


class MaskType(types.Type):
    """WIDTH truth values."""

    def __init__(self) -> None:
        super().__init__(name=f"Mask({WIDTH})")


vector = VectorType()
mask = MaskType()


@register_model(VectorType)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, dmm, fe_type):
        super().__init__(dmm, fe_type, _VECTOR)


@register_model(MaskType)
class _MaskModel(models.PrimitiveModel):
    def __init__(self, dmm, fe_type):
        super().__init__(dmm, fe_type, _MASK)


def _operation(codegen: Callable[..., Any]) -> Callable[..., Any]:
    """Return Numba's intrinsic; kernels call it without the first parameter, the typing context."""
    return intrinsic(codegen)


def _is_operand(numba_type):
    return numba_type == vector or isinstance(numba_type, types.Float | types.Integer)


def _as_vector(context, builder, numba_type, value):
    """Return the LLVM vector of an operand: itself, or a number repeated in every lane."""
    if numba_type == vector:
        return value
    number = context.cast(builder, value, numba_type, types.float64)
    undefined = ir.Constant(_VECTOR, ir.Undefined)
    first = builder.insert_element(undefined, number, ir.Constant(_INT32, 0))
    return builder.shuffle_vector(
        first, undefined, ir.Constant(ir.VectorType(_INT32, WIDTH), [0] * WIDTH)
    )


def _define_operator(symbol, operands, result, emit):
    """Give Python's operator `symbol` a meaning for `operands`, "vectors" or "masks"."""

    @infer_global(symbol)  # pyright: ignore[reportOptionalCall]
    class _Template(AbstractTemplate):
        def generic(self, args, kws):
            if operands == "masks":
                fits = all(each == mask for each in args)
            else:
                fits = vector in args and all(_is_operand(each) for each in args)
            return signature(result, *args) if fits else None

    def lower(context, builder, sig, args):
        if operands == "masks":
            return emit(builder, *args)
        values = zip(sig.args, args, strict=True)
        return emit(builder, *(_as_vector(context, builder, *each) for each in values))

    if operands == "masks":
        lower_builtin(symbol, mask, mask)(lower)
        return
    for first in (vector, types.Float, types.Integer):
        for second in (vector, types.Float, types.Integer):
            if vector in (first, second):
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
        "vectors",
        vector,
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
        "vectors",
        mask,
        lambda builder, a, b, name=_name: builder.fcmp_ordered(name, a, b),
    )
for _symbol, _name in ((operator.and_, "and_"), (operator.or_, "or_")):
    _define_operator(
        _symbol, "masks", mask, lambda builder, a, b, name=_name: getattr(builder, name)(a, b)
    )


@infer_global(operator.neg)  # pyright: ignore[reportOptionalCall]
class _Negation(AbstractTemplate):
    def generic(self, args, kws):
        return signature(vector, vector) if args == (vector,) else None


@lower_builtin(operator.neg, vector)
def _negate(context, builder, sig, args):
    return builder.fneg(args[0])


@infer_global(operator.invert)  # pyright: ignore[reportOptionalCall]
class _Inversion(AbstractTemplate):
    def generic(self, args, kws):
        return signature(mask, mask) if args == (mask,) else None


@lower_builtin(operator.invert, mask)
def _invert(context, builder, sig, args):
    return builder.not_(args[0])


@_operation
def splat(typingctx, number):
    """Return a vector with this number in every lane."""

    def codegen(context, builder, sig, args):
        return _as_vector(context, builder, sig.args[0], args[0])

    return vector(number), codegen


def _place(context, builder, sig, args):
    """Return the address of the vector at array[row, lane]."""
    array = context.make_array(sig.args[0])(context, builder, args[0])
    indices = [context.cast(builder, args[k], sig.args[k], types.intp) for k in (1, 2)]
    item = cgutils.get_item_pointer(context, builder, sig.args[0], array, indices)
    return builder.bitcast(item, _VECTOR.as_pointer())


@_operation
def product(typingctx, a, b):
    """Return a * b rounded, as NumPy rounds it: never fused into a sum that follows."""

    def codegen(context, builder, sig, args):
        return builder.fmul(*args)

    return vector(a, b), codegen


@_operation
def load(typingctx, array, row, lane):
    """Return the vector array[row, lane : lane + WIDTH] of a C-contiguous float64 array."""

    def codegen(context, builder, sig, args):
        value = builder.load(_place(context, builder, sig, args))
        value.align = 8
        return value

    return vector(array, row, lane), codegen


@_operation
def load_flat(typingctx, array, position):
    """Return the vector that starts at this position of a C-contiguous float64 array, read flat."""

    def codegen(context, builder, sig, args):
        array = context.make_array(sig.args[0])(context, builder, args[0])
        index = context.cast(builder, args[1], sig.args[1], types.intp)
        item = builder.gep(array.data, [index])
        value = builder.load(builder.bitcast(item, _VECTOR.as_pointer()))
        value.align = 8
        return value

    return vector(array, position), codegen


@_operation
def store(typingctx, array, row, lane, value):
    """Set array[row, lane : lane + WIDTH] to a vector, or to one number."""

    def codegen(context, builder, sig, args):
        stored = builder.store(
            _as_vector(context, builder, sig.args[3], args[3]), _place(context, builder, sig, args)
        )
        stored.align = 8
        return context.get_dummy_value()

    return types.void(array, row, lane, value), codegen


@_operation
def select(typingctx, chosen, a, b):
    """Return, lane by lane, a where the mask `chosen` is set and b elsewhere."""

    def codegen(context, builder, sig, args):
        first = _as_vector(context, builder, sig.args[1], args[1])
        second = _as_vector(context, builder, sig.args[2], args[2])
        return builder.select(args[0], first, second)

    return vector(chosen, a, b), codegen


def _unary(name):
    """Return the LLVM operation `name` as a function of one vector."""

    @_operation
    def operation(typingctx, x):
        def codegen(context, builder, sig, args):
            function_type = ir.FunctionType(_VECTOR, [_VECTOR])
            function = cgutils.get_or_insert_function(
                builder.module, function_type, f"llvm.{name}.v{WIDTH}f64"
            )
            return builder.call(function, args)

        return vector(x), codegen

    return operation


rint = _unary("rint")  # to the nearest whole number, ties to even, as numpy.round
floor = _unary("floor")
fabs = _unary("fabs")


@_operation
def copysign(typingctx, x, sign):
    """Return x with the signs of the vector `sign`."""

    def codegen(context, builder, sig, args):
        function_type = ir.FunctionType(_VECTOR, [_VECTOR, _VECTOR])
        function = cgutils.get_or_insert_function(
            builder.module, function_type, f"llvm.copysign.v{WIDTH}f64"
        )
        return builder.call(function, args)

    return vector(x, sign), codegen


@_operation
def round32(typingctx, x):
    """Return x rounded to float32, as a vector of float64."""

    def codegen(context, builder, sig, args):
        return builder.fpext(builder.fptrunc(args[0], _VECTOR_OF_FLOAT32), _VECTOR)

    return vector(x), codegen


@_operation
def square32(typingctx, x):
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
def pow2(typingctx, k):
    """Return 2^k for whole k from -1022 to 1023."""

    def codegen(context, builder, sig, args):
        # Adding 1.5 * 2^52 puts k into the low bits, from where it moves up to the exponent's.
        magic = ir.Constant(_VECTOR, [6755399441055744.0] * WIDTH)
        low_bits = builder.bitcast(builder.fadd(args[0], magic), _VECTOR_OF_INT64)
        biased = builder.add(low_bits, ir.Constant(_VECTOR_OF_INT64, [1023] * WIDTH))
        exponent = builder.shl(biased, ir.Constant(_VECTOR_OF_INT64, [52] * WIDTH))
        return builder.bitcast(exponent, _VECTOR)

    return vector(k), codegen


@_operation
def bits(typingctx, chosen):
    """Return a mask as an int64 whose bit k is lane k; 0 when no lane is set."""

    def codegen(context, builder, sig, args):
        return builder.zext(builder.bitcast(args[0], _BITS), _INT64)

    return types.int64(chosen), codegen


@njit(error_model="numpy", forceinline=True)
def clip(x, low, high):
    """Return x limited to [low, high]; NaN stays NaN, as in numpy.clip."""
    x = select(x < low, low, x)
    return select(x > high, high, x)
