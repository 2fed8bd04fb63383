"""Trains a network on the bundled digits, saves it and loads it again. Writes digits.safetensors."""

import chainrule as cr
from chainrule import nn, optim

X, y = cr.datasets.load_digits(split="train")  # float32 (1437, 64), int64 (1437,)
Xt, yt = cr.datasets.load_digits(split="test")

model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Dropout(0.2), nn.Linear(128, 10), seed=0)
trainer = cr.Trainer(
    model,
    loss=nn.CrossEntropyLoss(),
    optimizer=optim.AdamW(lr=2e-3, weight_decay=1e-4),
    metrics=["accuracy"],
)
history = trainer.fit(X, y, epochs=30, batch_size=32, validation_data=(Xt, yt))
print(history)
assert history["val_accuracy"][-1] >= 0.97

print(trainer.evaluate(Xt, yt))
print(model.summary())

logits = model.predict(Xt)  # NumPy (360, 10); eval mode, whatever the model's flag says
probabilities = model.predict(Xt, output="proba")
digits = model.predict(Xt, output="class")
print(
    f"first test image: a {digits[0]} with probability {probabilities[0, digits[0]]:.3f}, in truth a {yt[0]}"
)

model.save("digits.safetensors")
again = cr.load("digits.safetensors")  # in C++: cr::load("digits.safetensors")
assert (again.predict(Xt) == logits).all()
