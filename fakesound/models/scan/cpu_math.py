"""Exponential, softplus and sigmoid on lanes, from polynomials: no call of the maths library.

numba without SVML turns ``math.exp`` into one scalar call a channel, which costs more than all the
rest of the scan. Errors are relative to the exact value, in float32.
"""

import numpy as np

from fakesound.models.scan.jit import inline
from fakesound.models.scan.lanes import (
    Lanes,
    absolute,
    maximum,
    minimum,
    multiply_add,
    nearest,
    repeat,
    scale_by_power,
)

f32 = np.float32

LOG2_E = f32(1.4426950408889634)
LN_2 = f32(0.6931471805599453)

_LARGEST_POWER = f32(126.0)

# Minimax fits: 2**f on [-1/2, 1/2]; log1p(u) = s * p(s * s) with s = u / (2 + u), u on [0, 1].
_EXP2 = tuple(
    f32(c) for c in (1.0, 0.693147004, 0.240222409, 0.0555072725, 0.00967151206, 0.00132616004)
)
_LOG1P = tuple(f32(c) for c in (2.0, 0.66666317, 0.40024909, 0.27960601, 0.28178334))


@inline
def exp2(x: Lanes) -> Lanes:
    """Return 2**x for ``x <= 126``; below 2**-126 it stays there. Error under 1.5e-7."""
    x = maximum(x, repeat(-_LARGEST_POWER))
    power = nearest(x)
    f = x - power
    p = repeat(_EXP2[5]) * f + repeat(_EXP2[4])
    p = p * f + repeat(_EXP2[3])
    p = p * f + repeat(_EXP2[2])
    p = p * f + repeat(_EXP2[1])
    p = p * f + repeat(_EXP2[0])
    return scale_by_power(p, power)


@inline
def exp2_of_four(x0: Lanes, x1: Lanes, x2: Lanes, x3: Lanes) -> tuple[Lanes, Lanes, Lanes, Lanes]:
    """Return ``exp2`` of each.

    Step by step for all four: one exponential is a chain in which each instruction waits for the
    one before, and a processor looks ahead too few instructions to start on the next chain.
    """
    low = repeat(-_LARGEST_POWER)
    x0, x1, x2, x3 = maximum(x0, low), maximum(x1, low), maximum(x2, low), maximum(x3, low)
    n0, n1, n2, n3 = nearest(x0), nearest(x1), nearest(x2), nearest(x3)
    x0, x1, x2, x3 = x0 - n0, x1 - n1, x2 - n2, x3 - n3
    a, b = repeat(_EXP2[5]), repeat(_EXP2[4])
    p0 = multiply_add(x0, a, b)
    p1 = multiply_add(x1, a, b)
    p2 = multiply_add(x2, a, b)
    p3 = multiply_add(x3, a, b)
    b = repeat(_EXP2[3])
    p0 = multiply_add(p0, x0, b)
    p1 = multiply_add(p1, x1, b)
    p2 = multiply_add(p2, x2, b)
    p3 = multiply_add(p3, x3, b)
    b = repeat(_EXP2[2])
    p0 = multiply_add(p0, x0, b)
    p1 = multiply_add(p1, x1, b)
    p2 = multiply_add(p2, x2, b)
    p3 = multiply_add(p3, x3, b)
    b = repeat(_EXP2[1])
    p0 = multiply_add(p0, x0, b)
    p1 = multiply_add(p1, x1, b)
    p2 = multiply_add(p2, x2, b)
    p3 = multiply_add(p3, x3, b)
    b = repeat(_EXP2[0])
    p0 = multiply_add(p0, x0, b)
    p1 = multiply_add(p1, x1, b)
    p2 = multiply_add(p2, x2, b)
    p3 = multiply_add(p3, x3, b)
    return (
        scale_by_power(p0, n0),
        scale_by_power(p1, n1),
        scale_by_power(p2, n2),
        scale_by_power(p3, n3),
    )


@inline
def softplus(x: Lanes) -> Lanes:
    """Return log(1 + exp(x)). Error under 5e-7, so no threshold is needed for large ``x``."""
    u = exp2(absolute(x) * repeat(-LOG2_E))
    s = u / (repeat(f32(2.0)) + u)
    w = s * s
    p = repeat(_LOG1P[4]) * w + repeat(_LOG1P[3])
    p = p * w + repeat(_LOG1P[2])
    p = p * w + repeat(_LOG1P[1])
    p = p * w + repeat(_LOG1P[0])
    return maximum(x, repeat(f32(0.0))) + p * s


@inline
def sigmoid(x: Lanes) -> Lanes:
    """Return 1 / (1 + exp(-x))."""
    one = repeat(f32(1.0))
    return one / (one + exp2(minimum(x * repeat(-LOG2_E), repeat(_LARGEST_POWER))))
