// SPDX-License-Identifier: Apache-2.0
// A generator as TorchScript: a file that Python loads with plain torch, runs on any device and trains.
#pragma once
#include <string>

#include "finpercep/generate/generator.h"

namespace finpercep {

/// The bytes of the file. Its tensors are the generator's under their names, with '_' for '.'. A net that sees the LR picture has
///   forward(lr: N x 3 x H x W in [0,1], any size) -> N x 3 x scale H x scale W in [0,1]
/// and one with a chain of T steps
///   forward(lr, noise=None)
/// where noise is N x T x 3 x scale H' x scale W' standard normals (a flow: N x 1 x ..), H' and W' the LR sides rounded up to multiples of
/// lr_multiple(). Where it is None, torch.randn draws it. `facts` goes into the file as JSON, the extra file "finpercep.json". usage_error
/// for a generator that is TorchScript already.
std::string export_generator(const Generator& generator, const std::string& facts);

/// What forward() takes and gives, in words and with the numbers of this generator: for `facts`.
std::string forward_facts(const Generator& generator);

}  // namespace finpercep
