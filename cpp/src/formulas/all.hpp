// All elementwise formulas and the lists that name them.
#pragma once

#include "chainrule/elementwise_list.hpp"
#include "formulas/activations.hpp"
#include "formulas/arithmetic.hpp"
#include "formulas/comparison.hpp"
#include "formulas/exponential.hpp"
#include "formulas/list.hpp"
#include "formulas/rounding.hpp"
#include "formulas/trigonometric.hpp"
#include "formulas/updates.hpp"
