// Arithmetic on flat vectors for drivers, in float64 and in a fixed order: the same bits for any number of threads.
#pragma once

#include <vector>

namespace chainrule::optim {

using Vector = std::vector<double>;

double dot(const Vector& a, const Vector& b);
double sum_of_sizes(const Vector& x);  // |x|_1
double largest_size(const Vector& x);  // the largest |x_i|
void add(Vector& y, double a, const Vector& x);
Vector moved(const Vector& x, double t, const Vector& d);  // x + t d
Vector scaled(double a, const Vector& x);
bool all_finite(const Vector& x);

}  // namespace chainrule::optim
