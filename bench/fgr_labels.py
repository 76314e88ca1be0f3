#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How far FGR labels agree with full-reference maps that they were not made from: LPIPS-alex (spatial, plain torch) and SSIM (scikit-image).

    pip install scikit-image webdataset pillow torch==2.13.0
    bench/fgr_labels.py DIR [--count 300]

Reads the shards with the webdataset package. Prints, over samples evenly spread: the label outside the mask (must be 0), and the Pearson correlation of label and
map over the pixels of whole pictures (mask included, so that finding the region counts) and inside the masks alone (severity within a region).
"""
import argparse
import io
import json
import sys
import warnings
from pathlib import Path

import numpy as np
import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "parity"))
from plain_metrics import lpips_map  # noqa: E402


def picture(data, mode):
    return np.asarray(Image.open(io.BytesIO(data)).convert(mode), dtype=np.float32) / 255


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=300)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    import webdataset
    from skimage.metrics import structural_similarity

    manifest = json.loads((options.folder / "manifest.json").read_text())
    step = max(1, manifest["count"] // options.count)
    shards = [str(options.folder / shard["file"]) for shard in manifest["shards"]]
    outside, labels, maps, inside = 0.0, [], {"lpips": [], "1 - ssim": []}, []
    for k, sample in enumerate(webdataset.WebDataset(shards, shardshuffle=False)):
        if k % step:
            continue
        gt, sr, mask, label = picture(sample["gt.webp"], "RGB"), picture(sample["sr.webp"], "RGB"), picture(sample["mask.png"], "L"), picture(sample["map.png"], "L")
        outside = max(outside, float(label[mask == 0].max(initial=0)))
        facts = json.loads(sample["json"])
        if facts["source"].startswith("clean"):
            continue
        syn = gt + mask[..., None] * (sr - gt)
        with torch.no_grad():
            a, b = (torch.from_numpy(x.transpose(2, 0, 1).copy())[None] for x in (syn, gt))
            maps["lpips"].append(lpips_map(a, b)[0].numpy()[::2, ::2].ravel())
        _, similarity = structural_similarity(gt, syn, channel_axis=2, data_range=1.0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, full=True)
        maps["1 - ssim"].append(1 - similarity.mean(2)[::2, ::2].ravel())
        labels.append(label[::2, ::2].ravel())
        inside.append(mask[::2, ::2].ravel() > 0.5)
    y, m = np.concatenate(labels), np.concatenate(inside)
    print(f"{len(labels)} samples with a defect; largest label outside a mask: {outside:.4f}")
    for name, parts in maps.items():
        x = np.concatenate(parts)
        print(f"PLCC of the label with {name}: whole pictures {np.corrcoef(x, y)[0, 1]:.3f}, inside masks {np.corrcoef(x[m], y[m])[0, 1]:.3f}")


if __name__ == "__main__":
    main()
