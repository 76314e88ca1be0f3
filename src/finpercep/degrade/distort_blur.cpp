// SPDX-License-Identifier: Apache-2.0
#include "finpercep/degrade/distort_kinds.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "finpercep/degrade/blur.h"
#include "finpercep/image/gray.h"
#include "finpercep/image/resize.h"

namespace finpercep::distortion {

double geometric(double weak, double severe, double strength) { return weak * std::pow(severe / weak, strength); }

namespace {

Image square(Image image) {
  for (float& value : image.data) value *= value;
  return image;
}

Image box(const Image& image, int radius) { return filter_separable(image, std::vector<float>(2 * radius + 1, 1.0f / (2 * radius + 1))); }

// Mean of the squares less the square of the mean.
Image variance(const Image& mean, Image mean_square) {
  for (std::size_t i = 0; i < mean.data.size(); ++i)
    mean_square.data[i] = std::max(0.0f, mean_square.data[i] - mean.data[i] * mean.data[i]);
  return mean_square;
}

}  // namespace

Image local_deviation(const Image& photo, double sigma) {
  const Image y = to_gray(photo);
  Image out = variance(blur_by(y, sigma), blur_by(square(y), sigma));
  for (float& value : out.data) value = std::sqrt(value);
  return out;
}

Image guided_filter(const Image& photo, int radius, double epsilon) {
  const Image mean = box(photo, radius);
  Image slope = variance(mean, box(square(photo), radius)), offset = mean;
  for (std::size_t i = 0; i < slope.data.size(); ++i) {
    slope.data[i] /= slope.data[i] + static_cast<float>(epsilon);
    offset.data[i] *= 1 - slope.data[i];
  }
  slope = box(slope, radius);
  Image out = box(offset, radius);
  for (std::size_t i = 0; i < out.data.size(); ++i) out.data[i] += slope.data[i] * photo.data[i];
  return out;
}

Image gaussian_blur(const Image& photo, double strength, Random&) { return blur_by(photo, geometric(0.6, 6, strength)); }

// A line of the given length through the centre, each sample shared between its four nearest taps.
Image motion_blur(const Image& photo, double strength, Random& random) {
  const double length = geometric(2.5, 30, strength), angle = random.uniform(0, std::numbers::pi);
  const int radius = static_cast<int>(std::ceil(length / 2)) + 1, samples = static_cast<int>(std::ceil(8 * length));
  Kernel kernel;
  kernel.size = 2 * radius + 1;
  kernel.weights.assign(static_cast<std::size_t>(kernel.size) * kernel.size, 0.0f);
  for (int i = 0; i < samples; ++i) {
    const double t = ((i + 0.5) / samples - 0.5) * length, x = radius + t * std::cos(angle), y = radius + t * std::sin(angle);
    const int x0 = static_cast<int>(x), y0 = static_cast<int>(y);
    for (int dy = 0; dy < 2; ++dy)
      for (int dx = 0; dx < 2; ++dx) {
        const double share = (dx ? x - x0 : 1 - (x - x0)) * (dy ? y - y0 : 1 - (y - y0));
        kernel.weights[static_cast<std::size_t>(y0 + dy) * kernel.size + x0 + dx] += static_cast<float>(share / samples);
      }
  }
  return filter2d(photo, kernel);
}

// A disc; the weights of its rim are the share of the pixel that lies inside.
Image lens_blur(const Image& photo, double strength, Random&) {
  const double radius = geometric(1, 9, strength);
  const int reach = static_cast<int>(std::ceil(radius)), parts = 8;
  Kernel kernel;
  kernel.size = 2 * reach + 1;
  kernel.weights.clear();
  double sum = 0;
  for (int y = -reach; y <= reach; ++y)
    for (int x = -reach; x <= reach; ++x) {
      int inside = 0;
      for (int i = 0; i < parts * parts; ++i)
        inside += std::hypot(x + (i % parts + 0.5) / parts - 0.5, y + (i / parts + 0.5) / parts - 0.5) <= radius;
      kernel.weights.push_back(static_cast<float>(inside));
      sum += inside;
    }
  for (float& weight : kernel.weights) weight = static_cast<float>(weight / sum);
  return filter2d(photo, kernel);
}

Image pixelate(const Image& photo, double strength, Random&) {
  return down_up(photo, geometric(1.4, 10, strength), Resize::area, Resize::nearest);
}

Image bicubic_down_up(const Image& photo, double strength, Random&) {
  return down_up(photo, geometric(1.5, 10, strength), Resize::bicubic_aa, Resize::bicubic);
}

Image aliasing(const Image& photo, double strength, Random&) {
  return down_up(photo, geometric(1.3, 6, strength), Resize::nearest, Resize::bicubic);
}

Image oversmooth(const Image& photo, double strength, Random&) {
  return guided_filter(photo, 4, std::pow(geometric(0.02, 0.5, strength), 2));
}

namespace {

// Of the four squares with the pixel in a corner, the mean of the one that varies least.
Image kuwahara(const Image& photo, int half) {
  if (half == 0) return photo;
  const Image mean = box(photo, half), spread = variance(mean, box(square(photo), half));
  Image out = photo;
  for (int y = 0; y < photo.height; ++y)
    for (int x = 0; x < photo.width; ++x) {
      float least = std::numeric_limits<float>::max();
      for (const int dy : {-half, half})
        for (const int dx : {-half, half}) {
          const int v = std::clamp(y + dy, 0, photo.height - 1), u = std::clamp(x + dx, 0, photo.width - 1);
          const float varies = spread.at(0, v, u) + spread.at(1, v, u) + spread.at(2, v, u);
          if (varies >= least) continue;
          least = varies;
          for (int c = 0; c < 3; ++c) out.at(c, y, x) = mean.at(c, v, u);
        }
    }
  return out;
}

}  // namespace

// Between two whole sizes of the squares the pictures are mixed.
Image painting(const Image& photo, double strength, Random&) {
  const double half = geometric(0.5, 6, strength);
  const int below = static_cast<int>(half);
  Image out = kuwahara(photo, below);
  const Image above = kuwahara(photo, below + 1);
  for (std::size_t i = 0; i < out.data.size(); ++i) out.data[i] += static_cast<float>(half - below) * (above.data[i] - out.data[i]);
  return out;
}

}  // namespace finpercep::distortion
