// SPDX-License-Identifier: Apache-2.0
#include "finpercep/generate/generator.h"

#include <fmt/format.h>

#include <cmath>
#include <numeric>

#include "finpercep/base/error.h"
#include "finpercep/generate/direct.h"
#include "finpercep/generate/flow.h"
#include "finpercep/nets/checkpoint.h"
#include "finpercep/nets/layout.h"

namespace finpercep {

void GeneratorSettings::visit(SettingsVisitor& v) {
  std::vector<std::string> types;
  for (const NetKind& kind : net_kinds()) types.push_back(kind.name);
  v.choice("policy", policy, "resshift (stochastic steps), flow (flow matching, ODE) or direct (one pass)", {"resshift", "flow", "direct"});
  v.choice("type", type, "the net: unet or dit (a transformer), or for the direct policy rrdb (Real-ESRGAN x4plus) or srvgg (animevideov3)",
           std::move(types));
  v.group("net", net, "the UNet");
  v.group("dit", dit, "the DiT");
  v.group("rrdb", rrdb, "the RRDBNet");
  v.group("srvgg", srvgg, "the SRVGGNetCompact");
  v.field("scale", scale, "up-sampling factor", {.min = 1, .max = 8});
  v.field("steps", steps, "T, steps of the chain", {.min = 2, .max = 1000});
  v.field("kappa", kappa, "noise of the chain; 1 on [0,1] pictures is the paper's 2 on [-1,1]", {.min = 0.01, .max = 10});
  v.field("min_noise", min_noise, "ResShift: sqrt(eta_1) is half of it; released: .2 for T = 4, .04 for T = 15", {.min = 0.001, .max = 1});
}

namespace {

// From y, or with kappa 1 from y plus noise, to the picture in one step.
ResShiftSchedule direct_schedule(double kappa) { return {.kappa = kappa, .eta = {0, 1}, .time = {0, 1}}; }

// The chain's variance grows with t; the net always sees pictures of about unit scale on [-1,1].
double input_scale(const ResShiftSchedule& schedule, int64_t t) {
  const double spread = 2 * schedule.noise(t);
  return 1 / std::sqrt(spread * spread + 1);
}

}  // namespace

ResShiftSchedule chain_of(const GeneratorSettings& settings, int64_t steps) {
  if (settings.direct()) return direct_schedule(0);
  if (settings.policy == "flow") return flow_schedule(steps, settings.kappa);
  const ResShiftSchedule trained = resshift_schedule(settings.steps, settings.kappa, settings.min_noise);
  if (steps <= settings.steps) return thinned(trained, steps);
  return timed_as(resshift_schedule(steps, settings.kappa, settings.min_noise), trained);
}

Generator::Generator(const GeneratorSettings& given, std::optional<uint64_t> seed)
    : settings(given), schedule(chain_of(given, given.steps)), params(seed) {
  const NetKind& kind = net_kind(given.type);
  sees_lr = kind.sees_lr;
  if (sees_lr && !given.direct())
    throw usage_error(fmt::format("network_g: type '{}' takes no noise: expected policy direct, found {}", given.type, given.policy));
  if (sees_lr && given.scale != direct_scale)
    throw usage_error(fmt::format("network_g: type '{}': expected scale {}, found {}", given.type, direct_scale, given.scale));
  net = kind.make(params, given);
}

Generator::Generator(const ScriptedNet& made)
    : schedule(direct_schedule(made.takes_noise() ? 1 : 0)), params(std::nullopt), sees_lr(true), script(made) {
  settings.policy = "direct";
  settings.scale = made.scale();
  for (const auto& [name, value] : made.parameters()) {
    if (value.scalar_type() != at::kFloat)
      throw model_error(fmt::format("generator: {}: expected parameters in float32 to train, found {} in {}. save module.float()",
                                    made.file(), name, c10::toString(value.scalar_type())));
    params.adopt(name, value);
  }
  if (params.count() == 0)
    throw model_error(
        fmt::format("generator: {}: expected parameters to train, found none. was it frozen by torch.jit.freeze?", made.file()));
  net.restore = [made](const at::Tensor& x, const at::Tensor& y, const at::Tensor&) { return made(lr_in(y, made.scale()), x - y); };
}

at::Tensor Generator::predict(const at::Tensor& x_t, const at::Tensor& y, int64_t t) const {
  const at::Tensor input = settings.direct() ? x_t : (x_t - 0.5) * input_scale(schedule, t) + 0.5;
  return net.restore(input, y, at::full({x_t.size(0)}, schedule.time.at(t), x_t.options().dtype(at::kFloat)));
}

at::Tensor Generator::predict_each(const at::Tensor& x_t, const at::Tensor& y, const at::Tensor& t) const {
  at::Tensor scale = at::empty({x_t.size(0), 1, 1, 1}, at::kFloat), time = at::empty({x_t.size(0)}, at::kFloat);
  for (int64_t n = 0; n < x_t.size(0); ++n) {
    const int64_t step = t[n].item<int64_t>();
    scale[n].fill_(input_scale(schedule, step));
    time[n].fill_(schedule.time.at(step));
  }
  const at::Tensor input = settings.direct() ? x_t : (x_t - 0.5) * scale.to(x_t.device()) + 0.5;
  return net.restore(input, y, time.to(x_t.device()));
}

at::Tensor Generator::condition(const at::Tensor& lr) const {
  const std::vector<int64_t> size = {lr.size(-2) * settings.scale, lr.size(-1) * settings.scale};
  return (sees_lr ? at::upsample_nearest2d(lr, at::IntArrayRef(size)) : at::upsample_bicubic2d(lr, size, false)).clamp(0, 1);
}

at::Tensor Generator::roll_out(const at::Tensor& y, const std::vector<at::Tensor>& noise, int64_t stop) const {
  const int64_t steps = schedule.steps();
  return roll_on(y + schedule.noise(steps) * noise.at(0), y, noise, steps, stop);
}

at::Tensor Generator::roll_on(at::Tensor x, const at::Tensor& y, const std::vector<at::Tensor>& noise, int64_t from, int64_t stop) const {
  for (int64_t t = from; t > stop; --t) {
    const at::Tensor x0 = predict(x, y, t);
    x = posterior_mean(schedule, x, x0, t);
    if (t > 1 && !schedule.flow) x = x + posterior_std(schedule, t) * noise.at(schedule.steps() - t + 1);
  }
  return x;
}

std::vector<at::Tensor> Generator::draw_noise(Random& random, at::IntArrayRef shape, at::Device device) const {
  std::vector<at::Tensor> noise;
  for (int64_t k = 0; k < schedule.draws(); ++k) noise.push_back(normal_tensor(random, shape, device));
  return noise;
}

void Generator::seed_module(uint64_t seed) const {
  if (script && script->draws()) at::manual_seed(seed);
}

int64_t lr_multiple(const Generator& generator) {
  return generator.net.multiple / std::gcd(generator.net.multiple, generator.settings.scale);
}

void check_scale(const Generator& generator, int64_t degradation_scale) {
  if (degradation_scale != generator.settings.scale)
    throw usage_error(fmt::format("datasets.degradation.scale: expected {}, the generator's scale, found {}", generator.settings.scale,
                                  degradation_scale));
}

void check_side(const Generator& generator, int64_t side, const std::string& setting) {
  const int64_t multiple = std::lcm(generator.net.multiple, generator.settings.scale);
  if (side % multiple != 0)
    throw usage_error(fmt::format("{}: expected a multiple of {}, as this net needs, found {}", setting, multiple, side));
}

namespace {

std::unique_ptr<Generator> from_checkpoint(const std::string& name_or_file) {
  const TensorFile file = read_checkpoint(name_or_file, "generator");
  auto generator = from_config<Generator, GeneratorSettings>(file, name_or_file);
  load(generator->params, file, name_or_file);
  return generator;
}

}  // namespace

std::unique_ptr<Generator> load_generator(const std::string& name_or_file, at::Device device) {
  auto generator = is_public_net(name_or_file)        ? load_public_net(name_or_file)
                   : may_be_torchscript(name_or_file) ? std::make_unique<Generator>(ScriptedNet(name_or_file, device))
                                                      : from_checkpoint(name_or_file);
  generator->params.to(device, at::kFloat);
  if (!generator->script) channels_last(generator->params);  // a module's layout is its own affair
  return generator;
}

void with_values(const Generator& generator, const std::vector<at::Tensor>& values, const std::function<void()>& work) {
  const std::vector<at::Tensor> own = clone_values(generator.params.all());
  copy_values(values, generator.params.all());
  work();
  copy_values(own, generator.params.all());
}

std::filesystem::path save_generator(const std::filesystem::path& path, const Generator& generator, const std::vector<at::Tensor>& values,
                                     const std::map<std::string, std::string>& facts) {
  if (generator.script) {
    const auto module = std::filesystem::path(path).replace_extension(".pt");
    with_values(generator, values, [&] { generator.script->save(module, facts); });
    return module;
  }
  TensorFile file;
  file.metadata = facts;
  put(file, generator.params.named_as(values), at::kHalf);
  write_checkpoint(path, file, "generator", to_yaml(generator.settings));
  return path;
}

}  // namespace finpercep
