#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Judging through the program: sizes and kinds of pictures, tiles, types, regions, export, the best of samples. Usage: judge_test.py PATH/TO/finpercep"""
import json
import math
import struct
import zlib

from program import ProgramTest, chunk, main, png, texture


def png_of(width, height, depth, colour, samples):
    """A PNG of any colour type: samples(x, y) -> one number a channel."""
    fmt = ">" + ("H" if depth == 16 else "B") * len(samples(0, 0))
    rows = b"".join(b"\0" + b"".join(struct.pack(fmt, *samples(x, y)) for x in range(width)) for y in range(height))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)) + chunk(b"IDAT", zlib.compress(rows, 1)) +
            chunk(b"IEND", b""))


def read_npy(path):
    """(height, width, values) of a float32 file."""
    data = path.read_bytes()
    size = struct.unpack("<H", data[8:10])[0]
    shape = eval(data[10:10 + size].decode())["shape"]  # noqa: S307, our own file
    values = struct.unpack(f"<{math.prod(shape)}f", data[10 + size:])
    return shape[-2], shape[-1], values


def components(height, width, values, threshold):
    """Sets of pixels of the 8-connected components, found by brute force."""
    open_pixels = {(i % width, i // width) for i, v in enumerate(values) if v >= threshold}
    found = []
    while open_pixels:
        todo, pixels = [open_pixels.pop()], set()
        while todo:
            x, y = todo.pop()
            pixels.add((x, y))
            near = {(x + dx, y + dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1)} & open_pixels
            open_pixels -= near
            todo += near
        found.append(pixels)
    return found


def inside(polygon, x, y):
    """Even-odd rule at the middle of pixel (x, y)."""
    odd = False
    for (ax, ay), (bx, by) in zip(polygon, polygon[1:] + polygon[:1]):
        if ax == bx and ax > x and min(ay, by) <= y < max(ay, by):
            odd = not odd
    return odd


class Judging(ProgramTest):
    def scores(self, *args):
        return [json.loads(line)["finpercep"] for line in self.works("score", *args, "--json", "-").stdout.splitlines()]

    def map_of(self, picture, name, *args):
        self.works("map", picture, "-o", self.dir / name, "--format", "npy,json", *args)
        return read_npy(self.dir / name / f"{picture.stem}.npy"), json.loads((self.dir / name / f"{picture.stem}.json").read_text())

    def test_pictures_of_every_size_and_kind_in_one_call(self):
        folder = self.dir / "kinds"
        folder.mkdir()
        gray = lambda x, y: (int(127 + 90 * math.sin(0.4 * x + 0.2 * y)),)
        pictures = {"small": png(16, 16, texture), "row": png(300, 1, texture), "column": png(1, 300, texture), "pixel": png(1, 1, texture), "odd": png(47, 33, texture),
                    "gray": png_of(40, 24, 8, 0, gray), "gray16": png_of(40, 24, 16, 0, lambda x, y: (257 * gray(x, y)[0],)),
                    "gray_alpha": png_of(40, 24, 8, 4, lambda x, y: (*gray(x, y), 9)), "alpha": png(40, 24, lambda x, y: (*texture(x, y), 0), alpha=True),
                    "deep": png(40, 24, lambda x, y: tuple(257 * v for v in texture(x, y)), 16), "plain": png(40, 24, texture),
                    "black": png(64, 64, lambda x, y: (0, 0, 0)), "white": png(64, 64, lambda x, y: (255, 255, 255)), "constant": png(20, 70, lambda x, y: (90, 120, 30))}
        for name, data in pictures.items():
            (folder / f"{name}.png").write_bytes(data)
        together = dict(zip(sorted(pictures), self.scores(folder)))
        self.assertEqual(len(together), len(pictures))
        for name, found in together.items():
            for value in found.values():
                self.assertTrue(0 <= value <= 1, f"{name}: {found}")  # false for NaN, too
        for name in ("pixel", "odd"):  # the others of the call change nothing
            self.assertEqual(self.scores(folder / f"{name}.png"), [together[name]])
        self.assertEqual(together["gray"], together["gray16"])
        self.assertEqual(together["gray"], together["gray_alpha"])
        self.assertEqual(together["plain"], together["deep"])
        self.assertEqual(together["plain"], together["alpha"])
        self.works("map", folder, "-o", self.dir / "kind_maps", "--format", "png,overlay,npy,json")
        for name in pictures:
            height, width, values = read_npy(self.dir / "kind_maps" / f"{name}.npy")
            self.assertEqual(struct.pack(">II", width, height), pictures[name][16:24])
            self.assertTrue(all(0 <= v <= 1 for v in values), name)

    def test_a_stage_that_the_model_lacks(self):
        for command in (["score", self.photo], ["map", self.photo, "-o", self.dir / "beyond"], ["export", "finpercep-rm", "-o", self.dir / "beyond.pt"]):
            result = self.fails(4, *command, "--stage", 9, says=["stage 0..4", "9"])
            self.assertEqual(len(result.stderr.strip().splitlines()), 1)
            self.fails(2, *command, "--stage", -1, says="--stage")
        self.assertFalse((self.dir / "beyond").exists() or (self.dir / "beyond.pt").exists())
        self.assertEqual(len({self.scores(self.photo, "--stage", stage)[0]["score"] for stage in range(5)}), 5)

    def test_rm_0_has_no_map_to_write(self):
        self.fails(2, "map", self.photo, "-o", self.dir / "rm-0", "--stage", 0, says=["--stage", "RM_0", "score"])
        self.assertFalse((self.dir / "rm-0").exists())

    def test_the_same_for_any_tile(self):
        photo = self.dir / "wide.png"
        photo.write_bytes(png(330, 210, lambda x, y: texture(x, y, 0.001 * x * y)))
        (height, width, whole), said = self.map_of(photo, "whole")
        self.assertEqual((height, width), (210, 330))
        self.assertGreater(max(whole) - min(whole), 0.01)
        for tile in (64, 100, 256):
            (_, _, tiled), again = self.map_of(photo, f"tile{tile}", "--tile", tile)
            self.assertLess(max(abs(a - b) for a, b in zip(whole, tiled)), 1e-4)
            self.assertAlmostEqual(said["score"], again["score"], delta=1e-4)

    def test_bf16_says_nearly_the_same(self):
        (_, _, exact), said = self.map_of(self.photo, "fp32")
        (_, _, coarse), again = self.map_of(self.photo, "bf16", "--dtype", "bf16")
        self.assertLess(max(abs(a - b) for a, b in zip(exact, coarse)), 0.1)
        self.assertAlmostEqual(said["score"], again["score"], delta=0.05)

    def test_regions(self):
        """Against components found by brute force, at thresholds that leave one, several and none; regions may have holes."""
        (height, width, values), _ = self.map_of(self.photo, "first")
        seen = set()
        for share in (0, 0.2, 0.5, 0.8, 0.9, 0.97):
            threshold = sorted(values)[int(share * len(values))] if share else 0
            name = f"regions{share}"
            _, said = self.map_of(self.photo, name, "--threshold", f"{threshold:.9f}", "--min-area", 5)
            threshold = struct.unpack("f", struct.pack("f", float(f"{threshold:.9f}")))[0]
            expected = [pixels for pixels in components(height, width, values, threshold) if len(pixels) >= 5]
            seen.add(min(2, len(expected)))
            self.assertEqual(len(said["regions"]), len(expected))
            weights = [region["area"] * region["mean_severity"] for region in said["regions"]]
            self.assertTrue(all(a >= b * (1 - 1e-6) for a, b in zip(weights, weights[1:])))
            for region in said["regions"]:
                x, y, w, h = region["box"]
                pixels = next(p for p in expected if len(p) == region["area"] and (min(q[0] for q in p), min(q[1] for q in p)) == (x, y))
                self.assertEqual((w, h), (max(q[0] for q in pixels) - x + 1, max(q[1] for q in pixels) - y + 1))
                severity = [values[b * width + a] for a, b in pixels]
                self.assertAlmostEqual(region["mean_severity"], sum(severity) / len(severity), places=5)
                self.assertAlmostEqual(region["max_severity"], max(severity), places=6)
                polygon = [tuple(corner) for corner in region["polygon"]]
                self.assertTrue(all(inside(polygon, *q) for q in pixels))  # a hole's pixels are inside as well
        self.assertTrue(seen >= {1, 2}, seen)
        _, said = self.map_of(self.photo, "none", "--min-area", 1000000)
        self.assertEqual(said["regions"], [])

    def test_export(self):
        """Plain torch loads the file, gives the program's numbers for any size, and differentiates through it."""
        import torch
        for stage in (4, 2, 0):
            file = self.dir / f"reward{stage}.pt"
            self.works("export", "finpercep-rm", "-o", file, "--stage", stage)
            facts = {"finpercep.json": ""}
            reward = torch.jit.load(str(file), _extra_files=facts).eval()
            facts = json.loads(facts["finpercep.json"])
            self.assertEqual((facts["model"], facts["stage"]), ("finpercep-rm", stage))
            self.assertTrue(facts["weights"].startswith("xxh3:") and facts["version"])
            for width, height in ((160, 128), (75, 50), (16, 17)):
                picture = self.dir / f"e{width}.png"
                picture.write_bytes(png(width, height, texture))
                if stage:
                    (_, _, values), said = self.map_of(picture, f"export{stage}", "--stage", stage, "--overwrite")
                else:  # no map: the exported module says .5
                    values, said = [0.5] * (width * height), self.scores(picture, "--stage", 0)[0]
                x = torch.tensor([[[texture(i, j)[c] / 255 for i in range(width)] for j in range(height)] for c in range(3)])[None]
                score, degradation = reward(x)
                self.assertEqual((score.shape, degradation.shape), ((1,), (1, 1, height, width)))
                self.assertAlmostEqual(score.item(), said["score"], delta=1e-5)
                self.assertLess((degradation.flatten() - torch.tensor(values)).abs().max().item(), 1e-5)
            torch.manual_seed(1)
            x = (x + 0.1 * torch.rand(2, 3, 64, 96)[..., :x.shape[2], :x.shape[3]]).clamp(0, 1).double()
            exact = torch.jit.load(str(file)).double()
            for pick in (lambda out: out[0].sum(), lambda out: out[1].sum()):
                x = x.detach().requires_grad_(True)
                if stage == 0 and pick(exact(x)).grad_fn is None:
                    continue
                slope, = torch.autograd.grad(pick(exact(x)), x)
                if stage == 0 and slope.abs().max() == 0:
                    continue  # its map is 0.5 everywhere
                direction = torch.randn_like(x)
                with torch.no_grad():
                    difference = (pick(exact(x + 1e-7 * direction)) - pick(exact(x - 1e-7 * direction))) / 2e-7
                self.assertAlmostEqual(((slope * direction).sum() / difference).item(), 1, delta=2e-3)
        self.assertLess((reward(x.double())[0] - reward(x.float())[0]).abs().max().item(), 1e-6)  # taken in the weights' type
        for wrong in (x[0], x[:, :1], (255 * x).byte()):
            with self.assertRaisesRegex(Exception, "expected N x 3 x H x W floats"):
                reward(wrong)
        unit = x.detach().float().clamp(0, 1)
        for wrong in (unit - 1, 255 * unit):  # the first: a dark picture of [-1,1]
            with self.assertRaisesRegex(Exception, "found many values far outside"):
                reward(wrong)
        with self.assertRaisesRegex(Exception, "found many values far outside"):  # one of many is seen as well
            reward(torch.cat([unit] * 20 + [2 * unit - 1]))
        logit, _ = reward.judge(unit)
        self.assertLess((logit.sigmoid() - reward(unit)[0]).abs().max().item(), 1e-6)
        self.assertTrue(torch.func.grad(lambda x: reward(x)[0].sum())(unit).isfinite().all())
        before = file.read_bytes()
        self.fails(3, "export", "finpercep-rm", "-o", file, says="--overwrite")
        self.works("export", "finpercep-rm", "-o", file, "--overwrite", "--stage", 0)
        self.assertEqual(len(before), file.stat().st_size)
        self.fails(4, "export", "finpercep-rn", "-o", self.dir / "no.pt", says="did you mean 'finpercep-rm'")
        self.fails(3, "export", "finpercep-rm", "-o", self.dir / "no/such/reward.pt", says="reward.pt")

    def test_export_generator(self):
        """Plain torch gives the program's pictures, for any size, and the module trains."""
        import torch
        picture = self.dir / "lr.png"
        picture.write_bytes(png(41, 30, texture))
        x = torch.tensor([[[texture(i, j)[c] / 255 for i in range(41)] for j in range(30)] for c in range(3)])[None]
        for name, agreement in (("realesr-animevideov3", 50), ("sr-small-perceptual", 28)):  # dB; a chain draws its own noise
            file = self.dir / f"{name}.pt"
            self.works("export", name, "-o", file)
            net = torch.jit.load(str(file)).eval()
            made = net(x)
            self.assertEqual(made.shape, (1, 3, 120, 164))
            self.works("upscale", picture, "-o", self.dir / name, "-g", name)
            torch_png = self.dir / f"{name}.png"
            levels = (made[0].detach() * 255).round().int().tolist()
            torch_png.write_bytes(png(164, 120, lambda i, j: tuple(levels[c][j][i] for c in range(3))))
            line = self.works("score", self.dir / name / "lr.png", "-r", torch_png, "-m", "psnr", "--json", "-").stdout
            self.assertGreater(json.loads(line)["psnr"], agreement)
            for weight in net.parameters():
                weight.requires_grad_(True)
            net(x).mean().backward()
            self.assertTrue(all(weight.grad is not None for weight in net.parameters()))
            for wrong, words in ((2 * x - 1, "many values far outside"), (x[0], r"found \[3, 30, 41\]"), (x.byte(), "N x 3 x H x W floats")):
                with self.assertRaisesRegex(Exception, words):
                    net(wrong)
        self.assertEqual(net(x, torch.zeros(1, 4, 3, 128, 176)).shape, (1, 3, 120, 164))
        with self.assertRaisesRegex(Exception, r"noise: expected \[1, 4, 3, 128, 176\], found \[1, 4, 3, 120, 164\]"):
            net(x, torch.zeros(1, 4, 3, 120, 164))
        self.works("upscale", picture, "-o", self.dir / "again", "-g", self.dir / "realesr-animevideov3.pt")
        self.fails(4, "upscale", picture, "-o", self.dir / "never", "-g", file, says=["noise: Optional[Tensor]", "checkpoint"])
        self.fails(2, "export", "sr-small", "-o", self.dir / "no.pt", "--stage", 1, says="--stage")
        self.fails(2, "export", self.dir / "realesr-animevideov3.pt", "-o", self.dir / "no.pt", says="TorchScript")

    def test_best_of(self):
        small = self.dir / "best.png"
        small.write_bytes(png(40, 32, texture))
        sample = lambda name, *more: (self.works("upscale", small, "-o", self.dir / name, "-g", "sr-small@2", *more), (self.dir / name / "best.png").read_bytes())[1]
        judged = lambda *names: [json.loads(line)["finpercep"] for line in self.works("score", *(self.dir / name / "best.png" for name in names), "--json", "-").stdout.splitlines()]
        draws = [sample(f"draw{k}", "--seed", 3 + k) for k in range(3)]
        self.assertEqual(sample("one", "--seed", 3, "--best-of", 1), draws[0])
        by_map, by_score = sample("map", "--seed", 3, "--best-of", 3), sample("score", "--seed", 3, "--best-of", 3, "--best-of-by", "score")
        self.assertNotIn(by_map, draws)
        *of_draws, of_map = judged("draw0", "draw1", "draw2", "map")
        scores = [verdict["score"] for verdict in of_draws]
        self.assertEqual(by_score, draws[scores.index(max(scores))])
        self.assertLess(of_map["map_mean"], sum(verdict["map_mean"] for verdict in of_draws) / 3)
        never = self.dir / "never_best"
        self.fails(2, "upscale", small, "-o", never, "-g", "bicubic", "--best-of", 4, says=["--best-of", "bicubic", "same picture"])
        for bad in (["--best-of", 0], ["--best-of", 2, "--best-of-by", "luck"], ["--model", "finpercep-rm"]):
            self.fails(2, "upscale", small, "-o", never, *bad, says="--best-of")
        self.fails(4, "upscale", small, "-o", never, "--best-of", 2, "--model", "sr-small", says="reward")
        self.assertFalse(list(never.glob("*")))


if __name__ == "__main__":
    main()
