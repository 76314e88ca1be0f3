// SPDX-License-Identifier: Apache-2.0
// finpercep upscale IMAGE.. -o DIR [-g GENERATOR] [--seed N] [--tile N]
#include <fmt/format.h>

#include "cli/command.h"
#include "cli/outputs.h"
#include "finpercep/base/files.h"
#include "finpercep/base/log.h"
#include "finpercep/generate/generator.h"
#include "finpercep/image/io.h"

namespace finpercep {

void add_upscale(CLI::App& program) {
  CLI::App* command = program.add_subcommand("upscale", "super-resolve pictures (x4)");
  struct Flags {
    std::vector<std::string> inputs;
    std::string output, generator = "sr-small-rl", device = "auto", dtype = "auto";
    uint64_t seed = 0;
    int64_t tile = 256;
    bool overwrite = false;
  };
  auto flags = std::make_shared<Flags>();
  command->add_option("input", flags->inputs, "LR pictures: files, folders, globs, @LIST")->required();
  command->add_option("-o,--output", flags->output, "folder for STEM.png")->required();
  command->add_option("-g,--generator", flags->generator, "a name of `finpercep models`, NAME@STEPS, a checkpoint or TorchScript file, bicubic")->capture_default_str();
  command->add_option("--seed", flags->seed, "noise of the chain");
  command->add_option("--tile", flags->tile, "LR pixels a side of a tile; 0: never tile")->capture_default_str()->check(CLI::Range(0, 65536));
  command->add_option("--device", flags->device, "cpu, cuda, cuda:N, auto")->capture_default_str();
  command->add_option("--dtype", flags->dtype, "fp32, bf16, auto")->capture_default_str();
  command->add_flag("--overwrite", flags->overwrite, "replace existing files");
  command->callback([flags] {
    const auto inputs = list_images(flags->inputs);
    keep_inputs(inputs, flags->output, {".png"});
    const SuperResolver generator = make_super_resolver(flags->generator, {.tile = flags->tile, .compute = resolve_compute(flags->device, flags->dtype)});
    make_directory(flags->output);
    Progress progress("upscale", static_cast<int64_t>(inputs.size()));
    for (const auto& input : inputs) {
      const auto out = std::filesystem::path(flags->output) / (input.stem().string() + ".png");
      refuse_overwrite(out, flags->overwrite);
      write_image(out, generator(read_image(input), flags->seed));
      progress.advance();
    }
    log_info(fmt::format("{} pictures -> {}", inputs.size(), flags->output));
  });
}

}  // namespace finpercep
