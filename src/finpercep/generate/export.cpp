// SPDX-License-Identifier: Apache-2.0
#include "finpercep/generate/export.h"

#include <fmt/format.h>

#include <cmath>

#include "finpercep/base/error.h"
#include "finpercep/nets/script.h"

namespace finpercep {

namespace {

// The chain of generator.h's roll_out, step by step.
std::string chain_script(const Generator& generator) {
  const ResShiftSchedule& chain = generator.schedule;
  const int64_t scale = generator.settings.scale, unit = lr_multiple(generator), steps = chain.steps(), draws = chain.draws();
  MethodBody line("def forward(self, lr: Tensor, noise: Optional[Tensor] = None) -> Tensor:");
  take_pictures(line, "lr", generator.params.named().front().first);
  line("height = lr.size(2)");
  line("width = lr.size(3)");
  line(fmt::format("padded = torch.replication_pad2d(lr, [0, ({0} - width % {0}) % {0}, 0, ({0} - height % {0}) % {0}])", unit));
  line(fmt::format("size = [padded.size(2) * {0}, padded.size(3) * {0}]", scale));
  line("y = torch.clamp(torch.upsample_bicubic2d(padded, size, False), 0.0, 1.0)");
  line(fmt::format("shape = [lr.size(0), {}, 3, size[0], size[1]]", draws));
  line("if noise is None:");
  line("  draws = torch.randn(shape, dtype=y.dtype, device=y.device)");
  line("else:");
  line("  assert noise.size() == shape, \"noise: expected \" + str(shape) + \", found \" + str(noise.size())");
  line("  draws = noise.to(y.dtype)");
  line(fmt::format("x = y + {} * draws[:, 0]", chain.noise(steps)));
  for (int64_t t = steps; t >= 1; --t) {
    const double spread = 2 * chain.noise(t);
    line(fmt::format("x0 = self.net((x - 0.5) * {} + 0.5, y, self.step_times[{}:{}])", 1 / std::sqrt(spread * spread + 1), t - 1, t));
    line(fmt::format("x = x * {} + x0 * {}", chain.eta.at(t - 1) / chain.eta.at(t), chain.alpha(t) / chain.eta.at(t)));
    if (t > 1 && !chain.flow) line(fmt::format("x = x + {} * draws[:, {}]", posterior_std(chain, t), steps - t + 1));
  }
  line(fmt::format("return torch.clamp(x[:, :, :height * {0}, :width * {0}], 0.0, 1.0)", scale));
  return line.text();
}

std::string generator_script(const Generator& generator) {
  const std::string net = generator.net.script();
  if (!generator.sees_lr) return net + "\n" + chain_script(generator);
  MethodBody line(net + "\ndef forward(self, lr: Tensor) -> Tensor:");
  take_pictures(line, "lr", generator.params.named().front().first);
  line("return torch.clamp(self.net(lr), 0.0, 1.0)");
  return line.text();
}

}  // namespace

std::string forward_facts(const Generator& generator) {
  const int64_t scale = generator.settings.scale;
  const std::string sr = fmt::format("N x 3 x {0}H x {0}W in [0,1]", scale);
  if (generator.sees_lr) return "lr: N x 3 x H x W, RGB in [0,1] -> " + sr;
  return fmt::format(
      "lr: N x 3 x H x W, RGB in [0,1], noise: None or N x {0} x 3 x {1}H' x {1}W' normals, H' and W' the sides of lr rounded up to "
      "multiples of {2} -> {3}",
      generator.schedule.draws(), scale, lr_multiple(generator), sr);
}

std::string export_generator(const Generator& generator, const std::string& facts) {
  if (generator.script)
    throw usage_error(fmt::format("generator: {}: expected a net of ours, found a TorchScript module: Python loads it as it is",
                                  generator.script->file()));
  NamedTensors buffers;
  if (!generator.sees_lr) {
    const std::vector<float> times(generator.schedule.time.begin() + 1, generator.schedule.time.end());
    buffers.emplace_back("step_times", time_embedding(at::tensor(times), generator.params.with_prefix("time1.weight").front().size(1)));
  }
  return script_file("FinPercepGenerator", generator.params.named(), buffers, generator_script(generator), facts);
}

}  // namespace finpercep
