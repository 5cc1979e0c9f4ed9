// What threads share and where they meet: shared memory, barriers, warps, the order of memory. See engine.h.
#include <algorithm>
#include <cstring>

#include "cuda/emu/internal.h"

namespace fastnn {
namespace emu {

// ---- shared memory ----
void* static_shared(const void* key, size_t bytes, const char* name) {
  Quiet quiet;
  Block* b = block();
  for (auto& v : b->variables)
    if (v.first == key) return b->arena + v.second;
  size_t at = kStaticOffset + b->static_used;
  b->static_used += (bytes + 63) / 64 * 64;
  if (b->static_used > kMaxStaticShared || b->static_used + b->dynamic_bytes > kMaxDynamicShared)
    fail({name, 0}, "%zu bytes of static shared memory (%s)", b->static_used, name);
  b->static_used += 64;  // a red zone under AddressSanitizer
  b->variables.emplace_back(key, at);
  FASTNN_UNPOISON(b->arena + at, bytes);
  std::memset(b->arena + at, 0xff, bytes);
  return b->arena + at;
}

uint32_t shared_address(const void* p, Where where) {
  Block* b = block();
  ptrdiff_t at = static_cast<const char*>(p) - b->arena;
  if (at < 0 || at >= static_cast<ptrdiff_t>(kArenaBytes)) fail(where, "%p is not in shared memory", p);
  return static_cast<uint32_t>(at);
}

char* shared_pointer(uint32_t address) { return block()->arena + address; }

void* peer_shared(const void* p, unsigned rank, Where where) {
  Block* b = block();
  uint32_t at = shared_address(p, where);
  if (rank >= running()->view.cluster_size)
    fail(where, "block %u of a cluster of %u", rank, running()->view.cluster_size);
  Block* peer = b->group->blocks[rank];
  if (!peer->live) fail(where, "shared memory of block %u of the cluster, which has exited", rank);
  return peer->arena + at;
}

// ---- barriers ----
unsigned barrier(unsigned id, unsigned count, bool wait, unsigned value, Where where) {
  Quiet quiet;
  Block* b = block();
  if (id > 15) fail(where, "barrier %u; there are 16", id);
  if (count % 32 || count > (b->threads + 31) / 32 * 32) fail(where, "a barrier of %u threads", count);
  Barrier& r = b->barriers[id];
  if (r.arrived == 0) {
    r.token = new_token();
    r.sum = 0;
    r.count = count;
    r.where = where;
  } else if (r.count != count) {
    fail(where, "barrier %u is used for %u threads here and for %u at %s:%d", id, count, r.count, r.where.file,
         r.where.line);
  } else if (!count && (r.where.line != where.line || std::strcmp(r.where.file, where.file))) {
    fail(where, "__syncthreads in divergent code: other threads are at %s:%d", r.where.file, r.where.line);
  }
  void* token = r.token;
  unsigned phase = r.phase;
  release(token);
  r.sum += value;
  ++r.arrived;
  if (r.arrived >= (count ? count : b->live)) complete(r);
  if (!wait) return 0;
  if (r.phase == phase)
    wait_while(&r.phase, phase, count ? "waits at a named barrier" : "waits in __syncthreads", where);
  acquire(token);
  return r.result[phase & 1];
}

void cluster_arrive(Where where) {
  Quiet quiet;
  Fiber* f = running();
  Group* g = f->block->group;
  if (f->cluster_token) fail(where, "cluster_arrive twice without cluster_wait");
  Barrier& r = g->cluster;
  if (r.arrived == 0) r.token = new_token();
  f->cluster_token = r.token;
  f->cluster_phase = r.phase;
  release(r.token);
  if (++r.arrived >= g->live) complete(r);
}

void cluster_wait(Where where) {
  Quiet quiet;
  Fiber* f = running();
  if (!f->cluster_token) fail(where, "cluster_wait without cluster_arrive");
  Barrier& r = f->block->group->cluster;
  if (r.phase == f->cluster_phase) wait_while(&r.phase, f->cluster_phase, "waits for its cluster", where);
  acquire(f->cluster_token);
  f->cluster_token = nullptr;
}

void grid_barrier(Where where) {
  Quiet quiet;
  Fiber* f = running();
  Group* g = f->block->group;
  if (g->blocks.size() != size_t(f->view.grid_dim.x) * f->view.grid_dim.y * f->view.grid_dim.z)
    fail(where, "a grid barrier outside a cooperative launch");
  Barrier& r = g->grid;
  if (r.arrived == 0) r.token = new_token();
  void* token = r.token;
  unsigned phase = r.phase;
  release(token);
  if (++r.arrived >= g->live) complete(r);
  if (r.phase == phase) wait_while(&r.phase, phase, "waits for the grid", where);
  acquire(token);
}

// ---- warps ----
void warp_meet(const char* what, unsigned mask, void* mine, void (*finish)(void** lanes), bool ordered, Where where) {
  Quiet quiet;
  Fiber* f = running();
  Block* b = f->block;
  unsigned lane = f->view.linear % 32, warp = f->view.linear / 32;
  if (!(mask >> lane & 1)) fail(where, "%s: lane %u is not in its own mask %08x", what, lane, mask);
  auto& meetings = b->warps[warp];
  Meeting* m = nullptr;
  for (Meeting* o : meetings)
    if (o->mask == mask && !(o->arrived >> lane & 1)) m = o;
  if (!m) {
    for (unsigned i = 0; i < 32; ++i)
      if ((mask >> i & 1) && (warp * 32 + i >= b->threads || b->fibers[warp * 32 + i]->done))
        fail(where, "%s: its mask %08x names lane %u, which has exited or does not exist", what, mask, i);
    m = new Meeting();
    m->what = what;
    m->where = where;
    m->mask = mask;
    m->ordered = ordered;
    m->token = ordered ? new_token() : nullptr;
    meetings.push_back(m);
  } else if (std::strcmp(m->what, what) || m->where.line != where.line || std::strcmp(m->where.file, where.file)) {
    fail(where, "%s: other lanes of the warp are in %s at %s:%d", what, m->what, m->where.file, m->where.line);
  }
  m->lanes[lane] = mine;
  m->arrived |= 1u << lane;
  if (ordered) release(m->token);
  if (m->arrived == mask) {
    meetings.erase(std::find(meetings.begin(), meetings.end(), m));
    if (finish) finish(m->lanes);
    m->phase = 1;
  } else {
    wait_while(&m->phase, 0, what, where);
  }
  if (ordered) acquire(m->token);
  m->left |= 1u << lane;
  if (m->left == mask) delete m;
}

// ---- memory order ----
void fence() {
#if defined(FASTNN_EMU_TSAN)
  Quiet quiet;
  Fiber* f = running();
  for (const void* p : f->seen) acquire(const_cast<void*>(p));
  f->seen.clear();
  f->fenced = true;
#endif
}

void before_atomic(const void* p) {
#if defined(FASTNN_EMU_TSAN)
  if (running()->fenced) release(const_cast<void*>(p));
#else
  (void)p;
#endif
}

void after_atomic(const void* p) {
#if defined(FASTNN_EMU_TSAN)
  Quiet quiet;
  auto& seen = running()->seen;
  if (std::find(seen.begin(), seen.end(), p) == seen.end()) seen.push_back(p);
#else
  (void)p;
#endif
}

void check_aligned(const void* p, size_t bytes, Where where) {
  if (reinterpret_cast<uintptr_t>(p) % bytes) fail(where, "misaligned address %p for an access of %zu bytes", p, bytes);
}

}  // namespace emu
}  // namespace fastnn
