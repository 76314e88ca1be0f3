// SPDX-License-Identifier: Apache-2.0
#include "finpercep/fgr/facts.h"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "finpercep/base/error.h"

namespace finpercep {

namespace {

// Six digits: the bytes of a shard must not hang on the last bit of a sum.
double rounded(double value) { return std::round(value * 1e6) / 1e6; }

}  // namespace

std::string to_json(const FgrFacts& f, const std::string& hash) {
  const nlohmann::ordered_json json = {{"index", f.index},
                                       {"photo", f.photo},
                                       {"x", f.x},
                                       {"y", f.y},
                                       {"mirrored", f.mirrored},
                                       {"source", f.source},
                                       {"mask", f.mask},
                                       {"variation", f.variation},
                                       {"area", rounded(f.area)},
                                       {"severity", rounded(f.severity)},
                                       {"hash", hash}};
  return json.dump(-1, ' ', true, nlohmann::ordered_json::error_handler_t::replace);  // a stem need not be UTF-8
}

FgrFacts facts_from_json(const std::string& text, const std::string& where, std::string& hash) {
  try {
    const auto json = nlohmann::json::parse(text);
    hash = json.at("hash");
    return {json.at("index"),  json.at("photo"), json.at("x"),         json.at("y"),    json.at("mirrored"),
            json.at("source"), json.at("mask"),  json.at("variation"), json.at("area"), json.at("severity")};
  } catch (const nlohmann::json::exception& error) {
    throw input_error(
        fmt::format("fgr: {}: expected the facts of a sample, found something else ({}). build the shard again", where, error.what()));
  }
}

}  // namespace finpercep
