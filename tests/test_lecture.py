"""The formulas of a first course on neural networks, each with its derivation, each against this library.

Everything here could be checked with a pencil. Row vectors, as in a program: a sample is a row of x, and y =
x W + b.
"""

from __future__ import annotations

import chainrule as cr
import numpy as np
import pytest
from chainrule import nn, optim


def leaf(value):
    return cr.tensor(np.asarray(value, np.float64), requires_grad=True)


def close(actual, expected, rtol=1e-13):
    np.testing.assert_allclose(np.asarray(actual), expected, rtol=rtol, atol=1e-15)


def test_chain_rule():
    """y = g(f(x)) has dy/dx = g'(f(x)) f'(x). With f = x^2 and g = sin-like tanh at x = 0.5:

    u = x^2 = 1/4, y = tanh(u), dy/dx = (1 - tanh(u)^2) 2x = 1 - tanh(1/4)^2.
    """
    close(cr.grad(lambda x: cr.tanh(cr.square(x)))(np.array(0.5)), 1 - np.tanh(0.25) ** 2)


def test_mse_gradient_is_f_minus_y():
    """L = 1/2 (y - f)^2 for one output: dL/df = -(y - f) = f - y. The 1/2 is there to cancel the exponent.

    For a batch of N samples the loss is the mean, so each sample's gradient is divided by N. The direction in
    which the weights then move, -dL/df, is y - f: towards the target.
    """
    f, y = leaf([[0.25], [3.0], [-1.0]]), np.array([[1.0], [2.5], [-1.0]])
    loss = nn.MSELoss(half=True)(f, y)
    assert float(loss) == 0.5 * (0.75**2 + 0.5**2 + 0) / 3
    loss.backward()
    close(f.grad, np.array([[-0.75], [0.5], [0.0]]) / 3)

    f.zero_grad()
    nn.MSELoss()(f, y).backward()  # without the 1/2: twice as much
    close(f.grad, 2 * np.array([[-0.75], [0.5], [0.0]]) / 3)


def test_sigmoid_derivative():
    """sigma(x) = 1 / (1 + e^-x). With v = 1 + e^-x: sigma' = -v^-2 (-e^-x) = e^-x / v^2

    = (1/v) (e^-x / v) = sigma (1 - sigma), since e^-x / v = (v - 1) / v = 1 - 1/v.
    At 0: sigma = 1/2, sigma' = 1/4, its largest value.
    """
    x = np.linspace(-5, 5, 41)
    out, pullback = cr.vjp(cr.sigmoid, x)
    s = np.asarray(out)
    close(s, 1 / (1 + np.exp(-x)))
    close(pullback(np.ones(41))[0], s * (1 - s))
    assert float(cr.grad(cr.sigmoid)(np.float64(0))) == 0.25


def test_tanh_and_relu_derivatives():
    """tanh = 2 sigma(2x) - 1, so tanh' = 4 sigma(2x) (1 - sigma(2x)) = (1 + tanh) (1 - tanh) = 1 - tanh^2.

    relu(x) = max(x, 0) has slope 1 above 0 and 0 below; at 0 every slope between serves, and 0 is taken.
    """
    x = np.linspace(-3, 3, 13)
    ones = np.ones(13)
    close(cr.vjp(cr.tanh, x)[1](ones)[0], 1 - np.tanh(x) ** 2, rtol=1e-11)
    close(cr.vjp(cr.relu, x)[1](ones)[0], (x > 0) * 1.0)


def test_softmax_jacobian():
    """s_i = e^(x_i) / S with S = sum_k e^(x_k).

    d s_i / d x_j = (delta_ij e^(x_i) S - e^(x_i) e^(x_j)) / S^2 = s_i (delta_ij - s_j), in matrix form
    J = diag(s) - s s'. It is symmetric, so J u and J' u are the same; its rows add up to 0, since adding the
    same number to all x changes nothing.
    """
    x = np.array([0.5, -1.0, 2.0, 0.0])
    s = np.exp(x) / np.exp(x).sum()
    out, pullback = cr.vjp(cr.softmax, x)
    close(out, s)
    rows = np.stack([np.asarray(pullback(unit)[0]) for unit in np.eye(4)])
    columns = np.stack([np.asarray(cr.jvp(cr.softmax, x, unit)[1]) for unit in np.eye(4)], axis=1)
    expected = np.diag(s) - np.outer(s, s)
    np.testing.assert_allclose(rows, expected, rtol=1e-12, atol=1e-16)
    np.testing.assert_allclose(columns, expected, rtol=1e-12, atol=1e-16)
    np.testing.assert_allclose(rows.sum(axis=1), 0, atol=1e-16)


def test_cross_entropy_gradient_is_p_minus_q():
    """L = -sum_i q_i log p_i with p = softmax(x) and sum q = 1.

    log p_i = x_i - log S, so L = log S - sum q_i x_i, and dL/dx_j = e^(x_j) / S - q_j = p_j - q_j. With a
    class label c, q is 1 at c: p - e_c. Over a batch the mean divides by N. Smoothing moves q towards
    uniform, nothing else changes.
    """
    x, labels = np.array([[1.0, 2.0, 0.0], [0.0, -1.0, 3.0]]), np.array([0, 2])
    p = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
    q = np.array([[1.0, 0, 0], [0, 0, 1.0]])
    for target, smoothing, mix in ((labels, 0.0, q), (q, 0.0, q), (labels, 0.3, 0.7 * q + 0.1)):
        logits = leaf(x)
        loss = nn.CrossEntropyLoss(label_smoothing=smoothing)(logits, target)
        close(loss, -(mix * np.log(p)).sum() / 2)
        loss.backward()
        close(logits.grad, (p - mix) / 2, rtol=1e-12)


def test_logistic_loss_gradient():
    """With p = sigma(x) and a label y of 0 or 1: L = -y log p - (1 - y) log(1 - p).

    dL/dp = (p - y) / (p (1 - p)), times dp/dx = p (1 - p): dL/dx = p - y. Computed from the logit this holds
    even where p is rounded to 0 or 1: at x = 10^4 with y = 0 the loss is 10^4 and its gradient 1.
    """
    x, y = np.array([[0.3], [-2.0], [1e4], [-1e4]]), np.array([[1.0], [0.0], [0.0], [1.0]])
    logits = leaf(x)
    loss = nn.BCEWithLogitsLoss(reduction="none")(logits, y)
    close(loss, [[np.log1p(np.exp(-0.3))], [np.log1p(np.exp(-2))], [1e4], [1e4]])
    loss.backward(np.ones((4, 1)))
    close(logits.grad, [[1 / (1 + np.exp(-0.3)) - 1], [1 / (1 + np.exp(2))], [1], [-1]])


def test_matmul_gradients():
    """y = x W, and g = dL/dy. y_bj = sum_i x_bi W_ij, so

    dL/dW_ij = sum_b g_bj x_bi = (x' g)_ij        every sample adds its outer product,
    dL/dx_bi = sum_j g_bj W_ij = (g W')_bi        errors go back through the same weights,
    dL/db_j = sum_b g_bj                          for a bias that was added to every row.
    """
    x, w, b = leaf([[1, 2, 3], [4, 5, 6]]), leaf([[1, 0], [2, -1], [0, 3]]), leaf([0.5, -0.5])
    g = np.array([[1.0, 2.0], [-1.0, 0.5]])
    y = x @ w + b
    close(y, [[5.5, 6.5], [14.5, 12.5]])
    y.backward(g)
    close(w.grad, [[1 - 4, 2 + 2], [2 - 5, 4 + 2.5], [3 - 6, 6 + 3]])
    close(x.grad, [[1, 2 - 2, 6], [-1, -2 - 0.5, 1.5]])
    close(b.grad, [0, 2.5])


def test_gradients_are_added_at_a_fork():
    """y = u(x) v(x) with u = x^2 and v = x^3: x is used twice, and dy/dx = u' v + u v' = 2x x^3 + x^2 3x^2 =
    5 x^4.

    What flows back along the two ways is added; overwriting one by the other would give 2x^4 or 3x^4. A
    residual connection x + f(x) is the same: its derivative is 1 + f', which is why it keeps gradients alive.
    """
    x = leaf(2.0)
    (cr.square(x) * (x * x * x)).backward()
    assert float(x.grad) == 5 * 2**4

    x.zero_grad()
    (x + cr.tanh(x)).backward()
    close(x.grad, 1 + (1 - np.tanh(2.0) ** 2), rtol=1e-12)

    w = leaf([1.0, 2.0])  # one parameter in two calls of backward: gradients add until zero_grad
    (w * 3).sum().backward()
    (w * w).sum().backward()
    close(w.grad, [3 + 2, 3 + 4])


def test_broadcast_gradient_is_a_sum():
    """b_j is added to every row i: y_ij = x_ij + b_j, so dL/db_j = sum_i g_ij. Repeating forward is adding
    backward."""
    b = leaf([1.0, 2.0])
    g = np.arange(6.0).reshape(3, 2)
    (np.zeros((3, 2)) + b).backward(g)
    close(b.grad, g.sum(axis=0))


def test_dropout_keeps_the_expectation():
    """Each value is kept with probability 1 - p and then divided by 1 - p: E[y] = (1 - p) x / (1 - p) + p 0 =
    x.

    So nothing has to be rescaled for prediction, where dropout does nothing. The mean of n draws of y = x m /
    (1 - p) has standard deviation x sqrt(p / ((1 - p) n)); five of those are allowed.
    """
    n, p = 200_000, 0.3
    y = np.asarray(cr.dropout(np.full(n, 2.0), p))
    assert set(np.unique(y)) == {0.0, 2.0 / (1 - p)}
    assert abs(y.mean() - 2.0) < 5 * 2.0 * np.sqrt(p / ((1 - p) * n))

    layer = nn.Dropout(p)
    layer.eval()
    np.testing.assert_array_equal(np.asarray(layer(np.full(5, 2.0, np.float32))), 2.0)


def test_gradient_descent_on_a_parabola():
    """L = 1/2 a w^2 has gradient a w, so w <- w - lr a w = (1 - lr a) w: after t steps (1 - lr a)^t w0.

    It converges while |1 - lr a| < 1, that is lr < 2 / a, and oscillates with growing size beyond.
    """
    for a, lr, steps in ((2.0, 0.25, 10), (4.0, 0.6, 5)):
        w = leaf([3.0])
        opt = optim.SGD([w], lr=lr)
        for _ in range(steps):
            opt.zero_grad()
            (0.5 * a * w * w).sum().backward()
            opt.step()
        close(w, 3.0 * (1 - lr * a) ** steps)


def test_momentum_sums_past_gradients():
    """v <- mu v + g, w <- w - lr v. For a constant g: v = g (1 + mu + ... + mu^(t-1)) = g (1 - mu^t) / (1 -
    mu)."""
    w = leaf([0.0])
    opt = optim.SGD([w], lr=1.0, momentum=0.5)
    positions = []
    for _ in range(4):
        opt.zero_grad()
        (3.0 * w).sum().backward()
        opt.step()
        positions.append(float(w.numpy()[0]))
    close(positions, -3 * np.cumsum([1, 1.5, 1.75, 1.875]))


def test_adam_bias_correction():
    """m_t = b1 m_(t-1) + (1 - b1) g starts at 0, so for a constant gradient g

    m_t = (1 - b1) g (1 + b1 + ... + b1^(t-1)) = (1 - b1^t) g: too small by the factor 1 - b1^t. Dividing by
    it gives m^ = g from the first step on, and likewise v^ = g^2. Every step then is lr g / (|g| + eps): lr
    in the direction of the sign, however small g is. Without the correction the first step would be (1 - b1)
    / sqrt(1 - b2) = 3.16 lr.
    """
    for g in (1e-3, 5.0, -2.0):
        w = leaf([1.0])
        opt = optim.Adam([w], lr=0.1, betas=(0.9, 0.999), eps=1e-8)
        for t in range(1, 6):
            opt.zero_grad()
            (g * w).sum().backward()
            opt.step()
            close(w, 1.0 - t * 0.1 * g / (abs(g) + 1e-8), rtol=1e-9)


def test_weight_decay_of_adam_and_adamw():
    """With no gradient from the data, AdamW shrinks w by 1 - lr wd in every step: w_t = (1 - lr wd)^t w0.

    Adam takes wd w as the gradient, and divides it by its own size: a step of lr, whatever wd is. That is the
    difference which the W stands for.
    """
    w = leaf([2.0])
    opt = optim.AdamW([w], lr=0.1, weight_decay=0.5)
    for _ in range(3):
        opt.zero_grad()
        (0.0 * w).sum().backward()
        opt.step()
    close(w, 2.0 * 0.95**3)

    w = leaf([2.0])
    opt = optim.Adam([w], lr=0.1, weight_decay=0.5)
    opt.zero_grad()
    (0.0 * w).sum().backward()
    opt.step()
    close(w, 2.0 - 0.1, rtol=1e-8)


def test_batch_norm_ignores_scale_and_shift():
    """x^ = (x - mean) / sqrt(var + eps) of each feature over the batch: a x + b has the same x^ (for a > 0,
    eps -> 0).

    Its outputs have mean 0 and variance 1, and the gradient of their sum is 0: moving all samples together
    does nothing.
    """
    x = np.array([[1.0, 10.0], [2.0, -10.0], [6.0, 30.0]])
    layer = nn.BatchNorm1d(2, eps=0.0, dtype="float64")
    y = np.asarray(layer(x))
    close(y, (x - x.mean(0)) / x.std(0), rtol=1e-12)
    np.testing.assert_allclose(np.asarray(layer(5 * x + 3)), y, rtol=1e-12)
    t = leaf(x)
    layer(t).sum().backward()
    np.testing.assert_allclose(np.asarray(t.grad), 0, atol=1e-14)


class TestTwoLayers:
    """x W1 + b1 -> sigma -> W2 + b2 -> sigma -> 1/2 MSE, number by number.

    x = (1, 2), y = 1
    W1 = [[0.1, -0.2], [0.3, 0.4]], b1 = (0.5, -0.5), W2 = (0.6, -0.7)', b2 = 0.2

    forward
      z1 = x W1 + b1 = (0.1 + 0.6 + 0.5, -0.2 + 0.8 - 0.5) = (1.2, 0.1)
      h  = sigma(z1) = (0.768524783499, 0.524979187479)
      z2 = h W2 + b2 = 0.461114870099 - 0.367485431235 + 0.2 = 0.293629438864
      f  = sigma(z2) = 0.572884446561
      L  = 1/2 (y - f)^2 = 1/2 0.427115553439^2 = 0.091213847995
    backward, from the right
      dL/df  = f - y = -0.427115553439
      dL/dz2 = dL/df f (1 - f) = -0.427115553439 * 0.244687857449 = -0.104509989654
      dL/dW2 = h' dL/dz2 = (-0.080318517173, -0.054865569452)'
      dL/db2 = dL/dz2
      dL/dh  = dL/dz2 W2' = (-0.062705993793, 0.073156992758)
      dL/dz1 = dL/dh h (1 - h) = (dL/dh) * (0.177894440647, 0.249376040193) = (-0.011155047691,
      0.018243601166) dL/dW1 = x' dL/dz1 = [[1, 1], [2, 2]] * dL/dz1
      dL/db1 = dL/dz1
    and one step of gradient descent with lr = 0.5: W <- W - 0.5 dL/dW.
    """

    x, y = np.array([[1.0, 2.0]]), np.array([[1.0]])
    W1, b1 = np.array([[0.1, -0.2], [0.3, 0.4]]), np.array([0.5, -0.5])
    W2, b2 = np.array([[0.6], [-0.7]]), np.array([0.2])

    z1, h = [[1.2, 0.1]], [[0.768524783499, 0.524979187479]]
    z2, f, loss = [[0.293629438864]], [[0.572884446561]], 0.091213847995
    dz2 = -0.104509989654
    dW2, dh = [[-0.080318517173], [-0.054865569452]], [[-0.062705993793, 0.073156992758]]
    dz1 = np.array([-0.011155047691, 0.018243601166])
    dW1 = np.outer([1, 2], dz1)

    def near(self, actual, expected):
        np.testing.assert_allclose(np.asarray(actual), expected, rtol=0, atol=1.01e-12)

    def test_with_tensors(self):
        x = cr.tensor(self.x)
        W1, b1, W2, b2 = leaf(self.W1), leaf(self.b1), leaf(self.W2), leaf(self.b2)
        z1 = x @ W1 + b1
        h = cr.sigmoid(z1)
        z2 = h @ W2 + b2
        f = cr.sigmoid(z2)
        loss = (0.5 * (self.y - f) ** 2).mean()
        for actual, expected in ((z1, self.z1), (h, self.h), (z2, self.z2), (f, self.f), (loss, self.loss)):
            self.near(actual, expected)
        loss.backward()
        self.near(W2.grad, self.dW2)
        self.near(b2.grad, [self.dz2])
        self.near(W1.grad, self.dW1)
        self.near(b1.grad, self.dz1)

    def model(self):
        model = nn.Sequential(
            nn.Linear(2, 2, dtype="float64"), nn.Sigmoid(), nn.Linear(2, 1, dtype="float64"), nn.Sigmoid()
        )
        model.load_state_dict(
            {"0.weight": self.W1, "0.bias": self.b1, "2.weight": self.W2, "2.bias": self.b2}
        )
        return model

    def check_step(self, model):
        state = model.state_dict()
        self.near(state["2.weight"], self.W2 - 0.5 * np.array(self.dW2))
        self.near(state["2.bias"], self.b2 - 0.5 * self.dz2)
        self.near(state["0.weight"], self.W1 - 0.5 * self.dW1)
        self.near(state["0.bias"], self.b1 - 0.5 * self.dz1)

    def test_with_layers(self):
        model = self.model()
        self.near(model.predict(self.x), self.f)
        opt = optim.SGD(model.parameters(), lr=0.5)
        loss = nn.MSELoss(half=True)(model(self.x), self.y)
        self.near(loss, self.loss)
        loss.backward()
        gradients = {name: p.grad for name, p in model.named_parameters()}
        self.near(gradients["0.weight"], self.dW1)
        self.near(gradients["2.weight"], self.dW2)
        opt.step()
        self.check_step(model)

    def test_with_the_trainer(self):
        model = self.model()
        trainer = cr.Trainer(model, loss=nn.MSELoss(half=True), optimizer=optim.SGD(lr=0.5))
        assert trainer.step(self.x, self.y) == pytest.approx(self.loss, abs=1e-12)  # the loss before the step
        self.check_step(model)


def test_xavier_keeps_variances():
    """y_j = sum_i x_i W_ij of n_in independent terms with mean 0 has Var y = n_in Var W Var x.

    Going back, n_out takes its place. Var W = 2 / (n_in + n_out) is the mean of both wishes; a uniform draw
    on (-a, a) has variance a^2 / 3, hence a = sqrt(6 / (n_in + n_out)).
    """
    w = cr.nn.Parameter(np.zeros((300, 200), np.float32))
    nn.init.xavier_uniform_(w, seed=1)
    bound = np.sqrt(6 / 500)
    values = w.numpy()
    assert np.abs(values).max() <= np.float32(bound)
    assert abs(values.var() * 500 / 2 - 1) < 0.02
