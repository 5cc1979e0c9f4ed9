// Which instruction set's table is in use.
#pragma once
#include <string>
#include <vector>

#include "kernels.h"
namespace fastnn {
std::vector<std::string> supported_isas();  // compiled in and supported here, weakest first
void set_isa(const std::string& name);      // throws std::invalid_argument for an unknown or unsupported name
}  // namespace fastnn
