/* The bidirectional selective scan as a plain loop, forward only: a yardstick for the kernels.

   What a C compiler makes of the equations when they are written down well: sixteen channels side by
   side, so that it can use vectors; the states of a block in arrays that stay in the nearest cache;
   exponentials by a polynomial, since a call would keep the loop from being vectorised. No tiles, no
   intrinsics. fakesound/models/scan/reference.py says what the letters mean.

   Compiled when it is used, with -Ofast -march=native. */

#include <math.h>
#include <string.h>

#define LANES 16
#define LOG2_E 1.44269504f

/* A tensor whose last axis is contiguous: its memory, and strides in numbers of floats. */
struct rows {
    const float *data;
    long direction, clip, token;
};

struct scan {
    long directions, clips, tokens, channels, states;
    struct rows x, dt, B, C, z;
    const float *rate;       /* (direction, channel, state): A / ln 2 */
    const float *D, *bias;   /* (direction, channel) */
    float scale;
    float *out;              /* (clip, token, channel) */
};

/* 2 ** x for x <= 126, with a relative error below 2e-7; 2 ** -126 below that. */
static inline float power_of_two(float x)
{
    x = fmaxf(x, -126.0f);
    const float whole = rintf(x), rest = x - whole;
    float value = 1.3381303e-03f;
    value = value * rest + 9.6663685e-03f;
    value = value * rest + 5.5503810e-02f;
    value = value * rest + 2.4022349e-01f;
    value = value * rest + 6.9314718e-01f;
    value = value * rest + 1.0f;
    int bits;
    memcpy(&bits, &value, sizeof bits);
    bits += (int)whole << 23; /* the exponent of a float starts at bit 23 */
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline float exponential(float x)
{
    return power_of_two(fminf(x, 87.0f) * LOG2_E);
}

/* log(1 + exp(x)) = max(x, 0) + log(1 + u), where u = exp(-|x|) <= 1, and
   log(1 + u) = 2 artanh(u / (2 + u)), whose series is short since u / (2 + u) <= 1 / 3. */
static inline float softplus(float x)
{
    const float u = exponential(-fabsf(x)), s = u / (2.0f + u), square = s * s;
    float series = 1.0f / 15;
    series = series * square + 1.0f / 13;
    series = series * square + 1.0f / 11;
    series = series * square + 1.0f / 9;
    series = series * square + 1.0f / 7;
    series = series * square + 1.0f / 5;
    series = series * square + 1.0f / 3;
    series = series * square + 1.0f;
    return fmaxf(x, 0.0f) + 2.0f * s * series;
}

static inline const float *row(const struct rows *rows, long direction, long clip, long token)
{
    return rows->data + direction * rows->direction + clip * rows->clip + token * rows->token;
}

/* One clip, LANES channels from ``first`` on. ``states`` is an argument of its own so that it can be
   a constant. */
static inline __attribute__((always_inline)) void scan_block(
    const struct scan *s, long clip, long first, long states)
{
    for (long direction = 0; direction < s->directions; direction++) {
        const long own = direction * s->channels + first;
        const int last = direction == s->directions - 1;
        float hidden[states][LANES], rate[states][LANES];
        for (long n = 0; n < states; n++)
            for (long i = 0; i < LANES; i++) {
                hidden[n][i] = 0.0f;
                rate[n][i] = s->rate[(own + i) * states + n];
            }
        for (long step = 0; step < s->tokens; step++) {
            const long token = direction == 0 ? step : s->tokens - 1 - step;
            const float *x = row(&s->x, direction, clip, token) + first;
            const float *dt = row(&s->dt, direction, clip, token) + first;
            const float *B = row(&s->B, direction, clip, token);
            const float *C = row(&s->C, direction, clip, token);
            const float *z = row(&s->z, 0, clip, token) + first;
            float *out = s->out + (clip * s->tokens + token) * s->channels + first;
            float delta[LANES], drive[LANES], y[LANES];
            for (long i = 0; i < LANES; i++) {
                delta[i] = softplus(dt[i] + s->bias[own + i]);
                drive[i] = delta[i] * x[i];
                y[i] = s->D[own + i] * x[i];
            }
            for (long n = 0; n < states; n++)
                for (long i = 0; i < LANES; i++) {
                    hidden[n][i] = power_of_two(delta[i] * rate[n][i]) * hidden[n][i]
                                   + drive[i] * B[n];
                    y[i] += C[n] * hidden[n][i];
                }
            for (long i = 0; i < LANES; i++) {
                float total = direction == 0 ? y[i] : out[i] + y[i];
                if (last)
                    total *= s->scale * z[i] / (1.0f + exponential(-z[i]));
                out[i] = total;
            }
        }
    }
}

/* Tasks ``first`` to ``after``: a task is one clip and LANES channels. */
void scan_forward(long first, long after, const struct scan *s)
{
    const long blocks = s->channels / LANES;
    for (long task = first; task < after; task++) {
        const long clip = task / blocks, channel = task % blocks * LANES;
        if (s->states == 16)
            scan_block(s, clip, channel, 16);
        else
            scan_block(s, clip, channel, s->states);
    }
}
