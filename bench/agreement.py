#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""SRCC and PLCC of the reward's score with published metrics of the same pictures, with 95 % bootstrap intervals over pictures; beside
them, PLCC of these metrics with the log's LPIPS: what judges of the field reach on these pictures.

    finpercep score PICTURES --stage 0 --json score.json ; bench/agreement.py score.json METRICS.log [--resamples 2000]

METRICS.log: lines "..NAME.png | PSNR: 27.9; SSIM: ..; LPIPS: ..", as OSEDiff's test script writes them. Needs numpy.
"""
import argparse
import json
import re
from pathlib import Path

import numpy as np


def ranks(values):
    order = np.argsort(values, kind="stable")
    out = np.empty(len(values))
    out[order] = np.arange(len(values))
    for value in np.unique(values):  # ties share their mean rank
        same = values == value
        out[same] = out[same].mean()
    return out


def correlation(a, b):
    a, b = a - a.mean(), b - b.mean()
    return float((a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum()))


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("scores")
    arguments.add_argument("log")
    arguments.add_argument("--resamples", type=int, default=2000)
    given = arguments.parse_args()
    scores = {}
    for line in Path(given.scores).read_text().splitlines():
        row = json.loads(line)
        scores[Path(row["path"]).stem] = row["finpercep"]["score"]
    metrics = {}
    for line in Path(given.log).read_text().splitlines():
        found = re.search(r"([^/\s]+)\.\w+ \| (.*?)(?: \||$)", line)
        if found and found[1] in scores:
            metrics[found[1]] = {name: float(value) for name, value in re.findall(r"(\w+): ([-\d.]+)", found[2])}
    names = sorted(metrics)
    if len(names) < 3:
        raise SystemExit(f"agreement: {given.log}: expected lines of the pictures in {given.scores}, found {len(names)} of them")
    score = np.array([scores[name] for name in names])
    random = np.random.default_rng(0)
    draws = [random.integers(0, len(names), len(names)) for _ in range(given.resamples)]
    lpips = np.array([metrics[name]["LPIPS"] for name in names])
    print(f"{len(names)} pictures\n| metric | SRCC | PLCC | PLCC of it with LPIPS |\n|---|---|---|---|")
    for metric in metrics[names[0]]:
        other = np.array([metrics[name][metric] for name in names])
        cells = []
        for measure in (lambda i: correlation(ranks(score[i]), ranks(other[i])), lambda i: correlation(score[i], other[i]), lambda i: correlation(other[i], lpips[i])):
            low, high = np.percentile([measure(i) for i in draws], [2.5, 97.5])
            cells.append(f"{measure(np.arange(len(names))):+.2f} [{low:+.2f}, {high:+.2f}]")
        print(f"| {metric} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
