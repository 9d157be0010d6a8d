#!/usr/bin/env python3
"""Times training steps in PyTorch: the networks, the batch and the optimizer of `lockstep bench step`.

usage: torch_steps.py MODEL MODE [--precision fp32|bf16] [--batch 128] [--size 28] [--device cuda|cpu]
                      [--seconds 1] [--rounds 5 | --follow | --profile | --steps N]

MODEL   mlp (784-64-10), cnn (conv 32, pool, conv 64, pool, dense 10), resnet50 or gpt2
MODE    eager             the usual way
        compile           torch.compile on network and loss, and a fused optimizer
        reduce-overhead   the same in that mode of torch.compile, which uses CUDA graphs
        graphs            the whole step captured in a CUDA graph and replayed, with a fused optimizer

Adam (resnet50: SGD with momentum); float32 without TF32, or bf16 by torch.autocast; ResNet-50 channels-last;
inputs already on the GPU, no loss read back between steps. Prints one JSON object per line: one after the
warm-up, then one for each round. With --follow, each line on standard input starts a round. With --profile,
it prints the time of each GPU kernel over 20 steps instead. With --steps, it runs that many between
cudaProfilerStart and cudaProfilerStop, for ncu --profile-from-start off.
"""
import argparse
import json
import sys
import time

import torch
from torch.nn import functional

import torch_models

MODES = ("eager", "compile", "reduce-overhead", "graphs")


class Training:
    """One model with its optimizer and a batch; step() trains on the batch once."""

    def __init__(self, args):
        torch.manual_seed(1)
        self.device, self.mode, self.precision = torch.device(args.device), args.mode, args.precision
        self.network = torch_models.build(args).to(self.device)
        self.x, self.y = torch_models.batch_of(args, self.device)
        if args.model == "resnet50":
            self.network = self.network.to(memory_format=torch.channels_last)
            self.x = self.x.contiguous(memory_format=torch.channels_last)
        # Eager uses the default, as is usual.
        options = {} if args.mode == "eager" else {"fused": True}
        parameters = self.network.parameters()
        if args.model == "resnet50":
            self.optimizer = torch.optim.SGD(parameters, lr=1e-3, momentum=0.9, **options)
        else:
            capturable = {"capturable": True} if args.mode == "graphs" else {}
            self.optimizer = torch.optim.Adam(parameters, lr=1e-3, **options, **capturable)
        self.loss = self.compute_loss
        if args.mode == "compile":
            self.loss = torch.compile(self.compute_loss)
        elif args.mode == "reduce-overhead":
            self.loss = torch.compile(self.compute_loss, mode="reduce-overhead")
        self.step = self.capture() if args.mode == "graphs" else self.train

    def parameters(self):
        return sum(p.numel() for p in self.network.parameters())

    def compute_loss(self, x, y):
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            return functional.cross_entropy(self.network(x), y)

    def train(self):
        if self.mode == "reduce-overhead":
            torch.compiler.cudagraph_mark_step_begin()
        self.optimizer.zero_grad(set_to_none=True)
        self.loss(self.x, self.y).backward()
        self.optimizer.step()

    def capture(self):
        # A few steps on a side stream first, so that everything that is created once exists before the
        # capture.
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(5):
                self.train()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        self.optimizer.zero_grad(set_to_none=True)
        with torch.cuda.graph(graph):
            self.train()
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


def run_profiled(training, steps):
    """For a profiler around this process."""
    if training.device.type == "cuda":
        torch.cuda.cudart().cudaProfilerStart()
    training.time(steps)
    if training.device.type == "cuda":
        torch.cuda.cudart().cudaProfilerStop()


def say(facts):
    print(json.dumps(facts), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=["mlp", "cnn", "resnet50", "gpt2"])
    parser.add_argument("mode", choices=MODES)
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--precision", default="fp32", choices=["fp32", "bf16"])
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--size", type=int, default=28, help="pixels along an edge, or tokens of gpt2")
    parser.add_argument("--layers", type=int, default=12, help="of gpt2")
    parser.add_argument("--vocabulary", type=int, default=50257, help="of gpt2")
    parser.add_argument("--seconds", type=float, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--follow", action="store_true")
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--steps", type=int, default=0)
    args = parser.parse_args()
    if args.mode in ("graphs", "reduce-overhead") and args.device == "cpu":
        parser.error("CUDA graphs need --device cuda")

    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True  # measure and use the fastest convolution

    training = Training(args)
    training.time(5)
    if args.steps:
        run_profiled(training, args.steps)
        return
    if args.profile:
        say(profile(training))
        return
    steps = max(5, int(args.seconds * 5 / training.time(5)))
    training.time(steps // 2)
    say({
        "torch": torch.__version__,
        "model": args.model,
        "mode": args.mode,
        "precision": args.precision,
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
