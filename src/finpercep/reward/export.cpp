// SPDX-License-Identifier: Apache-2.0
#include "finpercep/reward/export.h"

#include <fmt/format.h>

#include "finpercep/nets/script.h"

namespace finpercep {

std::string reward_script(const RewardModel& model, int64_t stage) {
  MethodBody line(model.encoder_.script() + "\ndef forward(self, x: Tensor) -> Tuple[Tensor, Tensor]:");
  line("assert x.dim() == 4 and x.size(1) == 3 and x.is_floating_point(), \"expected N x 3 x H x W floats, RGB in [0,1]\"");
  line(fmt::format("x = x.to(self.{}.dtype)", script_name(model.params.named().front().first)));
  line("height = x.size(2)");
  line("width = x.size(3)");
  line("padded = torch.replication_pad2d(x, [0, (32 - width % 32) % 32, 0, (32 - height % 32) % 32])");
  line("taps = self.encoder(padded)");
  line("logits = torch.zeros_like(padded[:, :1])");
  line("h = " + script(model.neck_, "neck", "taps[4]", Activation::silu));
  for (int64_t k = 1; k <= stage; ++k) {
    const auto& level = model.levels_[k - 1];
    const std::string name = fmt::format("level.{}.", k);
    line(fmt::format("tap = taps[{}]", 4 - k));
    line("h = torch.upsample_nearest2d(h, [tap.size(2), tap.size(3)])");
    line(fmt::format("h = torch.silu({} + {})", script(level.tap, name + "tap", "tap"), script(level.fuse, name + "fuse", "h")));
    line("h = h + " + script(level.refine, name + "refine", "h", Activation::silu));
    line(fmt::format("logits = logits + torch.upsample_bilinear2d({}, [padded.size(2), padded.size(3)], False)",
                     script(level.logits, name + "logits", "h")));
  }
  line("map = torch.sigmoid(logits)");
  line(model.settings.head == "plain" ? "cells = taps[4]" : "cells = taps[4] * torch.avg_pool2d(map, [32, 32], [32, 32])");
  if (model.settings.head == "defect_and_clean") line("cells = torch.cat([cells, taps[4] - cells], 1)");
  const std::string head = fmt::format("head.{}.", stage);
  line(fmt::format("hidden = torch.silu({})", linear_script(head + "hidden", "torch.mean(cells, [2, 3])")));
  line(fmt::format("score = torch.sigmoid({})", linear_script(head + "out", "hidden")));
  line("return score[:, 0], map[:, :, :height, :width]");
  return line.text();
}

std::string export_reward(const RewardModel& model, int64_t stage, const std::string& facts) {
  return script_file("FinPercepReward", {}, model.params.named(), reward_script(model, stage), facts);
}

}  // namespace finpercep
