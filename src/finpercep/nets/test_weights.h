// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <doctest/doctest.h>

#include "finpercep/base/error.h"
#include "finpercep/nets/pretrained.h"

namespace finpercep::test {

/// Whether all of these are in the weights' cache; says which one is not.
inline bool have_weights(std::initializer_list<const char*> names) {
  try {
    for (const char* name : names) weight_file(name);
    return true;
  } catch (const Error& error) {
    MESSAGE("skipped: " << error.what());
    return false;
  }
}

}  // namespace finpercep::test
