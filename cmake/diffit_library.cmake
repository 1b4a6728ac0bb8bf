# libdiffit.so: all layers in one shared library behind the headers of include/diffit, with a CMake package.
#
#   find_package(diffit REQUIRED)
#   target_link_libraries(mine PRIVATE diffit::diffit)      # include/diffit: no other headers needed
#   target_link_libraries(mine PRIVATE diffit::extension)   # also the headers of src/, which see tensors
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/empty.cpp CONTENT "")
add_library(diffit_library SHARED ${CMAKE_BINARY_DIR}/empty.cpp)
set(archives "")
foreach(layer ${DIFFIT_LAYERS})
  list(APPEND archives "$<TARGET_FILE:diffit_${layer}>")
endforeach()
# Everything of the layers is exported: programs that extend the library may use any of it.
target_link_options(diffit_library PRIVATE "LINKER:--whole-archive" ${archives} "LINKER:--no-whole-archive")
target_link_libraries(diffit_library PRIVATE diffit_capi)
set_property(TARGET diffit_library APPEND PROPERTY LINK_DEPENDS ${archives})
target_include_directories(diffit_library INTERFACE
  $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
target_compile_features(diffit_library INTERFACE cxx_std_20)
set_target_properties(diffit_library PROPERTIES OUTPUT_NAME diffit EXPORT_NAME diffit
  VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
add_library(diffit::diffit ALIAS diffit_library)

# The program with libdiffit.so instead of the layers: for packages that have both.
add_executable(diffit_program EXCLUDE_FROM_ALL $<TARGET_OBJECTS:diffit>)
# The archive alone: the layers that it stands on come out of the shared library.
target_link_libraries(diffit_program PRIVATE $<TARGET_FILE:diffit_server> PkgConfig::HTTPLIB PkgConfig::SQLITE diffit_library LibTorch::cpu fmt::fmt Threads::Threads PkgConfig::CTEMPLATE)
add_dependencies(diffit_program diffit_server)
set_target_properties(diffit_program PROPERTIES OUTPUT_NAME diffit LINKER_LANGUAGE CXX
  RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/wheel)

set(package ${CMAKE_INSTALL_LIBDIR}/cmake/diffit)
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/diffit-config.cmake.in
  ${CMAKE_BINARY_DIR}/diffit-config.cmake INSTALL_DESTINATION ${package} PATH_VARS CMAKE_INSTALL_INCLUDEDIR)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/diffit-config-version.cmake COMPATIBILITY SameMinorVersion)
install(TARGETS diffit_library EXPORT diffit-targets LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(TARGETS diffit RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(EXPORT diffit-targets NAMESPACE diffit:: DESTINATION ${package})
install(FILES ${CMAKE_BINARY_DIR}/diffit-config.cmake ${CMAKE_BINARY_DIR}/diffit-config-version.cmake
  ${PROJECT_SOURCE_DIR}/cmake/FindLibTorch.cmake DESTINATION ${package})
install(DIRECTORY include/diffit DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(DIRECTORY src/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/diffit-extension FILES_MATCHING
  PATTERN "*.h" PATTERN "*.def" PATTERN "cuda" EXCLUDE PATTERN "server" EXCLUDE PATTERN "templates" EXCLUDE
  PATTERN "*-inl.h" EXCLUDE PATTERN "testing.h" EXCLUDE)
install(DIRECTORY presets models DESTINATION ${CMAKE_INSTALL_DATADIR}/diffit)
