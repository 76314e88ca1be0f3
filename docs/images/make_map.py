#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes docs/images/map.jpg anew: held-out photographs and what Real-ESRGAN x4plus restores of them, each beside its map.
    docs/images/make_map.py PROGRAM PHOTOS      # build/release/finpercep build/photos; wants Pillow"""
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

PHOTOS = ["lomiri-bridge", "lomiri-picosdeeuropa", "mate-ladybird"]  # of configs/photos/validation.txt
CROP, SHOWN, GAP = (512, 384), (320, 240), 4
CHECKOUT = Path(__file__).resolve().parents[2]


def crop(path):
    picture = Image.open(path).convert("RGB")
    scale = 768 / min(picture.size)
    if scale < 1:
        picture = picture.resize([int(side * scale) for side in picture.size], Image.Resampling.LANCZOS)
    x, y = ((side - wanted) // 2 for side, wanted in zip(picture.size, CROP))
    return picture.crop((x, y, x + CROP[0], y + CROP[1]))


def main():
    program, photos = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        at = Path(folder)
        run = lambda *words: subprocess.run([program, "-q", *map(str, words)], check=True)
        (at / "crops").mkdir()
        for name in PHOTOS:
            crop(Path(photos) / f"{name}.jpg").save(at / "crops" / f"{name}.png")
        run("degrade", at / "crops", "-o", at / "lr", "--gt", at / "gt", "-c", CHECKOUT / "configs/degrade/camera.yaml")
        run("upscale", at / "lr", "-g", "realesrgan-x4plus", "-o", at / "sr")
        for kind in ("gt", "sr"):
            run("map", at / kind, "-o", at / f"{kind}-map", "--format", "overlay,json")
        sheet = Image.new("RGB", (4 * (SHOWN[0] + GAP) - GAP, len(PHOTOS) * (SHOWN[1] + GAP) - GAP), "white")
        for row, name in enumerate(PHOTOS):
            for column, file in enumerate(("gt/{}.png", "gt-map/{}.overlay.png", "sr/{}.png", "sr-map/{}.overlay.png")):
                tile = Image.open(at / file.format(name)).convert("RGB").resize(SHOWN, Image.Resampling.LANCZOS)
                sheet.paste(tile, (column * (SHOWN[0] + GAP), row * (SHOWN[1] + GAP)))
            scores = [json.loads((at / f"{kind}-map" / f"{name}.json").read_text())["score"] for kind in ("gt", "sr")]
            print(f"{name}: S {scores[0]:.2f} -> {scores[1]:.2f}")
        sheet.save(Path(__file__).with_name("map.jpg"), quality=85)


main()
