#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The first score of a new process, from its start to its end, beside the same model in a new process of plain PyTorch.
Usage: cold_score.py FINPERCEP REWARD.pt PICTURE [ROUNDS]       REWARD.pt: `finpercep export finpercep-rm -o REWARD.pt`. Needs torch and Pillow.
Least wall seconds of the rounds, in turn."""
import subprocess
import sys
import time

finpercep, reward, picture = sys.argv[1:4]
rounds = int(sys.argv[4]) if len(sys.argv) > 4 else 10
in_torch = """
import sys, numpy, torch
from PIL import Image
x = torch.from_numpy(numpy.asarray(Image.open(sys.argv[2]).convert("RGB"), dtype=numpy.float32) / 255).permute(2, 0, 1)[None]
with torch.no_grad():
    print(torch.jit.load(sys.argv[1])(x)[0].item())
"""
runs = {"finpercep score": [finpercep, "score", picture], "finpercep --version": [finpercep, "--version"],
        "plain PyTorch": [sys.executable, "-c", in_torch, reward, picture], "import torch": [sys.executable, "-c", "import torch"]}
least = dict.fromkeys(runs, float("inf"))
for _ in range(rounds):
    for name, command in runs.items():
        start = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        least[name] = min(least[name], time.perf_counter() - start)
for name, seconds in least.items():
    print(f"{name:<20} {seconds:.3f} s")
