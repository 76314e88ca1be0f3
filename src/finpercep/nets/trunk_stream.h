// SPDX-License-Identifier: Apache-2.0
// AlexNet's and VGG16's slices for two pictures at once, without gradients, on the CPU: pixels outermost, 3 x 3 convolutions by Winograd,
// and bands of rows, so that the features of a whole slice are never held: at 1024 x 1024, VGG16's first alone has 256 MB a picture.
#pragma once
#include <array>
#include <functional>
#include <memory>

#include "finpercep/nets/alexnet.h"
#include "finpercep/nets/winograd.h"

namespace finpercep {

/// `pixels` x `channels` features of slice `slice` at the same places of both pictures. The calls for a slice cover it once.
using TakeFeatures = std::function<void(std::size_t slice, const float* a, const float* b, int64_t pixels, int64_t channels)>;

/// What lies between two slices.
enum class SlicePool {
  max,  ///< of 2 x 2, as in VGG16
  l2,   ///< DISTS: sqrt of the mean of squares under the inner 3 x 3 of a Hanning window, every other pixel
};

class VggStream {
 public:
  explicit VggStream(const Vgg16& net);
  /// a, b: 3 x H x W of equal size, normalised, sides at least Vgg16::min_side.
  void operator()(const at::Tensor& a, const at::Tensor& b, SlicePool pool, const TakeFeatures& take) const;

 private:
  at::Tensor features(const at::Tensor& x, std::size_t slice, int64_t begin, int64_t end) const;  // rows of a slice from H x W x C
  Conv first_;
  std::vector<WinogradConv> convs_;  // the twelve after it
};

class AlexStream {
 public:
  explicit AlexStream(const AlexNet& net);
  /// a, b: 3 x H x W of equal size, normalised, sides at least AlexNet::min_side.
  void operator()(const at::Tensor& a, const at::Tensor& b, const TakeFeatures& take) const;

 private:
  std::array<Conv, 2> large_;  // 11 x 11 and 5 x 5
  std::vector<WinogradConv> convs_;
};

}  // namespace finpercep
