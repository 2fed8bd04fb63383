"""A sine fitted by a small network: Levenberg-Marquardt goes on to eleven digits where Adam stalls."""

import chainrule as cr
import numpy as np
from chainrule import nn, optim

x = np.linspace(0, 2 * np.pi, 100)[:, None]
y = np.sin(x)

errors = []
for optimizer in (optim.Adam(lr=1e-2), optim.LevenbergMarquardt()):
    model = nn.MLP([1, 8, 8, 1], activation="tanh", dtype="float64", seed=0)
    trainer = cr.Trainer(model, nn.MSELoss(), optimizer)
    trainer.fit(x, y, epochs=2000, batch_size=len(x), progress=False)  # the whole set is one batch
    errors.append(trainer.evaluate(x, y)["loss"])
    print(f"{optimizer!r}: mean squared error {errors[-1]:.1e} after {trainer.global_step} steps")

assert errors[0] > 1e-6
assert errors[1] < 1e-10
