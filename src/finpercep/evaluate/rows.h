// SPDX-License-Identifier: Apache-2.0
// The rows of a test set's table: pictures that another program made, and generators that make them.
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "finpercep/evaluate/evaluate.h"
#include "finpercep/evaluate/test_set.h"
#include "finpercep/generate/super_resolver.h"

namespace finpercep {

struct TestRow {
  std::string name;
  std::string generator;    ///< "": `pairs` are made
  std::vector<Pair> pairs;  ///< of SR or LR pictures and references; where the set has none, `second` is empty
};

struct TestSetRows {
  TestSet set;
  std::vector<TestRow> rows;
};

/// The set's folders of pictures, then the generators, [ROW=]GENERATOR. A picture is called by its reference's stem in every row.
/// usage_error for no row at all and for generators without LR pictures, input_error for pictures without a partner.
TestSetRows rows_of(const TestSet& set, const std::vector<std::string>& generators);

/// usage_error where one of the metrics needs the references that the set does not have.
void check_references(const TestSet& set, const std::vector<std::string>& metrics);

/// Of each row that has one, opened once.
using Generators = std::map<std::string, SuperResolver>;
Generators open_generators(const std::vector<TestSetRows>& sets, const Compute& compute);

/// A generator's picture with 8 bits a sample, as `upscale` writes it: rows of generators and of folders are alike.
Image make_as_file(const SuperResolver& generator, const Image& lr, uint64_t seed);

/// evaluate() of one row, with a progress bar of that label.
Evaluation evaluate_row(const Pipeline& pipeline, const TestRow& row, const Generators& generators, uint64_t seed,
                        const std::string& progress);

/// "finpercep" among the names stands for the score and, but for RM_0, which has no map, the severity. usage_error where another column of
/// RM_0's map is asked for. `judge_of` opens the judge, and is called only where a judged column is asked for.
std::vector<std::string> expand_metrics(const std::vector<std::string>& names, const std::function<const Judge&()>& judge_of);

}  // namespace finpercep
