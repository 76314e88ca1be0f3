#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a judge's score must not depend on: whether a side is a multiple of 32, and whether a photograph has colours. docs/results/reward.md.

    python3 bench/sides_and_colours.py PROGRAM [MODEL]      # wants Pillow and, beside the checkout, ../shared/data/photos
"""
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
PHOTOS = [ROOT / "build/photos", *(ROOT.parent / "shared/data/photos" / name for name in ("bsds-train", "bsds-test", "sunhays80"))]
NETS = ("bicubic", "sr-small-rl", "realesr-animevideov3")


def main():
    program, model = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "finpercep-rm"

    def run(*arguments):
        return subprocess.run([program, "-q", *map(str, arguments)], check=True, capture_output=True, text=True, cwd=ROOT).stdout

    def judged(folder, key):
        return [json.loads(line)["finpercep"][key] for line in run("score", folder, "--model", model, "--json", "-").splitlines()]

    def mean(values):
        return sum(values) / len(values)

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)

        def put(picture, place, name):
            (folder / place).mkdir(exist_ok=True)
            picture.save(folder / place / f"{name}.png")

        for path in sorted(PHOTOS[2].iterdir())[:12]:
            for side in (288, 289):
                put(Image.open(path).convert("RGB").crop((0, 0, side, side)), f"side{side}", path.stem)
        off = [abs(a - b) for a, b in zip(judged(folder / "side288", "score"), judged(folder / "side289", "score"))]
        ratios = [b / a for a, b in zip(judged(folder / "side288", "severity"), judged(folder / "side289", "severity"))]
        print(f"289 x 289 against 288 x 288, {len(off)} photographs: S off by {mean(off):.4f} in the mean, {max(off):.4f} at most; "
              f"severity times {min(ratios):.2f} to {max(ratios):.2f}")

        held_out = {line.strip() for line in (ROOT / "configs/photos/validation.txt").read_text().splitlines()}
        for path in (path for photos in PHOTOS for path in sorted(photos.iterdir()) if path.stem in held_out):
            photo = Image.open(path).convert("RGB")
            if max(photo.size) > 1600:
                photo = photo.resize([int(side * 1600 / max(photo.size)) for side in photo.size], Image.BOX)
            if min(photo.size) < 256:
                continue
            left, top = (photo.width - 256) // 2, (photo.height - 256) // 2
            put(photo.crop((left, top, left + 256, top + 256)), "clean", path.stem)
        run("degrade", folder / "clean", "-o", folder / "lr", "-c", "configs/degrade/camera.yaml")
        for net in NETS:
            run("upscale", folder / "lr", "-o", folder / net, "-g", net)
        for place in ("clean", *NETS):
            for path in (folder / place).iterdir():
                put(Image.open(path).convert("L").convert("RGB"), f"{place}-gray", path.stem)
            in_colour, gray = judged(folder / place, "score"), judged(folder / f"{place}-gray", "score")
            print(f"{place:<22} {len(gray)} pictures: S {mean(in_colour):.3f} in colour, {mean(gray):.3f} gray")


if __name__ == "__main__":
    main()
