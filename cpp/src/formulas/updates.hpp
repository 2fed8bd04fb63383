// Optimizer update rules, PyTorch's formulas: in[] holds parameter, gradient, state, then the run-time scalars; out[]
// the new parameter and the new state. l2 is weight decay added to the gradient. r[] are constants of the optimizer.
#pragma once

#include "formulas/formula.hpp"

namespace chainrule {
inline namespace CHAINRULE_ISA {

// in: p, g, lr, l2; out: p
struct SgdUpdate {
  static constexpr int inputs = 4, outputs = 1, params = 0;
  template <class X>
  static void f(const X* in, X* out, const double*) {
    const X &p = in[0], &g = in[1], &lr = in[2], &l2 = in[3];
    out[0] = fma(-lr, fma(l2, p, g), p);
  }
};

// in: p, g, buf, lr, l2, momentum, gain; out: p, buf. gain = 1 - dampening, and 1 at the first step.
struct SgdMomentumUpdate {
  static constexpr int inputs = 7, outputs = 2, params = 0;
  template <class X>
  static void f(const X* in, X* out, const double*) {
    const X &p = in[0], &g = in[1], &buf = in[2], &lr = in[3], &l2 = in[4], &momentum = in[5], &gain = in[6];
    const X buf1 = fma(momentum, buf, gain * fma(l2, p, g));
    out[0] = fma(-lr, buf1, p);
    out[1] = buf1;
  }
};

struct SgdNesterovUpdate {
  static constexpr int inputs = 7, outputs = 2, params = 0;
  template <class X>
  static void f(const X* in, X* out, const double*) {
    const X &p = in[0], &g = in[1], &buf = in[2], &lr = in[3], &l2 = in[4], &momentum = in[5], &gain = in[6];
    const X g1 = fma(l2, p, g);
    const X buf1 = fma(momentum, buf, gain * g1);
    out[0] = fma(-lr, fma(momentum, buf1, g1), p);
    out[1] = buf1;
  }
};

// in: p, g, sum, rate, l2; r: eps; out: p, sum
struct AdagradUpdate {
  static constexpr int inputs = 5, outputs = 2, params = 1;
  template <class X>
  static void f(const X* in, X* out, const double* r) {
    const X &p = in[0], &g = in[1], &sum = in[2], &rate = in[3], &l2 = in[4];
    const X g1 = fma(l2, p, g);
    const X sum1 = fma(g1, g1, sum);
    out[0] = p - rate * g1 / (sqrt(sum1) + X(r[0]));
    out[1] = sum1;
  }
};

// in: p, g, sq, lr, l2; r: alpha, eps; out: p, sq
struct RmspropUpdate {
  static constexpr int inputs = 5, outputs = 2, params = 2;
  template <class X>
  static void f(const X* in, X* out, const double* r) {
    const X &p = in[0], &g = in[1], &sq = in[2], &lr = in[3], &l2 = in[4];
    const X g1 = fma(l2, p, g);
    const X sq1 = fma(X(r[0]), sq, X(1.0 - r[0]) * (g1 * g1));
    out[0] = p - lr * g1 / (sqrt(sq1) + X(r[1]));
    out[1] = sq1;
  }
};

// in: p, g, sq, avg, buf, lr, l2; r: alpha, eps, momentum, centered; out: p, sq, avg, buf. avg is the running mean of
// the gradient, used (and moved) only when centered.
struct RmspropFullUpdate {
  static constexpr int inputs = 7, outputs = 4, params = 4;
  template <class X>
  static void f(const X* in, X* out, const double* r) {
    const X &p = in[0], &g = in[1], &sq = in[2], &avg = in[3], &buf = in[4], &lr = in[5], &l2 = in[6];
    const X fresh(1.0 - r[0]), centered(r[3]);
    const X g1 = fma(l2, p, g);
    const X sq1 = fma(X(r[0]), sq, fresh * (g1 * g1));
    const X avg1 = fma(centered * fresh, g1 - avg, avg);
    const X spread = maximum(fma(-(centered * avg1), avg1, sq1), X(0.0));  // rounding may push it below 0
    const X buf1 = fma(X(r[2]), buf, g1 / (sqrt(spread) + X(r[1])));
    out[0] = fma(-lr, buf1, p);
    out[1] = sq1;
    out[2] = avg1;
    out[3] = buf1;
  }
};

// The step m step_size / (sqrt(v) / sqrt_c2 + eps), with numerator and denominator multiplied by sqrt_c2: one division
// less. step_size = lr / (1 - beta1^t), sqrt_c2 = sqrt(1 - beta2^t).
template <class X>
X adam_step(const X& m, const X& v, const X& step_size, const X& sqrt_c2, const X& eps) {
  return (step_size * sqrt_c2) * m / fma(eps, sqrt_c2, sqrt(v));
}

// in: p, g, m, v, step_size, sqrt_c2, l2, decay; r: beta1, beta2, eps; out: p, m, v. decay multiplies p (AdamW's
// 1 - lr weight_decay; 1 for Adam).
struct AdamUpdate {
  static constexpr int inputs = 8, outputs = 3, params = 3;
  template <class X>
  static void f(const X* in, X* out, const double* r) {
    const X &p = in[0], &g = in[1], &m = in[2], &v = in[3];
    const X &step_size = in[4], &sqrt_c2 = in[5], &l2 = in[6], &decay = in[7];
    const X g1 = fma(l2, p, g);
    const X m1 = fma(X(1.0 - r[0]), g1 - m, m);
    const X v1 = fma(X(r[1]), v, X(1.0 - r[1]) * (g1 * g1));
    out[0] = fma(p, decay, -adam_step(m1, v1, step_size, sqrt_c2, X(r[2])));
    out[1] = m1;
    out[2] = v1;
  }
};

// in: p, g, m, v, vmax, step_size, sqrt_c2, l2, decay; r as above; out: p, m, v, vmax
struct AmsgradUpdate {
  static constexpr int inputs = 9, outputs = 4, params = 3;
  template <class X>
  static void f(const X* in, X* out, const double* r) {
    const X &p = in[0], &g = in[1], &m = in[2], &v = in[3], &vmax = in[4];
    const X &step_size = in[5], &sqrt_c2 = in[6], &l2 = in[7], &decay = in[8];
    const X g1 = fma(l2, p, g);
    const X m1 = fma(X(1.0 - r[0]), g1 - m, m);
    const X v1 = fma(X(r[1]), v, X(1.0 - r[1]) * (g1 * g1));
    const X vmax1 = maximum(vmax, v1);
    out[0] = fma(p, decay, -adam_step(m1, vmax1, step_size, sqrt_c2, X(r[2])));
    out[1] = m1;
    out[2] = v1;
    out[3] = vmax1;
  }
};

// in: p, g, sq, acc, lr, l2; r: rho, eps; out: p, sq, acc
struct AdadeltaUpdate {
  static constexpr int inputs = 6, outputs = 3, params = 2;
  template <class X>
  static void f(const X* in, X* out, const double* r) {
    const X &p = in[0], &g = in[1], &sq = in[2], &acc = in[3], &lr = in[4], &l2 = in[5];
    const X rho(r[0]), fresh(1.0 - r[0]), eps(r[1]);
    const X g1 = fma(l2, p, g);
    const X sq1 = fma(rho, sq, fresh * (g1 * g1));
    const X step = sqrt((acc + eps) / (sq1 + eps)) * g1;
    out[0] = fma(-lr, step, p);
    out[1] = sq1;
    out[2] = fma(rho, acc, fresh * (step * step));
  }
};

// in: p, g, m, u, step_size, l2; r: beta1, beta2, eps; out: p, m, u. step_size = lr / (1 - beta1^t).
struct AdamaxUpdate {
  static constexpr int inputs = 6, outputs = 3, params = 3;
  template <class X>
  static void f(const X* in, X* out, const double* r) {
    const X &p = in[0], &g = in[1], &m = in[2], &u = in[3], &step_size = in[4], &l2 = in[5];
    const X g1 = fma(l2, p, g);
    const X m1 = fma(X(1.0 - r[0]), g1 - m, m);
    const X u1 = maximum(X(r[1]) * u, abs(g1) + X(r[2]));
    out[0] = p - step_size * m1 / u1;
    out[1] = m1;
    out[2] = u1;
  }
};

// in: p, g, m, v, of_gradient, of_mean, sqrt_c2, l2, decay; r: beta1, beta2, eps; out: p, m, v. The two rates weigh the
// gradient and the mean that the next step would have; sqrt_c2 = sqrt(1 - beta2^t).
struct NadamUpdate {
  static constexpr int inputs = 9, outputs = 3, params = 3;
  template <class X>
  static void f(const X* in, X* out, const double* r) {
    const X &p = in[0], &g = in[1], &m = in[2], &v = in[3];
    const X &of_gradient = in[4], &of_mean = in[5], &sqrt_c2 = in[6], &l2 = in[7], &decay = in[8];
    const X g1 = fma(l2, p, g);
    const X m1 = fma(X(1.0 - r[0]), g1 - m, m);
    const X v1 = fma(X(r[1]), v, X(1.0 - r[1]) * (g1 * g1));
    const X direction = fma(of_mean, m1, of_gradient * g1);
    out[0] = fma(p, decay, -(sqrt_c2 * direction / fma(X(r[2]), sqrt_c2, sqrt(v1))));
    out[1] = m1;
    out[2] = v1;
  }
};

// in: p, g, m, v, plain, adaptive, l2, decay; r: beta1, beta2, eps; out: p, m, v. Of the two rates one is 0: while the
// variance of 1 / sqrt(v) is not known the step is plain m.
struct RadamUpdate {
  static constexpr int inputs = 8, outputs = 3, params = 3;
  template <class X>
  static void f(const X* in, X* out, const double* r) {
    const X &p = in[0], &g = in[1], &m = in[2], &v = in[3];
    const X &plain = in[4], &adaptive = in[5], &l2 = in[6], &decay = in[7];
    const X g1 = fma(l2, p, g);
    const X m1 = fma(X(1.0 - r[0]), g1 - m, m);
    const X v1 = fma(X(r[1]), v, X(1.0 - r[1]) * (g1 * g1));
    out[0] = fma(p, decay, -(m1 * (plain + adaptive / (sqrt(v1) + X(r[2])))));
    out[1] = m1;
    out[2] = v1;
  }
};

// in: p, g, m, lr, decay; r: beta1, beta2; out: p, m. decay = 1 - lr weight_decay.
struct LionUpdate {
  static constexpr int inputs = 5, outputs = 2, params = 2;
  template <class X>
  static void f(const X* in, X* out, const double* r) {
    const X &p = in[0], &g = in[1], &m = in[2], &lr = in[3], &decay = in[4];
    out[0] = fma(p, decay, -(lr * sign(fma(X(r[0]), m, X(1.0 - r[0]) * g))));
    out[1] = fma(X(r[1]), m, X(1.0 - r[1]) * g);
  }
};

}  // namespace CHAINRULE_ISA
}  // namespace chainrule
