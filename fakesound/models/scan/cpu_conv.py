"""The depthwise convolution with SiLU on a CPU, forward and backward, in both directions.

A task is one clip and ``BLOCK`` channels. A step counts in the order of the direction: step s takes
in the steps s - taps + 1 to s, and those before the first are zeros. Arrays are flat; ``weight`` is
(direction, tap, channel).
"""

import numpy as np

from fakesound.models.scan.cpu_math import sigmoid
from fakesound.models.scan.cpu_scan import BLOCK, Floats, Rows, Sizes, row, token_at
from fakesound.models.scan.jit import SOURCES, inline, kernel
from fakesound.models.scan.lanes import LANES, Lanes, load, multiply_add, repeat, store


@inline
def _convolve(
    direction: int,
    clip: int,
    step: int,
    channel: int,
    sizes: Sizes,
    x: Rows,
    weight: Floats,
    bias: Floats,
) -> Lanes:
    """Return the convolution at one step, before SiLU."""
    _, _, tokens, channels, taps = sizes
    total = load(bias, direction * channels + channel)
    for tap in range(max(0, taps - 1 - step), taps):
        token = token_at(direction, step + tap - (taps - 1), tokens)
        value = load(x[0], row(x, 0, clip, token) + channel)
        total = multiply_add(
            load(weight, (direction * taps + tap) * channels + channel), value, total
        )
    return total


@kernel
def conv_forward(
    first: int,
    after: int,
    sizes: Sizes,
    x: Rows,
    weight: Floats,
    bias: Floats,
    out: Floats,
    sources: int = SOURCES,
) -> None:
    """Write tasks ``first`` to ``after`` of ``out`` (direction, clip, token, channel)."""
    directions, clips, tokens, channels, _ = sizes
    blocks = (channels + BLOCK - 1) // BLOCK
    for task in range(first, after):
        clip = task // blocks
        block = task % blocks * BLOCK
        for direction in range(directions):
            for step in range(tokens):
                token = token_at(direction, step, tokens)
                for channel in range(block, min(block + BLOCK, channels), LANES):
                    value = _convolve(direction, clip, step, channel, sizes, x, weight, bias)
                    at = ((direction * clips + clip) * tokens + token) * channels + channel
                    store(out, at, value * sigmoid(value))


@kernel
def conv_backward(
    first: int,
    after: int,
    sizes: Sizes,
    x: Rows,
    weight: Floats,
    bias: Floats,
    grad: Rows,
    grad_x: Floats,
    grad_parameters: Floats,
    sources: int = SOURCES,
) -> None:
    """Write tasks ``first`` to ``after`` of the gradients, those of parameters clip by clip.

    ``grad_x`` is (clip, token, channel); ``grad_parameters`` (direction, clip, tap + 1, channel) is
    for the weight and, after the last tap, for the bias.
    """
    directions, clips, tokens, channels, taps = sizes
    blocks = (channels + BLOCK - 1) // BLOCK
    zero = repeat(np.float32(0.0))
    one = repeat(np.float32(1.0))
    slopes = np.empty(tokens * LANES, np.float32)
    for task in range(first, after):
        clip = task // blocks
        block = task % blocks * BLOCK
        for channel in range(block, min(block + BLOCK, channels), LANES):
            for direction in range(directions):
                own = (direction * clips + clip) * (taps + 1) * channels + channel
                for tap in range(taps):
                    store(grad_parameters, own + tap * channels, zero)
                grad_bias = zero
                for step in range(tokens):
                    value = _convolve(direction, clip, step, channel, sizes, x, weight, bias)
                    opening = sigmoid(value)
                    slope = multiply_add(opening, value * (one - opening), opening)
                    token = token_at(direction, step, tokens)
                    slope = slope * load(grad[0], row(grad, direction, clip, token) + channel)
                    store(slopes, step * LANES, slope)
                    grad_bias = grad_bias + slope
                    for tap in range(max(0, taps - 1 - step), taps):
                        token = token_at(direction, step + tap - (taps - 1), tokens)
                        value = load(x[0], row(x, 0, clip, token) + channel)
                        at = own + tap * channels
                        total = multiply_add(slope, value, load(grad_parameters, at))
                        store(grad_parameters, at, total)
                store(grad_parameters, own + taps * channels, grad_bias)
                for step in range(tokens):
                    at = (clip * tokens + token_at(direction, step, tokens)) * channels + channel
                    total = zero
                    if direction > 0:
                        total = load(grad_x, at)
                    for tap in range(max(0, taps + step - tokens), taps):
                        tap_weight = load(weight, (direction * taps + tap) * channels + channel)
                        slope = load(slopes, (step + taps - 1 - tap) * LANES)
                        total = multiply_add(tap_weight, slope, total)
                    store(grad_x, at, total)
