// SPDX-License-Identifier: Apache-2.0
#include "finpercep/evaluate/rows.h"

#include <fmt/format.h>

#include "finpercep/base/error.h"
#include "finpercep/image/io.h"
#include "finpercep/image/resize.h"

namespace finpercep {

namespace {

// A single file may have another stem than its reference: the reference's names the picture in every row.
std::vector<Pair> paired(const TestSet& set, const std::string& folder, const std::string& role) {
  const auto pictures = list_images({folder});
  std::vector<Pair> pairs = match_pairs(pictures, set.gt.empty() ? pictures : list_images({set.gt}), role);
  for (Pair& pair : pairs) {
    pair.name = pair.second.stem().string();
    if (set.gt.empty()) pair.second.clear();
  }
  return pairs;
}

}  // namespace

TestSetRows rows_of(const TestSet& set, const std::vector<std::string>& generators) {
  if (set.made.empty() && generators.empty())
    throw usage_error(fmt::format("eval: set {}: expected SR pictures (NAME=LQ:GT:SR) or a generator (-g), found neither", set.name));
  if (set.lq.empty() && !generators.empty())
    throw usage_error(fmt::format("eval: set {}: expected LR pictures for the generators (NAME=LQ:GT), found none", set.name));
  TestSetRows out{set, {}};
  if (generators.empty() && !set.lq.empty()) paired(set, set.lq, "LR picture");  // not read here, but a wrong folder is a wrong set
  for (const Named& made : set.made) out.rows.push_back({made.name, "", paired(set, made.what, "picture")});
  for (const std::string& text : generators) {
    const Named generator = parse_named(text, "-g");
    out.rows.push_back({generator.name, generator.what, paired(set, set.lq, "LR picture")});
  }
  return out;
}

void check_references(const TestSet& set, const std::vector<std::string>& metrics) {
  for (const std::string& metric : metrics)
    if (set.gt.empty() && !is_judged(metric) && find_metric(metric).needs_reference)
      throw usage_error(
          fmt::format("--set {}: expected references for {}, found none. write NAME=LQ:GT, or take metrics without a reference "
                      "(-m niqe,brisque,finpercep)",
                      set.name, metric));
}

Generators open_generators(const std::vector<TestSetRows>& sets, const Compute& compute) {
  Generators open;
  for (const TestSetRows& of : sets)
    for (const TestRow& row : of.rows)
      if (!row.generator.empty() && !open.contains(row.generator))
        open.emplace(row.generator, make_super_resolver(row.generator, {.compute = compute}));
  return open;
}

Image make_as_file(const SuperResolver& generator, const Image& lr, uint64_t seed) { return rounded_to_bytes(generator(lr, seed)); }

Evaluation evaluate_row(const Pipeline& pipeline, const TestRow& row, const Generators& generators, uint64_t seed,
                        const std::string& progress) {
  if (row.generator.empty()) return evaluate(pipeline, row.pairs, {}, progress);
  const SuperResolver& generator = generators.at(row.generator);
  const auto load = [&](int64_t i, const Reserve&) {
    Sample sample{make_as_file(generator, read_image(row.pairs[i].first), seed), {}};
    if (!row.pairs[i].second.empty()) sample.ref = read_image(row.pairs[i].second);
    return sample;
  };
  return evaluate(pipeline, names_of(row.pairs), load, {.alone = true}, progress);
}

std::vector<std::string> expand_metrics(const std::vector<std::string>& names, const std::function<const Judge&()>& judge_of) {
  std::vector<std::string> metrics;
  for (const std::string& name : names) {
    const bool both = name == "finpercep";
    metrics.push_back(both ? score_metric : name);
    if (both && judge_of().stage() > 0) metrics.emplace_back(severity_metric);
  }
  return metrics;
}

}  // namespace finpercep
