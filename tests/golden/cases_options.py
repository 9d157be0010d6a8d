"""A random sample of the options of convolution, pooling and other layers, each in a network of two layers.

A convolution of 1x1 is first, so that the gradient of the layer's input is compared too: it is that layer's
output. The output of the layer itself is compared with random targets."""

import random

import golden
from golden import Case, net
from torch import nn

CONVS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
TRANSPOSED = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}


def behind_conv(kind, options, layer, channels, extents, samples=2):
    """The layer behind a convolution that reads three channels."""
    axes = len(extents)
    module = golden.named(first=CONVS[axes](3, channels, 1), layer=layer)
    first = {"kind": f"conv{axes}d", "name": "first", "filters": channels, "kernel": 1}
    return Case(net(first, {"kind": kind, "name": "layer", **options}), module, input=(3, *extents),
                samples=samples, loss="mean_squared_error")


def per_axis(choose, axes):
    """One number for all axes, or one for each."""
    return choose() if random.random() < 0.4 else [choose() for _ in range(axes)]


def as_list(value, axes):
    return value if isinstance(value, list) else [value] * axes


def convolution(axes):
    groups = random.choice([1, 1, 2, 4])
    channels = groups * random.randint(1, 3)
    depthwise = random.random() < 0.3
    if depthwise:
        groups = channels
    filters = groups * random.randint(1, 3)
    top = {1: 5, 2: 4, 3: 3}[axes]
    options = {
        "kernel": per_axis(lambda: random.randint(1, top), axes),
        "stride": per_axis(lambda: random.randint(1, 3), axes),
        "padding": per_axis(lambda: random.randint(0, 2), axes),
        "dilation": per_axis(lambda: random.choice([1, 1, 2]), axes),
        "bias": random.random() < 0.5,
    }
    extents = [2 * (kernel - 1) + random.randint(3, 6) for kernel in as_list(options["kernel"], axes)]
    layer = CONVS[axes](channels, filters, as_list(options["kernel"], axes), as_list(options["stride"], axes),
                        as_list(options["padding"], axes), as_list(options["dilation"], axes), groups,
                        options["bias"])
    return behind_conv(f"conv{axes}d", {"filters": filters, "groups": groups, **options}, layer, channels,
                         extents)


@golden.file
def convolutions():
    random.seed(1)
    for number in range(24):
        yield f"conv2d_{number}", convolution(2)
    for number in range(12):
        axes = 1 + number % 2 * 2
        yield f"conv{axes}d_{number}", convolution(axes)


def transposed_convolution(axes):
    groups = random.choice([1, 1, 2, 3])
    channels, filters = groups * random.randint(1, 3), groups * random.randint(1, 3)
    top = {1: 5, 2: 4, 3: 3}[axes]
    kernel, stride, dilation = ([random.randint(1, top) for _ in range(axes)],
                                [random.randint(1, 3) for _ in range(axes)],
                                [random.choice([1, 1, 2]) for _ in range(axes)])
    padding = [random.randint(0, min(2, d * (k - 1) // 2)) for k, d in zip(kernel, dilation)]
    options = {"kernel": kernel, "stride": stride, "padding": padding,
               "output_padding": [random.randint(0, step - 1) for step in stride], "dilation": dilation,
               "groups": groups, "bias": random.random() < 0.5}
    layer = TRANSPOSED[axes](channels, filters, kernel, stride, padding, options["output_padding"], groups,
                             options["bias"], dilation)
    extents = [random.randint(1, 5) for _ in range(axes)]
    return behind_conv(f"conv_transpose{axes}d", {"filters": filters, **options}, layer, channels, extents)


@golden.file
def transposed_convolutions():
    random.seed(4)
    for number in range(15):
        axes = number % 3 + 1
        yield f"conv_transpose{axes}d_{number}", transposed_convolution(axes)


POOLS = {"max_pool": {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d},
         "average_pool": {1: nn.AvgPool1d, 2: nn.AvgPool2d, 3: nn.AvgPool3d},
         "adaptive_max_pool": {1: nn.AdaptiveMaxPool1d, 2: nn.AdaptiveMaxPool2d, 3: nn.AdaptiveMaxPool3d},
         "adaptive_average_pool": {1: nn.AdaptiveAvgPool1d, 2: nn.AdaptiveAvgPool2d, 3: nn.AdaptiveAvgPool3d}}


def pooling(kind, axes):
    make = POOLS[kind][axes]
    channels, extents = random.randint(1, 9), [random.randint(3, 11 - 2 * axes) for _ in range(axes)]
    if kind.startswith("adaptive"):
        options = {"output": [random.randint(1, extent) for extent in extents]}
        layer = make(options["output"][0] if axes == 1 else options["output"])
    else:
        window = [random.randint(1, min(4, extent)) for extent in extents]
        options = {"window": window, "stride": [random.randint(1, 3) for _ in range(axes)],
                   "padding": [random.randint(0, size // 2) for size in window],
                   "ceil": random.random() < 0.5}
        layer_options = {"kernel_size": window, "stride": options["stride"], "padding": options["padding"],
                         "ceil_mode": options["ceil"]}
        if kind == "average_pool":
            options["count_padding"] = layer_options["count_include_pad"] = random.random() < 0.5
        layer = make(**layer_options)
    return behind_conv(f"{kind}{axes}d", options, layer, channels, extents)


@golden.file
def poolings():
    random.seed(2)
    for kind in POOLS:
        for number in range(4 if kind.startswith("adaptive") else 8):
            axes = number % 3 + 1
            yield f"{kind}{axes}d_{number}", pooling(kind, axes)


def upsampling(axes):
    channels, extents = random.randint(1, 5), [random.randint(1, 7 - axes) for _ in range(axes)]
    factor = [random.randint(1, 3) for _ in range(axes)]
    linear = random.random() < 0.5
    mode = {1: "linear", 2: "bilinear", 3: "trilinear"}[axes] if linear else "nearest"
    layer = nn.Upsample(scale_factor=tuple(map(float, factor)), mode=mode)
    return behind_conv("upsample", {"factor": factor, "linear": linear}, layer, channels, extents)


@golden.file
def upsamplings():
    random.seed(3)
    for number in range(12):
        yield f"upsample_{number}", upsampling(number % 3 + 1)


@golden.file
def local_response_norms():
    random.seed(5)
    for number in range(6):
        size, channels = random.randint(1, 6), random.randint(1, 9)
        options = {"size": size, "alpha": random.choice([1e-4, 0.1, 1.0]),
                   "beta": random.choice([0.5, 0.75, 1.0]), "k": random.choice([1.0, 2.0])}
        yield f"lrn_{number}", behind_conv("local_response_norm", options, nn.LocalResponseNorm(**options),
                                             channels, [random.randint(1, 6) for _ in range(2)])


@golden.file
def paddings():
    random.seed(6)
    pads = {1: nn.ZeroPad1d, 2: nn.ZeroPad2d, 3: nn.ZeroPad3d}
    for number in range(6):
        axes = number % 3 + 1
        before, after = [[random.randint(0, 3) for _ in range(axes)] for _ in range(2)]
        last_first = [size for pair in zip(reversed(before), reversed(after)) for size in pair]
        yield f"pad_{number}", behind_conv(
            "pad", {"before": before, "after": after}, pads[axes](tuple(last_first)), random.randint(1, 5),
            [random.randint(1, 4) for _ in range(axes)])


class SelfAttention(nn.MultiheadAttention):
    """Queries, keys and values of one sequence (N, T, C)."""

    def __init__(self, channels, heads, bias, causal):
        super().__init__(channels, heads, bias=bias, batch_first=True)
        self.causal = causal

    def forward(self, x):
        mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1], dtype=x.dtype)
        return super().forward(x, x, x, need_weights=False, attn_mask=mask if self.causal else None)[0]


@golden.file
def attentions():
    for heads, causal, bias in ((1, False, True), (2, False, True), (3, True, True), (2, True, False)):
        channels = heads * 4
        options = {"heads": heads, "causal": causal, "bias": bias}
        attention = SelfAttention(channels, heads, bias, causal)
        module = golden.named(first=nn.Linear(5, channels), layer=attention)
        first = {"kind": "linear", "name": "first", "outputs": channels}
        yield f"heads_{heads}_causal_{causal}_bias_{bias}".lower(), Case(
            net(first, {"kind": "multihead_attention", "name": "layer", **options}), module, input=(7, 5),
            samples=3, loss="mean_squared_error", channels_first=False)
