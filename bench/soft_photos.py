#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Photographs as soft as a camera's, for docs/results/rl-studies.md, "In plain PyTorch": three of eight are blurred (sigma .5 to 1.6), three made smaller and large again (1.2 to 2.2 times).
Usage: soft_photos.py OUT STEMS_LEFT_OUT.txt FOLDER..      Needs numpy and Pillow."""
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

out, left_out = Path(sys.argv[1]), set(Path(sys.argv[2]).read_text().split("\n"))
out.mkdir(parents=True)
random = np.random.default_rng(7)
for path in (p for folder in sys.argv[3:] for p in sorted(Path(folder).iterdir()) if p.suffix in (".jpg", ".png") and p.stem not in left_out):
    photo = Image.open(path).convert("RGB")
    kind = random.random()
    if kind < 0.375:
        photo = photo.filter(ImageFilter.GaussianBlur(float(random.uniform(0.5, 1.6))))
    elif kind < 0.75:
        factor = float(random.uniform(1.2, 2.2))
        photo = photo.resize([round(side / factor) for side in photo.size], Image.BICUBIC).resize(photo.size, Image.BICUBIC)
    photo.save(out / f"{path.stem}.png")
