#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""FinPercep-RM (score and map) by this program and by Python peers on the same weights and picture, in turns in one run; and their agreement.

    bench/compare_reward.py [--build build/release] [--model models/finpercep-rm.safetensors] [--threads 1] [--rounds 10] [--side 512] [--only NAME]..

Needs torch, numpy and safetensors, and a build with -DFINPERCEP_BENCH=ON; onnx, onnxruntime and openvino where they install: a peer that is not
there is named and left out. The network is rebuilt in plain PyTorch below, for models with the EfficientNet-Lite0 encoder and the head
"defect_and_clean"; fp32 must agree within 1e-4. Each engine is a process of its own that waits while another computes. Each cell is the least over
the rounds; processor time is of all threads, and the fairer number on a machine that is not quiet. Engines in torch run twice: with glibc's
allocator as it is, and ("tuned") with the thresholds that this program sets.
"""
import argparse
import os
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
TUNED = {"MALLOC_MMAP_THRESHOLD_": str(1 << 30), "MALLOC_TRIM_THRESHOLD_": str(1 << 30), "MALLOC_TOP_PAD_": str(64 << 20)}
PEERS = ["eager", "eager tuned", "eager channels_last tuned", "compile tuned", "eager bf16 channels_last tuned", "compile bf16 tuned", "onnxruntime", "openvino fp32", "openvino bf16"]


def rebuild(path):
    """The network in plain PyTorch: image (N x 3 x H x W, sides multiples of 32) -> score, map."""
    import torch
    import torch.nn.functional as F
    from safetensors import safe_open
    from torch import nn
    blocks = ((1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112), (4, 5, 2, 6, 192), (1, 3, 1, 6, 320))
    tapped, tap_channels = (0, 2, 4, 10, 15), (16, 24, 40, 112, 320)

    def same(x, kernel):  # TensorFlow's padding under stride 2
        before = (kernel - 2) // 2
        after = kernel - 2 - before
        return F.pad(x, (before, after, before, after))

    class Block(nn.Module):
        def __init__(self, given, made, expansion, kernel, stride):
            super().__init__()
            wide = given * expansion
            if expansion > 1:
                self.expand = nn.Conv2d(given, wide, 1)
            self.depthwise = nn.Conv2d(wide, wide, kernel, stride, kernel // 2 if stride == 1 else 0, groups=wide)
            self.project = nn.Conv2d(wide, made, 1)
            self.kernel, self.stride, self.residual = kernel, stride, stride == 1 and given == made

        def forward(self, x):
            y = F.relu6(self.expand(x)) if hasattr(self, "expand") else x
            y = self.project(F.relu6(self.depthwise(same(y, self.kernel) if self.stride == 2 else y)))
            return x + y if self.residual else y

    class Encoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = nn.Conv2d(3, 32, 3, 2)
            self.blocks = nn.ModuleList()
            given = 32
            for repeats, kernel, stride, expansion, made in blocks:
                for repeat in range(repeats):
                    self.blocks.append(Block(given, made, expansion, kernel, stride if repeat == 0 else 1))
                    given = made

        def forward(self, x):
            x = F.relu6(self.stem(same(x * (255 / 128) - 127 / 128, 3)))
            taps = []
            for i, block in enumerate(self.blocks):
                x = block(x)
                if i in tapped:
                    taps.append(x)
            return taps

    class Level(nn.Module):
        def __init__(self, tap, given, made):
            super().__init__()
            self.tap, self.fuse = nn.Conv2d(tap, made, 1), nn.Conv2d(given, made, 3, padding=1)
            self.refine, self.logits = nn.Conv2d(made, made, 3, padding=1), nn.Conv2d(made, 1, 3, padding=1)

        def forward(self, h, tap):
            h = F.silu(self.tap(tap) + self.fuse(F.interpolate(h, scale_factor=2.0, mode="nearest")))
            h = h + F.silu(self.refine(h))
            return h, self.logits(h)

    class Reward(nn.Module):
        def __init__(self, widths, hidden):
            super().__init__()
            self.encoder, self.neck = Encoder(), nn.Conv2d(320, widths[0], 1)
            self.level = nn.ModuleDict({str(k): Level(tap_channels[4 - k], widths[k - 1], widths[k]) for k in range(1, len(widths))})
            self.head = nn.ModuleDict({str(k): nn.ModuleDict({"hidden": nn.Linear(640, hidden), "out": nn.Linear(hidden, 1)}) for k in range(len(widths))})
            self.stage = len(widths) - 1

        def forward(self, x):
            taps = self.encoder(x)
            h, logits = F.silu(self.neck(taps[4])), 0
            for k in range(1, self.stage + 1):
                h, small = self.level[str(k)](h, taps[4 - k])
                logits = logits + F.interpolate(small.float(), size=x.shape[-2:], mode="bilinear")
            degradation = torch.sigmoid(logits)
            features = taps[4].float()
            defect = features * F.avg_pool2d(degradation, 32)
            pooled = torch.cat((defect, features - defect), 1).mean((2, 3))
            head = self.head[str(self.stage)]
            return torch.sigmoid(head["out"](F.silu(head["hidden"](pooled))))[:, 0], degradation

    with safe_open(path, "pt") as file:
        weights = {name: file.get_tensor(name).float() for name in file.keys()}
    widths = [len(weights["neck.bias"])]
    while f"level.{len(widths)}.tap.bias" in weights:
        widths.append(len(weights[f"level.{len(widths)}.tap.bias"]))
    net = Reward(widths, len(weights["head.0.hidden.bias"]))
    net.load_state_dict(weights)
    return net.eval()


def export_onnx(model, side, path):
    import warnings

    import torch
    warnings.simplefilter("ignore")
    torch.onnx.export(rebuild(model), (torch.rand(1, 3, side, side),), path, opset_version=17, dynamo=False, input_names=["x"], output_names=["score", "map"])


def engine(name, model, onnx, threads, x):
    """A function that judges `x` once and returns (score, map)."""
    if name == "onnxruntime":
        import onnxruntime
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        session = onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
        return lambda: session.run(None, {"x": x})
    if name.startswith("openvino"):
        import openvino
        config = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "bf16" if "bf16" in name else "f32", "PERFORMANCE_HINT": "LATENCY"}
        request = openvino.Core().compile_model(onnx, "CPU", config).create_infer_request()
        return lambda: list(request.infer({0: x}).to_tuple())
    import torch
    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)
    net, picture = rebuild(model), torch.from_numpy(x)
    if "channels_last" in name or "compile" in name:
        net, picture = net.to(memory_format=torch.channels_last), picture.contiguous(memory_format=torch.channels_last)
    if "compile" in name:
        import torch._inductor.config
        torch._inductor.config.freezing = True
        net = torch.compile(net)

    def judge():
        with torch.autocast("cpu", torch.bfloat16, enabled="bf16" in name):
            return [t.float().numpy() for t in net(picture)]
    return judge


def serve(name, model, onnx, threads, side):
    """The protocol of bench/judge_time.cpp."""
    x = np.frombuffer(sys.stdin.buffer.read(12 * side * side), "f4").reshape(1, 3, side, side).copy()
    judge = engine(name, model, onnx, threads, x)
    score, degradation = judge()
    judge()
    sys.stdout.buffer.write(np.float32(score[0]).tobytes() + np.ascontiguousarray(degradation, "f4").tobytes())
    sys.stdout.buffer.flush()
    while sys.stdin.buffer.read(1):
        wall, used = time.perf_counter(), time.process_time()
        judge()
        print(f"{1e3 * (time.perf_counter() - wall):.3f} {1e3 * (time.process_time() - used):.3f}", flush=True)


class Server:
    def __init__(self, command, x, environment):
        self.process = subprocess.Popen([str(word) for word in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, **environment})
        try:
            self.process.stdin.write(x.tobytes())
            self.process.stdin.flush()
        except BrokenPipeError:
            pass
        answer = self.process.stdout.read(4 + x.nbytes // 3)
        if len(answer) < 4 + x.nbytes // 3:
            raise RuntimeError(self.process.stderr.read().decode().strip().splitlines()[-1])
        self.score, self.map = struct.unpack("f", answer[:4])[0], np.frombuffer(answer[4:], "f4")

    def judge(self):
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()
        return [float(word) for word in self.process.stdout.readline().split()]


def picture(side):
    """A smooth texture with noise: the time does not depend on it."""
    y, x = np.mgrid[:side, :side]
    planes = [0.5 + 0.3 * np.sin(0.031 * x + 0.017 * y + c) + 0.1 * np.sin(0.9 * x - 0.7 * y) for c in range(3)]
    return np.clip(np.stack(planes) + 0.02 * np.random.default_rng(1).standard_normal((3, side, side)), 0, 1).astype("f4")


def main():
    parser = argparse.ArgumentParser(description="Times FinPercep-RM against Python peers.")
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "release")
    parser.add_argument("--model", type=Path, default=ROOT / "models" / "finpercep-rm.safetensors")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--only", nargs="*", choices=PEERS, default=PEERS, help="peers to run")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--onnx", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        return serve(options.serve, options.model, options.onnx, options.threads, options.side)

    x = picture(options.side)
    with tempfile.TemporaryDirectory() as folder:
        onnx = str(Path(folder) / "reward.onnx")
        if any("onnx" in name or "openvino" in name for name in options.only):
            try:
                export_onnx(options.model, options.side, onnx)
            except Exception as error:
                print(f"no ONNX file: {error}")
        commands = {f"finpercep {dtype}": [options.build / "bench" / "judge_time", options.model, options.side, options.threads, dtype] for dtype in ("fp32", "bf16")}
        for name in options.only:
            commands[name] = [sys.executable, __file__, "--serve", name, "--model", options.model, "--onnx", onnx, "--threads", options.threads, "--side", options.side]
        servers = {}
        for name, command in commands.items():
            try:
                servers[name] = Server(command, x, TUNED if "tuned" in name else {})
            except RuntimeError as error:
                print(f"not available: {name}: {error}")
        cells = {name: [] for name in servers}
        for _ in range(options.rounds):
            for name, server in servers.items():
                cells[name].append(server.judge())
    ours = {bf16: min(used for _, used in cells[f"finpercep {'bf16' if bf16 else 'fp32'}"]) for bf16 in (False, True)}
    truth = servers.get("eager") or servers["finpercep fp32"]
    print(f"{options.side} x {options.side}, {options.threads} thread(s), least of {options.rounds} rounds; ratio: to finpercep of the same type, processor time")
    print(f"{'engine':34} {'wall ms':>8} {'processor ms':>13} {'ratio':>6} {'map off':>9} {'score off':>10}")
    for name, server in servers.items():
        wall, used = (min(column) for column in zip(*cells[name]))
        print(f"{name:34} {wall:8.1f} {used:13.1f} {used / ours['bf16' in name]:6.2f} {np.abs(server.map - truth.map).max():9.1e} {abs(server.score - truth.score):10.1e}")
    mine = servers["finpercep fp32"]
    return int(np.abs(mine.map - truth.map).max() > 1e-4 or abs(mine.score - truth.score) > 1e-4)


if __name__ == "__main__":
    sys.exit(main())
