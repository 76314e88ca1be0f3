# SPDX-License-Identifier: Apache-2.0
"""What the tests of the built program share. sys.argv[1] is the program."""
import json
import math
import os
import struct
import subprocess
import sys
import tempfile
import unittest
import zlib
from pathlib import Path

PROGRAM = os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else "build/release/finpercep"
ROOT = Path(__file__).resolve().parents[2]


def run(*args, timeout=120, **kwargs):
    return subprocess.run([PROGRAM, *map(str, args)], capture_output=True, text=True, timeout=timeout, **kwargs)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, pixel, depth=8, alpha=False, more=b""):
    """A PNG of pixel(x, y) -> (r, g, b[, a]) in 0..255 (or 0..65535); `more` are chunks after the header."""
    fmt = ">" + ("H" if depth == 16 else "B") * (4 if alpha else 3)
    rows = b"".join(b"\0" + b"".join(struct.pack(fmt, *pixel(x, y)) for x in range(width)) for y in range(height))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, 6 if alpha else 2, 0, 0, 0)) + more +
            chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b""))


def texture(x, y, phase=0.0):
    v = 127 + 60 * math.sin(0.31 * x + 0.17 * y + phase) + 40 * math.sin(0.9 * x - 0.7 * y)
    return int(v), int(0.8 * v + 20), int(255 - v)


class ProgramTest(unittest.TestCase):
    """Runs the program; each class of tests has a folder with a few photographs."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.dir = Path(cls.folder.name)
        cls.photo = cls.dir / "photo.png"
        cls.photo.write_bytes(png(160, 128, texture))
        cls.photos = cls.dir / "photos"
        cls.photos.mkdir()
        for i in range(3):
            (cls.photos / f"p{i}.png").write_bytes(png(144, 128, lambda x, y: texture(x, y, i)))

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def fails(self, code, *args, says=(), **kwargs):
        """The command fails with this code and one line on stderr (after warnings) that says these words."""
        result = run(*args, **kwargs)
        self.assertEqual(result.returncode, code, f"{args}: {result.stdout}{result.stderr}")
        line = result.stderr.strip().splitlines()[-1]
        self.assertTrue(line.startswith("finpercep: "), line)
        for word in [says] if isinstance(says, str) else says:
            self.assertIn(str(word), line)
        return result

    def tiny_generator(self, run_dir, iters, *more):
        return ["train", "generator", "-o", run_dir, "--set", f"datasets.photos.photos=[{self.photos}]", "--set", "datasets.degradation.usm=false", "--set", "datasets.degradation.second_order_prob=0",
                "--set", "datasets.gt_size=64", "--set", "datasets.batch_size=2", "--set", "network_g.net.channels=[16,24]", "--set", "network_g.net.blocks=1",
                "--set", f"train.total_iter={iters}", "--set", "train.print_freq=1", "--set", "train.save_checkpoint_freq=1000", "--set", "device=cpu", *more]

    @staticmethod
    def metrics(run_dir):
        return [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]

    def works(self, *args, **kwargs):
        result = run(*args, **kwargs)
        self.assertEqual(result.returncode, 0, f"{args}: {result.stdout}{result.stderr}")
        return result


def main():
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]], verbosity=1)
