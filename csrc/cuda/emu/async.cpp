// The twins of the instructions that go on by themselves: cp.async, TMA with mbarriers, wgmma; and of the tensor cores.
// From the issue to the arrival, the destination is full of NaN; what lands, lands in the name of the engine that moves
// it, ordered after the issue and before the barrier that it completes, and after nothing else.
#define FASTNN_EMU 1
#include <algorithm>
#include <cmath>
#include <cstring>

#include "cuda/emu/internal.h"
#include "cuda/prim_async.h"

namespace fastnn {
namespace emu {

namespace {

struct MbarrierState {
  uint32_t at;
  unsigned count, pending, phase;
  int64_t bytes;
  void* token[2];  // of even and of odd phases
};

struct TensorLoad {
  std::function<void()> land;
  char* to;
  size_t bytes;
  uint32_t barrier;
  void* token;
};

struct Issue {  // by one thread
  uint64_t a, b;
  bool registers;  // a: the thread's four, as they were at the issue
  uint32_t ra[4];
  int n;
  bool add, trans_a, trans_b;
  Mma type;
  float* d;
  Where where;
};
struct Shadow {
  float* d;
  std::vector<float> value;
};
struct WarpgroupThread {
  std::vector<std::vector<Issue>> groups;  // committed
  std::vector<Issue> open;
  std::vector<Shadow> shadows;
};
struct Warpgroup {
  WarpgroupThread threads[128];
  unsigned waiting = 0, phase = 0, groups_left = 0;
  size_t executed = 0;  // of the groups that are still listed
  void* token = nullptr;
  void* engine = nullptr;
  float a[64][16], b[256][16];
};

struct Copy {
  void* to;
  const void* from;
  unsigned bytes;
  bool valid, landed;
};
struct ThreadCopies {
  std::vector<std::vector<Copy>> groups;
  std::vector<Copy> open;
};

constexpr uint64_t kMagic = 0x6d62617272696572ull;

}  // namespace

struct AsyncState {
  std::vector<MbarrierState> barriers;
  std::vector<TensorLoad> loads;
  std::vector<Warpgroup*> warpgroups;
  std::vector<ThreadCopies> copies;
};

namespace {

// Runs f as another of TSan's threads.
template <class F>
void as_engine(void** engine, F f) {
#if defined(FASTNN_EMU_TSAN)
  if (!*engine) *engine = __tsan_create_fiber(0);
  void* me = __tsan_get_current_fiber();
  __tsan_switch_to_fiber(*engine, 1);
  {
    f();
  }
  __tsan_switch_to_fiber(me, 1);
#else
  (void)engine;
  f();
#endif
}
// Loads are ordered by nothing but the barriers that they complete: each has an engine of its own, as far as TSan's
// threads go.
void** tensor_engine() {
  static void* engines[32];
  static unsigned next;
  return &engines[next++ % 32];
}
void drop_engine(void* engine) {
#if defined(FASTNN_EMU_TSAN)
  if (engine) __tsan_destroy_fiber(engine);
#else
  (void)engine;
#endif
}

MbarrierState& find(Block* b, uint32_t at, Where where) {
  for (auto& s : b->async->barriers)
    if (s.at == at) {
      uint64_t word;
      std::memcpy(&word, b->arena + at, 8);
      if (word != kMagic) fail(where, "the mbarrier at shared address %u has been overwritten", at);
      return s;
    }
  fail(where, "no mbarrier was initialised at shared address %u", at);
}

void complete(MbarrierState& s) {
  if (s.pending || s.bytes) return;
  s.pending = s.count;
  ++s.phase;
  s.token[s.phase & 1] = new_token();
}

uint32_t swizzled(uint32_t at) { return at ^ (at >> 7 & 7) << 4; }

float element(const char* p, Mma type) {
  uint16_t bits;
  std::memcpy(&bits, p, 2);
  return type == Mma::Bf16 ? cuda::widen(cuda::bf16{bits}) : cuda::widen(cuda::f16{bits});
}

void land_box(const TensorMap& m, char* arena, uint32_t start, const int (&c)[3]) {
  uint32_t row_bytes = m.box[0] * m.element;
  for (uint32_t z = 0; z < m.box[2]; ++z)
    for (uint32_t y = 0; y < m.box[1]; ++y)
      for (uint32_t x = 0; x < m.box[0]; ++x) {
        int64_t g[3] = {int64_t(c[0]) + x, int64_t(c[1]) + y, int64_t(c[2]) + z};
        uint32_t at = start + (z * m.box[1] + y) * row_bytes + x * m.element;
        char* to = arena + (m.swizzle ? swizzled(at) : at);
        bool inside = true;
        for (int i = 0; i < 3; ++i) inside &= g[i] >= 0 && uint64_t(g[i]) < m.size[i];
        if (!inside) {
          for (int i = 0; i < m.element; ++i) to[i] = 0;
          continue;
        }
        const char* from = static_cast<const char*>(m.base) + g[0] * m.element + g[1] * int64_t(m.stride[1]) +
                           g[2] * int64_t(m.stride[2]);
        note_read(from, m.element);
        for (int i = 0; i < m.element; ++i) to[i] = from[i];
      }
}

void land_copy(Copy& c) {
  if (c.landed) return;
  c.landed = true;
  if (c.valid)
    std::memcpy(c.to, c.from, c.bytes);
  else
    std::memset(c.to, 0, c.bytes);
}

}  // namespace

AsyncState* async_begin(Block* block) {
  auto* s = new AsyncState;
  s->warpgroups.resize((block->threads + 127) / 128);
  s->copies.resize(block->threads);
  return s;
}

void async_end(Block* block) {
  AsyncState* s = block->async;
  for (Warpgroup* g : s->warpgroups)
    if (g) {
      drop_engine(g->engine);
      delete g;
    }
  delete s;
}

bool async_land(Block* block) {
  AsyncState* s = block->async;
  if (random_schedule() && random_word() % 2)  // some thread's oldest copy
    for (size_t i = 0, start = random_word() % block->threads; i < block->threads; ++i)
      for (auto& group : s->copies[(start + i) % block->threads].groups)
        for (auto& c : group)
          if (!c.landed && !block->fibers[(start + i) % block->threads]->done) {
            land_copy(c);
            return true;
          }
  if (s->loads.empty()) return false;
  size_t i = random_schedule() ? random_word() % s->loads.size() : reverse_schedule() ? s->loads.size() - 1 : 0;
  TensorLoad l = s->loads[i];
  s->loads.erase(s->loads.begin() + static_cast<long>(i));
  as_engine(tensor_engine(), [&] {
    acquire(l.token);
    note_write(l.to, l.bytes);
    l.land();
    for (auto& b : s->barriers)
      if (b.at == l.barrier) {
        release(b.token[b.phase & 1]);
        b.bytes -= static_cast<int64_t>(l.bytes);
        complete(b);
      }
  });
  return true;
}

// ---- cp.async ----
void copy_async(void* shared, const void* global, unsigned bytes, bool valid, Where where) {
  Quiet quiet;
  check_aligned(shared, bytes, where);
  if (valid) check_aligned(global, bytes, where);
  shared_address(shared, where);
  std::memset(shared, 0xff, bytes);
  block()->async->copies[running()->view.linear].open.push_back({shared, global, bytes, valid, false});
}

void copy_commit() {
  Quiet quiet;
  auto& c = block()->async->copies[running()->view.linear];
  c.groups.push_back(std::move(c.open));
  c.open.clear();
}

void copy_wait(unsigned left, Where) {
  std::vector<Copy> done;
  {
    Quiet quiet;
    auto& c = block()->async->copies[running()->view.linear];
    while (c.groups.size() > left) {
      for (auto& copy : c.groups.front()) {
        land_copy(copy);
        done.push_back(copy);
      }
      c.groups.erase(c.groups.begin());
    }
  }
  for (auto& copy : done) {  // the thread's own accesses, now that it may count on them
    note_write(copy.to, copy.bytes);
    if (copy.valid) note_read(copy.from, copy.bytes);
  }
  Quiet quiet;
  std::vector<Copy>().swap(done);
}

// ---- ldmatrix, mma.sync ----
namespace {
struct Rows {
  uint16_t row[8];
  uint32_t* r;
  bool transposed;
};
struct Fragments {
  float* d;
  const uint32_t *a, *b;
  Mma type;
};
float half_of(uint32_t pair, int i, Mma type) {
  uint16_t bits = static_cast<uint16_t>(pair >> (16 * i));
  return type == Mma::Bf16 ? cuda::widen(cuda::bf16{bits}) : cuda::widen(cuda::f16{bits});
}
float tf32(uint32_t bits) {
  bits &= 0xffffe000u;
  float f;
  std::memcpy(&f, &bits, 4);
  return f;
}
}  // namespace

void load_matrix(uint32_t* r, const void* row, bool transposed, Where where) {
  check_aligned(row, 16, where);
  shared_address(row, where);
  note_read(row, 16);
  Quiet quiet;
  Rows mine;
  std::memcpy(mine.row, row, 16);
  mine.r = r;
  mine.transposed = transposed;
  warp_meet(
      transposed ? "ldmatrix.trans" : "ldmatrix", 0xffffffffu, &mine,
      [](void** lanes) {
        auto of = [&](int l) { return static_cast<Rows*>(lanes[l]); };
        for (int l = 0; l < 32; ++l)
          for (int m = 0; m < 4; ++m) {
            uint32_t low, high;
            if (of(l)->transposed) {
              low = of(m * 8 + l % 4 * 2)->row[l / 4];
              high = of(m * 8 + l % 4 * 2 + 1)->row[l / 4];
            } else {
              low = of(m * 8 + l / 4)->row[l % 4 * 2];
              high = of(m * 8 + l / 4)->row[l % 4 * 2 + 1];
            }
            of(l)->r[m] = low | high << 16;
          }
      },
      false, where);
}

void mma(float* d, const uint32_t* a, const uint32_t* b, Mma type, Where where) {
  Quiet quiet;
  Fragments mine{d, a, b, type};
  warp_meet(
      "mma.sync", 0xffffffffu, &mine,
      [](void** lanes) {
        auto of = [&](int l) { return static_cast<Fragments*>(lanes[l]); };
        float a[16][16], b[16][8];
        Mma type = of(0)->type;
        int depth = type == Mma::Tf32 ? 8 : 16;
        for (int l = 0; l < 32; ++l) {
          int g = l / 4, t = l % 4;
          if (type == Mma::Tf32) {
            for (int i = 0; i < 4; ++i) a[g + i % 2 * 8][t + i / 2 * 4] = tf32(of(l)->a[i]);
            for (int i = 0; i < 2; ++i) b[t + i * 4][g] = tf32(of(l)->b[i]);
          } else {
            for (int i = 0; i < 4; ++i)
              for (int h = 0; h < 2; ++h) a[g + i % 2 * 8][t * 2 + h + i / 2 * 8] = half_of(of(l)->a[i], h, type);
            for (int i = 0; i < 2; ++i)
              for (int h = 0; h < 2; ++h) b[t * 2 + h + i * 8][g] = half_of(of(l)->b[i], h, type);
          }
        }
        for (int l = 0; l < 32; ++l)
          for (int i = 0; i < 4; ++i) {
            int row = l / 4 + i / 2 * 8, column = l % 4 * 2 + i % 2;
            float sum = of(l)->d[i];
            for (int k = 0; k < depth; ++k) sum += a[row][k] * b[k][column];
            of(l)->d[i] = sum;
          }
      },
      false, where);
}

// ---- mbarriers ----
void barrier_init(uint64_t* b, unsigned count, Where where) {
  uint32_t at = shared_address(b, where);
  check_aligned(b, 8, where);
  if (count == 0 || count >= 1u << 20) fail(where, "an mbarrier of %u arrivals", count);
  note_write(b, 8);
  Quiet quiet;
  *b = kMagic;
  auto& all = block()->async->barriers;
  all.erase(std::remove_if(all.begin(), all.end(), [&](const MbarrierState& s) { return s.at == at; }), all.end());
  MbarrierState s = {};
  s.at = at;
  s.count = s.pending = count;
  s.token[0] = new_token();
  all.reserve(64);  // fibers wait on a phase by its address
  if (all.size() == 64) fail(where, "more than 64 mbarriers in a block");
  all.push_back(s);
}

namespace {
void arrive(Block* owner, uint32_t at, unsigned bytes, Where where) {
  Quiet quiet;
  MbarrierState& s = find(owner, at, where);
  if (s.pending == 0)
    fail(where, "the mbarrier has had all its %u arrivals, and waits for %lld bytes", s.count,
         static_cast<long long>(s.bytes));
  release(s.token[s.phase & 1]);
  s.bytes += bytes;
  --s.pending;
  complete(s);
}
}  // namespace

void barrier_arrive(uint64_t* b, unsigned bytes, Where where) {
  note_read(b, 8);
  arrive(block(), shared_address(b, where), bytes, where);
}

void barrier_arrive_peer(uint64_t* b, unsigned rank, Where where) {
  uint32_t at = shared_address(b, where);
  peer_shared(b, rank, where);  // it is there
  arrive(block()->group->blocks[rank], at, 0, where);
}

void barrier_wait(const uint64_t* b, unsigned parity, Where where) {
  note_read(b, 8);
  Quiet quiet;
  MbarrierState& s = find(block(), shared_address(b, where), where);
  while ((s.phase & 1) == (parity & 1)) wait_while(&s.phase, s.phase, "waits at an mbarrier", where);
  if (s.token[parity & 1]) acquire(s.token[parity & 1]);
}

// ---- TMA ----
void queue_load(void* shared, size_t bytes, bool swizzle, uint64_t* barrier, std::function<void()> land, Where where) {
  uint32_t at = shared_address(shared, where);
  check_aligned(shared, 128, where);
  if (swizzle && at % 1024) fail(where, "TMA: a swizzled tile at shared address %u, no multiple of 1024", at);
  if (at < kStaticOffset && at + bytes > block()->dynamic_bytes)
    fail(where, "TMA: a box of %zu bytes at %u leaves the %zu bytes of shared memory", bytes, at,
         block()->dynamic_bytes);
  TensorLoad l{std::move(land), static_cast<char*>(shared), bytes, shared_address(barrier, where), new_token()};
  find(block(), l.barrier, where);
  release(l.token);
  std::memset(shared, 0xff, bytes);
  block()->async->loads.push_back(std::move(l));
}

void tensor_load(void* shared, const TensorMap* map, uint64_t* barrier, int c0, int c1, int c2, Where where) {
  Quiet quiet;
  const TensorMap m = *map;
  char* arena = block()->arena;
  uint32_t at = shared_address(shared, where);
  queue_load(
      shared, size_t(m.box[0]) * m.box[1] * m.box[2] * m.element, m.swizzle != 0, barrier,
      [=] { land_box(m, arena, at, {c0, c1, c2}); }, where);
}

// ---- wgmma ----
namespace {

Warpgroup& warpgroup(Where where) {
  unsigned g = running()->view.linear / 128;
  if ((g + 1) * 128 > block()->threads) fail(where, "wgmma in an incomplete warpgroup");
  auto& all = block()->async->warpgroups;
  if (!all[g]) all[g] = new Warpgroup();
  return *all[g];
}

// One operand, `rows` x 16, as its descriptor says where it lies.
void decode(Block* b, uint64_t descriptor, bool trans, int rows, Mma type, float (*out)[16], Where where) {
  uint32_t start = static_cast<uint32_t>(descriptor & 0x3fff) << 4;
  uint32_t chunk = static_cast<uint32_t>(descriptor >> 16 & 0x3fff) << 4;
  uint32_t group = static_cast<uint32_t>(descriptor >> 32 & 0x3fff) << 4;
  if (descriptor >> 62 != 1) fail(where, "wgmma: only the 128-byte swizzle is emulated");
  auto at = [&](uint32_t r, uint32_t k) {
    uint32_t a = trans ? start + r % 64 * 2 + r / 64 * chunk + k % 8 * 128 + k / 8 * group
                       : start + r % 8 * 128 + r / 8 * group + k * 2;
    if (a + 2 > b->dynamic_bytes)
      fail(where, "wgmma: its descriptor points to shared address %u of %zu", a, b->dynamic_bytes);
    return b->arena + swizzled(a);
  };
  for (uint32_t r = 0; r < static_cast<uint32_t>(rows); ++r)
    for (uint32_t k = 0; k < 16; ++k) out[r][k] = element(at(r, k), type);
  // The accesses, for the race check: 16 bytes at a time, which the swizzle leaves together.
  if (trans) {
    for (uint32_t k = 0; k < 16; ++k)
      for (uint32_t r = 0; r < static_cast<uint32_t>(rows); r += 8) note_read(at(r, k), 16);
  } else {
    for (uint32_t r = 0; r < static_cast<uint32_t>(rows); ++r)
      for (uint32_t k = 0; k < 16; k += 8) note_read(at(r, k), 16);
  }
}

Shadow* shadow_of(WarpgroupThread& t, float* d) {
  for (auto& s : t.shadows)
    if (s.d == d) return &s;
  return nullptr;
}

void execute(Warpgroup& g, size_t groups) {
  Block* b = block();
  for (size_t i = g.executed; i < groups; ++i)
    for (size_t j = 0; j < g.threads[0].groups[i].size(); ++j) {
      Issue first = g.threads[0].groups[i][j];
      if (first.registers) {  // as mma.sync's: 16 rows a warp
        for (int t = 0; t < 128; ++t)
          for (int r = 0; r < 4; ++r)
            for (int h = 0; h < 2; ++h)
              g.a[t / 32 * 16 + t % 32 / 4 + r % 2 * 8][t % 4 * 2 + h + r / 2 * 8] =
                  half_of(g.threads[t].groups[i][j].ra[r], h, first.type);
      } else {
        decode(b, first.a, first.trans_a, 64, first.type, g.a, first.where);
      }
      decode(b, first.b, first.trans_b, first.n, first.type, g.b, first.where);
      for (int t = 0; t < 128; ++t) {
        const Issue& o = g.threads[t].groups[i][j];
        if (o.a != first.a || o.registers != first.registers || o.b != first.b || o.n != first.n || o.add != first.add)
          fail(o.where, "wgmma: thread %d of the warpgroup has other operands than thread 0", t);
        float* d = shadow_of(g.threads[t], o.d)->value.data();
        int row = t / 32 * 16 + t % 32 / 4;
        for (int e = 0; e < o.n / 2; ++e) {
          const float* x = g.a[row + e / 2 % 2 * 8];
          const float* y = g.b[e / 4 * 8 + t % 4 * 2 + e % 2];
          float sum = o.add ? d[e] : 0.0f;
          for (int k = 0; k < 16; ++k) sum += x[k] * y[k];
          d[e] = sum;
        }
      }
    }
  if (g.executed < groups) g.executed = groups;
}

}  // namespace

void wgmma(float* d, int n, const uint32_t* ra, uint64_t a, uint64_t b, bool add, bool trans_a, bool trans_b, Mma type,
           Where where) {
  Quiet quiet;
  WarpgroupThread& t = warpgroup(where).threads[running()->view.linear % 128];
  if (!shadow_of(t, d)) {
    t.shadows.push_back({d, std::vector<float>(d, d + n / 2)});
    for (int i = 0; i < n / 2; ++i) d[i] = NAN;
  }
  Issue o = {a, b, ra != nullptr, {}, n, add, trans_a, trans_b, type, d, where};
  if (ra) std::memcpy(o.ra, ra, sizeof o.ra);
  t.open.push_back(o);
}

void wgmma_commit() {
  Quiet quiet;
  WarpgroupThread& t = warpgroup({"wgmma_commit", 0}).threads[running()->view.linear % 128];
  t.groups.push_back(std::move(t.open));
  t.open.clear();
#if !defined(FASTNN_EMU_TSAN)
  // As early as can be, in half of the random schedules' cases: when the last thread has committed.
  Warpgroup& g = warpgroup({"wgmma_commit", 0});
  if (!random_schedule() || random_word() % 2) return;
  size_t ready = t.groups.size();
  for (auto& o : g.threads) ready = std::min(ready, o.groups.size());
  for (size_t i = g.executed; i < ready; ++i)
    for (auto& o : g.threads)
      if (o.groups[i].size() != t.groups[i].size()) return;  // wgmma_wait says so
  execute(g, ready);
#endif
}

void wgmma_wait(unsigned left, Where where) {
  Quiet quiet;
  Warpgroup& g = warpgroup(where);
  WarpgroupThread& mine = g.threads[running()->view.linear % 128];
  if (g.waiting == 0) {
    g.token = new_token();
    g.groups_left = left;
  }
  if (g.groups_left != left) fail(where, "wgmma_wait for %u groups; other threads wait for %u", left, g.groups_left);
  void* token = g.token;
  unsigned phase = g.phase;
  release(token);
  if (++g.waiting == 128) {
    for (auto& t : g.threads) {
      if (t.groups.size() != mine.groups.size())
        fail(where, "wgmma: the warpgroup's threads have committed different groups");
      for (size_t i = 0; i < t.groups.size(); ++i)
        if (t.groups[i].size() != mine.groups[i].size())
          fail(where, "wgmma: the warpgroup's threads have issued different instructions");
    }
    // As late as can be: others go on first, and may spoil what has not been read yet.
    for (unsigned i = 0, n = random_schedule() ? random_word() % 8 : 4; i < n; ++i) yield(where);
    size_t n = mine.groups.size() > left ? mine.groups.size() - left : 0;
    as_engine(&g.engine, [&] {
      acquire(token);
      execute(g, n);
      release(token);
    });
    g.executed -= std::min(g.executed, n);
    for (auto& t : g.threads) {
      t.groups.erase(t.groups.begin(), t.groups.begin() + static_cast<long>(n));
      for (size_t i = 0; i < t.shadows.size();) {
        bool busy = false;
        for (auto& group : t.groups)
          for (auto& o : group) busy |= o.d == t.shadows[i].d;
        for (auto& o : t.open) busy |= o.d == t.shadows[i].d;
        if (busy) {
          ++i;
          continue;
        }
        std::memcpy(t.shadows[i].d, t.shadows[i].value.data(), t.shadows[i].value.size() * sizeof(float));
        t.shadows.erase(t.shadows.begin() + static_cast<long>(i));
      }
    }
    g.waiting = 0;
    ++g.phase;
  } else {
    wait_while(&g.phase, phase, "waits for wgmma", where);
  }
  acquire(token);
}

}  // namespace emu
}  // namespace fastnn
