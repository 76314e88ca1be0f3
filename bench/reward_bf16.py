#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Does bf16 keep the ranking? Scores and maps of a folder by the program in fp32 and bf16: their differences, Spearman and Kendall.

    bench/reward_bf16.py PICTURE|DIR.. [--program build/release/finpercep] [--model finpercep-rm] [--count 60]

Needs numpy. Kendall's tau is tau-a; ties of scores do not happen.
"""
import argparse
import json
import subprocess
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
PICTURES = {".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp"}


def ranks(values):
    return np.argsort(np.argsort(values))


def main():
    parser = argparse.ArgumentParser(description="Compares bf16 with fp32 on a folder of pictures.")
    parser.add_argument("pictures", nargs="+", type=Path)
    parser.add_argument("--program", type=Path, default=ROOT / "build" / "release" / "finpercep")
    parser.add_argument("--model", default="finpercep-rm")
    parser.add_argument("--count", type=int, default=60)
    options = parser.parse_args()
    files = [file for path in options.pictures for file in (sorted(p for p in path.iterdir() if p.suffix.lower() in PICTURES) if path.is_dir() else [path])]
    files = files[::max(1, len(files) // options.count)][:options.count]
    scores, maps = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        for dtype in ("fp32", "bf16"):
            out = Path(folder) / dtype
            for i, file in enumerate(files):  # a folder each: stems may repeat
                subprocess.run([options.program, "-q", "map", file, "-o", out / str(i), "--format", "npy,json", "--model", options.model, "--dtype", dtype], check=True,
                               capture_output=True)
            scores[dtype] = np.array([json.loads((out / str(i) / f"{file.stem}.json").read_text())["score"] for i, file in enumerate(files)])
            maps[dtype] = [np.load(out / str(i) / f"{file.stem}.npy") for i, file in enumerate(files)]
    a, b = scores["fp32"], scores["bf16"]
    pairs = [(i, j) for i in range(len(a)) for j in range(i)]
    kendall = np.mean([np.sign(a[i] - a[j]) * np.sign(b[i] - b[j]) for i, j in pairs])
    off = [np.abs(x - y) for x, y in zip(maps["fp32"], maps["bf16"])]
    print(f"{len(files)} pictures, bf16 against fp32")
    print(f"map    mean difference {np.mean([d.mean() for d in off]):.2e}, largest {max(d.max() for d in off):.2e}, mean map {np.mean([m.mean() for m in maps['fp32']]):.3f}")
    print(f"score  mean difference {np.abs(a - b).mean():.2e}, largest {np.abs(a - b).max():.2e}, standard deviation over pictures {a.std():.3f}")
    print(f"ranks  Spearman {np.corrcoef(ranks(a), ranks(b))[0, 1]:.4f}, Kendall {kendall:.4f}")


if __name__ == "__main__":
    main()
