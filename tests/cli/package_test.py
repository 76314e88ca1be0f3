#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""cmake --install, and a stranger's program on the installed package. Usage: package_test.py PROGRAM BUILD_FOLDER CMAKE"""
import json
import os
import subprocess
import sys

from program import ROOT, ProgramTest, main

BUILD, CMAKE = sys.argv[2:4]
del sys.argv[2:4]


class Package(ProgramTest):

    def call(self, *args, code=0, **kwargs):
        result = subprocess.run([*map(str, args)], capture_output=True, text=True, timeout=300, **kwargs)
        self.assertEqual(result.returncode, code, f"{args}: {result.stdout}{result.stderr}")
        return result

    def test_a_program_of_a_stranger(self):
        prefix, build = self.dir / "prefix", self.dir / "judge_one"
        self.call(CMAKE, "--install", BUILD, "--prefix", prefix)
        self.call(CMAKE, "-S", ROOT / "tests/package", "-B", build, f"-DCMAKE_PREFIX_PATH={prefix}", "-DCMAKE_BUILD_TYPE=Release")
        self.call(CMAKE, "--build", build)
        version, score, severity = self.call(build / "judge_one", self.photo, self.dir / "map.png").stdout.split()
        # By its name alone, from elsewhere: the installed program finds the installed models.
        elsewhere = {"cwd": self.dir, "env": {**os.environ, "PATH": f"{prefix / 'bin'}:{os.environ['PATH']}"}}
        self.assertIn(version, self.call("finpercep", "--version", **elsewhere).stdout)
        row = json.loads(self.call("finpercep", "score", "photo.png", "--json", "-", **elsewhere).stdout)
        self.assertAlmostEqual(float(score), row["finpercep"]["score"], places=5)
        self.assertAlmostEqual(float(severity), row["finpercep"]["severity"], places=5)
        self.call("finpercep", "map", "photo.png", "-o", "maps", "--format", "png", **elsewhere)
        (picture,) = (self.dir / "maps").glob("*.png")
        self.assertEqual(picture.read_bytes(), (self.dir / "map.png").read_bytes())
        # Errors carry the exit code of the contract, and can be caught over the library's border.
        self.assertIn("none.png", self.call(build / "judge_one", "none.png", "x.png", code=3).stderr)
        # Where the installed model is gone no other is taken in secret.
        (prefix / "share/finpercep/models/finpercep-rm.safetensors").unlink()
        self.call("finpercep", "score", "photo.png", code=4, **elsewhere)
        self.call(build / "judge_one", self.photo, self.dir / "map.png", code=4)


if __name__ == "__main__":
    main()
