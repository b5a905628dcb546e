# mypy: allow-untyped-decorators, no-warn-unreachable
# mypy: disable-error-code="import-untyped, assignment, misc, var-annotated"
"""The depthwise convolution with SiLU on a GPU, forward and backward, in both directions.

A program is one clip, BLOCK channels and a span of tokens; all of its tokens are loaded before the
first is used. Both directions take them from the same window, which goes as far beyond the span as
the taps reach. Backward computes the slopes of SiLU for the neighbours of a span again.
"""

import triton
import triton.language as tl

from fakesound.models.scan.triton_math import Rows, only_if, row, sigmoid, wide


@triton.jit
def _load_tokens(
    start: tl.tensor,
    stride: tl.tensor,
    first: tl.tensor,
    tokens: tl.tensor,
    inside: tl.tensor,
    COUNT: tl.constexpr,
) -> tl.tuple:
    """Return ``COUNT`` tokens from ``first``, zeros where there are none."""
    at = start + wide(first) * stride
    window = ()
    for i in tl.static_range(COUNT):
        mask = only_if((first + i >= 0) & (first + i < tokens), inside)
        window += (tl.load(at, mask=mask, other=0.0).to(tl.float32),)
        at += stride
    return window


@triton.jit
def _load_weights(
    weight: tl.tensor,
    channels: tl.tensor,
    channel: tl.tensor,
    DIRECTIONS: tl.constexpr,
    TAPS: tl.constexpr,
) -> tl.tuple:
    """Return tap t of direction d at index d TAPS + t."""
    weights = ()
    for d in tl.static_range(DIRECTIONS):
        at = weight + (d * channels + channel) * TAPS
        for tap in tl.static_range(TAPS):
            value = tl.load(at + tap, mask=channel < channels, other=0.0)
            weights += (value.to(tl.float32),)
    return weights


@triton.jit
def _load_biases(
    bias: tl.tensor, channels: tl.tensor, channel: tl.tensor, DIRECTIONS: tl.constexpr
) -> tl.tuple:
    biases = ()
    for d in tl.static_range(DIRECTIONS):
        value = tl.load(bias + d * channels + channel, mask=channel < channels, other=0.0)
        biases += (value.to(tl.float32),)
    return biases


@triton.jit(do_not_specialize=["clips", "tokens"])
def conv_forward(
    x: Rows,
    weight: tl.tensor,
    bias: tl.tensor,
    out: tl.tensor,
    clips: tl.tensor,
    tokens: tl.tensor,
    channels: tl.tensor,
    DIRECTIONS: tl.constexpr,
    TAPS: tl.constexpr,
    SPAN: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    """Write one clip, span and block of ``out`` (direction, clip, token, channel)."""
    REACH: tl.constexpr = TAPS - 1
    blocks = tl.cdiv(channels, BLOCK)
    spans = tl.cdiv(tokens, SPAN)
    program = tl.program_id(0)
    clip = program // blocks // spans
    first = program // blocks % spans * SPAN
    channel = program % blocks * BLOCK + tl.arange(0, BLOCK)
    inside = channel < channels
    window = _load_tokens(
        row(x, 0, clip, 0) + channel,
        x.token,
        first - REACH,
        tokens,
        inside,
        SPAN + REACH * DIRECTIONS,
    )
    weights = _load_weights(weight, channels, channel, DIRECTIONS, TAPS)
    biases = _load_biases(bias, channels, channel, DIRECTIONS)
    for d in tl.static_range(DIRECTIONS):
        at = out + (wide(d * clips + clip) * tokens + first) * channels + channel
        for i in tl.static_range(SPAN):
            total = biases[d]
            for tap in tl.static_range(TAPS):
                value = window[i + REACH + REACH - tap if d else i + tap]
                total += weights[d * TAPS + tap] * value
            tl.store(at, total * sigmoid(total), mask=only_if(first + i < tokens, inside))
            at += channels


@triton.jit(do_not_specialize=["clips", "tokens"])
def conv_backward(
    x: Rows,
    weight: tl.tensor,
    bias: tl.tensor,
    grad: Rows,
    grad_x: tl.tensor,
    grad_parameters: tl.tensor,
    clips: tl.tensor,
    tokens: tl.tensor,
    channels: tl.tensor,
    DIRECTIONS: tl.constexpr,
    TAPS: tl.constexpr,
    SPAN: tl.constexpr,
    SPANS: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    """Write one clip, block and SPANS spans of the gradients.

    ``grad_x`` is (clip, token, channel); ``grad_parameters`` (direction, clip, program of the clip,
    tap + 1, channel) is for the weight and, after the last tap, for the bias.
    """
    REACH: tl.constexpr = TAPS - 1
    blocks = tl.cdiv(channels, BLOCK)
    parts = tl.cdiv(tokens, SPAN * SPANS)
    program = tl.program_id(0)
    clip = program // blocks // parts
    part = program // blocks % parts
    channel = program % blocks * BLOCK + tl.arange(0, BLOCK)
    inside = channel < channels
    x_start = row(x, 0, clip, 0) + channel
    weights = _load_weights(weight, channels, channel, DIRECTIONS, TAPS)
    biases = _load_biases(bias, channels, channel, DIRECTIONS)
    sums = ()
    for _ in tl.static_range(DIRECTIONS * (TAPS + 1)):
        sums += (tl.zeros([BLOCK], tl.float32),)

    begin = part * (SPANS * SPAN)
    for span in range(tl.minimum(SPANS, tl.cdiv(tokens - begin, SPAN))):
        first = begin + span * SPAN
        window = _load_tokens(x_start, x.token, first - REACH, tokens, inside, SPAN + 2 * REACH)
        before = sums
        sums = ()
        totals = ()
        for _ in tl.static_range(SPAN):
            totals += (tl.zeros([BLOCK], tl.float32),)
        for d in tl.static_range(DIRECTIONS):
            # The tokens whose convolutions see the span: those after it, or before it.
            ahead = _load_tokens(
                row(grad, d, clip, 0) + channel,
                grad.token,
                first - REACH if d else first,
                tokens,
                inside,
                SPAN + REACH,
            )
            slopes = ()
            for i in tl.static_range(SPAN + REACH):
                total = biases[d]
                for tap in tl.static_range(TAPS):
                    total += weights[d * TAPS + tap] * window[i + REACH - tap if d else i + tap]
                opening = sigmoid(total)
                slope = opening + total * opening * (1.0 - opening)
                slopes += (slope * ahead[i],)
            so_far = totals
            totals = ()
            for i in tl.static_range(SPAN):
                total = so_far[i]
                for tap in tl.static_range(TAPS):
                    total += weights[d * TAPS + tap] * slopes[i + tap if d else i + REACH - tap]
                totals += (total,)
            for tap in tl.static_range(TAPS):
                total = before[d * (TAPS + 1) + tap]
                for i in tl.static_range(SPAN):
                    value = window[i + REACH + REACH - tap if d else i + tap]
                    total += slopes[i + REACH if d else i] * value
                sums += (total,)
            total = before[d * (TAPS + 1) + TAPS]
            for i in tl.static_range(SPAN):
                total += slopes[i + REACH if d else i]
            sums += (total,)
        at = grad_x + (wide(clip) * tokens + first) * channels + channel
        for i in tl.static_range(SPAN):
            tl.store(at, totals[i], mask=only_if(first + i < tokens, inside))
            at += channels

    for d in tl.static_range(DIRECTIONS):
        own_part = wide(d * clips + clip) * parts + part
        at = grad_parameters + own_part * (TAPS + 1) * channels + channel
        for tap in tl.static_range(TAPS + 1):
            tl.store(at + tap * channels, sums[d * (TAPS + 1) + tap], mask=inside)
