"""The models of workloads.py in PyTorch, with the layers and the parameters of Lockstep's."""
import torch
from torch import nn
from torch.nn import functional


class Mlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(784, 64)
        self.output = nn.Linear(64, 10)

    def forward(self, x):
        return self.output(functional.relu(self.hidden(x.flatten(1))))


class Cnn(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3)
        self.conv2 = nn.Conv2d(32, 64, 3)
        self.output = nn.Linear(64 * 5 * 5, 10)

    def forward(self, x):
        x = functional.max_pool2d(functional.relu(self.conv1(x)), 2)
        x = functional.max_pool2d(functional.relu(self.conv2(x)), 2)
        return self.output(x.flatten(1))


class Normalized(nn.Sequential):
    """A convolution and its batch norm."""

    def __init__(self, channels, filters, window, stride=1):
        super().__init__(nn.Conv2d(channels, filters, window, stride, window // 2, bias=False),
                         nn.BatchNorm2d(filters))


class Bottleneck(nn.Module):
    def __init__(self, channels, width, stride):
        super().__init__()
        self.reduce = Normalized(channels, width, 1)
        self.convolve = Normalized(width, width, 3, stride)
        self.expand = Normalized(width, 4 * width, 1)
        changes = stride != 1 or channels != 4 * width
        self.shortcut = Normalized(channels, 4 * width, 1, stride) if changes else nn.Identity()

    def forward(self, x):
        y = functional.relu(self.convolve(functional.relu(self.reduce(x))))
        return functional.relu(self.expand(y) + self.shortcut(x))


class ResNet50(nn.Module):
    def __init__(self):
        super().__init__()
        blocks, channels = [], 64
        for width, count, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
            for i in range(count):
                blocks.append(Bottleneck(channels, width, stride if i == 0 else 1))
                channels = 4 * width
        self.stem = Normalized(3, 64, 7, 2)
        self.blocks = nn.Sequential(*blocks)
        self.output = nn.Linear(channels, 1000)

    def forward(self, x):
        x = functional.max_pool2d(functional.relu(self.stem(x)), 3, 2, 1)
        return self.output(self.blocks(x).mean((2, 3)))


class GptBlock(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.project = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.widen, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        samples, tokens, width = x.shape
        heads = self.qkv(self.norm1(x)).view(samples, tokens, 3, self.heads, -1)
        q, k, v = heads.permute(2, 0, 3, 1, 4)
        y = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.project(y.transpose(1, 2).reshape(samples, tokens, width))
        return x + self.narrow(functional.gelu(self.widen(self.norm2(x)), approximate="tanh"))


class Gpt2(nn.Module):
    """The rows of its embedding are padded to a multiple of 64."""

    def __init__(self, layers, vocabulary, width=768, heads=12, context=1024):
        super().__init__()
        self.tokens = nn.Embedding((vocabulary + 63) // 64 * 64, width)
        self.positions = nn.Embedding(context, width)
        self.blocks = nn.Sequential(*(GptBlock(width, heads) for _ in range(layers)))
        self.norm = nn.LayerNorm(width)
        for weight in (self.tokens.weight, self.positions.weight):
            nn.init.normal_(weight, std=0.02)

    def forward(self, x):
        x = self.tokens(x) + self.positions.weight[:x.shape[1]]
        return functional.linear(self.norm(self.blocks(x)), self.tokens.weight).flatten(0, 1)


def build(args):
    """args: those of torch_steps.py."""
    return {"mlp": Mlp, "cnn": Cnn, "resnet50": ResNet50,
            "gpt2": lambda: Gpt2(args.layers, args.vocabulary)}[args.model]()


def batch_of(args, device):
    """Random inputs and their labels."""
    if args.model == "gpt2":
        x = torch.randint(0, args.vocabulary, (2, args.batch, args.size), device=device)
        return x[0], x[1].flatten()
    channels, classes = (3, 1000) if args.model == "resnet50" else (1, 10)
    return (torch.rand(args.batch, channels, args.size, args.size, device=device),
            torch.randint(0, classes, (args.batch,), device=device))
