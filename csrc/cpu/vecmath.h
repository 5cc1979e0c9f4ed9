// exp, log, tanh, sigmoid, erf and the like on Vec<float> and Vec<double>. Within 4 ulp everywhere (tests/test_ulp.py),
// NaN, infinities and denormal results as in libm. No table: ranges are reduced to a small interval, there a polynomial
// fitted by interpolation at Chebyshev nodes in 60-digit arithmetic; the fit's relative error stands with each.
#pragma once
#include <type_traits>

#include "cpu/vec.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

// Coefficients, lowest power first.
template <class T>
struct Fit;

template <>
struct Fit<float> {
  static constexpr int mantissa = 23, bias = 127;
  static constexpr float magic = 12582912.0f;  // 1.5 * 2^23: x + magic rounds x to an integer, held in the low bits
  static constexpr float exp_lo = -104.0f, exp_hi = 89.0f;  // beyond them exp is 0 and inf
  static constexpr float expm1_lo = -20.0f, tanh_hi = 10.0f, erf_hi = 10.2f;
  static constexpr float ln2_hi = 0.693359375f, ln2_lo = -2.12194440e-4f;  // n * ln2_hi is exact
  static constexpr float log10_2_hi = 0.30078125f, log10_2_lo = 2.48745663981195213739e-4f;
  static constexpr float tiny_scale = 33554432.0f, tiny_exponent = 25.0f, tiny = 1.17549435e-38f;
  // (exp(r) - 1 - r) / r^2, |r| <= ln2 / 2: 1.3e-7, which is 8e-9 of exp(r); and 2.9e-9 for expm1
  static constexpr float exp_q[] = {0.5f, 0.166665764f, 0.0416665538f, 0.00836328122f, 0.00139263112f};
  static constexpr float expm1_q[] = {0.500000001f,   0.166666667f,   0.0416664635f,
                                      0.00833331077f, 0.00139338032f, 0.00019891161f};
  // (log((1 + s) / (1 - s)) / s - 2) / s^2 in z = s^2, |s| <= (sqrt2 - 1) / (sqrt2 + 1): 1.7e-9
  static constexpr float log_r[] = {0.666666666f, 0.400001222f, 0.285507786f, 0.233316145f};
  // erf(x) / x in x^2 <= 1: 1.3e-9
  static constexpr float erf_small[] = {1.12837917f,    -0.376126267f,    0.112835947f,   -0.026854212f,
                                        0.00518908742f, -0.000801686429f, 7.87587506e-05f};
  // exp(x^2) erfc(x) in t = (x - a) / (x + a), 0 <= x <= erf_hi (Schonfelder, Math. Comp. 32, 1978): 9.4e-9
  static constexpr float erfc_a = 2.5f;
  static constexpr float erfc_q[] = {0.210806364f,   -0.371736736f,    0.251713178f,    -0.125033002f,
                                     0.0399229275f,  -0.00399381923f,  -0.00264550763f, 0.000873688277f,
                                     0.00023774254f, -0.000116324699f, -4.089877e-05f};
  // (1 + 2 x) exp(x^2) erfc(x) in the same t, 0.47 <= x: near 1, so that no digit is lost in the far tail. 6e-10
  static constexpr float erfc_tail[] = {1.26483822f,    -0.122356772f,  -0.0990244746f, 0.157630399f,
                                        -0.102968551f,  0.0327541418f,  9.437422e-04f,  -0.00434238929f,
                                        4.5320464e-04f, 5.2616646e-04f, -4.1843883e-05f};
};

template <>
struct Fit<double> {
  static constexpr int mantissa = 52, bias = 1023;
  static constexpr double magic = 6755399441055744.0;  // 1.5 * 2^52
  static constexpr double exp_lo = -746.0, exp_hi = 710.0;
  static constexpr double expm1_lo = -40.0, tanh_hi = 20.0, erf_hi = 27.5;
  static constexpr double ln2_hi = 6.93147180369123816490e-01, ln2_lo = 1.90821492927058770002e-10;
  static constexpr double log10_2_hi = 3.01029995663611771306e-01, log10_2_lo = 3.69423907715893078616e-13;
  static constexpr double tiny_scale = 18014398509481984.0, tiny_exponent = 54.0, tiny = 2.2250738585072014e-308;
  // errors: 2.3e-16 (1.4e-17 of exp), 3.0e-18, 3.1e-18, 1.5e-19, 1.1e-19
  static constexpr double exp_q[] = {0.5000000000000001,     0.16666666666666669,    0.041666666666623546,
                                     0.008333333333330016,   0.0013888888917505259,  0.00019841269863277817,
                                     2.4801520843720836e-05, 2.7557268112223657e-06, 2.762030318678593e-07,
                                     2.510055063387081e-08};
  static constexpr double expm1_q[] = {0.5,
                                       0.1666666666666667,
                                       0.04166666666666667,
                                       0.008333333333326037,
                                       0.0013888888888883677,
                                       0.00019841269875165948,
                                       2.4801587325794338e-05,
                                       2.7557254962941825e-06,
                                       2.755727333085602e-07,
                                       2.5105398682936387e-08,
                                       2.091481670571617e-09};
  static constexpr double log_r[] = {0.6666666666666666,  0.40000000000000885, 0.28571428570799784,
                                     0.22222222392581045, 0.18181795547521137, 0.15386244737621665,
                                     0.13268638369266825, 0.13088034850927555};
  static constexpr double erf_small[] = {1.1283791670955126,      -0.3761263890318375,     0.11283791670954879,
                                         -0.026866170645076792,   0.0052239776248180145,   -0.000854832698083379,
                                         0.0001205533111164271,   -1.4925595266831182e-05, 1.6461000484121368e-06,
                                         -1.6350312701054695e-07, 1.4659775274047436e-08,  -1.1372848856791674e-09,
                                         5.957176147748911e-11};
  static constexpr double erfc_a = 3.75;
  static constexpr double erfc_q[] = {
      0.14558972127503855,     -0.2734219314954265,     0.2260080669166215,      -0.1635718955239238,
      0.10260431203219415,     -0.0548023266949841,     0.02414322397253378,     -0.00822062115402792,
      0.0018029624157274193,   -2.5535332232200093e-05, -0.00015246265792592857, 4.7898789834545784e-05,
      3.5836863706353967e-06,  -6.183470534894524e-06,  7.486217556742448e-07,   6.595589374473513e-07,
      -1.8353026447517197e-07, -7.280489613119983e-08,  3.1625230875488914e-08,  9.38328305001425e-09,
      -4.988694752629001e-09,  -1.4712526009752985e-09, 6.927830135473189e-10,   2.4162449331938996e-10,
      -6.133404179836511e-11,  -2.636500479982925e-11};
  static constexpr double erfc_tail[] = {
      1.2375126308378275,     -0.14024059858554697,   0.0035854154854660725,   0.08227673849014495,
      -0.10880393014186905,   0.09230432116044442,    -0.05869339858626369,    0.028362277416948772,
      -0.009746579606014738,  0.0017556258790261713,  0.0002937140606360313,   -0.0002901542663022509,
      5.164708124090765e-05,  2.2385030187598376e-05, -1.1437539516064835e-05, -9.756514019322843e-07,
      1.7377082053519283e-06, -5.379541090972769e-08, -2.4026156600141076e-07, 1.9954722171246944e-08,
      2.455498436933816e-08,  -2.0748529932804507e-09};
};

template <class T>
FASTNN_INLINE Vec<T> vset(double x) {
  return Vec<T>(static_cast<T>(x));
}
template <class T, int N>
FASTNN_INLINE Vec<T> poly(Vec<T> x, const T (&c)[N]) {
  Vec<T> r(c[N - 1]);
#pragma GCC unroll 32
  for (int i = N - 2; i >= 0; --i) r = fma(r, x, Vec<T>(c[i]));
  return r;
}
template <class T>
FASTNN_INLINE Vec<T> copysign(Vec<T> magnitude, Vec<T> sign) {
  constexpr auto bit = static_cast<typename Native<T>::int_t>(uint64_t(1) << (8 * sizeof(T) - 1));
  return Vec<T>::from_bits((magnitude.bits() & ~bit) | (sign.bits() & bit));
}

// Of lanes that are not negative: a logical shift, for AVX2 has no arithmetic one of 64-bit lanes.
template <class T>
FASTNN_INLINE typename Vec<T>::I shift_right(typename Vec<T>::I x, int k) {
  typedef std::make_unsigned_t<typename Native<T>::int_t> Unsigned;
  typedef Unsigned U __attribute__((vector_size(kVecBytes)));
  return (typename Vec<T>::I)((U)x >> k);
}

// 2^n for integral n with a normal result; n comes as magic + n.
template <class T>
FASTNN_INLINE Vec<T> pow2_of_magic(Vec<T> t) {
  constexpr auto bias = static_cast<typename Native<T>::int_t>(Fit<T>::bias);
  const typename Vec<T>::I n = t.bits() - Vec<T>(Fit<T>::magic).bits();
  return Vec<T>::from_bits((n + bias) << Fit<T>::mantissa);
}

// p * 2^n, rounded once where the result is denormal; |n| up to twice the exponent's range. t = magic + n.
#if defined(__AVX512F__)
FASTNN_INLINE Vec<float> scale(Vec<float> p, Vec<float> t) {
  return (Vec<float>::V)_mm512_scalef_ps((__m512)p.v, (__m512)(t - Vec<float>(Fit<float>::magic)).v);
}
FASTNN_INLINE Vec<double> scale(Vec<double> p, Vec<double> t) {
  return (Vec<double>::V)_mm512_scalef_pd((__m512d)p.v, (__m512d)(t - Vec<double>(Fit<double>::magic)).v);
}
#else
template <class T>
FASTNN_INLINE Vec<T> scale(Vec<T> p, Vec<T> t) {
  using I = typename Vec<T>::I;
  typedef typename Native<T>::int_t Int;
  constexpr Int bias = Fit<T>::bias, offset = 2 * (Fit<T>::bias + 1);
  const I n = t.bits() - Vec<T>(Fit<T>::magic).bits();
  const I half = shift_right<T>(n + 2 * offset, 1) - offset;
  const I rest = n - half;
  return p * Vec<T>::from_bits((half + bias) << Fit<T>::mantissa) *
         Vec<T>::from_bits((rest + bias) << Fit<T>::mantissa);
}
#endif

// x = n ln2 + r: gives magic + n and r, |r| <= ln2 / 2.
template <class T>
FASTNN_INLINE Vec<T> reduce_ln2(Vec<T> x, Vec<T>& r) {
  const Vec<T> t = fma(x, vset<T>(1.4426950408889634), Vec<T>(Fit<T>::magic));
  const Vec<T> n = t - Vec<T>(Fit<T>::magic);
  r = fma(n, Vec<T>(-Fit<T>::ln2_hi), x);
  r = fma(n, Vec<T>(-Fit<T>::ln2_lo), r);
  return t;
}

// Operand order of min and max keeps a NaN in x (vec.h).
template <class T>
FASTNN_INLINE Vec<T> vclamp(Vec<T> x, T lo, T hi) {
  return max(Vec<T>(lo), min(Vec<T>(hi), x));
}

// What the reduction and 1 + r round off is carried along and added last: 0.73 ulp, where the plain sum below has 1.01.
template <class T>
FASTNN_INLINE Vec<T> vexp(Vec<T> x) {
  x = vclamp(x, Fit<T>::exp_lo, Fit<T>::exp_hi);
  Vec<T> r;
  const Vec<T> t = reduce_ln2(x, r), n = t - Vec<T>(Fit<T>::magic), one = vset<T>(1);
  const Vec<T> high = fma(n, Vec<T>(-Fit<T>::ln2_hi), x);
  const Vec<T> low = fma(n, Vec<T>(-Fit<T>::ln2_lo), high - r);
  const Vec<T> sum = one + r;
  return scale(sum + ((one - sum) + r + fma(r * r, poly(r, Fit<T>::exp_q), low)), t);
}

// exp(x) for x <= 0 or NaN: as above without the upper bound.
template <class T>
FASTNN_INLINE Vec<T> vexp_nonpositive(Vec<T> x) {
  Vec<T> r;
  const Vec<T> t = reduce_ln2(max(Vec<T>(Fit<T>::exp_lo), x), r);
  return scale(fma(r * r, poly(r, Fit<T>::exp_q), r) + vset<T>(1), t);
}

template <class T>
FASTNN_INLINE Vec<T> vexp2(Vec<T> x) {
  x = vclamp(x, static_cast<T>(sizeof(T) == 4 ? -151 : -1076), static_cast<T>(sizeof(T) == 4 ? 129 : 1025));
  const Vec<T> t = x + Vec<T>(Fit<T>::magic);
  const Vec<T> r = (x - (t - Vec<T>(Fit<T>::magic))) * vset<T>(0.6931471805599453);
  return scale(fma(r * r, poly(r, Fit<T>::exp_q), r) + vset<T>(1), t);
}

// exp(x) - 1 = 2^n (exp(r) - 1) + (2^n - 1); half of it, so that 2^n stays finite.
template <class T>
FASTNN_INLINE Vec<T> vexpm1(Vec<T> x) {
  Vec<T> r;
  const Vec<T> t = reduce_ln2(vclamp(x, Fit<T>::expm1_lo, Fit<T>::exp_hi), r);
  const Vec<T> p = fma(r * r, poly(r, Fit<T>::expm1_q), r);
  const Vec<T> half = pow2_of_magic(t - vset<T>(1));
  const Vec<T> y = fma(half, p, half - vset<T>(0.5));
  const Vec<T> zero_n = select(eq(t, Vec<T>(Fit<T>::magic)), p, y + y);  // p itself keeps denormals and the sign of 0
  return select(eq(x, Vec<T>::zero()), x, zero_n);
}

// tanh|x| = m / (m + 2), m = exp(2|x|) - 1.
template <class T>
FASTNN_INLINE Vec<T> vtanh(Vec<T> x) {
  Vec<T> r;
  const Vec<T> a = min(Vec<T>(Fit<T>::tanh_hi), abs(x));
  const Vec<T> t = reduce_ln2(a + a, r);
  const Vec<T> p = fma(r * r, poly(r, Fit<T>::expm1_q), r);
  const Vec<T> two_n = pow2_of_magic(t);
  const Vec<T> m = fma(two_n, p, two_n - vset<T>(1));
  return copysign(m / (m + vset<T>(2)), x);
}

// By exp(-|x|), so that small results on the negative side are not lost to an overflow.
template <class T>
FASTNN_INLINE Vec<T> vsigmoid(Vec<T> x) {
  const Vec<T> e = vexp_nonpositive(-abs(x));
  return select(lt(x, Vec<T>::zero()), e, vset<T>(1)) / (vset<T>(1) + e);
}

// tanh(ln(1 + e^x)) = n / (n + 2), n = e^x (e^x + 2); from 20 on it is 1.
template <class T>
FASTNN_INLINE Vec<T> tanh_softplus(Vec<T> x) {
  const Vec<T> e = vexp(min(vset<T>(20), x));
  const Vec<T> n = fma(e, e, e + e);
  return n / (n + vset<T>(2));
}

// u = 2^e m with m in [sqrt(1/2), sqrt 2): log(u + c') where c = c' / u is a small correction, as
// e ln2 + f - (f^2 / 2 - s (f^2 / 2 + R(s^2))), f = m - 1, s = f / (2 + f): the order of operations of Ng's log.
template <class T>
struct LogParts {
  Vec<T> e, f, tail;  // log(m) = f - tail
};
template <class T>
FASTNN_INLINE LogParts<T> log_parts(Vec<T> u) {
  using I = typename Vec<T>::I;
  typedef typename Native<T>::int_t Int;
  const Mask<T> is_tiny = lt(u, Vec<T>(Fit<T>::tiny));
  u = select(is_tiny, u * Vec<T>(Fit<T>::tiny_scale), u);
  constexpr Int one = Int(Fit<T>::bias) << Fit<T>::mantissa;
  const I root_half = vset<T>(0.7071067811865476).bits();
  const I biased = shift_right<T>(u.bits() - root_half + one, Fit<T>::mantissa);  // e + bias
  LogParts<T> l;
  l.e = Vec<T>::from_bits(Vec<T>(Fit<T>::magic).bits() + biased) - vset<T>(double(Fit<T>::magic) + Fit<T>::bias);
  l.e = select(is_tiny, l.e - Vec<T>(Fit<T>::tiny_exponent), l.e);
  const Vec<T> m = Vec<T>::from_bits(u.bits() - (biased << Fit<T>::mantissa) + one);
  l.f = m - vset<T>(1);
  const Vec<T> s = l.f / (vset<T>(2) + l.f), z = s * s;
  const Vec<T> half_square = vset<T>(0.5) * l.f * l.f;
  l.tail = half_square - s * fma(z, poly(z, Fit<T>::log_r), half_square);
  return l;
}
template <class T>
FASTNN_INLINE Vec<T> log_ends(Vec<T> x, Vec<T> bottom,
                              Vec<T> y) {  // -inf at x = bottom, NaN below it, x at inf and NaN
  y = select(gt(x, bottom), y, select(eq(x, bottom), vset<T>(-__builtin_inf()), vset<T>(__builtin_nan(""))));
  return select(lt(x, vset<T>(__builtin_inf())), y, x + x);
}
template <class T>
FASTNN_INLINE Vec<T> vlog(Vec<T> x) {
  const LogParts<T> l = log_parts(x);
  const Vec<T> y = l.e * Vec<T>(Fit<T>::ln2_hi) - ((l.tail - l.e * Vec<T>(Fit<T>::ln2_lo)) - l.f);
  return log_ends(x, Vec<T>::zero(), y);
}
// For use once a row: not inlined, to keep the code small.
template <class T>
__attribute__((noinline)) Vec<T> log_of(Vec<T> x) {
  return vlog(x);
}
template <class T>
FASTNN_INLINE Vec<T> vlog1p(Vec<T> x) {
  const Vec<T> one = vset<T>(1), u = one + x;
  const Vec<T> lost = select(ge(x, one), one - (u - x), x - (u - one));  // what rounding took from 1 + x
  const LogParts<T> l = log_parts(u);
  const Vec<T> y = l.e * Vec<T>(Fit<T>::ln2_hi) - ((l.tail - fma(l.e, Vec<T>(Fit<T>::ln2_lo), lost / u)) - l.f);
  return select(eq(x, Vec<T>::zero()), x, log_ends(x, -one, y));
}
template <class T>
FASTNN_INLINE Vec<T> vlog2(Vec<T> x) {
  const LogParts<T> l = log_parts(x);
  return log_ends(x, Vec<T>::zero(), fma(l.f - l.tail, vset<T>(1.4426950408889634), l.e));
}
template <class T>
FASTNN_INLINE Vec<T> vlog10(Vec<T> x) {
  const LogParts<T> l = log_parts(x);
  const Vec<T> low = fma(l.e, Vec<T>(Fit<T>::log10_2_lo), (l.f - l.tail) * vset<T>(0.4342944819032518));
  return log_ends(x, Vec<T>::zero(), fma(l.e, Vec<T>(Fit<T>::log10_2_hi), low));
}

// exp(a^2) erfc(a) for 0 <= a <= erf_hi.
template <class T>
FASTNN_INLINE Vec<T> erfc_scaled(Vec<T> a) {
  const Vec<T> w(Fit<T>::erfc_a);
  return poly((a - w) / (a + w), Fit<T>::erfc_q);
}
template <class T>
FASTNN_INLINE Vec<T> verf(Vec<T> x) {
  const Vec<T> a = min(Vec<T>(Fit<T>::erf_hi), abs(x));
  const Vec<T> tail = vset<T>(1) - erfc_scaled(a) * vexp_nonpositive(-(a * a));
  const Vec<T> square = x * x;
  return select(lt(a, vset<T>(1)), x * poly(square, Fit<T>::erf_small), copysign(tail, x));
}

// By the tail itself. exp(-x^2) takes what x^2 lost by rounding (Dekker's exact square) as a factor: it would cost x^2
// ulp.
template <class T>
FASTNN_INLINE Vec<T> verfc(Vec<T> x) {
  const Vec<T> one = vset<T>(1), w(Fit<T>::erfc_a);
  const Vec<T> a = min(Vec<T>(Fit<T>::erf_hi), abs(x));
  const Vec<T> c = a * vset<T>(sizeof(T) == 4 ? 4097 : 134217729), high = c - (c - a), low = a - high;
  const Vec<T> square = a * a, lost = ((high * high - square) + (high + high) * low) + low * low;
  const Vec<T> bell = vexp_nonpositive(-square);
  const Vec<T> tail = (bell - bell * lost) * (poly((a - w) / (a + w), Fit<T>::erfc_tail) / (one + (a + a)));
  const Vec<T> outside = select(lt(x, Vec<T>::zero()), vset<T>(2) - tail, tail);
  return select(lt(a, vset<T>(0.5)), one - x * poly(x * x, Fit<T>::erf_small), outside);
}

// The normal distribution function Phi(x), and exp(-x^2 / 2) on the way; no cancellation on either side.
template <class T>
FASTNN_INLINE Vec<T> normal_cdf(Vec<T> x, Vec<T>& bell) {
  const Vec<T> a = min(Vec<T>(Fit<T>::erf_hi), abs(x) * vset<T>(0.7071067811865476));
  bell = vexp_nonpositive(vset<T>(-0.5) * x * x);
  const Vec<T> tail = vset<T>(0.5) * bell * erfc_scaled(a);
  return select(lt(x, Vec<T>::zero()), tail, vset<T>(1) - tail);
}

// ---- rounding ----
#if defined(__AVX512F__)
#define FASTNN_ROUND(name, mode)                                                         \
  FASTNN_INLINE Vec<float> name(Vec<float> a) {                                          \
    return (Vec<float>::V)_mm512_roundscale_ps((__m512)a.v, mode | _MM_FROUND_NO_EXC);   \
  }                                                                                      \
  FASTNN_INLINE Vec<double> name(Vec<double> a) {                                        \
    return (Vec<double>::V)_mm512_roundscale_pd((__m512d)a.v, mode | _MM_FROUND_NO_EXC); \
  }
#elif defined(__AVX2__)
#define FASTNN_ROUND(name, mode)                                                    \
  FASTNN_INLINE Vec<float> name(Vec<float> a) {                                     \
    return (Vec<float>::V)_mm256_round_ps((__m256)a.v, mode | _MM_FROUND_NO_EXC);   \
  }                                                                                 \
  FASTNN_INLINE Vec<double> name(Vec<double> a) {                                   \
    return (Vec<double>::V)_mm256_round_pd((__m256d)a.v, mode | _MM_FROUND_NO_EXC); \
  }
#endif
#if defined(__AVX2__)
FASTNN_ROUND(vfloor, _MM_FROUND_TO_NEG_INF)
FASTNN_ROUND(vceil, _MM_FROUND_TO_POS_INF)
FASTNN_ROUND(vtrunc, _MM_FROUND_TO_ZERO)
FASTNN_ROUND(vround, _MM_FROUND_TO_NEAREST_INT)
#undef FASTNN_ROUND
#else
// |x| + 2^mantissa rounds to an integer, halves to even; larger |x|, infinities and NaN are their own result.
template <class T>
FASTNN_INLINE Vec<T> vround(Vec<T> x) {
  const Vec<T> big = vset<T>(static_cast<double>(uint64_t(1) << Fit<T>::mantissa)), a = abs(x);
  return select(lt(a, big), copysign((a + big) - big, x), x);
}
template <class T>
FASTNN_INLINE Vec<T> vtrunc(Vec<T> x) {
  const Vec<T> a = abs(x), r = abs(vround(x));
  return select(lt(a, vset<T>(static_cast<double>(uint64_t(1) << Fit<T>::mantissa))),
                copysign(select(gt(r, a), r - vset<T>(1), r), x), x);
}
template <class T>
FASTNN_INLINE Vec<T> vfloor(Vec<T> x) {
  const Vec<T> r = vround(x);
  return select(gt(r, x), r - vset<T>(1), r);
}
template <class T>
FASTNN_INLINE Vec<T> vceil(Vec<T> x) {
  const Vec<T> r = vround(x);
  return select(lt(r, x), copysign(r + vset<T>(1), x), r);
}
#endif

}  // namespace
}  // namespace FASTNN_ISA
}  // namespace fastnn
