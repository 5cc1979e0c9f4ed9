# The CUDA extension: built where nvcc is found (AUTO), required (ON) or left out (OFF).
if(FASTNN_CUDA STREQUAL "OFF")
  return()
endif()
