// SPDX-License-Identifier: Apache-2.0
// What is known of an FGR sample beside its pictures: the KEY.json of a shard.
#pragma once
#include <cstdint>
#include <string>

namespace finpercep {

struct FgrFacts {
  int64_t index = 0;
  std::string photo;  ///< stem of the clean photograph
  int x = 0, y = 0;   ///< where in it
  bool mirrored = false;
  std::string source;     ///< who made I_SR; "clean": nobody, clean is swapped into clean
  std::string mask;       ///< family of M: brush .. grid, segments, dino, whole
  std::string variation;  ///< what was done to the clean photograph before it served as I_GT; "" nothing
  double area = 0;        ///< mean of M
  double severity = 0;    ///< mean of the label inside M (weighted by M); 0 where M is empty
};

/// A seam control: clean pixels swapped into the clean picture.
inline bool is_control(const FgrFacts& facts) { return facts.source == "clean" || facts.source.starts_with("clean:"); }

std::string to_json(const FgrFacts& facts, const std::string& hash);
/// `hash` takes what was given to to_json. input_error naming `where` for anything else than such JSON.
FgrFacts facts_from_json(const std::string& json, const std::string& where, std::string& hash);

}  // namespace finpercep
