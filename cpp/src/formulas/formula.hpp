// What an elementwise formula may say about itself, read with defaults: a struct states only what differs.
//
// A formula is a struct of static templates, instantiated on Lane<T> (kernels) and on Tensor (derivatives of
// derivatives). It uses only the free words both have: + - * / fma exp log log2 log10 log1p expm1 sqrt abs sign floor
// ceil round mod tanh sigmoid sinh cosh sin cos tan arcsin arccos arctan arctan2 erf power maximum minimum less ...
// where, and constants X(0.5).
//   f(x...)             the value; several outputs: f(in, out, r)
//   d(saved, g)         one input: cotangent (or tangent) g times the derivative; d(g) when nothing is saved
//   d0(a, b, g), d1     several inputs: the same for each of them
// Where d0, d1, ... do not read all inputs, reads[i] says which d_i does, input k as bit k; the others may hold
// anything. Formulas with attributes take them last, as const double* r. Every d is linear in g, and picks with where()
// instead of multiplying by 0 or 1, so that an infinite g never turns into NaN.
#pragma once

namespace chainrule {
inline namespace CHAINRULE_ISA {

enum class Saves { none, input, output };  // what the derivative reads

namespace formula {

template <class F>
constexpr int outputs() {
  if constexpr (requires { F::outputs; })
    return F::outputs;
  else
    return 1;
}

// Number of real attributes.
template <class F>
constexpr int params() {
  if constexpr (requires { F::params; })
    return F::params;
  else
    return 0;
}

// Which inputs derivative number `which` reads.
template <class F>
constexpr unsigned reads([[maybe_unused]] int which) {
  if constexpr (requires { F::reads; })
    return F::reads[which];
  else
    return ~0u;
}

// The derivative is one or two ordinary ops and needs no kernel of its own.
template <class F>
constexpr bool plain() {
  return requires { requires F::plain; };
}

// The derivative is 0 everywhere.
template <class F>
constexpr bool zero_derivative() {
  return requires { requires F::zero_derivative; };
}

// Has kernels for int32, int64 and uint8.
template <class F>
constexpr bool integers() {
  return requires { requires F::integers; };
}

// Of integers, input 1 may not be negative; the kernel tells.
template <class F>
constexpr bool natural_b() {
  return requires { requires F::natural_b; };
}

// Has a kernel for bool.
template <class F>
constexpr bool booleans() {
  return requires { requires F::booleans; };
}

// Input 0 is bool.
template <class F>
constexpr bool mask_input() {
  return requires { requires F::mask_input; };
}

// The output is bool.
template <class F>
constexpr bool mask_output() {
  return requires { requires F::mask_output; };
}

// Operations per output, roughly: what decides about threads.
template <class F>
constexpr double flops() {
  if constexpr (requires { F::flops; })
    return F::flops;
  else
    return plain<F>() || integers<F>() ? 1 : 12;
}

// Has derivative kernels.
template <class F>
constexpr bool has_derivative_kernel() {
  return !plain<F>() && !zero_derivative<F>() && !mask_output<F>() && outputs<F>() == 1;
}

}  // namespace formula
}  // namespace CHAINRULE_ISA
}  // namespace chainrule
