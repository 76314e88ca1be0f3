// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace finpercep {

/// SIGINT and SIGTERM set a flag that training loops read between steps; a second SIGINT ends the process at once.
void catch_interrupts();
bool interrupted();

}  // namespace finpercep
