// SPDX-License-Identifier: Apache-2.0
#include "finpercep/base/random.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numbers>
#include <numeric>

#include <fmt/format.h>
#include <xxhash.h>

#include "finpercep/base/error.h"

namespace finpercep {
namespace {

// Multipliers and key increments of Philox4x32, Salmon et al. 2011, table 2 and section 3.4.
constexpr uint32_t kMultiplier0 = 0xD2511F53, kMultiplier1 = 0xCD9E8D57;
constexpr uint32_t kWeyl0 = 0x9E3779B9, kWeyl1 = 0xBB67AE85;

inline void philox_rounds(uint32_t& c0, uint32_t& c1, uint32_t& c2, uint32_t& c3, uint32_t k0, uint32_t k1) {
#pragma GCC unroll 10
  for (int round = 0; round < 10; ++round) {
    const uint64_t product0 = static_cast<uint64_t>(kMultiplier0) * c0, product1 = static_cast<uint64_t>(kMultiplier1) * c2;
    const uint32_t high0 = static_cast<uint32_t>(product0 >> 32), high1 = static_cast<uint32_t>(product1 >> 32);
    c0 = high1 ^ c1 ^ k0;
    c2 = high0 ^ c3 ^ k1;
    c1 = static_cast<uint32_t>(product1);
    c3 = static_cast<uint32_t>(product0);
    k0 += kWeyl0;
    k1 += kWeyl1;
  }
}

// The two functions below are branch free so that loops over them vectorise, and use no libm, so that the numbers are the same on
// any machine with IEEE arithmetic (the build turns contraction to FMA off).

/// -2 ln((x + 1) / 2^32), the squared radius of Box and Muller. ln(m 2^e) = e ln 2 + 2 artanh((m - 1) / (m + 1)).
inline float radius_squared(uint32_t x) {
  const float u =
      (static_cast<float>(static_cast<int32_t>(x >> 8)) * 256.0f + static_cast<float>(static_cast<int32_t>(x & 255)) + 1.0f) * 0x1p-32f;
  int32_t bits;
  std::memcpy(&bits, &u, sizeof bits);
  const int32_t exponent = (bits - 0x3f3504f3) >> 23;  // so that the mantissa m lies in [sqrt(1/2), sqrt(2))
  const int32_t mantissa = bits - (exponent << 23);
  float m;
  std::memcpy(&m, &mantissa, sizeof m);
  const float s = (m - 1.0f) / (m + 1.0f), s2 = s * s;
  const float artanh = s + s * s2 * (1.0f / 3 + s2 * (1.0f / 5 + s2 * (1.0f / 7 + s2 * (1.0f / 9))));
  return std::max(0.0f, -2.0f * (static_cast<float>(exponent) * std::numbers::ln2_v<float> + 2.0f * artanh));
}

/// Cosine and sine of x / 2^32 turns: the nearest quarter turn exactly, the rest (at most 1/8 turn) by Taylor series.
inline void cos_sin_of_turn(uint32_t x, float& cosine, float& sine) {
  const uint32_t quarter = (x + 0x20000000u) >> 30;
  const float angle = static_cast<float>(static_cast<int32_t>(x - (quarter << 30))) * static_cast<float>(std::numbers::pi * 0x1p-31);
  const float a2 = angle * angle;
  const float s = angle + angle * a2 * (-1.0f / 6 + a2 * (1.0f / 120 + a2 * (-1.0f / 5040 + a2 * (1.0f / 362880))));
  const float c = 1.0f + a2 * (-1.0f / 2 + a2 * (1.0f / 24 + a2 * (-1.0f / 720 + a2 * (1.0f / 40320))));
  const float c_turned = (quarter & 1) ? s : c, s_turned = (quarter & 1) ? c : s;
  cosine = ((quarter + 1) & 2) ? -c_turned : c_turned;
  sine = (quarter & 2) ? -s_turned : s_turned;
}

constexpr int kLanes = 32;  // Philox blocks that fill_normal makes at once

/// 4 * kLanes normals from the blocks at `counter` and after.
void normals_of_lanes(uint64_t first_block, const std::array<uint32_t, 4>& counter, const std::array<uint32_t, 2>& key, float* out) {
  alignas(64) uint32_t x[4][kLanes];
  for (int i = 0; i < kLanes; ++i) {
    const uint64_t block = first_block + static_cast<uint64_t>(i);
    x[0][i] = static_cast<uint32_t>(block);
    x[1][i] = static_cast<uint32_t>(block >> 32);
  }
  for (int i = 0; i < kLanes; ++i) {
    uint32_t c0 = x[0][i], c1 = x[1][i], c2 = counter[2], c3 = counter[3];
    philox_rounds(c0, c1, c2, c3, key[0], key[1]);
    x[0][i] = c0;
    x[1][i] = c1;
    x[2][i] = c2;
    x[3][i] = c3;
  }
  alignas(64) float values[4][kLanes];
  for (int pair = 0; pair < 2; ++pair) {
    for (int i = 0; i < kLanes; ++i) {
      const float radius = std::sqrt(radius_squared(x[2 * pair][i]));
      float cosine, sine;
      cos_sin_of_turn(x[2 * pair + 1][i], cosine, sine);
      values[2 * pair][i] = radius * cosine;
      values[2 * pair + 1][i] = radius * sine;
    }
  }
  std::memcpy(out, values, sizeof values);
}

}  // namespace

std::array<uint32_t, 4> philox4x32(std::array<uint32_t, 4> c, std::array<uint32_t, 2> key) {
  philox_rounds(c[0], c[1], c[2], c[3], key[0], key[1]);
  return c;
}

Random::Random(uint64_t seed, std::string_view purpose, uint64_t item) {
  const uint64_t key = XXH64(purpose.data(), purpose.size(), seed);
  key_ = {static_cast<uint32_t>(key), static_cast<uint32_t>(key >> 32)};
  counter_ = {0, 0, static_cast<uint32_t>(item), static_cast<uint32_t>(item >> 32)};
}

uint32_t Random::bits() {
  if (used_ == 4) {
    block_ = philox4x32(counter_, key_);
    if (++counter_[0] == 0) ++counter_[1];
    used_ = 0;
  }
  return block_[used_++];
}

double Random::uniform() {
  const uint64_t high = bits() >> 5, low = bits() >> 6;
  return static_cast<double>((high << 26) | low) * 0x1p-53;
}

double Random::uniform(double low, double high) {
  const double value = low + (high - low) * uniform();
  return value < high ? value : std::max(low, std::nextafter(high, low));  // rounding may reach the open end
}

int64_t Random::integer(int64_t low, int64_t high) {
  if (low > high) throw internal_error(fmt::format("random: integer: low {} is above high {}", low, high));
  const uint64_t span = static_cast<uint64_t>(high) - static_cast<uint64_t>(low) + 1;  // 0: all 2^64 values
  // The uniform 64-bit numbers below the largest multiple of span; the few above it are drawn again.
  const uint64_t excess = span == 0 ? 0 : (0 - span) % span;
  for (;;) {
    const uint64_t top = bits(), value = (top << 32) | bits();
    if (value < excess) continue;
    return static_cast<int64_t>(static_cast<uint64_t>(low) + (span == 0 ? value : value % span));
  }
}

bool Random::chance(double probability) { return uniform() < probability; }

double Random::normal() {
  if (has_spare_) {
    has_spare_ = false;
    return spare_normal_;
  }
  const double radius = std::sqrt(-2 * std::log(1 - uniform()));  // 1 - u lies in (0, 1]
  const double angle = 2 * std::numbers::pi * uniform();
  spare_normal_ = radius * std::sin(angle);
  has_spare_ = true;
  return radius * std::cos(angle);
}

std::size_t Random::pick(const std::vector<double>& weights) {
  double sum = 0;
  for (const double weight : weights) {
    if (!(weight >= 0)) throw internal_error(fmt::format("random: pick: weight {} is negative or not a number", weight));
    sum += weight;
  }
  if (!(sum > 0 && sum <= std::numeric_limits<double>::max())) {
    throw internal_error(fmt::format("random: pick: the weights sum to {}", sum));
  }
  const double target = uniform() * sum;
  double reached = 0;
  std::size_t last = 0;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    if (weights[i] == 0) continue;
    reached += weights[i];
    last = i;
    if (target < reached) return i;
  }
  return last;
}

void Random::fill_normal(float* out, std::size_t count) {
  used_ = 4;  // whole blocks from here on
  uint64_t block = (static_cast<uint64_t>(counter_[1]) << 32) | counter_[0];
  constexpr std::size_t batch = 4 * kLanes;
  while (count > 0) {
    if (count >= batch) {
      normals_of_lanes(block, counter_, key_, out);
    } else {
      float rest[batch];
      normals_of_lanes(block, counter_, key_, rest);
      std::memcpy(out, rest, count * sizeof(float));
    }
    block += kLanes;
    const std::size_t given = std::min(count, batch);
    out += given;
    count -= given;
  }
  counter_[0] = static_cast<uint32_t>(block);
  counter_[1] = static_cast<uint32_t>(block >> 32);
}

std::vector<int64_t> Random::permutation(int64_t n) {
  std::vector<int64_t> order(static_cast<std::size_t>(std::max<int64_t>(n, 0)));
  std::iota(order.begin(), order.end(), int64_t{0});
  for (int64_t i = n - 1; i > 0; --i) std::swap(order[i], order[integer(0, i)]);  // Fisher and Yates
  return order;
}

}  // namespace finpercep
