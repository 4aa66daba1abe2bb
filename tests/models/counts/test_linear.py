"""Logistic regression against scikit-learn's, and against the definition of its optimum."""

import numpy as np
import pytest
from scipy.sparse import csr_array, csr_matrix
from sklearn.linear_model import LogisticRegression

from seqcli.models.counts.base import Labelled, Sizes
from seqcli.models.counts.linear import both_classes, fit_linear, log_probs


def fit(features, labels, classes, multilabel=False, weights=None, **options):
    data = Labelled(np.zeros(0), np.zeros(1), labels, weights)  # the values are the features
    return fit_linear(features, data, Sizes(classes=classes, multilabel=multilabel), **options)


def probabilities(features, linear, classes, multilabel=False):
    logits = features @ linear.weights_DC + linear.bias_C
    return np.exp(log_probs(logits, Sizes(classes=classes, multilabel=multilabel)))


def problem(seed, examples=120, size=30, classes=2, density=0.3):
    numbers = np.random.default_rng(seed)
    features = numbers.normal(size=(examples, size)) * (numbers.random((examples, size)) < density)
    features[:, 0] *= 20  # one of another size
    truth = features @ numbers.normal(size=(size, classes)) + numbers.normal(size=classes)
    return features, (truth + numbers.gumbel(size=truth.shape) * 2).argmax(1), numbers


def reference(features, labels, regularization, weights=None):
    model = LogisticRegression(C=1 / regularization, tol=1e-10, max_iter=100_000)
    model.fit(features, labels, sample_weight=weights)
    return model


@pytest.mark.parametrize("kind", [csr_array, csr_matrix, np.asarray])
@pytest.mark.parametrize("classes", [2, 3, 7])
@pytest.mark.parametrize("regularization", [0.01, 1.0, 30.0])
def test_the_optimum_of_scikit_learn(kind, classes, regularization):
    features, labels, numbers = problem(classes, classes=classes)
    weights = numbers.random(len(labels)) * 3
    ours = fit(kind(features), labels, classes, regularization=regularization, weights=weights)
    theirs = reference(features, labels, regularization, weights)
    assert np.abs(ours.weights_DC.T - theirs.coef_).max() < 1e-3
    shift = 0 if classes == 2 else (theirs.intercept_ - ours.bias_C).mean()  # softmax does not see a common shift
    assert np.abs(ours.bias_C - theirs.intercept_ + shift).max() < 1e-3
    assert np.abs(probabilities(features, ours, classes) - theirs.predict_proba(features)).max() < 1e-3


def test_several_labels_are_as_many_problems():
    features, _, numbers = problem(5)
    truth = numbers.random((len(features), 3)) < [0.2, 0.5, 0.7]
    weights = numbers.random(len(features)) + 0.5
    ours = fit(csr_array(features), truth, 3, regularization=0.5, multilabel=True, weights=weights)
    for label in range(3):
        theirs = reference(features, truth[:, label], 0.5, weights)
        assert np.abs(ours.weights_DC[:, label] - theirs.coef_[0]).max() < 1e-3
        assert abs(ours.bias_C[label] - theirs.intercept_[0]) < 1e-3
        p = probabilities(features, ours, 3, multilabel=True)[:, label]
        assert np.abs(p - theirs.predict_proba(features)[:, 1]).max() < 1e-3


@pytest.mark.parametrize("classes", [2, 4])
def test_scale_multiplies_the_features_of_each_column(classes):
    features, labels, numbers = problem(7, classes=classes)
    scale = numbers.normal(size=(features.shape[1], 1))
    ours = fit(csr_array(features), labels, classes, regularization=1.0, scale=scale)
    theirs = reference(features * scale[:, 0], labels, 1.0)
    assert np.abs(ours.weights_DC.T - theirs.coef_ * scale[:, 0]).max() < 1e-3


def test_a_scale_by_column_is_a_penalty_by_column():
    features, labels, numbers = problem(8, classes=3)
    scale = numbers.random((features.shape[1], 3)) + 0.2
    ours = fit(features, labels, 3, regularization=2.0, scale=scale)
    p = probabilities(features, ours, 3)
    slope = features.T @ (p - np.eye(3)[labels]) + 2.0 * ours.weights_DC / scale**2
    assert np.abs(slope).max() < 2e-2  # where it starts it is some hundreds


@pytest.mark.parametrize("classes", [2, 3])
def test_weights_are_repetitions(classes):
    features, labels, numbers = problem(9, classes=classes)
    times = numbers.integers(0, 4, len(labels))
    weighted = fit(features, labels, classes, regularization=1.0, weights=times)
    repeated = fit(features.repeat(times, 0), labels.repeat(times), classes, regularization=1.0)
    assert np.allclose(weighted.weights_DC, repeated.weights_DC, atol=1e-4)


def test_a_class_that_training_lacks_is_unlikely_and_finite():
    features, labels, _ = problem(10)
    ours = fit(features, labels, 3, regularization=1.0)
    p = probabilities(features, ours, 3)
    assert np.isfinite(p).all()
    assert p[:, 2].max() < 1e-2


def test_one_class_only_and_no_feature():
    ours = fit(np.zeros((5, 0)), np.ones(5, int), 2, regularization=1.0)
    assert probabilities(np.zeros((1, 0)), ours, 2)[0, 1] > 0.99


def test_progress_rises_to_the_end_and_results_repeat():
    features, labels, _ = problem(11)
    reports = []
    first = fit(features, labels, 2, regularization=1e-3, progress=lambda *parts: reports.append(parts))
    assert reports[0] == (0, 100)
    assert reports[-1] == (100, 100)
    assert reports == sorted(reports)
    again = fit(features, labels, 2, regularization=1e-3)
    assert np.array_equal(first.weights_DC, again.weights_DC)


def test_huge_logits():
    two, three, several = Sizes(classes=2), Sizes(classes=3), Sizes(classes=1, multilabel=True)
    logits = np.array([[1e4], [-1e4], [0.0]])
    assert np.exp(log_probs(logits, several))[:, 0].tolist() == [1.0, 0.0, 0.5]
    assert log_probs(logits, two)[:2].tolist() == [[-1e4, 0.0], [0.0, -1e4]]
    assert log_probs(logits, several)[:2].tolist() == [[0.0], [-1e4]]
    assert log_probs(np.array([[1e4, 0, -1e4]]), three).tolist() == [[0.0, -1e4, -2e4]]
    assert both_classes(logits[:1], two).tolist() == [[-5e3, 5e3]]
    assert both_classes(logits[:1], several).tolist() == [[1e4]]
