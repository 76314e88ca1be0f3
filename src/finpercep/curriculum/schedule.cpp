// SPDX-License-Identifier: Apache-2.0
#include "finpercep/curriculum/schedule.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <span>

#include "finpercep/base/error.h"

namespace finpercep {

int64_t FixedSchedule::total() const { return std::accumulate(iters.begin(), iters.end(), int64_t{0}); }

void AutoScheduleSettings::visit(SettingsVisitor& v) {
  v.field("min_iters", min_iters, "least iterations of a phase", {.min = 2, .max = 1e9});
  v.field("window", window, "iterations that are averaged for a decision", {.min = 2, .max = 1e6});
  v.field("plateau", plateau, "the reward has stopped rising where it rose by less than so many standard errors", {.min = 0, .max = 100});
  v.field("variance_ratio", variance_ratio,
          "a phase ends where rewards of one input's pictures differ by less than this share of what they did at its start",
          {.min = 0, .max = 1});
  v.field("gradient_ratio", gradient_ratio, "a phase ends where gradients are below this share of those at its start",
          {.min = 0, .max = 1});
}

const char* name_of(Switch reason) {
  constexpr const char* names[] = {"stay", "the reward stopped rising", "pictures of one input are judged alike", "gradients became small",
                                   "the phase reached its longest"};
  return names[static_cast<int>(reason)];
}

namespace {

struct Moments {
  double mean = 0, variance = 0;  // unbiased
};
// Of the finite values: an iteration that was skipped says nothing. NaN, by which no rule acts, where there are none.
Moments moments(std::span<const Learning> part, double Learning::*field) {
  std::vector<double> values;
  for (const Learning& p : part)
    if (std::isfinite(p.*field)) values.push_back(p.*field);
  if (values.empty()) return {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::quiet_NaN()};
  Moments m;
  const auto n = static_cast<double>(values.size());
  for (double v : values) m.mean += v / n;
  for (double v : values) m.variance += (v - m.mean) * (v - m.mean) / (n - 1);
  return m;
}

}  // namespace

Switch reason_to_switch(const std::vector<Learning>& phase, const AutoScheduleSettings& s) {
  const auto count = static_cast<int64_t>(phase.size());
  if (count < s.min_iters || count < 2 * s.window) return Switch::stay;
  const auto w = static_cast<std::size_t>(s.window);
  const std::span<const Learning> all(phase), last = all.last(w), before = all.subspan(all.size() - 2 * w, w), first = all.first(w);
  const Moments now = moments(last, &Learning::gap), then = moments(before, &Learning::gap);
  if (now.mean - then.mean <= s.plateau * std::sqrt((now.variance + then.variance) / static_cast<double>(w))) return Switch::plateau;
  const double spread = moments(first, &Learning::group_std).mean;
  if (spread > 0 && moments(last, &Learning::group_std).mean < s.variance_ratio * spread) return Switch::variance;
  if (moments(last, &Learning::grad_norm).mean < s.gradient_ratio * moments(first, &Learning::grad_norm).mean) return Switch::gradient;
  return Switch::stay;
}

Switch StageClock::advance(const Learning& learning) {
  ++lasted_;
  const std::size_t phase = ended_.size();
  if (phase + 1 == schedule_.stages.size()) return Switch::stay;
  if (rules_) history_.push_back(learning);
  Switch reason = rules_ ? reason_to_switch(history_, *rules_) : Switch::stay;
  if (lasted_ >= schedule_.iters.at(phase)) reason = Switch::limit;
  if (reason == Switch::stay) return reason;
  ended_.push_back(lasted_);
  lasted_ = 0;
  history_.clear();
  return reason;
}

FixedSchedule StageClock::as_fixed(int64_t total) const {
  FixedSchedule fixed{{schedule_.stages.begin(), schedule_.stages.begin() + static_cast<std::ptrdiff_t>(ended_.size()) + 1}, ended_};
  fixed.iters.push_back(total - std::accumulate(ended_.begin(), ended_.end(), int64_t{0}));
  return fixed;
}

// phases that ended, the length of each, of the present one, and its history
std::vector<double> StageClock::state() const {
  std::vector<double> out = {static_cast<double>(ended_.size())};
  out.insert(out.end(), ended_.begin(), ended_.end());
  out.push_back(static_cast<double>(lasted_));
  for (const Learning& l : history_) out.insert(out.end(), {l.gap, l.group_std, l.grad_norm});
  return out;
}

void StageClock::restore(const std::vector<double>& state) {
  const auto phase = static_cast<std::size_t>(state.at(0));
  if (phase >= schedule_.stages.size())
    throw usage_error(fmt::format("stages: expected at least {}, as the saved run is in its phase {}, found {}", phase + 1, phase + 1,
                                  schedule_.stages.size()));
  if (state.size() < phase + 2 || (state.size() - phase - 2) % 3 != 0)
    throw model_error("training state: expected the lengths of the phases in its clock, found none. it is of an older version");
  const auto lengths = state.begin() + 1, now = lengths + static_cast<std::ptrdiff_t>(phase);
  ended_.assign(lengths, now);
  lasted_ = static_cast<int64_t>(*now);
  history_.clear();
  for (auto l = now + 1; l != state.end(); l += 3) history_.push_back({l[0], l[1], l[2]});
}

}  // namespace finpercep
