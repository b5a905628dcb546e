"""The scan backward on a CPU.

A task is one clip and ``BLOCK`` channels, as forward. It walks the tiles against the order of the
scan. From the checkpoint of a tile it computes the hidden states and decays a_t again, then goes
back through the steps with

    g_t = a_{t+1} g_{t+1} + dy_t C_t            (the gradient of the hidden state h_t)
    p_t = g_t a_t h_{t-1}
    dC_t = sum_e dy_t h_t                       dB_t = sum_e g_t delta_t x_t
    dx_t = delta_t (g_t . B_t) + D dy_t         d(delta_t) = x_t (g_t . B_t) + A . p_t
    dA = sum_t delta_t p_t

for channels e. No two tasks write the same number. Sums over blocks of channels and over clips are
left in parts, which ``cpu_sums`` adds up in a fixed order: gradients are the same bits in every run
and on any number of threads.
"""

import numpy as np

from fakesound.models.scan.cpu_descent import SHARE, WIDTH, add_quarters, descend, replay
from fakesound.models.scan.cpu_math import LN_2, sigmoid
from fakesound.models.scan.cpu_tile import (
    BLOCK,
    GROUP,
    TILE,
    Floats,
    Rows,
    Sizes,
    Tile,
    discretise,
    load_four,
    row,
    start_powers,
    store_four,
    token_at,
)
from fakesound.models.scan.jit import SOURCES, inline, kernel
from fakesound.models.scan.lanes import LANES, load, multiply_add, prefetch, repeat, store


@inline
def _open_gate(
    tile: Tile,
    channel: int,
    scale: float,
    gated: bool,
    z: Rows,
    grad: Rows,
    grad_y: Floats,
    grad_gate: Floats,
) -> None:
    """Write the gradient of y, and that of z but for its factor y, for every step of a tile."""
    direction, clip, tokens, start, steps = tile
    for i in range(steps):
        token = token_at(direction, start + i, tokens)
        ahead = token_at(direction, start + i - TILE, tokens)
        prefetch(grad[0], row(grad, 0, clip, ahead) + channel)
        prefetch(z[0], row(z, 0, clip, ahead) + channel)
        dy = load(grad[0], row(grad, 0, clip, token) + channel) * repeat(scale)
        if gated:
            gate = load(z[0], row(z, 0, clip, token) + channel)
            opening = sigmoid(gate)
            slope = gate * (repeat(np.float32(1.0)) - opening)
            store(grad_gate, i * LANES, dy * multiply_add(opening, slope, opening))
            dy = dy * gate * opening
        store(grad_y, i * LANES, dy)


@kernel
def scan_backward(
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
    grad: Rows,
    checkpoints: Floats,
    grad_x: Floats,
    grad_dt: Floats,
    grad_z: Floats,
    grad_B: Floats,
    grad_C: Floats,
    grad_parameters: Floats,
    sources: int = SOURCES,
) -> None:
    """Write tasks ``first`` to ``after`` of the gradients, in parts where tasks share them.

    ``grad_B`` and ``grad_C`` are (direction, clip, block, token, state), states padded to LANES;
    ``grad_parameters`` (direction, clip, channel / LANES, state + 2, LANES) is for A, then D, then
    dt_bias.
    """
    directions, clips, tokens, channels, states = sizes
    blocks = (channels + BLOCK - 1) // BLOCK
    tiles = (tokens + TILE - 1) // TILE
    columns = (states + LANES - 1) // LANES * LANES
    width = states * LANES
    carry = np.empty(BLOCK * states, np.float32)
    hidden = np.empty((TILE + 1) * WIDTH, np.float32)
    decays = np.empty(TILE * WIDTH, np.float32)
    quarters_B = np.empty(TILE * columns * SHARE, np.float32)
    quarters_C = np.empty(TILE * columns * SHARE, np.float32)
    base = np.empty(TILE * LANES, np.float32)
    power = np.empty(TILE * LANES, np.float32)
    delta = np.empty(TILE * LANES, np.float32)
    drive = np.empty(TILE * LANES, np.float32)
    y = np.empty(TILE * LANES, np.float32)
    grad_y = np.empty(TILE * LANES, np.float32)
    grad_gate = np.empty(TILE * LANES, np.float32)
    along_B = np.empty(TILE * LANES, np.float32)
    along_A = np.empty(TILE * LANES, np.float32)
    for task in range(first, after):
        clip = task // blocks
        block = task % blocks * BLOCK
        block_end = min(block + BLOCK, channels)
        for direction in range(directions):
            pair = direction * clips + clip
            grad_rows = (pair * blocks + task % blocks) * tokens
            at = (pair * channels + block) * (states + 2)
            grad_parameters[at : at + (block_end - block) * (states + 2)] = 0
            carry[:] = 0
            for tile_index in range(tiles - 1, -1, -1):
                start = tile_index * TILE
                tile = (direction, clip, tokens, start, min(TILE, tokens - start))
                quarters_B[:] = 0
                quarters_C[:] = 0
                for channel in range(block, block_end, LANES):
                    own = (channel - block) * states
                    parameter = direction * channels + channel
                    rate = parameter * states
                    bias = load(dt_bias, parameter)
                    skip = load(D, parameter)
                    discretise(tile, channel, bias, x, dt, -TILE, delta, drive)
                    _open_gate(tile, channel, scale, gated, z, grad, grad_y, grad_gate)
                    if tied:
                        start_powers(tile[4], delta, load(rates, rate), base, power)
                    for i in range(tile[4]):
                        token = token_at(direction, start + i, tokens)
                        at = (pair * tokens + token) * channels + channel
                        prefetch(grad_x, at)
                        prefetch(grad_dt, at)
                    y[:] = 0
                    along_B[:] = 0
                    along_A[:] = 0
                    checkpoint = ((pair * tiles + tile_index) * channels + channel) * states
                    own_parameters = (pair * channels + channel) * (states + 2)
                    for n in range(0, states, GROUP):
                        own_rates = load_four(rates, rate + n * LANES)
                        store_four(hidden, 0, load_four(checkpoints, checkpoint + n * LANES))
                        replay(
                            tile, n, delta, drive, own_rates, tied, base, power, B, C,
                            hidden, decays, y,
                        )  # fmt: skip
                        descend(
                            tile, n, columns, delta, drive, grad_y, own_rates, B, C, hidden,
                            decays, carry, own + n * LANES, quarters_B, quarters_C,
                            grad_parameters, own_parameters + n * LANES, along_B, along_A,
                        )  # fmt: skip
                    dD = load(grad_parameters, own_parameters + width)
                    dbias = load(grad_parameters, own_parameters + width + LANES)
                    for i in range(tile[4]):
                        token = token_at(direction, start + i, tokens)
                        value = load(x[0], row(x, direction, clip, token) + channel)
                        raw = load(dt[0], row(dt, direction, clip, token) + channel) + bias
                        dy = load(grad_y, i * LANES)
                        g_B = load(along_B, i * LANES)
                        dx = multiply_add(load(delta, i * LANES), g_B, skip * dy)
                        ddt = multiply_add(value, g_B, load(along_A, i * LANES) * repeat(LN_2))
                        ddt = ddt * sigmoid(raw)
                        dD = multiply_add(dy, value, dD)
                        dbias = dbias + ddt
                        at = (pair * tokens + token) * channels + channel
                        store(grad_x, at, dx)
                        store(grad_dt, at, ddt)
                        if gated:
                            total = multiply_add(skip, value, load(y, i * LANES))
                            dz = total * load(grad_gate, i * LANES)
                            at = (clip * tokens + token) * channels + channel
                            if direction > 0:
                                dz = dz + load(grad_z, at)
                            store(grad_z, at, dz)
                    store(grad_parameters, own_parameters + width, dD)
                    store(grad_parameters, own_parameters + width + LANES, dbias)
                add_quarters(tile, columns, quarters_B, grad_rows, grad_B)
                add_quarters(tile, columns, quarters_C, grad_rows, grad_C)
