#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Our metrics against Python peers, on the same two pictures in the same run, in turns: steady state and whole process.

    bench/compare_metrics.py [--build build/release] [--peers PYTHON] [--side 1024] [--threads 2] [--rounds 3] [--only METRIC]..

PYTHON has torch and, where they install, scikit-image and piq. Where a peer does not install, its place is taken by our own plain torch
equivalent (tests/parity/plain_metrics.py, the same arithmetic by the same torch operators in eager mode), and the table says so.
Each cell is the least over the rounds; processor time is of all threads, and the fairer number on a machine that is not quiet.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
REPEATS = {"lpips": 3, "lpips-vgg": 1, "dists": 1}
# metric -> names of peers, in PEERS of worker()
PEERS = {"psnr": ["skimage", "plain"], "ssim": ["skimage", "piq", "plain"], "ms_ssim": ["piq", "plain"], "gmsd": ["piq", "plain"], "niqe": ["plain"],
         "brisque": ["plain"], "lpips": ["plain"], "lpips-vgg": ["plain"], "dists": ["plain"]}


def stub_torchvision():
    """piq imports torchvision for metrics that are not asked of it here."""
    import types

    def anything(attribute):
        if attribute.startswith("__"):  # torch looks through the files of modules
            raise AttributeError(attribute)
        return type(attribute, (), {})

    for name in ("torchvision", "torchvision.models", "torchvision.models.inception", "torchvision.models.feature_extraction", "torchvision.transforms"):
        module = types.ModuleType(name)
        module.__getattr__ = anything
        module.__path__ = []
        sys.modules[name] = module
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], child, module)


def worker(metric, peer, threads, repeats, image, reference):
    """One peer in a process of its own; prints a line of JSON, or why it cannot."""
    import resource
    import numpy as np
    from PIL import Image
    pixels = [np.asarray(Image.open(path)) for path in (image, reference)]
    if peer == "skimage":
        from skimage import metrics as peers
        luma = [(p @ np.array([.299, .587, .114])).round() for p in pixels]
        work = {"psnr": lambda: peers.peak_signal_noise_ratio(pixels[1], pixels[0]),
                "ssim": lambda: peers.structural_similarity(luma[0], luma[1], gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255)}[metric]
    else:
        import torch
        torch.set_num_threads(threads)
        torch.set_grad_enabled(False)
        x, y = (torch.from_numpy(p.copy()).permute(2, 0, 1)[None].float() / 255 for p in pixels)
        if peer == "piq":
            try:
                import torchvision  # noqa: F401
            except Exception:
                for name in [n for n in sys.modules if n.startswith("torchvision")]:
                    del sys.modules[name]
                stub_torchvision()
            import piq
            work = {"ssim": lambda: piq.ssim(x, y, downsample=False), "ms_ssim": lambda: piq.multi_scale_ssim(x, y), "gmsd": lambda: piq.gmsd(x, y)}[metric]
        else:
            sys.path.insert(0, str(ROOT / "tests" / "parity"))
            import plain_metrics as plain
            f = torch.float32
            work = {"psnr": lambda: plain.psnr(x, y), "ssim": lambda: plain.ssim(x, y), "ms_ssim": lambda: plain.ms_ssim(x, y), "gmsd": lambda: plain.gmsd(x, y),
                    "niqe": lambda: plain.niqe(x), "brisque": lambda: plain.brisque(x), "lpips": lambda: plain.lpips(x, y, "alex", f),
                    "lpips-vgg": lambda: plain.lpips(x, y, "vgg", f), "dists": lambda: plain.dists(x, y, f)}[metric]
    value, times, cpu = float(work()), [], time.process_time()
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(1e3 * (time.perf_counter() - start))
    cpu = time.process_time() - cpu
    print(json.dumps({"least_ms": min(times, default=0), "cpu_ms": 1e3 * cpu / max(repeats, 1), "value": value,
                      "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))


def run(command, threads):
    """The line of JSON, and the wall time of the whole process in ms."""
    start = time.perf_counter()
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, env=dict(os.environ, OMP_NUM_THREADS=str(threads)))
    whole = 1e3 * (time.perf_counter() - start)
    if done.returncode:
        return None, (done.stderr.strip().splitlines() or ["no message"])[-1]
    return json.loads(done.stdout.splitlines()[-1]) if done.stdout.startswith("{") else {}, whole


def make_pair(folder, side):
    """A made-up photograph: waves, edges and grain; and the same with noise."""
    import numpy as np
    from PIL import Image
    draw = np.random.default_rng(0)
    y, x = np.mgrid[0:side, 0:side]
    base = np.stack([110 + 50 * np.sin(.031 * x + .017 * y + c) + 30 * np.sign(np.sin(.02 * x - .03 * y)) for c in range(3)], -1) + draw.normal(0, 8, (side, side, 3))
    paths = [folder / "sr.png", folder / "hr.png"]
    for path, picture in zip(paths, (base + draw.normal(0, 10, base.shape), base)):
        Image.fromarray(picture.clip(0, 255).astype("uint8")).save(path)
    return paths


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=Path, default=ROOT / "build/release")
    parser.add_argument("--peers", default=sys.executable, metavar="PYTHON")
    parser.add_argument("--side", type=int, default=1024)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", action="append", choices=sorted(PEERS))
    options = parser.parse_args()
    t = options.threads
    print(f"{options.side} x {options.side} pair, {t} threads, least of {options.rounds} rounds; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print("| metric | who | steady ms | processor ms | whole process ms | peak MB | ours is faster by (steady, processor, process) |\n|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        pair = make_pair(Path(folder), options.side)
        for metric in options.only or PEERS:
            repeats = REPEATS.get(metric, 5)
            commands = {"ours": [options.build / "bench/metric_time", metric, t, repeats, *pair]}
            for peer in PEERS[metric]:
                commands[peer] = [options.peers, __file__, "--worker", metric, peer, t, repeats, *pair]
            reference = [] if metric in ("niqe", "brisque") else ["-r", pair[1]]
            wholes = {"ours": [options.build / "finpercep", "-q", "score", pair[0], *reference, "-m", metric, "--protocol", "pyiqa", "--device", "cpu", "--json", "-"]}
            for peer in PEERS[metric]:
                wholes[peer] = [options.peers, __file__, "--worker", metric, peer, t, 0, *pair]
            best, faults = {}, {}
            for _ in range(options.rounds):
                for who in commands:  # in turns, so that a busy minute meets all of them
                    if who in faults:
                        continue
                    steady, fault = run(commands[who], t)
                    if steady is None:
                        faults[who] = fault
                        continue
                    row = best.setdefault(who, {"least_ms": 1e30, "cpu_ms": 1e30, "whole": 1e30, "peak_mb": 0})
                    row["least_ms"], row["cpu_ms"] = min(row["least_ms"], steady["least_ms"]), min(row["cpu_ms"], steady["cpu_ms"])
                    row["peak_mb"] = max(row["peak_mb"], steady["peak_mb"])
                    result, whole = run(wholes[who], t)
                    row["whole"] = row["whole"] if result is None else min(row["whole"], whole)
            for who in commands:
                if who in faults:
                    print(f"| {metric} | {who} | not run: {faults[who]} | | | | |")
                    continue
                row, ours = best[who], best["ours"]
                factor = "" if who == "ours" else ", ".join(f"{row[key] / ours[key]:.1f}x" for key in ("least_ms", "cpu_ms", "whole"))
                name = "plain torch / numpy (own)" if who == "plain" else who
                print(f"| {metric} | {name} | {row['least_ms']:.1f} | {row['cpu_ms']:.1f} | {row['whole']:.0f} | {row['peak_mb']:.0f} | {factor} |", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        metric, peer, threads, repeats, image, reference = sys.argv[2:]
        worker(metric, peer, int(threads), int(repeats), image, reference)
    else:
        main()
