"""Writes golden files: what PyTorch computes for small models, for tests/models/parity_test.cpp.

README.md describes the files. A module of cases looks like this:

    @golden.file
    def mlp():
        module = golden.named(linear1=nn.Linear(6, 9), relu1=nn.ReLU(), output=nn.Linear(9, 5))
        yield "relu", Case({"name": "mlp", "keys": {"hidden": [9]}}, module, input=(6,))
"""

import collections
import copy
import dataclasses
import json
import pathlib
import typing
import zlib

import h5py
import numpy
import torch
from torch import nn

FOLDER = pathlib.Path(__file__).parent
STEPS = 3
# Relative norms within which the test demands agreement, by the first word of a tensor's name.
TOLERANCE = {"output": 1e-5, "gradient": 1e-4, "first": 1e-5, "last": 1e-4}
SGD = {"name": "sgd", "lr": 0.05, "momentum": 0.9, "weight_decay": 0.01}
ADAM = {"name": "adam", "lr": 0.002, "weight_decay": 0.01, "epsilon": 1e-6}
FILES = {}


@dataclasses.dataclass
class Case:
    """A model and the step that it takes."""

    model: dict  # how Lockstep builds it: {"name": ..., "keys": {...}} or {"text": "a model file"}
    module: nn.Module  # the same in PyTorch
    input: tuple  # extents of one sample, in PyTorch's order
    outputs: int = 5  # number of classes; unused with other losses
    samples: int = 4
    loss: str = "cross_entropy"  # or mean_squared_error, binary_cross_entropy
    optimizer: dict = dataclasses.field(default_factory=lambda: SGD)
    tokens: int = 0  # above 0: the input is token ids below this number
    heads: tuple = ()  # weights of the outputs besides the first in the loss
    outputs_of: typing.Callable = lambda result: result if isinstance(result, (list, tuple)) else [result]
    channels_first: bool = True  # axis 1 of inputs and outputs is the channels; false: the last axis is
    rename: dict = dataclasses.field(default_factory=dict)  # start of PyTorch's names -> of Lockstep's
    reorder: dict = dataclasses.field(default_factory=dict)  # PyTorch's name -> function of the tensor
    shift: float = 0  # added to the shifts of batch norms: ReLUs of single channels must not all be zero
    seed: int = 0


def file(function):
    """Declares a generator of (name, Case) as the golden file of its name."""
    FILES[function.__name__] = function
    return function


def named(**modules):
    return nn.Sequential(collections.OrderedDict(modules))


def net(*layers):
    """The text of a model file."""
    tables = ["[[layer]]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in layer.items())
              for layer in layers]
    return {"text": "\n".join(tables)}


def hwc(*extents):
    """Reorders the columns of a linear layer behind a flatten of (C, spatial...) for (spatial..., C)."""
    return lambda weight: weight.reshape(-1, *extents).movedim(1, -1).reshape(len(weight), -1)


class LastAxis(nn.Module):
    """Applies a module that works along the last axis to channels, which PyTorch has on axis 1."""

    def __init__(self, module):
        super().__init__()
        for name, parameter in module.named_parameters():  # under their own names, without a prefix
            self.register_parameter(name, parameter)
        self.inner = [module]  # in a list, so that it is not a submodule

    def forward(self, x):
        parameters = dict(self.named_parameters())
        return torch.func.functional_call(self.inner[0], parameters, (x.movedim(1, -1),)).movedim(-1, 1)


def settle(module, shift):
    """Replaces the zeros and ones that biases, norms and running statistics start with."""
    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.bias += shift
        for parameter in module.parameters():
            if parameter.ndim < 2:
                parameter += 0.1 * torch.randn(parameter.shape)
        for name, buffer in module.named_buffers():
            if name.endswith("running_mean"):
                buffer += 0.1 * torch.randn(buffer.shape)
            elif name.endswith("running_var"):
                buffer.uniform_(0.5, 1.5)
            elif not name.endswith("num_batches_tracked"):
                raise ValueError(f"unknown buffer {name}")


def make_optimizer(spec, module):
    options = {key: value for key, value in spec.items() if key not in ("name", "epsilon")}
    if "epsilon" in spec:
        options["eps"] = spec["epsilon"]
    return {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[spec["name"]](
        module.parameters(), **options)


def make_targets(case, output):
    """Random targets for an output (N, C, ...)."""
    if case.loss != "cross_entropy":
        if case.loss == "binary_cross_entropy":
            return torch.randint(0, 2, output.shape).float()
        return torch.randn(output.shape)
    positions = output.shape[2:] if case.channels_first else output.shape[1:-1]
    return torch.randint(0, case.outputs, (case.samples, *positions))


def loss_of(case, output, target):
    if case.loss == "mean_squared_error":
        return nn.functional.mse_loss(output, target)
    if case.loss == "binary_cross_entropy":
        return nn.functional.binary_cross_entropy_with_logits(output, target)
    classes_at_1 = output if case.channels_first else output.movedim(-1, 1)
    return nn.functional.cross_entropy(classes_at_1, target)


class Recorder:
    """Tensors by the names that they have in a golden file, in Lockstep's order of axes and columns."""

    def __init__(self, case):
        self.case = case
        self.values = {}

    def activations(self, name, tensor, has_channels=True):
        if has_channels and self.case.channels_first and tensor.ndim > 2:
            tensor = tensor.movedim(1, -1)
        self.values[name] = tensor.detach().clone().numpy()

    def weights(self, prefix, tensors):
        for name, tensor in tensors:
            tensor = self.case.reorder.get(name, lambda same: same)(tensor.detach())
            self.values[prefix + self.renamed(name)] = tensor.clone().numpy()

    def renamed(self, name):
        for start, ours in self.case.rename.items():
            if name.startswith(start):
                return ours + name[len(start):]
        return name

    def model(self, prefix, module):
        self.weights(prefix + " model/", module.named_parameters())
        self.states(prefix, module)

    def states(self, prefix, module):
        self.weights(prefix + " state/", ((name, buffer) for name, buffer in module.named_buffers()
                                          if not name.endswith("num_batches_tracked")))


def train(case, module, x, y):
    """Three steps: their losses, and all else that is compared."""
    optimizer = make_optimizer(case.optimizer, module)
    y = y if y.dtype == torch.int64 else y.to(x.dtype if x.is_floating_point() else torch.float32)
    recorder, losses = Recorder(case), []
    module.train()
    recorder.model("start", module)
    for step in range(STEPS):
        optimizer.zero_grad()
        outputs = case.outputs_of(module(x))
        own = [loss_of(case, output, y) for output in outputs]
        total = own[0] + sum(weight * loss for weight, loss in zip(case.heads, own[1:], strict=True))
        total.backward()
        losses.append(total.item())
        if step == 0:
            for k, output in enumerate(outputs):
                recorder.activations(f"output {k}", output)
            recorder.weights("gradient ", ((name, p.grad) for name, p in module.named_parameters()))
        optimizer.step()
        if step == 0:
            recorder.states("first", module)
    recorder.model("last", module)
    return recorder.values, losses


def scale_of(name, exact):
    """By what a difference is divided: a tensor's norm; for weights after steps, the norm of their change."""
    kind, _, rest = name.partition(" ")
    if kind == "last":
        return numpy.linalg.norm(exact[name] - exact["start " + rest])
    return numpy.linalg.norm(exact[name])


def compare(single, exact):
    """How far float32 is from float64, by kind of tensor, and the names of those to store in float64 too."""
    worst = dict.fromkeys(TOLERANCE, 0.0)
    judged = []
    all_gradients = numpy.sqrt(sum(numpy.linalg.norm(value) ** 2
                                   for name, value in exact.items() if name.startswith("gradient ")))
    for name, value in single.items():
        kind = name.split()[0]
        if kind == "start":
            continue
        distance, scale = numpy.linalg.norm(value - exact[name]), scale_of(name, exact)
        if 4 * distance > TOLERANCE[kind] * scale:
            judged.append(name)
        if kind != "gradient" or scale > 1e-8 * all_gradients:  # else it is zero but for rounding
            worst[kind] = max(worst[kind], distance / scale if scale > 0 else 0.0)
    return worst, judged


def record(case):
    """The tensors of a case, those that are also kept in float64, and facts."""
    settle(case.module, case.shift)
    if case.tokens:
        x = torch.randint(0, case.tokens, (case.samples, *case.input))
    else:
        x = torch.randn(case.samples, *case.input)
    double = copy.deepcopy(case.module).double()
    with torch.no_grad():
        y = make_targets(case, case.outputs_of(copy.deepcopy(case.module).train()(x))[0])
    single, losses = train(case, case.module, x, y)
    exact, exact_losses = train(case, double, x if case.tokens else x.double(), y)
    for name, value in single.items():
        if not numpy.isfinite(value).all():
            raise ValueError(f"{name} is not finite")
        if name.startswith("gradient ") and not value.any():
            raise ValueError(f"{name} is zero, which shows nothing: choose another seed or more channels")
    worst, judged = compare(single, exact)
    data = Recorder(case)
    data.activations("x", x)
    data.activations("y", y, has_channels=case.loss != "cross_entropy")
    facts = {"model": case.model, "loss": case.loss, "optimizer": case.optimizer, "losses": losses,
             "exact_losses": exact_losses, "tokens": case.tokens, "float32_error": worst,
             "outputs": case.outputs if case.loss == "cross_entropy" else int(numpy.prod(y.shape[1:])),
             "torch": torch.__version__}
    return {**data.values, **single}, {name: exact[name] for name in judged}, facts


def store(group, prefix, tensors, dtype):
    """An index with a line "NAME EXTENTS" for each tensor, and all their values one after another."""
    lines = [" ".join([name, *map(str, value.shape)]) for name, value in tensors.items()]
    index = numpy.frombuffer("\n".join(lines).encode(), numpy.uint8)
    values = numpy.concatenate([numpy.asarray(value, dtype).ravel() for value in tensors.values()])
    group.create_dataset(prefix + "index", data=index, compression="gzip", compression_opts=9)
    group.create_dataset(prefix + "values", data=values, compression="gzip", compression_opts=9, shuffle=True)


def write(name):
    """Writes NAME.h5 and prints how far PyTorch's float32 is from its float64."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(zlib.crc32(name.encode()))
    path = FOLDER / f"{name}.h5"
    with h5py.File(path, "w", track_order=False) as out:
        for number, (case_name, case) in enumerate(FILES[name]()):
            torch.manual_seed(zlib.crc32(f"{name} {number} {case.seed}".encode()))
            tensors, exact, facts = record(case)
            group = out.create_group(case_name)
            group.attrs["case"] = json.dumps(facts)
            store(group, "", tensors, numpy.float32)
            if exact:
                store(group, "exact_", exact, numpy.float64)
            print(f"{name} {case_name}:", " ".join(f"{k} {v:.1e}" for k, v in facts["float32_error"].items()),
                  f"float64 kept of {len(exact)}/{len(tensors)}")
            torch.manual_seed(zlib.crc32(f"{name} {number + 1}".encode()))
    print(f"{path.name}: {path.stat().st_size} bytes")
