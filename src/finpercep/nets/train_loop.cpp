// SPDX-License-Identifier: Apache-2.0
#include "finpercep/nets/train_loop.h"

#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <torch/version.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <optional>
#include <system_error>

#include "finpercep/base/error.h"
#include "finpercep/base/interrupt.h"
#include "finpercep/base/log.h"
#include "finpercep/base/text.h"
#include "finpercep/version.h"

namespace finpercep {

namespace {

constexpr int64_t states_kept = 2, bad_steps_allowed = 20;

struct SavedState {
  int64_t iter;
  std::filesystem::path path;
};

// state-ITER.safetensors files, newest first.
std::vector<SavedState> saved_states(const RunDir& run) {
  std::vector<SavedState> found;
  for (const auto& entry : std::filesystem::directory_iterator(run.path() / "checkpoints")) {
    const std::string stem = entry.path().stem().string();
    if (!stem.starts_with("state-") || entry.path().extension() != ".safetensors") continue;
    if (const auto iter = parse_number<int64_t>(std::string_view(stem).substr(6))) found.push_back({*iter, entry.path()});
  }
  std::ranges::sort(found, std::ranges::greater(), &SavedState::iter);
  return found;
}

// What the last digits of a training depend on beside its settings: sums are rounded otherwise.
std::string computed(const Compute& compute) {
  const std::string type = fmt::format("{}, {}", compute.device.is_cpu() ? "cpu" : "cuda", c10::toString(compute.dtype));
  return compute.device.is_cpu() ? fmt::format("{}, {} threads", type, at::get_num_threads()) : type;
}

void save_state(const RunDir& run, int64_t iter, const LoopParts& parts) {
  TensorFile state;
  state.metadata["iter"] = fmt::format("{}", iter);
  state.metadata["computed"] = computed(parts.compute);
  parts.save(state);
  write_safetensors(run.checkpoint(fmt::format("state-{:08}", iter)), state);
  const auto states = saved_states(run);
  std::error_code ignored;  // a state too many does no harm
  for (std::size_t i = states_kept; i < states.size(); ++i) std::filesystem::remove(states[i].path, ignored);
}

void warn_if_computed_otherwise(const TensorFile& state, const std::string& now, const std::filesystem::path& path) {
  const auto found = state.metadata.find("computed");
  if (found != state.metadata.end() && found->second != now)
    log_warning(
        fmt::format("resume: {}: saved by a run on {}, now {}: the result may differ in its last digits from that of a run without a break",
                    path.string(), found->second, now));
}

// How often the run has saved its state: by the config that it has so far, not by the one that it is to go on with.
int64_t own_save_freq(const RunDir& run, const LoopSettings& settings) {
  constexpr std::string_view key = "save_checkpoint_freq: ";
  const std::filesystem::path config = run.path() / "config.yaml";
  std::error_code ignored;
  const std::string text = std::filesystem::exists(config, ignored) ? read_text_file(config) : "";
  const std::size_t at = text.find(key);
  if (at == std::string::npos) return settings.save_checkpoint_freq;
  const std::string_view rest = std::string_view(text).substr(at + key.size());
  return parse_number<int64_t>(rest.substr(0, rest.find_first_of(" \n#"))).value_or(settings.save_checkpoint_freq);
}

// The iteration to go on from.
int64_t restore_state(RunDir& run, const LoopSettings& settings, const LoopParts& parts) {
  const auto states = saved_states(run);
  for (const SavedState& candidate : states) {
    std::optional<TensorFile> state;
    try {
      state = read_safetensors(candidate.path, Checksum::required);
    } catch (const Error& error) {
      log_warning(fmt::format("{}. trying the state before it", error.what()));
      continue;
    }
    parts.restore(*state, candidate.path.string());
    warn_if_computed_otherwise(*state, computed(parts.compute), candidate.path);
    run.truncate_metrics(candidate.iter);
    log_info(fmt::format("resumed from iteration {} ({})", candidate.iter, candidate.path.string()));
    return candidate.iter;
  }
  if (!states.empty())
    throw model_error(fmt::format("resume: {}: expected an intact training state, all {} are damaged. start a new run directory",
                                  run.path().string(), states.size()));
  // A run that got past its first state had one: beginning again would write over what it made.
  const int64_t reached = run.last_step();
  if (reached > own_save_freq(run, settings))
    throw input_error(
        fmt::format("resume: {}: expected a training state in checkpoints, found none, though metrics.jsonl goes to iteration {}. "
                    "where they were removed there is no way on: begin in another folder",
                    run.path().string(), reached));
  run.truncate_metrics(-1);  // those of a run that ended before its first state would be logged twice
  log_info("nothing saved yet: starting at iteration 0");
  return 0;
}

}  // namespace

void Means::add(const Metrics& values) {
  for (const auto& [name, value] : values) {
    auto row = std::ranges::find(rows_, name, &Row::name);
    if (row == rows_.end()) row = rows_.insert(row, Row{name});
    if (name == "stage") *row = {name};
    if (!std::isfinite(value)) continue;  // of a skipped update: the others still have a mean
    row->sum += value;
    ++row->count;
  }
}

Metrics Means::means() const {
  Metrics out;
  for (const Row& row : rows_) out.emplace_back(row.name, row.sum / static_cast<double>(row.count));  // NaN of none
  return out;
}

void log_held_out(RunDir& run, int64_t iter, const Metrics& values) {
  Metrics logged;
  std::string line = fmt::format("held out, after {}:", iter);
  for (const auto& [name, value] : values) {
    logged.emplace_back("val_" + name, value);
    line += std::isnan(value) ? fmt::format("  {} -", name) : fmt::format("  {} {:.4f}", name, value);  // "-": no picture had it
  }
  run.log_metrics(iter, logged);
  log_info(line);
}

void LoopSettings::visit(SettingsVisitor& v) {
  v.field("total_iter", total_iter, "iterations to train", {.min = 0, .max = 1e9});
  v.field("print_freq", print_freq, "iterations between log lines", {.min = 1, .max = 1e9});
  v.field("save_checkpoint_freq", save_checkpoint_freq, "iterations between saved states", {.min = 1, .max = 1e9});
  v.field("val_freq", val_freq, "iterations between validations; 0 validates at the end only", {.min = 0, .max = 1e9});
}

void run_loop(RunDir& run, const LoopSettings& settings, bool resume, const LoopParts& parts) {
  const int64_t first = resume ? restore_state(run, settings, parts) : 0;
  if (first > settings.total_iter)
    throw usage_error(
        fmt::format("resume: {}: expected a schedule of at least the {} iterations that are done, found one of {}. lengthen it",
                    run.path().string(), first, settings.total_iter));
  run.use_config();
  log_info(fmt::format("finpercep {}, torch {}: iterations {} to {} on {}, {}, {} threads", version, TORCH_VERSION, first,
                       settings.total_iter, parts.compute.device.str(), c10::toString(parts.compute.dtype), at::get_num_threads()));
  if (first >= settings.total_iter)
    log_info(fmt::format("{}: finished before; its results are in {}. more iterations are a longer schedule in its settings",
                         run.path().string(), (run.path() / "checkpoints").string()));
  Progress progress(run.path().filename().string(), settings.total_iter - first);
  Means means;
  int64_t summed = 0, bad_in_a_row = 0, learnt = 0;
  auto since = std::chrono::steady_clock::now();
  for (int64_t iter = first; iter < settings.total_iter; ++iter) {
    const auto [values, skipped] = parts.step(iter);
    means.add(values);
    ++summed;
    bad_in_a_row = skipped ? bad_in_a_row + 1 : 0;
    learnt += !skipped;
    if (bad_in_a_row >= bad_steps_allowed)
      throw model_error(fmt::format("training: iteration {}: loss or gradient was not finite {} times in a row. lower the learning rate",
                                    iter, bad_in_a_row));

    const int64_t done = iter + 1;
    progress.advance(1, values.empty() ? "" : fmt::format("{} {:.4f}", values[0].first, values[0].second));
    if (done % settings.print_freq == 0 || done == settings.total_iter) {
      const auto now = std::chrono::steady_clock::now();
      const double seconds = std::chrono::duration<double>(now - since).count() / static_cast<double>(summed);
      since = now;
      std::string line = fmt::format("iter {:>6}/{}  {:.2f} s/it", done, settings.total_iter, seconds);
      const Metrics averages = means.means();
      for (const auto& [name, mean] : averages)
        line +=
            std::isnan(mean) ? fmt::format("  {} -", name) : fmt::format("  {} {:.4g}", name, mean);  // what these iterations did not have
      log_info(line);
      run.log_metrics(done, averages);
      means = {};
      summed = 0;
    }
    const bool last = done == settings.total_iter;
    if (last && first == 0 && learnt == 0)
      throw model_error(
          fmt::format("training: loss or gradient was not finite in all {} iterations: nothing was learnt. lower the learning rate", done));
    if (parts.validate && (last || (settings.val_freq > 0 && done % settings.val_freq == 0))) parts.validate(done);
    const bool stop = interrupted();  // asked once: a signal between two questions would be told of a state that nobody saved
    if (last || done % settings.save_checkpoint_freq == 0 || stop) save_state(run, done, parts);
    if (stop && !last) throw interrupted_error(fmt::format("interrupted: state saved after iteration {}. continue with --resume", done));
  }
}

}  // namespace finpercep
