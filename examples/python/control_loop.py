"""One sample at a time: a network inside a control loop, and the time that each decision takes.

The network imitates a controller that keeps a pendulum upright; then it is asked a thousand times a second.
"""

import time

import chainrule as cr
import numpy as np
from chainrule import nn, optim

rng = np.random.default_rng(0)
states = rng.uniform(-1, 1, (4000, 2)).astype(np.float32)  # angle in rad, angular velocity in rad/s
torques = (-14 * np.sin(states[:, :1]) - 4 * states[:, 1:]).astype(np.float32)

model = nn.MLP([2, 32, 32, 1], activation="tanh", seed=0)
trainer = cr.Trainer(model, nn.MSELoss(), optim.Adam(lr=3e-3))
trainer.fit(states, torques, epochs=20, progress=False)
print("loss", trainer.evaluate(states, torques)["loss"])

controller = cr.Predictor(model)
state, torque = np.array([0.5, 0.0], np.float32), np.empty(1, np.float32)
times = []
for _ in range(5000):
    start = time.perf_counter()
    controller(state, out=torque)
    times.append(time.perf_counter() - start)
    acceleration = 9.81 * np.sin(state[0]) + torque[0]  # of a pendulum of 1 m and 1 kg
    state += np.float32(0.001) * np.array([state[1], acceleration], np.float32)

print("after 5 s:", state)
print("median microseconds per decision:", round(float(np.median(times)) * 1e6, 2))
assert abs(state[0]) < 0.05
