// SPDX-License-Identifier: Apache-2.0
#include "finpercep/degrade/noise.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

namespace finpercep {
namespace {

// Poisson draws have at most 256 different means (8-bit levels times vals), so each level gets an alias table (Walker 1977; construction
// of Vose 1991) and a draw costs one random word and one look-up. The top 8 bits of the word choose a slot, the lower 24 decide between
// the slot's own value and its alias.
constexpr int kSlots = 256;  // covers mean +- 7.9 standard deviations at the largest mean, 256

struct PoissonTables {
  std::vector<uint32_t> slots;         // 256 levels x kSlots: threshold of 24 bits, then the alias
  std::array<float, 256> first_noise;  // first value of the level's table / vals - level / 255
};

// xoshiro128++ (Blackman and Vigna 2021) in 16 lanes side by side, seeded from the image's stream: one Philox word a pixel would cost more
// than all the rest of the noise.
struct WideRandom {
  static constexpr int kLanes = 16;
  uint32_t s[4][kLanes];

  explicit WideRandom(Random& random) {
    for (auto& row : s)
      for (uint32_t& word : row) word = random.bits();
  }
  void next(uint32_t* out) {
    for (int i = 0; i < kLanes; ++i) {
      out[i] = std::rotl(s[0][i] + s[3][i], 7) + s[0][i];
      const uint32_t t = s[1][i] << 9;
      s[2][i] ^= s[0][i];
      s[3][i] ^= s[1][i];
      s[1][i] ^= s[2][i];
      s[0][i] ^= s[3][i];
      s[2][i] ^= t;
      s[3][i] = std::rotl(s[3][i], 11);
    }
  }
};

void fill_alias(uint32_t* slots, const std::array<double, kSlots>& probability) {
  std::array<double, kSlots> share;  // probability in units of a slot
  std::array<int, kSlots> small, large, alias;
  int small_count = 0, large_count = 0;
  for (int k = 0; k < kSlots; ++k) {
    share[k] = probability[k] * kSlots;
    alias[k] = k;
    (share[k] < 1 ? small[small_count++] : large[large_count++]) = k;
  }
  while (small_count > 0 && large_count > 0) {
    const int s = small[--small_count], l = large[large_count - 1];
    alias[s] = l;
    share[l] -= 1 - share[s];
    if (share[l] < 1) {
      --large_count;
      small[small_count++] = l;
    }
  }
  // What is left is 1 up to rounding.
  while (small_count > 0) share[small[--small_count]] = 1;
  while (large_count > 0) share[large[--large_count]] = 1;
  // A full slot would need one bit more; its alias is itself, so the threshold does not matter.
  for (int k = 0; k < kSlots; ++k) {
    const auto threshold = std::min<uint32_t>(static_cast<uint32_t>(std::lround(share[k] * 0x1p24)), 0xffffff);
    slots[k] = threshold << 8 | static_cast<uint32_t>(share[k] >= 1 ? k : alias[k]);
  }
}

std::unique_ptr<PoissonTables> build_tables(int vals) {
  auto tables = std::make_unique<PoissonTables>();
  tables->slots.resize(256 * kSlots);
  for (int level = 0; level < 256; ++level) {
    const double mean = level / 255.0 * vals;
    const int first = std::max(0, static_cast<int>(mean) - kSlots / 2);
    std::array<double, kSlots> probability;
    double sum = 0;
    for (int k = 0; k < kSlots; ++k) {
      const int value = first + k;
      int sign;  // lgamma itself writes a global
      probability[k] = mean == 0 ? (value == 0 ? 1.0 : 0.0) : std::exp(value * std::log(mean) - mean - lgamma_r(value + 1.0, &sign));
      sum += probability[k];
    }
    for (double& p : probability) p /= sum;
    fill_alias(tables->slots.data() + static_cast<std::size_t>(level) * kSlots, probability);
    tables->first_noise[level] = static_cast<float>(static_cast<double>(first) / vals - level / 255.0);
  }
  return tables;
}

// vals is one of 1, 2, 4, .., 256; its tables are made once in the life of the program.
const PoissonTables& tables_for(int vals) {
  static std::array<std::once_flag, 9> once;
  static std::array<std::unique_ptr<PoissonTables>, 9> tables;
  const int index = std::countr_zero(static_cast<unsigned>(vals));
  std::call_once(once[index], [&] { tables[index] = build_tables(vals); });
  return *tables[index];
}

uint8_t level_of(float value) { return static_cast<uint8_t>(std::clamp(value, 0.0f, 1.0f) * 255.0f + 0.5f); }

int poisson_vals(const std::vector<uint8_t>& levels) {
  std::array<bool, 256> seen{};
  for (const uint8_t level : levels) seen[level] = true;
  return static_cast<int>(std::bit_ceil(static_cast<unsigned>(std::count(seen.begin(), seen.end(), true))));
}

}  // namespace

void add_gaussian_noise(Image& image, double sigma, bool gray, Random& random) {
  const std::size_t plane = image.plane_size();
  std::vector<float> noise(gray ? plane : image.data.size());
  random.fill_normal(noise.data(), noise.size());
  const float amplitude = static_cast<float>(sigma / 255);
  for (int c = 0; c < image.channels; ++c) {
    float* out = image.plane(c);
    const float* add = noise.data() + (gray ? 0 : c * plane);
    for (std::size_t i = 0; i < plane; ++i) out[i] = std::clamp(out[i] + amplitude * add[i], 0.0f, 1.0f);
  }
}

void add_poisson_noise(Image& image, double scale, bool gray, Random& random) {
  const std::size_t plane = image.plane_size();
  const bool luma = gray && image.channels == 3;
  std::vector<uint8_t> levels(luma ? plane : image.data.size());
  if (luma) {
    const float *r = image.plane(0), *g = image.plane(1), *b = image.plane(2);
    for (std::size_t i = 0; i < plane; ++i) levels[i] = level_of(0.2989f * r[i] + 0.587f * g[i] + 0.114f * b[i]);
  } else {
    for (std::size_t i = 0; i < levels.size(); ++i) levels[i] = level_of(image.data[i]);
  }
  if (levels.empty()) return;
  const int vals = poisson_vals(levels);
  const PoissonTables& tables = tables_for(vals);
  const float amplitude = static_cast<float>(scale), step = 1.0f / static_cast<float>(vals);
  WideRandom words(random);
  uint32_t word[WideRandom::kLanes];
  float noise[WideRandom::kLanes];
  for (std::size_t begin = 0; begin < levels.size(); begin += WideRandom::kLanes) {
    const std::size_t count = std::min<std::size_t>(WideRandom::kLanes, levels.size() - begin);
    words.next(word);
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t level = levels[begin + i];
      const uint32_t index = word[i] >> 24, slot = tables.slots[level * kSlots + index];
      const uint32_t drawn = (word[i] & 0xffffff) < slot >> 8 ? index : slot & 0xff;
      noise[i] = amplitude * (tables.first_noise[level] + step * static_cast<float>(drawn));
    }
    for (int c = 0; c < (luma ? 3 : 1); ++c) {
      float* values = image.data.data() + c * plane + begin;
      for (std::size_t i = 0; i < count; ++i) values[i] = std::clamp(values[i] + noise[i], 0.0f, 1.0f);
    }
  }
}

}  // namespace finpercep
