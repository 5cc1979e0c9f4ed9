// Chooses the table once, at import: the strongest that CPU and system support; FASTNN_ISA may only lower it.
#include "dispatch.h"

#include <cstdlib>
#include <stdexcept>

#include "runtime/cpu_features.h"

namespace fastnn {
namespace {
struct Row {
  const Kernels* table;
  bool supported;
};

std::vector<Row> rows() {
  std::vector<Row> r;
  r.push_back({&baseline::table, true});
#ifdef FASTNN_HAVE_avx2
  r.push_back({&avx2::table, cpu_features().avx2});
#endif
#ifdef FASTNN_HAVE_avx512
  r.push_back({&avx512::table, cpu_features().avx512});
#endif
#ifdef FASTNN_HAVE_avx512_bf16
  r.push_back({&avx512_bf16::table, cpu_features().avx512_bf16});
#endif
  return r;
}

const Kernels* find(const std::string& name) {
  std::string known;
  for (const Row& r : rows()) {
    if (name == r.table->isa) {
      if (r.supported) return r.table;
      throw std::invalid_argument("FASTNN_ISA: this CPU or its system does not support '" + name + "'");
    }
    known += std::string(known.empty() ? "" : ", ") + r.table->isa;
  }
  throw std::invalid_argument("FASTNN_ISA: unknown instruction set '" + name + "'; built in are " + known);
}

const Kernels* initial() {
  const char* env = std::getenv("FASTNN_ISA");
  if (env && *env) return find(env);
  const Kernels* best = nullptr;
  for (const Row& r : rows())
    if (r.supported) best = r.table;
  return best;
}

const Kernels*& current() {
  static const Kernels* t = initial();
  return t;
}
}  // namespace

std::vector<std::string> supported_isas() {
  std::vector<std::string> out;
  for (const Row& r : rows())
    if (r.supported) out.push_back(r.table->isa);
  return out;
}
const Kernels& kernels() { return *current(); }
void set_isa(const std::string& name) { current() = find(name); }
}  // namespace fastnn
