"""The scan forward on a CPU: both directions, the skip and the gate in one kernel.

A task is one clip and ``BLOCK`` channels. It walks the tokens in tiles of ``TILE`` steps, and in a
tile first does what no step needs another for (softplus, dt x), then the recurrence, then the skip
and the gate: with divisions out of its way the recurrence keeps the multipliers busy.

A step counts in the order of the scan, a token in time. Arrays are flat. Layouts, with LANES last:
``rates`` (direction, channel / LANES, state, LANES) is -exp(A_log) / ln 2; ``checkpoints``
(direction, clip, tile, channel / LANES, state, LANES) is the hidden state before each tile.
"""

import numpy as np
from numpy.typing import NDArray

from fakesound.models.scan.cpu_math import exp2, sigmoid, softplus
from fakesound.models.scan.jit import SOURCES, inline, kernel
from fakesound.models.scan.lanes import LANES, Lanes, broadcast, load, multiply_add, repeat, store

TILE = 32
BLOCK = 2 * LANES

Floats = NDArray[np.float32]
Rows = tuple[Floats, tuple[int, int, int]]
"""The memory of a tensor and its strides of (direction, clip, token)."""
Sizes = tuple[int, int, int, int, int]
"""Directions, clips, tokens, channels, and states or taps."""
Tile = tuple[int, int, int, int, int]
"""Direction, clip, tokens of the clip, first step, number of steps."""


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
def discretise(
    tile: Tile, channel: int, bias: Lanes, x: Rows, dt: Rows, delta: Floats, drive: Floats
) -> None:
    """Write the step sizes of a tile, softplus(dt + bias), to ``delta``, and delta x to ``drive``.

    Both are (step, LANES), as is everything that lives for one tile.
    """
    direction, clip, tokens, start, steps = tile
    for i in range(steps):
        token = token_at(direction, start + i, tokens)
        size = softplus(load(dt[0], row(dt, direction, clip, token) + channel) + bias)
        store(delta, i * LANES, size)
        store(drive, i * LANES, size * load(x[0], row(x, direction, clip, token) + channel))


@inline
def _recur(
    tile: Tile,
    states: int,
    delta: Floats,
    drive: Floats,
    rates: Floats,
    rate: int,
    B: Rows,
    C: Rows,
    hidden: Floats,
    own: int,
    y: Floats,
) -> None:
    """Take ``hidden[own:]`` through a tile and write C . hidden to ``y``."""
    direction, clip, tokens, start, steps = tile
    for i in range(steps):
        token = token_at(direction, start + i, tokens)
        B_row = row(B, direction, clip, token)
        C_row = row(C, direction, clip, token)
        size = load(delta, i * LANES)
        value = load(drive, i * LANES)
        total = repeat(np.float32(0.0))
        for n in range(states):
            at = n * LANES
            decay = exp2(size * load(rates, rate + at))
            push = value * broadcast(B[0], B_row + n)
            h = multiply_add(decay, load(hidden, own + at), push)
            store(hidden, own + at, h)
            total = multiply_add(h, broadcast(C[0], C_row + n), total)
        store(y, i * LANES, total)


@kernel
def scan_forward(
    first: int,
    after: int,
    sizes: Sizes,
    x: Rows,
    dt: Rows,
    rates: Floats,
    B: Rows,
    C: Rows,
    D: Floats,
    dt_bias: Floats,
    z: Rows,
    gated: bool,
    scale: float,
    out: Floats,
    checkpoints: Floats,
    keep: bool,
    sources: int = SOURCES,
) -> None:
    """Write tasks ``first`` to ``after`` of ``out`` and, if ``keep``, of ``checkpoints``."""
    directions, clips, tokens, channels, states = sizes
    blocks = (channels + BLOCK - 1) // BLOCK
    tiles = (tokens + TILE - 1) // TILE
    hidden = np.empty(BLOCK * states, np.float32)
    delta = np.empty(TILE * LANES, np.float32)
    drive = np.empty(TILE * LANES, np.float32)
    y = np.empty(TILE * LANES, np.float32)
    for task in range(first, after):
        clip = task // blocks
        block = task % blocks * BLOCK
        for direction in range(directions):
            hidden[:] = 0
            for start in range(0, tokens, TILE):
                tile = (direction, clip, tokens, start, min(TILE, tokens - start))
                for channel in range(block, min(block + BLOCK, channels), LANES):
                    own = (channel - block) * states
                    parameter = direction * channels + channel
                    if keep:
                        at = (direction * clips + clip) * tiles + start // TILE
                        at = (at * channels + channel) * states
                        for n in range(0, states * LANES, LANES):
                            store(checkpoints, at + n, load(hidden, own + n))
                    discretise(tile, channel, load(dt_bias, parameter), x, dt, delta, drive)
                    _recur(
                        tile, states, delta, drive, rates, parameter * states, B, C, hidden, own, y
                    )
                    skip = load(D, parameter)
                    for i in range(tile[4]):
                        token = token_at(direction, start + i, tokens)
                        value = load(x[0], row(x, direction, clip, token) + channel)
                        total = multiply_add(skip, value, load(y, i * LANES))
                        at = (clip * tokens + token) * channels + channel
                        if direction > 0:
                            total = total + load(out, at)
                        if direction == directions - 1:
                            total = total * repeat(scale)
                            if gated:
                                gate = load(z[0], row(z, 0, clip, token) + channel)
                                total = total * gate * sigmoid(gate)
                        store(out, at, total)
