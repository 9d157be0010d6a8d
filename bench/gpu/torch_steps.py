#!/usr/bin/env python3
"""Times training steps in PyTorch: the networks, the batch and the optimizer of `lockstep bench step`.

usage: torch_steps.py MODEL MODE [--device cuda|cpu] [--batch 128] [--seconds 1]
                      [--rounds 5 | --follow | --profile]

MODEL   mlp (784-64-10) or cnn (conv 32, pool, conv 64, pool, dense 10)
MODE    eager     the usual way
        compile   torch.compile on the network, and Adam as one fused kernel
        graphs    the whole step captured in a CUDA graph and replayed, with the fused Adam

Adam, float32 without TF32, inputs already on the GPU, no loss read back between steps. Prints one JSON object
per line: one after the warm-up, then one for each round. With --follow, each line on standard input starts a
round. With --profile, it prints the time of each GPU kernel over 20 steps instead.
"""
import argparse
import json
import sys
import time

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


class Training:
    """One model with its optimizer and a batch; step() trains on the batch once."""

    def __init__(self, model, mode, device, batch):
        torch.manual_seed(1)
        self.device, self.mode = torch.device(device), mode
        self.network = {"mlp": Mlp, "cnn": Cnn}[model]().to(self.device)
        self.x = torch.rand(batch, 1, 28, 28, device=self.device)
        self.y = torch.randint(0, 10, (batch,), device=self.device)
        # Since PyTorch 2.4 the CPU has the fused Adam too; eager uses the default, as is usual.
        options = {} if mode == "eager" else {"fused": True}
        if mode == "graphs":
            options["capturable"] = True
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=1e-3, **options)
        self.forward = torch.compile(self.network) if mode == "compile" else self.network
        self.step = self.capture() if mode == "graphs" else self.compute

    def parameters(self):
        return sum(p.numel() for p in self.network.parameters())

    def compute(self):
        self.optimizer.zero_grad(set_to_none=True)
        functional.cross_entropy(self.forward(self.x), self.y).backward()
        self.optimizer.step()

    def capture(self):
        # A few steps on a side stream first, so that everything that is created once exists before the
        # capture.
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(5):
                self.compute()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        self.optimizer.zero_grad(set_to_none=True)
        with torch.cuda.graph(graph):
            self.compute()
        return graph.replay

    def wait(self):
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def time(self, steps):
        self.wait()
        start = time.perf_counter()
        for _ in range(steps):
            self.step()
        self.wait()
        return time.perf_counter() - start


def profile(training, steps=20):
    """{kernel: [calls, microseconds]} over this many steps."""
    activities = [torch.profiler.ProfilerActivity.CPU]
    on_gpu = training.device.type == "cuda"
    if on_gpu:
        activities.append(torch.profiler.ProfilerActivity.CUDA)
    with torch.profiler.profile(activities=activities) as profiler:
        training.time(steps)
    kernels = {}
    for event in profiler.events():
        # An annotation, such as the optimizer's, spans the kernels inside it.
        if getattr(event, "is_user_annotation", False) or event.name.startswith("Optimizer."):
            continue
        if (event.device_type == torch.autograd.DeviceType.CUDA) == on_gpu:
            entry = kernels.setdefault(event.name, [0, 0.0])
            entry[0] += 1
            entry[1] += event.time_range.elapsed_us()
    return {"steps": steps, "kernels": kernels}


def say(facts):
    print(json.dumps(facts), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=["mlp", "cnn"])
    parser.add_argument("mode", choices=["eager", "compile", "graphs"])
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--seconds", type=float, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--follow", action="store_true")
    parser.add_argument("--profile", action="store_true")
    args = parser.parse_args()
    if args.mode == "graphs" and args.device == "cpu":
        parser.error("CUDA graphs need --device cuda")

    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True  # measure and use the fastest convolution

    training = Training(args.model, args.mode, args.device, args.batch)
    training.time(20)
    if args.profile:
        say(profile(training))
        return
    steps = max(10, int(args.seconds * 20 / training.time(20)))
    training.time(steps // 2)
    say({
        "torch": torch.__version__,
        "model": args.model,
        "mode": args.mode,
        "device": args.device,
        "batch": args.batch,
        "parameters": training.parameters(),
        "steps": steps
    })
    for _ in sys.stdin if args.follow else range(args.rounds):
        result = {"steps_per_s": steps / training.time(steps)}
        if args.device == "cuda":
            result["allocated_bytes"] = torch.cuda.max_memory_allocated()
            result["reserved_bytes"] = torch.cuda.max_memory_reserved()
        say(result)


if __name__ == "__main__":
    main()
