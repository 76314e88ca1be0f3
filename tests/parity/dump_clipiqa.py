#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""CLIP-IQA on weights by formula, with OpenAI's own model code (PyPI clip-anytorch, MIT), and the fixture clipiqa.json.

    pip download clip-anytorch==2.6.0 --no-deps -d /tmp/clip && unzip -q /tmp/clip/*.whl -d /tmp/clip && tests/parity/dump_clipiqa.py /tmp/clip
"""
import importlib.util
import sys
from pathlib import Path

import torch

from formula import formula, formula_tensor, summary, write

MEAN = torch.tensor([.48145466, .4578275, .40821073], dtype=torch.float64).view(3, 1, 1)
STD = torch.tensor([.26862954, .26130258, .27577711], dtype=torch.float64).view(3, 1, 1)


def public_model(folder):
    spec = importlib.util.spec_from_file_location("clip_model", Path(folder) / "clip" / "model.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def check_words(models):
    """The text tower of tools/convert_weights.py against the public one, on its random initial weights."""
    sys.path.insert(0, str(Path(__file__).parent.parent.parent / "tools"))
    import convert_weights
    model = models.CLIP(1024, 224, (1, 1, 1, 1), 64, None, 77, 49408, 512, 8, 3).eval()
    with torch.no_grad():
        tokens = torch.zeros(len(convert_weights.PAIRS), 77, dtype=torch.long)
        for row, prompt in zip(tokens, convert_weights.PAIRS):
            row[:len(prompt) + 2] = torch.tensor([convert_weights.START, *prompt, convert_weights.END])
        public = model.encode_text(tokens)
        ours = convert_weights.text_features(model.state_dict(), convert_weights.PAIRS)
    deviation = (public - ours).abs().max().item() / public.abs().max().item()
    assert deviation < 1e-5, deviation
    return deviation


def main():
    net = public_model(sys.argv[1]).ModifiedResNet((3, 4, 6, 3), 1024, 32).double().eval()
    state = {name: value for name, value in net.state_dict().items() if not name.endswith("num_batches_tracked")}
    shapes = {"visual." + name: list(value.shape) for name, value in state.items() if "positional" not in name}
    net.load_state_dict({name: formula_tensor("visual." + name, list(value.shape)).double() for name, value in state.items()}, strict=False)
    net.attnpool.positional_embedding = torch.nn.Parameter(torch.zeros(1, 2048, dtype=torch.float64))  # broadcast: none, at any size
    extra = {"text.pairs": [10, 1024], "text.pair": [2, 1024], "logit_scale": [1]}
    text = {name: formula_tensor(name, shape).double() for name, shape in extra.items()}
    seen = []
    net.layer4.register_forward_hook(lambda module, given, result: seen.append(result))
    cases = []
    for height, width in ((64, 96), (77, 130)):
        with torch.no_grad():
            embedding = net((formula(height, width) - MEAN) / STD)
        scores = {}
        for form in ("pairs", "pair"):
            words = text["text." + form]
            cosine = embedding / embedding.norm(dim=1, keepdim=True) @ (words / words.norm(dim=1, keepdim=True)).T
            scores[form] = (text["logit_scale"].exp() * cosine).reshape(-1, 2).softmax(1)[:, 0].mean().item()
        cases.append({"height": height, "width": width, "features": summary(seen.pop()), "embedding": summary(embedding), **scores})
    print(f"text tower: largest deviation {check_words(public_model(sys.argv[1])):.1e} of the largest value")
    write("clipiqa.json", {"made_by": "tests/parity/dump_clipiqa.py with clip-anytorch 2.6.0, float64", "tensors": {**shapes, **extra}, "cases": cases})


if __name__ == "__main__":
    main()
