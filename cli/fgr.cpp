// SPDX-License-Identifier: Apache-2.0
// finpercep fgr build -c CONFIG -o DIR [--shard i/n]
#include <fmt/format.h>

#include <cstdio>

#include "cli/command.h"
#include "finpercep/base/error.h"
#include "finpercep/base/log.h"
#include "finpercep/fgr/shards.h"

namespace finpercep {

void add_fgr(CLI::App& program) {
  CLI::App* fgr = program.add_subcommand("fgr", "the data set that trains the reward");
  fgr->require_subcommand(1);
  CLI::App* build = fgr->add_subcommand("build", "swap regions of SR pictures into clean photographs and label them");
  struct Flags {
    ConfigFlags config;
    std::string output, shard = "0/1";
  };
  auto flags = std::make_shared<Flags>();
  add_config_flags(*build, flags->config);
  build->add_option("-o,--output", flags->output, "folder of the tar shards and manifest.json")->required();
  build->add_option("--shard", flags->shard, "i/n: build only the tars whose number is i modulo n")->capture_default_str();
  build->callback([flags] {
    FgrSettings settings;
    if (!load_config(flags->config, settings)) return;
    int part = 0, parts = 0, read = 0;
    if (std::sscanf(flags->shard.c_str(), "%d/%d%n", &part, &parts, &read) != 2 || read != static_cast<int>(flags->shard.size()) || parts < 1 || part < 0 || part >= parts)
      throw usage_error(fmt::format("--shard: expected i/n with 0 <= i < n, found '{}'", flags->shard));
    build_shards(FgrBuilder(settings), flags->output, part, parts);
    log_info(fmt::format("{} samples -> {}", settings.count, flags->output));
  });
}

}  // namespace finpercep
