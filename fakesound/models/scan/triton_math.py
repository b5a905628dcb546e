# mypy: disable-error-code="import-untyped, untyped-decorator, assignment"
"""Shared parts of the Triton kernels: reading of tensors, and elementary functions.

In these files a vector is a tensor of one axis, [BLOCK] channels, one or two a thread. Whatever has
a further axis (states, steps of a run, taps) is a tuple of vectors: every element of a tuple is a
register of its own. A tensor of two axes would be spread over the threads as Triton sees fit, and
threads that need each other's numbers wait for each other at every step of a scan.
"""

from typing import NamedTuple

import triton
import triton.language as tl

LANES = tl.constexpr(32)
"""Channels of a warp. Memory of the kernels' own has the channels in groups of as many, last."""

LOG2_E = tl.constexpr(1.4426950408889634)
LN_2 = tl.constexpr(0.6931471805599453)


class Rows(NamedTuple):
    """A tensor (direction, clip, token, channel or state): its memory and its strides.

    The stride of the last axis is 1; what has no directions has stride 0 there.
    """

    base: tl.tensor
    direction: tl.tensor
    clip: tl.tensor
    token: tl.tensor


@triton.jit
def wide(index: tl.tensor) -> tl.tensor:
    """Return an index in 64 bits, for offsets that exceed 32."""
    return tl.cast(index, tl.int64)


@triton.jit
def only_if(condition: tl.tensor, mask: tl.tensor) -> tl.tensor:
    """Return ``mask`` and a condition that is the same for all channels.

    Triton 3.9's interpreter makes integers of the scalar in ``mask & condition``.
    """
    return tl.where(condition, mask, False)


@triton.jit
def row(rows: Rows, direction: tl.tensor, clip: tl.tensor, token: tl.tensor) -> tl.tensor:
    """Return the address of the first element of a token."""
    at = wide(clip) * rows.clip + wide(token) * rows.token
    return rows.base + (at + wide(direction) * rows.direction)


@triton.jit
def words(start: tl.tensor, COUNT: tl.constexpr, PACK: tl.constexpr) -> tl.tuple:
    """Return ``COUNT`` numbers from ``start``, the same for all channels, ``PACK`` to a word.

    Whole 64-bit words take 2 or 4 times fewer load instructions, of which a scan has many.
    """
    if PACK > 1:
        start = start.to(tl.pointer_type(tl.int64))
    loaded = ()
    for i in tl.static_range(COUNT // PACK):
        loaded += (tl.load(start + i),)
    return loaded


@triton.jit
def number(
    loaded: tl.tuple, index: tl.constexpr, PACK: tl.constexpr, DTYPE: tl.constexpr
) -> tl.tensor:
    """Return number ``index`` of what ``words`` loaded, in float32."""
    word = loaded[index // PACK]
    if PACK == 2:
        word = (word >> (index % 2 * 32)).to(tl.int32).to(DTYPE, bitcast=True)
    if PACK == 4:
        # By halves of 32 bits, which are registers, since a shift of 64 bits takes two or three.
        pair = (word >> (index % 4 // 2 * 32)).to(tl.int32)
        if DTYPE.is_bf16():
            # The upper half of a float32.
            bits = pair & -65536 if index % 2 else pair << 16
            word = bits.to(tl.float32, bitcast=True)
        else:
            word = (pair >> (index % 2 * 16)).to(tl.int16).to(DTYPE, bitcast=True)
    return word.to(tl.float32)


@triton.jit
def reciprocal(x: tl.tensor) -> tl.tensor:
    """Return 1 / x for ``x >= 1``: two instructions, where a division also cares for other x."""
    root = tl.rsqrt(x)
    return root * root


@triton.jit
def sigmoid(x: tl.tensor) -> tl.tensor:
    """Return 1 / (1 + exp(-x))."""
    return reciprocal(1.0 + tl.exp2(x * -LOG2_E))


@triton.jit
def softplus(x: tl.tensor) -> tl.tensor:
    """Return log(1 + exp(x)), exact for tiny results as well, so that it needs no threshold.

    log1p(u) = s p(s s) with s = u / (2 + u), for u = exp(-|x|) on [0, 1]; the minimax fit of
    ``cpu_math``. A logarithm of 1 + u would lose a small u.
    """
    u = tl.exp2(tl.abs(x) * -LOG2_E)
    s = u * reciprocal(2.0 + u)
    w = s * s
    p = 0.28178334 * w + 0.27960601
    p = p * w + 0.40024909
    p = p * w + 0.66666317
    p = p * w + 2.0
    return tl.maximum(x, 0.0) + p * s
