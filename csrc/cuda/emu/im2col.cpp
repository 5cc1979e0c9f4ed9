// The twin of TMA's im2col mode: pixel by pixel as the map's bounding box says, landing late, like every load of TMA.
#define FASTNN_EMU 1
#include <cstring>

#include "cuda/emu/internal.h"
#include "cuda/prim_im2col.h"

namespace fastnn {
namespace emu {

void tensor_load_im2col(void* shared, const Im2colMap* map, uint64_t* barrier, int c, int w, int h, int n, int offset_w,
                        int offset_h, Where where) {
  Quiet quiet;
  const Im2colMap m = *map;
  const int64_t last[2] = {int64_t(m.size[1]) - 1 + m.upper[0], int64_t(m.size[2]) - 1 + m.upper[1]};
  // The hardware has eight unsigned bits for each offset, and leaves undefined what begins outside of the box.
  if (offset_w < 0 || offset_w > 255 || offset_h < 0 || offset_h > 255)
    fail(where, "TMA im2col: offsets %d, %d do not fit eight bits", offset_w, offset_h);
  if (n < 0 || w < m.lower[0] || w > last[0] || h < m.lower[1] || h > last[1])
    fail(where, "TMA im2col: it begins at w %d, h %d, outside of the box %d..%lld, %d..%lld", w, h, m.lower[0],
         static_cast<long long>(last[0]), m.lower[1], static_cast<long long>(last[1]));
  if ((w - m.lower[0]) % int(m.step[0]) || (h - m.lower[1]) % int(m.step[1]))
    fail(where, "TMA im2col: it begins at w %d, h %d, between the steps of %u, %u", w, h, m.step[0], m.step[1]);
  const uint32_t first = shared_address(shared, where);
  char* arena = block()->arena;
  auto land = [=] {
    int64_t pw = w, ph = h, pn = n;
    for (uint32_t p = 0; p < m.pixels; ++p) {
      const int64_t g[3] = {pw + offset_w, ph + offset_h, pn};
      bool inside = true;
      for (int i = 0; i < 3; ++i) inside &= g[i] >= 0 && uint64_t(g[i]) < m.size[1 + i];
      const char* from = static_cast<const char*>(m.base) + c * int64_t(m.element);
      for (int i = 0; i < 3; ++i) from += g[i] * int64_t(m.stride[1 + i]);
      for (uint32_t x = 0; x < m.channels; ++x, from += m.element) {
        const uint32_t at = first + (p * m.channels + x) * m.element;
        char* to = arena + (m.swizzle ? at ^ (at >> 7 & 7) << 4 : at);
        const bool there = inside && c + int64_t(x) >= 0 && c + uint64_t(x) < m.size[0];
        if (there) note_read(from, m.element);
        for (int i = 0; i < m.element; ++i) to[i] = there ? from[i] : 0;
      }
      pw += m.step[0];
      if (pw > last[0]) {
        pw = m.lower[0];
        ph += m.step[1];
        if (ph > last[1]) {
          ph = m.lower[1];
          ++pn;
        }
      }
    }
  };
  queue_load(shared, size_t(m.channels) * m.pixels * m.element, m.swizzle != 0, barrier, land, where);
}

}  // namespace emu
}  // namespace fastnn
