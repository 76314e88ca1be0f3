# SPDX-License-Identifier: Apache-2.0
# The only place that knows where LibTorch is: the torch package of the selected Python, found without importing it (0.2 s, not 2.6 s).
find_package(Python3 REQUIRED COMPONENTS Interpreter)
if(NOT Torch_DIR)
  execute_process(
    COMMAND ${Python3_EXECUTABLE} -c "import importlib.util,os;s=importlib.util.find_spec('torch');print(os.path.dirname(s.origin) if s else '',end='')"
    OUTPUT_VARIABLE torch_root)
  if(NOT torch_root)
    message(FATAL_ERROR "torch: ${Python3_EXECUTABLE} has no torch package. Run `make setup`, or `${Python3_EXECUTABLE} -m pip install torch==2.13.0`, "
                        "or choose another Python with -DPython3_EXECUTABLE=...")
  endif()
  set(Torch_DIR ${torch_root}/share/cmake/Torch)
endif()
cmake_path(SET torch_root NORMALIZE ${Torch_DIR}/../../..)
string(REGEX REPLACE "/$" "" torch_root ${torch_root})

if(EXISTS ${torch_root}/lib/libtorch_cuda.so)
  # A CUDA wheel's own config wants a CUDA toolkit; its libraries do not, nor does this program, which names nothing of CUDA.
  # They find those of the nvidia packages beside them when they are loaded, which the linker need not.
  set(TORCH_LIBRARIES -Wl,--allow-shlib-undefined)
  foreach(name c10 torch_cpu c10_cuda torch_cuda torch)
    find_library(torch_lib_${name} ${name} PATHS ${torch_root}/lib NO_DEFAULT_PATH NO_CACHE)
    if(torch_lib_${name})
      list(APPEND TORCH_LIBRARIES ${torch_lib_${name}})
    endif()
    unset(torch_lib_${name})
  endforeach()
  set(TORCH_INCLUDE_DIRS ${torch_root}/include ${torch_root}/include/torch/csrc/api/include)
else()
  foreach(name TORCH_LIBRARY c10_LIBRARY Caffe2_DIR)  # of another Python's torch, which this build folder may have had before
    unset(${name} CACHE)
  endforeach()
  find_package(Torch REQUIRED)
endif()

add_library(finpercep_torch INTERFACE)
add_library(finpercep::torch ALIAS finpercep_torch)
# --no-as-needed: the CUDA library registers its kernels when loaded, no symbol of ours names it.
target_link_libraries(finpercep_torch INTERFACE -Wl,--no-as-needed ${TORCH_LIBRARIES} -Wl,--as-needed)
target_include_directories(finpercep_torch SYSTEM INTERFACE ${TORCH_INCLUDE_DIRS})
# The wheel's include folder carries another fmt than the library we link, so ours is found first. (Header-only fmt would cost 3 s a file.)
find_package(fmt REQUIRED)
get_target_property(fmt_include fmt::fmt INTERFACE_INCLUDE_DIRECTORIES)
file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/include)
file(CREATE_LINK ${fmt_include}/fmt ${CMAKE_BINARY_DIR}/include/fmt SYMBOLIC)
target_include_directories(finpercep_torch SYSTEM BEFORE INTERFACE ${CMAKE_BINARY_DIR}/include)
