# The CPU extension. The kernel sources in csrc/cpu are compiled once per instruction set, each into an OBJECT library
# and a namespace of its own (vec.h, table.cpp); the table is chosen at run time. Adding a kernel file = one line here.
find_package(Python REQUIRED COMPONENTS Interpreter Development.Module)
find_package(pybind11 CONFIG REQUIRED)
find_package(Threads REQUIRED)

set(FASTNN_KERNEL_SOURCES
  csrc/cpu/table.cpp
  csrc/cpu/unary.cpp
  csrc/cpu/elementwise.cpp
  csrc/cpu/elementwise_compare.cpp
  csrc/cpu/reduce.cpp
  csrc/cpu/softmax.cpp
  csrc/cpu/cross_entropy.cpp
)
set(FASTNN_RUNTIME_SOURCES
  csrc/runtime/cpu_features.cpp
  csrc/runtime/thread_pool.cpp
  csrc/runtime/allocator.cpp
  csrc/dispatch.cpp
)
# FASTNN_OS=generic builds on Linux what other systems get.
if(NOT FASTNN_OS)
  if(CMAKE_SYSTEM_NAME STREQUAL "Linux")
    set(FASTNN_OS linux)
  else()
    set(FASTNN_OS generic)
  endif()
endif()
list(APPEND FASTNN_RUNTIME_SOURCES csrc/runtime/os_${FASTNN_OS}.cpp)
set(FASTNN_BINDING_SOURCES
  csrc/bindings.cpp
  csrc/bindings_elementwise.cpp
  csrc/strided.cpp
  csrc/bindings_reduce.cpp
  csrc/bindings_softmax.cpp
  csrc/reduce_driver.cpp
)

# No -ffast-math, no -march=native, no LTO: see ARCHITECTURE.md, "instruction sets".
set(FASTNN_COMMON_FLAGS -O3 -fno-math-errno -fno-trapping-math -Wall -Wextra -Wno-psabi)
if(FASTNN_WERROR)
  list(APPEND FASTNN_COMMON_FLAGS -Werror)
endif()

set(FASTNN_ISAS baseline)
set(FASTNN_FLAGS_baseline "")
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64|amd64")
  list(APPEND FASTNN_ISAS avx2 avx512 avx512_bf16)
  set(FASTNN_FLAGS_avx2 -mavx2 -mfma -mf16c)
  set(FASTNN_FLAGS_avx512 -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx2 -mfma -mf16c -mprefer-vector-width=512)
  set(FASTNN_FLAGS_avx512_bf16 ${FASTNN_FLAGS_avx512} -mavx512bf16)
endif()

set(FASTNN_OBJECTS "")
set(FASTNN_ISA_DEFS "")
foreach(isa IN LISTS FASTNN_ISAS)
  add_library(fastnn_${isa} OBJECT ${FASTNN_KERNEL_SOURCES})
  target_include_directories(fastnn_${isa} PRIVATE csrc)
  target_compile_definitions(fastnn_${isa} PRIVATE FASTNN_ISA=${isa} FASTNN_ISA_${isa}=1)
  target_compile_options(fastnn_${isa} PRIVATE ${FASTNN_COMMON_FLAGS} -fno-exceptions ${FASTNN_FLAGS_${isa}})
  list(APPEND FASTNN_OBJECTS $<TARGET_OBJECTS:fastnn_${isa}>)
  list(APPEND FASTNN_ISA_DEFS FASTNN_HAVE_${isa}=1)
endforeach()

pybind11_add_module(_cpu MODULE NO_EXTRAS ${FASTNN_BINDING_SOURCES} ${FASTNN_RUNTIME_SOURCES} ${FASTNN_OBJECTS})
target_include_directories(_cpu PRIVATE csrc)
target_compile_definitions(_cpu PRIVATE ${FASTNN_ISA_DEFS} FASTNN_COMPILER="${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION}")
target_compile_options(_cpu PRIVATE ${FASTNN_COMMON_FLAGS})
target_link_libraries(_cpu PRIVATE Threads::Threads)
if(CMAKE_STRIP AND NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
  add_custom_command(TARGET _cpu POST_BUILD COMMAND ${CMAKE_STRIP} -x $<TARGET_FILE:_cpu>)
endif()
install(TARGETS _cpu LIBRARY DESTINATION fastnn)
