#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`finpercep rl` as its users meet it: every algorithm runs, is killed and resumed bit for bit, and says in one line what is wrong with its settings.
Usage: rl_test.py PATH/TO/finpercep"""
import json
import math
import os
import re
import shlex
import shutil
import signal
import struct
import subprocess
import time
import warnings

from program import PROGRAM, ROOT, ProgramTest, main, png

ALGORITHMS = {
    "refl": ["credit.spatial=true"],
    "draft": ["draft.steps=2", "accumulate=2", "lora.rank=4"],
    "grpo": ["credit.spatial=true", "grpo.updates=2", "grpo.window=2"],
    "awm": ["credit.spatial=true"],
    "nft": ["credit.spatial=true", "nft.updates=2"],
    "dpo": ["dpo.pairs=1", "accumulate=2"],
}
OWN = {"grpo": ["group_std", "zero_groups", "ratio", "clip_fraction", "kl"], "awm": ["group_std", "zero_groups"], "nft": ["group_std", "kl", "old_deviation"], "dpo": ["accuracy", "winner", "loser"]}


class RlTest(ProgramTest):
    def rl(self, out, algorithm, *more, resume=False):
        settings = [f"algorithm={algorithm}", f"datasets.photos.photos=[{self.photos}]", "datasets.gt_size=64", "datasets.batch_size=2", "group_size=2", "stages=[1,2]",
                    "stage_iters=[2,1]", "print_freq=1", "save_checkpoint_freq=1", "monitor.size=64", "monitor.count=1", "monitor.freq=1", "coevolve_freq=2", "device=cpu",
                    *ALGORITHMS.get(algorithm, []), *more]
        return ["rl", "-o", out, *(["--resume"] if resume else []), *(word for s in settings for word in ("--set", s))]

    def kill_at(self, iteration, out, *args, **kwargs):
        """Starts the run and kills it when the state after this iteration has been written."""
        process = subprocess.Popen([PROGRAM, *map(str, self.rl(out, *args))], stderr=subprocess.DEVNULL, **kwargs)
        while process.poll() is None and not (out / f"checkpoints/state-{iteration:08}.safetensors").exists():
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        self.assertEqual(process.wait(), -signal.SIGKILL)

    def files(self, out):
        return [(out / name).read_bytes() for name in ("checkpoints/state-00000003.safetensors", "checkpoints/generator.safetensors", "metrics.jsonl")]

    def test_every_algorithm_is_killed_and_resumed_bit_for_bit(self):
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        for algorithm in ALGORITHMS:
            with self.subTest(algorithm):
                whole, parts = self.dir / f"{algorithm}-whole", self.dir / f"{algorithm}-parts"
                self.works(*self.rl(whole, algorithm), env=environment, timeout=900)
                lines = [m for m in self.metrics(whole) if "reward" in m]
                self.assertEqual([m["stage"] for m in lines], [1, 1, 2])
                for m in lines:
                    for key in ["reward", "grad_norm", "l_ref", "l_lr", *OWN.get(algorithm, [])]:
                        self.assertTrue(math.isfinite(m[key]), (key, m))
                    self.assertNotIn("l_pix", m)  # nothing is logged that was not computed
                if algorithm == "grpo":
                    self.assertEqual([m["ratio_first"] for m in lines], [1, 1, 1])
                self.assertTrue(any("monitor_grid" in m for m in self.metrics(whole)))
                self.kill_at(1, parts, algorithm, env=environment)
                self.works(*self.rl(parts, algorithm, resume=True), env=environment, timeout=900)
                self.assertEqual(self.files(whole), self.files(parts))

    def test_automatic_schedule_decides_and_says_so(self):
        out = self.dir / "auto"
        result = self.works(*self.rl(out, "refl", "schedule=auto", "stages=[0,1,2]", "stage_iters=[6,6,6]", "auto_schedule.min_iters=2", "auto_schedule.window=2",
                                     "auto_schedule.plateau=100", "coevolve_freq=0", "monitor.freq=0"), timeout=900)
        switches = [m for m in self.metrics(out) if "switch_to" in m]
        self.assertEqual([(m["step"], m["switch_to"], m["switch_reason"]) for m in switches], [(4, 1, 1), (8, 2, 1)])
        self.assertIn("from RM_0 to RM_1: the reward stopped rising", result.stderr)
        # Resumed in the middle of a phase it decides alike, and the schedule that it says it had does the same without deciding.
        words = shlex.split(re.search("the same without deciding again: --set (.*)", result.stderr).group(1))
        self.assertEqual(words, ["schedule=fixed", "stages=[0,1,2]", "stage_iters=[4,4,10]"])
        parts, fixed = self.dir / "auto-parts", self.dir / "auto-fixed"
        same = ["stages=[0,1,2]", "auto_schedule.min_iters=2", "auto_schedule.window=2", "auto_schedule.plateau=100", "coevolve_freq=0", "monitor.freq=0"]
        self.kill_at(6, parts, "refl", "schedule=auto", "stage_iters=[6,6,6]", *same)
        self.works(*self.rl(parts, "refl", "schedule=auto", "stage_iters=[6,6,6]", *same, resume=True), timeout=900)
        self.works(*self.rl(fixed, "refl", *same, *words), timeout=900)
        weights = [(folder / "checkpoints/generator.safetensors").read_bytes()[-100000:] for folder in (out, parts, fixed)]
        self.assertEqual(weights, weights[:1] * 3)
        self.assertEqual([(m["step"], m["switch_to"]) for m in self.metrics(fixed) if "switch_to" in m], [(4, 1), (8, 2)])

    def test_hacking_is_rolled_back(self):
        out = self.dir / "hack"  # a learning rate that destroys the generator within an iteration, and an average that follows at once
        hacked = ["optim_g.lr=0.01", "optim_g.final_lr_ratio=1", "ema_decay=0", "coevolve_freq=0", "guard_ratio=0"]
        result = self.works(*self.rl(out, "refl", *hacked), timeout=900)
        self.assertIn("the monitor's alarm: ", result.stderr)
        self.assertIn("back to the last good weights", result.stderr)
        first = result.stderr.index("the monitor's alarm: ")
        self.assertIn("learning rate x 0.5", result.stderr[first:])
        rolled = [m for m in self.metrics(out) if m.get("rollback")]
        self.assertEqual([m["lr_scale"] for m in rolled], [0.5, 0.25, 0.125])
        # Killed behind a rollback and resumed, it goes on at the rate that was left.
        parts = self.dir / "hack-parts"
        self.kill_at(2, parts, "refl", *hacked)
        self.works(*self.rl(parts, "refl", *hacked, resume=True), timeout=900)
        self.assertEqual(self.files(out), self.files(parts))
        # Back to the start each time: nothing is left of what was learnt.
        still = self.dir / "hack-still"
        self.works(*self.rl(still, "refl", "optim_g.lr=0", "coevolve_freq=0", "monitor.freq=0"), timeout=900)
        self.assertEqual(*[(folder / "checkpoints/generator.safetensors").read_bytes()[-100000:] for folder in (out, still)])
        stopped = self.fails(4, *self.rl(self.dir / "hack-stopped", "refl", *hacked, "monitor.max_rollbacks=1"),
                             says=["iteration 2", "at most 1 rollbacks", "generator-good"], timeout=900)
        self.assertIn("learning rate x 0.25", stopped.stderr)
        good = self.dir / "hack-stopped/checkpoints/generator-good.safetensors"
        self.assertEqual(good.read_bytes()[-100000:], (still / "checkpoints/generator.safetensors").read_bytes()[-100000:])
        self.assertTrue(all(m["alarm"] == 1 for m in rolled))
        page = self.dir / "hack.html"
        self.works("report", out, "-o", page)
        self.assertIn(f"{len(rolled)}, first at {rolled[0]['step']}", page.read_text())

    def test_snapshots_and_other_weights(self):
        """Averaged generators are kept on the way; a run does not go on from another generator than it began with."""
        given, out = self.dir / "given.safetensors", self.dir / "snapshots"
        shutil.copy(ROOT / "models/sr-small.safetensors", given)
        steps = ["stages=[1]", "stage_iters=[3]", "monitor.freq=0", "coevolve_freq=0", f"network_g={given}"]
        self.works(*self.rl(out, "refl", *steps, "snapshots=[2]"), timeout=900)
        kept, last = out / "checkpoints/generator-00000002.safetensors", out / "checkpoints/generator.safetensors"
        self.assertNotEqual(kept.read_bytes()[-100000:], last.read_bytes()[-100000:])
        lr = self.dir / "snapshot.png"
        lr.write_bytes(png(20, 16, lambda x, y: (x * 9, y * 9, 128)))
        self.works("upscale", lr, "-o", self.dir / "snapshot-sr", "-g", kept)
        shutil.copy(ROOT / "models/sr-small-perceptual.safetensors", given)
        self.fails(3, *self.rl(out, "refl", *steps, "snapshots=[2]", resume=True), says=["network_g", "with which the work here began"])

    def test_bad_settings_are_one_line(self):
        bad = [("grpo", "algorithm=ppo", "algorithm"), ("grpo", "grpo.steps=[9]", "grpo.steps"), ("grpo", "grpo.window=7", "grpo.window"), ("draft", "draft.steps=9", "draft.steps"),
               ("dpo", "dpo.pairs=2", "dpo.pairs"), ("grpo", "credit.cell=48", "credit.cell"), ("refl", "signal.score_weight=0", "signal"), ("refl", "stages=[0]", "stage_iters"),
               ("refl", "refl_steps=[5]", "refl_steps"), ("refl", "monitor.size=65", "monitor.size"), ("grpo", "group_size=1", "group_size"), ("refl", "lora.rank=4000", "lora.rank"),
               ("grpo", "network_g=realesr-animevideov3", "a net of one step"), ("refl", "masks.kinds=[]", "masks.kinds"), ("refl", "masks.kinds=[star]", "'star'"),
               ("refl", "masks.area=[0.5,0.1]", "masks.area"), ("refl", "lr_block=200", "lr_block"), ("refl", "lr_block=48", "lr_block"), ("refl", "snapshots=[99]", "snapshots"), ("refl", "optim_g.betas=[0.9]", "betas"), ("grpo", "signal.map_weight=0", "credit.spatial"), ("grpo", "policy.flow_sampler=ode", "policy.flow_sampler"),
               ("refl", "datasets.degradation.scale=2", "datasets.degradation.scale"), ("refl", "masks.semantic_prob=0.5", "semantic_prob"), ("refl", "label_alpha=-0.5", "label_alpha")]
        for algorithm, setting, word in bad:
            with self.subTest(setting):
                out = self.dir / "bad"
                self.fails(2, *self.rl(out, algorithm, setting, *{"signal": ["signal.map_weight=0"], "policy.flow_sampler": ["network_g=sr-small-dit"]}.get(word, [])), says=word)
                self.assertFalse(out.exists())

    def test_a_strangers_torchscript_generator(self):
        try:
            import torch
        except ImportError:
            self.skipTest("no torch")

        class Stranger(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.first, self.last = torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.Conv2d(8, 48, 3, padding=1)

            def forward(self, lr: torch.Tensor) -> torch.Tensor:
                return torch.nn.functional.interpolate(lr, scale_factor=4.0, mode="bicubic") + 0.1 * torch.nn.functional.pixel_shuffle(self.last(torch.relu(self.first(lr))), 4)

        class Noisy(Stranger):
            def forward(self, lr: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
                return torch.nn.functional.interpolate(lr, scale_factor=4.0, mode="bicubic") + 0.1 * torch.nn.functional.pixel_shuffle(self.last(torch.relu(self.first(lr))), 4) + 0.01 * noise

        class Drawing(Stranger):
            def forward(self, lr: torch.Tensor) -> torch.Tensor:
                up = torch.nn.functional.interpolate(lr, scale_factor=4.0, mode="bicubic")
                return up + 0.1 * torch.nn.functional.pixel_shuffle(self.last(torch.relu(self.first(lr))), 4) + 0.1 * torch.randn_like(up)

        class Frozen(torch.nn.Module):
            def forward(self, lr: torch.Tensor) -> torch.Tensor:
                return torch.nn.functional.interpolate(lr, scale_factor=4.0, mode="bicubic")

        class NotANumber(Stranger):
            def forward(self, lr: torch.Tensor) -> torch.Tensor:
                return torch.nn.functional.interpolate(lr, scale_factor=4.0) * torch.log(self.first.weight.abs().sum() - 1e6)

        class OfBytes(Stranger):
            def forward(self, lr: torch.Tensor) -> torch.Tensor:
                return 255 * torch.nn.functional.interpolate(lr, scale_factor=4.0) + 0 * self.first.weight.mean()

        class Severed(Stranger):
            def forward(self, lr: torch.Tensor) -> torch.Tensor:
                return torch.nn.functional.interpolate(lr, scale_factor=4.0) + self.first.weight.detach().mean()

        class OtherScale(torch.nn.Module):
            def __init__(self, scale: int):
                super().__init__()
                self.scale, self.last = scale, torch.nn.Conv2d(3, 3 * scale * scale, 3, padding=1)

            def forward(self, lr: torch.Tensor) -> torch.Tensor:
                return torch.nn.functional.interpolate(lr, scale_factor=float(self.scale)) + 0.1 * torch.nn.functional.pixel_shuffle(self.last(lr), self.scale)

        torch.manual_seed(0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch calls its scripting deprecated
            for kind in (Stranger, Noisy, Drawing, Frozen, NotANumber, OfBytes, Severed):
                net = kind()
                if kind is Noisy:
                    net.first.requires_grad_(False)  # a part that shall stay
                torch.jit.script(net).save(self.dir / f"{kind.__name__}.pt")
            torch.jit.script(Stranger().half()).save(self.dir / "Half.pt")
            for scale in (1, 2):
                torch.jit.script(OtherScale(scale)).save(self.dir / f"x{scale}.pt")
        lr = self.dir / "lr.png"
        lr.write_bytes(png(40, 32, lambda x, y: (x * 6, y * 7, 128)))
        for kind in ("Stranger", "Noisy", "Drawing"):
            with self.subTest(kind):
                whole = self.dir / f"{kind}-whole"
                given = self.dir / f"{kind}.pt"
                self.works(*self.rl(whole, "refl", f"network_g={given}", "val_photos.photos=" + f"[{self.photos}]", "val_size=64", "val_count=1"), timeout=900)
                made = whole / "checkpoints/generator.pt"
                before, after = torch.jit.load(given), torch.jit.load(made)  # plain torch reads what was made
                self.assertFalse(torch.equal(before.last.weight, after.last.weight))
                self.assertEqual(torch.equal(before.first.weight, after.first.weight), kind == "Noisy")
                self.assertLess((before.last.weight - after.last.weight).abs().max().item(), 0.01)
                self.works("upscale", lr, "-o", self.dir / f"{kind}-sr", "-g", made)
                self.assertTrue((whole / "samples/00000003.png").exists())
                logged = [json.loads(line) for line in (whole / "metrics.jsonl").read_text().splitlines()]
                self.assertLess(next(line["l_ref"] for line in logged if "l_ref" in line), 1e-6)  # the same net by the same noise
        for scale in (1, 2):
            with self.subTest(scale=scale):
                out, given = self.dir / f"x{scale}", self.dir / f"x{scale}.pt"
                self.fails(2, *self.rl(out, "refl", f"network_g={given}"), says=f"datasets.degradation.scale: expected {scale}, the generator's scale, found 4")
                self.works(*self.rl(out, "refl", f"network_g={given}", f"datasets.degradation.scale={scale}", f"val_photos.photos=[{self.photos}]", "val_size=64", "val_count=1"), timeout=900)
                self.works("upscale", lr, "-o", self.dir / f"x{scale}-sr", "-g", out / "checkpoints/generator.pt")
                self.assertEqual(struct.unpack(">II", (self.dir / f"x{scale}-sr/lr.png").read_bytes()[16:24]), (40 * scale, 32 * scale))
        for kind, code, word in (("Frozen", 4, "parameters to train"), ("NotANumber", 4, "its first ones hold NaN"), ("OfBytes", 4, "of 0..255: x / 255"), ("Severed", 4, "a no_grad or a detach"), ("Half", 4, "expected parameters in float32 to train, found first.weight in Half")):
            with self.subTest(kind):
                out = self.dir / kind
                self.fails(code, *self.rl(out, "refl", f"network_g={self.dir / kind}.pt", "stages=[1]", "stage_iters=[2]", "monitor.freq=0"), says=word, timeout=900)
                self.assertFalse((out / "checkpoints/generator.pt").exists())


if __name__ == "__main__":
    main()
