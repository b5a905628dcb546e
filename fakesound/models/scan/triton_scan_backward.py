# mypy: allow-untyped-decorators, no-warn-unreachable
# mypy: disable-error-code="import-untyped, assignment, misc, var-annotated"
"""The scan backward on a GPU. The equations are those of ``cpu_scan_backward``.

A program is one direction, clip and group of LANES channels: one warp, a channel a thread, so that
no sum over its channels needs a barrier. It goes back through the scan in runs of STEPS steps. In a
run the loop over states is the outer one: for one state the hidden states and decays of all steps
are computed again into registers, and the way back follows at once. So they are never in memory,
and any number of states takes the same registers. What goes through the caches for a state and a
run is a number a channel of each: the hidden state before the run, its gradient, and that of A_log.
What belongs to the steps (delta, drive, the gradient of y, sums over the states) is in registers
for the run. Longer runs would save some of this traffic, but with 16 steps all registers are taken
and two warps fit where there are three with 8. The forward pass keeps the hidden state every TILE
steps; for the runs of a tile but the first it is computed from there into ``starts``.

The gradients of B and C are sums over channels, 2 STEPS of them for a state and a run. Folding
halves onto each other leaves each lane with one of them after 16 exchanges in place of 80. They and
B and C themselves are kept as ``rows``, (direction, clip, run, state, B or C, step), in the order
of the scan and with zeros after its end, so that what a state needs of them is one line of memory.

Nothing is added to memory that another program adds to: parts are summed in a fixed order later.
"""

import triton
import triton.language as tl

from fakesound.models.scan.triton_math import (
    LANES,
    LN_2,
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
def _fold(low: tl.tensor, high: tl.tensor, distance: tl.constexpr) -> tl.tensor:
    """Return ``low`` plus its value ``distance`` lanes away where that bit of the lane is 0.

    Where it is 1, return the same of ``high``.
    """
    lane = tl.arange(0, LANES)
    upper = (lane & distance) != 0
    kept = tl.where(upper, high, low)
    sent = tl.where(upper, low, high)
    return kept + tl.gather(sent, lane ^ distance, 0)


@triton.jit
def _rate(log: tl.tensor) -> tl.tensor:
    """Return A / ln 2."""
    return -LOG2_E * tl.exp2(log.to(tl.float32) * LOG2_E)


@triton.jit
def _discretise(
    x: tl.tensor,
    x_step: tl.tensor,
    dt: tl.tensor,
    dt_step: tl.tensor,
    bias: tl.tensor,
    inside: tl.tensor,
    left: tl.tensor,
    STEPS: tl.constexpr,
) -> tl.tuple:
    """Return delta and drive = delta x of a run that begins at ``x`` and ``dt``.

    A step that is not among the ``left`` ones changes nothing: its delta is 0.
    """
    deltas = ()
    drives = ()
    for i in tl.static_range(STEPS):
        mask = only_if(i < left, inside)
        value = tl.load(x, mask=mask, other=0.0).to(tl.float32)
        raw = tl.load(dt, mask=mask, other=0.0).to(tl.float32) + bias
        delta = tl.where(i < left, softplus(raw), 0.0)
        deltas += (delta,)
        drives += (delta * value,)
        x += x_step
        dt += dt_step
    return deltas, drives


@triton.jit(do_not_specialize=["clips", "tokens", "scale"])
def scan_backward(
    x: Rows,
    dt: Rows,
    A_log: tl.tensor,
    rows: tl.tensor,
    D: tl.tensor,
    dt_bias: tl.tensor,
    z: Rows,
    grad: Rows,
    checkpoints: tl.tensor,
    grad_x: tl.tensor,
    grad_dt: tl.tensor,
    grad_rows: tl.tensor,
    y: tl.tensor,
    grad_parameters: tl.tensor,
    carry: tl.tensor,
    starts: tl.tensor,
    clips: tl.tensor,
    tokens: tl.tensor,
    channels: tl.tensor,
    scale: tl.tensor,
    STATES: tl.constexpr,
    TIED: tl.constexpr,
    GATED: tl.constexpr,
    TILE: tl.constexpr,
    STEPS: tl.constexpr,
) -> None:
    """Write one direction, clip and group of channels of the gradients.

    ``grad_rows`` is (direction, clip, group) and then as ``rows``; ``y`` (direction, clip, token,
    channel) is the scan before scale and gate, for the gradient of z; ``grad_parameters``
    (direction, clip, group, rate + 2, LANES) is for A_log, then D, then dt_bias. Scratch:
    ``carry`` (direction, clip, group, state, LANES) is the gradient of the hidden state, and
    ``starts`` (direction, clip, group, run of a tile, state, LANES) that state before a run.
    """
    RATES: tl.constexpr = 1 if TIED else STATES
    WIDTH: tl.constexpr = STATES * LANES
    LINE: tl.constexpr = 2 * STEPS
    RUNS: tl.constexpr = TILE // STEPS
    groups = tl.cdiv(channels, LANES)
    tiles = tl.cdiv(tokens, TILE)
    runs = tl.cdiv(tokens, STEPS)
    program = tl.program_id(0)
    pair = program // groups
    group = program % groups
    direction = pair // clips
    clip = pair % clips
    lane = tl.arange(0, LANES)
    channel = group * LANES + lane
    inside = channel < channels
    x_rows = row(x, direction, clip, 0) + channel
    dt_rows = row(dt, direction, clip, 0) + channel
    z_rows = row(z, 0, clip, 0) + channel
    y_rows = row(grad, 0, clip, 0) + channel
    sign = wide(1 - 2 * direction)
    x_step = sign * x.token
    dt_step = sign * dt.token
    own = wide(pair) * tokens * channels + channel
    checkpoints += (wide(pair) * tiles * groups + group) * WIDTH + lane
    rows += wide(pair) * runs * (STATES * LINE)
    grad_rows += wide(program) * runs * (STATES * LINE) + lane
    carry += wide(program) * WIDTH + lane
    starts += wide(program) * (RUNS * WIDTH) + lane
    grad_parameters += wide(program) * ((RATES + 2) * LANES) + lane
    parameter = direction * channels + channel
    skip = tl.load(D + parameter, mask=inside, other=0.0).to(tl.float32)
    bias = tl.load(dt_bias + parameter, mask=inside, other=0.0).to(tl.float32)
    A_log += parameter * RATES
    tied_rate = _rate(tl.load(A_log, mask=inside, other=0.0))
    grad_A_log = tl.zeros([LANES], tl.float32)
    grad_D = tl.zeros([LANES], tl.float32)
    grad_bias = tl.zeros([LANES], tl.float32)

    for index in range(runs):
        run = runs - 1 - index
        place = run % RUNS
        last = run == runs - 1
        begun = only_if(run < runs - 1, inside)
        hidden_start = checkpoints + wide(run // RUNS) * groups * WIDTH
        if last | (place == RUNS - 1):
            source = hidden_start
            for earlier in range(place):
                first = (run - place + earlier) * STEPS
                start = wide(tl.where(direction == 0, first, tokens - 1 - first))
                deltas, drives = _discretise(
                    x_rows + start * x.token, x_step, dt_rows + start * dt.token, dt_step,
                    bias, inside, tokens - first, STEPS,
                )  # fmt: skip
                target = starts + (earlier + 1) * WIDTH
                for n in range(STATES):
                    rate = tied_rate * (n + 1)
                    if not TIED:
                        rate = _rate(tl.load(A_log + n, mask=inside, other=0.0))
                    line = words(rows + wide(first) * (2 * STATES) + n * LINE, STEPS, 2)
                    h = tl.load(source + n * LANES)
                    for i in tl.static_range(STEPS):
                        push = drives[i] * number(line, i, 2, tl.float32)
                        h = tl.exp2(deltas[i] * rate) * h + push
                    tl.store(target + n * LANES, h)
                source = target
        if place > 0:
            hidden_start = starts + place * WIDTH

        first = run * STEPS
        left = tokens - first
        start = wide(tl.where(direction == 0, first, tokens - 1 - first))
        deltas, drives = _discretise(
            x_rows + start * x.token, x_step, dt_rows + start * dt.token, dt_step,
            bias, inside, left, STEPS,
        )  # fmt: skip
        grads = ()
        along_B = ()
        along_A = ()
        ys = ()
        y_at = y_rows + start * grad.token
        z_at = z_rows + start * z.token
        for i in tl.static_range(STEPS):
            mask = only_if(i < left, inside)
            dy = tl.load(y_at, mask=mask, other=0.0).to(tl.float32) * scale
            if GATED:
                gate = tl.load(z_at, mask=mask, other=0.0).to(tl.float32)
                dy = dy * gate * sigmoid(gate)
            y_at += sign * grad.token
            z_at += sign * z.token
            grads += (dy,)
            along_B += (tl.zeros([LANES], tl.float32),)
            along_A += (tl.zeros([LANES], tl.float32),)
            ys += (tl.zeros([LANES], tl.float32),)

        for n in range(STATES):
            rate = tied_rate * (n + 1)
            if not TIED:
                rate = _rate(tl.load(A_log + n, mask=inside, other=0.0))
            line = words(rows + wide(first) * (2 * STATES) + n * LINE, LINE, 2)
            h = tl.load(hidden_start + n * LANES)
            hidden = (h,)
            decays = ()
            for i in tl.static_range(STEPS):
                decay = tl.exp2(deltas[i] * rate)
                h = decay * h + drives[i] * number(line, i, 2, tl.float32)
                decays += (decay,)
                hidden += (h,)
            if GATED:
                before = ys
                ys = ()
                for i in tl.static_range(STEPS):
                    C_i = number(line, STEPS + i, 2, tl.float32)
                    ys += (before[i] + hidden[i + 1] * C_i,)

            g = tl.load(carry + n * LANES, mask=begun, other=0.0)
            B_before = along_B
            A_before = along_A
            along_B = ()
            along_A = ()
            sums = ()
            grad_rate = tl.zeros([LANES], tl.float32)
            for i in tl.static_range(STEPS - 1, -1, -1):
                g += grads[i] * number(line, STEPS + i, 2, tl.float32)
                along_B = (B_before[i] + g * number(line, i, 2, tl.float32),) + along_B  # noqa: RUF005
                sums = (_fold(g * drives[i], grads[i] * hidden[i + 1], STEPS),) + sums  # noqa: RUF005
                g *= decays[i]
                p = g * hidden[i]
                along_A = (A_before[i] + p * rate,) + along_A  # noqa: RUF005
                grad_rate += p * deltas[i]
            tl.store(carry + n * LANES, g)
            if not TIED:
                at = grad_parameters + n * LANES
                total = tl.load(at, mask=begun, other=0.0)
                tl.store(at, total + grad_rate * rate * LN_2)
            # Bit by bit of the step, until each of LINE lanes has a sum of its own ...
            for level in tl.static_range(3):
                halves = sums
                sums = ()
                for i in tl.static_range(STEPS >> (level + 1)):
                    sums += (_fold(halves[2 * i], halves[2 * i + 1], 1 << level),)
            # ... and another lane has one of the same step over the other channels.
            total = _fold(sums[0], sums[0], LINE)
            at = wide(first) * (2 * STATES) + n * LINE
            tl.store(grad_rows + at, total, mask=lane < LINE)

        x_at = x_rows + start * x.token
        dt_at = dt_rows + start * dt.token
        at = own + start * channels
        for i in tl.static_range(STEPS):
            mask = only_if(i < left, inside)
            value = tl.load(x_at, mask=mask, other=0.0).to(tl.float32)
            raw = tl.load(dt_at, mask=mask, other=0.0).to(tl.float32) + bias
            tl.store(grad_x + at, deltas[i] * along_B[i] + skip * grads[i], mask=mask)
            grad_dt_i = (value * along_B[i] + along_A[i] * LN_2) * sigmoid(raw)
            tl.store(grad_dt + at, grad_dt_i, mask=mask)
            grad_bias += grad_dt_i
            grad_D += grads[i] * value
            if TIED:
                grad_A_log += deltas[i] * along_A[i]
            if GATED:
                tl.store(y + at, ys[i] + skip * value, mask=mask)
            x_at += x_step
            dt_at += dt_step
            at += sign * channels
    if TIED:
        tl.store(grad_parameters, grad_A_log * LN_2)
    tl.store(grad_parameters + RATES * LANES, grad_D)
    tl.store(grad_parameters + (RATES + 1) * LANES, grad_bias)
