// Look-ups, their order, sums over sorted look-ups, bags, gather and scatter.
#include <algorithm>

#include "arrays.h"
#include "cuda/embedding.cu"

using namespace fastnn::cuda;
using fastnn::Bag;
using fastnn::Dtype;

namespace {
Array ids(int64_t n, int64_t below) {
  Array a(Dtype::I64, n);
  for (int64_t i = 0; i < n; ++i) a.set(i, static_cast<double>(test_generator()() % static_cast<uint64_t>(below)));
  return a;
}
bool is_float(Dtype d) { return is_floating(d); }
}  // namespace

TEST(rows) {
  for (Dtype d : {Dtype::F32, Dtype::F64, Dtype::F16, Dtype::BF16, Dtype::I64, Dtype::U8})
    for (int64_t width : {1, 3, 16, 100}) {
      const int64_t rows = 9, count = 23;
      Array w = array(d, rows * width), index = ids(count, rows), out(d, count * width);
      index.set(4, -1), index.set(7, static_cast<double>(rows));
      embedding({d, rows, width, count, w.data(), index.as<int64_t>(), out.data()}, nullptr);
      for (int64_t i = 0; i < count; ++i)
        for (int64_t j = 0; j < width; ++j) {
          const bool bad = i == 4 || i == 7;
          NEAR(out[i * width + j], bad ? (is_float(d) ? NAN : 0) : w[index.as<int64_t>()[i] * width + j], 0);
        }
    }
  Array none(Dtype::F32, 0), index(Dtype::I64, 0);
  embedding({Dtype::F32, 4, 3, 0, none.data(), index.as<int64_t>(), none.data()}, nullptr);
}

TEST(sums_over_segments) {
  for (Dtype d : {Dtype::F32, Dtype::F64, Dtype::F16, Dtype::BF16, Dtype::I64})
    for (int64_t width : {1, 5, 16})
      for (int option = 0; option < 8; ++option) {
        const int64_t segments = 7, count = 31;
        const bool ordered = option & 1, factors = (option & 2) && d != Dtype::I64, more = option & 4;
        Array dy = array(d, (count + 2) * width), row = ids(count, segments - 1), order(Dtype::I64, count),
              start(Dtype::I64, segments + 1);
        Array factor = array(d, count), source = ids(count, count + 2), out = array(d, segments * width);
        int64_t at = 0;
        for (int64_t r = 0; r < segments; ++r) {  // a stable sort by row; the last row has none
          start.set(r, static_cast<double>(at));
          for (int64_t i = 0; i < count; ++i)
            if (row.as<int64_t>()[i] == r) {
              order.set(at, static_cast<double>(ordered ? i : at));
              ++at;
            }
        }
        start.set(segments, static_cast<double>(at));
        std::vector<double> old;
        for (int64_t i = 0; i < out.n; ++i) old.push_back(more ? out[i] : 0);
        SegmentSumArgs a = {};
        a.dtype = d, a.segments = segments, a.width = width, a.dy = dy.data();
        a.order = ordered ? order.as<int64_t>() : nullptr, a.start = start.as<int64_t>();
        a.source = factors ? source.as<int64_t>() : nullptr, a.factor = factors ? factor.data() : nullptr;
        a.out = out.data(), a.accumulate = more;
        segment_sum(a, nullptr);
        for (int64_t r = 0; r < segments; ++r)
          for (int64_t j = 0; j < width; ++j) {
            double want = old[static_cast<size_t>(r * width + j)], size = std::fabs(want);
            for (int64_t k = start.as<int64_t>()[r]; k < start.as<int64_t>()[r + 1]; ++k) {
              const int64_t i = order.as<int64_t>()[k], from = factors ? source.as<int64_t>()[i] : i;
              const double v = dy[from * width + j] * (factors ? factor[i] : 1);
              want += v, size += std::fabs(v);
            }
            NEAR(out[r * width + j], want, tolerance(d, want, 0.6) + tolerance(compute_dtype(d), want, 8, size));
          }
      }
}

TEST(order_of_look_ups) {
  for (int64_t n : {1, 7, 255, 256, 300, 513}) {
    Array id = ids(n, 11), order(Dtype::I64, n);
    for (int64_t i = 0; i < n; i += 5) id.set(i, -3);
    stable_order(id.as<int64_t>(), n, order.as<int64_t>(), nullptr);
    std::vector<int64_t> want(static_cast<size_t>(n));
    for (int64_t i = 0; i < n; ++i) want[static_cast<size_t>(i)] = i;
    std::stable_sort(want.begin(), want.end(),
                     [&](int64_t a, int64_t b) { return id.as<int64_t>()[a] < id.as<int64_t>()[b]; });
    for (int64_t i = 0; i < n; ++i) NEAR(order[i], static_cast<double>(want[static_cast<size_t>(i)]), 0);
  }
  stable_order(nullptr, 0, nullptr, nullptr);
}

TEST(bags) {
  for (Dtype d : kFloats)
    for (Bag bag : {Bag::Sum, Bag::Mean, Bag::Max})
      for (int64_t padding : {-1, 3})
        for (bool factors : {false, true}) {
          if (factors && bag != Bag::Sum) continue;
          const int64_t rows = 6, width = 5, bags = 4, count = 12;
          const int64_t begin[] = {0, 3, 3, 9, 12};
          Array w = array(d, rows * width), index = ids(count, rows), start(Dtype::I64, bags + 1),
                factor = array(d, count), out(d, bags * width), chosen(Dtype::I64, bags * width);
          for (int i = 0; i < 5; ++i) start.set(i, static_cast<double>(begin[i]));
          w.set(2 * width, NAN);
          EmbeddingBagArgs a = {d,
                                bag,
                                rows,
                                width,
                                bags,
                                padding,
                                w.data(),
                                index.as<int64_t>(),
                                start.as<int64_t>(),
                                factors ? factor.data() : nullptr,
                                out.data(),
                                chosen.as<int64_t>()};
          embedding_bag(a, nullptr);
          for (int64_t b = 0; b < bags; ++b)
            for (int64_t j = 0; j < width; ++j) {
              double want = 0;
              int64_t n = 0, which = -1;
              for (int64_t i = begin[b]; i < begin[b + 1]; ++i) {
                const int64_t r = index.as<int64_t>()[i];
                if (r == padding) continue;
                const double v = w[r * width + j] * (factors ? factor[i] : 1);
                if (bag != Bag::Max)
                  want += v;
                else if (n == 0 || v > want || (std::isnan(v) && !std::isnan(want)))
                  want = v, which = i;
                ++n;
              }
              if (bag == Bag::Mean && n) want /= static_cast<double>(n);
              NEAR(out[b * width + j], want, tolerance(d, want, 0.6) + tolerance(compute_dtype(d), want, 8, 4));
              if (bag == Bag::Max) CHECK(chosen.as<int64_t>()[b * width + j] == which);
            }
        }
}

TEST(gather_and_scatter) {
  const int64_t shapes[][4] = {{1, 9, 1, 5}, {3, 4, 1, 7}, {2, 5, 3, 4}, {1, 3, 40, 3}, {2, 3, 4, 0}};
  for (const auto& s : shapes)
    for (Dtype d : {Dtype::F32, Dtype::F64, Dtype::BF16, Dtype::I64, Dtype::U8}) {
      const int64_t outer = s[0], n = s[1], inner = s[2], m = s[3], total = outer * m * inner;
      Array x = array(d, outer * n * inner), index = ids(total, n), out(d, total), back = array(d, outer * n * inner);
      if (total > 4) index.set(1, -3), index.set(2, static_cast<double>(n));
      gather({d, outer, n, inner, m, x.data(), index.as<int64_t>(), out.data()}, nullptr);
      std::vector<double> old;
      for (int64_t i = 0; i < back.n; ++i) old.push_back(back[i]);
      Array values = array(d, total);
      // Places named once: the ids of each (outer, inner) are made distinct where m <= n.
      for (int64_t o = 0; o < outer && m <= n; ++o)
        for (int64_t k = 0; k < inner; ++k)
          for (int64_t j = 0; j < m; ++j) {
            const int64_t u = (o * m + j) * inner + k;
            const bool bad = total > 4 && (u == 1 || u == 2);
            if (!bad)
              NEAR(out[u], x[(o * n + index.as<int64_t>()[u]) * inner + k], 0);
            else
              NEAR(out[u], is_float(d) ? NAN : 0, 0);
            if (!bad) index.set(u, static_cast<double>((j + k) % n));
          }
      if (m > n) continue;
      scatter({d, outer, n, inner, m, values.data(), index.as<int64_t>(), back.data()}, nullptr);
      for (int64_t o = 0; o < outer; ++o)
        for (int64_t k = 0; k < inner; ++k)
          for (int64_t i = 0; i < n; ++i) {
            double want = old[static_cast<size_t>((o * n + i) * inner + k)];
            for (int64_t j = 0; j < m; ++j)
              if (index.as<int64_t>()[(o * m + j) * inner + k] == i) want = values[(o * m + j) * inner + k];
            NEAR(back[(o * n + i) * inner + k], want, 0);
          }
    }
}

MAIN()
