// The elementwise ops beside elementwise_list.hpp: X(name, Struct, doc) for those with attributes, with three inputs,
// and for the optimizers' update rules. Registry and kernel tables are made from these lists.
#pragma once

#define CHAINRULE_PARAMETRIC_OPS(X)                                              \
  X(leaky_relu, LeakyRelu, "x where x > 0, else slope * x (Maas et al., 2013).") \
  X(elu, Elu, "x where x > 0, else alpha (e^x - 1) (Clevert et al., 2015).")     \
  X(clip, Clip, "x held to [lo, hi]; the gradient passes where lo <= x <= hi.")

#define CHAINRULE_TERNARY_OPS(X)                               \
  X(where, Where, "a where the bool condition holds, else b.") \
  X(fma, Fma, "a * b + c, rounded once where the CPU can.")

#define CHAINRULE_UPDATE_OPS(X)                                                                        \
  X(sgd_update, SgdUpdate, "Gradient descent: p -= lr g.")                                             \
  X(sgd_momentum_update, SgdMomentumUpdate, "Gradient descent with momentum.")                         \
  X(sgd_nesterov_update, SgdNesterovUpdate, "Gradient descent with Nesterov momentum.")                \
  X(adagrad_update, AdagradUpdate, "Adagrad (Duchi et al., 2011).")                                    \
  X(rmsprop_update, RmspropUpdate, "RMSprop (Tieleman and Hinton, 2012).")                             \
  X(rmsprop_full_update, RmspropFullUpdate, "RMSprop with momentum, centered if wanted.")              \
  X(adam_update, AdamUpdate, "Adam and AdamW (Kingma and Ba, 2015; Loshchilov and Hutter, 2019).")     \
  X(amsgrad_update, AmsgradUpdate, "Adam with the largest second moment so far (Reddi et al., 2018).") \
  X(adadelta_update, AdadeltaUpdate, "Adadelta (Zeiler, 2012).")                                       \
  X(adamax_update, AdamaxUpdate, "Adamax: Adam by the largest gradient (Kingma and Ba, 2015).")        \
  X(nadam_update, NadamUpdate, "Adam with Nesterov momentum (Dozat, 2016).")                           \
  X(radam_update, RadamUpdate, "Rectified Adam (Liu et al., 2020).")                                   \
  X(lion_update, LionUpdate, "Lion: the sign of an interpolated momentum (Chen et al., 2023).")
