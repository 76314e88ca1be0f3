#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Converts published weights that no package registry carries into the cache folder, as safetensors.

    tools/convert_weights.py NAME FILE

    NAME              FILE
    clipiqa           RN50.pt of OpenAI CLIP (SHA-256 afeb0e10..), for the metrics clipiqa and clipiqa-pair
    liqe, liqe_mix    liqe_koniq.pt, liqe_mix.pt of LIQE
    maniqa-koniq, maniqa-pipal, maniqa-kadid
                      ckpt_koniq10k.pt of MANIQA, MANIQA_PIPAL-ae6d356b.pth of pyiqa, ckpt_kadid10k.pt of MANIQA
    fid               pt_inception-2015-12-05-6726825d.pth of pytorch-fid
    musiq-koniq, musiq-ava, musiq-spaq, musiq-paq2piq
                      musiq_{koniq,ava,spaq,paq2piq}_ckpt-*.pth of pyiqa
    dinov3_vits16     dinov3_vits16_pretrain_lvd1689m-*.pth of Meta, or Hugging Face's model.safetensors of the same net, for DINOv3 features

The words that CLIP-IQA and LIQE compare pictures with go through CLIP's text tower here, once; the program never needs it. Pickles are read
by torch_pickle.py, a TorchScript archive by torch's own reader of TorchScript, which runs no Python. Needs torch.
"""
import argparse
import hashlib
import re
import sys
import zipfile
from pathlib import Path

import fetch_weights
import torch_pickle

START, END = 49406, 49407  # of CLIP's vocabulary; the numbers below are what its tokeniser makes of the words
IMAGE, EDGES, RESOLUTION, PHOTO, STOP = 2867, 20938, 9977, 1125, 269
PAIRS = [[886, IMAGE], [2103, IMAGE],                            # Good image, bad image
         [8157, IMAGE], [21977, IMAGE],                          # Sharp image, blurry image
         [8157, EDGES], [21977, EDGES],                          # sharp edges, blurry edges
         [1400, RESOLUTION, IMAGE], [1042, RESOLUTION, IMAGE],   # High resolution image, low resolution image
         [9307, 268, 1139, IMAGE], [33495, IMAGE]]               # Noise-free image, noisy image
PAIR = [[886, PHOTO, STOP], [2103, PHOTO, STOP]]                 # Good photo. Bad photo.
QUALITY = [[320, PHOTO, 593, grade, 3027] for grade in (2103, 3665, 2849, 886, 1878)]  # a photo with {bad .. perfect} quality
SCENES = [[4668], [40808], [2751], [9546], [5727], [930], [3912], [1170, 318, 970], [3326]]  # animal .. still_life, others
DISTORTIONS = [[73, 11207, 273, 271, 271, 271, 25638], [73, 11207, 25638], [9307], [27976], [3140], [18501], [8649, 13002, 35539], [21675, 87, 35539],
               [22022], [31540, 3683], [1010]]                   # jpeg2000 compression, jpeg compression, noise, blur, color, contrast, .. other
JOINT = [[320, PHOTO, 539, 320, *scene, 593, *distortion, 30249, 267, 1448, 533, 539, grade, 3027]  # a photo of a {scene} with {distortion} artifacts,
         for _, _, _, grade, _ in QUALITY for scene in SCENES for distortion in DISTORTIONS]         # which is of {grade} quality
MANIQA = re.compile(r"vit\.(patch_embed\.|cls_token$|pos_embed$|blocks\.\d\.)|tablock[12]\.|conv[12]\.|fc_(score|weight)\."
                    r"|swintransformer[12]\.layers\..*(weight|bias|table)$")  # the tower ends with its tenth block


class ConvertError(Exception):
    """One line: what, where, what to do."""


def text_features(state, prompts):
    """CLIP's text tower (Radford et al. 2021): causal transformer, the feature of the end token. Not normalised."""
    import torch
    import torch.nn.functional as F

    def linear(x, name):
        return F.linear(x, state[name + ".weight"], state[name + ".bias"])

    def norm(x, name):
        return F.layer_norm(x, x.shape[-1:], state[name + ".weight"], state[name + ".bias"])

    length = max(map(len, prompts)) + 2  # what comes after the end is not seen from before it
    tokens = torch.zeros(len(prompts), length, dtype=torch.long)
    for row, prompt in zip(tokens, prompts):
        row[:len(prompt) + 2] = torch.tensor([START, *prompt, END])
    x = state["token_embedding.weight"][tokens] + state["positional_embedding"][:length]
    width, heads = x.shape[-1], x.shape[-1] // 64
    mask = torch.full((length, length), float("-inf"), dtype=x.dtype).triu(1)
    depth = len({name.split(".")[2] for name in state if name.startswith("transformer.resblocks.")})
    for k in range(depth):
        block = f"transformer.resblocks.{k}."
        qkv = F.linear(norm(x, block + "ln_1"), state[block + "attn.in_proj_weight"], state[block + "attn.in_proj_bias"])
        q, k_, v = (part.unflatten(-1, (heads, width // heads)).transpose(1, 2) for part in qkv.chunk(3, -1))
        x = x + linear(F.scaled_dot_product_attention(q, k_, v, mask).transpose(1, 2).flatten(2), block + "attn.out_proj")
        h = linear(norm(x, block + "ln_2"), block + "mlp.c_fc")
        x = x + linear(h * torch.sigmoid(1.702 * h), block + "mlp.c_proj")
    ends = torch.tensor([len(prompt) + 1 for prompt in prompts])
    return norm(x, "ln_final")[torch.arange(len(prompts)), ends] @ state["text_projection"]


def visual(state):
    return {name: value for name, value in state.items() if name.startswith("visual.")
            and not name.endswith("num_batches_tracked")}


def clipiqa(state):
    tower = {name: value for name, value in visual(state).items() if not name.endswith("attnpool.positional_embedding")}
    return {**tower, "text.pairs": text_features(state, PAIRS), "text.pair": text_features(state, PAIR), "logit_scale": state["logit_scale"].reshape(1)}


def liqe(state, prompts=QUALITY):
    state = {name.removeprefix("clip_model."): value for name, value in state.items()}
    return {**visual(state), "text.quality": text_features(state, prompts), "logit_scale": state["logit_scale"].reshape(1)}


def liqe_mix(state):
    return liqe(state, JOINT)


def musiq(state):
    return state


def dinov3_of_hugging_face(state):
    """Its names -> Meta's; query, key (which has no bias) and value in one matrix, as there."""
    import torch
    found = {"cls_token": state["embeddings.cls_token"], "storage_tokens": state["embeddings.register_tokens"]}
    for part in ("weight", "bias"):
        found[f"patch_embed.proj.{part}"] = state[f"embeddings.patch_embeddings.{part}"]
        found[f"norm.{part}"] = state[f"norm.{part}"]
    for k in range(12):
        layer, block = f"layer.{k}.", f"blocks.{k}."
        bias = state[layer + "attention.q_proj.bias"]
        found[block + "attn.qkv.weight"] = torch.cat([state[f"{layer}attention.{name}_proj.weight"] for name in "qkv"])
        found[block + "attn.qkv.bias"] = torch.cat([bias, torch.zeros_like(bias), state[layer + "attention.v_proj.bias"]])
        for theirs, ours in (("attention.o_proj", "attn.proj"), ("mlp.up_proj", "mlp.fc1"), ("mlp.down_proj", "mlp.fc2"), ("norm1", "norm1"), ("norm2", "norm2")):
            found |= {f"{block}{ours}.{part}": state[f"{layer}{theirs}.{part}"] for part in ("weight", "bias")}
        found |= {f"{block}ls{n}.gamma": state[f"{layer}layer_scale{n}.lambda1"] for n in (1, 2)}
    return found


def dinov3(state):
    """Meta's training masks the keys' bias out, so what stands there means nothing: zeros. The rotary periods follow from a formula."""
    import torch
    if "layer.0.layer_scale1.lambda1" in state:
        return dinov3_of_hugging_face(state)
    periods = state.get("rope_embed.periods", 100 ** (torch.arange(16) / 16))
    if periods.shape != (16,) or not torch.allclose(periods, 100 ** (torch.arange(16) / 16), rtol=1e-2):  # some releases hold them in bf16
        raise ConvertError("rope_embed.periods: expected 100^(k/16), found others. Is it the ViT-S/16 of DINOv3?")
    found = {name: value for name, value in state.items() if name != "mask_token" and not name.startswith(("rope_embed", "local_cls_norm"))
             and not name.endswith("bias_mask")}
    for k in range(12):
        bias = found[f"blocks.{k}.attn.qkv.bias"] = found[f"blocks.{k}.attn.qkv.bias"].clone()
        bias[len(bias) // 3:2 * len(bias) // 3] = 0
    return found


def inception(state):
    return {name: value for name, value in state.items() if re.match(r"(Conv2d|Mixed)_", name) and not name.endswith("num_batches_tracked")}


def maniqa(state):
    return {name: value for name, value in state.items() if MANIQA.match(name)}


# name -> conversion, how many tensors it makes, names of which the file has one: by it the file is recognised
TABLE = {"clipiqa": (clipiqa, 286, ["visual.layer4.2.conv3.weight"])}
TABLE |= {name: (made, 154, ["visual.transformer.resblocks.11.ln_2.weight", "clip_model.visual.transformer.resblocks.11.ln_2.weight"])
          for name, made in (("liqe", liqe), ("liqe_mix", liqe_mix))}
TABLE["fid"] = (inception, 470, ["Mixed_7c.branch3x3dbl_3b.conv.weight"])
TABLE["dinov3_vits16"] = (dinov3, 174, ["blocks.11.ls2.gamma", "layer.11.layer_scale2.lambda1"])
TABLE |= {f"maniqa-{data}": (maniqa, 272, ["tablock1.0.c_q.weight"]) for data in ("koniq", "pipal", "kadid")}
TABLE |= {f"musiq-{data}": (musiq, 248, ["transformer_encoder.cls"]) for data in ("koniq", "ava", "spaq", "paq2piq")}


def read_safetensors(path):
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
        return {name: value.float() for name, value in load_file(str(path)).items()}
    except ImportError as error:
        raise ConvertError(f"{path}: a safetensors file needs the Python package safetensors, which is not here. pip install safetensors") from error
    except SafetensorError as error:
        raise ConvertError(f"{path}: {error}. The file is damaged; get it again") from error


def read_state(path):
    """{name: float32 torch tensor}; the usual wrappings are taken off."""
    import torch
    if not path.is_file():
        raise ConvertError(f"{path}: expected a file, found none")
    with path.open("rb") as stream:
        start = stream.read(9)
    if start[8:] == b"{":  # after the length of its header
        return read_safetensors(path)
    if zipfile.is_zipfile(path) and any("/code/" in name for name in zipfile.ZipFile(path).namelist()):
        return {name: value.float() for name, value in torch.jit.load(str(path), map_location="cpu").state_dict().items()}
    try:
        tree = torch_pickle.load(path.read_bytes())
    except torch_pickle.WeightError as error:
        raise ConvertError(f"{path}: {error}") from error
    for wrapping in ("params", "state_dict"):
        if isinstance(tree, dict) and wrapping in tree:
            tree = tree[wrapping]
    if not isinstance(tree, dict) or not tree:
        raise ConvertError(f"{path}: expected names and tensors, found none. Is it the file that this converter's help names?")
    return {name.removeprefix("module."): torch.from_numpy(value.copy()).float() for name, value in tree.items() if hasattr(value, "shape")}


def convert(name, path):
    import torch
    conversion, count, landmarks = TABLE[name]
    state = read_state(path)
    if not any(landmark in state for landmark in landmarks):
        raise ConvertError(f"{path}: expected tensor '{landmarks[0]}' of {name}, found others. Is it the file that this converter's help names?")
    try:
        with torch.no_grad():
            tensors = {key: value.numpy() for key, value in conversion(state).items()}
    except KeyError as error:
        raise ConvertError(f"{path}: expected tensor {error} of {name}, found none. Is it another variant of the model?") from error
    if len(tensors) != count:
        raise ConvertError(f"{path}: expected {count} tensors of {name}, found {len(tensors)}. Is it another variant of the model?")
    out = fetch_weights.cache_folder() / f"{name}.safetensors"
    metadata = {"source": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "licence": "that of the file", "revision": fetch_weights.REVISION}
    fetch_weights.write_atomically(out, fetch_weights.encode(tensors, metadata))
    print(f"{name}: written to {out} ({out.stat().st_size / 1e6:.1f} MB)")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=sorted(TABLE))
    parser.add_argument("file", type=Path)
    options = parser.parse_args()
    convert(options.name, options.file)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ConvertError as error:
        sys.exit(f"convert_weights: {error}")
    except OSError as error:
        sys.exit(f"convert_weights: {error}")
