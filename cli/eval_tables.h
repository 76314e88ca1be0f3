// SPDX-License-Identifier: Apache-2.0
// Where `eval` shows its tables: stdout and, with -o, files.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "finpercep/evaluate/rows.h"
#include "finpercep/evaluate/table.h"

namespace finpercep {

struct EvalOutputs {
  std::string folder, format = "text";  ///< "" is not wanted; a name of parse_table_format
  bool overwrite = false;
};

/// Stem of the table of differences.
std::string difference_of(const TestSet& set);
/// The CSV of a row's pictures.
std::filesystem::path csv_of(const TestSetRows& of, const std::string& row, const EvalOutputs& outputs);

/// Before any work: usage_error for rows or files of one name and a baseline that is no row, input_error for a file that exists and is not
/// to be replaced. `others`: stems of further tables.
void check_tables(const std::vector<TestSetRows>& sets, const std::string& baseline, const std::vector<std::string>& others,
                  const EvalOutputs& outputs);

/// To stdout under its title and to the file of that stem.
void show_table(const std::string& stem, const std::string& title, const Table& table, const EvalOutputs& outputs);

}  // namespace finpercep
