#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The FGR builder through the built program: shards, kills, rebuilt samples, and the fault rows D of docs/faults.md.
Usage: fgr_test.py PATH/TO/finpercep."""
import json
import os
import random
import re
import shutil
import signal
import struct
import subprocess
import tarfile
import time

from program import PROGRAM, ROOT, ProgramTest, main, png, texture

ENDINGS = [".gt.webp", ".sr.webp", ".mask.png", ".map.png", ".json"]


class Fgr(ProgramTest):
    def build(self, out, *more, count=24, sources="[bicubic,distort]", photos=None):
        return ["fgr", "build", "-o", out, "--set", f"photos.photos=[{photos or self.photos}]", "--set", f"count={count}", "--set", "size=64", "--set", f"sources={sources}", *more]

    @staticmethod
    def contents(folder):
        return {path.name: path.read_bytes() for path in folder.iterdir()}

    def test_build_info_verify_view(self):
        one, two = self.dir / "fgr1", self.dir / "fgr2"
        self.works(*self.build(one))
        self.works(*self.build(two))
        self.assertEqual(self.contents(one), self.contents(two))
        with tarfile.open(next(one.glob("*.tar"))) as tar:
            self.assertEqual(tar.getnames(), [f"{i:08}{ending}" for i in range(24) for ending in ENDINGS])
        self.works(*self.build(one))  # nothing left to do
        self.assertEqual(self.contents(one), self.contents(two))

        info = json.loads(self.works("fgr", "info", one, "--json").stdout)
        self.assertEqual(info["count"], 24)
        self.assertEqual(sum(info["source"].values()), 24)
        self.assertEqual(sum(info["mask"].values()), 24)
        text = self.works("fgr", "info", one)
        self.assertIn("24 samples of 64 px", text.stdout)
        self.assertIn("no sample in", text.stderr)  # 24 samples leave some bin empty
        self.assertIn("24 samples rebuilt", self.works("fgr", "verify", one, "--samples", 24).stdout)
        page = self.dir / "page.html"
        self.works("fgr", "view", one, "-o", page, "--count", 5)
        self.assertEqual(page.read_text().count('"group":'), 5)
        self.fails(3, "fgr", "view", one, "-o", page, says="--overwrite")
        self.fails(3, *self.build(one, count=25), says="other settings")
        for shard in ("3/2", "0/0", "2", "1/ 2", "0/99999999999999999999"):
            self.fails(2, *self.build(self.dir / "fgr3", "--shard", shard), says="--shard")
        self.fails(2, *self.build(self.dir / "fgr3", "--set", "degradation.scale=2"), says=["strong_degradation.scale", "expected 2"])
        halves = ["--set", "degradation.scale=2", "strong_degradation.scale=2"]
        self.fails(2, *self.build(self.dir / "halves", *halves), says=["source: bicubic: expected a generator that enlarges 2 times", "found 4"])
        self.works(*self.build(self.dir / "halves2", *halves, sources="[bicubic@2,distort]"))

    def test_a_build_goes_on_with_what_it_was_begun_with(self):
        photos, out, model = self.dir / "mine", self.dir / "begun", self.dir / "mine.safetensors"
        shutil.copytree(self.photos, photos)
        model.write_bytes((ROOT / "models/sr-small.safetensors").read_bytes())
        self.works(*self.build(out, photos=photos, sources=f"[{model},distort]"))
        model.write_bytes((ROOT / "models/sr-small-rl.safetensors").read_bytes())
        self.fails(3, *self.build(out, photos=photos, sources=f"[{model},distort]"), says=[f"source {model}", "with which the work here began"])
        gone = self.dir / "gone"
        self.works(*self.build(gone, photos=photos, sources="[distort]"))
        photos.rename(self.dir / "elsewhere")
        self.fails(3, "fgr", "verify", gone, says=["the shards have their hashes", "cannot be made again here", "--samples 0"])
        (self.dir / "elsewhere").rename(photos)
        segments, drawn = self.dir / "segments", self.dir / "drawn"
        (segments / "p0").mkdir(parents=True)
        part = segments / "p0" / "a.png"  # a folder of masks for each photograph
        part.write_bytes(self.photo.read_bytes())
        build = self.build(drawn, "--set", f"masks.segments=[{segments}]", "masks.semantic_prob=0")
        self.works(*build)
        part.write_bytes(part.read_bytes() + b"\0")
        self.fails(3, *build, says=[f"segments {segments}", "with which the work here began"])
        twice = self.dir / "other" / "p0.png"
        twice.parent.mkdir()
        twice.write_bytes(self.photo.read_bytes())
        self.fails(2, *self.build(self.dir / "stems", photos=f"{photos},{twice.parent}", sources=f"[{self.photos}]"), says=["different names", "'p0' twice"])

    def test_parts_make_the_same_files(self):
        whole, parts = self.dir / "whole", self.dir / "parts"
        self.works(*self.build(whole, count=520))
        running = [subprocess.Popen([PROGRAM, *map(str, self.build(parts, "--shard", f"{i}/3", count=520))], stderr=subprocess.DEVNULL) for i in range(3)]
        for process in running:
            self.assertEqual(process.wait(300), 0)
        self.assertEqual(self.contents(parts), self.contents(whole))

    def test_killed_builds_go_on(self):
        whole, killed = self.dir / "w", self.dir / "k"
        settings = ["--set", "samples_per_crop=1", "--set", "sources_per_crop=1"]
        begin = time.monotonic()
        self.works(*self.build(whole, *settings, count=700))
        took = time.monotonic() - begin
        draw = random.Random(1)
        for _ in range(10):
            process = subprocess.Popen([PROGRAM, *map(str, self.build(killed, *settings, count=700))], stderr=subprocess.DEVNULL)
            time.sleep(draw.uniform(0, 0.6 * took))
            process.send_signal(signal.SIGKILL)
            process.wait()
        self.works(*self.build(killed, *settings, count=700))
        leftovers = [name for name in os.listdir(killed) if name not in os.listdir(whole)]
        for name in leftovers:  # what a kill left half-written has another name and is never read
            self.assertNotRegex(name, r"^fgr-\d+\.tar$")
        self.assertEqual({n: (killed / n).read_bytes() for n in os.listdir(whole)}, self.contents(whole))

    def test_webdataset_layout(self):
        """What the webdataset package does with a shard: files group by the key before the first dot."""
        out = self.dir / "wds"
        self.works(*self.build(out))
        try:
            import webdataset
        except ImportError:
            self.skipTest("the webdataset package is not installed")
        samples = list(webdataset.WebDataset(str(next(out.glob("*.tar"))), shardshuffle=False))
        self.assertEqual(len(samples), 24)
        for i, sample in enumerate(samples):
            self.assertEqual(sample["__key__"], f"{i:08}")
            self.assertEqual(json.loads(sample["json"])["index"], i)
            self.assertTrue(sample["gt.webp"].startswith(b"RIFF") and sample["map.png"].startswith(b"\x89PNG"))

    # --- faults: rows D, N05, N09

    def test_d01_photographs_that_cannot_be_used(self):
        photos = self.dir / "mixed"
        shutil.copytree(self.photos, photos)
        (photos / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 50)
        (photos / "small.png").write_bytes(png(40, 40, texture))
        out = self.dir / "d01"
        result = self.works(*self.build(out, photos=photos))
        self.assertIn("broken.png", result.stderr)
        skipped = json.loads((out / "manifest.json").read_text())["skipped"]
        self.assertEqual(len(skipped), 2)
        self.assertIn("small.png", "".join(skipped))
        self.fails(3, *self.build(self.dir / "d01s", "--strict", photos=photos), says="broken.png")
        self.fails(3, *self.build(self.dir / "d01t", "--set", "size=256"), says="256 pixels")

    def test_d02_odd_names(self):
        photos = self.dir / "odd"
        photos.mkdir()
        for name in (b'a "quoted" name', b"line\nbreak", b"\xff\xfe", b"n" * 250):
            with open(os.path.join(os.fsencode(photos), name + b".png"), "wb") as file:
                file.write(png(80, 70, texture))
        out = self.dir / "d02"
        self.works(*self.build(out, photos=photos))
        self.assertEqual(json.loads(self.works("fgr", "info", out, "--json").stdout)["count"], 24)
        self.works("fgr", "verify", out)

    def test_d03_d07_damaged_manifests(self):
        out = self.dir / "d03"
        self.works(*self.build(out))
        manifest = (out / "manifest.json").read_text()
        for text, says in ((manifest.replace("fgr-000000.tar", "../fgr-000000.tar"), "leads out"), (manifest.replace("fgr-000000.tar", "/etc/passwd"), "leads out"),
                           (manifest[:len(manifest) // 2], "manifest"), ("", "manifest"), (manifest.replace("fgr-2", "fgr-9"), "expected format"),
                           (re.sub("soften: [[][^]]*[]]", "soften: []", manifest), "soften"), (re.sub("area: [[][^]]*[]]", "area: [0.05]", manifest), "masks.area"),
                           (json.dumps(json.loads(manifest) | {"shards": []}), "shards")):
            (out / "manifest.json").write_text(text)
            self.fails(3, "fgr", "info", out, says=says)
        (out / "manifest.json").unlink()
        self.fails(3, "fgr", "info", out, says=["manifest.json", "fgr build"])

    def test_d08_d09_damaged_shards(self):
        out = self.dir / "d08"
        self.works(*self.build(out))
        shard = next(out.glob("*.tar"))
        sound = shard.read_bytes()
        draw = random.Random(2)
        for _ in range(8):
            damaged = bytearray(sound)
            damaged[draw.randrange(len(sound) - 1024)] ^= 1 << draw.randrange(8)
            shard.write_bytes(damaged)
            self.fails(3, "fgr", "verify", out, "--samples", 0, says=shard.name)
        shard.unlink()
        os.mkfifo(shard)
        self.fails(3, "fgr", "info", out, says=[shard.name, "something else"])  # no hang
        shard.unlink()
        shard.write_bytes(sound[:len(sound) // 2])
        self.fails(3, "fgr", "info", out, says=shard.name)
        self.fails(3, "train", "reward", "-o", self.dir / "run", "--set", f"fgr_dirs=[{out}]", says=shard.name)
        self.assertIn("is made again", self.works(*self.build(out)).stderr)
        self.assertEqual(shard.read_bytes(), sound)

    @staticmethod
    def short_training(fgr, out):
        return ["train", "reward", "-o", out, "--set", f"fgr_dirs=[{fgr}]", "network.stage=0", "stage_iters=[1]", "opinions.count=2", "opinions.size=64", "samples.size=64", "batch_size=1"]

    def test_training_goes_on_from_a_reward(self):
        fgr, first = self.dir / "on", self.dir / "on-first"
        self.works(*self.build(fgr))
        self.works(*self.short_training(fgr, first))
        model = first / "checkpoints" / "reward.safetensors"

        def tensors(path):
            data = path.read_bytes()
            return [value for (value,) in struct.iter_unpack("<e", data[8 + int.from_bytes(data[:8], "little"):])]  # as numbers: 0 is -0

        same = self.dir / "on-same"
        self.works(*self.short_training(fgr, same), "--set", f"pretrain_network_r={model}", "optim.lr=0")
        self.assertEqual(tensors(same / "checkpoints" / "reward.safetensors"), tensors(model))
        kept = self.dir / "on-kept"  # nothing of a training that destroys the net, all of the start
        self.works(*self.short_training(fgr, kept), "--set", f"pretrain_network_r={model}", "pretrain_share=1", "optim.lr=1", "ema_decay=0")
        self.assertEqual(tensors(kept / "checkpoints" / "reward.safetensors"), tensors(model))
        grown = self.dir / "on-grown"
        self.works(*self.short_training(fgr, grown), "--set", f"pretrain_network_r={model}", "network.stage=1", "stage_iters=[1,1]")
        finer = grown / "checkpoints" / "reward.safetensors"
        again = self.dir / "on-again"
        self.works(*self.short_training(fgr, again), "--set", f"pretrain_network_r={finer}", "network.stage=1", "stage_iters=[1]", "optim.lr=0")
        self.assertEqual(tensors(again / "checkpoints" / "reward.safetensors"), tensors(finer))
        self.fails(2, *self.short_training(fgr, self.dir / "on-bad"), "--set", f"pretrain_network_r={finer}", "network.stage=1", "stage_iters=[1,1]", says="stage_iters: expected 1 numbers for stages 1 to 1, found 2")
        self.fails(2, *self.short_training(fgr, self.dir / "on-bad"), "--set", "pretrain_share=0.5", says="pretrain_share")
        self.fails(4, *self.short_training(fgr, self.dir / "on-bad"), "--set", "pretrain_network_r=nothing", says="nothing")
        self.assertFalse((self.dir / "on-bad").exists())

    def test_a_reward_is_asked(self):
        out, tables = self.dir / "asked", self.dir / "asked-tables"
        self.works(*self.build(out))
        small = ["--bootstrap", 50, "--device", "cpu", "-o", tables]
        answer = self.works("eval", "--map", out, *small, timeout=300).stdout
        for part, words in [("map", ["AUROC", "| all "]), ("score", ["order", "map_clean"]), ("summary", ["seam ratio"])]:
            self.assertIn(f"asked-{part}\n", answer)
            for word in words:
                self.assertIn(word, (tables / f"asked-{part}.md").read_text())
        self.assertEqual(self.fails(3, "eval", "--map", out, *small, says=["asked-map.md", "exists"]).stdout, "")
        self.assertEqual(self.fails(2, "eval", "--map", out, "--response", self.photos, "--size", 97, *small, "--overwrite", says="--size").stdout, "")
        self.fails(2, "eval", "--map", out, "-g", "bicubic", "--device", "cpu", says=["-g", "--response"])
        self.works("eval", "--response", self.photos, "--samples", 1, "--size", 96, "--draws", 2, "--drawn", "sr-small", "-g", "bicubic", "--degradation", ROOT / "configs/degrade/bicubic.yaml", *small, timeout=300)
        self.fails(2, "eval", "--response", self.photos, "--samples", 1, "--size", 96, "--drawn", "sr-small", "-g", "bicubic@2", *small, "--overwrite", says=["scale: expected 2, the factor of bicubic@2, found 4"])
        for part, word in [("distortions", "gaussian"), ("restorations", "bicubic"), ("draws", "region term")]:
            self.assertIn(word, (tables / f"response-{part}.md").read_text(), part)

    def test_a_source_left_out(self):
        out, run = self.dir / "left", self.dir / "left-run"
        self.works(*self.build(out))
        source = json.loads(self.works("fgr", "info", out, "--json").stdout)["source"]
        others = sum(count for name, count in source.items() if not name.startswith("dist"))
        self.assertTrue(0 < others < 24)
        result = self.works(*self.short_training(out, run), "--set", "fgr_without=[dist]")
        self.assertIn(f"fgr: {others} samples", result.stderr)
        self.fails(2, *self.short_training(out, self.dir / "left-nobody"), "--set", "fgr_without=[nobody]", says=["fgr_without", "nobody"])
        self.assertFalse((self.dir / "left-nobody").exists())

    def test_a_source_that_is_called_clean_something_is_no_seam_control(self):
        folder, out = self.dir / "cleaned", self.dir / "cleaned-set"
        folder.mkdir()
        for i in range(3):
            (folder / f"p{i}.png").write_bytes(png(144, 128, lambda x, y: texture(x, y, i + 1.5)))
        self.works(*self.build(out, "--set", "whole_prob=1", "clean_prob=0", sources=f"[{folder}]", count=4))
        with tarfile.open(next(out.glob("*.tar"))) as tar:
            facts = [json.load(tar.extractfile(name)) for name in tar.getnames() if name.endswith(".json")]
        self.assertTrue(all(f["severity"] > 0.05 for f in facts), facts)
        self.fails(2, *self.build(self.dir / "clean-set", sources="[clean]"), says=["sources", "seam controls"])

    def test_sets_together(self):
        """Two sets of samples in one training: the smaller side counts; labels of another meaning and a start that is too fine are refused."""
        small, large, run = self.dir / "set64", self.dir / "set96", self.dir / "run-sets"
        scale = ["--set", "label.scale=0.2"]
        self.works(*self.build(small, *scale, count=4))
        self.works(*self.build(large, *scale, "--set", "size=96", count=4))
        both = f"[{small},{large}]"
        train = ["train", "reward", "-o", run, "--set", f"fgr_dirs={both}", "pretrain_network_r=finpercep-rm", "stage_iters=[2]", "samples.size=96", "batch_size=3", "losses.sr_labels=true", "losses.correlation_weight=1"]
        self.works(*train)
        self.assertIn("8 samples", (run / "log.txt").read_text())
        watched = self.dir / "run-watched"  # measured on held-out samples, which changes nothing of the training
        self.works(*train[:3], watched, *train[4:], f"val_fgr_dirs=[{large}]", "val_count=3")
        weights = [(folder / "checkpoints" / "reward.safetensors").read_bytes()[-100000:] for folder in (run, watched)]
        self.assertEqual(*weights)
        measured = [line for line in map(json.loads, (watched / "metrics.jsonl").read_text().splitlines()) if "val_map" in line]
        self.assertEqual(len(measured), 1)
        self.assertTrue(0 < measured[0]["val_map"] < 0.5 and 0 < measured[0]["val_corr"] < 1.5 and 0 <= measured[0]["val_order"] <= 1, measured)
        self.assertRegex((run / "log.txt").read_text(), r"finpercep \d.*, torch .*: iterations 0 to 2 on \w+(:\d+)?, \w+, \d+ threads")
        other = self.dir / "set-other"
        self.works(*self.build(other, "--set", "label.scale=0.25", count=4))
        self.fails(3, *train[:3], self.dir / "run-other", "--set", f"fgr_dirs=[{small},{other}]", says=[other, "scale 0.2,", "scale 0.25"])
        self.fails(3, *train[:3], self.dir / "run-unlike", *train[4:], f"val_fgr_dirs=[{other}]", says=[other, "scale 0.2,", "scale 0.25"])
        self.fails(2, *train[:3], self.dir / "run-other", "--set", f"fgr_dirs={both}", "pretrain_network_r=finpercep-rm", "network.stage=3", "stage_iters=[]", says=["network.stage", "at least 4"])
        self.fails(2, *train[:3], self.dir / "run-other", "--set", f"fgr_dirs={both}", "samples.variation.kinds=[blur]", says="samples.variation.kinds")
        self.assertFalse((self.dir / "run-other").exists())

    def test_d10_sources(self):
        empty = self.dir / "empty"
        empty.mkdir()
        self.fails(3, *self.build(self.dir / "d10", sources=f"[{empty}]"), says="empty")
        self.fails(4, *self.build(self.dir / "d10", sources="[sr-smal]"), says="sr-small")
        self.fails(2, *self.build(self.dir / "d10", "--set", "source_weights=[1]"), says="source_weights")
        self.fails(3, *self.build(self.dir / "d10", photos=empty), says="empty")
        elsewhere = self.dir / "elsewhere"
        elsewhere.mkdir()
        (elsewhere / "p0.png").write_bytes(png(100, 128, texture))
        self.fails(3, *self.build(self.dir / "d10", sources=f"[{elsewhere}]"), says=["p0.png", "144 x 128"])
        (elsewhere / "p0.png").write_bytes(png(144, 128, texture))
        result = self.works(*self.build(self.dir / "d10", sources=f"[{elsewhere},bicubic]"))
        self.assertIn("no picture for 2 of 3", result.stderr)
        self.fails(3, *self.build(self.dir / "d10-alone", "--set", "label.scale=0.2", sources=f"[{elsewhere}]"), says=["has the photograph", "p1"])
        self.fails(2, *self.build(self.dir / "d10-alone", "--set", "source_weights=[0]", sources="[bicubic]"), says="source_weights")
        self.assertFalse(list(self.dir.glob("d10-alone/*.tar")))

    def test_disk_full(self):
        if os.geteuid() != 0 or subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode != 0:
            self.skipTest("needs root and mount namespaces")
        disk, whole = self.dir / "disk", self.dir / "room"
        disk.mkdir()
        self.works(*self.build(whole, count=600))
        limit = sum(len(data) for data in self.contents(whole).values()) * 2 // 3 // 4096
        command = " ".join([f"'{word}'" for word in [PROGRAM, *map(str, self.build(disk / "set", count=600))]])
        script = (f"mount -t tmpfs -o size={limit * 4096} none '{disk}' && {command}; echo code $?; ls '{disk}/set'; "
                  f"mount -o remount,size=1G '{disk}' && {command} && diff -r '{disk}/set' '{whole}' && echo equal")
        result = subprocess.run(["unshare", "-m", "bash", "-c", script], capture_output=True, text=True, timeout=300, cwd=ROOT)
        self.assertIn("code 3", result.stdout, result.stderr)
        self.assertIn("No space left", result.stderr)
        self.assertIn("equal", result.stdout, result.stdout + result.stderr)

    def test_n05_n09_labels_without_a_difference(self):
        """Masks are never empty, whole masks are; a set of clean samples alone has no label to normalise by."""
        out = self.dir / "n05"
        self.works(*self.build(out, "--set", "whole_prob=1"))
        self.assertEqual(list(json.loads(self.works("fgr", "info", out, "--json").stdout)["mask"]), ["whole"])
        clean = self.dir / "n05c"
        self.works(*self.build(clean, "--set", "clean_prob=1"))
        info = json.loads(self.works("fgr", "info", clean, "--json").stdout)
        self.assertTrue(all(name.startswith("clean") for name in info["source"]))


if __name__ == "__main__":
    main()
