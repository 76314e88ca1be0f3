// SPDX-License-Identifier: Apache-2.0
#include "finpercep/fgr/label_export.h"

#include <fmt/format.h>

#include "finpercep/nets/script.h"

namespace finpercep {

namespace {

std::string literal(double value) { return fmt::format("{:.17e}", value); }  // 1 would be an int, which TorchScript refuses

}  // namespace

std::string LabelFeatures::script() const {
  MethodBody line((dino_ ? tokens_script(*dino_, dino_layers) : encoder_script(*efficientnet_, "encoder.", 4)) +
                  "\ndef maps(self, x: Tensor) -> List[Tensor]:");
  line(dino_ ? "return self.tokens(x)" : "return self.encoder(x)[1:4]");
  return line.text();
}

std::string export_label(const LabelFeatures& features, double alpha, double scale, const std::string& facts) {
  const int64_t unit = features.unit();
  MethodBody distance(features.script() + "\ndef distance(self, a: Tensor, b: Tensor) -> Tensor:");
  distance("height = a.size(2)");
  distance("width = a.size(3)");
  distance(fmt::format("more = [0, ({0} - width % {0}) % {0}, 0, ({0} - height % {0}) % {0}]", unit));
  distance("of_a = self.maps(torch.replication_pad2d(a, more))");
  distance("of_b = self.maps(torch.replication_pad2d(b, more))");
  distance("whole = [height + more[3], width + more[1]]");
  distance("total = torch.zeros_like(a[:, :1])");
  distance("for i in range(len(of_a)):");
  distance("  part = torch.upsample_bilinear2d((1 - torch.cosine_similarity(of_a[i], of_b[i], 1))[:, None], whole, False)");
  distance("  total = total + part[:, :, :height, :width] / len(of_a)");
  distance("return torch.clamp(total, 0.0)");

  MethodBody raw(distance.text() + fmt::format("\ndef raw(self, gt: Tensor, syn: Tensor, alpha: float = {}) -> Tensor:", literal(alpha)));
  for (const char* picture : {"gt", "syn"}) {
    take_pictures(raw, picture, features.tensors().front().first);
    raw(fmt::format("{0} = {0}.detach()", picture));
  }
  raw("difference = alpha * torch.mean(torch.abs(gt - syn), [1], True)");
  raw("if alpha < 1:");
  raw("  difference = difference + (1 - alpha) * self.distance(gt, syn)");
  raw("return difference");

  MethodBody forward(
      raw.text() +
      fmt::format("\ndef forward(self, gt: Tensor, syn: Tensor, mask: Tensor, alpha: float = {}, scale: float = {}) -> Tensor:",
                  literal(alpha), literal(scale)));
  forward("inside = (mask > 0.5 / 255).to(gt.dtype)");
  forward("return torch.clamp(self.raw(gt, syn, alpha) / scale, 0.0, 1.0) * inside");
  return script_file("FinPercepLabel", {}, features.tensors(), forward.text(), facts);
}

}  // namespace finpercep
