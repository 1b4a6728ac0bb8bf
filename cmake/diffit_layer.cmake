# diffit_layer(NAME SOURCES ... [TESTS ...] [DEPENDS ...] [TORCH])
#
# Makes the static library diffit_NAME from the sources in the current folder, and NAME_test from its unit
# tests, registered with CTest under the label NAME. TORCH layers share one precompiled header.
# A *_test.cpp that lies in the folder and is not listed is an error: no test is lost by forgetting it.

add_library(diffit_flags INTERFACE)
target_include_directories(diffit_flags INTERFACE ${CMAKE_SOURCE_DIR}/src)
target_compile_options(diffit_flags INTERFACE -Wall -Wextra -Wshadow -Wnon-virtual-dtor -Wold-style-cast
  -Woverloaded-virtual -Wcast-qual -Wformat=2)
# GCC 12 warns of overlapping copies in its own std::string (bug 105651).
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  target_compile_options(diffit_flags INTERFACE -Wno-restrict)
endif()
if(DIFFIT_WERROR)
  target_compile_options(diffit_flags INTERFACE -Werror)
endif()

# The one precompiled header of everything that sees a tensor.
add_library(diffit_torch_pch STATIC ${CMAKE_SOURCE_DIR}/src/kernels/pch.cpp)
target_link_libraries(diffit_torch_pch PUBLIC diffit_flags LibTorch::cpu fmt::fmt)
target_precompile_headers(diffit_torch_pch PRIVATE ${CMAKE_SOURCE_DIR}/src/kernels/pch.h)
# ccache needs the header's text, not only its compiled form.
target_compile_options(diffit_torch_pch PRIVATE -fpch-preprocess)

function(diffit_use_torch target)
  target_link_libraries(${target} PUBLIC LibTorch::cpu)
  if(CMAKE_DISABLE_PRECOMPILE_HEADERS)  # the lint preset: clang-tidy cannot read g++'s
    target_compile_options(${target} PRIVATE "SHELL:-include ${CMAKE_SOURCE_DIR}/src/kernels/pch.h")
  else()
    target_compile_options(${target} PRIVATE -fpch-preprocess)
    target_precompile_headers(${target} REUSE_FROM diffit_torch_pch)
  endif()
endfunction()

function(diffit_check_tests_listed listed)
  file(GLOB present RELATIVE ${CMAKE_CURRENT_SOURCE_DIR} CONFIGURE_DEPENDS *_test.cpp */*_test.cpp)
  foreach(test ${present})
    if(NOT test IN_LIST listed)
      message(FATAL_ERROR "${CMAKE_CURRENT_SOURCE_DIR}/${test} is not listed under TESTS")
    endif()
  endforeach()
endfunction()

function(diffit_test name)
  cmake_parse_arguments(A "TORCH" "LABEL" "SOURCES;DEPENDS" ${ARGN})
  add_executable(${name} ${A_SOURCES})
  target_link_libraries(${name} PRIVATE diffit_flags ${A_DEPENDS} GTest::gtest GTest::gtest_main)
  target_compile_definitions(${name} PRIVATE
    DIFFIT_SOURCE_DIR="${CMAKE_SOURCE_DIR}" DIFFIT_BINARY="$<TARGET_FILE_DIR:diffit>/diffit")
  if(A_TORCH)
    diffit_use_torch(${name})
  endif()
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
  cmake_parse_arguments(A "TORCH" "" "SOURCES;TESTS;DEPENDS" ${ARGN})
  if(NOT A_SOURCES)
    add_library(diffit_${name} INTERFACE)
    return()
  endif()
  add_library(diffit_${name} STATIC ${A_SOURCES})
  target_link_libraries(diffit_${name} PUBLIC diffit_flags ${A_DEPENDS})
  if(A_TORCH)
    diffit_use_torch(diffit_${name})
    set(torch TORCH)
  endif()
  diffit_check_tests_listed("${A_TESTS}")
  if(DIFFIT_TESTS AND A_TESTS)
    diffit_test(${name}_test LABEL ${name} SOURCES ${A_TESTS} DEPENDS diffit_${name} ${torch})
  endif()
endfunction()
