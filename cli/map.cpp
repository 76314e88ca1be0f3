// SPDX-License-Identifier: Apache-2.0
// finpercep map IMAGE.. -o DIR [--format png,overlay,npy,json] [--threshold T]
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/outputs.h"
#include "finpercep/base/error.h"
#include "finpercep/base/files.h"
#include "finpercep/base/text.h"
#include "finpercep/image/io.h"
#include "finpercep/image/overlay.h"
#include "finpercep/judge.h"

namespace finpercep {

namespace {

struct Flags {
  std::vector<std::string> inputs, formats = {"png", "overlay"};
  std::string output;
  JudgeOptions judge;
  double threshold = 0.5;
  int min_area = 64;
  Existing existing = Existing::refuse;
};

const std::map<std::string, std::string> ending_of = {{"png", ".map.png"}, {"overlay", ".overlay.png"}, {"npy", ".npy"}, {"json", ".json"}};

std::string regions_json(const std::filesystem::path& input, const Verdict& verdict, const Flags& flags, const Judge& judge) {
  nlohmann::ordered_json out = {{"path", input.string()},       {"width", verdict.map.width}, {"height", verdict.map.height},
                                {"model", judge.model()},       {"stage", judge.stage()},     {"score", verdict.score},
                                {"severity", verdict.severity}, {"map_max", verdict.map_max}, {"map_mean", verdict.map_mean},
                                {"threshold", flags.threshold}, {"min_area", flags.min_area}, {"regions", nlohmann::ordered_json::array()}};
  for (const Region& region : find_regions(verdict.map, static_cast<float>(flags.threshold), flags.min_area))
    out["regions"].push_back({{"box", {region.x, region.y, region.width, region.height}},
                              {"area", region.area},
                              {"mean_severity", region.mean},
                              {"max_severity", region.max},
                              {"polygon", region.polygon}});
  return out.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

void run(const Flags& flags, const CLI::App& command) {
  std::vector<Output> outputs;
  for (std::size_t i = 0; i < flags.formats.size(); ++i) {
    const std::string& format = flags.formats[i];
    if (!ending_of.contains(format)) throw usage_error(fmt::format("--format: expected png, overlay, npy or json, found '{}'", format));
    if (std::find(flags.formats.begin(), flags.formats.begin() + i, format) != flags.formats.begin() + i)
      throw usage_error(fmt::format("--format: expected each once, found {} twice", format));
    outputs.push_back({flags.output, ending_of.at(format)});
  }
  if (std::ranges::find(flags.formats, "json") == flags.formats.end())
    refuse_unused(command, {"--threshold", "--min-area"}, "--format json");
  const auto inputs = check_outputs(list_images(flags.inputs), outputs, flags.existing);
  if (inputs.empty()) return;
  const Judge judge(flags.judge);
  if (judge.stage() == 0)
    throw usage_error(
        fmt::format("--stage: expected 1 or more, found RM_0 of {}, which has no map. `score` judges with it", judge.model()));
  make_directory(flags.output);
  const std::string failures = for_each_picture("map", inputs, 1, [&](int64_t i, const Image& photo, std::span<const std::byte>) {
    const Verdict verdict = judge(photo);
    for (std::size_t k = 0; k < outputs.size(); ++k) {
      const std::string& format = flags.formats[k];
      const auto path = outputs[k].of(inputs[i]);
      if (!is_wanted(path, flags.existing)) continue;
      if (format == "png") write_image(path, verdict.map);
      else if (format == "overlay") write_image(path, overlay(photo, verdict.map));
      else if (format == "npy") write_npy(path, verdict.map);
      else write_file(path, regions_json(inputs[i], verdict, flags, judge));
    }
    print(fmt::format("{}\tscore {:.4f}\tseverity {:.4f}\tmap_max {:.4f}\tmap_mean {:.4f}\n", one_line(inputs[i].string()), verdict.score,
                      verdict.severity, verdict.map_max, verdict.map_mean));
  });
  if (!failures.empty()) throw input_error(failures);
}

}  // namespace

void add_map(CLI::App& program) {
  CLI::App* command = program.add_subcommand("map", "write Perceptual Degradation Maps: where a picture is broken");
  auto flags = std::make_shared<Flags>();
  command->add_option("input", flags->inputs, "pictures: files, folders, globs, LIST.txt or @LIST, -")->required();
  command->add_option("-o,--output", flags->output, "folder for STEM.map.png, STEM.overlay.png, STEM.npy, STEM.json")->required();
  command->add_option("--format", flags->formats, "comma separated: png, overlay, npy, json")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->default_str("png,overlay");
  command->add_option("--threshold", flags->threshold, "map value from which a pixel belongs to a region")
      ->capture_default_str()
      ->transform(number_in(0, 1));
  command->add_option("--min-area", flags->min_area, "smallest region, pixels")
      ->capture_default_str()
      ->transform(whole_in(1, 1'000'000'000));
  add_judge_flags(*command, flags->judge);
  add_existing_flags(*command, flags->existing);
  command->callback([flags, command] { run(*flags, *command); });
}

}  // namespace finpercep
