"""One tile of the scans on a CPU: ``TILE`` steps of one clip for ``LANES`` channels.

A step counts in the order of the scan, a token in time. Arrays are flat; what lives for one tile is
(step, LANES). States come in groups of four, which stay in registers for the whole tile.
"""

import numpy as np
from numpy.typing import NDArray

from fakesound.models.scan.cpu_math import exp2, exp2_of_four, softplus
from fakesound.models.scan.jit import inline
from fakesound.models.scan.lanes import LANES, Lanes, load, prefetch, repeat, store

TILE = 32
BLOCK = 2 * LANES
GROUP = 4

Floats = NDArray[np.float32]
Rows = tuple[Floats, tuple[int, int, int]]
"""The memory of a tensor and its strides of (direction, clip, token)."""
Sizes = tuple[int, int, int, int, int]
"""Directions, clips, tokens, channels, and states or taps."""
Tile = tuple[int, int, int, int, int]
"""Direction, clip, tokens of the clip, first step, number of steps."""
Four = tuple[Lanes, Lanes, Lanes, Lanes]


@inline
def token_at(direction: int, step: int, tokens: int) -> int:
    """Return the token of a step: direction 1 starts at the end."""
    return step if direction == 0 else tokens - 1 - step


@inline
def row(rows: Rows, direction: int, clip: int, token: int) -> int:
    """Return where the channels, or states, of a token begin."""
    strides = rows[1]
    return direction * strides[0] + clip * strides[1] + token * strides[2]


@inline
def load_four(array: Floats, at: int) -> Four:
    """Return the lanes of four states in a row."""
    return (
        load(array, at),
        load(array, at + LANES),
        load(array, at + 2 * LANES),
        load(array, at + 3 * LANES),
    )


@inline
def store_four(array: Floats, at: int, values: Four) -> None:
    """Write the lanes of four states in a row."""
    store(array, at, values[0])
    store(array, at + LANES, values[1])
    store(array, at + 2 * LANES, values[2])
    store(array, at + 3 * LANES, values[3])


@inline
def discretise(
    tile: Tile,
    channel: int,
    bias: Lanes,
    x: Rows,
    dt: Rows,
    next_tile: int,
    delta: Floats,
    drive: Floats,
) -> None:
    """Write the step sizes of a tile, softplus(dt + bias), to ``delta``, and delta x to ``drive``.

    Both are (step, LANES), as is everything that lives for one tile. The rows of the tile that
    begins ``next_tile`` steps on are called for: they lie too far apart for a processor to guess.
    """
    direction, clip, tokens, start, steps = tile
    for i in range(steps):
        token = token_at(direction, start + i, tokens)
        ahead = token_at(direction, start + i + next_tile, tokens)
        prefetch(dt[0], row(dt, direction, clip, ahead) + channel)
        prefetch(x[0], row(x, direction, clip, ahead) + channel)
        size = softplus(load(dt[0], row(dt, direction, clip, token) + channel) + bias)
        store(delta, i * LANES, size)
        store(drive, i * LANES, size * load(x[0], row(x, direction, clip, token) + channel))


@inline
def start_powers(steps: int, delta: Floats, rate: Lanes, base: Floats, power: Floats) -> None:
    """Set ``base`` to the decay of the first state, of which tied ones are powers."""
    for i in range(steps):
        store(base, i * LANES, exp2(load(delta, i * LANES) * rate))
        store(power, i * LANES, repeat(np.float32(1.0)))


@inline
def decays_of_four(
    i: int, size: Lanes, rates: Four, tied: bool, base: Floats, power: Floats
) -> Four:
    """Return the decays of four states in step ``i``; tied ones continue from ``power``."""
    if tied:
        factor = load(base, i * LANES)
        a0 = load(power, i * LANES) * factor
        a1 = a0 * factor
        a2 = a1 * factor
        a3 = a2 * factor
        store(power, i * LANES, a3)
        return a0, a1, a2, a3
    return exp2_of_four(size * rates[0], size * rates[1], size * rates[2], size * rates[3])
