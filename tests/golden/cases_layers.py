"""Kinds of layers that architectures are made of, in small networks from model files."""

import golden
import torch
from golden import ADAM, Case, LastAxis, named, net
from torch import nn


def linear(name, outputs):
    return {"kind": "linear", "name": name, "outputs": outputs}


def conv(name, filters, kernel=3, padding=1, **options):
    return {"kind": "conv2d", "name": name, "filters": filters, "kernel": kernel, "padding": padding,
            **options}


@golden.file
def activations():
    kinds = [
        ("relu", {}, nn.ReLU()),
        ("leaky_relu", {"slope": 0.2}, nn.LeakyReLU(0.2)),
        ("relu6", {}, nn.ReLU6()),
        ("elu", {"alpha": 0.7}, nn.ELU(0.7)),
        ("sigmoid", {}, nn.Sigmoid()),
        ("tanh", {}, nn.Tanh()),
        ("gelu", {}, nn.GELU()),
        ("gelu", {"approximate": True}, nn.GELU(approximate="tanh")),
        ("silu", {}, nn.SiLU()),
        ("hard_swish", {}, nn.Hardswish()),
        ("softplus", {}, nn.Softplus()),
    ]
    for kind, options, activation in kinds:
        module = named(first=nn.Linear(6, 11), act=activation, second=nn.Linear(11, 5))
        with torch.no_grad():
            module.first.weight *= 5  # so that some inputs are far from 0
        yield "_".join([kind, *options]), Case(
            net(linear("first", 11), {"kind": kind, "name": "act", **options}, linear("second", "classes")),
            module, input=(6,), samples=7)


@golden.file
def norms():
    """Each behind a convolution and before a ReLU, with an output at each position."""
    kinds = [
        ("batch_norm", {}, nn.BatchNorm2d(8)),
        ("batch_norm", {"momentum": 0.25, "epsilon": 1e-3}, nn.BatchNorm2d(8, momentum=0.25, eps=1e-3)),
        ("layer_norm", {}, LastAxis(nn.LayerNorm(8))),
        ("layer_norm", {"bias": False, "epsilon": 1e-6}, LastAxis(nn.LayerNorm(8, eps=1e-6, bias=False))),
        ("rms_norm", {}, LastAxis(nn.RMSNorm(8, eps=1e-6))),
        ("group_norm", {"groups": 2}, nn.GroupNorm(2, 8)),
        ("group_norm", {"groups": 8}, nn.GroupNorm(8, 8)),
    ]
    for number, (kind, options, norm) in enumerate(kinds):
        module = named(conv=nn.Conv2d(3, 8, 3, padding=1), norm=norm, relu=nn.ReLU(),
                       score=nn.Conv2d(8, 5, 1))
        yield f"{kind}_{number}", Case(
            net(conv("conv", 8), {"kind": kind, "name": "norm", **options}, {"kind": "relu"},
                conv("score", "classes", 1, 0)),
            module, input=(3, 5, 7))
    yield "batch_norm_of_vectors", Case(
        net(linear("first", 9), {"kind": "batch_norm", "name": "norm"}, {"kind": "tanh"},
            linear("score", "classes")),
        named(first=nn.Linear(6, 9), norm=nn.BatchNorm1d(9), tanh=nn.Tanh(), score=nn.Linear(9, 5)),
        input=(6,), samples=9)


class Branches(nn.Module):
    """Two branches of different depth: concatenated, gated and added; the smaller one is enlarged."""

    def __init__(self, mode):
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 6, 3, padding=1)
        self.gate = nn.Conv2d(6, 4, 1)
        self.score = nn.Conv2d(14, 2, 3, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.up = nn.Upsample(scale_factor=2, mode=mode)

    def forward(self, x):
        a = torch.relu(self.a(x))
        b = self.up(torch.tanh(self.b(self.pool(a))))
        gated = torch.sigmoid(self.gate(b)) * a
        return self.score(torch.cat([a, b, gated + b[:, 1:5]], 1))


@golden.file
def branches():
    for mode in ("nearest", "bilinear"):
        layers = net(
            conv("a", 4), {"kind": "relu", "name": "a_relu"},
            {"kind": "max_pool2d"}, conv("b", 6), {"kind": "tanh"},
            {"kind": "upsample", "name": "up", "factor": 2, "linear": mode == "bilinear"},
            conv("gate", 4, 1, 0), {"kind": "sigmoid", "name": "gate_sigmoid"},
            {"kind": "multiply", "name": "gated", "inputs": ["gate_sigmoid", "a_relu"]},
            {"kind": "slice", "name": "part", "input": "up", "first": 1, "count": 4},
            {"kind": "add", "name": "sum", "inputs": ["gated", "part"]},
            {"kind": "concat", "inputs": ["a_relu", "up", "sum"]},
            conv("score", 2))
        yield mode, Case(layers, Branches(mode), input=(3, 6, 8), loss="mean_squared_error", optimizer=ADAM)


class Heads(nn.Module):
    """An auxiliary head in the middle of a network."""

    def __init__(self):
        super().__init__()
        self.conv, self.aux = nn.Conv2d(3, 6, 3, padding=1), nn.Linear(6, 5)
        self.conv2, self.score = nn.Conv2d(6, 8, 3, padding=1, stride=2), nn.Linear(8, 5)

    def forward(self, x):
        x = torch.relu(self.conv(x))
        auxiliary = self.aux(x.mean((2, 3)))
        return self.score(torch.relu(self.conv2(x)).mean((2, 3))), auxiliary


@golden.file
def auxiliary():
    yield "two_heads", Case(
        net(conv("conv", 6), {"kind": "relu", "name": "trunk"}, {"kind": "global_average_pool"},
            {**linear("aux", "classes"), "loss_weight": 0.3},
            {**conv("conv2", 8, stride=2), "input": "trunk"}, {"kind": "relu"},
            {"kind": "global_average_pool"}, linear("score", "classes")),
        Heads(), input=(3, 7, 6), heads=(0.3,), optimizer=ADAM)
