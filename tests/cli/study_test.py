#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`finpercep study run` as its users meet it: two methods with two seeds, interrupted, repeated, extended and wrong.
Usage: study_test.py PATH/TO/finpercep"""
import csv
import json
import os
import re
import shutil
import signal
import subprocess
import time

from program import PROGRAM, ROOT, ProgramTest, main, png, texture

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


class StudyTest(ProgramTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        (cls.dir / "training").mkdir()
        for i in range(3):
            (cls.dir / "training" / f"t{i}.png").write_bytes(png(144, 128, lambda x, y: texture(x, y, 3 + i)))
        shutil.copytree(cls.photos, cls.dir / "copies")
        (cls.dir / "rl.yaml").write_text(
            f"datasets: {{photos: {{photos: [{cls.dir / 'training'}]}}, gt_size: 64, batch_size: 1}}\nstages: [1, 2]\nstage_iters: [2, 1]\nsave_checkpoint_freq: 1\nprint_freq: 1\n"
            "coevolve_freq: 0\nmonitor: {freq: 0}\ndevice: cpu\n")
        cls.config = cls.dir / "study.yaml"
        cls.write_config()

    @classmethod
    def write_config(cls, *more):
        methods = ", ".join(f'"{m}"' for m in ["control: reward_weight=0 pixel_weight=1 stages=[0] stage_iters=[3]", "other: config=rl.yaml seeds=[1, 2]", *more])
        cls.config.write_text(
            f"rl: rl.yaml\nmethods: [{methods}]\nseeds: [1, 2]\nothers: [bicubic]\nheld_out: {{photos: {{photos: [{cls.photos}]}}, count: 2, side: 64}}\n"
            f"test_sets: [\"set={cls.dir / 'lr'}:{cls.photos}:{cls.photos}\"]\nmetrics: [psnry, lpips, finpercep.score, finpercep.severity]\nstrips: 1\n")
        if not (cls.dir / "lr").exists():
            subprocess.run([PROGRAM, "degrade", str(cls.photos), "-o", str(cls.dir / "lr"), "-c", "configs/degrade/bicubic.yaml"], check=True, capture_output=True, cwd=ROOT)

    def study(self, out, *more):
        return ["study", "run", "-c", self.config, "-o", out, *more]

    def test_interrupted_repeated_extended(self):
        whole, parts = self.dir / "whole", self.dir / "parts"
        first = self.works(*self.study(whole), env=ENVIRONMENT, timeout=500)
        self.assertEqual(sorted(p.name for p in (whole / "runs").iterdir()), ["control-seed1", "control-seed2", "other-seed1", "other-seed2"])
        self.assertIn("- generator: sr-small\n- reward: finpercep-rm-rl\n", (whole / "study.md").read_text())
        for words in ["Held-out photographs\n", "difference to sr-small", "set (3 pictures): seeds", "interval over seeds", "report: "]:
            self.assertIn(words, first.stdout)
        for row in ["bicubic", "sr-small", "control", "other"]:
            self.assertEqual(len(re.findall(f"^{row} ", first.stdout, re.M)), {"bicubic": 4, "sr-small": 2}.get(row, 6), row)
        self.assertEqual(len(re.findall("^photos ", first.stdout, re.M)), 2)  # the pictures of SR, here the photographs themselves
        values = list(csv.reader((whole / "values/set/photos.csv").read_text().splitlines()[1:]))
        self.assertEqual(values[0], ["name", "psnry", "lpips", "finpercep.score", "finpercep.severity"])
        self.assertEqual(float(values[1][2]), 0)

        def tables(folder):
            return (folder / "study.md").read_bytes(), (folder / "report.html").read_bytes()

        process = subprocess.Popen([PROGRAM, *map(str, self.study(parts, "--train-only", "--only", "other"))], env=ENVIRONMENT, stderr=subprocess.DEVNULL)
        state = parts / "runs/other-seed1/checkpoints/state-00000001.safetensors"
        while process.poll() is None and not state.exists():
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        self.assertEqual(process.wait(), -signal.SIGKILL)
        self.assertFalse((parts / "study.md").exists())
        self.works(*self.study(parts), env=ENVIRONMENT, timeout=500)
        self.assertEqual(tables(whole), tables(parts))

        stamps = {p: p.stat().st_mtime_ns for folder in ("runs", "values") for p in (whole / folder).rglob("*") if p.is_file()}
        again = self.works(*self.study(whole), env=ENVIRONMENT, timeout=500)
        self.assertEqual(again.stdout, first.stdout)
        self.assertEqual(stamps, {p: p.stat().st_mtime_ns for p in stamps})
        self.assertEqual(tables(whole), tables(parts))

        self.write_config("late: reward_weight=0 seeds=1")
        later = self.works(*self.study(whole, "--evaluate-only"), env=ENVIRONMENT, timeout=500)
        self.assertEqual(later.stdout, first.stdout)
        self.assertIn("late: 0 of 1 runs are finished: left out", later.stderr)
        self.write_config()

        self.fails(3, *self.study(whole, "--set", "rl.ema_decay=0.5"), says=["control-seed1", "ema_decay: 0.5"])
        csv_file = whole / "values/set/control-seed1.csv"
        kept = csv_file.read_text()
        csv_file.write_text(kept[: len(kept) // 2])
        self.works(*self.study(whole, "--evaluate-only"), env=ENVIRONMENT, timeout=500)
        self.assertEqual(csv_file.read_text(), kept)

        # Another judge of the same name is another judge.
        judge, scores = self.dir / "judge.safetensors", []
        for model in ("finpercep-rm", "finpercep-rm-rl"):
            shutil.copy(ROOT / f"models/{model}.safetensors", judge)
            self.works(*self.study(whole, "--evaluate-only", "--set", f"judge={judge}"), env=ENVIRONMENT, timeout=500)
            scores.append([row[3] for row in csv.reader(csv_file.read_text().splitlines()[2:])])
        self.assertTrue(all(a != b for a, b in zip(*scores)), scores)

        # A picture that cannot be read is missing from the means, whether they are measured or read again, and from the report's strips.
        broken = self.dir / "broken"
        shutil.copytree(self.photos, broken)
        (broken / "p0.png").write_bytes((broken / "p0.png").read_bytes()[:200])
        measure = [*self.study(whole, "--evaluate-only"), "--set", "held_out.photos.photos=[]", f'test_sets=["bad={self.dir / "lr"}:{self.photos}:made={broken}"]', "strips=3", "metrics=[psnry]"]
        results = [self.fails(3, *measure, says=["1 runs or pictures failed", "p0"], env=ENVIRONMENT, timeout=500) for _ in range(2)]
        self.assertEqual(results[0].stdout, results[1].stdout)
        self.assertRegex(results[0].stdout, r"made +2 ")

    def test_a_run_that_fails_is_reported_and_the_others_are_measured(self):
        out = self.dir / "failing"
        self.write_config("broken: optim_g.lr=0.01 optim_g.final_lr_ratio=1 ema_decay=0 guard_ratio=0 monitor.freq=1 monitor.size=64 monitor.count=1 monitor.max_rollbacks=0 seeds=1", "late: reward_weight=0 seeds=1")
        few = ["--set", "test_sets=[]", "metrics=[psnry]"]
        result = self.fails(3, *self.study(out, *few), says=["1 runs or pictures failed", "broken, seed 1", "rollbacks"], env=ENVIRONMENT, timeout=500)
        self.assertIn("broken: 0 of 1 runs are finished: left out", result.stderr)
        self.assertRegex(result.stdout, "(?m)^late ")
        self.assertRegex(result.stdout, "(?m)^control ")
        self.assertNotRegex(result.stdout, "(?m)^broken ")
        # A run is not measured as what it is not: its generator's weights have to be those that it began with.
        inputs = out / "runs/late-seed1/inputs.json"
        inputs.write_text(json.dumps({**json.loads(inputs.read_text()), "network_g": "0"}))
        self.fails(3, *self.study(out, "--evaluate-only", *few), says=["late-seed1", "with which the work here began"], env=ENVIRONMENT)
        self.write_config()

    def test_what_is_wrong_is_said_before_anything_is_trained(self):
        out = self.dir / "bad"
        for setting, says in [('methods=["a: reward_wait=1"]', ["method 'a'", "reward_weight"]), ('methods=["a: stages=[9] stage_iters=[1]"]', ["method 'a'", "stages"]), ('methods=["a: refl_steps=[9]"]', ["method 'a'", "refl_steps"]),
                              ("metrics=[psnyr]", "psnyr"), ("baseline=nobody", "nobody"), ("test_sets=[a]", "NAME=LQ:GT"), ("others=[nothing]", "nothing"), ("judge=nothing", "nothing")]:
            with self.subTest(setting):
                result = self.fails(4 if setting in ("judge=nothing", "others=[nothing]") else 2, *self.study(out, "--set", setting), says=says)
                self.assertNotIn("iter ", result.stderr)
                self.assertFalse(out.exists())
        self.fails(2, *self.study(out, "--only", "nobody"), says="control, other")
        for trained in (self.photos, self.dir / "copies"):
            self.fails(2, *self.study(out, "--set", f"rl.datasets.photos.photos=[{trained}]"), says=["held-out", "p0.png", "3 of them", "datasets.photos.exclude"])
        self.assertFalse(out.exists())
        self.fails(2, "study", "run", says="methods")
        shutil.copytree(self.photos, self.dir / "more-photos")
        self.fails(2, *self.study(self.dir / "twins", "--evaluate-only", "--set", f"held_out.photos.photos=[{self.photos}, {self.dir / 'more-photos'}]", "held_out.count=6"), says=["held_out", "'p0' twice"])
        self.fails(2, *self.study(out, "--train-only", "--evaluate-only"))


if __name__ == "__main__":
    main()
