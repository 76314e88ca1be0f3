#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The program as its users meet it: every command and bad input. Usage: cli_test.py PATH/TO/finpercep"""
import csv
import json
import math
import os
import random
import struct
import time
import warnings
import zlib
from pathlib import Path

from program import ROOT, ProgramTest, chunk, main, png, run, texture


class Cli(ProgramTest):
    # --- score, map

    def test_score_json(self):
        out = json.loads(self.works("score", self.photo, "--json", "-").stdout)
        self.assertEqual(out["path"], str(self.photo))
        for key in ("score", "map_max", "map_mean"):
            self.assertTrue(0 <= out["finpercep"][key] <= 1)

    def test_score_pairs_table_csv_and_gate(self):
        result = self.works("score", self.photos, "-r", self.photos, "-m", "psnr,ssim", "--csv", "-")
        self.assertEqual(len([l for l in result.stdout.splitlines() if "/p" in l]), 3)
        self.works("score", self.photo, "-r", self.photo, "-m", "ssim", "--fail-under", "ssim=0.99")
        other = self.photos / "p0.png"
        self.fails(5, "score", self.photos / "p1.png", "-r", other, "-m", "ssim", "--fail-under", "ssim=0.9999", says="ssim")
        self.fails(2, "score", self.photo, "--fail-under", "psnr=3", says="psnr")
        self.fails(2, "score", self.photo, "--stage", 0, "--fail-under", "finpercep.severity=0.5", says="finpercep.severity")  # RM_0 has no map

    def test_score_is_deterministic(self):
        first = self.works("score", self.photo, "--json", "-").stdout
        self.assertEqual(first, self.works("score", self.photo, "--json", "-").stdout)

    def test_one_bad_file_does_not_lose_the_others(self):
        folder = self.dir / "mixed"
        folder.mkdir()
        (folder / "good.png").write_bytes(self.photo.read_bytes())
        (folder / "bad.png").write_bytes(b"not a picture")
        result = self.fails(3, "score", folder, "--json", "-", says="1 of 2")
        self.assertIn("good.png", result.stdout)

    def test_one_bad_file_has_its_row_in_every_output(self):
        folder = self.dir / "rows"
        folder.mkdir()
        (folder / "a.png").write_bytes(self.photo.read_bytes())
        (folder / "b.png").write_bytes(b"not a picture")
        (folder / "c.png").write_bytes(self.photo.read_bytes())
        result = self.fails(3, "score", folder, "--json", "-", "--csv", self.dir / "rows.csv", "--summary", self.dir / "rows.json", says="1 of 3")
        lines = [json.loads(line) for line in result.stdout.splitlines()]
        self.assertEqual([Path(line["path"]).name for line in lines], ["a.png", "b.png", "c.png"])
        self.assertIn("b.png", lines[1]["error"])
        self.assertNotIn("finpercep", lines[1])
        self.assertEqual(lines[0]["finpercep"], lines[2]["finpercep"])
        with open(self.dir / "rows.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        self.assertEqual([bool(row["error"]) for row in rows], [False, True, False])
        self.assertEqual(rows[1]["finpercep.score"], "")
        summary = json.loads((self.dir / "rows.json").read_text())
        self.assertEqual((summary["pictures"], summary["failed"], summary["metrics"]["finpercep.score"]["count"]), (3, 1, 2))
        strict = self.fails(3, "score", folder, "--json", "-", "--strict", says="1 of 3")
        self.assertEqual(len(strict.stdout.splitlines()), 2)

    def test_score_inputs(self):
        """Folders, globs, lists and stdin name the same pictures in the same order."""
        listed = "".join(f"{self.photos}/p{i}.png\n" for i in range(3))
        (self.dir / "list.txt").write_text(listed)
        common = ["-r", self.photos, "-m", "psnr", "--json", "-"]
        expected = self.works("score", self.photos, *common).stdout
        self.assertEqual(len(expected.splitlines()), 3)
        for inputs in ([f"{self.photos}/p*.png"], [f"@{self.dir}/list.txt"], [self.dir / "list.txt"], [self.photos / f"p{i}.png" for i in range(3)]):
            self.assertEqual(self.works("score", *inputs, *common).stdout, expected)
        self.assertEqual(self.works("score", "-", *common, input=listed).stdout, expected)
        self.assertEqual(self.works("score", "-", *common, input=listed.replace("\n", "\0")).stdout, expected)  # find -print0
        self.fails(3, "score", "-", input="", says="stdin")
        self.fails(3, "score", "-", input="nowhere.png\n", says=["stdin: line 1", "nowhere.png"])
        self.fails(3, "score", f"{self.photos}/q*.png", says="q*.png")

    def test_score_summary_and_outputs(self):
        other = self.dir / "other"
        other.mkdir()
        for i in range(3):
            (other / f"p{i}.png").write_bytes(png(144, 128, lambda x, y: texture(x, y, i + 0.02 * (i + 1))))
        args = ["score", other, "-r", self.photos, "-m", "psnr,ssim", "--threads", 2]
        summary = json.loads(self.works(*args, "--summary", "-").stdout)
        values = [json.loads(line)["psnr"] for line in self.works(*args, "--json", "-").stdout.splitlines()]
        psnr = summary["metrics"]["psnr"]
        self.assertAlmostEqual(psnr["mean"], sum(values) / 3, places=9)
        self.assertTrue(min(values) <= psnr["low"] < psnr["mean"] < psnr["high"] <= max(values))
        self.assertTrue(psnr["higher_is_better"])
        self.assertIn("RGB", psnr["variant"])
        table = self.works(*args).stdout
        self.assertIn("mean [95 %]", table)
        self.assertIn("protocol stablesr", table)
        result = self.works(*args, "--csv", self.dir / "s.csv")
        self.assertEqual(result.stdout, "")
        self.assertIn("higher is better", result.stderr)
        self.assertNotIn("higher", self.works("-q", *args, "--csv", self.dir / "s.csv", "--overwrite").stderr)
        self.fails(3, *args, "--csv", self.dir / "s.csv", says="--overwrite")
        self.fails(2, *args, "--csv", "-", "--json", "-", says="stdout")
        before = (other / "p0.png").read_bytes()
        self.fails(2, *args, "--csv", other / "p0.png", "--overwrite", says="p0.png")
        self.fails(2, *args, "--json", self.photos / "p1.png", "--overwrite", says="p1.png")
        self.assertEqual(before, (other / "p0.png").read_bytes())
        self.works(*args, "--fail-under", "psnr=5", "--fail-under", "ssim=0.1")
        self.fails(5, *args, "--fail-under", "psnr=5", "--fail-under", "ssim=0.99999", says=["ssim", "at least"])
        self.fails(2, *args, "--fail-under", "psnr", says="METRIC=NUMBER")
        self.fails(2, *args, "--fail-under", "psnr=nan", says="METRIC=NUMBER")
        self.fails(2, "score", other, "-r", self.photos, "-m", "finpercep", says="-r")

    def test_pictures_that_a_metric_cannot_take(self):
        """Alpha, mixed depth, too small, floating point samples, absent weights: one clear line each."""
        folder = self.dir / "odd"
        folder.mkdir()
        clear = folder / "clear.png"
        clear.write_bytes(png(160, 128, lambda x, y: (*texture(x, y), (x * 7) % 256), alpha=True))
        score = self.works("score", clear, "-r", self.photo, "-m", "psnr", "--json", "-")
        self.assertIn("alpha: 1 of 1", score.stderr)
        self.assertGreater(json.loads(score.stdout)["psnr"], 79)  # dropped, not blended
        deep = folder / "deep.png"
        deep.write_bytes(png(160, 128, lambda x, y: tuple(257 * v for v in texture(x, y)), 16))
        score = self.works("score", deep, "-r", self.photo, "-m", "psnr", "--json", "-")
        self.assertIn("depth: 1 of 1", score.stderr)
        self.assertGreater(json.loads(score.stdout)["psnr"], 79)
        small = folder / "small.png"
        small.write_bytes(png(8, 8, texture))
        self.fails(3, "score", small, "-r", small, "-m", "ssim", says=["small.png", "at least 11", "8x8"])
        line = json.loads(self.fails(3, "score", small, "-r", small, "-m", "ssim,psnr", "--json", "-", says="at least 11").stdout)
        self.assertGreater(line["psnr"], 79)  # one metric that cannot does not lose the others
        self.assertIn("at least 11", line["error"])
        self.fails(3, "score", small, "-r", small, "-m", "psnr", "--crop-border", 4, says="small.png")
        floating = folder / "float.tiff"
        entries = [(256, 4, 2), (257, 4, 1), (258, 3, 32), (259, 3, 1), (262, 3, 1), (273, 4, 150), (277, 3, 1), (278, 4, 1), (279, 4, 8), (339, 3, 3)]
        head = b"II*\0" + struct.pack("<IH", 8, len(entries)) + b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries) + b"\0" * 4
        floating.write_bytes(head.ljust(150, b"\0") + struct.pack("<ff", math.nan, 0.5))
        self.fails(3, "score", floating, "-r", floating, "-m", "psnr", says=["float.tiff", "floating point"])
        environment = dict(os.environ, FINPERCEP_CACHE=str(self.dir / "no-cache"))
        self.fails(4, "score", self.photo, "-r", self.photo, "-m", "lpips", env=environment, says=["weights", "no-cache"])

    def test_one_number_a_set(self):
        """FID has no value a picture, needs two sets and no partners; absent weights are known before any work."""
        environment = dict(os.environ, FINPERCEP_CACHE=str(self.dir / "no-cache"))
        self.fails(2, "score", self.photos, "-m", "fid", says="-r")
        self.fails(2, "score", self.photos, "-r", self.photos, "-m", "fid,fid", says="twice")
        self.fails(2, "score", self.photos, "-r", self.photos, "-m", "fid", "--json", "-", says="--summary")
        self.fails(3, "score", self.photo, "-r", self.photos, "-m", "fid", says="at least 2 pictures")
        self.fails(2, "eval", "--set", f"a={self.photos}:{self.photos}:{self.photos}", "-m", "fid", says="one number a set")
        self.fails(4, "score", self.photos, "-r", self.photos, "-m", "psnr,fid", env=environment, says=["fid.safetensors", "pt_inception"])

    def test_map_writes_every_format(self):
        out = self.dir / "maps"
        self.works("map", self.photo, "-o", out, "--format", "png,overlay,npy,json")
        self.assertEqual(sorted(p.name for p in out.iterdir()), ["photo.json", "photo.map.png", "photo.npy", "photo.overlay.png"])
        regions = json.loads((out / "photo.json").read_text())
        self.assertIn("regions", regions)
        self.assertTrue((out / "photo.npy").read_bytes().startswith(b"\x93NUMPY"))
        before = (out / "photo.json").stat().st_mtime_ns
        self.fails(3, "map", self.photo, "-o", out, says="--overwrite")
        self.assertEqual(before, (out / "photo.json").stat().st_mtime_ns)
        self.fails(2, "map", self.photo, "-o", out, "--format", "gif", says="gif")

    # --- bad pictures

    def test_bad_pictures(self):
        bad = self.dir / "bad"
        bad.mkdir()
        good = self.photo.read_bytes()
        cases = {
            "empty.png": b"",
            "text.png": b"hello, I am a text file\n" * 10,
            "cut.png": good[: len(good) // 2],
            "bomb.png": b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 100000, 100000, 8, 2, 0, 0, 0)) + b"\0" * 1000,
            "zero.png": b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 0, 5, 8, 2, 0, 0, 0)),
        }
        flipped = bytearray(good)
        flipped[len(good) // 2] ^= 16
        cases["flipped.png"] = bytes(flipped)
        for name, data in cases.items():
            with self.subTest(name):
                (bad / name).write_bytes(data)
                started = time.time()
                self.fails(3, "score", bad / name, says=name)
                self.assertLess(time.time() - started, 20)
        self.fails(3, "score", self.dir / "absent.png", says="absent.png")
        os.mkfifo(bad / "fifo.png")
        self.fails(3, "score", bad / "fifo.png", says="fifo.png")
        self.fails(3, "score", "/dev/zero", says="/dev/zero")
        (bad / "dangling.png").symlink_to(bad / "nowhere.png")
        self.fails(3, "score", bad / "dangling.png", says="dangling.png")
        empty = self.dir / "nothing"
        empty.mkdir()
        self.fails(3, "score", empty, says="nothing")

    def test_odd_but_valid_pictures(self):
        for name, data in {"one.png": png(1, 1, texture), "thin.png": png(3, 300, texture), "deep.png": png(40, 40, lambda x, y: (x * 1500, y * 1500, 9), 16),
                           "black.png": png(64, 64, lambda x, y: (0, 0, 0)), "png_named.jpg": png(33, 21, texture)}.items():
            with self.subTest(name):
                (self.dir / name).write_bytes(data)
                score = json.loads(self.works("score", self.dir / name, "--json", "-").stdout)["finpercep"]["score"]
                self.assertTrue(0 <= score <= 1)

    def test_pairs(self):
        small = self.dir / "small.png"
        small.write_bytes(png(20, 20, texture))
        self.fails(3, "score", self.photo, "-r", small, "-m", "psnr", says=["160x128", "20x20"])
        self.fails(3, "score", self.photos, "-r", self.dir / "bad_pairs", "-m", "psnr", says="bad_pairs")
        lonely = self.dir / "lonely"
        lonely.mkdir()
        (lonely / "p0.png").write_bytes(self.photo.read_bytes())
        self.fails(3, "score", self.photos, "-r", lonely, "-m", "psnr", says="p1")
        self.fails(2, "score", self.photo, "-m", "psnr", says="-r")

    # --- flags and configs

    def test_usage(self):
        self.fails(2, "scor", self.photo, says="score")
        self.fails(2, "score", self.photo, "--jsn", "-", says="--json")
        self.fails(2, "score", self.photo, "-m", "psrn", "-r", self.photo, says="psnr")
        self.fails(2, "score", self.photo, "--tile", "many")
        self.fails(2, "score", self.photo, "--device", "tpu", says="tpu")
        self.fails(2, "fgr", "biuld", says=["biuld", "'build'", "`finpercep fgr --help`"])
        self.fails(2, "fgr", "build", "--shrad", "0/2", says=["--shard", "`finpercep fgr build --help`"])
        for command in ("upscale", "map", "degrade"):
            self.fails(2, command, self.photo, "-o", self.dir / "out.png", says=["-o", "folder", "out.png"])
        self.assertFalse((self.dir / "out.png").exists())
        self.assertIn("a new run starts there", run("rl", "-c", ROOT / "configs/rl/ccl.yaml", "-o", self.dir / "mistyped", "--resume", "--set", "network_g=none").stderr)
        self.fails(2)
        self.assertEqual(run("--help").returncode, 0)
        self.assertEqual(run("score", "--help").returncode, 0)
        self.assertIn("finpercep 0.", self.works("--version").stdout)

    def test_configs(self):
        config = self.dir / "c.yaml"
        for text, word in {"optim_g: {lrr: 1}": "optim_g.lr", "optim_g: {lr: fast}": "optim_g.lr", "optim_g: {lr: -1}": "optim_g.lr", "train: 7": "train",
                           "a: [": "c.yaml", "train: {total_iter: 5}\ntrain: {total_iter: 6}": "train", "train: {total_iter: 1.5}": "total_iter"}.items():
            with self.subTest(text):
                config.write_text(text)
                self.fails(2, "train", "generator", "-c", config, "-o", self.dir / "never", says=word)
        self.assertFalse((self.dir / "never").exists())
        self.fails(3, "train", "generator", "-c", self.dir / "absent.yaml", says="absent.yaml")
        self.fails(2, "train", "generator", "-o", self.dir / "never", "--set", "train.total_itr=3", says="total_iter")
        shown = self.works("train", "reward", "--print-config", "--set", "batch_size=3").stdout
        self.assertIn("batch_size: 3", shown)
        for path in sorted((ROOT / "configs").rglob("*.yaml")):
            kind = {"generator": ["train", "generator"], "reward": ["train", "reward"], "rl": ["rl"], "fgr": ["fgr", "build", "-o", "x"], "degrade": ["degrade", "x", "-o", "x"], "study": ["study", "run"]}
            self.works(*kind[path.parent.name], "-c", path, "--print-config")

    # --- models

    def test_models(self):
        names = self.works("models").stdout
        for name in ("finpercep-rm", "sr-small", "sr-small-rl", "realesrgan-x4plus", "realesr-animevideov3"):
            self.assertIn(name + "\t", names)
        listed = self.works("weights", env=dict(os.environ, FINPERCEP_CACHE=str(self.dir / "no-cache"))).stdout
        self.assertRegex(listed, r"dists\tmissing\t.*fetch_weights.py")
        self.assertRegex(listed, r"dinov3_vits16\tmissing\t.*convert_weights.py dinov3_vits16 FILE")
        self.assertRegex(listed, r"musiq-koniq\tmissing\t.*convert_weights.py musiq-koniq FILE")
        self.assertIn("realesrgan-x4plus\t", self.works("weights").stdout)
        model = self.dir / "model.safetensors"
        data = bytearray((ROOT / "models" / "finpercep-rm.safetensors").read_bytes())
        draw = random.Random(1)
        for _ in range(6):
            damaged = bytearray(data)
            damaged[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
            model.write_bytes(damaged)
            self.fails(4, "score", self.photo, "--model", model, says="model.safetensors")
        for text in (b"", b"\x00" * 8, bytes(data[:4096]), b"PK\x03\x04" + b"\0" * 100, struct.pack("<Q", 101 * 2**20) + b"{}", struct.pack("<Q", 10**18) + b"{"):
            model.write_bytes(text)
            self.fails(4, "score", self.photo, "--model", model, says="model.safetensors")
        header = json.dumps({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).encode()
        model.write_bytes(struct.pack("<Q", len(header)) + header + b"\0" * 8)
        self.fails(4, "score", self.photo, "--model", model, says="checksum")
        self.fails(4, "score", self.photo, "--model", "finpercep-rn", says="finpercep-rm")
        self.fails(4, "score", self.photo, "--model", "sr-small", says="reward")
        self.fails(4, "upscale", self.photo, "-g", "finpercep-rm", "-o", self.dir / "u", says="generator")
        self.fails(4, "score", self.photo, "--stage", 9, says="stage")

    # --- data, generators

    def test_a_colour_profile_goes_along(self):
        header = {0: struct.pack(">I", 132), 12: b"mntrRGB XYZ ", 36: b"acsp", 68: bytes.fromhex("0000f6d6000100000000d32d")}
        profile = bytearray(132)
        for at, value in header.items():
            profile[at:at + len(value)] = value
        lr = self.dir / "profile/p3.png"
        lr.parent.mkdir()
        lr.write_bytes(png(16, 16, lambda x, y: (9 * x, 7 * y, 90), more=chunk(b"iCCP", b"P3\0\0" + zlib.compress(bytes(profile)))))
        self.works("upscale", lr, "-g", "bicubic", "-o", self.dir / "profile/up")
        up = (self.dir / "profile/up/p3.png").read_bytes()
        at = up.index(b"iCCP")
        data = up[at + 4:at + 4 + struct.unpack(">I", up[at - 4:at])[0]]
        self.assertEqual(zlib.decompress(data[data.index(b"\0") + 2:]), bytes(profile))

    def test_degrade_upscale_eval(self):
        lr, sr, table = self.dir / "lr", self.dir / "sr", self.dir / "table"
        self.works("degrade", self.photos, "-o", lr, "--seed", 5)
        again = self.dir / "lr2"
        self.works("degrade", self.photos, "-o", again, "--seed", 5)
        (again / "p1.png").unlink()
        self.assertIn("2 of 3 pictures are done already", self.works("degrade", self.photos, "-o", again, "--seed", 5, "--skip-existing").stderr)
        for i in range(3):
            self.assertEqual((lr / f"p{i}.png").read_bytes(), (again / f"p{i}.png").read_bytes())
        self.works("upscale", lr, "-o", sr, "-g", "sr-small", "--seed", 1)
        out = self.works("eval", "--set", f"toy={lr}:{self.photos}:{sr}", "-g", "bicubic", "-m", "psnry,ssim", "--table", "md", "-o", table).stdout
        self.assertIn("bicubic", out)
        self.assertTrue((table / "toy-bicubic.csv").exists())
        self.fails(2, "eval", "--set", "nonsense", says="NAME=LQ:GT")
        self.assertIn("p1,", (table / "toy-bicubic.csv").read_text())

        # What would be lost is said before anything is measured; runs' checkpoints all have one name.
        def no_work(*more, says):
            result = self.fails(3 if "exists" in says else 2, "eval", "--set", f"toy={lr}:{self.photos}", "-m", "psnry", *more, says=says)
            self.assertEqual(result.stdout, "")
        no_work("-g", "bicubic", "-o", table, says="exists. pass --overwrite")
        no_work("-g", "bicubic", "bicubic", "-o", self.dir / "twice", says=["twice", "another name"])
        for name in ("a", "b"):
            (self.dir / name).mkdir()
            (self.dir / name / "generator.safetensors").write_bytes((ROOT / "models/sr-small.safetensors").read_bytes())
        self.works("eval", "--set", f"toy={lr}:{self.photos}", "-m", "psnry", "-g", self.dir / "a/generator.safetensors", self.dir / "b/generator.safetensors", "-o", self.dir / "both")
        self.assertEqual(sorted(p.name[-23:] for p in (self.dir / "both").glob("*.csv")), ["a_generator.safetensors.csv"[-23:], "b_generator.safetensors.csv"[-23:]])

    def test_torchscript_module(self):
        try:
            import torch
        except ImportError:
            self.skipTest("no torch")

        class Bilinear(torch.nn.Module):
            def forward(self, lr: torch.Tensor) -> torch.Tensor:
                return torch.nn.functional.interpolate(lr, scale_factor=4.0, mode="bilinear")

        class Wrong(torch.nn.Module):
            def forward(self, lr: torch.Tensor) -> torch.Tensor:
                return lr[:, :, 1:]

        class Noisy(torch.nn.Module):
            def forward(self, lr: torch.Tensor) -> torch.Tensor:
                up = torch.nn.functional.interpolate(lr, scale_factor=4.0)
                return up + 0.1 * torch.randn_like(up)

        small = self.dir / "small.png"
        small.write_bytes(png(40, 32, texture))
        module, wrong, state = self.dir / "bilinear.pt", self.dir / "wrong.pt", self.dir / "state.pth"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch calls its scripting deprecated
            torch.jit.script(Bilinear()).save(module)
            torch.jit.script(Wrong()).save(wrong)
            torch.jit.script(Noisy()).save(self.dir / "noisy.pt")
        drawn = [self.works("upscale", small, "-o", self.dir / f"noisy{k}", "-g", self.dir / "noisy.pt", "--seed", seed) and (self.dir / f"noisy{k}" / "small.png").read_bytes()
                 for k, seed in enumerate([1, 1, 2])]
        self.assertEqual([d == drawn[0] for d in drawn], [True, True, False])
        torch.save({"weight": torch.ones(3)}, state)
        sr = self.dir / "scripted"
        self.works("upscale", small, "-o", sr, "-g", module)
        self.assertEqual(struct.unpack(">II", (sr / "small.png").read_bytes()[16:24]), (160, 128))
        table = self.works("eval", "--set", f"toy={small.parent / 'small.png'}:{sr / 'small.png'}", "-g", module, "-g", "sr-small@2", "-m", "psnry", "--table", "csv").stdout
        self.assertIn("bilinear.pt", table)
        self.assertIn("sr-small@2", table)
        self.fails(4, "upscale", small, "-o", sr, "--overwrite", "-g", wrong, says=["wrong.pt", "1 to 8 times", "[1, 3, 63, 64]"])
        self.fails(4, "upscale", small, "-o", sr, "--overwrite", "-g", state, says=["state.pth", "TorchScript"])
        self.fails(2, "upscale", small, "-o", sr, "--overwrite", "-g", sr, says="folder")
        self.fails(4, "upscale", small, "-o", sr, "--overwrite", "-g", "realesrgan-x4", says="realesrgan-x4plus")
        self.fails(4, "upscale", small, "-o", sr, "--overwrite", "-g", "realesrgan-x4plus", env={**os.environ, "FINPERCEP_CACHE": str(self.dir)},
                   says="fetch_weights.py --only realesrgan-x4plus")


if __name__ == "__main__":
    main()
