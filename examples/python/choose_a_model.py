"""From a CSV file to a chosen, retrained and saved model: search by cross-validation, one test at the end.

Writes patients.csv, patients.safetensors and, where matplotlib is there, three pictures.
"""

import csv
import importlib.util

import chainrule as cr
import numpy as np
from chainrule import nn, optim
from chainrule.callbacks import EarlyStopping

# %% Made-up patients: who comes back depends on age, dose and ward together; some cells are missing.
rng = np.random.default_rng(1)
with open("patients.csv", "w", newline="") as file:
    writer = csv.writer(file)
    writer.writerow(["age", "dose", "ward", "returns"])
    for _ in range(900):
        age, dose, ward = rng.uniform(20, 90), rng.exponential(5), rng.choice(["a", "b", "c"])
        score = 0.05 * (age - 55) * (1 if ward == "a" else -0.5) + 0.4 * (dose - 5) + (ward == "c") - 1.2
        shown = "" if rng.random() < 0.04 else f"{dose:.2f}"
        writer.writerow([f"{age:.0f}", shown, ward, "yes" if score + 0.3 * rng.normal() > 0 else "no"])

# %% Read it; rows for the last test are put aside before anything looks at them.
table = cr.data.read_csv("patients.csv")
train, test = cr.data.split_rows(len(table), 0.25, seed=0)
schema = cr.data.fit_schema(table, "returns", train, missing="fill")
X, y = schema.encode(table), schema.encode_target(table)
print(f"{len(train)} rows to choose by, {len(test)} to test on; classes {schema.classes}")


# %% Choose by 5-fold cross-validation. Standardizer learns inside each fold, from the rows that train there.
def make(width=16, dropout=0.0):
    return nn.Sequential(
        nn.Standardizer(schema.width),
        nn.Linear(schema.width, width),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(width, 2),
    )


search = cr.grid_search(
    make,
    {"width": [4, 16, 64], "dropout": [0.0, 0.2], "lr": [1e-3, 1e-2]},
    X[train],
    y[train],
    k=5,
    loss=nn.CrossEntropyLoss(),
    optimizer=optim.AdamW(),
    epochs=60,
    metrics=["balanced_accuracy", "roc_auc"],
    callbacks=[EarlyStopping(patience=8)],
)
print(search)

# %% The best settings, trained on all of those rows, for as long as it paid in the folds; then the one test.
model = search.best_model
output = model.predict(X[test])
reached = cr.metrics.balanced_accuracy(output, y[test], link="softmax")
print(f"{search.best_params}: balanced accuracy on rows nobody has seen: {reached:.3f}")
print(cr.metrics.classification_report(output, y[test], link="softmax"))
assert reached > 0.8

if importlib.util.find_spec("matplotlib"):
    search.plot("search.png")
    search.history.plot("learning.png")
    matrix = cr.metrics.confusion_matrix(output, y[test], link="softmax")
    cr.plot_confusion_matrix(matrix, "confusion.png", names=schema.classes)

# %% One file for Python and C++, with the columns it was trained on.
cr.save(model, "patients.safetensors", schema=schema)
loaded = cr.load("patients.safetensors")
rows = table.take(test[:3])
for row, p in zip(test[:3], loaded.predict(loaded.schema.encode(rows), output="proba")[:, 1], strict=True):
    print(f"row {row}: {table['ward'][row]}, comes back with probability {p:.2f}")
