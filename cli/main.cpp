// SPDX-License-Identifier: Apache-2.0
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <iostream>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "cli/command.h"
#include "finpercep/base/error.h"
#include "finpercep/base/interrupt.h"
#include "finpercep/base/log.h"
#include "finpercep/base/memory.h"
#include "finpercep/base/text.h"
#include "finpercep/version.h"

using namespace finpercep;

namespace {

constexpr const char* no_memory = "memory: expected enough for this job on the host or the GPU, ran out. use a smaller --tile or batch";

int fail(const std::string& message, ExitCode code) {
  std::fprintf(stderr, "finpercep: %s\n", one_line(message.substr(0, message.find('\n'))).c_str());
  return static_cast<int>(code);
}

// Tensors of some megabytes come and go with every call; giving each back to the kernel costs more than the arithmetic. Larger ones go
// back: kept, a 24-megapixel photograph takes twice the memory. The heap begins with huge pages, and before all else: loading LibTorch
// fills 60 MB with its operators, page by page.
void prepare_heap() {
  constexpr int first = 256 << 20, huge_page = 2 << 20;
  mallopt(M_MMAP_THRESHOLD, 16 << 20);
  mallopt(M_TRIM_THRESHOLD, first);  // less, and the first free() would give them back
  mallopt(M_TOP_PAD, first);
  void* block = std::malloc(1 << 20);
  const auto begin = (reinterpret_cast<std::uintptr_t>(block) + huge_page - 1) / huge_page * huge_page;
  madvise(reinterpret_cast<void*>(begin), first - huge_page, MADV_HUGEPAGE);  // advice: where it is not taken, nothing changes
  std::free(block);
  mallopt(M_TOP_PAD, 64 << 20);
}
// Called before the initialisers of shared libraries.
[[gnu::section(".preinit_array"), gnu::used]] void (*const before_all)() = prepare_heap;

int run(int argc, char** argv) {
  setenv("THP_MEM_ALLOC_ENABLE", "1", false);  // LibTorch's: large tensors in huge pages
  catch_interrupts();

  CLI::App program("FinPercep: scores super-resolved pictures, shows where they are broken, and fine-tunes generators with that reward.");
  program.set_version_flag("--version", std::string("finpercep ") + version);
  program.require_subcommand(1);
  program.fallthrough();
  bool quiet = false;
  program.add_flag("-q,--quiet", quiet, "warnings and errors only")->trigger_on_parse()->each([](const std::string&) {
    set_log_level(LogLevel::quiet);
  });
  for (const auto add : {add_score, add_map, add_degrade, add_upscale, add_fgr, add_train, add_rl, add_eval, add_report, add_study,
                         add_demo, add_export, add_models, add_metrics, add_weights, add_doctor})
    add(program);

  try {
    std::vector<std::string> words(argv + 1, argv + argc);
    if (!words.empty()) check_command_word(program, words.front());
    for (std::string& word : words)
      if (word.starts_with('[') && word.ends_with(']')) word.insert(0, "./");  // a folder's name, not CLI11's list
    std::ranges::reverse(words);                                               // as CLI11 takes them
    program.parse(std::move(words));
    return static_cast<int>(ExitCode::ok);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() != 0) return fail(describe_usage_error(program, error), ExitCode::usage);
    program.exit(error);  // --help, --version
    return std::cout.flush() ? 0 : fail("stdout: expected to write the help, the reader has gone or the disk is full", ExitCode::input);
  } catch (const Error& error) {
    return fail(error.what(), error.code());
  } catch (const std::filesystem::filesystem_error& error) {  // a folder that vanished or cannot be read
    if (error.code() == std::errc::not_enough_memory) return fail(no_memory, ExitCode::internal);
    return fail("folder: " + error.path1().string() + ": " + error.code().message(), ExitCode::input);
  } catch (const std::exception& error) {
    if (out_of_memory(error)) return fail(no_memory, ExitCode::internal);
    return fail(std::string("internal error: ") + error.what(), ExitCode::internal);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const int code = run(argc, argv);
  // Every file is closed by now. What is left is LibTorch's, thousands of operators to be taken off their tables one by one: a tenth of the
  // time of a picture's score.
  std::fflush(nullptr);
  ::_exit(code);  // by its POSIX name, which sanitizers and tests know
}
