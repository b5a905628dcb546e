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

scale_by_power = _binary(_scale_by_power)
"""``scale_by_power(value, power)``: value * 2**power, for whole powers and normal results."""


def _element(
    context: BaseContext, builder: ir.IRBuilder, call: Signature, values: Sequence[ir.Value]
) -> ir.Value:
    """Return the address of ``array[index]``, the first two arguments of ``call``."""
    array = cgutils.create_struct_proxy(call.args[0])(context, builder, values[0])
    index = context.cast(builder, values[1], call.args[1], types.intp)
    return builder.gep(array.data, [index], inbounds=True)


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


def _emit_broadcast(
    context: BaseContext, builder: ir.IRBuilder, call: Signature, values: Sequence[ir.Value]
) -> ir.Value:
    return _repeat(builder, builder.load(_element(context, builder, call, values)))


def _emit_add_total(
    context: BaseContext, builder: ir.IRBuilder, call: Signature, values: Sequence[ir.Value]
) -> ir.Value:
    element = _element(context, builder, call, values)
    operands = [ir.Constant(_FLOAT, -0.0), values[2]]
    total = _call(builder, "llvm.vector.reduce.fadd", _FLOAT, operands, "reassoc")
    builder.store(builder.fadd(builder.load(element), total), element)
    return context.get_dummy_value()


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
def add_total(
    typing: object, array: types.Type, index: types.Type, value: types.Type
) -> tuple[Signature, Emitter]:
    """Add the sum over the lanes of ``value``, taken in a fixed order, to ``array[index]``."""
    return types.void(array, index, value), _emit_add_total


@_intrinsic
def multiply_add(
    typing: object, left: types.Type, right: types.Type, addend: types.Type
) -> tuple[Signature, Emitter]:
    """Return ``left * right + addend``; says which product is fused where there are two."""
    return lanes(left, right, addend), _emit_multiply_add
