// SPDX-License-Identifier: Apache-2.0
// finpercep degrade DIR -o DIR [-c CONFIG] [--seed N]
#include <fmt/format.h>

#include <atomic>
#include <filesystem>
#include <map>

#include "cli/command.h"
#include "cli/outputs.h"
#include "finpercep/base/error.h"
#include "finpercep/base/files.h"
#include "finpercep/base/log.h"
#include "finpercep/degrade/pipeline.h"
#include "finpercep/image/io.h"
#include "finpercep/image/resize.h"

namespace finpercep {

void add_degrade(CLI::App& program) {
  CLI::App* command = program.add_subcommand("degrade", "make LR pictures from clean ones (Real-ESRGAN's second-order degradation)");
  struct Flags {
    std::vector<std::string> inputs;
    std::string output, clean;
    ConfigFlags config;
    uint64_t seed = 0;
    Existing existing = Existing::refuse;
  };
  auto flags = std::make_shared<Flags>();
  command->add_option("input", flags->inputs, "pictures: files, folders, globs, LIST.txt or @LIST, -");
  command->add_option("-o,--output", flags->output, "folder for STEM.png")->check(a_path());
  command->add_option("--gt", flags->clean, "folder for the clean pictures, cut to multiples of the scale: what SR pictures compare with")
      ->check(a_path());
  add_config_flags(*command, flags->config);
  add_seed_flag(*command, flags->seed, "random draws; a picture's draw depends on the seed and its place in the sorted list");
  add_existing_flags(*command, flags->existing);
  command->callback([flags] {
    DegradeSettings settings;
    if (!load_config(flags->config, settings)) return;
    if (flags->inputs.empty()) throw usage_error("input: expected pictures, found none");
    const auto inputs = list_images(flags->inputs);
    std::map<std::filesystem::path, uint64_t> place;  // its draws are by it, also where the pictures before are done already
    for (std::size_t i = 0; i < inputs.size(); ++i) place[inputs[i]] = i;
    const Output lr{flags->output, ".png"}, gt{flags->clean, ".png"};
    const auto todo = check_outputs(inputs, flags->clean.empty() ? std::vector{lr} : std::vector{lr, gt}, flags->existing);
    if (todo.empty()) return;
    make_directory(flags->output);
    make_directory(flags->clean);
    std::atomic<int64_t> cut = 0;
    const std::string failures = for_each_picture("degrade", todo, 0, [&](int64_t i, const Image& photo, std::span<const std::byte>) {
      const int scale = static_cast<int>(settings.scale), width = photo.width / scale * scale, height = photo.height / scale * scale;
      if (width == 0 || height == 0)
        throw input_error(fmt::format("degrade: {}: expected at least {} pixels a side, found {} x {}", todo[i].string(), scale,
                                      photo.width, photo.height));
      const Image clean = crop(photo, 0, 0, width, height);
      if (is_wanted(lr.of(todo[i]), flags->existing))
        write_image(lr.of(todo[i]), degrade(clean, settings, Random(flags->seed, "degrade", place.at(todo[i]))));
      if (!flags->clean.empty() && is_wanted(gt.of(todo[i]), flags->existing)) write_image(gt.of(todo[i]), clean);
      cut += width != photo.width || height != photo.height;
    });
    if (failures.empty()) log_info(fmt::format("{} pictures -> {}", todo.size(), flags->output));
    if (cut > 0 && flags->clean.empty())
      log_warning(
          fmt::format("{} of them have sides that are no multiples of {} and were cut: SR pictures will be smaller than they are. "
                      "--gt DIR writes the clean pictures as they were cut",
                      cut.load(), settings.scale));
    if (!failures.empty()) throw input_error(failures);
  });
}

}  // namespace finpercep
