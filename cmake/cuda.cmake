# The CUDA extension: required (ON), or built where nvcc is found (AUTO). OFF, the default, keeps `pip install .` short.
# EMU builds the same bindings and kernels with the C++ compiler, for the emulator: the module _cuda_emu, for tests.
enable_language(CXX)
if(NOT FASTNN_CUDA STREQUAL "EMU")
  include(CheckLanguage)
  check_language(CUDA)
  if(NOT CMAKE_CUDA_COMPILER)
    if(FASTNN_CUDA STREQUAL "ON")
      message(FATAL_ERROR "FASTNN_CUDA=ON, but no CUDA compiler was found: put nvcc on the PATH or set CUDACXX")
    endif()
    message(STATUS "FASTNN_CUDA=AUTO: no nvcc, so no CUDA extension")
    return()
  endif()
  set(CMAKE_CUDA_ARCHITECTURES "${FASTNN_CUDA_ARCHITECTURES}")
  enable_language(CUDA)
endif()
find_package(Python REQUIRED COMPONENTS Interpreter Development.Module)
find_package(pybind11 CONFIG REQUIRED)

# Every kernel file is a translation unit of its own; new ones are found.
file(GLOB FASTNN_CUDA_SOURCES CONFIGURE_DEPENDS RELATIVE ${CMAKE_SOURCE_DIR} csrc/cuda/*.cu)
set(FASTNN_CUDA_BINDINGS
  csrc/bindings_cuda.cpp
  csrc/bindings_cuda_attention.cpp
  csrc/bindings_cuda_conv2d.cpp
  csrc/bindings_cuda_elementwise.cpp
  csrc/bindings_cuda_gemm.cpp
  csrc/bindings_cuda_layers.cpp
  csrc/bindings_cuda_optim.cpp
  csrc/bindings_cuda_random.cpp
  csrc/bindings_cuda_reduce.cpp
  csrc/bindings_cuda_rnn.cpp
)

if(FASTNN_CUDA STREQUAL "EMU")
  file(GLOB FASTNN_EMU_SOURCES CONFIGURE_DEPENDS csrc/cuda/emu/*.cpp)
  list(REMOVE_ITEM FASTNN_CUDA_SOURCES csrc/cuda/device.cu)
  set_source_files_properties(${FASTNN_CUDA_SOURCES} PROPERTIES LANGUAGE CXX COMPILE_OPTIONS "-xc++")
  pybind11_add_module(_cuda_emu MODULE NO_EXTRAS ${FASTNN_CUDA_BINDINGS} ${FASTNN_CUDA_SOURCES} ${FASTNN_EMU_SOURCES})
  target_include_directories(_cuda_emu PRIVATE csrc)
  target_compile_definitions(_cuda_emu PRIVATE FASTNN_EMU)
  target_compile_options(_cuda_emu PRIVATE -O2 -Wno-unknown-pragmas)
  install(TARGETS _cuda_emu LIBRARY DESTINATION fastnn)
  return()
endif()

# The kernels are a library of their own, so that nvcc never sees pybind11 and Python's flags never reach nvcc.
add_library(fastnn_cuda OBJECT ${FASTNN_CUDA_SOURCES})
target_include_directories(fastnn_cuda PRIVATE csrc)
set_target_properties(fastnn_cuda PROPERTIES CUDA_STANDARD 17 CUDA_VISIBILITY_PRESET hidden CUDA_RUNTIME_LIBRARY Static)
# Machine code for four architectures, compressed as well as can be.
target_compile_options(fastnn_cuda PRIVATE -Xcompiler=-Wall,-Wextra --compress-mode=size)

# A static cudart: the module imports where neither a driver nor a CUDA library is installed.
pybind11_add_module(_cuda MODULE NO_EXTRAS ${FASTNN_CUDA_BINDINGS} $<TARGET_OBJECTS:fastnn_cuda>)
target_include_directories(_cuda PRIVATE csrc)
set_target_properties(_cuda PROPERTIES CUDA_RUNTIME_LIBRARY Static LINKER_LANGUAGE CUDA)
install(TARGETS _cuda LIBRARY DESTINATION fastnn)
