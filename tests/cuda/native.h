// The test programs' frame: TEST(name) {...}, CHECK, NEAR, THROWS, MAIN. A program runs all its tests under each
// schedule named on the command line (--schedule=forward,reverse,random:1), those whose name contains --only=..., and
// fails if one does.
#pragma once
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "cuda/emu/engine.h"

// The sanitizers look at order and addresses, not at values: smaller shapes and fewer dtypes do there.
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

struct Test {
  const char* name;
  void (*body)();
};
inline std::vector<Test>& tests() {
  static std::vector<Test> all;
  return all;
}
struct Register {
  Register(const char* name, void (*body)()) { tests().push_back({name, body}); }
};
#define TEST(name)                                     \
  static void test_##name();                           \
  static Register register_##name(#name, test_##name); \
  static void test_##name()

struct Failure : std::runtime_error {
  using std::runtime_error::runtime_error;
};
inline void fail_at(const char* file, int line, const std::string& what) {
  throw Failure(std::string(file) + ":" + std::to_string(line) + ": " + what);
}
#define CHECK(condition)                                       \
  do {                                                         \
    if (!(condition)) fail_at(__FILE__, __LINE__, #condition); \
  } while (0)
// |got - want| <= tolerance; a NaN is near nothing but a NaN.
#define NEAR(got, want, tolerance) near_at(__FILE__, __LINE__, #got, got, want, tolerance)
inline void near_at(const char* file, int line, const char* name, double got, double want, double tolerance) {
  if (std::isnan(got) && std::isnan(want)) return;
  if (got == want || std::fabs(got - want) <= tolerance) return;
  char text[256];
  std::snprintf(text, sizeof text, "%s is %.9g, not %.9g (tolerance %.2g)", name, got, want, tolerance);
  fail_at(file, line, text);
}
#define THROWS(statement, part)                                                \
  do {                                                                         \
    std::string message_;                                                      \
    try {                                                                      \
      statement;                                                               \
    } catch (const std::exception& e) {                                        \
      message_ = e.what();                                                     \
    }                                                                          \
    if (message_.find(part) == std::string::npos)                              \
      fail_at(__FILE__, __LINE__, "not reported: " part "; got: " + message_); \
  } while (0)

inline std::mt19937& test_generator() {
  static std::mt19937 g(20);
  return g;
}
inline std::vector<float> random_floats(size_t n, float low = -1, float high = 1) {
  std::uniform_real_distribution<float> u(low, high);
  std::vector<float> v(n);
  for (auto& x : v) x = u(test_generator());
  return v;
}

inline int run_tests(int argc, char** argv) {
  std::string schedules = "forward", only;
  for (int i = 1; i < argc; ++i) {
    if (!std::strncmp(argv[i], "--schedule=", 11))
      schedules = argv[i] + 11;
    else if (!std::strncmp(argv[i], "--only=", 7))
      only = argv[i] + 7;
    else {
      std::fprintf(stderr, "unknown option %s\n", argv[i]);
      return 2;
    }
  }
  int failures = 0, runs = 0;
  for (size_t from = 0; from <= schedules.size();) {
    size_t to = std::min(schedules.find(',', from), schedules.size());
    std::string schedule = schedules.substr(from, to - from);
    fastnn::emu::set_schedule(schedule.c_str());
    for (const Test& t : tests()) {
      if (!std::strstr(t.name, only.c_str())) continue;
      test_generator().seed(20);
      auto start = std::chrono::steady_clock::now();
      const char* verdict = "ok";
      std::string why;
      try {
        t.body();
      } catch (const std::exception& e) {
        verdict = "FAILED";
        why = e.what();
        ++failures;
      }
      ++runs;
      double s = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
      std::printf("%-10s %-6s %7.3f s  %s%s%s\n", schedule.c_str(), verdict, s, t.name, why.empty() ? "" : ": ",
                  why.c_str());
      std::fflush(stdout);
    }
    from = to + 1;
  }
  std::printf("%d runs, %d failed\n", runs, failures);
  return failures || !runs;
}
#define MAIN() \
  int main(int argc, char** argv) { return run_tests(argc, argv); }
