// SPDX-License-Identifier: Apache-2.0
// finpercep fgr build | info | verify | view
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/outputs.h"
#include "finpercep/base/error.h"
#include "finpercep/base/files.h"
#include "finpercep/base/interrupt.h"
#include "finpercep/base/log.h"
#include "finpercep/base/text.h"
#include "finpercep/fgr/info.h"
#include "finpercep/fgr/shards.h"
#include "finpercep/image/tensor.h"
#include "finpercep/report/report.h"

namespace finpercep {

namespace {

void add_build(CLI::App& fgr) {
  CLI::App* command =
      fgr.add_subcommand("build", "swap regions of SR pictures into clean photographs and label them; goes on where it stopped");
  struct Flags {
    ConfigFlags config;
    std::string output, shard = "0/1";
    bool strict = false;
  };
  auto flags = std::make_shared<Flags>();
  add_config_flags(*command, flags->config);
  command->add_option("-o,--output", flags->output, "folder of the tar shards and manifest.json")->check(a_path());
  command->add_option("--shard", flags->shard, "i/n: build only the tars whose number is i modulo n")->capture_default_str();
  command->add_flag("--strict", flags->strict, "stop at a photograph that cannot be used instead of skipping it");
  command->callback([flags] {
    FgrSettings settings;
    if (!load_config(flags->config, settings)) return;
    require_output(flags->output);
    settings.photos.strict |= flags->strict;
    const std::string_view shard = flags->shard;
    const std::size_t slash = shard.find('/');
    const auto part = parse_number<int>(shard.substr(0, slash));
    const auto parts = slash == shard.npos ? std::nullopt : parse_number<int>(shard.substr(slash + 1));
    if (!part || !parts || *part < 0 || *part >= *parts)
      throw usage_error(fmt::format("--shard: expected i/n with 0 <= i < n, found '{}'", shard));
    build_shards(settings, flags->output, *part, *parts);
    log_info(*parts == 1
                 ? fmt::format("{} samples -> {}", settings.count, flags->output)
                 : fmt::format("part {} of 0..{} -> {}; manifest.json is written with the last of them", *part, *parts - 1, flags->output));
  });
}

std::string histogram_text(const FgrHistogram& histogram) {
  int64_t total = 0, most = 1;
  std::size_t width = 0;
  for (const auto& [bin, count] : histogram.bins) {
    total += count;
    most = std::max(most, count);
    width = std::max(width, bin.size());
  }
  std::string text = histogram.name + "\n";
  for (const auto& [bin, count] : histogram.bins)
    text += fmt::format("  {:<{}}  {:>7}  {:>5.1f} %  {:#<{}}\n", bin, width, count,
                        100.0 * static_cast<double>(count) / static_cast<double>(std::max<int64_t>(total, 1)), "", 40 * count / most);
  return text;
}

void add_info(CLI::App& fgr) {
  CLI::App* command = fgr.add_subcommand("info", "how many samples of each source, mask, variation, area and severity");
  struct Flags {
    std::string directory;
    bool json = false;
  };
  auto flags = std::make_shared<Flags>();
  command->add_option("DIR", flags->directory, "folder of shards")->required();
  command->add_flag("--json", flags->json, "one JSON object instead of text");
  command->callback([flags] {
    const ShardManifest manifest = read_manifest(flags->directory);
    const FgrSet set{std::filesystem::path(flags->directory)};
    const auto histograms = fgr_histograms(set, manifest.settings.masks.area);
    const std::size_t photographs = set.photos().size();
    nlohmann::ordered_json json = {{"count", set.size()},
                                   {"photographs", photographs},
                                   {"shards", manifest.shards.size()},
                                   {"label_scale", manifest.label_scale},
                                   {"skipped", manifest.skipped}};
    const VariationSettings& v = manifest.settings.clean_variation;
    std::string text = fmt::format(
        "{} samples of {} px of {} photographs in {} shards, label scale {:.4f}, {} photographs skipped\nclean photographs varied: "
        "{:.0f} % of the crops (soften {:.2g}..{:.2g} px, grain {:.3g}..{:.3g} of 255, JPEG {:.0f}..{:.0f}, rescale {:.2g}..{:.2g})\n",
        set.size(), manifest.settings.size, photographs, manifest.shards.size(), manifest.label_scale, manifest.skipped.size(),
        100 * v.prob, v.soften[0], v.soften[1], v.grain[0], v.grain[1], v.jpeg[0], v.jpeg[1], v.rescale[0], v.rescale[1]);
    for (const FgrHistogram& histogram : histograms) {
      text += histogram_text(histogram);
      for (const auto& [bin, count] : histogram.bins) json[histogram.name][bin] = count;
    }
    print(flags->json ? json.dump() + "\n" : text);
    for (const std::string& gap : fgr_gaps(histograms, manifest.settings)) log_warning(gap);
  });
}

void add_verify(CLI::App& fgr) {
  CLI::App* command = fgr.add_subcommand("verify", "check every shard's hash and rebuild samples from the manifest");
  struct Flags {
    std::string directory;
    int64_t samples = 16;
  };
  auto flags = std::make_shared<Flags>();
  command->add_option("DIR", flags->directory, "folder of shards")->required();
  command
      ->add_option("--samples", flags->samples,
                   "samples to rebuild and compare byte for byte, evenly spread, in whole crops; 0: hashes only")
      ->capture_default_str()
      ->transform(whole_in(0, 1'000'000'000));
  command->callback([flags] {
    const Verified verified = verify_shards(flags->directory, flags->samples);
    print(fmt::format("{} shards have their hash, {} samples rebuilt byte for byte\n", verified.shards, verified.samples));
  });
}

Strip strip_of(const FgrSample& sample) {
  const FgrFacts& f = sample.facts;
  const Image syn = compose(sample.gt, sample.sr, sample.mask);
  Strip strip{.name = fmt::format("{:08} · {} · {} · mask {}", f.index, f.photo, f.source, f.mask), .group = f.source, .value = f.severity};
  strip.images = {
      {.label = "clean", .image = sample.gt, .caption = f.variation.empty() ? "" : "varied: " + f.variation},
      {.label = "SR", .image = sample.sr, .caption = f.source},
      {.label = "swapped", .image = syn, .map = sample.label, .caption = fmt::format("severity {:.2f}, label over it", f.severity)},
      {.label = "mask", .image = sample.mask, .caption = fmt::format("area {:.3f}", f.area)},
      {.label = "label", .image = sample.label}};
  return strip;
}

void add_view(CLI::App& fgr) {
  CLI::App* command = fgr.add_subcommand("view", "one self-contained page to browse samples");
  struct Flags {
    std::string directory, output;
    int64_t count = 60;
    bool overwrite = false;
  };
  auto flags = std::make_shared<Flags>();
  command->add_option("DIR", flags->directory, "folder of shards")->required();
  command->add_option("-o,--output", flags->output, "the page, e.g. page.html")->required();
  command->add_option("--count", flags->count, "samples on the page, drawn from all")->capture_default_str()->transform(whole_in(1, 500));
  command->add_flag("--overwrite", flags->overwrite, "replace an existing page");
  command->callback([flags] {
    check_page(flags->output, flags->overwrite);
    const FgrSet set{std::filesystem::path(flags->directory)};
    const std::vector<int64_t> chosen = set.some(flags->count);
    ReportPage page{.title = "FGR samples", .subtitle = fmt::format("{} of {} samples in {}", chosen.size(), set.size(), flags->directory)};
    page.value_label = "severity";
    for (const int64_t index : chosen) {
      stop_if_interrupted();
      page.strips.push_back(strip_of(set.sample(index)));
    }
    write_file(flags->output, render_report(page));
    log_info(fmt::format("{} samples -> {}", chosen.size(), flags->output));
  });
}

}  // namespace

void add_fgr(CLI::App& program) {
  CLI::App* fgr = program.add_subcommand("fgr", "the data set that trains the reward");
  fgr->require_subcommand(1);
  add_build(*fgr);
  add_info(*fgr);
  add_verify(*fgr);
  add_view(*fgr);
}

}  // namespace finpercep
