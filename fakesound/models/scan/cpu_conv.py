"""The depthwise convolution with SiLU on a CPU, forward and backward, in both directions.

Forward, a task is ``ROWS`` tokens of a clip, all channels: rows are read and written in the order
of memory. Backward, it is one clip and ``BLOCK`` channels. A step counts in the order of the
direction: step s takes in the steps s - taps + 1 to s, and those before the first are zeros. Arrays
are flat; ``weight`` is (direction, tap, channel). The number of taps is the length of ``taps``, a
tuple, so that loops over it are unrolled when a kernel is compiled.
"""

import numpy as np

from fakesound.models.scan.cpu_math import sigmoid
from fakesound.models.scan.cpu_tile import BLOCK, Floats, Rows, row, token_at
from fakesound.models.scan.jit import SOURCES, inline, kernel
from fakesound.models.scan.lanes import LANES, Lanes, load, multiply_add, repeat, store

ROWS = 64

ConvSizes = tuple[int, int, int, int]
"""Directions, clips, tokens and channels."""
Taps = tuple[int, ...]
"""0, 1, ... : as many as the convolution has taps."""


@inline
def _convolve(
    direction: int,
    clip: int,
    step: int,
    channel: int,
    sizes: ConvSizes,
    taps: Taps,
    x: Rows,
    weight: Floats,
    bias: Floats,
) -> Lanes:
    """Return the convolution at one step, before SiLU."""
    _, _, tokens, channels = sizes
    total = load(bias, direction * channels + channel)
    first = step - (len(taps) - 1)
    stride = x[1][2] if direction == 0 else -x[1][2]
    seen = row(x, 0, clip, token_at(direction, first, tokens)) + channel
    own = direction * len(taps) * channels + channel
    if first >= 0:
        for tap in range(len(taps)):
            taken = load(weight, own + tap * channels)
            total = multiply_add(taken, load(x[0], seen + tap * stride), total)
    else:
        for tap in range(-first, len(taps)):
            taken = load(weight, own + tap * channels)
            total = multiply_add(taken, load(x[0], seen + tap * stride), total)
    return total


@kernel
def conv_forward(
    first: int,
    after: int,
    sizes: ConvSizes,
    taps: Taps,
    x: Rows,
    weight: Floats,
    bias: Floats,
    out: Floats,
    sources: int = SOURCES,
) -> None:
    """Write tasks ``first`` to ``after`` of ``out`` (direction, clip, token, channel)."""
    directions, clips, tokens, channels = sizes
    parts = (tokens + ROWS - 1) // ROWS
    for task in range(first, after):
        clip = task // parts
        start = task % parts * ROWS
        for token in range(start, min(start + ROWS, tokens)):
            for direction in range(directions):
                # the way from step to token is its own inverse
                step = token_at(direction, token, tokens)
                at = ((direction * clips + clip) * tokens + token) * channels
                for channel in range(0, channels, LANES):
                    value = _convolve(direction, clip, step, channel, sizes, taps, x, weight, bias)
                    store(out, at + channel, value * sigmoid(value))


@kernel
def conv_backward(
    first: int,
    after: int,
    sizes: ConvSizes,
    taps: Taps,
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
    directions, clips, tokens, channels = sizes
    width = len(taps)
    blocks = (channels + BLOCK - 1) // BLOCK
    zero = repeat(np.float32(0.0))
    one = repeat(np.float32(1.0))
    # with zeros for the steps after the last, so that no step is a special case
    slopes = np.zeros((tokens + width) * LANES, np.float32)
    sums = np.empty(width * LANES, np.float32)
    for task in range(first, after):
        clip = task // blocks
        block = task % blocks * BLOCK
        for channel in range(block, min(block + BLOCK, channels), LANES):
            for direction in range(directions):
                grad_bias = zero
                for step in range(tokens):
                    value = _convolve(direction, clip, step, channel, sizes, taps, x, weight, bias)
                    opening = sigmoid(value)
                    slope = multiply_add(opening, value * (one - opening), opening)
                    token = token_at(direction, step, tokens)
                    slope = slope * load(grad[0], row(grad, direction, clip, token) + channel)
                    store(slopes, step * LANES, slope)
                    grad_bias = grad_bias + slope
                sums[:] = 0
                for step in range(tokens):
                    token = token_at(direction, step, tokens)
                    value = load(x[0], row(x, 0, clip, token) + channel)
                    at = (clip * tokens + token) * channels + channel
                    total = zero
                    if direction > 0:
                        total = load(grad_x, at)
                    for tap in range(len(taps)):
                        # the step that takes this one in by this tap
                        slope = load(slopes, (step + width - 1 - tap) * LANES)
                        tap_weight = load(weight, (direction * width + tap) * channels + channel)
                        total = multiply_add(tap_weight, slope, total)
                        own = tap * LANES
                        store(sums, own, multiply_add(slope, value, load(sums, own)))
                    store(grad_x, at, total)
                own = (direction * clips + clip) * (width + 1) * channels + channel
                for tap in range(len(taps)):
                    store(grad_parameters, own + tap * channels, load(sums, tap * LANES))
                store(grad_parameters, own + width * channels, grad_bias)
