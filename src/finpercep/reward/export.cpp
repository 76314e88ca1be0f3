// SPDX-License-Identifier: Apache-2.0
#include "finpercep/reward/export.h"

#include <fmt/format.h>

#include <tuple>

#include "finpercep/nets/script.h"

namespace finpercep {

std::string reward_script(const RewardModel& model, int64_t stage) {
  MethodBody mirrored("\ndef mirrored(self, x: Tensor, height: int, width: int) -> Tensor:");  // mirrored_to
  for (const auto& [dim, wanted, pad] : {std::tuple(2, "height", "[0, 0, 0, more]"), std::tuple(3, "width", "[0, more, 0, 0]")}) {
    mirrored(fmt::format("while x.size({}) < {}:", dim, wanted));
    mirrored(fmt::format("  more = min({} - x.size({}), max(x.size({}) - 1, 1))", wanted, dim, dim));
    mirrored(fmt::format("  x = torch.reflection_pad2d(x, {}) if x.size({}) > 1 else torch.replication_pad2d(x, {})", pad, dim, pad));
  }
  mirrored("return x");
  MethodBody line(model.encoder_.script() + mirrored.text() + "\ndef judge(self, x: Tensor) -> Tuple[Tensor, Tensor]:");
  take_pictures(line, "x", model.params.named().front().first);
  line("height = x.size(2)");
  line("width = x.size(3)");
  line("padded = self.mirrored(x, (height + 31) // 32 * 32, (width + 31) // 32 * 32)");
  line("taps = self.encoder(padded)");
  line("logits = torch.zeros_like(padded[:, :1])");
  line("h = " + script(model.neck_, "neck", "taps[4]", Activation::silu));
  for (int64_t k = 1; k <= stage; ++k) {
    const auto& level = model.levels_[k - 1];
    const std::string name = fmt::format("level.{}.", k);
    line("h = torch.upsample_nearest2d(h, [2 * h.size(2), 2 * h.size(3)])");
    line("tap = " + script(level.tap, name + "tap", fmt::format("taps[{}]", 4 - k)));
    line("if tap.size(2) != h.size(2) or tap.size(3) != h.size(3):");  // a transformer's tokens
    line("  tap = torch.upsample_bilinear2d(tap, [h.size(2), h.size(3)], False)");
    line(fmt::format("h = torch.silu(tap + {})", script(level.fuse, name + "fuse", "h")));
    line("h = h + " + script(level.refine, name + "refine", "h", Activation::silu));
    line(fmt::format("logits = logits + torch.upsample_bilinear2d({}, [padded.size(2), padded.size(3)], False)",
                     script(level.logits, name + "logits", "h")));
  }
  line("map = torch.sigmoid(logits)");
  line(model.settings.head == "plain" ? "cells = taps[4]" : "cells = taps[4] * torch.avg_pool2d(map, [32, 32], [32, 32])");
  if (model.settings.head == "defect_and_clean") line("cells = torch.cat([cells, taps[4] - cells], 1)");
  const std::string head = fmt::format("head.{}.", stage);
  line(fmt::format("hidden = torch.silu({})", linear_script(head + "hidden", "torch.mean(cells, [2, 3])")));
  line(fmt::format("logit = {}", linear_script(head + "out", "hidden")));
  line("return logit[:, 0], map[:, :, :height, :width]");
  MethodBody forward("\ndef forward(self, x: Tensor) -> Tuple[Tensor, Tensor]:");
  forward("logit, map = self.judge(x)");
  forward("return torch.sigmoid(logit), map");
  return line.text() + forward.text();
}

std::string export_reward(const RewardModel& model, int64_t stage, const std::string& facts) {
  return script_file("FinPercepReward", model.params.named(), {}, reward_script(model, stage), facts);
}

}  // namespace finpercep
