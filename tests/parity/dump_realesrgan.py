#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The fixture realesrgan.json: outputs of the published Real-ESRGAN nets as Tencent's ncnn (`pip install ncnn`) computes them.

    dump_realesrgan.py            writes the fixture
    dump_realesrgan.py PROGRAM    compares `PROGRAM upscale` with ncnn on the fixture's picture, in all pixels after rounding to 8 bits

ncnn runs in float32 on the float16 weights, so what differs is the order of additions, and its Winograd convolutions, which are off.
"""
import subprocess
import sys
import tempfile
from pathlib import Path

import ncnn
import numpy as np
import torch

from formula import fetcher, formula, summary, write

HEIGHT, WIDTH = 20, 28
NAMES = ["realesrgan-x4plus", "realesrgan-x4plus-anime", "realesr-animevideov3"]


def upscale(folder, name, image):
    """1 x 3 x H x W in [0,1] -> 1 x 3 x 4H x 4W by ncnn."""
    net = ncnn.Net()
    for option in ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage", "use_winograd_convolution", "use_sgemm_convolution",
                   "use_packing_layout", "use_vulkan_compute"):
        setattr(net.opt, option, False)
    param = folder / f"{name}.param"
    net.load_param(str(param))
    net.load_model(str(param.with_suffix(".bin")))
    with net.create_extractor() as run:
        first = param.read_text().splitlines()[2].split()[4]  # the only output of the Input layer
        values = np.ascontiguousarray(image[0].numpy(), dtype=np.float32)  # named: the Mat does not keep it alive
        run.input(first, ncnn.Mat(values))
        status, out = run.extract("output")
        if status:
            raise SystemExit(f"{name}: ncnn failed with {status}")
        return torch.from_numpy(np.array(out)).double()[None]


def compare(program, folder):
    from PIL import Image
    picture = (formula(HEIGHT, WIDTH)[0] * 255).round().byte().permute(1, 2, 0).numpy()
    with tempfile.TemporaryDirectory() as temporary:
        lr = Path(temporary) / "lr.png"
        Image.fromarray(picture).save(lr)
        for name in NAMES:
            out = Path(temporary) / name
            subprocess.run([program, "upscale", lr, "-o", out, "-g", name, "--dtype", "fp32"], check=True)
            ours = np.array(Image.open(out / "lr.png")).astype(int)
            theirs = upscale(folder, name, torch.from_numpy(picture).permute(2, 0, 1)[None].double() / 255)
            theirs = (theirs[0].clamp(0, 1) * 255).round().permute(1, 2, 0).numpy().astype(int)
            print(f"{name}: largest difference {abs(ours - theirs).max()} of 255, pixels that differ {(ours != theirs).mean():.2%}")


def main():
    fetch = fetcher()
    folder = fetch.cache_folder()
    for name in NAMES:
        problem = fetch.problem_with(folder / f"{name}.safetensors", name)
        if problem:
            raise SystemExit(f"{folder}/{name}: {problem}. Run tools/fetch_weights.py --only {name}")
    if len(sys.argv) > 1:
        return compare(sys.argv[1], folder)
    image = formula(HEIGHT, WIDTH)
    write("realesrgan.json", {
        "made_by": "tests/parity/dump_realesrgan.py", "ncnn": ncnn.__version__, "package_sha256": fetch.TABLE[NAMES[0]].package.sha256,
        "image": f"x[c,y,x] = 0.5 + 0.5 sin(0.37 x + 0.61 y + 1.3 c), 3 x {HEIGHT} x {WIDTH}", "height": HEIGHT, "width": WIDTH,
        "models": [{"name": name, "output": summary(upscale(folder, name, image))} for name in NAMES],
    })


if __name__ == "__main__":
    main()
