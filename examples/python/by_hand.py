"""The training loop written out: batches, gradients, steps. The same seed gives the Trainer's bits."""

import chainrule as cr
import numpy as np
from chainrule import nn, optim

X, y = cr.datasets.load_digits(split="train")
Xt, yt = cr.datasets.load_digits(split="test")


def network() -> nn.Sequential:
    return nn.Sequential(nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 10), seed=0)


model, loss_function = network(), nn.CrossEntropyLoss()
optimizer = optim.Adam(model.parameters(), lr=3e-3)
batches = cr.data.batches(X, y, batch_size=32, shuffle=True, seed=0)  # each pass has an order of its own
for epoch in range(5):
    total = 0.0
    for xb, yb in batches:
        optimizer.zero_grad()
        loss = loss_function(model(xb), yb)
        loss.backward()
        optimizer.step()
        total += float(loss) * len(xb)
    right = (model.predict(Xt).argmax(axis=1) == yt).mean()
    print(f"epoch {epoch + 1}: loss {total / len(X):.4f}, accuracy on test data {right:.3f}")

twin = network()
cr.Trainer(twin, nn.CrossEntropyLoss(), optim.Adam(lr=3e-3), seed=0).fit(
    X, y, epochs=5, batch_size=32, progress=False
)
same = all(np.array_equal(a, b) for a, b in zip(model.parameters(), twin.parameters(), strict=True))
print("the Trainer gives the same bits:", same)
assert same
