"""U-Nets, CosmoFlow and a network for signals: models in two, three and one dimensions."""

import collections

import golden
import torch
from golden import ADAM, SGD, Case, hwc, named
from torch import nn

KINDS = {2: (nn.Conv2d, nn.ConvTranspose2d, nn.BatchNorm2d, nn.MaxPool2d, "bilinear"),
         3: (nn.Conv3d, nn.ConvTranspose3d, nn.BatchNorm3d, nn.MaxPool3d, "trilinear")}


class UNet(nn.Module):
    """With the names of github.com/milesial/Pytorch-UNet. Interpolation does not align the corners."""

    def __init__(self, axes, channels, filters, classes, up, batch_norm=True):
        super().__init__()
        conv, transposed, norm, pool, linear = KINDS[axes]
        self.levels = len(filters) - 1
        factor = 1 if up == "transposed" else 2

        def double(inputs, first, second):
            layers = collections.OrderedDict()
            for number, (a, b) in ((0, (inputs, first)), (3, (first, second))):
                layers[str(number)] = conv(a, b, 3, padding=1, bias=not batch_norm)
                if batch_norm:
                    layers[str(number + 1)] = norm(b)
                layers[str(number + 2)] = nn.ReLU()
            return named(double_conv=nn.Sequential(layers))

        self.inc = double(channels, filters[0], filters[0])
        widths = [filters[0]]
        for level in range(1, self.levels + 1):
            width = filters[level] // factor if level == self.levels else filters[level]
            down = named(maxpool_conv=nn.Sequential(pool(2), double(widths[-1], width, width)))
            self.add_module(f"down{level}", down)
            widths.append(width)
        below = widths.pop()
        for level in reversed(range(self.levels)):
            enlarge = transposed(below, filters[level], 2, 2) if up == "transposed" else nn.Upsample(
                scale_factor=2, mode="nearest" if up == "nearest" else linear)
            joined = widths[level] + (filters[level] if up == "transposed" else below)
            below = filters[level] // factor if level > 0 else filters[level]
            self.add_module(f"up{self.levels - level}",
                            named(up=enlarge, conv=double(joined, joined // 2, below)))
        self.outc = named(conv=conv(below, classes, 1))

    def forward(self, x):
        skips = [self.inc(x)]
        for level in range(1, self.levels + 1):
            skips.append(getattr(self, f"down{level}")(skips[-1]))
        x = skips.pop()
        for number in range(1, self.levels + 1):
            module, skip = getattr(self, f"up{number}"), skips.pop()
            x = module.up(x)
            missing = []  # at the end of each axis, the last axis first
            for axis in reversed(range(2, x.ndim)):
                missing += [0, skip.shape[axis] - x.shape[axis]]
            x = module.conv(torch.cat([skip, nn.functional.pad(x, missing)], 1))
        return self.outc(x)


@golden.file
def unet():
    for name, extents, filters in (("unet", (9, 10), [3, 4, 6]), ("unet3d", (5, 4, 6), [3, 4])):
        for up in ("transposed", "linear", "nearest"):
            batch_norm = up != "nearest"
            keys = {"filters": filters, "up": up, "batch_norm": batch_norm}
            module = UNet(len(extents), 2, filters, 3, up, batch_norm)
            yield f"{name}_{up}", Case({"name": name, "keys": keys}, module, input=(2, *extents), outputs=3,
                                       samples=3, optimizer=ADAM if up == "linear" else SGD)


class Scale(nn.Module):
    def forward(self, x):
        return 1.2 * x


@golden.file
def cosmoflow():
    filters, hidden = [3, 4], [7, 5]
    module = named(
        conv1=nn.Conv3d(2, filters[0], 2, padding="same"), relu1=nn.LeakyReLU(0.3), pool1=nn.MaxPool3d(2),
        conv2=nn.Conv3d(filters[0], filters[1], 2, padding="same"), relu2=nn.LeakyReLU(0.3),
        pool2=nn.MaxPool3d(2), flatten=nn.Flatten(), dense1=nn.Linear(8 * filters[1], hidden[0]),
        relu3=nn.LeakyReLU(0.3), dense2=nn.Linear(hidden[0], hidden[1]), relu4=nn.LeakyReLU(0.3),
        output=nn.Linear(hidden[1], 3), tanh=nn.Tanh(), scale=Scale())
    keys = {"filters": filters, "hidden": hidden, "dropout": 0.0}
    yield "cosmoflow", Case({"name": "cosmoflow", "keys": keys}, module, input=(2, 9, 8, 10),
                            loss="mean_squared_error", optimizer=ADAM,
                            reorder={"dense1.weight": hwc(filters[1], 2, 2, 2)})


@golden.file
def cnn1d():
    filters, kernels = [3, 5, 4], [8, 5, 3]
    module, channels = nn.Sequential(), 2
    for number, (count, kernel) in enumerate(zip(filters, kernels), 1):
        module.add_module(f"conv{number}", nn.Conv1d(channels, count, kernel, padding="same", bias=False))
        module.add_module(f"norm{number}", nn.BatchNorm1d(count))
        module.add_module(f"relu{number}", nn.ReLU())
        module.add_module(f"pool{number}", nn.MaxPool1d(2))
        channels = count
    for name, layer in (("average", nn.AdaptiveAvgPool1d(1)), ("flatten", nn.Flatten()),
                        ("output", nn.Linear(channels, 3))):
        module.add_module(name, layer)
    keys = {"filters": filters, "kernels": kernels, "pool": 2}
    yield "cnn1d", Case({"name": "cnn1d", "keys": keys}, module, input=(2, 33), outputs=3, samples=5)
