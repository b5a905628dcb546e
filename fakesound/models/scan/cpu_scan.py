"""The scan forward on a CPU: both directions, the skip and the gate in one kernel.

A task is one clip and ``BLOCK`` channels. It walks the tokens in tiles of ``TILE`` steps, and in a
tile first does what no step needs another for (softplus, dt x), then the recurrence, then the skip
and the gate: with divisions out of its way the recurrence keeps the multipliers busy. Four states
at a time go through a tile, so that they stay in registers.

A step counts in the order of the scan, a token in time. Arrays are flat. Layouts, with LANES last:
``rates`` (direction, channel / LANES, state, LANES) is A / ln 2; ``checkpoints`` (direction, clip,
tile, channel / LANES, state, LANES) is the hidden state before each tile. The number of states is a
multiple of ``GROUP``; what is too many has zeros in B and C and never shows.
"""

import numpy as np

from fakesound.models.scan.cpu_math import sigmoid
from fakesound.models.scan.cpu_tile import (
    BLOCK,
    GROUP,
    TILE,
    Floats,
    Rows,
    Sizes,
    Tile,
    decays_of_four,
    discretise,
    load_four,
    row,
    start_powers,
    store_four,
    token_at,
)
from fakesound.models.scan.jit import SOURCES, inline, kernel
from fakesound.models.scan.lanes import LANES, broadcast, load, multiply_add, repeat, store


@inline
def _recur(
    tile: Tile,
    states: int,
    delta: Floats,
    drive: Floats,
    rates: Floats,
    rate: int,
    tied: bool,
    base: Floats,
    power: Floats,
    B: Rows,
    C: Rows,
    hidden: Floats,
    own: int,
    y: Floats,
) -> None:
    """Take ``hidden[own:]`` through a tile and write C . hidden to ``y``."""
    direction, clip, tokens, start, steps = tile
    y[: steps * LANES] = 0
    for n in range(0, states, GROUP):
        own_rates = load_four(rates, rate + n * LANES)
        h0, h1, h2, h3 = load_four(hidden, own + n * LANES)
        for i in range(steps):
            token = token_at(direction, start + i, tokens)
            b = row(B, direction, clip, token) + n
            c = row(C, direction, clip, token) + n
            size, value = load(delta, i * LANES), load(drive, i * LANES)
            a0, a1, a2, a3 = decays_of_four(i, size, own_rates, tied, base, power)
            h0 = multiply_add(a0, h0, value * broadcast(B[0], b))
            h1 = multiply_add(a1, h1, value * broadcast(B[0], b + 1))
            h2 = multiply_add(a2, h2, value * broadcast(B[0], b + 2))
            h3 = multiply_add(a3, h3, value * broadcast(B[0], b + 3))
            total = multiply_add(h0, broadcast(C[0], c), load(y, i * LANES))
            total = multiply_add(h1, broadcast(C[0], c + 1), total)
            total = multiply_add(h2, broadcast(C[0], c + 2), total)
            total = multiply_add(h3, broadcast(C[0], c + 3), total)
            store(y, i * LANES, total)
        store_four(hidden, own + n * LANES, (h0, h1, h2, h3))


@kernel
def scan_forward(
    first: int,
    after: int,
    sizes: Sizes,
    x: Rows,
    dt: Rows,
    rates: Floats,
    tied: bool,
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
    base = np.empty(TILE * LANES, np.float32)
    power = np.empty(TILE * LANES, np.float32)
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
                    rate = parameter * states
                    if keep:
                        at = (direction * clips + clip) * tiles + start // TILE
                        at = (at * channels + channel) * states
                        for n in range(0, states * LANES, LANES):
                            store(checkpoints, at + n, load(hidden, own + n))
                    discretise(tile, channel, load(dt_bias, parameter), x, dt, TILE, delta, drive)
                    if tied:
                        start_powers(tile[4], delta, load(rates, rate), base, power)
                    _recur(
                        tile, states, delta, drive, rates, rate, tied, base, power, B, C,
                        hidden, own, y,
                    )  # fmt: skip
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
