"""A layer and a loss written in Python, traced once and then run in C++. Writes blocks.safetensors."""

import chainrule as cr
from chainrule import nn, optim


class Block(nn.Module):  # no super().__init__() needed
    def __init__(self, width):
        self.inner = nn.Sequential(nn.Linear(width, width), nn.Tanh())

    def forward(self, x):
        return x + self.inner(x)  # a fork: the two gradients are added


class Classifier(nn.Module):
    def __init__(self, width, blocks):
        self.first = nn.Linear(64, width)
        self.blocks = [Block(width) for _ in range(blocks)]  # lists of modules register themselves
        self.last = nn.Linear(width, 10)

    def forward(self, x):
        x = cr.relu(self.first(x))
        for block in self.blocks:
            x = block(x)
        return self.last(x)


def focal(logits, target):
    """(1 - p)^2 times cross-entropy, one value per sample (Lin et al., 2017): easy samples count less."""
    logp = cr.log_softmax(logits, axis=-1)
    picked = cr.take_along(logp, target, axis=-1)  # index (N,) picks one entry per row
    return -((1 - cr.exp(picked)) ** 2 * picked)


X, y = cr.datasets.load_digits(split="train")
Xt, yt = cr.datasets.load_digits(split="test")

model = Classifier(width=48, blocks=2).init(seed=0)
print(model.summary())
trainer = cr.Trainer(model, loss=focal, optimizer=optim.Adam(lr=2e-3))
print(trainer.fit(X, y, epochs=15, batch_size=32, validation_data=(Xt, yt)))
right = (model.predict(Xt).argmax(axis=1) == yt).mean()
print(f"accuracy on test data: {right:.3f}")
assert right > 0.94

model.save("blocks.safetensors")  # the graph goes with it: loading needs neither Block nor Python
assert (cr.load("blocks.safetensors").predict(Xt) == model.predict(Xt)).all()
