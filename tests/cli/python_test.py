#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""RL in plain PyTorch by what `export` writes: examples/coevolve.py, and back into the program. Usage: python_test.py PATH/TO/finpercep"""
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import unittest

from program import ROOT, ProgramTest, main, png, texture

PARTS = ("sr", "reward", "labels")


class Python(ProgramTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.lr = cls.dir / "lr"
        cls.lr.mkdir()
        for i in range(3):
            (cls.lr / f"p{i}.png").write_bytes(png(36, 32, lambda x, y: texture(4 * x, 4 * y, i)))
        cls.pt = {part: cls.dir / f"{part}.pt" for part in PARTS}

    def exported(self):
        if not self.pt["labels"].exists():
            self.works("export", "realesr-animevideov3", "-o", self.pt["sr"])
            self.works("export", "finpercep-rm", "-o", self.pt["reward"])
            self.works("export", "finpercep-rm", "--labels", "-o", self.pt["labels"])
        return self.pt

    def python(self, script, *args, code=0):
        result = subprocess.run([sys.executable, str(ROOT / script), *map(str, args)], capture_output=True, text=True, timeout=300, env={**os.environ, "OMP_NUM_THREADS": "1"})
        self.assertEqual(result.returncode, code, result.stdout + result.stderr)
        return result

    def train(self, out, *more, **kwargs):
        parts = [word for part, name in zip(PARTS, ("generator", "reward", "labels")) for word in ("--" + name, self.exported()[part])]
        return self.python("examples/coevolve.py", "--gt", self.photos, "--lr", self.lr, *parts, "-o", self.dir / out, "--size", 64, "--batch", 2, "--device", "cpu", *more, **kwargs)

    def test_labels(self):
        import torch
        facts = {"finpercep.json": ""}
        labels = torch.jit.load(str(self.exported()["labels"]), _extra_files=facts)
        facts = json.loads(facts["finpercep.json"])
        self.assertEqual((facts["model"], facts["label"]["features"], facts["label"]["alpha"]), ("finpercep-rm", "dinov2", 0.6))
        torch.manual_seed(1)
        gt = torch.rand(2, 3, 50, 70)
        mask = torch.zeros(2, 1, 50, 70)
        mask[..., 35:] = 1
        label = labels(gt, (gt + 0.2 * mask * torch.randn_like(gt)).clamp(0, 1).requires_grad_(), mask)
        self.assertEqual(label.shape, mask.shape)
        self.assertFalse(label.requires_grad)
        self.assertEqual(label[..., :35].abs().max().item(), 0)
        self.assertGreater(label[..., 35:].mean().item(), 0.1)
        self.assertLessEqual(label.max().item(), 1)
        self.assertLess(labels(gt, gt, mask).max().item(), 1e-3)
        with self.assertRaisesRegex(Exception, "many values far outside"):
            labels(255 * gt, gt, mask)
        self.fails(2, "export", "sr-small", "--labels", "-o", self.dir / "no.pt", says=["--labels", "expected a reward"])
        self.fails(2, "export", "finpercep-rm", "--labels", "--stage", 2, "-o", self.dir / "no.pt", says="--labels")

    @unittest.skipUnless(importlib.util.find_spec("PIL"), "needs Pillow")
    def test_coevolve_leaves_frozen_parts_and_strange_files_alone(self):
        import torch

        class Parts(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.kept, self.learns = torch.nn.Conv2d(3, 3, 1), torch.nn.Conv2d(3, 3, 1)
                for conv in (self.kept, self.learns):
                    torch.nn.init.dirac_(conv.weight)
                    torch.nn.init.zeros_(conv.bias)
                self.kept.requires_grad_(False)

            def forward(self, lr):
                return torch.nn.functional.interpolate(self.learns(self.kept(lr)), scale_factor=4.0)

        file, lr, gt = self.dir / "parts.pt", self.dir / "odd-lr", self.dir / "odd-gt"
        torch.jit.script(Parts()).save(str(file))
        for folder, pictures in ((lr, self.lr), (gt, self.photos)):
            shutil.copytree(pictures, folder)
            (folder / ".DS_Store").touch()
        self.train("parts", "--updates", 2, "--generator", file, "--gt", gt, "--lr", lr)
        before, after = (dict(torch.jit.load(str(f)).named_parameters()) for f in (file, self.dir / "parts/generator.pt"))
        self.assertEqual({name for name in before if not torch.equal(before[name], after[name])}, {"learns.weight", "learns.bias"})
        torch.jit.script(Parts().half()).save(str(file))
        self.assertIn("found torch.float16. save module.float()", self.train("half", "--updates", 1, "--generator", file, code=1).stderr)

    @unittest.skipUnless(importlib.util.find_spec("PIL"), "needs Pillow")
    def test_coevolve(self):
        """The generator moves, the reward moves where it is not frozen, and both come back into the program."""
        import torch
        said = self.train("mine", "--updates", 3).stdout
        self.assertIn("update 3/3", said)
        self.assertIn("reward's loss", said)
        self.train("control", "--updates", 2, "--frozen")
        weights = lambda file: torch.cat([p.flatten() for _, p in sorted(torch.jit.load(str(file)).named_parameters())])
        same = lambda part, run, name: torch.equal(weights(self.pt[part]), weights(self.dir / run / name))
        self.assertFalse(same("sr", "mine", "generator.pt") or same("sr", "control", "generator.pt") or same("reward", "mine", "reward.pt"))
        self.assertTrue(same("reward", "control", "reward.pt"))
        self.assertTrue(weights(self.dir / "mine/reward.pt").isfinite().all())
        self.assertIn("exists", self.train("mine", "--updates", 1, code=1).stderr)
        self.assertIn("p0.png: expected 4 times its LR picture and at least 256 pixels a side, found 144 x 128 for 36 x 32", self.train("big", "--size", 256, code=1).stderr)

        model = self.dir / "mine.safetensors"
        back = lambda *args, **kwargs: self.python("tools/checkpoint_of_torchscript.py", *args, **kwargs)
        back(ROOT / "models/finpercep-rm.safetensors", self.dir / "mine/reward.pt", model)
        x = torch.tensor([[[texture(i, j)[c] / 255 for i in range(160)] for j in range(128)] for c in range(3)])[None]
        expected = torch.jit.load(str(self.dir / "mine/reward.pt"))(x)[0].item()
        score = json.loads(self.works("score", self.photo, "--model", model, "--json", "-").stdout)["finpercep"]["score"]
        self.assertAlmostEqual(score, expected, delta=2e-3)  # fp16
        self.assertIn("give the model that was exported", back(ROOT / "models/sr-small.safetensors", self.dir / "mine/reward.pt", self.dir / "no.safetensors", code=1).stderr)
        self.assertIn("exists", back(ROOT / "models/finpercep-rm.safetensors", self.dir / "mine/reward.pt", model, code=1).stderr)
        self.works("upscale", self.lr / "p0.png", "-o", self.dir / "up", "-g", self.dir / "mine/generator.pt")


if __name__ == "__main__":
    main()
