// Each element becomes one integer: a key whose order is the elements', then its place, so that no two are equal and
// any way of sorting is stable. Short lines are inserted, long ones sorted by their keys' digits from the last, a digit
// that all share left out. The first k are those below the k-th key seen so far; the k-th is found digit by digit from
// the first.
#include "order.h"

#include <algorithm>
#include <cstring>

#include "runtime/thread_pool.h"

namespace fastnn {
namespace {

constexpr int64_t kTile = 16;          // lines that are read side by side where they lie across memory
constexpr int64_t kTask = 16384;       // elements a task
constexpr int64_t kInsert = 24;        // longest line that is sorted by insertion
constexpr int64_t kBlock = 16;         // elements compared with the k-th key at a time
constexpr int64_t kWideDigits = 4096;  // from here the counters of 11 bits pay
constexpr int kMaxCounters = 6 * 2048;

template <class Int, class T>
Int bits_of(T x) {
  Int i;
  std::memcpy(&i, &x, sizeof i);
  return i;
}

// Item: the key above, the place in the low kPlace bits.
template <class T>
struct Keys;
template <>
struct Keys<float> {
  using Key = uint32_t;
  using Item = uint64_t;
  static Key key(float x) {
    if (x != x) return ~Key(0);
    const Key b = bits_of<Key>(x + 0.0f);  // -0 + 0 is 0
    return b ^ (static_cast<Key>(static_cast<int32_t>(b) >> 31) | Key(1) << 31);
  }
};
template <>
struct Keys<double> {
  using Key = uint64_t;
  using Item = unsigned __int128;
  static Key key(double x) {
    if (x != x) return ~Key(0);
    const Key b = bits_of<Key>(x + 0.0);
    return b ^ (static_cast<Key>(static_cast<int64_t>(b) >> 63) | Key(1) << 63);
  }
};
template <>
struct Keys<int64_t> {
  using Key = uint64_t;
  using Item = unsigned __int128;
  static Key key(int64_t x) { return static_cast<Key>(x) ^ Key(1) << 63; }
};
template <>
struct Keys<uint8_t> {
  using Key = uint32_t;
  using Item = uint64_t;
  static Key key(uint8_t x) { return x != 0; }
};
constexpr int kPlace = 32;

template <class T>
using ItemOf = typename Keys<T>::Item;
template <class Item>
constexpr int kKeyBits = sizeof(Item) == 8 ? 32 : 64;

template <class T>
inline ItemOf<T> item_of(T x, int64_t place, bool descending) {
  using Key = typename Keys<T>::Key;
  const Key key = descending ? static_cast<Key>(~Keys<T>::key(x)) : Keys<T>::key(x);
  return static_cast<ItemOf<T>>(key) << kPlace | static_cast<ItemOf<T>>(place);
}
template <class Item>
inline int64_t place_of(Item i) {
  return static_cast<int64_t>(static_cast<uint32_t>(i));
}

template <class Item>
void insert_all(Item* a, int64_t n) {
  for (int64_t i = 1; i < n; ++i) {
    const Item v = a[i];
    int64_t j = i;
    for (; j > 0 && v < a[j - 1]; --j) a[j] = a[j - 1];
    a[j] = v;
  }
}

// Sorted by digits of B bits from the last; returns where the result is, a or b.
template <int B, class Item>
Item* by_digits(Item* a, Item* b, int64_t n, uint32_t* counters) {
  constexpr int kDigits = (kKeyBits<Item> + B - 1) / B, kSize = 1 << B;
  static_assert(kDigits * kSize <= kMaxCounters, "counters");
  const auto digit = [](Item i, int d) { return static_cast<uint32_t>(i >> (kPlace + d * B)) & (kSize - 1); };
  std::memset(counters, 0, sizeof(uint32_t) * kDigits * kSize);
  for (int64_t i = 0; i < n; ++i) {
    const Item v = a[i];
    for (int d = 0; d < kDigits; ++d) ++counters[d * kSize + static_cast<int>(digit(v, d))];
  }
  for (int d = 0; d < kDigits; ++d) {
    uint32_t* count = counters + d * kSize;
    if (count[digit(a[0], d)] == static_cast<uint32_t>(n)) continue;
    uint32_t before = 0;
    for (int i = 0; i < kSize; ++i) {
      const uint32_t c = count[i];
      count[i] = before;
      before += c;
    }
    for (int64_t i = 0; i < n; ++i) {
      const Item v = a[i];
      b[count[digit(v, d)]++] = v;
    }
    std::swap(a, b);
  }
  return a;
}

template <class Item>
Item* sort_items(Item* a, Item* b, int64_t n, uint32_t* counters) {
  if (n <= kInsert) {
    insert_all(a, n);
    return a;
  }
  if (n <= (sizeof(Item) == 8 ? 96 : 192)) {  // fewer elements than a pass over the counters is worth
    std::sort(a, a + n);
    return a;
  }
  return n < kWideDigits ? by_digits<8>(a, b, n, counters) : by_digits<11>(a, b, n, counters);
}

// The item of rank k (from 0): the digits from the first on, only the items that share them kept, in their order.
template <class Item>
Item select_item(Item* a, int64_t n, int64_t k, uint32_t* counters) {
  for (int shift = kPlace + kKeyBits<Item> - 8; n > 256 && shift >= kPlace; shift -= 8) {
    const auto digit = [shift](Item i) { return static_cast<uint32_t>(i >> shift) & 255; };
    std::memset(counters, 0, sizeof(uint32_t) * 256);
    for (int64_t i = 0; i < n; ++i) ++counters[digit(a[i])];
    uint32_t chosen = 0;
    for (; k >= counters[chosen]; ++chosen) k -= counters[chosen];
    if (counters[chosen] == n) continue;
    int64_t kept = 0;
    for (int64_t i = 0; i < n; ++i) {
      const Item v = a[i];
      a[kept] = v;
      kept += digit(v) == chosen;
    }
    n = kept;
  }
  std::nth_element(a, a + k, a + n);
  return a[k];
}

// Whether one of a block's elements comes before the bound, or cannot be compared with it.
template <class T>
bool any_before(const T* x, T bound, bool descending) {
  typedef T Vector __attribute__((vector_size(16)));
  typedef int64_t Bits __attribute__((vector_size(16)));
  constexpr int64_t kLanes = 16 / sizeof(T);
  Vector limit;
  for (int64_t i = 0; i < kLanes; ++i) limit[i] = bound;
  Bits after = {-1, -1};
  for (int64_t i = 0; i < kBlock; i += kLanes) {
    Vector v;
    std::memcpy(&v, x + i, sizeof v);
    after &= descending ? (Bits)(v <= limit) : (Bits)(v >= limit);
  }
  return (after[0] & after[1]) != -1;
}

// The first k items of a line in order: those before the k-th of the ones seen are collected, until there are twice as
// many as are wanted.
template <class T>
ItemOf<T>* first_items(const T* x, int64_t n, int64_t k, bool descending, ItemOf<T>* a, ItemOf<T>* b,
                       uint32_t* counters) {
  const int64_t room = std::max<int64_t>(2 * k, 64);
  if (n <= room || 4 * k >= n) {
    for (int64_t i = 0; i < n; ++i) a[i] = item_of(x[i], i, descending);
    return sort_items(a, b, n, counters);
  }
  int64_t have = room;
  ItemOf<T> last{};
  T bound{};
  const auto shrink = [&] {
    std::nth_element(a, a + (k - 1), a + have);
    last = a[k - 1];
    bound = x[place_of(last)];
    have = k;
  };
  for (int64_t i = 0; i < room; ++i) a[i] = item_of(x[i], i, descending);
  shrink();
  for (int64_t i = room; i < n; i += kBlock) {
    const int64_t end = std::min(n, i + kBlock);
    if (end == i + kBlock && !any_before(x + i, bound, descending)) continue;
    for (int64_t j = i; j < end; ++j) {
      if (descending ? x[j] <= bound : x[j] >= bound) continue;
      const ItemOf<T> v = item_of(x[j], j, descending);
      if (last < v) continue;
      a[have++] = v;
      if (have == room) shrink();
    }
  }
  if (have > k) std::nth_element(a, a + (k - 1), a + have);
  return sort_items(a, b, k, counters);
}

// One line of n, contiguous; the results `step` elements apart.
template <class T>
void one_line(const OrderArgs& o, const T* x, T* values, int64_t* indices, int64_t step, ItemOf<T>* a, ItemOf<T>* b,
              uint32_t* counters) {
  int64_t count = o.n;
  const ItemOf<T>* from;
  ItemOf<T> kth;
  if (o.order == Order::First) {
    count = o.k;
    from = first_items(x, o.n, o.k, o.descending, a, b, counters);
  } else {
    for (int64_t i = 0; i < o.n; ++i) a[i] = item_of(x[i], i, o.descending);
    if (o.order == Order::Kth) {
      kth = select_item(a, o.n, o.k - 1, counters);
      count = 1;
      from = &kth;
    } else {
      from = sort_items(a, b, o.n, counters);
    }
  }
  for (int64_t i = 0; i < count; ++i) {
    const int64_t place = place_of(from[i]);
    indices[i * step] = place;
    values[i * step] = x[place];
  }
}

int64_t rounded(int64_t bytes) { return (bytes + 63) / 64 * 64; }
template <class T>
int64_t thread_bytes(const OrderArgs& o) {
  return 2 * rounded(o.n * static_cast<int64_t>(sizeof(ItemOf<T>))) + kMaxCounters * 4 +
         (o.inner > 1 ? rounded(kTile * o.n * static_cast<int64_t>(sizeof(T))) : 0);
}

template <class T>
void lines(const OrderArgs& o, void* workspace) {
  const int64_t share = thread_bytes<T>(o), count = o.order == Order::Sort ? o.n : o.order == Order::First ? o.k : 1;
  const T* x = static_cast<const T*>(o.x);
  T* values = static_cast<T*>(o.values);
  const int64_t items = rounded(o.n * static_cast<int64_t>(sizeof(ItemOf<T>)));
  struct Scratch {
    ItemOf<T>*a, *b;
    uint32_t* counters;
    T* tile;
  };
  const auto scratch = [&](int thread) {
    char* p = static_cast<char*>(workspace) + thread * share;
    return Scratch{reinterpret_cast<ItemOf<T>*>(p), reinterpret_cast<ItemOf<T>*>(p + items),
                   reinterpret_cast<uint32_t*>(p + 2 * items), reinterpret_cast<T*>(p + 2 * items + kMaxCounters * 4)};
  };
  if (o.inner == 1) {
    const int64_t group = std::max<int64_t>(1, kTask / o.n);
    parallel_for((o.outer + group - 1) / group, [&](int64_t task, int thread) {
      const Scratch s = scratch(thread);
      for (int64_t i = task * group; i < std::min(o.outer, (task + 1) * group); ++i)
        one_line(o, x + i * o.n, values + i * count, o.indices + i * count, 1, s.a, s.b, s.counters);
    });
    return;
  }
  const int64_t tiles = (o.inner + kTile - 1) / kTile;
  parallel_for(o.outer * tiles, [&](int64_t task, int thread) {
    const Scratch s = scratch(thread);
    const int64_t i = task / tiles, first = task % tiles * kTile, width = std::min(kTile, o.inner - first);
    const T* from = x + i * o.n * o.inner + first;
    for (int64_t j = 0; j < o.n; ++j)
      for (int64_t l = 0; l < width; ++l) s.tile[l * o.n + j] = from[j * o.inner + l];
    for (int64_t l = 0; l < width; ++l) {
      const int64_t at = i * count * o.inner + first + l;
      one_line(o, s.tile + l * o.n, values + at, o.indices + at, o.inner, s.a, s.b, s.counters);
    }
  });
}

}  // namespace

size_t order_workspace(const OrderArgs& o, int threads) {
  const int64_t share = o.dtype == Dtype::F32   ? thread_bytes<float>(o)
                        : o.dtype == Dtype::F64 ? thread_bytes<double>(o)
                        : o.dtype == Dtype::I64 ? thread_bytes<int64_t>(o)
                                                : thread_bytes<uint8_t>(o);
  return static_cast<size_t>(share) * static_cast<size_t>(threads);
}
void order_lines(const OrderArgs& o, void* workspace) {
  switch (o.dtype) {
    case Dtype::F32:
      return lines<float>(o, workspace);
    case Dtype::F64:
      return lines<double>(o, workspace);
    case Dtype::I64:
      return lines<int64_t>(o, workspace);
    default:
      return lines<uint8_t>(o, workspace);
  }
}

}  // namespace fastnn
