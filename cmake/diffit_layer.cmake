# diffit_layer(NAME [SOURCES ...] [DEPENDS ...] [APART ...] [TORCH] [LIGHT])
#
# Makes the static library diffit_NAME from all *.cpp files in the current folder and its subfolders (and the
# sources given), and NAME_test from the *_test.cpp files, registered with CTest under the label NAME. TORCH
# layers share one precompiled header. LIGHT: its code is not where a program spends its time (diffit_light).
# APART: sources that a unity build (CMAKE_UNITY_BUILD) compiles by themselves, because names in their anonymous
# namespaces are used in others too.

add_library(diffit_flags INTERFACE)
target_include_directories(diffit_flags INTERFACE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/include)
target_compile_options(diffit_flags INTERFACE -Wall -Wextra -Wshadow -Wnon-virtual-dtor -Wold-style-cast
  -Woverloaded-virtual -Wcast-qual -Wformat=2)
# GCC 12 warns of overlapping copies and of bounds in its own std::string (bugs 105651, 105329).
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  target_compile_options(diffit_flags INTERFACE -Wno-restrict -Wno-array-bounds -Wno-stringop-overflow)
endif()
if(DIFFIT_WERROR)
  target_compile_options(diffit_flags INTERFACE -Werror)
endif()

# The one precompiled header of everything that sees a tensor.
add_library(diffit_torch_pch STATIC ${PROJECT_SOURCE_DIR}/src/runtime/pch.cpp)
target_link_libraries(diffit_torch_pch PUBLIC diffit_flags LibTorch::cpu fmt::fmt)
target_precompile_headers(diffit_torch_pch PRIVATE ${PROJECT_SOURCE_DIR}/src/runtime/pch.h)
# ccache needs the header's text, not only its compiled form.
target_compile_options(diffit_torch_pch PRIVATE -fpch-preprocess)

function(diffit_use_torch target)
  target_link_libraries(${target} PUBLIC LibTorch::cpu)
  if(CMAKE_DISABLE_PRECOMPILE_HEADERS)  # the lint preset: clang-tidy cannot read g++'s
    target_compile_options(${target} PRIVATE "SHELL:-include ${PROJECT_SOURCE_DIR}/src/runtime/pch.h")
  else()
    target_compile_options(${target} PRIVATE -fpch-preprocess)
    target_precompile_headers(${target} REUSE_FROM diffit_torch_pch)
  endif()
endfunction()

# What takes no time when it runs is compiled in three quarters of the time. Results are the same bits.
function(diffit_light target)
  target_compile_options(${target} PRIVATE $<$<CONFIG:Release>:-O1>)
endfunction()

function(diffit_test name)
  cmake_parse_arguments(A "TORCH" "LABEL" "SOURCES;DEPENDS" ${ARGN})
  add_executable(${name} ${A_SOURCES})
  target_link_libraries(${name} PRIVATE diffit_flags ${A_DEPENDS} GTest::gtest GTest::gtest_main)
  target_compile_definitions(${name} PRIVATE
    DIFFIT_SOURCE_DIR="${PROJECT_SOURCE_DIR}" DIFFIT_BINARY="$<TARGET_FILE_DIR:diffit>/diffit")
  if(A_TORCH)
    diffit_use_torch(${name})
  endif()
  diffit_light(${name})
  # One process a layer: starting LibTorch for each test would take longer than the tests. Waiting threads sleep,
  # since tests run beside one another.
  add_test(NAME ${name} COMMAND ${name} --gtest_brief=1)
  set(environment OMP_WAIT_POLICY=passive)
  # Small tensors on several threads cost many times the work. The kernels' tests keep them all, and tests of
  # independence of threads set their own numbers.
  if(NOT A_LABEL STREQUAL kernels)
    list(APPEND environment OMP_NUM_THREADS=1)
  endif()
  set_tests_properties(${name} PROPERTIES LABELS ${A_LABEL} TIMEOUT 300 ENVIRONMENT "${environment}")
endfunction()

function(diffit_layer name)
  cmake_parse_arguments(A "TORCH;LIGHT" "" "SOURCES;DEPENDS;APART" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS *.cpp)
  list(FILTER sources EXCLUDE REGEX "_library\\.cpp$")  # shared libraries of their own, opened at run time
  set_source_files_properties(${A_APART} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
  set(tests ${sources})
  list(FILTER tests INCLUDE REGEX "_test\\.cpp$")
  list(FILTER sources EXCLUDE REGEX "_test\\.cpp$")
  add_library(diffit_${name} STATIC ${sources} ${A_SOURCES})
  target_link_libraries(diffit_${name} PUBLIC diffit_flags ${A_DEPENDS})
  if(A_TORCH)
    diffit_use_torch(diffit_${name})
    set(torch TORCH)
  endif()
  if(A_LIGHT)
    diffit_light(diffit_${name})
  endif()
  if(DIFFIT_TESTS AND tests)
    diffit_test(${name}_test LABEL ${name} SOURCES ${tests} DEPENDS diffit_${name} ${torch})
  endif()
endfunction()
