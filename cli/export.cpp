// SPDX-License-Identifier: Apache-2.0
// finpercep export MODEL -o FILE.pt [--stage k | --labels] [--overwrite]
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "finpercep/base/error.h"
#include "finpercep/base/files.h"
#include "finpercep/fgr/label_export.h"
#include "finpercep/generate/direct.h"
#include "finpercep/generate/export.h"
#include "finpercep/generate/super_resolver.h"
#include "finpercep/nets/checkpoint.h"
#include "finpercep/reward/export.h"
#include "finpercep/version.h"

namespace finpercep {

namespace {

struct Flags {
  std::string model, output;
  int stage = -1;
  bool labels = false, overwrite = false;
};

std::string text_of(const nlohmann::ordered_json& facts) {
  return facts.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);  // a file's name need not be UTF-8
}

void run(const Flags& flags) {
  const bool published = is_public_net(flags.model);
  std::error_code absent;
  if (!published && std::filesystem::equivalent(find_model(flags.model), flags.output, absent))
    throw usage_error(fmt::format("output: {}: expected another file than the model. choose another name", flags.output));
  check_output_file(flags.output, flags.overwrite);
  nlohmann::ordered_json facts = {{"model", published ? flags.model : find_model(flags.model).stem().string()},
                                  {"version", version},
                                  {"weights", weights_hash(flags.model)}};
  std::string kind = "generator";
  if (!published && !may_be_torchscript(flags.model)) {
    kind = metadata_of(read_checkpoint(flags.model, ""), "kind", flags.model);
  }
  if (kind == "generator") {
    if (flags.stage >= 0 || flags.labels)
      throw usage_error(
          fmt::format("{}: expected a reward, found the generator {}. leave it out", flags.labels ? "--labels" : "--stage", flags.model));
    const auto generator = load_generator(flags.model, at::kCPU);
    facts["forward"] = forward_facts(*generator);
    write_file(flags.output, export_generator(*generator, text_of(facts)));
    return;
  }
  RewardFacts taught;
  const auto model = load_reward(flags.model, at::kCPU, &taught);
  if (flags.labels) {
    expect_label_scale(taught, flags.model);
    facts["label"] = {{"alpha", taught.label_alpha}, {"scale", taught.label_scale}, {"features", taught.label_features}};
    facts["forward"] =
        "gt, I_syn: N x 3 x H x W, RGB in [0,1], mask: N x 1 x H x W, alpha, scale: as in label -> M_gt: N x 1 x H x W in [0,1]";
    const LabelFeatures features(at::kCPU, taught.label_features);
    write_file(flags.output, export_label(features, taught.label_alpha, taught.label_scale, text_of(facts)));
    return;
  }
  const int64_t stage = flags.stage < 0 ? model->settings.stage : flags.stage;
  if (stage > model->settings.stage)
    throw model_error(fmt::format("model: {}: expected stage 0..{}, found --stage {}", flags.model, model->settings.stage, stage));
  facts["stage"] = stage;
  facts["forward"] = "x: N x 3 x H x W, RGB in [0,1] -> score: N, 1 = clean; map: N x 1 x H x W, 1 = defect";
  write_file(flags.output, export_reward(*model, stage, text_of(facts)));
}

}  // namespace

void add_export(CLI::App& program) {
  CLI::App* command = program.add_subcommand("export", "write a reward or a generator as TorchScript, for plain torch in Python");
  auto flags = std::make_shared<Flags>();
  command->add_option("model", flags->model, "reward or generator: name or file")->required();
  command->add_option("-o,--output", flags->output, "file to write, e.g. reward.pt")->required();
  auto* stage = command->add_option("--stage", flags->stage, "RM_k of the model; default: its finest")->transform(whole_in(0, 1000));
  command->add_flag("--labels", flags->labels, "the labels that the reward was trained on (M_gt), for training it along in Python")
      ->excludes(stage);
  command->add_flag("--overwrite", flags->overwrite, "replace an existing file");
  command->callback([flags] { run(*flags); });
}

}  // namespace finpercep
