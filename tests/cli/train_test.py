#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Trainings as their users meet them: interrupted and resumed, started wrong, a run of RL and its report. Usage: train_test.py PATH/TO/finpercep"""
import json
import math
import os
import signal
import subprocess
import time

from program import PROGRAM, ProgramTest, main


class Trainings(ProgramTest):
    def test_interrupt_and_resume_give_the_same_bytes(self):
        whole, parts = self.dir / "whole", self.dir / "parts"
        environment = dict(os.environ, OMP_NUM_THREADS="1")
        self.works(*self.tiny_generator(whole, 40), env=environment)
        process = subprocess.Popen([PROGRAM, *map(str, self.tiny_generator(parts, 40))], env=environment, stderr=subprocess.PIPE, text=True)
        log = parts / "metrics.jsonl"
        for _ in range(600):
            if log.exists() and len(log.read_text().splitlines()) >= 5:
                break
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 130, errors)
        self.assertIn("--resume", errors)
        self.fails(3, *self.tiny_generator(parts, 40), says="--resume", env=environment)
        self.works(*self.tiny_generator(parts, 40, "--resume"), env=environment)
        self.assertEqual((whole / "checkpoints/state-00000040.safetensors").read_bytes(), (parts / "checkpoints/state-00000040.safetensors").read_bytes())
        self.assertEqual((whole / "metrics.jsonl").read_text(), (parts / "metrics.jsonl").read_text())

    def test_resume_without_a_config_and_with_a_wrong_one(self):
        run_dir = self.dir / "resumed"
        self.works(*self.tiny_generator(run_dir, 2))
        config = (run_dir / "config.yaml").read_text()
        self.fails(4, *self.tiny_generator(run_dir, 4, "--set", "network_g.net.channels=[16,32]", "--resume"), says="another architecture")
        self.assertEqual((run_dir / "config.yaml").read_text(), config)
        self.assertFalse((run_dir / "config.previous.yaml").exists())
        self.assertIn("resumed from iteration 2", self.works("train", "generator", "-o", run_dir, "--resume").stderr)
        self.assertEqual((run_dir / "config.yaml").read_text(), config)
        self.fails(2, "train", "generator", "-o", run_dir, "--resume", "--set", "train.total_iter=1", says="at least the 2 iterations that are done")
        self.assertEqual((run_dir / "config.yaml").read_text(), config)
        self.works("train", "generator", "-o", run_dir, "--resume", "--set", "train.total_iter=3")
        self.assertEqual((run_dir / "config.previous.yaml").read_text(), config)

    def test_a_folder_of_no_name(self):
        self.fails(2, "train", "generator", "-o", "", says=["--output", "an empty one"])
        self.fails(2, "score", self.photo, "--json", "", says=["--json", "an empty one"])
        self.fails(2, "upscale", self.photo, "-g", "bicubic", "-o", "-", says=["expected a folder", "'-'"])
        self.fails(3, "train", "generator", "-o", self.dir / "home", "--set", "datasets.photos.photos=[~/none]", says=["~/none", "in full"])

    def test_a_reward_goes_on_at_the_stage_of_its_schedule(self):
        out = self.dir / "reward"
        train = ["train", "reward", "-o", out, "--set", f"fgr.photos.photos=[{self.photos}]", "fgr.count=12", "fgr.size=64", "fgr.sources=[bicubic,distort]", "fgr.label.features=efficientnet",
                 "samples.size=64", "opinions.count=4", "opinions.size=64", "batch_size=2", "print_freq=1", "save_checkpoint_freq=1", "device=cpu"]
        self.works(*train, "network.stage=1", "stage_iters=[1,1]", timeout=300)
        weights = (out / "checkpoints/reward.safetensors").read_bytes()
        self.fails(2, *train, "network.stage=1", "stage_iters=[3,1]", "--resume", says=["stage_iters has iteration 2", "expected a state at RM_0", "found one at RM_1"], timeout=300)
        self.assertEqual((out / "checkpoints/reward.safetensors").read_bytes(), weights)
        self.works(*train, "network.stage=1", "stage_iters=[1,2]", "--resume", timeout=300)
        self.assertEqual([m["stage"] for m in self.metrics(out) if "l_total" in m], [0, 1, 1])

    def test_a_start_that_does_not_fit_leaves_no_run(self):
        run_dir = self.dir / "misfit"
        self.fails(4, *self.tiny_generator(run_dir, 1, "--set", "pretrain_network_g=nothing"), says="nothing")
        self.fails(4, *self.tiny_generator(run_dir, 1, "--set", "pretrain_network_g=sr-small"), says=["sr-small", "another architecture"])
        self.assertFalse(run_dir.exists())

    def test_rl_runs_and_reports(self):
        out = self.dir / "rl"
        self.works("rl", "-o", out, "--set", f"datasets.photos.photos=[{self.photos}]", "--set", "datasets.gt_size=64", "--set", "datasets.batch_size=2",
                   "--set", "stages=[0,2]", "--set", "stage_iters=[2,2]", "--set", "print_freq=1", "--set", f"val_photos.photos=[{self.photos}]", "--set", "val_count=1",
                   "--set", "val_size=64", "--set", "val_freq=2", timeout=300)
        steps = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
        self.assertEqual([s["stage"] for s in steps if "stage" in s], [0, 0, 2, 2])
        self.assertTrue(all(math.isfinite(s["reward"]) for s in steps if "reward" in s))
        self.works("upscale", self.photos / "p0.png", "-g", out / "checkpoints/generator.safetensors", "-o", self.dir / "rl_up")
        page = self.dir / "r.html"
        self.works("report", out, "-o", page)
        self.assertIn("after 4", page.read_text())  # the newest sheet of samples
        self.assertIn("held-out LPIPS", page.read_text())
        self.fails(3, "report", out, "-o", page, says="--overwrite")
        self.fails(3, "report", self.dir / "norun", "-o", self.dir / "x.html", says="norun")



if __name__ == "__main__":
    main()
