// SPDX-License-Identifier: Apache-2.0
// M_gt as TorchScript: with it, a training in Python lets the exported reward learn along with its generator.
#pragma once
#include <string>

#include "finpercep/fgr/label.h"

namespace finpercep {

/// The bytes of a module that plain torch loads, without gradients:
///   forward(gt, syn: N x 3 x H x W in [0,1], any size; mask: N x 1 x H x W; alpha, scale: floats that have a default) -> N x 1 x H x W in
///   [0,1], as normalize_label(raw_difference(..));
///   raw(gt, syn, alpha), the same before mask and scale: for another alpha the scale is another.
/// `facts` goes into it as JSON, the extra file "finpercep.json".
std::string export_label(const LabelFeatures& features, double alpha, double scale, const std::string& facts);

}  // namespace finpercep
