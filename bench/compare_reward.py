#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""FinPercep-RM (score and map) by this program and by Python peers on the same weights and picture, in turns in one run; and their agreement.

    bench/compare_reward.py [--build build/release] [--model models/finpercep-rm.safetensors] [--threads 1] [--rounds 10] [--side 512] [--only NAME]..

Needs torch, numpy and safetensors, and a build with -DFINPERCEP_BENCH=ON; onnx, onnxruntime and openvino where they install: a peer that is not
there is named and left out. The network is rebuilt in plain PyTorch (peer_nets.py), for models with the EfficientNet-Lite0 encoder and the head
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


def export_onnx(model, side, path):
    import warnings

    import torch

    from peer_nets import load_reward
    warnings.simplefilter("ignore")
    torch.onnx.export(load_reward(model), (torch.rand(1, 3, side, side),), path, opset_version=17, dynamo=False, input_names=["x"], output_names=["score", "map"])


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

    from peer_nets import load_reward
    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)
    net, picture = load_reward(model), torch.from_numpy(x)
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
    return int(not (np.abs(mine.map - truth.map).max() <= 1e-4 and abs(mine.score - truth.score) <= 1e-4))


if __name__ == "__main__":
    sys.exit(main())
