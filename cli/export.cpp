// SPDX-License-Identifier: Apache-2.0
// finpercep export MODEL -o FILE.pt [--stage k] [--overwrite]
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "finpercep/base/error.h"
#include "finpercep/base/files.h"
#include "finpercep/nets/checkpoint.h"
#include "finpercep/reward/export.h"
#include "finpercep/version.h"

namespace finpercep {

namespace {

struct Flags {
  std::string model, output;
  int stage = -1;
  bool overwrite = false;
};

void run(const Flags& flags) {
  std::error_code absent;
  if (std::filesystem::equivalent(find_model(flags.model), flags.output, absent)) throw usage_error(fmt::format("output: {}: expected another file than the model. choose another name", flags.output));
  refuse_overwrite(flags.output, flags.overwrite);
  const auto model = load_reward(flags.model, at::kCPU);
  const int64_t stage = flags.stage < 0 ? model->settings.stage : flags.stage;
  if (stage > model->settings.stage) throw model_error(fmt::format("model: {}: expected stage 0..{}, found --stage {}", flags.model, model->settings.stage, stage));
  const nlohmann::ordered_json facts = {{"model", find_model(flags.model).stem().string()},
                                        {"weights", read_checkpoint(flags.model, "reward").metadata.at("checksum")},
                                        {"stage", stage},
                                        {"version", version},
                                        {"forward", "x: N x 3 x H x W, RGB in [0,1] -> score: N, 1 = clean; map: N x 1 x H x W, 1 = defect"}};
  write_file(flags.output, export_reward(*model, stage, facts.dump()));
}

}  // namespace

void add_export(CLI::App& program) {
  CLI::App* command = program.add_subcommand("export", "write a reward model as TorchScript, for plain torch in Python");
  auto flags = std::make_shared<Flags>();
  command->add_option("model", flags->model, "reward model: name or file")->required();
  command->add_option("-o,--output", flags->output, "file to write, e.g. reward.pt")->required();
  command->add_option("--stage", flags->stage, "RM_k of the model; default: its finest")->check(CLI::NonNegativeNumber);
  command->add_flag("--overwrite", flags->overwrite, "replace an existing file");
  command->callback([flags] { run(*flags); });
}

}  // namespace finpercep
