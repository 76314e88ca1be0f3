// SPDX-License-Identifier: Apache-2.0
// Each command is one file with one function that hangs its flags and its work on the program.
#pragma once
#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "finpercep/base/settings.h"
#include "finpercep/judge.h"

namespace finpercep {

void add_score(CLI::App& program);
void add_map(CLI::App& program);
void add_degrade(CLI::App& program);
void add_upscale(CLI::App& program);
void add_fgr(CLI::App& program);
void add_train(CLI::App& program);
void add_rl(CLI::App& program);
void add_eval(CLI::App& program);
void add_report(CLI::App& program);
void add_study(CLI::App& program);
void add_demo(CLI::App& program);
void add_models(CLI::App& program);
void add_export(CLI::App& program);
void add_metrics(CLI::App& program);
void add_doctor(CLI::App& program);
void add_weights(CLI::App& program);

/// -c CONFIG, --set KEY=VALUE.. and --print-config.
struct ConfigFlags {
  std::string config;
  std::vector<std::string> overrides;
  bool print = false;
};
void add_config_flags(CLI::App& command, ConfigFlags& flags);

/// For transform(): a flag's number, read as a config's is (010 is ten; 1e2, 0x10 and nan are none), from low to high.
CLI::Validator whole_in(int64_t low, int64_t high);
CLI::Validator number_in(double low, double high);

/// For check(): a path that is given is not empty, as that of an unset variable is.
CLI::Validator a_path();

/// --seed, in the range that manual_seed has in a config.
void add_seed_flag(CLI::App& command, uint64_t& seed, const std::string& help);

/// Writes `text` to stdout.
void print(const std::string& text);

/// The settings of the flags over `settings`' defaults.
template <class Settings>
void read_config(const ConfigFlags& flags, Settings& settings) {
  load_settings(settings, read_config_text(flags.config), flags.config.empty() ? "--set" : flags.config, flags.overrides);
}
/// The same. With --print-config they are printed and the command is done: returns false.
template <class Settings>
bool load_config(const ConfigFlags& flags, Settings& settings) {
  read_config(flags, settings);
  if (flags.print) print(describe_settings(settings));
  return !flags.print;
}

/// usage_error for the first of `flags` that was given: it belongs to `owner`, which was not asked for. "expected -m finpercep, .."
void refuse_unused(const CLI::App& command, const std::vector<std::string>& flags, const std::string& owner);

/// --device, --dtype.
void add_compute_flags(CLI::App& command, std::string& device, std::string& dtype);
/// --model, --stage.
void add_model_flags(CLI::App& command, std::string& model, int& stage);
/// --model, --stage, --device, --dtype, --tile.
void add_judge_flags(CLI::App& command, JudgeOptions& options);

/// A run that is resumed without -c goes on with its own config.
void use_config_of_run(ConfigFlags& flags, const std::string& output, bool resume);

/// usage_error naming the flag where --output is empty: for commands that do without it when they only print their config.
void require_output(const std::string& output);

/// --output if given, else runs/<stem of the config>.
std::string run_directory(const std::string& output, const ConfigFlags& flags);

/// A command that trains: -c CONFIG [-o RUN] [--resume], then work(settings, run directory, resume).
template <class Settings>
void add_training(CLI::App& parent, const char* name, const char* help, void (*work)(const Settings&, const std::filesystem::path&, bool)) {
  struct Flags {
    ConfigFlags config;
    std::string output;
    bool resume = false;
  };
  CLI::App* command = parent.add_subcommand(name, help);
  auto flags = std::make_shared<Flags>();
  add_config_flags(*command, flags->config);
  command->add_option("-o,--output", flags->output, "run directory (default: runs/<name of the config>)")->check(a_path());
  command->add_flag("--resume", flags->resume, "continue the run from its last saved state, by its own config where -c names no other");
  command->callback([flags, work] {
    Settings settings;
    use_config_of_run(flags->config, flags->output, flags->resume);
    if (load_config(flags->config, settings)) work(settings, run_directory(flags->output, flags->config), flags->resume);
  });
}

/// usage_error naming the nearest command when `word` is neither a flag nor a command.
void check_command_word(const CLI::App& program, const std::string& word);

/// One line for a wrong command line; for an unknown flag or command it names the nearest known one.
std::string describe_usage_error(const CLI::App& program, const CLI::ParseError& error);

}  // namespace finpercep
