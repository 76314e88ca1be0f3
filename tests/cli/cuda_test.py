#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The program on a CUDA GPU against itself on the processor, in fp32; passes over all of it where there is no GPU. The published weights must be in the cache.
Usage: cuda_test.py PATH/TO/finpercep [TEST ..]"""
import json
import os
import shutil
import sys
import tarfile

from program import ProgramTest, main, run
from rl_test import ALGORITHMS

GPU = os.environ.get("FINPERCEP_TEST_DEVICE", "cuda")  # cpu tries the test itself
GENERATORS = ["sr-small", "sr-small-dit", "srvgg-camera", "realesrgan-x4plus"]


def has_gpu():
    return "sees no CUDA GPU" not in run("doctor", "--device", GPU).stderr


class CudaTest(ProgramTest):
    def near(self, a, b, relative, absolute, what):
        self.assertLessEqual(abs(a - b), absolute + relative * max(abs(a), abs(b)), f"{what}: {a} on the processor, {b} on the GPU")

    def on_both(self, *args, out=None):
        """The same command on both devices; the path that -o names, by device."""
        made = {}
        for device in ("cpu", GPU):
            made[device] = self.dir / f"{out}-{device}"
            self.works(*args, "--device", device, "--dtype", "fp32", *(["-o", made[device]] if out else []), "--overwrite", timeout=600)
        return made["cpu"], made[GPU]

    def test_doctor(self):
        self.works("doctor", "--device", GPU, timeout=600)

    def test_scores_and_maps(self):
        both = {}
        for device in ("cpu", GPU):
            for dtype in ("fp32", "bf16"):
                out = self.dir / f"score-{device}-{dtype}.json"
                self.works("score", self.photos, self.photo, "--device", device, "--dtype", dtype, "--json", out, "--overwrite", timeout=600)
                both[device, dtype] = [json.loads(line) for line in out.read_text().splitlines()]
        for a, b, c in zip(both["cpu", "fp32"], both[GPU, "fp32"], both[GPU, "bf16"]):
            self.near(a["finpercep"]["score"], b["finpercep"]["score"], 0, 1e-4, a["path"])
            self.near(a["finpercep"]["score"], c["finpercep"]["score"], 0, 0.03, "bf16 " + a["path"])
        folders = self.on_both("map", self.photo, "--format", "npy", out="map")
        self.compare_npy(*folders, 2e-4)

    def compare_npy(self, first, second, most):
        import numpy as np
        files = sorted(first.rglob("*.npy"))
        self.assertTrue(files)
        for file in files:
            difference = np.abs(np.load(file) - np.load(second / file.relative_to(first))).max()
            self.assertLessEqual(difference, most, file)

    def test_generators(self):
        from PIL import Image, ImageChops
        for name in GENERATORS:
            with self.subTest(name):
                folders = self.on_both("upscale", self.photo, "-g", name, "--seed", 3, out=f"up-{name}")
                for file in sorted(folders[0].glob("*.png")):
                    most = max(high for _, high in ImageChops.difference(Image.open(file), Image.open(folders[1] / file.name)).getextrema())
                    self.assertLessEqual(most, 2, f"{name} {file.name}")
                shutil.rmtree(self.dir / f"up-{name}-{GPU}")
                self.works("upscale", self.photo, "-g", name, "--device", GPU, "--dtype", "bf16", "--tile", 64, "-o", self.dir / f"up-{name}-{GPU}", timeout=600)

    def test_samples(self):
        for features in ("efficientnet", "dinov2"):
            out = self.dir / f"fgr-{features}"
            self.works("fgr", "build", "-o", out, "--set", f"photos.photos=[{self.photos}]", "count=24", "size=64", "sources=[sr-small,realesr-animevideov3,distort]", f"label.features={features}",
                       f"device={GPU}", timeout=600)
            self.assertIn("24 samples rebuilt", self.works("fgr", "verify", out, "--samples", 24, timeout=600).stdout)  # bit for bit
            with tarfile.open(next(out.glob("*.tar"))) as tar:
                self.assertEqual(len(tar.getnames()), 24 * 5)

    def compare_runs(self, command, keys, relative, absolute, iters):
        """First steps of a training: the same draws, so nearly the same numbers."""
        lines = {}
        for device in ("cpu", GPU):
            out = self.dir / f"{self.id().rsplit('.', 1)[1]}-{keys[0]}-{command[0]}-{device}"
            shutil.rmtree(out, ignore_errors=True)
            self.works(*command[1:], "-o", out, "--set", f"device={device}", "dtype=fp32", timeout=900)
            lines[device] = [m for m in self.metrics(out) if keys[0] in m][:iters]
        self.assertEqual(len(lines["cpu"]), iters)
        for a, b in zip(lines["cpu"], lines[GPU]):
            for key in keys:
                self.near(a[key], b[key], relative, absolute, f"{command[0]} {key}, iteration {a['step']}")

    def test_training_a_generator(self):
        photos = ["--set", f"datasets.photos.photos=[{self.photos}]", "datasets.degradation.usm=false", "datasets.gt_size=64", "datasets.batch_size=2", "train.total_iter=3", "train.print_freq=1",
                  "network_g.net.channels=[16,24]", "network_g.net.blocks=1"]
        self.compare_runs(["generator", "train", "generator", *photos], ["l_pix", "grad_norm"], 1e-3, 1e-4, 3)

    def test_training_a_reward(self):
        self.compare_runs(["reward", "train", "reward", "--set", f"fgr.photos.photos=[{self.photos}]", "fgr.count=24", "fgr.size=64", "fgr.sources=[bicubic,distort]", "fgr.label.features=efficientnet",
                           "fgr.device=cpu", "samples.size=64", "opinions.count=8", "opinions.size=64", "stage_iters=[2,1,1,1,1]", "batch_size=4", "print_freq=1"], ["l_total", "grad_norm"], 1e-2, 1e-3, 6)

    def test_every_algorithm(self):
        for algorithm, more in ALGORITHMS.items():
            for network in ("sr-small", "sr-small-dit"):
                with self.subTest(algorithm=algorithm, network=network):
                    self.compare_runs([f"{algorithm}-{network}", "rl", "--set", f"algorithm={algorithm}", f"network_g={network}", f"datasets.photos.photos=[{self.photos}]", "datasets.gt_size=64",
                                       "datasets.batch_size=2", "group_size=2", "stages=[1,2]", "stage_iters=[2,1]", "print_freq=1", "monitor.size=64", "monitor.count=1", "monitor.freq=1",
                                       "coevolve_freq=2", *more], ["reward", "l_lr"], 2e-2, 5e-3, 3)

    def test_a_run_goes_on(self):
        whole, parts = self.dir / "whole", self.dir / "parts"
        settings = ["--set", f"datasets.photos.photos=[{self.photos}]", "datasets.gt_size=64", "datasets.batch_size=2", "stages=[1,2]", "print_freq=1", "save_checkpoint_freq=1", "monitor.freq=0",
                    f"device={GPU}"]
        self.works("rl", "-o", whole, *settings, "stage_iters=[2,2]", timeout=600)
        self.works("rl", "-o", parts, *settings, "stage_iters=[2,2]", timeout=600)
        states = sorted((parts / "checkpoints").glob("state-*"))
        self.assertGreater(len(states), 1)
        states[-1].unlink()
        self.works("rl", "-o", parts, "--resume", timeout=600)
        a, b = ([m for m in self.metrics(out) if "reward" in m][-1]["reward"] for out in (whole, parts))
        self.near(a, b, 0, 0.1, "reward after going on")  # kernels add in any order: .03 was seen


if __name__ == "__main__":
    if not has_gpu():
        print("no CUDA GPU: skipped")
        sys.exit(0)
    main()
