# Makes the imported target LibTorch::cpu out of an unpacked PyPI wheel of torch.
#
# The wheel's own find_package(Torch) insists on a CUDA toolkit; libtorch_cpu and libc10 are all that
# `diffit` links. The CUDA backend is opened at run time where it is installed (see src/runtime/device.h).
# LIBTORCH_ROOT: a folder that holds torch/include, torch/lib and nvidia/cu13/lib. `./dev setup` makes it, and
# `./dev build --torch VERSION` one of another version.

set(LIBTORCH_ROOT "${PROJECT_SOURCE_DIR}/.deps/libtorch" CACHE PATH "Unpacked torch wheel")

set(_include "${LIBTORCH_ROOT}/torch/include")
set(_lib "${LIBTORCH_ROOT}/torch/lib")
if(NOT EXISTS "${_lib}/libtorch_cpu.so")
  message(FATAL_ERROR "LibTorch wanted in ${LIBTORCH_ROOT}, none found: run ./dev setup")
endif()

add_library(LibTorch::cpu INTERFACE IMPORTED)
# The wheel carries an fmt of its own: -idirafter lets Debian's come first.
target_compile_options(LibTorch::cpu INTERFACE
  "SHELL:-idirafter ${_include}" "SHELL:-idirafter ${_include}/torch/csrc/api/include")
file(GLOB _cuda_runtime "${LIBTORCH_ROOT}/nvidia/cu*/lib")
target_link_libraries(LibTorch::cpu INTERFACE "${_lib}/libtorch_cpu.so" "${_lib}/libc10.so")
target_link_options(LibTorch::cpu INTERFACE
  "LINKER:-rpath,${_lib}" "LINKER:-rpath-link,${_lib}"
  "LINKER:-rpath,${_cuda_runtime}" "LINKER:-rpath-link,${_cuda_runtime}"
  "LINKER:--disable-new-dtags" "LINKER:--allow-shlib-undefined")
