#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The fixture coco_rle.json: masks and their COCO run lengths by pycocotools, compressed and plain.

    pip install numpy torch safetensors pycocotools          # in an environment of its own
    tests/parity/dump_rle.py
"""
from importlib.metadata import version

import numpy as np
from pycocotools import mask as coco

from formula import write


def disc(height, width, y, x, radius):
    rows, columns = np.mgrid[:height, :width]
    return (rows - y) ** 2 + (columns - x) ** 2 <= radius ** 2


def plain(mask):
    """Runs of 0, 1, 0, .. down the columns, by hand."""
    flat, counts, value = mask.flatten(order="F"), [0], 0
    for pixel in flat:
        if pixel != value:
            counts.append(0)
            value = pixel
        counts[-1] += 1
    return [int(count) for count in counts]


def main():
    noise = np.random.default_rng(1).random((23, 31)) < 0.4
    masks = {"zeros": np.zeros((7, 5), bool), "ones": np.ones((7, 5), bool), "one pixel": disc(6, 4, 5, 3, 0), "first pixel": disc(6, 4, 0, 0, 0),
             "disc": disc(40, 60, 17, 25, 12), "noise": noise, "large": disc(600, 900, 300, 400, 250), "stripes": np.tile([True, False], (90, 10))}
    cases = []
    for name, mask in masks.items():
        encoded = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
        counts = plain(mask)
        assert coco.frPyObjects({"size": list(mask.shape), "counts": counts}, *mask.shape) == encoded
        cases.append({"name": name, "size": encoded["size"], "compressed": encoded["counts"].decode(), "plain": counts, "area": int(mask.sum()),
                      "place_sum": int((mask * (np.arange(mask.size).reshape(mask.shape) % 251 + 1)).sum())})
    write("coco_rle.json", {"made_by": f"tests/parity/dump_rle.py with pycocotools {version('pycocotools')}",
                            "place_sum": "sum over the pixels inside of (row-major index mod 251) + 1", "cases": cases})


if __name__ == "__main__":
    main()
