// SPDX-License-Identifier: Apache-2.0
// Frechet inception distance (Heusel et al. 2017): of two SETS of pictures, the distance |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)) of
// Gaussians fitted to the 2048 features of Inception V3. One number a set, which depends on how many pictures there are: compare only equal
// counts. Convention: "clean" (Parmar et al., CVPR 2022): PIL bicubic in float to 299 x 299, each channel clipped, (255 x - 128) / 128; C
// over n - 1. Weights: pt_inception-2015-12-05-6726825d.pth of pytorch-fid, by tools/convert_weights.py.
#pragma once
#include <string>

#include "finpercep/image.h"
#include "finpercep/nets/inception.h"

namespace finpercep {

/// Below it the covariance of the features is singular; the distance is still defined.
inline constexpr int64_t fid_full_rank = Inception::features;

struct Fid {
  /// model_error naming the file to supply when the weights are absent.
  static Fid load(at::Device device = at::kCPU);
  static Fid from(const TensorFile& file, const std::string& where, at::Device device = at::kCPU);

  /// What the net is given of a picture: 1 x 3 x 299 x 299, on the CPU. Needs no weights; may be called from several threads.
  static at::Tensor prepare(const Image& picture);
  /// x: a batch of these. N x 2048 in double, on the CPU.
  at::Tensor features(const at::Tensor& x) const;

  Inception net;
  at::Device device = at::kCPU;
};

/// a: N x D, b: M x D, in double. input_error for fewer than two rows. Exact for singular covariances too: with a = centred features /
/// sqrt(N - 1), the eigenvalues of C1 C2 are the squared singular values of a b', so that no root of a singular matrix is taken.
double frechet_distance(const at::Tensor& a, const at::Tensor& b);

}  // namespace finpercep
