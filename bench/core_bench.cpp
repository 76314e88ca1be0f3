// SPDX-License-Identifier: Apache-2.0
// The parts that training and judging wait for, on made-up photographs. Run on a quiet machine: `make bench`.
#include <benchmark/benchmark.h>

#include <cmath>

#include "finpercep/degrade/pipeline.h"
#include "finpercep/generate/generator.h"
#include "finpercep/judge.h"
#include "finpercep/metrics/registry.h"

using namespace finpercep;

namespace {

Image texture(int side) {
  Image image(side, side);
  for (int c = 0; c < 3; ++c)
    for (int y = 0; y < side; ++y)
      for (int x = 0; x < side; ++x)
        image.at(c, y, x) = static_cast<float>(0.5 + 0.3 * std::sin(0.31 * x + 0.17 * y + c) + 0.15 * std::sin(0.9 * x - 0.7 * y));
  return image;
}

void bench_degrade(benchmark::State& state) {
  const Image photo = texture(static_cast<int>(state.range(0)));
  uint64_t item = 0;
  for (auto _ : state) benchmark::DoNotOptimize(degrade(photo, {}, Random(0, "bench", item++)));
}
BENCHMARK(bench_degrade)->Arg(256)->Arg(400)->Unit(benchmark::kMillisecond);

void bench_metric(benchmark::State& state, const char* name) {
  const MetricSet metric({name});
  const Image a = texture(1024), b(1024, 1024, 3, 0.5f);
  for (auto _ : state) benchmark::DoNotOptimize(metric.compute(a, b));
}
BENCHMARK_CAPTURE(bench_metric, psnry, "psnry")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(bench_metric, ssim, "ssim")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(bench_metric, lpips, "lpips")->Unit(benchmark::kMillisecond);

void bench_judge(benchmark::State& state) {
  const Judge judge;
  const Image photo = texture(512);
  for (auto _ : state) benchmark::DoNotOptimize(judge(photo));
}
BENCHMARK(bench_judge)->Unit(benchmark::kMillisecond);

void bench_upscale(benchmark::State& state) {
  const auto generator = load_generator("sr-small", at::kCPU);
  const Image lr = texture(64);
  for (auto _ : state) benchmark::DoNotOptimize(upscale(*generator, lr, 0, {}));
}
BENCHMARK(bench_upscale)->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
