"""The scan forward on a CPU: one kernel for both directions, the skip and the gate.

A task is one clip and ``BLOCK`` channels. It walks the tokens in tiles of ``TILE`` steps; inside a
tile, first everything that does not depend on the step before (softplus, dt * x), then the
recurrence, then the gate: with the slow divisions out of it, the recurrence keeps the multipliers
busy. Arrays are flat; ``*_strides`` are the strides of (direction, clip, token).

Layouts (LANES last): ``rates`` (direction, channel / LANES, state, LANES) holds -exp(A_log) in base
2; ``checkpoints`` (direction, clip, tile, channel / LANES, state, LANES) holds the hidden state at
the start of each tile, in the order of the scan.
"""

import numpy as np
from numpy.typing import NDArray

from fakesound.models.scan.cpu_math import exp2, sigmoid, softplus
from fakesound.models.scan.jit import SOURCES, inline, kernel
from fakesound.models.scan.lanes import LANES, broadcast, load, multiply_add, repeat, store

Floats = NDArray[np.float32]
Strides = tuple[int, int, int]

TILE = 32
BLOCK = 2 * LANES


@kernel
def scan_forward(
    first: int,
    after: int,
    sizes: tuple[int, int, int, int, int],
    x: Floats,
    x_strides: Strides,
    dt: Floats,
    dt_strides: Strides,
    rates: Floats,
    B: Floats,
    B_strides: Strides,
    C: Floats,
    C_strides: Strides,
    D: Floats,
    dt_bias: Floats,
    z: Floats,
    z_strides: Strides,
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
    total = np.empty(TILE * LANES, np.float32)
    for task in range(first, after):
        clip = task // blocks
        block = task % blocks * BLOCK
        for direction in range(directions):
            turn = 1 - 2 * direction
            start = direction * (tokens - 1)
            hidden[:] = 0
            for tile in range(tiles):
                steps = min(TILE, tokens - tile * TILE)
                token = start + turn * tile * TILE
                for channel in range(block, min(block + BLOCK, channels), LANES):
                    own = (channel - block) * states
                    rate = (direction * channels + channel) * states
                    if keep:
                        row = (direction * clips + clip) * tiles + tile
                        at = (row * channels + channel) * states
                        for n in range(0, states * LANES, LANES):
                            store(checkpoints, at + n, load(hidden, own + n))

                    parameter = direction * channels + channel
                    bias = load(dt_bias, parameter)
                    skip = load(D, parameter)
                    x_at = position(x_strides, direction, clip, token) + channel
                    dt_at = position(dt_strides, direction, clip, token) + channel
                    for i in range(steps):
                        value = load(x, x_at + i * turn * x_strides[2])
                        step = softplus(load(dt, dt_at + i * turn * dt_strides[2]) + bias)
                        store(delta, i * LANES, step)
                        store(drive, i * LANES, step * value)
                        store(total, i * LANES, skip * value)

                    B_at = position(B_strides, direction, clip, token)
                    C_at = position(C_strides, direction, clip, token)
                    for i in range(steps):
                        step = load(delta, i * LANES)
                        value = load(drive, i * LANES)
                        y = load(total, i * LANES)
                        for n in range(states):
                            at = n * LANES
                            decay = exp2(step * load(rates, rate + at))
                            push = value * broadcast(B, B_at + i * turn * B_strides[2] + n)
                            h = multiply_add(decay, load(hidden, own + at), push)
                            store(hidden, own + at, h)
                            y = y + h * broadcast(C, C_at + i * turn * C_strides[2] + n)
                        store(total, i * LANES, y)

                    z_at = position(z_strides, 0, clip, token) + channel
                    out_at = (clip * tokens + token) * channels + channel
                    for i in range(steps):
                        at = out_at + i * turn * channels
                        y = load(total, i * LANES)
                        if direction > 0:
                            y = y + load(out, at)
                        if direction == directions - 1:
                            y = y * repeat(scale)
                            if gated:
                                gate = load(z, z_at + i * turn * z_strides[2])
                                y = y * gate * sigmoid(gate)
                        store(out, at, y)


@inline
def position(strides: Strides, direction: int, clip: int, token: int) -> int:
    """Return where a row begins in a flat array."""
    return direction * strides[0] + clip * strides[1] + token * strides[2]
