#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a user of the exported reward should know (docs/library.md): S of clean photographs by the size of the crop, by a shift of one pixel, and the gradient under bf16 autocast.
Usage: exported_reward.py REWARD.pt PHOTO..       the middle 256 x 256 of each photograph. Needs torch and Pillow."""
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image

reward = torch.jit.load(sys.argv[1]).eval()
torch.set_num_threads(1)


def middle(path, side=256):
    picture = np.asarray(Image.open(path).convert("RGB"), dtype=np.float32) / 255
    top, left = (picture.shape[0] - side) // 2, (picture.shape[1] - side) // 2
    return torch.from_numpy(picture[top:top + side, left:left + side].copy()).permute(2, 0, 1)[None]


photos = torch.cat([middle(path) for path in sys.argv[2:]])
with torch.no_grad():
    for side in (256, 128, 64, 32):
        crops = torch.nn.functional.unfold(photos, side, stride=side)
        score, defects = reward(crops.transpose(1, 2).reshape(-1, 3, side, side))
        print(f"crops of {side} px: S {score.mean():.3f}, map {defects.mean():.3f}")
    shifted = torch.stack([reward(photos[:, :, 64:192, k:k + 128])[0] for k in range(60, 70)])
    print(f"128 px, ten shifts by a pixel: S of one photograph spreads by {(shifted.amax(0) - shifted.amin(0)).max():.3f} at most; from one to the next by {shifted.diff(dim=0).abs().max():.3f} at most")


def slope(half):
    x = photos.clone().requires_grad_(True)
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        reward.judge(x)[0].float().sum().backward()
    return x.grad.flatten(1)


print(f"gradient of the logit under bf16 autocast and in fp32: cosine {torch.nn.functional.cosine_similarity(slope(True), slope(False)).mean():.3f}")
print(f"size {Path(sys.argv[1]).stat().st_size / 1e6:.1f} MB")
