#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the program writes and prints: never over what it is about, nothing twice, titles that programs can read, an end at a signal.
Usage: outputs_test.py PATH/TO/finpercep"""
import json
import os
import resource
import shutil
import struct
import subprocess
import time
import unittest
import zlib

from program import PROGRAM, ROOT, ProgramTest, chunk, main, png, texture


class Outputs(ProgramTest):
    def test_what_a_folder_of_results_needs(self):
        """A picture named twice counts once; every gate that fails is named, also beside a picture that cannot be read; two folders are compared without LR pictures, and rows over different pictures are said to be."""
        folder = self.dir / "results"
        folder.mkdir()
        for name in ("p0.png", "p1.png"):
            shutil.copy(self.photos / name, folder / name)
        twice = self.works("score", folder, folder / "p0.png", str(folder) + "/*.png", "--csv", "-")
        self.assertEqual(len(twice.stdout.splitlines()), 3)
        self.assertTrue(twice.stdout.splitlines()[0].endswith(",error"))
        self.assertIn("3 of 5 pictures were named more than once", twice.stderr)
        gates = ["--fail-under", "finpercep=0.999", "--fail-under", "finpercep.severity=0.00001"]
        self.fails(5, "score", folder, *gates, says=["finpercep.score: expected at least 0.999", "finpercep.severity: expected at most"])
        (folder / "p2.png").write_bytes(b"no picture")
        self.assertIn("gate: finpercep.score", self.fails(3, "score", folder, *gates, says="1 of 3 pictures").stderr)
        self.fails(2, "score", folder, "--fail-under", "severity=0.5", says="expected one of finpercep.score, finpercep.severity")
        (folder / "p2.png").unlink()
        other = self.dir / "results-b"
        shutil.copytree(folder, other)
        for broken, name in ((folder, "p0.png"), (other, "p1.png")):
            (broken / name).write_bytes((broken / name).read_bytes()[:300])
        gt = self.dir / "results-gt"
        gt.mkdir()
        for name in ("p0.png", "p1.png"):
            shutil.copy(self.photos / name, gt / name)
        compared = self.fails(3, "eval", "--set", f"x=:{gt}:a={folder}:b={other}", "-m", "psnry", "--baseline", "a", says="p")
        self.assertIn("DIFFERENT images", compared.stdout)
        self.fails(2, "eval", "--set", f"x=:{gt}:a={folder}", "-g", "bicubic", "-m", "psnry", says="NAME=LQ:GT")

    def test_a_generator_is_measured_while_it_trains(self):
        """val_photos are measured by the averaged weights every val_freq, and that changes nothing of the training."""
        plain, watched = self.dir / "plain", self.dir / "watched"
        self.works(*self.tiny_generator(plain, 4))
        held_out = ["--set", f"val_photos.photos=[{self.photos}]", "val_count=2", "val_size=64", "train.val_freq=2"]
        errors = self.works(*self.tiny_generator(watched, 4, *held_out)).stderr
        self.assertIn("trained on too", errors)
        self.assertEqual((plain / "checkpoints/generator.safetensors").read_bytes()[-1000:], (watched / "checkpoints/generator.safetensors").read_bytes()[-1000:])
        measured = [line for line in map(json.loads, (watched / "metrics.jsonl").read_text().splitlines()) if "val_lpips" in line]
        self.assertEqual(len(measured), 2)
        self.assertTrue(all(0 < line["val_lpips"] < 2 and 3 < line["val_psnry"] < 60 for line in measured), measured)
        self.assertNotEqual(measured[0]["val_psnry"], measured[1]["val_psnry"])
        self.fails(2, *self.tiny_generator(self.dir / "odd", 4, *held_out, "val_size=63"), says="val_size")
        self.fails(3, *self.tiny_generator(self.dir / "odd", 4, *held_out, f"val_photos.photos=[{self.dir / 'nowhere'}]"), says=["val_photos", "nowhere"])
        self.assertFalse((self.dir / "odd").exists())

    def test_words_of_the_command_line(self):
        for command in ("upscale", "map", "degrade"):
            self.fails(2, command, self.photo, "-o", "", says="-o")
        bracket = self.dir / "[in]"
        bracket.mkdir()
        (bracket / "one.png").write_bytes(self.photo.read_bytes())
        self.assertIn("[in]/one.png", self.works("score", "[in]", "--json", "-", cwd=self.dir).stdout)
        self.assertNotIn("\x1b", self.fails(2, "score", "--\x1b[31mfoo").stderr)
        (self.dir / "x\x1b[31m.png").write_bytes(self.photo.read_bytes())
        self.assertNotIn("\x1b", self.works("score", self.dir / "x\x1b[31m.png").stdout)
        a, b = self.dir / "ten", self.dir / "octal"
        self.works("upscale", self.photo, "-o", a, "-g", "sr-small@1", "--seed", 10, cwd=ROOT)
        self.works("upscale", self.photo, "-o", b, "-g", "sr-small@1", "--seed", "010", cwd=ROOT)
        self.assertEqual(*[(folder / f"{self.photo.stem}.png").read_bytes() for folder in (a, b)])

    def test_outputs_never_replace_what_they_are_about(self):
        listed = self.dir / "pictures.txt"
        listed.write_text(f"{self.photo}\n")
        self.fails(2, "score", listed, "--csv", listed, "--overwrite", says="pictures.txt")
        self.fails(2, "score", f"@{listed}", "--csv", listed, "--overwrite", says="pictures.txt")
        self.fails(3, "score", self.photo, "--csv", self.dir, "--overwrite", says="a directory")
        model, run_dir = self.dir / "m.safetensors", self.dir / "reported"
        model.write_bytes((ROOT / "models/finpercep-rm-rl.safetensors").read_bytes())
        self.fails(2, "export", model, "-o", model, "--overwrite", says="another file than the model")
        self.works(*self.tiny_generator(run_dir, 1))
        for page in (run_dir / "metrics.jsonl", run_dir / "config.yaml"):
            self.fails(2, "report", run_dir, "-o", page, "--overwrite", says=".html")
        self.assertEqual(model.read_bytes(), (ROOT / "models/finpercep-rm-rl.safetensors").read_bytes())

    def test_configs_are_printed_without_inputs(self):
        for command in (["degrade"], ["fgr", "build"], ["train", "generator"], ["train", "reward"], ["rl"]):
            self.assertIn(":", self.works(*command, "--print-config").stdout)
        self.fails(2, "degrade", self.photos, says="-o")
        self.fails(2, "degrade", "-o", self.dir / "none", says="input")
        self.fails(2, "fgr", "build", says="-o")
        self.assertIn("my/photos", self.works("demo", "-c", ROOT / "configs/rl/ccl.yaml", "--set", "datasets.photos.photos=[my/photos]", "--print-config").stdout)
        self.assertIn("my/photos", self.works("demo", "-c", ROOT / "configs/rl/ccl.yaml", "--photos", "my/photos", "--print-config").stdout)

    def test_a_full_stdout_is_no_picture_s_fault(self):
        with open("/dev/full", "w") as full:
            result = subprocess.run([PROGRAM, "map", str(self.photos), "-o", str(self.dir / "full"), "--format", "png"], stdout=full, stderr=subprocess.PIPE, text=True, cwd=ROOT)
        self.assertEqual(result.returncode, 3)
        self.assertIn("stdout: ", result.stderr)
        self.assertNotIn("left out", result.stderr)

    def test_demo_holds_out_some_of_ones_own_photographs(self):
        out = self.dir / "demo"
        few = ["--set", "stages=[4]", "stage_iters=[1]", "datasets.gt_size=64", "datasets.batch_size=1", "val_size=64", "monitor.freq=0", "coevolve_freq=0", "device=cpu", "dtype=fp32"]
        result = self.works("demo", "-c", ROOT / "configs/rl/ccl.yaml", "--photos", self.photos, "-o", out, *few, timeout=300)
        self.assertIn("1 of 3 photographs are held out", result.stderr)
        self.assertEqual((out / "validation.txt").read_text().splitlines()[1:], ["p0"])
        self.assertIn("report: ", result.stdout)
        # Another photograph and another number change nothing of what the runs were trained on.
        more = self.dir / "more"
        shutil.copytree(self.photos, more)
        (more / "a.png").write_bytes((self.photos / "p1.png").read_bytes())
        self.fails(3, "demo", "-c", ROOT / "configs/rl/ccl.yaml", "--photos", more, "--test-photos", 2, "-o", out, *few, says="other settings")
        again = self.works("demo", "-c", ROOT / "configs/rl/ccl.yaml", "--photos", self.photos, "--test-photos", 2, "-o", out, *few, timeout=300)
        self.assertIn("as before", again.stderr)
        self.assertEqual((out / "validation.txt").read_text().splitlines()[1:], ["p0"])

    def test_flags_that_nothing_uses(self):
        photo = next(self.photos.iterdir())
        for flag in ("--model", "--stage"):
            self.fails(2, "score", photo, "-m", "brisque", flag, "1", says=[flag, "-m finpercep"])
            self.fails(2, "eval", "--set", f"s={self.photos}::{self.photos}", "-m", "brisque", flag, "1", says=[flag, "-m finpercep"])
        self.fails(2, "eval", "--set", f"s={self.photos}::{self.photos}", "-m", "brisque", "--samples", 5, says=["--samples", "--response"])
        self.fails(2, "eval", "--response", self.photos, "-m", "niqe", says=["--metrics", "--set"])
        for flag, value in (("--tile", 64), ("--dtype", "fp32")):
            self.fails(2, "score", photo, "-m", "brisque", flag, value, says=[flag, "-m finpercep"])
        for flag, value in (("--protocol", "pyiqa"), ("--crop-border", 3)):
            self.fails(2, "score", photo, flag, value, says=[flag, "a metric beside finpercep"])
        for flag, value in (("--threshold", 0.3), ("--min-area", 5)):
            self.fails(2, "map", photo, "-o", self.dir / "unused", "--format", "png", flag, value, says=[flag, "--format json"])
        self.assertFalse((self.dir / "unused").exists())

    def test_doctor_tells_damaged_from_missing(self):
        cache = self.dir / "cache"
        shutil.copytree(self.works("weights").stdout.split("niqe\tok\t")[1].split("\n")[0].rsplit("/", 1)[0], cache)
        env = dict(os.environ, FINPERCEP_CACHE=str(cache))
        whole = (cache / "niqe.safetensors").read_bytes()
        (cache / "niqe.safetensors").write_bytes(whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:])
        self.assertIn("weights damaged", self.fails(5, "doctor", "--device", "cpu", says=["damaged", "fetch_weights"], env=env, timeout=600).stdout)
        self.assertRegex(self.works("weights", env=env).stdout, r"niqe\tdamaged\t")
        self.assertIn("damaged: niqe", self.works("metrics", env=env).stdout)
        (cache / "niqe.safetensors").unlink()
        self.assertIn("weights missing", self.works("doctor", "--device", "cpu", env=env, timeout=600).stdout)

    def test_tables_for_programs(self):
        for form, mark in (("csv", "#"), ("tex", "%")):
            first = self.works("eval", "--set", f"s={self.photos}:{self.photos}:{self.photos}", "-m", "psnry", "--table", form).stdout.splitlines()[0]
            self.assertTrue(first.startswith(mark + " s (3 pictures)"), first)
        odd = self.dir / "odd-sizes"
        odd.mkdir()
        (odd / "p0.png").write_bytes(png(142, 126, texture))
        lr = self.dir / "odd-lr"
        self.works("degrade", odd, "-o", lr, "-c", "configs/degrade/bicubic.yaml", cwd=ROOT)
        self.fails(3, "eval", "--set", f"s={lr}:{odd}", "-g", "bicubic", "-m", "psnry", says=["p0", "142x126", "140x124"])

    def test_photographs_of_any_size_go_through_degrade_upscale_eval(self):
        odd, lr, gt, sr = (self.dir / name for name in ("any", "any-lr", "any-gt", "any-sr"))
        odd.mkdir()
        (odd / "a.png").write_bytes(png(101, 67, texture))
        self.assertIn("--gt DIR", self.works("degrade", odd, "-o", lr).stderr)
        self.fails(2, "degrade", odd, "-o", lr, "--gt", lr, "--overwrite", says="--gt")
        for spelt in ("new", "new/", "new/.", "new/../new"):
            self.fails(2, "degrade", odd, "-o", self.dir / "new", "--gt", f"{self.dir}/{spelt}", says="--gt")
        self.assertFalse((self.dir / "new").exists())
        self.assertNotIn("--gt DIR", self.works("degrade", odd, "-o", lr, "--gt", gt, "--overwrite").stderr)
        self.works("upscale", lr, "-o", sr, "-g", "bicubic")
        self.assertIn("sr", self.works("eval", "--set", f"s={lr}:{gt}:{sr}", "-m", "psnry").stdout)
        self.fails(3, "eval", "--set", f"s={self.dir / 'no-lr'}:{gt}:{sr}", "-m", "psnry", says="no-lr")  # not read, but a wrong set

    def test_interrupted_folders_go_on(self):
        out = self.dir / "goes-on"
        self.works("upscale", self.photos / "p0.png", "-o", out, "-g", "bicubic")
        (out / "p0.png").write_bytes(b"mine")
        result = self.works("upscale", self.photos, "-o", out, "-g", "bicubic", "--skip-existing")
        pictures = len(list(self.photos.iterdir()))
        self.assertIn(f"1 of {pictures} pictures are done already", result.stderr)
        self.assertEqual((out / "p0.png").read_bytes(), b"mine")
        self.assertEqual(len(list(out.iterdir())), pictures)
        self.fails(2, "upscale", self.photos, "-o", out, "--skip-existing", "--overwrite", says="--overwrite")
        self.works("map", self.photo, "-o", out, "--format", "json")
        regions = out / f"{self.photo.stem}.json"
        regions.write_text("mine")
        self.works("map", self.photo, "-o", out, "--format", "json,npy", "--skip-existing")  # the one of two that was there stays
        self.assertTrue((out / f"{self.photo.stem}.npy").exists())
        self.assertEqual(regions.read_text(), "mine")
        self.fails(2, "map", self.photo, "-o", out, "--format", "png,png", says=["--format", "once"])
        lr, gt = self.dir / "goes-on-lr", self.dir / "goes-on-gt"
        self.works("degrade", self.photos, "-o", lr)
        before = {path.name: path.read_bytes() for path in lr.iterdir()}
        self.works("degrade", self.photos, "-o", lr, "--gt", gt, "--skip-existing", "--seed", 7)
        self.assertEqual(before, {path.name: path.read_bytes() for path in lr.iterdir()})
        self.assertEqual(len(list(gt.iterdir())), pictures)
        deep = self.dir / "deep.png"
        deep.write_bytes(png(16, 16, lambda x, y: (x * 4000, y * 4000, 9), depth=16))
        self.assertIn("more than 8 bits", self.works("upscale", deep, "-o", out, "-g", "bicubic").stderr)
        broken = self.dir / "broken.png"
        broken.write_bytes(deep.read_bytes()[:60])
        self.assertIn("more than 8 bits", self.fails(3, "upscale", deep, broken, "-o", out, "-g", "bicubic", "--overwrite", says="1 of 2").stderr)

    def test_names_may_end_otherwise(self):
        sr = self.dir / "sr-out"
        sr.mkdir()
        for photo in self.photos.iterdir():
            (sr / f"{photo.stem}_out.png").write_bytes(photo.read_bytes())
        self.assertIn("without endings", self.works("score", sr, "-r", self.photos, "-m", "psnry").stderr)
        self.assertIn("sr-out", self.works("eval", "--set", f"s={self.photos}:{self.photos}:{sr}", "-m", "psnry").stdout)

    def test_lists_and_folders_of_other_things(self):
        mixed = self.dir / "mixed"
        mixed.mkdir()
        (mixed / "a.png").write_bytes(self.photo.read_bytes())
        (mixed / "b.GIF").write_bytes(b"GIF89a")
        self.assertIn("1 pictures of formats that are not read", self.works("score", mixed).stderr)
        listed = self.dir / "listed.txt"
        listed.write_text(f"# the one\n{mixed / 'a.png'}\n")
        self.works("score", listed, "--json", "-")

    def test_rows_side_by_side(self):
        """Folders and generators with names of their own, our reward among the metrics, differences to one row."""
        lr, worse, out = self.dir / "side-lr", self.dir / "side-worse", self.dir / "side"
        self.works("degrade", self.photos, "-o", lr, "-c", "configs/degrade/bicubic.yaml", cwd=ROOT)
        self.works("upscale", lr, "-o", worse, "-g", "bicubic")
        rows = f"s={lr}:{self.photos}:same={self.photos}:worse={worse}"
        text = self.works("eval", "--set", rows, "-g", "cubic=bicubic", "-m", "psnry,ssim,finpercep", "--baseline", "worse", "-o", out, "--table", "csv").stdout
        self.assertEqual([line.split(",")[0] for line in text.splitlines() if line and not line.startswith("#")], ["method", "same", "worse", "cubic", "method", "same", "cubic"])
        self.assertIn("psnry,psnry_low,psnry_high,psnry_p", (out / "s-difference.csv").read_text())
        self.works("eval", "--set", rows, "-g", "cubic=bicubic", "-m", "psnry,ssim,finpercep", "--baseline", "worse", "-o", out, "--overwrite")
        levels, differences = (out / "s.md").read_text(), (out / "s-difference.md").read_text()
        for title in ("S ↑", "severity ↓"):
            self.assertIn(title, levels)
        self.assertRegex(differences, r"same .*\| +\+\d+\.\d \[.*p 0\.250")  # all of three pictures are better: 2 / 2^3
        self.assertRegex(differences, r"cubic +\|( +\+0\.0+ \[\+0\.0+, \+0\.0+\] p 1\.000 \|){4}")  # a generator's picture is what its file holds
        judged = json.loads(self.works("score", worse / "p0.png", "--json", "-").stdout)["finpercep"]
        row = next(line for line in (out / "s-worse.csv").read_text().splitlines() if line.startswith("p0,"))
        self.assertAlmostEqual(float(row.split(",")[3]), judged["score"], delta=2e-4)
        alone = self.works("eval", "--set", f"s={lr}::made={worse}", "-g", "cubic=bicubic", "-m", "brisque,finpercep", "--table", "csv").stdout
        made, cubic = (line.split(",")[1:] for line in alone.splitlines() if line.startswith(("made", "cubic")))
        self.assertEqual(made, cubic)  # no references, and a generator's picture is measured as its file would be
        self.fails(2, "eval", "--set", f"s={lr}:", "-g", "bicubic", "-m", "psnry", says=["references", "psnry"])
        only = self.works("eval", "--set", f"s={lr}:{self.photos}:{worse}", "-m", "finpercep", "--stage", 0, "--table", "csv").stdout
        self.assertIn("method,images,S,", only.replace(" ↑", ""))
        self.assertNotIn("severity", only)
        self.fails(2, "eval", "--set", rows, "-m", "finpercep.severity", "--stage", 0, says=["severity", "RM_0"])
        self.fails(2, "eval", "--set", rows, "-m", "finpercep,finpercep.score", says="twice")
        self.fails(2, "eval", "--set", rows, "-m", "psnry", "-g", "cubic=", says=["-g", "cubic="])
        self.fails(4, "eval", "--set", rows, "-m", "psnry", "-g", "nothing", "-o", self.dir / "early", says="nothing")
        self.assertFalse((self.dir / "early").exists())
        self.fails(2, "eval", "--map", self.photos, "--baseline", "x", says="--baselines")
        self.fails(2, "eval", "--set", rows, "-m", "psnry", "--baseline", "none", says=["--baseline", "same", "worse", "none"])
        self.fails(2, "eval", "--set", f"s={lr}:{self.photos}:{worse}:{worse}", "-m", "psnry", says=["twice", "another name"])
        self.fails(2, "eval", "--set", rows, "-g", "same=bicubic", "-m", "psnry", says=["twice", "same"])

    def test_a_picture_that_cannot_be_measured_loses_no_other(self):
        some, out = self.dir / "some", self.dir / "some-out"
        some.mkdir()
        for path in self.photos.iterdir():
            (some / path.name).write_bytes(path.read_bytes())
        (some / "p1.png").write_bytes(b"no picture")
        result = self.fails(3, "eval", "--set", f"s={some}:{self.photos}:{some}", "-m", "psnry,ssim", "-o", out, says=["1 pictures could not be measured in full", "p1.png"])
        self.assertIn("s (3 pictures)", result.stdout)
        rows = (out / "s-some.csv").read_text().splitlines()
        self.assertEqual([row.split(",")[0] for row in rows if not row.startswith("#")], ["name", "p0", "p1", "p2"])
        self.assertIn("p1,,", rows)
        self.assertRegex((out / "s.md").read_text(), r"some \| +2 \|")  # images that the means are over

        other, table = self.dir / "other", self.dir / "none.csv"  # no pair has a value: the columns stay
        other.mkdir()
        for path in self.photos.iterdir():
            (other / path.name).write_bytes(png(9, 9, texture))
        self.fails(3, "score", self.photos, "-r", other, "-m", "psnr", "--csv", table, says="p0.png")
        self.assertIn("path,psnr,error", table.read_text())

        small = self.dir / "small"  # one that is read, but too small for its task
        small.mkdir()
        for path in self.photos.iterdir():
            (small / path.name).write_bytes(png(3, 3, texture) if path.name == "p1.png" else path.read_bytes())
        for command in (["map", some], ["upscale", some, "-g", "bicubic"], ["degrade", some], ["degrade", small]):
            made = self.dir / f"some-{command[0]}-{command[1].name}"
            self.fails(3, *command, "-o", made, says=["1 of 3 pictures could not be done", "p1.png"])
            self.assertEqual(sorted({path.name.split(".")[0] for path in made.iterdir()}), ["p0", "p2"])

    def test_a_picture_too_large_for_the_memory_loses_no_other(self):
        some, made = self.dir / "large", self.dir / "large-out"
        some.mkdir()
        for name, width, height in (("a", 40, 30), ("b", 4000, 3000), ("c", 40, 30)):
            rows = (b"\0" + bytes((90, 120, 150)) * width) * height
            (some / f"{name}.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) +
                                               chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b""))
        limit = lambda: resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
        self.fails(3, "upscale", some, "-o", made, "-g", "bicubic", preexec_fn=limit, says=["1 of 3 pictures could not be done", "b.png", "memory"])
        self.assertEqual(sorted(path.name for path in made.iterdir()), ["a.png", "c.png"])

    def test_names_of_outputs(self):
        self.fails(2, "eval", "--set", f"a/b={self.photos}:{self.photos}:{self.photos}", "-m", "psnry", says="a/b")
        self.fails(2, "eval", "--set", f"={self.photos}:{self.photos}:{self.photos}", "-m", "psnry", says="expected a name")
        one = self.dir / "one.txt"
        self.fails(2, "score", self.photo, "--json", one, "--csv", f"{self.dir}/./one.txt", "--overwrite", says="twice")
        self.assertFalse(one.exists())
        run = self.dir / "named"
        self.works(*self.tiny_generator(run, 1))
        self.works("report", f"{run}/", "-o", self.dir / "named.html")
        self.assertTrue(f'["named","{run}/"]' in (self.dir / "named.html").read_text())
        (run / "metrics.jsonl").write_text('{"stage":1}\n{"step":1,"stage":null,"reward":1}\n{"step":2,"stage":2,"reward":1}\n')
        self.works("report", run, "-o", self.dir / "odd.html")

    def test_flags_leave_the_pictures_behind_them_alone(self):
        line = self.works("score", "--fail-under", "psnr=1", "-r", self.photo, "-m", "psnr,ssim", self.photo, "--json", "-").stdout
        self.assertIn('"ssim":', line)
        self.works("map", "-o", self.dir / "flags", "--format", "json", self.photo)
        self.assertEqual([path.suffix for path in (self.dir / "flags").iterdir()], [".json"])

    def test_two_pictures_of_one_stem(self):
        both, out = self.dir / "stems", self.dir / "stems-out"
        both.mkdir()
        for name in ("x.png", "x.webp"):
            (both / name).write_bytes(self.photo.read_bytes())
        for command in (["degrade"], ["upscale", "-g", "bicubic"], ["map"]):
            self.fails(2, *command, both, "-o", out, "--overwrite", says=["x.png", "x.webp", "rename one"])
        self.assertFalse(out.exists())

    def test_a_signal_ends_every_command_over_pictures(self):
        many = self.dir / "many"
        many.mkdir()
        for i in range(1000):
            (many / f"m{i:03}.png").symlink_to(self.photo)
        for command in (["upscale", many, "-g", "sr-small"], ["map", many], ["degrade", many], ["eval", "--set", f"s={many}:{many}:{many}", "-m", "lpips"]):
            with self.subTest(command[0]):
                out = self.dir / f"stopped-{command[0]}"
                process = subprocess.Popen([PROGRAM, *map(str, command), "-o", str(out)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
                while process.poll() is None and not (out.exists() and (command[0] == "eval" or any(out.iterdir()))):
                    time.sleep(0.02)
                process.terminate()
                _, errors = process.communicate(timeout=60)
                self.assertEqual(process.returncode, 130, errors)
                self.assertIn("finpercep: interrupted: ", errors)
                self.assertEqual([p for p in out.iterdir() if p.suffix not in (".png", ".json")], [])  # no parts
                self.assertLess(len(list(out.iterdir())), 1000)

    def test_a_signal_in_a_picture_is_not_its_fault(self):
        large = self.dir / "large.png"
        width, height = 6000, 6000
        row = b"\0" + bytes(range(256)) * (3 * width // 256) + b"\0" * (3 * width % 256)
        large.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) +
                          chunk(b"IDAT", zlib.compress(row * height, 1)) + chunk(b"IEND", b""))
        process = subprocess.Popen([PROGRAM, "score", str(large), "--tile", "256"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        time.sleep(4)  # it takes far longer
        process.terminate()
        output, errors = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 130, errors)
        self.assertIn("interrupted", errors)
        self.assertNotIn("large.png", output)

    def test_unwritable_output(self):
        self.fails(3, "map", self.photo, "-o", "/proc/finpercep-maps", says="/proc/finpercep-maps")
        blocked = self.dir / "file"
        blocked.write_text("x")
        self.fails(3, "map", self.photo, "-o", blocked, says="file")
        for command in (["score", self.photo, "--json"], ["export", "finpercep-rm", "-o"]):
            self.fails(3, *command, self.dir / "no/such/folder.json", says=["folder.json", "expected a folder"])

    @unittest.skipUnless(os.geteuid() == 0, "needs root to mount a small tmpfs")
    def test_full_disk(self):
        mount = self.dir / "tiny"
        mount.mkdir()
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", mount], capture_output=True).returncode != 0:
            self.skipTest("mount is not permitted here")
        try:
            self.fails(3, "map", self.photo, "-o", mount, "--format", "npy", says="photo.npy")
            self.assertEqual(list(mount.iterdir()), [])
        finally:
            subprocess.run(["umount", mount], check=True)

    def test_closed_stdout(self):
        result = subprocess.run(f"'{PROGRAM}' metrics > /dev/full", shell=True, capture_output=True, text=True)
        self.assertEqual(result.returncode, 3, result.stderr)


if __name__ == "__main__":
    main()
