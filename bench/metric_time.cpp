// SPDX-License-Identifier: Apache-2.0
// metric_time METRIC THREADS REPEATS IMAGE REFERENCE: milliseconds of one metric in the steady state
// (median, least, processor time of all threads), its value and the peak memory, as one line of JSON.
#include <malloc.h>
#include <sys/resource.h>

#include <ATen/Parallel.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <string>
#include <vector>

#include "finpercep/base/error.h"
#include "finpercep/image/io.h"
#include "finpercep/metrics/registry.h"

int main(int argc, char** argv) try {
  if (argc != 6) {
    std::fprintf(stderr, "metric_time METRIC THREADS REPEATS IMAGE REFERENCE\n");
    return 2;
  }
  mallopt(M_MMAP_THRESHOLD, 1 << 30);  // as the program itself does
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  mallopt(M_TOP_PAD, 64 << 20);
  const int threads = std::stoi(argv[2]), repeats = std::stoi(argv[3]);
  at::set_num_threads(threads);
  const finpercep::Image image = finpercep::read_image(argv[4]), reference = finpercep::read_image(argv[5]);
  const finpercep::MetricSet metric({argv[1]}, {.protocol = finpercep::Protocol::pyiqa, .device = "cpu", .threads = threads});
  double value = metric.compute(image, reference)[0];
  std::vector<double> times;
  const std::clock_t cpu = std::clock();
  for (int i = 0; i < repeats; ++i) {
    const auto start = std::chrono::steady_clock::now();
    value = metric.compute(image, reference)[0];
    times.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
  }
  const double cpu_ms = 1e3 * static_cast<double>(std::clock() - cpu) / CLOCKS_PER_SEC / repeats;
  std::sort(times.begin(), times.end());
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  std::printf("{\"metric\": \"%s\", \"median_ms\": %.3f, \"least_ms\": %.3f, \"cpu_ms\": %.3f, \"value\": %.8g, \"peak_mb\": %.0f}\n",
              argv[1], times[times.size() / 2], times[0], cpu_ms, value, static_cast<double>(usage.ru_maxrss) / 1024);
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "metric_time: %s\n", error.what());
  return 1;
}
