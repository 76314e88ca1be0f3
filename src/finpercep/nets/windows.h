// SPDX-License-Identifier: Apache-2.0
// Attention inside windows of tokens (Liu et al., Swin, ICCV 2021): its cost grows with the picture and not with its square, and what a net
// learnt on small pictures holds for large ones.
#pragma once
#include "finpercep/nets/transformer.h"

namespace finpercep {

/// qkv: N x rows x columns x 3 C, rows and columns multiples of `side`; N x rows x columns x C. `offsets`, (2 side - 1)^2 x heads, is what
/// each relative position adds to the logits. `shifted` moves the windows by half their side, so that blocks in turn carry information
/// across their edges; tokens that only the shift made neighbours do not see each other.
at::Tensor attend_in_windows(const at::Tensor& qkv, int64_t side, int64_t heads, const at::Tensor& offsets, bool shifted);

/// Of the table `offsets`.
inline int64_t window_offsets(int64_t side) { return (2 * side - 1) * (2 * side - 1); }

}  // namespace finpercep
