// Fibers, the schedule and launches. See engine.h.
#include <sys/mman.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <mutex>
#include <random>
#include <stdexcept>
#include <string>
#include <unordered_map>

#include "cuda/emu/internal.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif
#if !defined(__x86_64__)
#include <ucontext.h>
#endif

namespace fastnn {
namespace emu {

View* current = nullptr;

namespace {

constexpr size_t kStackBytes = 256 * 1024, kGuardBytes = 4096;
#if defined(FASTNN_EMU_TSAN)
// Memory that one block's thread leaves and another takes over orders the two: as many as possible before any is
// reused.
constexpr size_t kStacksBeforeReuse = 768, kArenasBeforeReuse = 64;
#else
constexpr size_t kStacksBeforeReuse = 0, kArenasBeforeReuse = 0;
#endif

enum class Order { Forward, Reverse, Rounds, Warps };
struct Schedule {
  Order order = Order::Forward;
  unsigned seed = 0;
};

Schedule parse(const char* text) {
  Schedule s;
  if (!std::strcmp(text, "forward")) return s;
  if (!std::strcmp(text, "reverse")) {
    s.order = Order::Reverse;
    return s;
  }
  if (!std::strncmp(text, "random:", 7)) {
    s.seed = static_cast<unsigned>(std::strtoul(text + 7, nullptr, 10));
    s.order = s.seed % 2 ? Order::Warps : Order::Rounds;
    return s;
  }
  throw std::runtime_error(std::string("the emulator's schedule is forward, reverse or random:<seed>, not ") + text);
}

Schedule& schedule() {
  static Schedule s = parse(std::getenv("FASTNN_EMU_SCHEDULE") ? std::getenv("FASTNN_EMU_SCHEDULE") : "forward");
  return s;
}

// One launch at a time: the running fiber is one global.
std::mutex launch_mutex;
std::mt19937 generator;
auto& free_fibers = *new std::deque<Fiber*>;  // never destroyed: nothing in them leaks
auto& free_arenas = *new std::deque<char*>;
auto& all_fibers = *new std::vector<Fiber*>;
size_t fibers_made, arenas_made;
uint64_t switch_count;
std::string failure;
bool failed;
void (*kernel_function)(void*);
void* kernel_arguments;
void *launch_token, *end_token;  // two: what one block did is not before what the next one does
#if defined(FASTNN_EMU_TSAN)
void* main_sanitizer;
#endif
char* token_memory;
size_t token_next;
constexpr size_t kTokenBytes = size_t(1) << 30;

// ---- switching ----
#if defined(__x86_64__)
using Context = void*;
extern "C" void fastnn_emu_switch(void** save, void* to);
asm(R"(
.text
.type fastnn_emu_switch,@function
fastnn_emu_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size fastnn_emu_switch,.-fastnn_emu_switch
)");
Context main_context;
void jump(Context& save, Context& to) { fastnn_emu_switch(&save, to); }
#else
using Context = void*;  // a ucontext_t, made at first use
Context main_context;
ucontext_t* of(Context& c) {
  if (!c) c = new ucontext_t;
  return static_cast<ucontext_t*>(c);
}
void jump(Context& save, Context& to) { swapcontext(of(save), of(to)); }
#endif

#if defined(__SANITIZE_ADDRESS__)
const void* main_stack;
size_t main_stack_bytes;
#endif

Fiber* fiber_now;
bool paused;  // the fiber that ran last did nothing but look at memory

__attribute__((noinline)) void to_fiber(Fiber* f) {
  ++switch_count;
  fiber_now = f;
  current = &f->view;
#if defined(__SANITIZE_ADDRESS__)
  void* fake = nullptr;
  __sanitizer_start_switch_fiber(&fake, f->stack + kGuardBytes, kStackBytes - kGuardBytes);
#endif
#if defined(FASTNN_EMU_TSAN)
  __tsan_switch_to_fiber(f->sanitizer, 1);  // 1: no order between the two
#endif
  jump(main_context, f->stack_pointer);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(fake, nullptr, nullptr);
#endif
  fiber_now = nullptr;
}

__attribute__((noinline)) void to_main(bool last) {
  Fiber* f = fiber_now;
#if defined(__SANITIZE_ADDRESS__)
  void* fake = nullptr;
  __sanitizer_start_switch_fiber(last ? nullptr : &fake, main_stack, main_stack_bytes);
#endif
#if defined(FASTNN_EMU_TSAN)
  __tsan_switch_to_fiber(main_sanitizer, 1);
#endif
  (void)last;
  jump(f->stack_pointer, main_context);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(fake, nullptr, nullptr);
#endif
}

void thread_exits(Fiber* f);

void fiber_entry() {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(nullptr, &main_stack, &main_stack_bytes);
#endif
  Fiber* f = fiber_now;
  acquire(launch_token);
  acquire(f->stack);
  acquire(f->block->arena_token);
  kernel_function(kernel_arguments);
  thread_exits(f);
  to_main(true);
  std::abort();
}

void prepare(Fiber* f) {
  FASTNN_UNPOISON(f->stack + kGuardBytes, kStackBytes - kGuardBytes);
#if defined(__x86_64__)
  void** top = reinterpret_cast<void**>(f->stack + kStackBytes - 64);
  *--top = nullptr;
  *--top = reinterpret_cast<void*>(fiber_entry);
  for (int i = 0; i < 6; ++i) *--top = nullptr;
  f->stack_pointer = top;
#else
  ucontext_t* c = of(f->stack_pointer);
  getcontext(c);
  c->uc_stack.ss_sp = f->stack + kGuardBytes;
  c->uc_stack.ss_size = kStackBytes - kGuardBytes;
  c->uc_link = nullptr;
  makecontext(c, fiber_entry, 0);
#endif
}

char* map_memory(size_t bytes, int protection) {
  void* p = mmap(nullptr, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) throw std::runtime_error("the emulator finds no memory for another fiber");
  return static_cast<char*>(p);
}

// Fibers and arenas are never given back: the kernel's threads read them, and freeing would count as a write.
Fiber* take_fiber() {
  Fiber* f;
  if (!free_fibers.empty() && fibers_made >= kStacksBeforeReuse) {
    f = free_fibers.front();
    free_fibers.pop_front();
  } else {
    f = new Fiber();
    f->stack = map_memory(kStackBytes, PROT_READ | PROT_WRITE);
    mprotect(f->stack, kGuardBytes, PROT_NONE);
    ++fibers_made;
    all_fibers.push_back(f);
#if defined(FASTNN_EMU_TSAN)
    f->sanitizer = __tsan_create_fiber(0);  // half a millisecond: kept as long as the stack
#endif
  }
  f->done = f->fenced = false;
  f->wait_word = nullptr;
  f->doing = "starts";
  f->where = {"kernel", 0};
  f->seen.clear();
  f->cluster_phase = 0;
  f->cluster_token = nullptr;
  prepare(f);
  return f;
}

void give_fiber(Fiber* f) {
#if defined(FASTNN_EMU_TSAN)
  if (!f->done) return;      // left in the midst of something
  free_fibers.push_back(f);  // the longest unused one next
#else
  free_fibers.push_front(f);
#endif
}

std::unordered_map<char*, unsigned> arena_turns;

char* take_arena() {
  char* a;
  if (!free_arenas.empty() && arenas_made >= kArenasBeforeReuse) {
    a = free_arenas.front();
    free_arenas.pop_front();
  } else {
    a = map_memory(kArenaBytes, PROT_READ | PROT_WRITE);
    ++arenas_made;
  }
  return a;
}

void thread_exits(Fiber* f) {
  Quiet quiet;
  Block* b = f->block;
  unsigned lane = f->view.linear % 32;
  for (Meeting* m : b->warps[f->view.linear / 32])
    if ((m->mask >> lane & 1) && !(m->arrived >> lane & 1))
      fail(m->where, "%s waits for lane %u of warp %u, which has exited", m->what, lane, f->view.linear / 32);
  release(end_token);
  release(f->stack);
  release(b->arena_end);
  f->done = true;
  --b->live;
  --b->group->live;
  // Exited threads count as arrived.
  Barrier& all = b->barriers[0];
  if (all.arrived && !all.count && all.arrived >= b->live) complete(all);
  Group* g = b->group;
  if (g->cluster.arrived && g->cluster.arrived >= g->live) complete(g->cluster);
  if (g->grid.arrived && g->grid.arrived >= g->live) complete(g->grid);
  if (!b->live) FASTNN_POISON(b->arena, kArenaBytes);  // shared memory ends with its block
}

std::string describe(const std::vector<Group*>& groups) {
  std::string text;
  char line[512];
  int lines = 0;
  for (Group* g : groups)
    for (Block* b : g->blocks)
      for (unsigned i = 0; i < b->threads;) {
        Fiber* f = b->fibers[i];
        unsigned j = i;
        auto same = [&](Fiber* o) {
          return o->done == f->done && o->where.line == f->where.line && !std::strcmp(o->where.file, f->where.file) &&
                 !std::strcmp(o->doing, f->doing);
        };
        while (j < b->threads && same(b->fibers[j])) ++j;
        if (!f->done && ++lines <= 24) {
          std::snprintf(line, sizeof line, "\n  block (%u,%u,%u), threads %u to %u: %s at %s:%d", b->index.x,
                        b->index.y, b->index.z, i, j - 1, f->doing, f->where.file, f->where.line);
          text += line;
        }
        i = j;
      }
  return text;
}

Group* make_group(const Launch& l, const std::vector<Index3>& indices) {
  Group* g = new Group;
  unsigned n = l.block.x * l.block.y * l.block.z, rank = 0;
  for (Index3 index : indices) {
    Block* b = new Block();
    b->index = index;
    b->rank = rank++;
    b->threads = b->live = n;
    b->group = g;
    b->arena = take_arena();
    // A block is ordered after the one that had its memory before, but not its threads after each other: two tokens,
    // taken in turn.
    const unsigned turn = arena_turns[b->arena]++ & 1;
    b->arena_token = b->arena + kArenaBytes - 64 * (1 + turn);
    b->arena_end = b->arena + kArenaBytes - 64 * (2 - turn);
    b->static_used = 0;
    b->dynamic_bytes = l.shared;
    FASTNN_UNPOISON(b->arena, kArenaBytes);
    std::memset(b->arena, 0xff, l.shared);  // NaN: what nobody has written shows
    FASTNN_POISON(b->arena, kArenaBytes);
    FASTNN_UNPOISON(b->arena, l.shared);
    b->warps.resize((n + 31) / 32);
    for (unsigned i = 0; i < n; ++i) {
      Fiber* f = take_fiber();
      f->block = b;
      f->view.thread = {i % l.block.x, i / l.block.x % l.block.y, i / l.block.x / l.block.y};
      f->view.block = index;
      f->view.block_dim = l.block;
      f->view.grid_dim = l.grid;
      f->view.linear = i;
      f->view.cluster_rank = b->rank % l.cluster;
      f->view.cluster_size = l.cluster;
      f->view.dynamic_shared = b->arena;
      b->fibers.push_back(f);
    }
    g->live += n;
    b->async = async_begin(b);
    g->blocks.push_back(b);
  }
  return g;
}

void free_group(Group* g) {
  for (Block* b : g->blocks) {
    async_end(b);
    for (Fiber* f : b->fibers) give_fiber(f);
    for (auto& w : b->warps)
      for (Meeting* m : w) delete m;
    free_arenas.push_back(b->arena);
    delete b;
  }
  delete g;
}

// The blocks in the order they start, grouped by what must be alive together.
std::vector<std::vector<Index3>> groups_of(const Launch& l) {
  std::vector<std::vector<Index3>> groups;
  unsigned together = l.cluster;
  for (unsigned z = 0; z < l.grid.z; ++z)
    for (unsigned y = 0; y < l.grid.y; ++y)
      for (unsigned x = 0; x < l.grid.x; x += together) {
        if (groups.empty() || !l.together) groups.emplace_back();
        for (unsigned i = 0; i < together; ++i) groups.back().push_back({x + i, y, z});
      }
  if (schedule().order == Order::Reverse) std::reverse(groups.begin(), groups.end());
  if (random_schedule()) std::shuffle(groups.begin(), groups.end(), generator);
  return groups;
}

bool runnable(const Fiber* f) { return !f->done && !(f->wait_word && *f->wait_word == f->wait_value); }

// The fibers in the order of one round.
void arrange(std::vector<Fiber*>& order, const std::vector<Group*>& active) {
  order.clear();
  for (Group* g : active)
    for (Block* b : g->blocks)
      for (Fiber* f : b->fibers)
        if (!f->done) order.push_back(f);
  switch (schedule().order) {
    case Order::Forward:
      break;
    case Order::Reverse:
      std::reverse(order.begin(), order.end());
      break;
    case Order::Rounds:
      std::shuffle(order.begin(), order.end(), generator);
      break;
    case Order::Warps: {  // some warps far ahead of the others
      std::shuffle(order.begin(), order.end(), generator);
      std::vector<uint32_t> keys(64);
      for (auto& k : keys) k = generator();
      auto key = [&](Fiber* f) { return keys[(f->view.linear / 32 + f->view.block.x * 7 + f->view.block.y * 3) % 64]; };
      std::stable_sort(order.begin(), order.end(), [&](Fiber* a, Fiber* b) { return key(a) < key(b); });
      break;
    }
  }
}

bool land(const std::vector<Group*>& active) {
  for (Group* g : active)
    for (Block* b : g->blocks)
      if (async_land(b)) return true;
  return false;
}

void run_all(const Launch& l) {
  auto waiting = groups_of(l);
  size_t next = 0, resident = schedule().order == Order::Warps ? 2 : 1;
  std::vector<Group*> active;
  std::vector<Fiber*> order;
  unsigned rounds = 0, idle = 0;
  while (!failed && (next < waiting.size() || !active.empty())) {
    while (active.size() < resident && next < waiting.size()) {
      active.push_back(make_group(l, waiting[next++]));
      rounds = 0;
    }
    release(launch_token);
    if (schedule().order == Order::Rounds || rounds++ % 32 == 0) arrange(order, active);
    bool progress = false;
    for (size_t i = 0; i < order.size() && !failed; ++i) {
      if (!runnable(order[i])) continue;
      paused = false;
      to_fiber(order[i]);
      progress |= !paused;
      // Let the first warp go on as long as it can.
      if (schedule().order == Order::Warps && i % 32 == 31 && generator() % 4) i -= 32;
    }
    if (failed) break;
    bool finished = false;
    for (size_t i = 0; i < active.size();)
      if (active[i]->live == 0) {
        free_group(active[i]);
        active.erase(active.begin() + static_cast<long>(i));
        finished = true;
      } else {
        ++i;
      }
    if (finished) {
      rounds = 0;
      continue;
    }
    if (progress) idle = 0;
    // Asynchronous work lands as late as can be, or, in a random schedule, at any time.
    if (!progress || (random_schedule() && generator() % 3 == 0)) {
      if (land(active)) {
        idle = 0;
        continue;
      }
      if (!progress && ++idle > 1000) {
        failed = true;
        failure = "deadlock: every thread waits" + describe(active);
      }
    }
  }
  if (!failed) return;
  for (Group* g : active) {
#if defined(FASTNN_EMU_TSAN)
    for (Block* b : g->blocks)
      for (Fiber* f : b->fibers)
        if (!f->done) {  // what it did lies before what the host does next
          __tsan_switch_to_fiber(f->sanitizer, 1);
          release(end_token);
          __tsan_switch_to_fiber(main_sanitizer, 1);
        }
#endif
    free_group(g);
  }
}

}  // namespace

Fiber* running() { return fiber_now; }
Block* block() { return fiber_now->block; }
unsigned random_word() { return generator(); }
bool random_schedule() { return schedule().order == Order::Rounds || schedule().order == Order::Warps; }
bool reverse_schedule() { return schedule().order == Order::Reverse; }
uint64_t switches() { return switch_count; }
void set_schedule(const char* text) { schedule() = parse(text); }

void* new_token() {
  if (token_next + 64 > kTokenBytes) token_next = 0;
  char* t = token_memory + token_next;
  token_next += 8;
  return t;
}

void wait_while(const unsigned* word, unsigned value, const char* doing, Where where) {
  Fiber* f = fiber_now;
  f->doing = doing;
  f->where = where;
  f->wait_word = word;
  f->wait_value = value;
  while (*word == value) to_main(false);
  f->wait_word = nullptr;
  f->doing = "runs";
}

void yield(Where where) {
  fiber_now->doing = "multiplies";
  fiber_now->where = where;
  to_main(false);
  fiber_now->doing = "runs";
}

void fail(Where where, const char* format, ...) {
  char text[1024];
  va_list args;
  va_start(args, format);
  std::vsnprintf(text, sizeof text, format, args);
  va_end(args);
  char place[512];
  View& v = fiber_now->view;
  std::snprintf(place, sizeof place, " (%s:%d, block (%u,%u,%u), thread %u)", where.file, where.line, v.block.x,
                v.block.y, v.block.z, v.linear);
  failed = true;
  failure = std::string(text) + place;
  to_main(true);
  std::abort();
}

void run(const Launch& l, void (*kernel)(void*), void* arguments) {
  std::lock_guard<std::mutex> lock(launch_mutex);
  Quiet quiet;
  auto bad = [&](const std::string& why) { throw std::runtime_error(std::string(l.what) + ": " + why); };
  uint64_t threads = uint64_t(l.block.x) * l.block.y * l.block.z;
  if (threads == 0 || threads > 1024 || l.block.z > 64)
    bad("invalid configuration: " + std::to_string(threads) + " threads a block");
  if (!l.grid.x || !l.grid.y || !l.grid.z || l.grid.x > 0x7fffffffu || l.grid.y > 65535 || l.grid.z > 65535)
    bad("invalid configuration: a grid of " + std::to_string(l.grid.x) + " x " + std::to_string(l.grid.y) + " x " +
        std::to_string(l.grid.z));
  if (l.shared > kMaxDynamicShared) bad(std::to_string(l.shared) + " bytes of shared memory; there are 232448");
  if (l.cluster < 1 || l.cluster > 8 || l.grid.x % l.cluster)
    bad("clusters of " + std::to_string(l.cluster) + " blocks");
  if (l.together && l.cluster > 1) bad("clusters in a cooperative launch are not emulated");
  if (!token_memory) token_memory = map_memory(kTokenBytes, PROT_NONE);
  token_next = 64;
  launch_token = token_memory;
  end_token = token_memory + 8;
  generator.seed(schedule().seed + 1);
  switch_count = 0;
  failed = false;
  kernel_function = kernel;
  kernel_arguments = arguments;
#if defined(FASTNN_EMU_TSAN)
  main_sanitizer = __tsan_get_current_fiber();
#endif
  run_all(l);
  acquire(end_token);
  if (failed) bad(failure);
}

void pause(Where where) {
  Fiber* f = running();
  f->doing = "waits for memory";
  f->where = where;
  paused = true;
  to_main(false);
  f->doing = "runs";
}

}  // namespace emu
}  // namespace fastnn
