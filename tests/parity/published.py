#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The largest deviation of `finpercep score` from published values, one line a metric; exit 1 where one is over its tolerance.

    tests/parity/published.py [--program build/release/finpercep] [--benchmark DIR] [--device cpu]

RealSR-100: the log that OSEDiff publishes beside its result images (cswry/OSEDiff, preset/datasets/benchmark_realsr), all 100 images.
Calibration: the five TID2013 pairs of chaofengc/IQA-PyTorch, ResultsCalibra; columns that say "own" were recomputed in numpy or torch.
The folder (realsr/, calibration/) is $FINPERCEP_BENCHMARK, else ../shared/data/benchmark beside the source tree; absent parts are skipped.
"""
import argparse
import json
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOGGED = {"PSNR": ("psnry", 1e-4), "SSIM": ("ssim", 1e-5), "LPIPS": ("lpips", 1e-3), "DISTS": ("dists", 1e-3), "NIQE": ("niqe", "2 %")}
NAMES = ["I03", "I04", "I06", "I08", "I19"]
# protocol, crop border, metric, tolerance (a number, or a share of the value), values in the order of NAMES, source
CALIBRATION = [
    ("pyiqa", 0, "psnr", 5e-5, [21.113628, 20.987190, 27.013847, 23.300247, 21.618643], "own = pyiqa"),
    ("pyiqa", 0, "psnry", 5e-5, [22.270269, 55.999527, 56.536747, 23.742989, 23.014832], "own"),
    ("stablesr", 0, "psnry", 5e-5, [23.592188, 57.315300, 57.851730, 25.064907, 24.336748], "own"),
    ("stablesr", 4, "psnry", 5e-5, [23.582479, 57.276207, 57.860764, 24.905079, 24.281593], "own"),
    ("pyiqa", 0, "ssim", 2e-6, [.699737, .997755, .998908, .967093, .652156], "own = pyiqa"),
    ("basicsr", 0, "ssim", 2e-6, [.735293, .998868, .999533, .967622, .679621], "own"),
    ("pyiqa", 0, "ssimc", 2e-6, [.673980, .932519, .989635, .967606, .631107], "own"),
    ("pyiqa", 0, "ms_ssim", 2e-6, [.670653, .999635, .999823, .956672, .841806], "own = pyiqa"),
    ("pyiqa", 0, "gmsd", 1e-5, [.220347639, .000522059, .000448281, .134631933, .204996494], "official"),
    ("pyiqa", 0, "lpips", 1e-4, [.7236, .2572, .0508, .0521, .4253], "pyiqa"),
    ("pyiqa", 0, "dists", 1e-4, [.4742, .1424, .0683, .0287, .3123], "official = pyiqa"),
    ("pyiqa", 0, "niqe", "6 %", [15.6538, 3.6549, 3.2342, 3.1922, 9.0722], "pyiqa"),
    ("pyiqa", 0, "brisque", "8 %", [94.6443, -.1068, 1.0732, 5.1447, 66.8415], "pyiqa"),
]
ABSOLUTE = .01  # added to a share, as pyiqa's own test does: a score near zero has no sensible share


def score(program, pictures, references, metrics, device, *more):
    command = [program, "-q", "score", *map(str, pictures), "-r", *map(str, references), "-m", ",".join(metrics), "--device", device, "--json", "-", *more]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"published: {' '.join(command[:3])} ..: exit {done.returncode}: {done.stderr.strip()}")
    return {Path(row["path"]).stem: row for row in map(json.loads, done.stdout.splitlines()) if "path" in row}


class Report:
    def __init__(self):
        self.failed = False
        print(f"{'set':<12} {'protocol':<9} {'crop':<4} {'metric':<8} {'images':<6} {'largest deviation':<28} {'tolerance':<14} source")

    def line(self, name, protocol, crop, metric, tolerance, pairs, source):
        """pairs: {image: (found, published)}"""
        share = isinstance(tolerance, str)
        allowed = float(tolerance.split()[0]) / 100 if share else tolerance

        def use(found, published):  # of the tolerance
            return abs(found - published) / (allowed * abs(published) + (ABSOLUTE if name == "calibration" else 0) if share else allowed)

        worst = max(pairs, key=lambda image: use(*pairs[image]))
        found, published = pairs[worst]
        over = use(found, published) > 1
        self.failed |= over
        gap = abs(found - published)
        text = f"{gap:.2e}" + (f" ({100 * gap / abs(published):.2f} %)" if share else "") + f" at {worst}"
        limit = f"{tolerance}" + (" + .01" if share and name == "calibration" else "")
        print(f"{name:<12} {protocol:<9} {crop:<4} {metric:<8} {len(pairs):<6} {text:<28} {limit:<14} {source}{'  OVER' if over else ''}", flush=True)


def read_log(path):
    rows = {}
    for name, values in re.findall(r"/(\w+)\.png \| (.*?) \| Runtime", path.read_text()):
        rows[name] = {key: float(value) for key, value in re.findall(r"(\w+): ([\d.]+)", values)}
    return rows


def realsr(report, program, folder, device):
    log = read_log(folder / "osediff-metrics.log")
    rows = score(program, [folder / "osediff"], [folder / "hr"], [metric for metric, _ in LOGGED.values()], device)
    for column, (metric, tolerance) in LOGGED.items():
        pairs = {name: (rows[name][metric], values[column]) for name, values in log.items()}
        report.line("RealSR-100", "stablesr", 0, metric, tolerance, pairs, "OSEDiff's log")


def calibration(report, program, folder, device):
    done = {}
    for protocol, crop, *_ in CALIBRATION:
        if (protocol, crop) not in done:
            metrics = [row[2] for row in CALIBRATION if row[:2] == (protocol, crop)]
            dist, ref = ([folder / side / f"{name}.bmp" for name in NAMES] for side in ("dist", "ref"))
            done[protocol, crop] = score(program, dist, ref, metrics, device, "--protocol", protocol, "--crop-border", str(crop))
    for protocol, crop, metric, tolerance, values, source in CALIBRATION:
        pairs = {name: (done[protocol, crop][name][metric], value) for name, value in zip(NAMES, values)}
        report.line("calibration", protocol, crop, metric, tolerance, pairs, source)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", default=ROOT / "build/release/finpercep")
    parser.add_argument("--benchmark", type=Path, default=os.environ.get("FINPERCEP_BENCHMARK") or ROOT.parent / "shared/data/benchmark")
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    report = Report()
    for part, check in (("calibration", calibration), ("realsr", realsr)):
        folder = Path(options.benchmark) / part
        if folder.is_dir():
            check(report, os.path.abspath(options.program), folder, options.device)
        else:
            print(f"{part}: skipped, no folder {folder}; set FINPERCEP_BENCHMARK")
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
