// SPDX-License-Identifier: Apache-2.0
// dino_time SIDE BATCH THREADS fp32|bf16 ROUNDS: least wall and processor milliseconds a picture of DINOv2's tokens; for compare_dino.py.
#include <ATen/Parallel.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>

#include "finpercep/nets/dino.h"
#include "finpercep/nets/optimise.h"

using namespace finpercep;

int main(int argc, char** argv) {
  if (argc != 6) return std::fprintf(stderr, "dino_time: expected SIDE BATCH THREADS fp32|bf16 ROUNDS\n"), 2;
  const int64_t side = std::atoll(argv[1]), batch = std::atoll(argv[2]);
  at::set_num_threads(std::atoi(argv[3]));
  at::NoGradGuard no_grad;
  Params params(0);
  const Dino net(params, DinoVersion::v2);
  load_pretrained(net, DinoVersion::v2);
  Random random(1, "dino_time");
  const at::Tensor x = normal_tensor(random, {batch, 3, side, side}).mul(0.2).add(0.5).clamp(0, 1);
  const at::ScalarType dtype = std::string(argv[4]) == "bf16" ? at::kBFloat16 : at::kFloat;
  const MixedPrecision precision(at::kCPU, dtype);
  net.tokens(x);
  double wall = 1e9, processor = 1e9;
  for (int round = 0; round < std::atoi(argv[5]); ++round) {
    const auto start = std::chrono::steady_clock::now();
    const std::clock_t used = std::clock();
    net.tokens(x);
    processor = std::min(processor, 1e3 * static_cast<double>(std::clock() - used) / CLOCKS_PER_SEC);
    wall = std::min(wall, std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
  }
  std::printf("%.2f %.2f\n", wall / static_cast<double>(batch), processor / static_cast<double>(batch));
}
