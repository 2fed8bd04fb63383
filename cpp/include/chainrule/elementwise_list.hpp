// The one list of elementwise ops with a plain signature: X(name, Struct, doc). Struct is in src/formulas/. The
// functions in ops.hpp, the registry, the kernels' tables and the Python names are all made from it.
#pragma once

#define CHAINRULE_UNARY_OPS(X)                                                                                 \
  X(negative, Negative, "-x.")                                                                                 \
  X(exp, Exp, "Exponential e^x.")                                                                              \
  X(log, Log, "Natural logarithm; -inf at 0, NaN below.")                                                      \
  X(log1p, Log1p, "log(1 + x), accurate near 0.")                                                              \
  X(expm1, Expm1, "e^x - 1, accurate near 0.")                                                                 \
  X(sqrt, Sqrt, "Square root; NaN below 0. The derivative at 0 is inf.")                                       \
  X(square, Square, "x * x.")                                                                                  \
  X(abs, Abs, "Absolute value; the derivative at 0 is 0.")                                                     \
  X(sign, Sign, "-1, 0 or 1; NaN stays NaN. The derivative is 0.")                                             \
  X(relu, Relu, "Rectifier max(x, 0); the derivative at 0 is 0.")                                              \
  X(sigmoid, Sigmoid, "Logistic function 1 / (1 + e^-x), with sigma' = sigma (1 - sigma).")                    \
  X(tanh, Tanh, "Hyperbolic tangent, with tanh' = 1 - tanh^2.")                                                \
  X(softplus, Softplus, "log(1 + e^x), without overflow; its derivative is sigmoid(x).")                       \
  X(gelu, Gelu, "Gaussian error linear unit x Phi(x), exact (Hendrycks and Gimpel, 2016).")                    \
  X(gelu_tanh, GeluTanh, "GELU by its tanh approximation (Hendrycks and Gimpel, 2016).")                       \
  X(silu, Silu, "x sigmoid(x), also called swish (Elfwing et al., 2017).")                                     \
  X(selu, Selu, "s x where x > 0, else s a (e^x - 1); s = 1.0507, a = 1.6733 (Klambauer et al., 2017).")       \
  X(mish, Mish, "x tanh(softplus(x)) (Misra, 2019).")                                                          \
  X(softsign, Softsign, "x / (1 + |x|), between -1 and 1.")                                                    \
  X(erf, Erf, "Error function 2/sqrt(pi) int_0^x e^(-t^2) dt.")                                                \
  X(arctan, Arctan, "Inverse tangent in radians, between -pi/2 and pi/2.")                                     \
  X(sin, Sin, "Sine of x in radians, accurate at any size; NaN at infinity.")                                  \
  X(cos, Cos, "Cosine of x in radians, accurate at any size; NaN at infinity.")                                \
  X(tan, Tan, "Tangent of x in radians, accurate at any size; NaN at infinity.")                               \
  X(arcsin, Arcsin,                                                                                            \
    "Inverse sine in radians, between -pi/2 and pi/2; NaN beyond [-1, 1]. The derivative at 1 and -1 is inf.") \
  X(arccos, Arccos,                                                                                            \
    "Inverse cosine in radians, between 0 and pi; NaN beyond [-1, 1]. The derivative at 1 and -1 is -inf.")    \
  X(sinh, Sinh, "Hyperbolic sine (e^x - e^-x) / 2.")                                                           \
  X(cosh, Cosh, "Hyperbolic cosine (e^x + e^-x) / 2.")                                                         \
  X(log2, Log2, "Logarithm to base 2; exact at powers of 2.")                                                  \
  X(log10, Log10, "Logarithm to base 10.")                                                                     \
  X(reciprocal, Reciprocal, "1 / x; integers as float64.")                                                     \
  X(floor, Floor, "Largest integer not above x, in x's dtype. The derivative is 0.")                           \
  X(ceil, Ceil, "Smallest integer not below x, in x's dtype. The derivative is 0.")                            \
  X(round, Round, "Nearest integer, halves to even, in x's dtype. The derivative is 0.")                       \
  X(isnan, Isnan, "Whether x is NaN, as bool.")                                                                \
  X(isinf, Isinf, "Whether x is inf or -inf, as bool.")                                                        \
  X(isfinite, Isfinite, "Whether x is neither infinite nor NaN, as bool.")

#define CHAINRULE_BINARY_OPS(X)                                                                                       \
  X(add, Add, "a + b.")                                                                                               \
  X(subtract, Subtract, "a - b.")                                                                                     \
  X(multiply, Multiply, "a * b.")                                                                                     \
  X(divide, Divide, "a / b; integers divide as float64.")                                                             \
  X(power, Power,                                                                                                     \
    "a ** b. 0 ** 0 is 1; a negative base needs an integral exponent, else NaN. Integers stay integers and refuse "   \
    "negative exponents.")                                                                                            \
  X(maximum, Maximum, "Larger of a and b, NaN if either is. Equal values share the gradient equally.")                \
  X(minimum, Minimum, "Smaller of a and b, NaN if either is. Equal values share the gradient equally.")               \
  X(arctan2, Arctan2, "Angle of the point (b, a) in radians, between -pi and pi. The derivative at the origin is 0.") \
  X(logaddexp, Logaddexp, "log(e^a + e^b), without overflow.")                                                        \
  X(mod, Mod,                                                                                                         \
    "Remainder with the sign of b: a - floor(a / b) b. The derivative by b is -floor(a / b), also at the jumps.")

// Results are bool; no derivative.
#define CHAINRULE_COMPARISON_OPS(X)   \
  X(equal, Equal, "a == b.")          \
  X(not_equal, NotEqual, "a != b.")   \
  X(less, Less, "a < b.")             \
  X(less_equal, LessEqual, "a <= b.") \
  X(greater, Greater, "a > b.")       \
  X(greater_equal, GreaterEqual, "a >= b.")
