"""The scan of a tile again and back, for ``cpu_scan_backward``, which has the equations."""

from fakesound.models.scan.cpu_tile import (
    GROUP,
    Floats,
    Four,
    Rows,
    Tile,
    decays_of_four,
    load_four,
    row,
    store_four,
    token_at,
)
from fakesound.models.scan.jit import inline
from fakesound.models.scan.lanes import LANES, broadcast, load, multiply_add, pair_sums, store

WIDTH = GROUP * LANES
SHARE = LANES // GROUP
"""Lanes of a state in a vector that holds partial sums of four."""


@inline
def replay(
    tile: Tile,
    n: int,
    delta: Floats,
    drive: Floats,
    own_rates: Four,
    tied: bool,
    base: Floats,
    power: Floats,
    B: Rows,
    C: Rows,
    hidden: Floats,
    decays: Floats,
    y: Floats,
) -> None:
    """Scan states n to n + 3 of a tile again and keep every step.

    ``hidden`` begins with the states before the tile; C . hidden is added to ``y``.
    """
    direction, clip, tokens, start, steps = tile
    h0, h1, h2, h3 = load_four(hidden, 0)
    for i in range(steps):
        token = token_at(direction, start + i, tokens)
        b = row(B, direction, clip, token) + n
        c = row(C, direction, clip, token) + n
        size, value = load(delta, i * LANES), load(drive, i * LANES)
        a0, a1, a2, a3 = decays_of_four(i, size, own_rates, tied, base, power)
        store_four(decays, i * WIDTH, (a0, a1, a2, a3))
        h0 = multiply_add(a0, h0, value * broadcast(B[0], b))
        h1 = multiply_add(a1, h1, value * broadcast(B[0], b + 1))
        h2 = multiply_add(a2, h2, value * broadcast(B[0], b + 2))
        h3 = multiply_add(a3, h3, value * broadcast(B[0], b + 3))
        store_four(hidden, (i + 1) * WIDTH, (h0, h1, h2, h3))
        total = multiply_add(h0, broadcast(C[0], c), load(y, i * LANES))
        total = multiply_add(h1, broadcast(C[0], c + 1), total)
        total = multiply_add(h2, broadcast(C[0], c + 2), total)
        total = multiply_add(h3, broadcast(C[0], c + 3), total)
        store(y, i * LANES, total)


@inline
def descend(
    tile: Tile,
    n: int,
    columns: int,
    delta: Floats,
    drive: Floats,
    grad_y: Floats,
    own_rates: Four,
    B: Rows,
    C: Rows,
    hidden: Floats,
    decays: Floats,
    carry: Floats,
    own: int,
    grad_B: Floats,
    grad_C: Floats,
    grad_A: Floats,
    grad_A_at: int,
    along_B: Floats,
    along_A: Floats,
) -> None:
    """Go back through a tile with ``carry[own:]``, the gradient of states n to n + 3 after it.

    Adds to ``grad_A``; to ``grad_B`` and ``grad_C`` (step, state, SHARE), sums of some lanes;
    g . B to ``along_B``; and p . A / ln 2 to ``along_A``.
    """
    direction, clip, tokens, start, steps = tile
    r0, r1, r2, r3 = own_rates
    g0, g1, g2, g3 = load_four(carry, own)
    s0, s1, s2, s3 = load_four(grad_A, grad_A_at)
    for i in range(steps - 1, -1, -1):
        token = token_at(direction, start + i, tokens)
        b = row(B, direction, clip, token) + n
        c = row(C, direction, clip, token) + n
        dy, value = load(grad_y, i * LANES), load(drive, i * LANES)
        g0 = multiply_add(dy, broadcast(C[0], c), g0)
        g1 = multiply_add(dy, broadcast(C[0], c + 1), g1)
        g2 = multiply_add(dy, broadcast(C[0], c + 2), g2)
        g3 = multiply_add(dy, broadcast(C[0], c + 3), g3)
        g_B = multiply_add(g0, broadcast(B[0], b), load(along_B, i * LANES))
        g_B = multiply_add(g1, broadcast(B[0], b + 1), g_B)
        g_B = multiply_add(g2, broadcast(B[0], b + 2), g_B)
        g_B = multiply_add(g3, broadcast(B[0], b + 3), g_B)
        store(along_B, i * LANES, g_B)
        at = (i * columns + n) * SHARE
        pairs = pair_sums(g0 * value, g1 * value)
        quarters = pair_sums(pairs, pair_sums(g2 * value, g3 * value))
        store(grad_B, at, load(grad_B, at) + quarters)
        h0, h1, h2, h3 = load_four(hidden, (i + 1) * WIDTH)
        pairs = pair_sums(h0 * dy, h1 * dy)
        quarters = pair_sums(pairs, pair_sums(h2 * dy, h3 * dy))
        store(grad_C, at, load(grad_C, at) + quarters)
        a0, a1, a2, a3 = load_four(decays, i * WIDTH)
        h0, h1, h2, h3 = load_four(hidden, i * WIDTH)
        g0, g1, g2, g3 = g0 * a0, g1 * a1, g2 * a2, g3 * a3
        p0, p1, p2, p3 = g0 * h0, g1 * h1, g2 * h2, g3 * h3
        size = load(delta, i * LANES)
        s0 = multiply_add(p0, size, s0)
        s1 = multiply_add(p1, size, s1)
        s2 = multiply_add(p2, size, s2)
        s3 = multiply_add(p3, size, s3)
        p_A = multiply_add(p0, r0, load(along_A, i * LANES))
        p_A = multiply_add(p1, r1, p_A)
        p_A = multiply_add(p2, r2, p_A)
        p_A = multiply_add(p3, r3, p_A)
        store(along_A, i * LANES, p_A)
    store_four(carry, own, (g0, g1, g2, g3))
    store_four(grad_A, grad_A_at, (s0, s1, s2, s3))


@inline
def add_quarters(tile: Tile, columns: int, quarters: Floats, rows: int, grad: Floats) -> None:
    """Write the sums over lanes, from the partial ones in ``quarters``, to the rows of a tile."""
    direction, _, tokens, start, steps = tile
    for i in range(steps):
        to = (rows + token_at(direction, start + i, tokens)) * columns
        for n in range(0, columns, LANES):
            q0, q1, q2, q3 = load_four(quarters, (i * columns + n) * SHARE)
            store(grad, to + n, pair_sums(pair_sums(q0, q1), pair_sums(q2, q3)))
