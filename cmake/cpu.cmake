# The CPU extension. The kernel sources in csrc/cpu are compiled once per instruction set, each into an OBJECT library
# and a namespace of its own (vec.h, table.cpp); the table is chosen at run time. Adding a kernel file = one line here.
find_package(Python REQUIRED COMPONENTS Interpreter Development.Module)
find_package(pybind11 CONFIG REQUIRED)
find_package(Threads REQUIRED)

set(FASTNN_KERNEL_SOURCES
  csrc/cpu/table.cpp
  csrc/cpu/gemm.cpp
  csrc/cpu/gemm_f32.cpp
  csrc/cpu/gemm_f64.cpp
  csrc/cpu/gemm_bf16.cpp
  csrc/cpu/gemm_naive.cpp
  csrc/cpu/peak.cpp
  csrc/cpu/unary.cpp
  csrc/cpu/elementwise.cpp
  csrc/cpu/elementwise_compare.cpp
  csrc/cpu/elementwise_ternary.cpp
  csrc/cpu/reduce.cpp
  csrc/cpu/softmax.cpp
  csrc/cpu/cross_entropy.cpp
  csrc/cpu/cross_entropy_columns.cpp
  csrc/cpu/optim.cpp
  csrc/cpu/rng.cpp
  csrc/cpu/rng_normal.cpp
  csrc/cpu/conv2d.cpp
  csrc/cpu/conv2d_weight.cpp
  csrc/cpu/pool2d.cpp
  csrc/cpu/adaptive_max_pool2d.cpp
  csrc/cpu/copy.cpp
  csrc/cpu/fold.cpp
  csrc/cpu/grid_sample.cpp
  csrc/cpu/ctc_loss.cpp
  csrc/cpu/cdist.cpp
  csrc/cpu/layer_norm.cpp
  csrc/cpu/group_norm.cpp
  csrc/cpu/batch_norm.cpp
  csrc/cpu/attention.cpp
  csrc/cpu/attention_backward.cpp
  csrc/cpu/embedding.cpp
  csrc/cpu/rnn.cpp
  csrc/cpu/rnn_backward.cpp
)
set(FASTNN_RUNTIME_SOURCES
  csrc/runtime/cpu_features.cpp
  csrc/runtime/thread_pool.cpp
  csrc/runtime/allocator.cpp
  csrc/runtime/counters.cpp
  csrc/runtime/rng.cpp
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
  csrc/bindings_gemm.cpp
  csrc/bindings_peak.cpp
  csrc/bindings_elementwise.cpp
  csrc/strided.cpp
  csrc/strided_copy.cpp
  csrc/bindings_reduce.cpp
  csrc/bindings_softmax.cpp
  csrc/reduce_driver.cpp
  csrc/bindings_optim.cpp
  csrc/bindings_rng.cpp
  csrc/bindings_conv2d.cpp
  csrc/bindings_pool2d.cpp
  csrc/bindings_norm.cpp
  csrc/bindings_attention.cpp
  csrc/bindings_embedding.cpp
  csrc/bindings_index.cpp
  csrc/along.cpp
  csrc/scan.cpp
  csrc/bindings_order.cpp
  csrc/bindings_arrange.cpp
  csrc/order.cpp
  csrc/bindings_rnn.cpp
  csrc/bindings_layout.cpp
  csrc/bindings_grid_sample.cpp
  csrc/bindings_ctc_loss.cpp
  csrc/bindings_cdist.cpp
)

# Where the bits of each rounding are part of the interface, multiply-adds are fused by name only.
set_source_files_properties(csrc/cpu/optim.cpp csrc/cpu/rng.cpp csrc/cpu/rng_normal.cpp csrc/runtime/rng.cpp
                            PROPERTIES COMPILE_OPTIONS -ffp-contract=off)

# No -ffast-math, no -march=native, no LTO: see ARCHITECTURE.md, "instruction sets".
set(FASTNN_COMMON_FLAGS -O3 -fno-math-errno -fno-trapping-math -Wall -Wextra -Wno-psabi)
if(FASTNN_WERROR)
  list(APPEND FASTNN_COMMON_FLAGS -Werror)
endif()

set(isas baseline)
set(FASTNN_FLAGS_baseline "")
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64|amd64")
  list(APPEND isas avx2 avx512 avx512_bf16)
  set(FASTNN_FLAGS_avx2 -mavx2 -mfma -mf16c)
  set(FASTNN_FLAGS_avx512 -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx2 -mfma -mf16c -mprefer-vector-width=512)
  set(FASTNN_FLAGS_avx512_bf16 ${FASTNN_FLAGS_avx512} -mavx512bf16)
endif()
set(FASTNN_ISAS "${isas}" CACHE STRING "Instruction sets to build; baseline must be among them")

set(FASTNN_OBJECTS "")
set(FASTNN_ISA_DEFS "")
foreach(isa IN LISTS FASTNN_ISAS)
  set(sources ${FASTNN_KERNEL_SOURCES})
  if(isa STREQUAL "avx512_bf16")  # differs from avx512 in these alone: see kernels.def
    if(NOT "avx512" IN_LIST FASTNN_ISAS)
      message(FATAL_ERROR "FASTNN_ISAS: avx512_bf16 needs avx512, whose kernels it shares; got ${FASTNN_ISAS}")
    endif()
    list(FILTER sources INCLUDE REGEX "/(table|peak|gemm[a-z0-9_]*)\\.cpp$")
  endif()
  add_library(fastnn_${isa} OBJECT ${sources})
  target_include_directories(fastnn_${isa} PRIVATE csrc)
  target_compile_definitions(fastnn_${isa} PRIVATE FASTNN_ISA=${isa} FASTNN_ISA_${isa}=1)
  target_compile_options(fastnn_${isa} PRIVATE ${FASTNN_COMMON_FLAGS} -fno-exceptions ${FASTNN_FLAGS_${isa}})
  list(APPEND FASTNN_OBJECTS $<TARGET_OBJECTS:fastnn_${isa}>)
  list(APPEND FASTNN_ISA_DEFS FASTNN_HAVE_${isa}=1)
  file(GENERATE OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/objects_${isa}.txt
       CONTENT "$<JOIN:$<TARGET_OBJECTS:fastnn_${isa}>,\n>\n")
endforeach()

pybind11_add_module(_cpu MODULE NO_EXTRAS ${FASTNN_BINDING_SOURCES} ${FASTNN_RUNTIME_SOURCES} ${FASTNN_OBJECTS})
target_include_directories(_cpu PRIVATE csrc)
target_compile_definitions(_cpu PRIVATE ${FASTNN_ISA_DEFS} FASTNN_COMPILER="${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION}")
target_compile_options(_cpu PRIVATE ${FASTNN_COMMON_FLAGS})
target_link_libraries(_cpu PRIVATE Threads::Threads)
# Not a test that can be forgotten but a step of the build: see the script.
if(CMAKE_NM)
  foreach(isa IN LISTS FASTNN_ISAS)
    add_custom_command(TARGET _cpu PRE_LINK VERBATIM
      COMMAND ${CMAKE_COMMAND} -DNM=${CMAKE_NM} -DISA=${isa} -DLIST=${CMAKE_CURRENT_BINARY_DIR}/objects_${isa}.txt
              -P ${CMAKE_CURRENT_SOURCE_DIR}/cmake/check_objects.cmake)
  endforeach()
endif()
# The C++ library goes into the module where a static one is installed: one wheel then serves systems with an older one.
if(CMAKE_SYSTEM_NAME STREQUAL "Linux")
  include(CheckCXXSourceCompiles)
  set(CMAKE_REQUIRED_LINK_OPTIONS -static-libstdc++)
  check_cxx_source_compiles("#include <string>\nint main(int n, char** v) { return std::string(v[0]).size() == 7u + n; }"
                            FASTNN_STATIC_LIBSTDCXX)
  unset(CMAKE_REQUIRED_LINK_OPTIONS)
  if(FASTNN_STATIC_LIBSTDCXX)
    target_link_options(_cpu PRIVATE -static-libstdc++)
  endif()
  target_link_options(_cpu PRIVATE -Wl,--gc-sections -Wl,--version-script=${CMAKE_CURRENT_SOURCE_DIR}/cmake/exports.map)
endif()
if(CMAKE_STRIP AND NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
  add_custom_command(TARGET _cpu POST_BUILD COMMAND ${CMAKE_STRIP} -x $<TARGET_FILE:_cpu>)
endif()
install(TARGETS _cpu LIBRARY DESTINATION fastnn)
