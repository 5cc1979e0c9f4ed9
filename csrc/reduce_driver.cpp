#include "reduce_driver.h"

#include <algorithm>
#include <new>

#include "dispatch.h"
#include "runtime/allocator.h"
#include "runtime/thread_pool.h"

namespace fastnn {
namespace {
constexpr int64_t kTask = 32768;    // elements a task; also the longest piece of a row reduced at once
constexpr int64_t kColumns = 4096;  // columns a task
constexpr int64_t kRowBlock = 64;   // rows that the column kernel sums in registers

struct Dims {
  int n = 0;
  int64_t shape[kReduceMaxDims], strides[kReduceMaxDims];

  void push(int64_t size, int64_t stride) {
    if (size == 1) return;
    if (n > 0 && strides[n - 1] == stride * size) {
      shape[n - 1] *= size;
      strides[n - 1] = stride;
    } else {
      shape[n] = size;
      strides[n++] = stride;
    }
  }
  int64_t size() const {
    int64_t s = 1;
    for (int i = 0; i < n; ++i) s *= shape[i];
    return s;
  }
  // Takes the innermost dimension off.
  void pop(int64_t& size, int64_t& stride) {
    size = n ? shape[n - 1] : 1;
    stride = n ? strides[n - 1] : 1;
    n -= n > 0;
  }
  int64_t offset(int64_t i) const {
    int64_t o = 0;
    for (int d = n - 1; d >= 0; --d) {
      o += i % shape[d] * strides[d];
      i /= shape[d];
    }
    return o;
  }
};

struct Split {
  Dims kept, reduced;
};
Split split(const Reduction& r) {
  Split s;
  int order[kReduceMaxDims], n = 0;
  for (int d = 0; d < r.ndim; ++d) {
    if (r.reduced >> d & 1) {
      order[n++] = d;
    } else {
      s.kept.push(r.shape[d], r.strides[d]);
    }
  }
  // Reduced dimensions in the order of memory, so that they merge.
  std::stable_sort(order, order + n, [&](int a, int b) { return r.strides[a] > r.strides[b]; });
  for (int i = 0; i < n; ++i) s.reduced.push(r.shape[order[i]], r.strides[order[i]]);
  return s;
}
bool by_rows(const Split& s) { return s.reduced.n ? s.reduced.strides[s.reduced.n - 1] == 1 : s.kept.n == 0; }
bool by_columns(const Split& s) { return s.kept.n && s.kept.strides[s.kept.n - 1] == 1; }

// What joins the partial results.
Reduce joining(Reduce op) {
  switch (op) {
    case Reduce::Prod:
      return Reduce::Prod;
    case Reduce::Max:
    case Reduce::MaxAbs:
      return Reduce::Max;
    case Reduce::Min:
    case Reduce::MinAbs:
      return Reduce::Min;
    default:
      return Reduce::Sum;
  }
}

class Partials {
 public:
  explicit Partials(int64_t bytes) : p_(allocate(static_cast<size_t>(bytes))) {
    if (!p_) throw std::bad_alloc();
  }
  ~Partials() { release(p_); }
  Partials(const Partials&) = delete;
  Partials& operator=(const Partials&) = delete;
  char* get() const { return static_cast<char*>(p_); }

 private:
  void* p_;
};

// f(begin, end) over `count` items, `each` elements of work apiece.
template <class F>
void in_groups(int64_t count, int64_t each, const F& f) {
  const int64_t group = std::max<int64_t>(1, kTask / std::max<int64_t>(1, each));
  if (count <= group) {
    f(int64_t(0), count);
  } else {
    parallel_for((count + group - 1) / group, [&](int64_t i, int) { f(i * group, std::min(count, (i + 1) * group)); });
  }
}

void rows(const Reduction& r, Split s, const char* centre, char* out) {
  const Kernels& k = kernels();
  const int64_t item = r.dtype == Dtype::F32 ? 4 : 8, outputs = s.kept.size();
  int64_t n, unit;
  s.reduced.pop(n, unit);
  const int64_t outer = s.reduced.size();
  ReduceArgs a{r.dtype, r.op, nullptr, 1, n, 0, nullptr, nullptr};
  if (n <= kTask) {
    // Whole rows, in the order of memory; where other dimensions go too, into [outer, outputs], whose columns follow.
    int64_t run, run_stride;
    s.kept.pop(run, run_stride);
    const Partials partials(outer == 1 ? 0 : outer * outputs * item);
    char* const to = outer == 1 ? out : partials.get();
    in_groups(outer * outputs, n, [&](int64_t begin, int64_t end) {
      ReduceArgs b = a;
      b.row_stride = run_stride;
      for (int64_t i = begin; i < end; i += b.rows) {
        const int64_t output = i % outputs;
        b.rows = std::min(end - i, run - output % run);
        b.x = r.x + (s.reduced.offset(i / outputs) + s.kept.offset(output / run) + output % run * run_stride) * item;
        b.centre = centre ? centre + output * item : nullptr;
        b.out = to + i * item;
        k.reduce_rows(b);
      }
    });
    if (outer > 1) k.reduce_columns({r.dtype, joining(r.op), to, outer, outputs, outputs, nullptr, out});
    return;
  }
  const int64_t piece = kTask, per_row = (n + piece - 1) / piece, pieces = outer * per_row;
  const Partials partials(outputs * pieces * item);
  in_groups(outputs * pieces, piece, [&](int64_t begin, int64_t end) {
    ReduceArgs b = a;
    for (int64_t i = begin; i < end; ++i) {
      const int64_t output = i / pieces, at = i % pieces, start = at % per_row * piece;
      b.x = r.x + (s.kept.offset(output) + s.reduced.offset(at / per_row) + start) * item;
      b.cols = std::min(piece, n - start);
      b.centre = centre ? centre + output * item : nullptr;
      b.out = partials.get() + i * item;
      k.reduce_rows(b);
    }
  });
  k.reduce_rows({r.dtype, joining(r.op), partials.get(), outputs, pieces, pieces, nullptr, out});
}

void columns(const Reduction& r, Split s, const char* centre, char* out) {
  const Kernels& k = kernels();
  const int64_t item = r.dtype == Dtype::F32 ? 4 : 8;
  int64_t cols, unit, n, row_stride;
  s.kept.pop(cols, unit);
  s.reduced.pop(n, row_stride);
  const int64_t matrices = s.kept.size(), outer = s.reduced.size();
  const int64_t width = std::min(cols, kColumns), blocks = (cols + width - 1) / width;
  const int64_t height = std::min(n, std::max<int64_t>(1, kTask / width / kRowBlock) * kRowBlock);
  const int64_t per_run = (n + height - 1) / height, chunks = outer * per_run;
  const Partials partials(chunks == 1 ? 0 : matrices * chunks * cols * item);
  char* const to = chunks == 1 ? out : partials.get();
  in_groups(matrices * chunks * blocks, height * width, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t block = i % blocks, chunk = i / blocks % chunks, matrix = i / blocks / chunks;
      const int64_t start = chunk % per_run * height, column = block * width;
      const int64_t offset = s.kept.offset(matrix) + s.reduced.offset(chunk / per_run) + start * row_stride + column;
      k.reduce_columns({r.dtype, r.op, r.x + offset * item, std::min(height, n - start), std::min(width, cols - column),
                        row_stride, centre ? centre + (matrix * cols + column) * item : nullptr,
                        to + ((matrix * chunks + chunk) * cols + column) * item});
    }
  });
  if (chunks > 1)
    in_groups(matrices * blocks, chunks * width, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t matrix = i / blocks, column = i % blocks * width;
        k.reduce_columns({r.dtype, joining(r.op), to + (matrix * chunks * cols + column) * item, chunks,
                          std::min(width, cols - column), cols, nullptr, out + (matrix * cols + column) * item});
      }
    });
}
}  // namespace

int64_t Reduction::outputs() const {
  int64_t n = 1;
  for (int d = 0; d < ndim; ++d)
    if (!(reduced >> d & 1)) n *= shape[d];
  return n;
}
int64_t Reduction::length() const {
  int64_t n = 1;
  for (int d = 0; d < ndim; ++d)
    if (reduced >> d & 1) n *= shape[d];
  return n;
}

bool can_reduce(const Reduction& r) {
  const Split s = split(r);
  return by_rows(s) || by_columns(s);
}

void reduce(const Reduction& r, const void* centre, void* out) {
  const Split s = split(r);
  const char* c = static_cast<const char*>(centre);
  by_rows(s) ? rows(r, s, c, static_cast<char*>(out)) : columns(r, s, c, static_cast<char*>(out));
}

}  // namespace fastnn
