#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The fault rows of docs/faults.md through the built program: pictures (I), model files (M), command line and config (C).
Usage: faults_test.py PATH/TO/finpercep. FINPERCEP_TEST_SLOW=1 adds the 100-megapixel picture."""
import base64
import json
import math
import os
import struct
import subprocess
import threading
import time
import zlib

from program import PROGRAM, ROOT, ProgramTest, chunk, main, png, run, texture

SIGNATURE = b"\x89PNG\r\n\x1a\n"
JPEG = base64.b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAA0JCgsKCA0LCgsODg0PEyAVExISEyccHhcgLikxMC4pLSwzOko+MzZGNywtQFdBRkxOUlNSMj5aYVpQYEpRUk//2wBDAQ4ODhMREyYVFSZP"
    "NS01T09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT0//wAARCAAYACADASIAAhEBAxEB/8QAHwAAAQUBAQEBAQEAAAAAAAAAAAECAwQFBgcICQoL"
    "/8QAtRAAAgEDAwIEAwUFBAQAAAF9AQIDAAQRBRIhMUEGE1FhByJxFDKBkaEII0KxwRVS0fAkM2JyggkKFhcYGRolJicoKSo0NTY3ODk6Q0RFRkdISUpTVFVWV1hZWmNkZWZnaGlqc3R1"
    "dnd4eXqDhIWGh4iJipKTlJWWl5iZmqKjpKWmp6ipqrKztLW2t7i5usLDxMXGx8jJytLT1NXW19jZ2uHi4+Tl5ufo6erx8vP09fb3+Pn6/8QAHwEAAwEBAQEBAQEBAQAAAAAAAAECAwQF"
    "BgcICQoL/8QAtREAAgECBAQDBAcFBAQAAQJ3AAECAxEEBSExBhJBUQdhcRMiMoEIFEKRobHBCSMzUvAVYnLRChYkNOEl8RcYGRomJygpKjU2Nzg5OkNERUZHSElKU1RVVldYWVpjZGVm"
    "Z2hpanN0dXZ3eHl6goOEhYaHiImKkpOUlZaXmJmaoqOkpaanqKmqsrO0tba3uLm6wsPExcbHyMnK0tPU1dbX2Nna4uPk5ebn6Onq8vP09fb3+Pn6/9oADAMBAAIRAxEAPwCqAXarUahV"
    "pkMeOTSzPgYry6snUlyRFjKrxFRUaexHNJk4FJCmTmmKC7VbRQi1dSSpQ5VudGJqLC0VShuwYhFqo7FmoopYVKzl1IyuC5XU6k8MeBk0sz4GBRRWcPfq+8c1L99i/fP/2Q==")
CMYK_JPEG = base64.b64decode(
    "/9j/7gAOQWRvYmUAZAAAAAAA/9sAQwAUDg8SDw0UEhASFxUUGB4yIR4cHB49LC4kMklATEtHQEZFUFpzYlBVbVZFRmSIZW13e4GCgU5gjZeMfZZzfoF8/8AAFAgAGAAgBEMRAE0RAFkR"
    "AEsRAP/EAB8AAAEFAQEBAQEBAAAAAAAAAAABAgMEBQYHCAkKC//EALUQAAIBAwMCBAMFBQQEAAABfQECAwAEEQUSITFBBhNRYQcicRQygZGhCCNCscEVUtHwJDNicoIJChYXGBkaJSYn"
    "KCkqNDU2Nzg5OkNERUZHSElKU1RVVldYWVpjZGVmZ2hpanN0dXZ3eHl6g4SFhoeIiYqSk5SVlpeYmZqio6Slpqeoqaqys7S1tre4ubrCw8TFxsfIycrS09TV1tfY2drh4uPk5ebn6Onq"
    "8fLz9PX29/j5+v/aAA4EQwBNAFkASwAAPwDPRWuJvxrQdlt4fwrRUGR66Ot61hWCLJrAupmnlwK0IkCJmis3UrrcxUGtPTbXaoYiqtzLk4FFR6famRwxFP1C6EaFQaS3i3HJoq5ptrtA"
    "ZhVTUrrcSqmpbaLAyaKl1C5EaFQai0+2MjhiKfcS7VwKKxoka4mz71sSutvDj2qmimR6K37eJYIsmsC4laeXAq/GojSinSOtvD+FJGjXE340rERpRXP3MrTy4Fb9tEsEWTWfI5kfFFau"
    "nWoRQxFZeo3RdioNWraLAyaKXUboIpUGk061LsGIpbiXaMCiv//Z")


def header(width, height):
    return SIGNATURE + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))


def zeros(size):
    """`size` zero bytes, deflated: about a thousandth."""
    deflate = zlib.compressobj(9)
    block = b"\0" * (1 << 20)
    return b"".join(deflate.compress(block) for _ in range(size >> 20)) + deflate.flush()


def wide_png(width, height):
    """A large picture in a moment: 64 different rows, over and over."""
    deflate = zlib.compressobj(1)
    rows = [b"\0" + bytes(int(127 + 60 * math.sin(0.05 * (x + 5 * phase) + c)) for x in range(width) for c in range(3)) for phase in range(64)]
    data = b"".join(deflate.compress(rows[y % 64]) for y in range(height)) + deflate.flush()
    return header(width, height) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


class Faults(ProgramTest):
    def write(self, name, data):
        path = self.dir / name
        path.write_bytes(data)
        return path

    def measure(self, *args):
        """Exit code, stdout, stderr, CPU seconds and peak megabytes of a run."""
        # One thread: the others' waiting for each other is processor time too, seconds of it where another test has the second core.
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        process = subprocess.Popen([PROGRAM, *map(str, args)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
        out, errors = process.stdout.read(), process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        process.stdout.close(), process.stderr.close()
        return process.returncode, out, errors, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024

    def cheap(self, code, base, *args, says=""):
        """Ends with `code`, in at most 1.5 s of CPU and 256 MB more than a run on a small picture."""
        result, out, errors, seconds, megabytes = self.measure(*args)
        self.assertEqual(result, code, out + errors)
        self.assertIn(says, errors)
        self.assertLess(seconds, base[0] + 1.5, args)
        self.assertLess(megabytes, base[1] + 256, args)
        return out

    # --- pictures

    def test_i03_png_cut_at_every_chunk(self):
        good = self.photo.read_bytes()
        at, places = 8, []
        while at < len(good):
            places.append(at)
            at += 12 + struct.unpack(">I", good[at:at + 4])[0]
        for place in places + [len(good) // 3, len(good) - 1]:
            self.fails(3, "score", self.write("cut.png", good[:place]), says="cut.png")

    def test_i05_a_tiff_bomb(self):
        tags = [(256, 4, 13300), (257, 4, 13300), (258, 3, 8), (259, 3, 8), (262, 3, 1), (273, 4, 8), (277, 3, 1), (278, 4, 13300), (279, 4, 20)]
        bomb = self.dir / "bomb.tif"
        bomb.write_bytes(b"II*\0" + struct.pack("<I", 40) + b"\0" * 32 + struct.pack("<H", len(tags)) +
                         b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags) + struct.pack("<I", 0))
        self.fails(3, "score", bomb, says=["bomb.tif", "too little picture data"])

    def test_i05_i06_i07_bombs_are_refused_or_unread(self):
        base = self.measure("score", self.photo, "--json", "-")[3:]
        idat = chunk(b"IDAT", b"\0" * 1000) + chunk(b"IEND", b"")
        for width, height in ((60000, 60000), (100000, 100000), (0, 5), (5, 0), (2**31 - 1, 2**31 - 1), (13000, 13000)):
            self.cheap(3, base, "score", self.write("bomb.png", header(width, height) + idat), says="bomb.png")
        # 1 GiB behind a megabyte: text and colour profiles change no pixel, so they are stepped over.
        gigabyte = zeros(1 << 30)
        expected = self.works("score", self.photo, "-r", self.photo, "-m", "psnr,finpercep", "--json", "-").stdout
        for name, data in {"zTXt": b"Comment\0\0" + gigabyte, "iCCP": b"profile\0\0" + gigabyte, "iTXt": b"Comment\0\1\0\0\0" + gigabyte}.items():
            with self.subTest(name):
                bomb = self.write(f"{name}.png", png(160, 128, texture, more=chunk(name.encode(), data)))
                out = self.cheap(0, base, "score", bomb, "-r", self.photo, "-m", "psnr,finpercep", "--json", "-")
                self.assertEqual(json.loads(out)["finpercep"], json.loads(expected)["finpercep"])

    def test_i09_i11_i15_i16_jpeg_and_names(self):
        self.works("score", self.write("whole.jpg", JPEG))
        self.fails(3, "score", self.write("half.jpg", JPEG[: len(JPEG) // 2]), says="half.jpg")
        self.works("score", self.write("cmyk.jpg", CMYK_JPEG))
        self.fails(3, "score", self.write("cmyk_half.jpg", CMYK_JPEG[: len(CMYK_JPEG) // 2]), says="cmyk_half.jpg")
        jpeg_as_png = self.write("really_jpeg.png", JPEG)
        self.assertEqual(json.loads(self.works("score", jpeg_as_png, "--json", "-").stdout)["finpercep"],
                         json.loads(self.works("score", self.dir / "whole.jpg", "--json", "-").stdout)["finpercep"])
        animated = self.write("apng.png", png(160, 128, texture, more=chunk(b"acTL", struct.pack(">II", 2, 0))))
        score = json.loads(self.works("score", animated, "-r", self.photo, "-m", "psnr", "--json", "-").stdout)
        self.assertGreater(score["psnr"], 79)  # the first picture

    def test_i13_shapes(self):
        for width, height in ((1, 1), (1, 10000), (10000, 1), (7, 7)):
            with self.subTest(f"{width} x {height}"):
                path = self.write(f"shape{width}x{height}.png", png(width, height, texture))
                score = json.loads(self.works("score", path, "--json", "-").stdout)["finpercep"]
                self.assertTrue(all(0 <= value <= 1 for value in score.values()))
                out = self.dir / f"shape-maps{width}x{height}"
                self.works("map", path, "-o", out, "--format", "png,overlay,npy,json")
                saved = (out / f"{path.stem}.map.png").read_bytes()
                self.assertEqual(struct.unpack(">II", saved[16:24]), (width, height))
                self.fails(3, "score", path, "-r", path, "-m", "ssim", says=[path.name, "at least 11"])

    def test_i14_large_pictures_in_tiles(self):
        """Memory: 16 bytes a pixel (the picture and its map), what a tile takes, the file, and what the allocator keeps (it varies on a busy machine).
        Judged whole, the larger picture would take gigabytes."""
        def score(name, side, *flags):
            code, out, errors, _, megabytes = self.measure("score", self.write(name, wide_png(side, side)), "--json", "-", *flags)
            self.assertEqual(code, 0, errors)
            self.assertTrue(0 <= json.loads(out)["finpercep"]["score"] <= 1)
            return megabytes

        tile = score("tile.png", 1280, "--tile", 256)
        self.assertLess(score("large.png", 2600, "--tile", 256), tile + 17 * (2600**2 - 1280**2) / 2**20 + 256)
        if os.environ.get("FINPERCEP_TEST_SLOW"):  # five minutes of CPU; tiles of 1024 take 2.2 GB
            self.assertLess(score("huge.png", 10000), 4200)

    def change_while(self, path, whole, command, codes):
        """Runs the command again and again while another thread cuts the file and writes it whole."""
        stop = threading.Event()

        def change():
            while not stop.is_set():
                os.truncate(path, len(whole) // 2)
                time.sleep(0.002)
                with open(path, "r+b") as file:
                    file.write(whole)
                time.sleep(0.002)

        path.write_bytes(whole)
        thread = threading.Thread(target=change)
        thread.start()
        try:
            for _ in range(8):
                result = run(*command)
                self.assertIn(result.returncode, codes, result.stderr)
                if result.returncode:
                    self.assertIn(path.name, result.stderr)
        finally:
            stop.set()
            thread.join()

    def test_i17_picture_changed_while_read(self):
        path = self.dir / "moving.png"
        self.change_while(path, self.photo.read_bytes(), ["score", path], (0, 3))

    # --- model files

    def test_m03_m14_m18_other_files_as_models(self):
        cases = {
            "pickle.pt": (b"\x80\x02}q\x00.", "pickle"), "zip.pt": (b"PK\x03\x04" + b"\0" * 200, "zip archive"), "elf": (b"\x7fELF" + b"\0" * 200, "elf"),
            "text.safetensors": (b"hello", "text.safetensors"), "deep.safetensors": (struct.pack("<Q", 200000) + b"[" * 200000, "deep.safetensors"),
            "latin.safetensors": (struct.pack("<Q", 8) + b'{"\xff": 1', "latin.safetensors"),
        }
        for name, (data, word) in cases.items():
            with self.subTest(name):
                self.fails(4, "score", self.photo, "--model", self.write(name, data), says=[name, word])
        self.fails(4, "score", self.photo, "--model", PROGRAM, says="finpercep")
        self.assertNotEqual(run("score", self.photo, "--model", self.dir).returncode, 0)

    def test_m12_models_cut(self):
        data = (ROOT / "models" / "finpercep-rm.safetensors").read_bytes()
        for size in [4096 * (1 + i * (len(data) // 4096) // 6) for i in range(6)] + [len(data) - 1]:
            self.fails(4, "score", self.photo, "--model", self.write("cut.safetensors", data[:size]), says="cut.safetensors")

    def test_m16_model_changed_while_read(self):
        path = self.dir / "moving.safetensors"
        self.change_while(path, (ROOT / "models" / "finpercep-rm.safetensors").read_bytes(), ["score", self.photo, "--model", path], (0, 3, 4))

    # --- command line and config

    def test_c02_numbers(self):
        for flag, values in {"--threads": ("0", "1000000", "-1", "2x", "1e3", "99999999999999999999"), "--crop-border": ("-1", "1.5", "4,5"), "--tile": ("0", "nan", "1e9"),
                             "--stage": ("one", "9999999999")}.items():
            for value in values:
                with self.subTest(f"{flag} {value}"):
                    self.fails(2, "score", self.photo, flag, value)
        for value in ("nan", "inf", "0,5", "1.5", "0.5x"):
            self.fails(2, "map", self.photo, "-o", self.dir / "never", "--format", "json", "--threshold", value, says=["--threshold", value])
        for value in ("nan", "1e999", "1e-4x", "0,1", "-1"):
            self.fails(2, "train", "generator", "-o", self.dir / "never", "--set", f"optim_g.lr={value}", says="optim_g.lr")
        for value in ("1e2", "0x40", "1.5"):
            self.fails(2, "score", self.photo, "--tile", value, says=["--tile", value, "whole number"])
        self.assertFalse((self.dir / "never").exists())

    def test_c03_configs(self):
        for name, text, word in (("huge", "a: " + "x" * (1 << 26), "huge.yaml"), ("deep", "[" * 100000, "deep.yaml"), ("flow", "a: " + "{a: " * 100000, "flow.yaml"),
                                 ("twice", "train: {total_iter: 5, total_iter: 6}", "total_iter")):
            config = self.write(f"{name}.yaml", text.encode())
            code, _, errors, seconds, _ = self.measure("train", "generator", "-c", config, "-o", self.dir / "never")
            self.assertIn(code, (2, 3), errors)
            self.assertIn(word, errors)
            self.assertLess(seconds, 8)

    def test_c04_outputs_never_replace_inputs(self):
        before = {path: path.read_bytes() for path in self.photos.iterdir()}
        self.fails(2, "degrade", self.photos, "-o", self.photos, "--overwrite", says=["another folder", "-o"])
        self.fails(2, "upscale", self.photos, "-o", f"{self.photos}/../photos", "-g", "bicubic", "--overwrite", says="another folder")
        link = self.dir / "link"
        link.mkdir()
        (link / "p0.png").symlink_to(self.photos / "p0.png")
        self.fails(2, "degrade", self.photos, "-o", link, "--overwrite", says=["p0.png", "-o"])
        self.fails(2, "score", self.photo, "--json", self.photo, "--overwrite", says="photo.png")
        self.assertEqual(before, {path: path.read_bytes() for path in self.photos.iterdir()})

    def test_c05_stdout_that_nobody_reads(self):
        closed = subprocess.run(f"'{PROGRAM}' metrics >&-", shell=True, capture_output=True, text=True)
        self.assertEqual(closed.returncode, 3, closed.stderr)
        self.assertIn("stdout", closed.stderr)
        gone = subprocess.Popen([PROGRAM, "score", self.photos, "--json", "-"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        gone.stdout.close()
        errors = gone.stderr.read()
        gone.stderr.close()
        self.assertIn(gone.wait(), (3, -13), errors)  # told, or ended by SIGPIPE as other filters are

    def test_c06_threads(self):
        expected = self.works("score", self.photos, "-r", self.photos, "-m", "psnr,ssim", "--json", "-", "--threads", 1).stdout
        self.assertEqual(self.works("score", self.photos, "-r", self.photos, "-m", "psnr,ssim", "--json", "-", "--threads", 1024).stdout, expected)
        self.fails(2, "train", "generator", "-o", self.dir / "never", "--set", "datasets.num_worker=0", says="num_worker")
        self.fails(2, "train", "generator", "-o", self.dir / "never", "--set", "datasets.num_worker=1000000", says="num_worker")


if __name__ == "__main__":
    main()
