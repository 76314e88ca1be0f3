# SPDX-License-Identifier: Apache-2.0
find_program(CCACHE ccache)
if(CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime ${CCACHE})
endif()

# -fPIC for programs as well: a precompiled header only fits files with the same flags.
add_library(finpercep_flags INTERFACE)
target_compile_options(finpercep_flags INTERFACE -Wall -Wextra -fPIC $<$<BOOL:${FINPERCEP_ARCH}>:-march=${FINPERCEP_ARCH}> -ffp-contract=off
                                                 $<$<BOOL:${CCACHE}>:-fpch-preprocess>)
target_include_directories(finpercep_flags INTERFACE ${CMAKE_SOURCE_DIR}/include ${CMAKE_SOURCE_DIR}/src)

# Parsing torch costs 10 s a file; this makes it 31 s once. torch/types.h has all operators and autograd tensors, and nothing of nn or optim.
add_library(finpercep_pch OBJECT ${CMAKE_SOURCE_DIR}/cmake/pch.cpp)
target_link_libraries(finpercep_pch PRIVATE finpercep_flags finpercep::torch)
target_precompile_headers(finpercep_pch PRIVATE <torch/types.h>)

# Tests run two at a time: with two OpenMP threads each they would wait for one another, several times as long as alone. Those that are about threads, or gain most by them, use both
# cores and run alone.
function(use_one_core test)
  set_tests_properties(${test} PROPERTIES ENVIRONMENT OMP_NUM_THREADS=1 PROCESSORS 1)
endfunction()
function(use_two_cores test)
  set_tests_properties(${test} PROPERTIES ENVIRONMENT OMP_NUM_THREADS=2 PROCESSORS 2)
endfunction()

# finpercep_module(name [TORCH] SOURCES .. [TESTS ..] [LINKS ..])
# Library finpercep_NAME and one test program NAME_test. LINKS of modules are public.
function(finpercep_module name)
  cmake_parse_arguments(ARG "TORCH" "" "SOURCES;TESTS;LINKS" ${ARGN})
  set(library finpercep_${name})
  add_library(${library} STATIC ${ARG_SOURCES})
  target_link_libraries(${library} PUBLIC finpercep_flags ${ARG_LINKS})
  if(ARG_TORCH)
    target_link_libraries(${library} PUBLIC finpercep::torch)
    target_precompile_headers(${library} REUSE_FROM finpercep_pch)
  endif()
  if(FINPERCEP_TESTS AND ARG_TESTS)
    add_executable(${name}_test ${ARG_TESTS} ${CMAKE_SOURCE_DIR}/tests/main.cpp)
    target_link_libraries(${name}_test PRIVATE ${library} doctest::doctest)
    target_compile_definitions(${name}_test PRIVATE FINPERCEP_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
    if(ARG_TORCH)
      target_precompile_headers(${name}_test REUSE_FROM finpercep_pch)
    endif()
    add_test(NAME ${name} COMMAND ${name}_test WORKING_DIRECTORY ${CMAKE_BINARY_DIR})
    use_one_core(${name})
    set_tests_properties(${name} PROPERTIES LABELS fast TIMEOUT 300)
  endif()
endfunction()
