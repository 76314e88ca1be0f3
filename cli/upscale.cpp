// SPDX-License-Identifier: Apache-2.0
// finpercep upscale IMAGE.. -o DIR [-g GENERATOR] [--seed N] [--tile N] [--best-of N]
#include <fmt/format.h>

#include "cli/command.h"
#include "cli/outputs.h"
#include "finpercep/base/error.h"
#include "finpercep/base/files.h"
#include "finpercep/base/log.h"
#include "finpercep/generate/generator.h"
#include "finpercep/image/io.h"
#include "finpercep/image/probe.h"
#include "finpercep/image/profile.h"
#include "finpercep/judge.h"
#include "finpercep/reward/best_of.h"

namespace finpercep {

namespace {

struct Flags {
  std::vector<std::string> inputs;
  std::string output, generator = "srvgg-camera", device = "auto", dtype = "auto", model = JudgeOptions().model, best_of_by = "map";
  uint64_t seed = 0;
  int64_t tile = 256, best_of = 1;
  Existing existing = Existing::refuse;
};

// The best of the samples of seeds seed, seed + 1, ..: of their parts by map, or the whole one of highest score.
Image best_of(const SuperResolver& generator, const Judge& judge, const Image& lr, const Flags& flags) {
  std::vector<Image> samples, maps;
  float highest = -1;
  for (int64_t k = 0; k < flags.best_of; ++k) {
    Image sample = generator(lr, flags.seed + static_cast<uint64_t>(k));
    if (k == 1 && sample.data == samples.front().data)
      throw usage_error(fmt::format(
          "--best-of: {}: expected a generator that samples, say -g sr-small-rl, found one that gives every seed the same picture",
          flags.generator));
    Verdict verdict = judge(sample);
    if (flags.best_of_by == "map") {
      samples.push_back(std::move(sample));
      maps.push_back(std::move(verdict.map));
    } else if (verdict.score > highest) {
      highest = verdict.score;
      samples = {std::move(sample)};
    }
  }
  return flags.best_of_by == "map" ? compose_best(samples, maps) : samples.front();
}

}  // namespace

void add_upscale(CLI::App& program) {
  CLI::App* command = program.add_subcommand("upscale", "super-resolve or restore pictures");
  auto flags = std::make_shared<Flags>();
  command->add_option("input", flags->inputs, "LR pictures: files, folders, globs, LIST.txt or @LIST, -")->required();
  command->add_option("-o,--output", flags->output, "folder for STEM.png")->required();
  command
      ->add_option("-g,--generator", flags->generator,
                   "a name of `finpercep models`, NAME@STEPS, a checkpoint or TorchScript file, bicubic")
      ->capture_default_str();
  add_seed_flag(*command, flags->seed, "noise of the chain");
  command->add_option("--tile", flags->tile, "LR pixels a side of a tile; 0: never tile")
      ->capture_default_str()
      ->transform(whole_in(0, 65536));
  CLI::Option* best =
      command->add_option("--best-of", flags->best_of, "samples of each picture, of seeds SEED, SEED + 1, .., to take the best of")
          ->capture_default_str()
          ->transform(whole_in(1, 1024));
  command
      ->add_option("--best-of-by", flags->best_of_by,
                   "map: every part from the sample whose map is lowest there; score: the sample of highest score")
      ->capture_default_str()
      ->check(CLI::IsMember({"map", "score"}))
      ->needs(best);
  command->add_option("--model", flags->model, "the reward that chooses")->capture_default_str()->needs(best);
  add_compute_flags(*command, flags->device, flags->dtype);
  add_existing_flags(*command, flags->existing);
  command->callback([flags] {
    const Output output{flags->output, ".png"};
    const auto inputs = check_outputs(list_images(flags->inputs), {output}, flags->existing);
    if (inputs.empty()) return;
    const SuperResolver generator =
        make_super_resolver(flags->generator, {.tile = flags->tile, .compute = resolve_compute(flags->device, flags->dtype)});
    // In fp32: bf16 is off by as much as what tells the samples of one picture apart.
    const std::unique_ptr<Judge> judge =
        flags->best_of > 1 ? std::make_unique<Judge>(JudgeOptions{.model = flags->model, .device = flags->device, .dtype = "fp32"})
                           : nullptr;
    if (judge && flags->best_of_by == "map" && judge->stage() == 0)
      throw usage_error(fmt::format(
          "--best-of: {}: expected a reward with a map, found RM_0, which has none. take another --model, or --best-of-by score",
          flags->model));
    make_directory(flags->output);
    int64_t lossy = 0;
    std::string first_lossy;
    const std::string failures = for_each_picture("upscale", inputs, 1, [&](int64_t i, const Image& lr, std::span<const std::byte> file) {
      const PictureInfo info = probe_image(file);
      if ((info.alpha || info.bits > 8) && lossy++ == 0) first_lossy = inputs[i].string();
      const Image sr = judge ? best_of(generator, *judge, lr, *flags) : generator(lr, flags->seed);
      write_file(output.of(inputs[i]),
                 encode_png(sr, colour_profile(file)));  // the numbers are of the input's colours, say a telephone's Display P3
    });
    if (failures.empty()) log_info(fmt::format("{} pictures -> {}", inputs.size(), flags->output));
    if (lossy > 0)
      log_warning(fmt::format("{} of {} pictures have an alpha channel or more than 8 bits, which the results have not; the first: {}",
                              lossy, inputs.size(), first_lossy));
    if (!failures.empty()) throw input_error(failures);
  });
}

}  // namespace finpercep
