// SPDX-License-Identifier: Apache-2.0
// Anything that makes a picture larger, by name; the public nets four times, bicubic@N N times, TorchScript modules as they do. The names
// stand in super_resolver.cpp, the one place to add one.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "finpercep/image.h"
#include "finpercep/nets/optimise.h"

namespace finpercep {

/// (LR, seed) -> SR of scale times the size, in [0,1]. May be called from several threads at once.
using SuperResolver = std::function<Image(const Image& lr, uint64_t seed)>;

struct UpscaleOptions {
  int64_t tile = 256;  ///< LR pixels a side of a tile; larger pictures are done in overlapping tiles, 0 never
  Compute compute;
  bool strict = false;  ///< a TorchScript module's pictures of another range than [0,1] are a model_error, not a warning
};

/// One of `generator_names()`, a checkpoint of a generator, or a TorchScript module (FILE.pt; torchscript.h). NAME@N for a generator of
/// ours: the same weights with another number of steps (`chain_of`); bicubic@N enlarges N times.
SuperResolver make_super_resolver(const std::string& name, const UpscaleOptions& options);

/// hash_of the files of weights behind NAME or NAME@N; "" where there is none (bicubic, a folder).
std::string weights_hash(const std::string& name);

/// bicubic, the public nets, the shipped generators.
std::vector<std::string> generator_names();

constexpr int64_t direct_scale = 4;  ///< of the public nets, and of TorchScript modules that take noise

}  // namespace finpercep
