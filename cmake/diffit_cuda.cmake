# diffit_cuda_library(NAME SOURCES ...): a shared library of CUDA kernels, compiled by nvcc for
# DIFFIT_CUDA_ARCHITECTURES, and as PTX for what comes after the last of them.
#
# CMake's own CUDA language is not used: it wants a whole toolkit, and PyPI's wheels of nvcc, which
# `./dev build --cuda` unpacks where there is none, are not one.

set(DIFFIT_CUDA_ARCHITECTURES "80;86;89;90a" CACHE STRING "Compute capabilities to compile the CUDA kernels for")
find_program(DIFFIT_NVCC nvcc HINTS ${PROJECT_SOURCE_DIR}/.deps/cuda/nvidia/cu13/bin /usr/local/cuda/bin)
get_filename_component(DIFFIT_CUDA_ROOT "${DIFFIT_NVCC}" REALPATH)
get_filename_component(DIFFIT_CUDA_ROOT "${DIFFIT_CUDA_ROOT}" DIRECTORY)
get_filename_component(DIFFIT_CUDA_ROOT "${DIFFIT_CUDA_ROOT}" DIRECTORY)
set(DIFFIT_CUDA_INCLUDE ${DIFFIT_CUDA_ROOT}/include)

function(diffit_cuda_library name)
  cmake_parse_arguments(A "" "" "SOURCES" ${ARGN})
  if(NOT DIFFIT_NVCC)
    message(FATAL_ERROR "DIFFIT_CUDA: nvcc wanted, none found: run ./dev build --cuda, or set DIFFIT_NVCC")
  endif()
  set(targets "")
  foreach(architecture ${DIFFIT_CUDA_ARCHITECTURES})
    list(APPEND targets -gencode arch=compute_${architecture},code=sm_${architecture})
  endforeach()
  list(GET DIFFIT_CUDA_ARCHITECTURES -1 newest)
  string(REGEX REPLACE "[a-z]+$" "" newest ${newest})
  list(APPEND targets -gencode arch=compute_${newest},code=compute_${newest})
  set(objects "")
  foreach(source ${A_SOURCES})
    get_filename_component(stem ${source} NAME_WE)
    set(object ${CMAKE_CURRENT_BINARY_DIR}/${name}_${stem}.o)
    add_custom_command(OUTPUT ${object}
      COMMAND ${DIFFIT_NVCC} -std=c++20 -O3 --expt-relaxed-constexpr -ccbin ${CMAKE_CXX_COMPILER}
        -I${PROJECT_SOURCE_DIR}/src ${targets} -Xcompiler=-fPIC,-fvisibility=hidden
        -MD -MF ${object}.d -c ${CMAKE_CURRENT_SOURCE_DIR}/${source} -o ${object}
      DEPENDS ${source} DEPFILE ${object}.d COMMENT "Compiling CUDA kernels ${source}" VERBATIM)
    list(APPEND objects ${object})
  endforeach()
  add_library(${name} SHARED ${objects})
  set_target_properties(${name} PROPERTIES LINKER_LANGUAGE CXX LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib)
  file(GLOB runtime ${LIBTORCH_ROOT}/nvidia/cu13/lib/libcudart.so.*)
  list(GET runtime 0 runtime)
  get_filename_component(folder ${runtime} DIRECTORY)
  target_link_libraries(${name} PRIVATE ${runtime})
  target_link_options(${name} PRIVATE "LINKER:-rpath,${folder}")
endfunction()
