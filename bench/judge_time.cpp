// SPDX-License-Identifier: Apache-2.0
// judge_time MODEL SIDE THREADS fp32|bf16: for compare_reward.py. A byte on stdin judges the picture once more; the answer is a line
// "wall processor" in milliseconds. The picture is stdin's first 3 x SIDE x SIDE floats; before the first answer come score and map as
// floats.
#include <ATen/Parallel.h>

#include <malloc.h>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>

#include "finpercep/judge.h"

using namespace finpercep;

int main(int argc, char** argv) {
  if (argc != 5) return std::fprintf(stderr, "judge_time: expected MODEL SIDE THREADS fp32|bf16\n"), 2;
  mallopt(M_MMAP_THRESHOLD, 1 << 30);  // as in cli/main.cpp
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  mallopt(M_TOP_PAD, 64 << 20);
  at::set_num_threads(std::atoi(argv[3]));
  const int side = std::atoi(argv[2]);
  Image photo(side, side);
  if (std::fread(photo.data.data(), sizeof(float), photo.data.size(), stdin) != photo.data.size()) return 3;
  const Judge judge({.model = argv[1], .device = "cpu", .dtype = argv[4]});
  const Verdict verdict = judge(photo);
  std::fwrite(&verdict.score, sizeof(float), 1, stdout);
  std::fwrite(verdict.map.data.data(), sizeof(float), verdict.map.data.size(), stdout);
  std::fflush(stdout);
  while (std::getchar() != EOF) {
    const auto start = std::chrono::steady_clock::now();
    const std::clock_t used = std::clock();
    judge(photo);
    std::printf("%.3f %.3f\n", std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count(),
                1e3 * static_cast<double>(std::clock() - used) / CLOCKS_PER_SEC);
    std::fflush(stdout);
  }
}
