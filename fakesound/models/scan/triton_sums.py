# mypy: disable-error-code="import-untyped, untyped-decorator"
"""Steps before and after the backward scan on a GPU: B and C by runs, and sums of parts.

Small kernels, bound by memory, over tensors of two axes. Sums are in the order of the loops, so
they are the same bits in every run.
"""

import triton
import triton.language as tl

from fakesound.models.scan.triton_math import Rows, row, sigmoid, wide


@triton.jit(do_not_specialize=["clips", "tokens"])
def arrange_rows(
    B: Rows,
    C: Rows,
    rows: tl.tensor,
    clips: tl.tensor,
    tokens: tl.tensor,
    STATES: tl.constexpr,
    PADDED: tl.constexpr,
    STEPS: tl.constexpr,
) -> None:
    """Write a run of ``rows`` (direction, clip, run, state, B or C, step), zeros after the end."""
    runs = tl.cdiv(tokens, STEPS)
    program = tl.program_id(0)
    pair = program // runs
    direction = pair // clips
    clip = pair % clips
    step = tl.arange(0, STEPS)[:, None]
    state = tl.arange(0, PADDED)[None, :]
    place = program % runs * STEPS + step
    token = wide(tl.where(direction == 0, place, tokens - 1 - place))
    present = state < STATES
    mask = present & (place < tokens)
    at = wide(program) * (STATES * 2 * STEPS) + state * (2 * STEPS) + step
    B_at = row(B, direction, clip, 0) + token * B.token + state
    C_at = row(C, direction, clip, 0) + token * C.token + state
    tl.store(rows + at, tl.load(B_at, mask=mask, other=0.0).to(tl.float32), mask=present)
    tl.store(rows + at + STEPS, tl.load(C_at, mask=mask, other=0.0).to(tl.float32), mask=present)


@triton.jit(do_not_specialize=["clips", "tokens", "groups"])
def sum_rows(
    grad_rows: tl.tensor,
    grad_B: tl.tensor,
    grad_C: tl.tensor,
    clips: tl.tensor,
    tokens: tl.tensor,
    groups: tl.tensor,
    STATES: tl.constexpr,
    PADDED: tl.constexpr,
    STEPS: tl.constexpr,
) -> None:
    """Write one run of the gradients of B and C, (direction, clip, token, state).

    ``grad_rows`` is (direction, clip, group, run, state, B or C, step).
    """
    runs = tl.cdiv(tokens, STEPS)
    program = tl.program_id(0)
    pair = program // runs
    run = program % runs
    direction = pair // clips
    step = tl.arange(0, STEPS)[:, None]
    state = tl.arange(0, PADDED)[None, :]
    present = (state < STATES) & (step >= 0)
    part = grad_rows + (wide(pair) * groups * runs + run) * (STATES * 2 * STEPS)
    part += state * (2 * STEPS) + step
    B_sum = tl.zeros([STEPS, PADDED], tl.float32)
    C_sum = tl.zeros([STEPS, PADDED], tl.float32)
    for _ in range(groups):
        B_sum += tl.load(part, mask=present, other=0.0)
        C_sum += tl.load(part + STEPS, mask=present, other=0.0)
        part += wide(runs) * (STATES * 2 * STEPS)
    place = run * STEPS + step
    token = tl.where(direction == 0, place, tokens - 1 - place)
    mask = present & (place < tokens)
    at = (wide(pair) * tokens + token) * STATES + state
    tl.store(grad_B + at, B_sum, mask=mask)
    tl.store(grad_C + at, C_sum, mask=mask)


@triton.jit(do_not_specialize=["clips", "tokens", "scale"])
def gate_backward(
    grad: Rows,
    z: Rows,
    y: tl.tensor,
    grad_z: tl.tensor,
    clips: tl.tensor,
    tokens: tl.tensor,
    channels: tl.tensor,
    scale: tl.tensor,
    DIRECTIONS: tl.constexpr,
    ROWS: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    """Write ROWS tokens and BLOCK channels of the gradient of z, (clip, token, channel).

    ``y`` (direction, clip, token, channel) is the scan before scale and gate.
    """
    blocks = tl.cdiv(channels, BLOCK)
    spans = tl.cdiv(tokens, ROWS)
    program = tl.program_id(0)
    clip = program // blocks // spans
    token = program // blocks % spans * ROWS + tl.arange(0, ROWS)[:, None]
    channel = program % blocks * BLOCK + tl.arange(0, BLOCK)[None, :]
    mask = (token < tokens) & (channel < channels)
    at = (wide(clip) * tokens + token) * channels + channel
    total = tl.load(y + at, mask=mask, other=0.0)
    if DIRECTIONS == 2:
        total += tl.load(y + wide(clips) * tokens * channels + at, mask=mask, other=0.0)
    gate = tl.load(row(z, 0, clip, 0) + wide(token) * z.token + channel, mask=mask, other=0.0)
    dy = tl.load(row(grad, 0, clip, 0) + wide(token) * grad.token + channel, mask=mask, other=0.0)
    gate = gate.to(tl.float32)
    opening = sigmoid(gate)
    slope = opening + gate * opening * (1.0 - opening)
    tl.store(grad_z + at, dy.to(tl.float32) * scale * slope * total, mask=mask)
