// SPDX-License-Identifier: Apache-2.0
#include "finpercep/image/tensor.h"

#include <doctest/doctest.h>

using namespace finpercep;

TEST_CASE("an image survives the bridge and lies as C x H x W") {
  Image image(3, 2);
  for (std::size_t i = 0; i < image.data.size(); ++i) image.data[i] = static_cast<float>(i) / 18;
  const at::Tensor tensor = to_tensor(image);
  CHECK(tensor.sizes() == at::IntArrayRef({1, 3, 2, 3}));
  CHECK(tensor[0][1][0][2].item<float>() == image.at(1, 0, 2));
  CHECK(to_image(tensor.to(at::kDouble)).data == image.data);
  CHECK(to_batch({image, image}).size(0) == 2);
}
