# SPDX-License-Identifier: Apache-2.0
# find_package(FinPercep): the target FinPercep::finpercep, whose headers name nothing of LibTorch.
include("${CMAKE_CURRENT_LIST_DIR}/FinPercepTargets.cmake")
