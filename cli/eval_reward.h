// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <vector>

#include "finpercep/evaluate/table.h"
#include "finpercep/judge.h"

namespace finpercep {

/// What `eval` asks of a reward: --map FGR_DIR.. and --response PHOTOS..
struct RewardQuestions {
  std::vector<std::string> fgr_sets, photos, generators = {"bicubic", "sr-small@1", "sr-small@2", "sr-small", "sr-small-rl"};
  std::string only, degradation, drawn = "sr-small", model = "finpercep-rm", device = "auto", dtype = "auto";
  int64_t samples = 0, size = 256;
  int stage = -1, draws = 8, resamples = 10'000;
  uint64_t seed = 0;
  bool baselines = false;

  bool empty() const { return fgr_sets.empty() && photos.empty(); }
};

void add_reward_flags(CLI::App& command, RewardQuestions& questions);
/// Stems of the tables that the answer consists of, in order.
std::vector<std::string> reward_tables(const RewardQuestions& questions);
/// Hands out each table with its stem. `judge_of` opens the reward's judge, or has it open already.
void answer_reward_questions(const RewardQuestions& questions, const std::function<const Judge&()>& judge_of,
                             const std::function<void(const std::string& stem, const Table& table)>& on_table);

}  // namespace finpercep
