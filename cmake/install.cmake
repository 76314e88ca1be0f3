# SPDX-License-Identifier: Apache-2.0
# cmake --install: the program, the models, and the public C++ API as one shared library. LibTorch stays where it was found.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

# The two objects that define the public functions; the linker takes what these need from the modules.
add_library(finpercep_api SHARED $<FILTER:$<TARGET_OBJECTS:finpercep_reward>,INCLUDE,/judge\\.cpp> $<FILTER:$<TARGET_OBJECTS:finpercep_image>,INCLUDE,/io\\.cpp>)
add_library(FinPercep::finpercep ALIAS finpercep_api)
target_link_libraries(finpercep_api PRIVATE finpercep_reward)
target_link_options(finpercep_api PRIVATE -Wl,--version-script=${CMAKE_CURRENT_LIST_DIR}/exports.map)
target_include_directories(finpercep_api INTERFACE $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
target_compile_features(finpercep_api INTERFACE cxx_std_20)
set_target_properties(finpercep_api PROPERTIES
  OUTPUT_NAME finpercep EXPORT_NAME finpercep LINKER_LANGUAGE CXX LINK_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/exports.map
  VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
set_target_properties(finpercep_api finpercep PROPERTIES INSTALL_RPATH ${torch_root}/lib)

install(TARGETS finpercep)
install(TARGETS finpercep_api EXPORT FinPercepTargets)
install(DIRECTORY include/finpercep TYPE INCLUDE)
install(DIRECTORY models/ DESTINATION ${CMAKE_INSTALL_DATADIR}/finpercep/models)
install(EXPORT FinPercepTargets NAMESPACE FinPercep:: DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/FinPercep)
write_basic_package_version_file(FinPercepConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES cmake/FinPercepConfig.cmake ${CMAKE_BINARY_DIR}/FinPercepConfigVersion.cmake DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/FinPercep)
