"""DeepLabv3+ as in MLPerf HPC's DeepCAM, with the names of its reference, azrael417/mlperf-deepcam."""

import golden
import torch
from golden import ADAM, SGD, Case, named
from torch import nn

FILTERS, EXIT, RATES = [32, 64, 128, 256, 728], [1024, 1536, 1536, 2048], [6, 12, 18]


def conv(inputs, outputs, kernel=1, stride=1, dilation=1, groups=1, bias=False):
    return nn.Conv2d(inputs, outputs, kernel, stride, dilation * (kernel // 2), dilation, groups, bias)


def separable(inputs, outputs, stride=1, dilation=1):
    return named(conv1=conv(inputs, inputs, 3, stride, dilation, groups=inputs),
                 pointwise=conv(inputs, outputs))


class Larger(nn.ConvTranspose2d):
    """A transposed convolution, up to the extents that the image has at `at` pixels per position."""

    def __init__(self, inputs, outputs, at, image, stride=2):
        super().__init__(inputs, outputs, 3, stride, 1, bias=False)
        self.wanted = [-(-extent // at) for extent in image]

    def forward(self, x):
        return super().forward(x, self.wanted)


class Block(nn.Module):
    """ReLUs work in place, as in the reference: the first one of `rep` changes what the shortcut reads."""

    def __init__(self, inputs, filters, stride=1, dilation=1, begins_with_relu=True, last=False):
        super().__init__()
        layers, channels = [], inputs
        for count in filters:
            layers += [nn.ReLU(inplace=True), separable(channels, count, dilation=dilation),
                       nn.BatchNorm2d(count)]
            channels = count
        if last:
            layers.append(separable(channels, channels, stride))
        self.rep = nn.Sequential(*layers[0 if begins_with_relu else 1:])
        self.has_skip = inputs != channels or stride != 1
        if self.has_skip:
            self.skip, self.skipbn = conv(inputs, channels, 1, stride), nn.BatchNorm2d(channels)

    def forward(self, x):
        y = self.rep(x)
        return y + (self.skipbn(self.skip(x)) if self.has_skip else x)


class Xception(nn.Module):
    def __init__(self, channels, output_stride, filters, middle_blocks, exit_filters):
        super().__init__()
        rate, width = 16 // output_stride, filters[4]
        self.conv1, self.bn1 = conv(channels, filters[0], 3, 2), nn.BatchNorm2d(filters[0])
        self.conv2, self.bn2 = conv(filters[0], filters[1], 3), nn.BatchNorm2d(filters[1])
        blocks = [Block(filters[i], [filters[i + 1]] * 2, 2 if i < 3 else output_stride // 8,
                        begins_with_relu=i > 1, last=True) for i in (1, 2, 3)]
        blocks += [Block(width, [width] * 3, dilation=rate) for _ in range(middle_blocks)]
        blocks.append(Block(width, [width, exit_filters[0]], dilation=rate, last=True))
        self.count = len(blocks)
        for number, block in enumerate(blocks, 1):
            self.add_module(f"block{number}", block)
        for number, inputs, outputs in zip((3, 4, 5), exit_filters, exit_filters[1:]):
            self.add_module(f"conv{number}", separable(inputs, outputs, dilation=2 * rate))
            self.add_module(f"bn{number}", nn.BatchNorm2d(outputs))

    def forward(self, x):
        x = torch.relu(self.bn1(self.conv1(x)))
        x = low_level = self.block1(torch.relu(self.bn2(self.conv2(x))))
        for number in range(2, self.count + 1):
            x = getattr(self, f"block{number}")(x)
        for number in (3, 4, 5):
            x = torch.relu(getattr(self, f"bn{number}")(getattr(self, f"conv{number}")(x)))
        return x, low_level  # which the ReLU of block2 has changed


class Affine(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.weights = nn.Parameter(1 + 0.1 * torch.randn(channels, 1, 1))
        self.bias = nn.Parameter(0.5 + 0.1 * torch.randn(channels, 1, 1))

    def forward(self, x):
        return self.weights * x + self.bias


class DeepCam(nn.Module):
    def __init__(self, channels, classes, image, output_stride=16, filters=FILTERS, middle_blocks=16,
                 exit_filters=EXIT, rates=RATES, decoder_filters=256, low_level_filters=48):
        super().__init__()
        features, width = exit_filters[-1], decoder_filters
        self.xception_features = Xception(channels, output_stride, filters, middle_blocks, exit_filters)
        self.branches = 1 + len(rates)
        for number, rate in enumerate([0, *rates], 1):
            dilated = conv(features, width, 3, dilation=rate * 16 // output_stride) if rate else conv(
                features, width)
            self.add_module(f"aspp{number}", named(
                atrous_convolution=dilated, bn=nn.BatchNorm2d(width), relu=nn.ReLU()))
        self.global_avg_pool = named(global_average_pool=nn.Sequential(
            nn.AdaptiveAvgPool2d(1), conv(features, width), Affine(width), nn.ReLU()))
        self.conv1, self.bn1 = conv((self.branches + 1) * width, width), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = conv(filters[2], low_level_filters), nn.BatchNorm2d(low_level_filters)

        def unit(layer):
            return [layer, nn.BatchNorm2d(width), nn.ReLU()]

        self.upsample = named(
            deconv1=nn.Sequential(*unit(Larger(width, width, 8, image, output_stride // 8)),
                                  *unit(Larger(width, width, 4, image))),
            conv1=nn.Sequential(*unit(conv(width + low_level_filters, width, 3)),
                                *unit(conv(width, width, 3)), conv(width, width, bias=True)),
            deconv2=nn.Sequential(*unit(Larger(width, width, 2, image))),
            last_deconv=nn.Sequential(Larger(width, classes, 1, image)))

    def forward(self, x):
        x, low_level = self.xception_features(x)
        branches = [getattr(self, f"aspp{number}")(x) for number in range(1, self.branches + 1)]
        branches.append(self.global_avg_pool(x).expand_as(branches[0]))
        x = self.upsample.deconv1(torch.relu(self.bn1(self.conv1(torch.cat(branches, 1)))))
        x = self.upsample.conv1(torch.cat([x, torch.relu(self.bn2(self.conv2(low_level)))], 1))
        return self.upsample.last_deconv(self.upsample.deconv2(x))


@golden.file
def deepcam():
    affine = "global_avg_pool.global_average_pool.2."
    for output_stride, image in ((16, (33, 36)), (8, (18, 42))):
        keys = {"output_stride": output_stride, "filters": [3, 4, 5, 4, 6], "middle_blocks": 1,
                "exit_filters": [7, 6, 5, 8], "rates": [2, 1], "decoder_filters": 4, "low_level_filters": 3}
        yield f"stride_{output_stride}", Case(
            {"name": "deepcam", "keys": keys}, DeepCam(2, 3, image, **keys), input=(2, *image), outputs=3,
            samples=2, optimizer=SGD if output_stride == 16 else ADAM, shift=0.5,
            rename={affine + "weights": affine + "weight"},
            reorder={affine + "weights": lambda scale: scale[..., None],
                     affine + "bias": lambda shift: shift.flatten()})
