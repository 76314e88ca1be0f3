// SPDX-License-Identifier: Apache-2.0
// Counter-based random numbers: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
// A stream is keyed by (seed, purpose, item), so any thread, shard or resumed run draws the same numbers for the same item.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace finpercep {

/// One Philox4x32-10 block: 128 random bits for a counter and a key.
std::array<uint32_t, 4> philox4x32(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key);

class Random {
 public:
  /// The stream of `item` (an image, a step, ..) for `purpose` ("degrade", "mask", ..) under the run's seed.
  Random(uint64_t seed, std::string_view purpose, uint64_t item = 0);

  uint32_t bits();                             ///< 32 uniform bits
  double uniform();                            ///< [0, 1), 53 bits
  double uniform(double low, double high);     ///< [low, high)
  int64_t integer(int64_t low, int64_t high);  ///< inclusive at both ends, unbiased
  bool chance(double probability);
  double normal();  ///< mean 0, standard deviation 1
  /// Index drawn with probability proportional to its weight.
  std::size_t pick(const std::vector<double>& weights);
  /// `count` standard normals into `out`; the same values as `count` calls would give is not promised, the same for each run is.
  void fill_normal(float* out, std::size_t count);
  /// A permutation of 0..n-1.
  std::vector<int64_t> permutation(int64_t n);

 private:
  std::array<uint32_t, 2> key_;
  std::array<uint32_t, 4> counter_{};
  std::array<uint32_t, 4> block_{};
  int used_ = 4;
  double spare_normal_ = 0;
  bool has_spare_ = false;
};

}  // namespace finpercep
