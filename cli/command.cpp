// SPDX-License-Identifier: Apache-2.0
#include "cli/command.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <optional>

#include "finpercep/base/error.h"
#include "finpercep/base/files.h"
#include "finpercep/base/log.h"
#include "finpercep/base/text.h"

namespace finpercep {

void print(const std::string& text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0)
    throw WriteError(ExitCode::input, "stdout: expected to write the result, the reader has gone or the disk is full");
}

void add_config_flags(CLI::App& command, ConfigFlags& flags) {
  command.add_option("-c,--config", flags.config, "YAML config; every key has a default (--print-config shows them)");
  command.add_option("--set", flags.overrides, "KEY=VALUE over the config, e.g. --set optim_g.lr=1e-4")->take_all();
  command.add_flag("--print-config", flags.print, "print the resolved config and stop");
}

namespace {

template <class T>
CLI::Validator within(T low, T high, const char* kind) {
  return {[=](std::string& text) -> std::string {
            const std::optional<T> number = parse_number<T>(text);
            if (!number || *number < low || *number > high)
              return fmt::format("expected a {} from {} to {}, found '{}'", kind, low, high, text);
            text = fmt::format("{}", *number);
            return "";
          },
          fmt::format("{} .. {}", low, high)};
}

}  // namespace

CLI::Validator whole_in(int64_t low, int64_t high) { return within(low, high, "whole number"); }
CLI::Validator number_in(double low, double high) { return within(low, high, "number"); }

CLI::Validator a_path() {
  return CLI::Validator(
      [](const std::string& text) { return text.empty() ? std::string("expected a path, found an empty one") : std::string(); }, "");
}

void add_seed_flag(CLI::App& command, uint64_t& seed, const std::string& help) {
  command.add_option("--seed", seed, help)->transform(whole_in(0, 9'000'000'000'000'000));
}

void add_compute_flags(CLI::App& command, std::string& device, std::string& dtype) {
  command.add_option("--device", device, "cpu, cuda, cuda:N, auto")->capture_default_str();
  command.add_option("--dtype", dtype, "fp32, bf16, auto")->capture_default_str();
}

void refuse_unused(const CLI::App& command, const std::vector<std::string>& flags, const std::string& owner) {
  for (const std::string& flag : flags)
    if (command.count(flag) > 0)
      throw usage_error(fmt::format("{}: expected {}, which it belongs to, found none. leave it out", flag, owner));
}

void add_model_flags(CLI::App& command, std::string& model, int& stage) {
  command.add_option("--model", model, "reward model: name or file")->capture_default_str();
  command.add_option("--stage", stage, "judge with RM_k of the model; default: its finest")->transform(whole_in(0, 1000));
}

void add_judge_flags(CLI::App& command, JudgeOptions& options) {
  add_model_flags(command, options.model, options.stage);
  add_compute_flags(command, options.device, options.dtype);
  command.add_option("--tile", options.tile, "side of a tile in pixels, or auto (1024); the result does not depend on it")
      ->capture_default_str()
      ->transform(whole_in(64, 65536))
      ->transform([](std::string text) { return text == "auto" ? std::string("1024") : text; });
}

void use_config_of_run(ConfigFlags& flags, const std::string& output, bool resume) {
  if (!resume) return;
  const std::filesystem::path own = std::filesystem::path(output) / "config.yaml";
  if (flags.config.empty() && flags.overrides.empty() && !std::filesystem::exists(own))
    throw usage_error(fmt::format("--resume: {}: expected a run's folder with config.yaml, found none. name the run by -o",
                                  output.empty() ? "." : output));
  if (flags.config.empty() && !output.empty() && std::filesystem::exists(own)) flags.config = own.string();
  // No error: a job that is started again after each failure may have failed before its first write.
  const std::filesystem::path run = run_directory(output, flags);
  if (!std::filesystem::exists(run)) log_warning(fmt::format("--resume: {}: no such folder. a new run starts there", run.string()));
}

void require_output(const std::string& output) {
  if (output.empty()) throw usage_error("-o: expected a folder to write to, found none");
}

std::string run_directory(const std::string& output, const ConfigFlags& flags) {
  if (!output.empty()) return output;
  if (flags.config.empty()) throw usage_error("-o: expected the run directory, or -c CONFIG to name it after");
  return (std::filesystem::path("runs") / std::filesystem::path(flags.config).stem()).string();
}

void check_command_word(const CLI::App& program, const std::string& word) {
  std::vector<std::string> names;
  for (const CLI::App* sub : program.get_subcommands({})) names.push_back(sub->get_name());
  if (word.starts_with("-") || std::find(names.begin(), names.end(), word) != names.end()) return;
  const std::string near = nearest(word, names);
  throw usage_error(
      fmt::format("unknown command '{}'.{} see `finpercep --help`", word, near.empty() ? "" : fmt::format(" did you mean '{}'?", near)));
}

std::string describe_usage_error(const CLI::App& program, const CLI::ParseError& error) {
  std::string line = error.what();
  line = line.substr(0, line.find('\n'));
  // The command in use, and all the words it knows.
  const CLI::App* command = &program;
  std::string path;
  while (!command->get_subcommands().empty()) {
    command = command->get_subcommands().front();
    path += command->get_name() + " ";
  }
  const std::vector<std::string> unknown = command->remaining().empty() ? program.remaining(true) : command->remaining();
  if (dynamic_cast<const CLI::ExtrasError*>(&error) == nullptr && unknown.empty())
    return fmt::format("{}. see `finpercep {}--help`", line, path);
  std::vector<std::string> known;
  for (const CLI::App* app : {command, &program}) {
    for (const CLI::Option* option : app->get_options()) {
      for (const auto& name : option->get_lnames()) known.push_back("--" + name);
      for (const auto& name : option->get_snames()) known.push_back("-" + name);
    }
    for (const CLI::App* sub : app->get_subcommands({})) known.push_back(sub->get_name());
  }
  const std::string word = unknown.empty() ? line : unknown.front();
  const std::string near = nearest(word.substr(0, word.find('=')), known);
  return fmt::format("unknown argument '{}'.{} see `finpercep {}--help`", word,
                     near.empty() ? "" : fmt::format(" did you mean '{}'?", near), path);
}

}  // namespace finpercep
