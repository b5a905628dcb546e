# mypy: disable-error-code="misc"
"""Sixteen channels at a time: a vector type for numba kernels.

``lanes`` is LLVM's ``<16 x float>``: one register of AVX-512, two of AVX2, four of NEON. Kernels
that say what is a vector run about 1.6 times faster than loops in which LLVM has to find out,
because it then keeps running sums in registers. Indices count single floats; they neither wrap nor
are they checked.
"""

import operator
from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import cgutils, types
from numba.core.base import BaseContext
from numba.core.datamodel.manager import DataModelManager
from numba.core.typing.templates import ConcreteTemplate, Signature, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

LANES = 16
Lanes = Any
"""What annotations call a value of the type ``lanes``."""

Emitter = Callable[..., ir.Value]
Operation = Callable[..., Lanes]

_FLOAT = ir.FloatType()
_INTEGER = ir.IntType(32)
_VECTOR = ir.VectorType(_FLOAT, LANES)
_INTEGERS = ir.VectorType(_INTEGER, LANES)
_EXPONENT_SHIFT = ir.Constant(_INTEGERS, [23] * LANES)


class LanesType(types.Type):
    """The numba type of a vector of ``LANES`` floats."""

    def __init__(self) -> None:
        super().__init__(name=f"float32x{LANES}")


lanes = LanesType()


class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: DataModelManager, numba_type: types.Type) -> None:
        super().__init__(manager, numba_type, _VECTOR)


register_model(LanesType)(_LanesModel)


def _register_operator(function: Callable[..., Any], instruction: str) -> None:
    def lower(
        _context: BaseContext, builder: ir.IRBuilder, _: Signature, values: Sequence[ir.Value]
    ) -> ir.Value:
        return getattr(builder, instruction)(*values, flags=("contract",))

    lower_builtin(function, lanes, lanes)(lower)
    cases = [signature(lanes, lanes, lanes)]
    infer_global(function)(type("LanesOperator", (ConcreteTemplate,), {"cases": cases}))


_register_operator(operator.add, "fadd")
_register_operator(operator.sub, "fsub")
_register_operator(operator.mul, "fmul")
_register_operator(operator.truediv, "fdiv")


def _unary(emit: Emitter) -> Operation:
    """Return the operation on one value whose code ``emit(builder, value)`` writes."""

    def declare(typing: object, value: types.Type) -> tuple[Signature, Emitter]:
        return lanes(value), lambda _context, builder, _signature, values: emit(builder, *values)

    declared: Operation = intrinsic(declare)
    return declared


def _binary(emit: Emitter) -> Operation:
    """Return the operation on two values whose code ``emit(builder, left, right)`` writes."""

    def declare(typing: object, left: types.Type, right: types.Type) -> tuple[Signature, Emitter]:
        return lanes(left, right), lambda _context, builder, _signature, values: emit(
            builder, *values
        )

    declared: Operation = intrinsic(declare)
    return declared


def _call(
    builder: ir.IRBuilder, name: str, result: ir.Type, values: Sequence[ir.Value], *flags: str
) -> ir.Value:
    kind = ir.FunctionType(result, [value.type for value in values])
    function = cgutils.get_or_insert_function(builder.module, kind, f"{name}.v{LANES}f32")
    return builder.call(function, values, fastmath=flags)


def _repeat(builder: ir.IRBuilder, value: ir.Value) -> ir.Value:
    first = builder.insert_element(
        ir.Constant(_VECTOR, ir.Undefined), value, ir.Constant(_INTEGER, 0)
    )
    return builder.shuffle_vector(first, first, ir.Constant(_INTEGERS, [0] * LANES))


def _scale_by_power(builder: ir.IRBuilder, value: ir.Value, power: ir.Value) -> ir.Value:
    exponent = builder.shl(builder.fptosi(power, _INTEGERS), _EXPONENT_SHIFT)
    return builder.bitcast(builder.add(builder.bitcast(value, _INTEGERS), exponent), _VECTOR)


def _select(comparison: str) -> Emitter:
    """Return code for: right if left ``comparison`` right, else left; so NaN on the left stays."""
    return lambda builder, left, right: builder.select(
        builder.fcmp_ordered(comparison, left, right), right, left
    )


def _pair_sums(builder: ir.IRBuilder, left: ir.Value, right: ir.Value) -> ir.Value:
    even, odd = (
        builder.shuffle_vector(
            left, right, ir.Constant(_INTEGERS, list(range(first, 2 * LANES, 2)))
        )
        for first in (0, 1)
    )
    return builder.fadd(even, odd)


repeat = _unary(_repeat)
"""``repeat(number)``: the same float32 in every lane."""

absolute = _unary(lambda builder, value: _call(builder, "llvm.fabs", _VECTOR, [value]))
"""``absolute(value)``"""

nearest = _unary(lambda builder, value: _call(builder, "llvm.rint", _VECTOR, [value]))
"""``nearest(value)``: rounded to whole numbers."""

maximum = _binary(_select("<"))
"""``maximum(left, right)``"""

minimum = _binary(_select(">"))
"""``minimum(left, right)``"""

pair_sums = _binary(_pair_sums)
"""``pair_sums(left, right)``: sums of neighbours, half as many of each: of left, then of right."""

scale_by_power = _binary(_scale_by_power)
"""``scale_by_power(value, power)``: value * 2**power, for whole powers and normal results."""


def _element(
    context: BaseContext,
    builder: ir.IRBuilder,
    call: Signature,
    values: Sequence[ir.Value],
    inbounds: bool = True,
) -> ir.Value:
    """Return the address of ``array[index]``, the first two arguments of ``call``."""
    array = cgutils.create_struct_proxy(call.args[0])(context, builder, values[0])
    index = context.cast(builder, values[1], call.args[1], types.intp)
    return builder.gep(array.data, [index], inbounds=inbounds)


def _vector_at(
    context: BaseContext, builder: ir.IRBuilder, call: Signature, values: Sequence[ir.Value]
) -> ir.Value:
    return builder.bitcast(_element(context, builder, call, values), _VECTOR.as_pointer())


def _emit_load(
    context: BaseContext, builder: ir.IRBuilder, call: Signature, values: Sequence[ir.Value]
) -> ir.Value:
    return builder.load(_vector_at(context, builder, call, values), align=4)


def _emit_store(
    context: BaseContext, builder: ir.IRBuilder, call: Signature, values: Sequence[ir.Value]
) -> ir.Value:
    builder.store(values[2], _vector_at(context, builder, call, values), align=4)
    return context.get_dummy_value()


def _emit_prefetch(
    context: BaseContext, builder: ir.IRBuilder, call: Signature, values: Sequence[ir.Value]
) -> ir.Value:
    byte = ir.IntType(8).as_pointer()
    kind = ir.FunctionType(ir.VoidType(), [byte] + [_INTEGER] * 3)
    function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
    element = _element(context, builder, call, values, inbounds=False)
    address = builder.bitcast(element, byte)
    # to read, into the second level: the first is small and tiles collide in it
    read, level, data = (ir.Constant(_INTEGER, number) for number in (0, 2, 1))
    builder.call(function, [address, read, level, data])
    return context.get_dummy_value()


def _emit_broadcast(
    context: BaseContext, builder: ir.IRBuilder, call: Signature, values: Sequence[ir.Value]
) -> ir.Value:
    return _repeat(builder, builder.load(_element(context, builder, call, values)))


def _emit_multiply_add(
    _context: BaseContext, builder: ir.IRBuilder, _: Signature, values: Sequence[ir.Value]
) -> ir.Value:
    return _call(builder, "llvm.fmuladd", _VECTOR, values)


def _intrinsic(declare: Callable[..., tuple[Signature, Emitter]]) -> Operation:
    declared: Operation = intrinsic(declare)
    return declared


@_intrinsic
def load(typing: object, array: types.Type, index: types.Type) -> tuple[Signature, Emitter]:
    """Return the lanes at ``array[index : index + LANES]``."""
    return lanes(array, index), _emit_load


@_intrinsic
def prefetch(typing: object, array: types.Type, index: types.Type) -> tuple[Signature, Emitter]:
    """Ask for the memory around ``array[index]``, which need not exist."""
    return types.void(array, index), _emit_prefetch


@_intrinsic
def broadcast(typing: object, array: types.Type, index: types.Type) -> tuple[Signature, Emitter]:
    """Return ``array[index]`` in every lane."""
    return lanes(array, index), _emit_broadcast


@_intrinsic
def store(
    typing: object, array: types.Type, index: types.Type, value: types.Type
) -> tuple[Signature, Emitter]:
    """Write ``value`` to ``array[index : index + LANES]``."""
    return types.void(array, index, value), _emit_store


@_intrinsic
def multiply_add(
    typing: object, left: types.Type, right: types.Type, addend: types.Type
) -> tuple[Signature, Emitter]:
    """Return ``left * right + addend``; says which product is fused where there are two."""
    return lanes(left, right, addend), _emit_multiply_add
