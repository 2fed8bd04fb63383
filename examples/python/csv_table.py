"""A table with text columns and missing cells: read, encoded, trained on, saved with its columns.

Writes flats.csv and flats.safetensors.
"""

import csv

import chainrule as cr
import numpy as np
from chainrule import nn, optim

# Rents of made-up flats: 12 per square metre, more in the centre and with a balcony; some cells are missing.
rng = np.random.default_rng(0)
with open("flats.csv", "w", newline="") as file:
    writer = csv.writer(file)
    writer.writerow(["area", "district", "balcony", "rent"])
    for _ in range(600):
        area = rng.uniform(20, 120)
        district, balcony = rng.choice(["centre", "north", "south"]), rng.choice(["yes", "no"])
        rent = 12 * area + 300 * (district == "centre") + 80 * (balcony == "yes") + rng.normal(0, 20)
        shown = "" if rng.random() < 0.03 else f"{area:.1f}"
        writer.writerow([shown, district, balcony, f"{rent:.0f}"])

table = cr.data.read_csv("flats.csv")
print(table, table.columns)
train, held_out = cr.data.split_rows(len(table), 0.25, seed=0)

# Means, scales and categories are learned from the training rows only, and stay with the model.
schema = cr.data.fit_schema(table, "rent", train, missing="fill")
print(f"{schema.task}: {schema.width} features from {schema.columns}")
X, y = schema.encode(table), schema.encode_target(table)

model = nn.MLP([schema.width, 32, 1], activation="relu", seed=0)
trainer = cr.Trainer(model, loss=nn.MSELoss(), optimizer=optim.Adam(lr=5e-3), metrics=["r2"])
trainer.fit(X[train], y[train], epochs=60, batch_size=32)
results = trainer.evaluate(X[held_out], y[held_out])
print(f"R2 on rows not trained on: {results['r2']:.3f}")
assert results["r2"] > 0.9

cr.save(model, "flats.safetensors", schema=schema)
loaded = cr.load("flats.safetensors")
rents = loaded.predict(loaded.schema.encode(table.take(held_out[:3])))
rents = rents * schema.target_scale + schema.target_mean  # targets are standardized, too
for row, rent in zip(held_out[:3], rents[:, 0], strict=True):
    print(f"flat {row}: {rent:.0f} predicted, {table['rent'][row]:.0f} in the table")
