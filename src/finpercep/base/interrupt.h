// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

namespace finpercep {

/// SIGINT and SIGTERM set a flag that every loop over pictures or steps reads between two of them; a second SIGINT ends the process at
/// once.
void catch_interrupts();
bool interrupted();
/// interrupted_error("interrupted: " and what has become of the work) once the flag is set.
void stop_if_interrupted(const std::string& outcome = "nothing was saved");

}  // namespace finpercep
