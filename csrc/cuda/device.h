// What can be asked about the devices. Plain C++: the bindings include it.
#pragma once
#include <string>
#include <vector>

namespace fastnn {
namespace cuda {
struct Device {
  std::string name;
  int major, minor;  // compute capability
  int built_for;     // which of the architectures compiled in runs there: 80, 90, 100, 120
};
int device_count();  // throws std::runtime_error where there is no driver
Device device(int index);
std::vector<int> version();  // cudart's, as {major, minor}
}  // namespace cuda
}  // namespace fastnn
