// SPDX-License-Identifier: Apache-2.0
// Super-resolvers made elsewhere as TorchScript modules. The file must hold a module saved by torch.jit.save with the method
//   forward(lr: Tensor) -> Tensor            or            forward(lr: Tensor, noise: Tensor) -> Tensor
// lr: N x 3 x H x W, float32, RGB in [0,1], any H and W. Returns SR: N x 3 x 4H x 4W, in [0,1] (what lies outside is clamped). noise:
// N x 3 x 4H x 4W standard normals drawn from the picture's seed, for modules that sample: with noise of their own a data set could not be
// rebuilt. The module runs in float32, unless it casts itself. A module is a program: load only those whose origin you trust.
#pragma once
#include "finpercep/generate/super_resolver.h"

namespace finpercep {

/// Whether the name's ending (.pt, .pth, .ts) or the file's first bytes (a zip archive) say so.
bool may_be_torchscript(const std::string& file);

/// model_error in one line: not a TorchScript module, another signature, a module that fails, a wrong shape of its output, NaN in it.
SuperResolver load_torchscript(const std::string& file, const UpscaleOptions& options);

}  // namespace finpercep
