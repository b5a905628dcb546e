"""Weights and outputs of Vim, AuM and the original project.

Written from the papers and the layouts of the files, with none of the package's own code.
"""

import math

import torch
from torch.nn.functional import conv1d, conv2d, linear, silu, softplus


def shapes(dim, depth, places, patch=(16, 16), channels=3, classes=1000, variant="v2"):
    """Shapes of a published file and the position of its class token."""
    inner, rank = 2 * dim, math.ceil(dim / 16)
    one = {
        "conv1d.weight": (inner, 1, 4),
        "conv1d.bias": (inner,),
        "x_proj.weight": (rank + 32, inner),
        "dt_proj.weight": (inner, rank),
        "dt_proj.bias": (inner,),
    }
    mixer = {"A_log": (inner, 16), "D": (inner,), "in_proj.weight": (2 * inner, dim)} | one
    if variant != "none":
        mixer["A_b_log"] = (inner, 16)
    if variant == "v2":
        mixer["D_b"] = (inner,)
        mixer |= {name.replace(".", "_b."): shape for name, shape in one.items()}
    mixer["out_proj.weight"] = (dim, inner)
    result = {
        "cls_token": (1, 1, dim),
        "pos_embed": (1, places + 1, dim),
        "patch_embed.proj.weight": (dim, channels, *patch),
        "patch_embed.proj.bias": (dim,),
        "head.weight": (classes, dim),
        "head.bias": (classes,),
        "norm_f.weight": (dim,),
    }
    for layer in range(depth):
        result |= {f"layers.{layer}.mixer.{name}": shape for name, shape in mixer.items()}
        result[f"layers.{layer}.norm.weight"] = (dim,)
    return result


def weights(dim=192, depth=2, places=196, seed=0, **options):
    """Return random weights of a published file, all large enough to affect the outputs."""
    generator = torch.Generator().manual_seed(seed)

    def drawn(name, shape):
        values = torch.randn(shape, generator=generator)
        if name.endswith(("A_log", "A_b_log")):
            return torch.arange(1.0, 17).log() + 0.3 * values
        if name.endswith(("D", "D_b", "norm.weight", "norm_f.weight")):
            return 1 + 0.3 * values
        if "patch_embed" in name and name.endswith("weight"):
            return values / math.prod(shape[1:]) ** 0.5
        if name.endswith("weight") and len(shape) > 1:
            return values / shape[-1] ** 0.5
        return 0.5 * values

    return {
        name: drawn(name, shape) for name, shape in shapes(dim, depth, places, **options).items()
    }


def aum(dim=192, depth=2, rows=8, columns=64, variant="v1", **options):
    """Return random weights in the format of AuM after training on several GPUs."""
    result = weights(
        dim, depth, rows * columns, channels=1, classes=527, variant=variant, **options
    )
    result["pos_embed.pos_embed"] = result.pop("pos_embed")
    return {f"module.{name}": value for name, value in result.items()}


def features(p, image, variant="v2", class_place="middle", halve=True):
    """Return the class token and the tokens of patches after the last norm, row by row.

    Args:
        p: the weights, names without anything before them.
        image: example, channel, row, column.
        variant: of the mixers.
        class_place: where the class token's position is stored: "middle" or "first".
        halve: whether v2 halves the sum of its directions.
    """
    p = {name: value.double() for name, value in p.items()}
    positions = p.get("pos_embed", p.get("pos_embed.pos_embed"))
    weight = p["patch_embed.proj.weight"]
    patches = conv2d(
        image.double(), weight, p["patch_embed.proj.bias"], stride=tuple(weight.shape[2:])
    )
    rows, columns = patches.shape[2:]
    x = patches.flatten(2).transpose(1, 2)
    count = x.shape[1]
    middle = count // 2
    if class_place == "first":
        positions = torch.cat(
            (positions[:, 1 : 1 + middle], positions[:, :1], positions[:, 1 + middle :]), 1
        )
    x = torch.cat((x[:, :middle], p["cls_token"].expand(len(x), -1, -1), x[:, middle:]), 1)
    hidden, residual = x + positions, None
    depth = 1 + max(int(name.split(".")[1]) for name in p if name.startswith("layers."))
    for layer in range(depth):
        own = {
            name.removeprefix(f"layers.{layer}."): value
            for name, value in p.items()
            if name.startswith(f"layers.{layer}.")
        }
        residual = hidden if residual is None else hidden + residual
        mixer = {name.removeprefix("mixer."): value for name, value in own.items()}
        hidden = mixed(mixer, normalised(residual, own["norm.weight"]), variant, halve)
    hidden = normalised(hidden + residual, p["norm_f.weight"])
    rest = torch.cat((hidden[:, :middle], hidden[:, middle + 1 :]), 1)
    return hidden[:, middle], rest.unflatten(1, (rows, columns))


def normalised(x, weight):
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-5) * weight


def mixed(p, x, variant, halve):
    """Return the output of one mixer with its second direction on reversed sequences."""
    xz = linear(x, p["in_proj.weight"]).transpose(1, 2)
    out = scanned(*convolved(p, xz, ""), p, "A_log", "")
    if variant == "v1":
        turned = [part.flip(-1) for part in convolved(p, xz, "")]
        out = out + scanned(*turned, p, "A_b_log", "").flip(-1)
    if variant == "v2":
        back = scanned(*convolved(p, xz.flip(-1), "_b"), p, "A_b_log", "_b").flip(-1)
        out = (out + back) / 2 if halve else out + back
    return linear(out.transpose(1, 2), p["out_proj.weight"])


def convolved(p, xz, end):
    x, z = xz.chunk(2, 1)
    weight, length = p[f"conv1d{end}.weight"], x.shape[2]
    return silu(conv1d(x, weight, p[f"conv1d{end}.bias"], padding=3, groups=len(weight)))[
        ..., :length
    ], z


def scanned(x, z, p, rates, end):
    """Return the selective scan, token by token."""
    rank = p[f"dt_proj{end}.weight"].shape[1]
    low, b, c = torch.einsum("bel,re->brl", x, p[f"x_proj{end}.weight"]).split([rank, 16, 16], 1)
    step = torch.einsum("brl,er->bel", low, p[f"dt_proj{end}.weight"])
    step = softplus(step + p[f"dt_proj{end}.bias"][:, None])
    rate = -p[rates].exp()
    state, seen = 0, []
    for t in range(x.shape[2]):
        now = step[:, :, t, None]
        state = torch.exp(now * rate) * state + now * b[:, None, :, t] * x[:, :, t, None]
        seen.append((state * c[:, None, :, t]).sum(-1))
    return (torch.stack(seen, -1) + p[f"D{end}"][:, None] * x) * silu(z)
