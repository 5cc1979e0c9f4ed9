# The CUDA extension: required (ON), or built where nvcc is found (AUTO). OFF, the default, keeps `pip install .` short.
include(CheckLanguage)
check_language(CUDA)
if(NOT CMAKE_CUDA_COMPILER)
  if(FASTNN_CUDA STREQUAL "ON")
    message(FATAL_ERROR "FASTNN_CUDA=ON, but no CUDA compiler was found: put nvcc on the PATH or set CUDACXX")
  endif()
  message(STATUS "FASTNN_CUDA=AUTO: no nvcc, so no CUDA extension")
  return()
endif()

enable_language(CXX)
set(CMAKE_CUDA_ARCHITECTURES "${FASTNN_CUDA_ARCHITECTURES}")
enable_language(CUDA)
find_package(Python REQUIRED COMPONENTS Interpreter Development.Module)
find_package(pybind11 CONFIG REQUIRED)

# Every kernel file is a translation unit of its own; new ones are found.
file(GLOB FASTNN_CUDA_SOURCES CONFIGURE_DEPENDS RELATIVE ${CMAKE_SOURCE_DIR} csrc/cuda/*.cu)
# The kernels are a library of their own, so that nvcc never sees pybind11 and Python's flags never reach nvcc.
add_library(fastnn_cuda OBJECT ${FASTNN_CUDA_SOURCES})
target_include_directories(fastnn_cuda PRIVATE csrc)
set_target_properties(fastnn_cuda PROPERTIES CUDA_STANDARD 17 CUDA_VISIBILITY_PRESET hidden CUDA_RUNTIME_LIBRARY Static)
# Machine code for four architectures, compressed as well as can be.
target_compile_options(fastnn_cuda PRIVATE -Xcompiler=-Wall,-Wextra --compress-mode=size)

# A static cudart: the module imports where neither a driver nor a CUDA library is installed.
pybind11_add_module(_cuda MODULE NO_EXTRAS csrc/bindings_cuda.cpp $<TARGET_OBJECTS:fastnn_cuda>)
target_include_directories(_cuda PRIVATE csrc)
set_target_properties(_cuda PROPERTIES CUDA_RUNTIME_LIBRARY Static LINKER_LANGUAGE CUDA)
install(TARGETS _cuda LIBRARY DESTINATION fastnn)
