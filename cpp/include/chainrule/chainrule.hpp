// The umbrella header: everything but eigen.hpp.
#pragma once

#include "chainrule/config.hpp"
#include "chainrule/data.hpp"
#include "chainrule/functional_call.hpp"
#include "chainrule/graph.hpp"
#include "chainrule/losses.hpp"
#include "chainrule/memory.hpp"
#include "chainrule/model.hpp"
#include "chainrule/nn.hpp"
#include "chainrule/ops.hpp"
#include "chainrule/optim.hpp"
#include "chainrule/random.hpp"
#include "chainrule/tensor.hpp"
#include "chainrule/trainer.hpp"
#include "chainrule/training_step.hpp"
#include "chainrule/transforms.hpp"
#include "chainrule/version.hpp"
