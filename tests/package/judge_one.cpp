// SPDX-License-Identifier: Apache-2.0
// judge_one PICTURE MAP.png: prints the score and the severity, writes the map.
#include <cstdio>

#include "finpercep/io.h"
#include "finpercep/judge.h"
#include "finpercep/version.h"

int main(int, char** args) try {
  const finpercep::Judge judge;
  const finpercep::Verdict verdict = judge(finpercep::read_image(args[1]));
  finpercep::write_image(args[2], verdict.map);
  std::printf("%s %.6f %.6f\n", finpercep::version, verdict.score, verdict.severity);
} catch (const finpercep::Error& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return static_cast<int>(error.code());
}
