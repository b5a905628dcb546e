# mypy: allow-untyped-decorators, no-warn-unreachable
# mypy: disable-error-code="import-untyped, assignment, misc, var-annotated"
"""The scan forward on a GPU: both directions, the skip, the sum and the gate in one kernel.

A program is one clip and BLOCK channels, a channel a thread, and no thread needs another. In step s
direction 0 takes token s and direction 1 takes the s-th token from the end. Until the two meet in
the middle each leaves its y in ``partial``; from there on each finds at its token what the other
left, and finishes the result. So a clip takes as many steps as it has tokens, each with two
independent recurrences to overlap, and their sum needs no second kernel and no order of programs.

The loads of a step are issued while the step before is computed. ``checkpoints``
(direction, clip, tile, state, channel) is the hidden state before every TILE steps.
"""

import triton
import triton.language as tl

from fakesound.models.scan.triton_math import (
    LANES,
    LOG2_E,
    Rows,
    number,
    only_if,
    row,
    sigmoid,
    softplus,
    wide,
    words,
)


@triton.jit
def _decays(
    delta: tl.tensor,
    rates: tl.tuple,
    first: tl.constexpr,
    STATES: tl.constexpr,
    TIED: tl.constexpr,
) -> tl.tuple:
    """Return exp(delta A) of every state; ``rates[first:]`` is A / ln 2 of the direction."""
    decays = (tl.exp2(delta * rates[first]),)
    for n in tl.static_range(1, STATES):
        if TIED:
            # Power n + 1, by halves: a product of n + 1 factors would be a chain as long.
            decays += (decays[(n - 1) // 2] * decays[n // 2],)
        else:
            decays += (tl.exp2(delta * rates[first + n]),)
    return decays


@triton.jit
def _finish(
    out: tl.tensor, total: tl.tensor, gate: tl.tensor, inside: tl.tensor, GATED: tl.constexpr
) -> None:
    if GATED:
        total = total * gate * sigmoid(gate)
    tl.store(out, total, mask=inside)


@triton.jit(do_not_specialize=["clips", "tokens", "scale"])
def scan_forward(
    x: Rows,
    dt: Rows,
    A_log: tl.tensor,
    B: Rows,
    C: Rows,
    D: tl.tensor,
    dt_bias: tl.tensor,
    z: Rows,
    out: tl.tensor,
    partial: tl.tensor,
    checkpoints: tl.tensor,
    clips: tl.tensor,
    tokens: tl.tensor,
    channels: tl.tensor,
    scale: tl.tensor,
    DIRECTIONS: tl.constexpr,
    STATES: tl.constexpr,
    TIED: tl.constexpr,
    GATED: tl.constexpr,
    KEEP: tl.constexpr,
    PACK: tl.constexpr,
    TILE: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    """Write one clip and block of ``out`` and, if KEEP, of ``checkpoints``."""
    RATES: tl.constexpr = 1 if TIED else STATES
    blocks = tl.cdiv(channels, BLOCK)
    clip = tl.program_id(0) // blocks
    channel = tl.program_id(0) % blocks * BLOCK + tl.arange(0, BLOCK)
    inside = channel < channels
    padded = channel < tl.cdiv(channels, LANES) * LANES
    clip_start = wide(clip) * tokens * channels + channel
    out += clip_start
    partial += clip_start
    half = tokens // 2

    rates = ()
    skips = ()
    biases = ()
    hidden = ()
    ahead = ()
    x_rows = ()
    dt_rows = ()
    B_rows = ()
    C_rows = ()
    z_rows = row(z, 0, clip, 0) + channel
    for d in tl.static_range(DIRECTIONS):
        parameter = d * channels + channel
        skips += (tl.load(D + parameter, mask=inside, other=0.0).to(tl.float32),)
        biases += (tl.load(dt_bias + parameter, mask=inside, other=0.0).to(tl.float32),)
        for n in tl.static_range(RATES):
            log = tl.load(A_log + parameter * RATES + n, mask=inside, other=0.0).to(tl.float32)
            rates += (-LOG2_E * tl.exp2(log * LOG2_E),)
        for _ in tl.static_range(STATES):
            hidden += (tl.zeros([BLOCK], tl.float32),)
        x_rows += (row(x, d, clip, 0) + channel,)
        dt_rows += (row(dt, d, clip, 0) + channel,)
        B_rows += (row(B, d, clip, 0),)
        C_rows += (row(C, d, clip, 0),)
        first = wide(d * (tokens - 1))
        ahead += (
            tl.load(x_rows[d] + first * x.token, mask=inside, other=0.0),
            tl.load(dt_rows[d] + first * dt.token, mask=inside, other=0.0),
        )

    tiles = tl.cdiv(tokens, TILE)
    for tile in range(tiles):
        if KEEP:
            for d in tl.static_range(DIRECTIONS):
                at = wide(d * clips + clip) * tiles + tile
                at = at * tl.cdiv(channels, LANES) + channel // LANES
                kept = checkpoints + at * (STATES * LANES) + channel % LANES
                for n in tl.static_range(STATES):
                    tl.store(kept + n * LANES, hidden[d * STATES + n], mask=padded)
        for step in range(tile * TILE, tl.minimum(tile * TILE + TILE, tokens)):
            here = ahead
            ahead = ()
            following = tl.minimum(step + 1, tokens - 1)
            met = step >= half
            B_words = ()
            C_words = ()
            others = ()
            gates = ()
            for d in tl.static_range(DIRECTIONS):
                token = wide(tokens - 1 - step if d else step)
                B_words += (words(B_rows[d] + token * B.token, STATES, PACK),)
                C_words += (words(C_rows[d] + token * C.token, STATES, PACK),)
                if DIRECTIONS == 2:
                    others += (
                        tl.load(partial + token * channels, mask=only_if(met, inside), other=0.0),
                    )
                if GATED:
                    needed = inside if DIRECTIONS == 1 else only_if(met, inside)
                    gate = tl.load(z_rows + token * z.token, mask=needed, other=0.0)
                    gates += (gate.to(tl.float32),)
                else:
                    gates += (0.0,)
                token = wide(tokens - 1 - following if d else following)
                ahead += (
                    tl.load(x_rows[d] + token * x.token, mask=inside, other=0.0),
                    tl.load(dt_rows[d] + token * dt.token, mask=inside, other=0.0),
                )
            ys = ()
            before = hidden
            hidden = ()
            for d in tl.static_range(DIRECTIONS):
                value = here[2 * d].to(tl.float32)
                delta = softplus(here[2 * d + 1].to(tl.float32) + biases[d])
                drive = delta * value
                decays = _decays(delta, rates, d * RATES, STATES, TIED)
                y = skips[d] * value
                for n in tl.static_range(STATES):
                    push = drive * number(B_words[d], n, PACK, B.base.dtype.element_ty)
                    h = decays[n] * before[d * STATES + n] + push
                    y += h * number(C_words[d], n, PACK, C.base.dtype.element_ty)
                    hidden += (h,)
                ys += (y * scale,)

            start = out + wide(step) * channels
            if DIRECTIONS == 1:
                _finish(start, ys[0], gates[0], inside, GATED)
            else:
                end = wide(tokens - 1 - step) * channels
                if met:
                    # Where an odd number of tokens has its middle, both are at the same one now.
                    apart = step != tokens - 1 - step
                    total = ys[0] + tl.where(apart, others[0], ys[1])
                    _finish(start, total, gates[0], inside, GATED)
                    total = ys[1] + tl.where(apart, others[1], ys[0])
                    _finish(out + end, total, gates[1], inside, GATED)
                else:
                    tl.store(partial + wide(step) * channels, ys[0], mask=inside)
                    tl.store(partial + end, ys[1], mask=inside)
