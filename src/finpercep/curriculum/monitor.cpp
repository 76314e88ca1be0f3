// SPDX-License-Identifier: Apache-2.0
#include "finpercep/curriculum/monitor.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "finpercep/image/tensor.h"
#include "finpercep/metrics/differentiable.h"
#include "finpercep/rl/refl.h"

namespace finpercep {

void MonitorSettings::visit(SettingsVisitor& v) {
  v.field("freq", freq, "iterations between looks; 0: no monitor", {.min = 0, .max = 1e9});
  v.field("count", count, "photographs that are looked at, of val_photos or else of datasets.photos", {.min = 1, .max = 1024});
  v.field("size", size, "side of their centre crops, pixels; a multiple of 32", {.min = 64, .max = 2048});
  v.field("colour", colour, "limit of the drift in colour", {.min = 0, .max = 1});
  v.field("brightness", brightness, "limit of the drift in brightness", {.min = 0, .max = 1});
  v.field("lr", lr, "limit of the growth of the distance to the LR picture", {.min = 0, .max = 1});
  v.field("sharpness", sharpness,
          "limit of log2 of the high-frequency energy over the reference's picture or the photograph's, whichever is more",
          {.min = 0, .max = 100});
  v.field("noise", noise, "limit of log2 of the noise over the same", {.min = 0, .max = 100});
  v.field("grid", grid, "limit of the amplitude of a lattice that neither the reference's picture nor the photograph has",
          {.min = 0, .max = 1});
  v.field("disagreement", disagreement, "limit of the SSIM that is lost while the reward rises", {.min = 0, .max = 1});
  v.field("reward_lost", reward_lost,
          "limit of the reward that is lost against the reference's pictures, in deviations of S: a run that learns the wrong way",
          {.min = 0, .max = 1000});
  v.field("rollback", rollback, "at an alarm go back to the last good weights and halve the learning rate; else only say so");
  v.field("max_rollbacks", max_rollbacks, "so many are tried; one more ends the run, with the last good weights in generator-good",
          {.min = 0, .max = 1000});
}

Metrics Vitals::metrics() const {
  return {{"monitor_colour", colour},
          {"monitor_brightness", brightness},
          {"monitor_lr", lr},
          {"monitor_sharpness", sharpness},
          {"monitor_noise", noise},
          {"monitor_grid", grid},
          {"monitor_reward_gain", reward_gain},
          {"monitor_disagreement", disagreement}};
}

std::string alarm(const Vitals& v, const MonitorSettings& s) {
  std::string text;
  const auto check = [&](const char* name, double value, double limit) {
    if (!(value <= limit))
      text += fmt::format("{}{} {:.3g} (limit {:.3g})", text.empty() ? "" : ", ", name, value, limit);  // NaN is an alarm
  };
  check("colour", v.colour, s.colour);
  check("brightness", v.brightness, s.brightness);
  check("lr", v.lr, s.lr);
  check("sharpness", v.sharpness, s.sharpness);
  check("noise", v.noise, s.noise);
  check("grid", v.grid, s.grid);
  check("disagreement", v.disagreement, s.disagreement);
  check("reward lost", -v.reward_gain, s.reward_lost);
  return text;
}

namespace {

at::Tensor luma(const at::Tensor& x) { return luma_of(x, Channels::yiq); }

double far(const at::Tensor& a, const at::Tensor& b, int64_t block) { return lr_consistency(a, b, block).item<double>(); }

// R - Y and B - Y.
at::Tensor chroma(const at::Tensor& x) { return at::cat({x.narrow(1, 0, 1), x.narrow(1, 2, 1)}, 1) - luma(x); }

at::Tensor filtered(const at::Tensor& x, const std::vector<float>& kernel) {
  return at::conv2d(x, at::tensor(kernel).view({1, 1, 3, 3}).to(x.device()));
}

// Each N: energy above the frequencies that a 3 x 3 mean keeps.
at::Tensor fine_energy(const at::Tensor& x) {
  constexpr float c = -1.0f / 9;
  return filtered(luma(x), {c, c, c, c, 1 + c, c, c, c, c}).square().mean({1, 2, 3});
}

// Immerkaer (1996): the mask is blind to edges of constant slope; the median, not the mean, also to texture that covers less than half of
// the picture.
at::Tensor noise_level(const at::Tensor& x) {
  return std::get<0>(filtered(luma(x), {1, -2, 1, -2, 4, -2, 1, -2, 1}).abs().flatten(1).median(1));
}

// How far each wave stands out of its surroundings in the spectrum, as power; low frequencies left out. Spectra of all pictures are
// averaged first: a lattice that the net makes is in all of them at one place, the photographs' own waves are not. And only waves that
// repeat after 16 pixels count, as nets do whose strides, folds and windows are powers of two: one photograph's restored texture is none.
at::Tensor waves(const at::Tensor& x) {
  const at::Tensor y = luma(x);
  const int64_t h = y.size(2), w = y.size(3);
  const auto window = [&](int64_t n) { return at::hann_window(n, true, y.options()); };
  const at::Tensor spectrum = at::fft_rfft2((y - y.mean({2, 3}, true)) * window(h).view({h, 1}) * window(w));  // N x 1 x h x w/2+1
  const at::Tensor power = spectrum.abs().square().mean(0, true), around = at::avg_pool2d(at::pad(power, {4, 4, 4, 4}, "reflect"), 9, 1);
  const at::Tensor fy = at::fft_fftfreq(h, 1.0, y.options()).abs().view({h, 1}),
                   fx = at::fft_rfftfreq(w, 1.0, y.options()).view({1, w / 2 + 1});
  const auto repeats = [](const at::Tensor& f) { return (16 * f - (16 * f).round()).abs() < 1e-3; };
  // A wave of period 2 is its own mirror image: the power of both lies in one place, where that of the others lies in two.
  const auto own_mirror = [](const at::Tensor& f) { return at::logical_or(f<1e-3, f> 0.5 - 1e-3); };
  const at::Tensor share = 1 - 0.75 * at::logical_and(own_mirror(fy), own_mirror(fx)).to(at::kFloat);
  return (power - around).clamp_min(0) * share * (at::max(fy, fx) > 0.1) * repeats(fy) * repeats(fx);
}

// Amplitude, in luma, of the strongest wave that neither of the others has.
double lattice(const at::Tensor& sr, const at::Tensor& before, const at::Tensor& gt) {
  const double power = (waves(sr) - at::max(waves(before), waves(gt))).max().item<double>();
  return 2 * std::sqrt(std::max(0.0, power)) / (0.25 * static_cast<double>(sr.size(2) * sr.size(3)));  // a Hann window's mean is 1/2
}

}  // namespace

Vitals examine(const at::Tensor& sr, const at::Tensor& before, const at::Tensor& gt, const at::Tensor& y) {
  at::NoGradGuard no_grad;
  Vitals v;
  v.colour = far(chroma(sr), chroma(y), 16) - far(chroma(before), chroma(y), 16);
  v.brightness = far(luma(sr), luma(y), 16) - far(luma(before), luma(y), 16);
  v.lr = far(sr, y, 4) - far(before, y, 4);
  const auto beyond = [](at::Tensor (*level)(const at::Tensor&), double floor, const at::Tensor& now, const at::Tensor& was,
                         const at::Tensor& truth) {
    const auto of = [&](const at::Tensor& x) { return level(x).clamp_min(floor); };
    return (of(now) / at::max(of(was), of(truth))).log2().mean().item<double>();
  };
  constexpr double grey = 1.0 / 255;  // below a level of grey, or two of noise, there is nothing to compare: a clear sky
  v.sharpness = beyond(fine_energy, grey * grey, sr, before, gt);
  v.noise = beyond(noise_level, 2 * grey, sr, before, gt);
  v.grid = lattice(sr, before, gt);
  v.disagreement = (ssim(before, gt) - ssim(sr, gt)).mean().item<double>();
  return v;
}

Monitor::Monitor(const PhotoSettings& photos, const DegradeSettings& degradation, const MonitorSettings& settings,
                 const Generator& reference, const Compute& compute)
    : compute_(compute) {
  const int side = static_cast<int>(settings.size);
  std::vector<Image> gt, lr;
  for (TrainingPair& pair : centre_pairs(PhotoSet(photos, side, settings.count), settings.count, side, degradation, 0, "monitor")) {
    gt.push_back(std::move(pair.gt));
    lr.push_back(std::move(pair.lr));
  }
  gt_ = to_batch(gt).to(compute.device);
  y_ = reference.condition(to_batch(lr).to(compute.device));
  Random random(0, "monitor noise");
  noise_ = reference.draw_noise(random, y_.sizes(), compute.device);
  before_ = pictures(reference);
}

at::Tensor Monitor::pictures(const Generator& generator) const {
  at::NoGradGuard no_grad;
  const MixedPrecision precision(compute_.device, compute_.dtype);
  generator.seed_module(0);
  return as_file(generator.roll_out(y_, noise_));
}

Vitals Monitor::look(const Generator& generator, const RewardModel& reward, int64_t stage, const RunningScore& running,
                     const RewardSignalSettings& signal) const {
  at::NoGradGuard no_grad;
  const at::Tensor sr = pictures(generator);
  Vitals v = examine(sr, before_, gt_, y_);
  const auto value = [&](const at::Tensor& x) { return reward_value(judge_exactly(reward, x, stage), running, signal); };
  v.reward_gain = (value(sr) - value(before_)).mean().item<double>();
  if (v.reward_gain <= 0) v.disagreement = 0;
  return v;
}

}  // namespace finpercep
