"""The scan backward on a CPU.

A task is one clip and ``BLOCK`` channels, as forward. It walks the tiles against the order of the
scan: from the tile's checkpoint it computes the hidden states and decays again, then goes back
through the steps with

    g_t = decay_{t+1} g_{t+1} + dy_t C_t        (the gradient of the hidden state h_t)
    dC_t = sum_e dy_t h_t,    dB_t = sum_e g_t dt_t x_t,
    dx_t = dt_t (g_t . B_t) + D dy_t,    d(dt)_t = x_t (g_t . B_t) + sum_n A p_t,
    dA = sum_t dt_t p_t,    p_t = g_t decay_t h_{t-1}.

No two tasks write the same number. Sums over channels, clips and tasks are left as parts, which
``add_up`` adds in a fixed order: gradients are the same bits in every run, on any number of threads.
"""

import numpy as np

from fakesound.models.scan.cpu_math import LN_2, exp2, sigmoid, softplus
from fakesound.models.scan.cpu_scan import BLOCK, TILE, Floats, Strides, position
from fakesound.models.scan.jit import SOURCES, kernel
from fakesound.models.scan.lanes import LANES, add_total, broadcast, load, multiply_add, repeat, store


@kernel
def scan_backward(
    first: int,
    after: int,
    sizes: tuple[int, int, int, int, int],
    grad: Floats,
    grad_strides: Strides,
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
    checkpoints: Floats,
    grad_x: Floats,
    grad_dt: Floats,
    grad_z: Floats,
    B_parts: Floats,
    C_parts: Floats,
    parameter_parts: Floats,
    sources: int = SOURCES,
) -> None:
    """Write the gradients of tasks ``first`` to ``after``.

    ``B_parts`` and ``C_parts`` are (direction, clip, block, token, state); ``parameter_parts``
    (direction, clip, channel / LANES, state + 2, LANES) holds the gradients of A / ln 2, D and the
    bias of dt.
    """
    directions, clips, tokens, channels, states = sizes
    blocks = (channels + BLOCK - 1) // BLOCK
    tiles = (tokens + TILE - 1) // TILE
    width = states * LANES
    carry = np.empty(BLOCK * states, np.float32)
    hidden = np.empty((TILE + 1) * width, np.float32)
    decays = np.empty(TILE * width, np.float32)
    delta = np.empty(TILE * LANES, np.float32)
    drive = np.empty(TILE * LANES, np.float32)
    grad_y = np.empty(TILE * LANES, np.float32)
    grad_gate = np.empty(TILE * LANES, np.float32)
    B_slope = np.empty(TILE * LANES, np.float32)
    A_slope = np.empty(TILE * LANES, np.float32)
    for task in range(first, after):
        clip = task // blocks
        block = task % blocks
        block_start = block * BLOCK
        block_end = min(block_start + BLOCK, channels)
        for direction in range(directions):
            turn = 1 - 2 * direction
            start = direction * (tokens - 1)
            parts = ((direction * clips + clip) * channels + block_start) * (states + 2)
            parameter_parts[parts : parts + (block_end - block_start) * (states + 2)] = 0
            carry[:] = 0
            for tile in range(tiles - 1, -1, -1):
                steps = min(TILE, tokens - tile * TILE)
                token = start + turn * tile * TILE
                row = ((direction * clips + clip) * blocks + block) * tokens + token
                for i in range(steps):
                    at = (row + i * turn) * states
                    B_parts[at : at + states] = 0
                    C_parts[at : at + states] = 0
                for channel in range(block_start, block_end, LANES):
                    own = (channel - block_start) * states
                    rate = (direction * channels + channel) * states
                    parameter = direction * channels + channel
                    part = ((direction * clips + clip) * channels + channel) * (states + 2)

                    bias = load(dt_bias, parameter)
                    skip = load(D, parameter)
                    x_at = position(x_strides, direction, clip, token) + channel
                    dt_at = position(dt_strides, direction, clip, token) + channel
                    z_at = position(z_strides, 0, clip, token) + channel
                    grad_at = position(grad_strides, 0, clip, token) + channel
                    for i in range(steps):
                        step = softplus(load(dt, dt_at + i * turn * dt_strides[2]) + bias)
                        store(delta, i * LANES, step)
                        store(drive, i * LANES, step * load(x, x_at + i * turn * x_strides[2]))
                        dy = load(grad, grad_at + i * turn * grad_strides[2]) * repeat(scale)
                        if gated:
                            gate = load(z, z_at + i * turn * z_strides[2])
                            opening = sigmoid(gate)
                            slope = gate * (repeat(np.float32(1.0)) - opening)
                            store(grad_gate, i * LANES, dy * multiply_add(opening, slope, opening))
                            dy = dy * gate * opening
                        store(grad_y, i * LANES, dy)

                    at = ((direction * clips + clip) * tiles + tile) * channels + channel
                    for n in range(0, width, LANES):
                        store(hidden, n, load(checkpoints, at * states + n))
                    B_at = position(B_strides, direction, clip, token)
                    C_at = position(C_strides, direction, clip, token)
                    for i in range(steps):
                        step = load(delta, i * LANES)
                        value = load(drive, i * LANES)
                        y = repeat(np.float32(0.0))
                        for n in range(states):
                            at = i * width + n * LANES
                            decay = exp2(step * load(rates, rate + n * LANES))
                            push = value * broadcast(B, B_at + i * turn * B_strides[2] + n)
                            h = multiply_add(decay, load(hidden, at), push)
                            store(decays, at, decay)
                            store(hidden, at + width, h)
                            y = y + h * broadcast(C, C_at + i * turn * C_strides[2] + n)
                        store(A_slope, i * LANES, y)

                    if gated:
                        for i in range(steps):
                            y = skip * load(x, x_at + i * turn * x_strides[2])
                            dz = (y + load(A_slope, i * LANES)) * load(grad_gate, i * LANES)
                            at = (clip * tokens + token + i * turn) * channels + channel
                            if direction > 0:
                                dz = dz + load(grad_z, at)
                            store(grad_z, at, dz)

                    for i in range(steps - 1, -1, -1):
                        step = load(delta, i * LANES)
                        value = load(drive, i * LANES)
                        dy = load(grad_y, i * LANES)
                        along_B = repeat(np.float32(0.0))
                        along_A = repeat(np.float32(0.0))
                        sums = (row + i * turn) * states
                        for n in range(states):
                            at = n * LANES
                            c = broadcast(C, C_at + i * turn * C_strides[2] + n)
                            b = broadcast(B, B_at + i * turn * B_strides[2] + n)
                            g = multiply_add(dy, c, load(carry, own + at))
                            along_B = multiply_add(g, b, along_B)
                            add_total(B_parts, sums + n, g * value)
                            add_total(C_parts, sums + n, dy * load(hidden, (i + 1) * width + at))
                            g = g * load(decays, i * width + at)
                            store(carry, own + at, g)
                            p = g * load(hidden, i * width + at)
                            along_A = multiply_add(p, load(rates, rate + at), along_A)
                            dA = multiply_add(p, step, load(parameter_parts, part + at))
                            store(parameter_parts, part + at, dA)
                        store(B_slope, i * LANES, along_B)
                        store(A_slope, i * LANES, along_A)

                    dD = load(parameter_parts, part + width)
                    dbias = load(parameter_parts, part + width + LANES)
                    for i in range(steps):
                        value = load(x, x_at + i * turn * x_strides[2])
                        dy = load(grad_y, i * LANES)
                        slope = load(B_slope, i * LANES)
                        at = (direction * clips + clip) * tokens + token + i * turn
                        dx = multiply_add(load(delta, i * LANES), slope, skip * dy)
                        store(grad_x, at * channels + channel, dx)
                        raw = load(dt, dt_at + i * turn * dt_strides[2]) + bias
                        ddt = multiply_add(value, slope, load(A_slope, i * LANES) * repeat(LN_2))
                        ddt = ddt * sigmoid(raw)
                        store(grad_dt, at * channels + channel, ddt)
                        dD = dD + dy * value
                        dbias = dbias + ddt
                    store(parameter_parts, part + width, dD)
                    store(parameter_parts, part + width + LANES, dbias)


@kernel
def add_up(
    first: int, after: int, parts: Floats, count: int, size: int, sums: Floats,
    sources: int = SOURCES,
) -> None:
    """Add ``count`` rows of ``size`` numbers into one, in order, for each group of rows.

    A task is ``size / pieces`` numbers of one group.
    """
