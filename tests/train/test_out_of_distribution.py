import numpy as np
import pytest
import torch

from ophis.train.out_of_distribution import SHRINKAGE, OodModel, ood_model_from_features


@pytest.fixture
def cloud():
    """Three kinds of features, stretched along some directions, and their truth."""
    rng = np.random.default_rng(3)
    truth = np.arange(90) % 3
    centres = rng.normal(size=(3, 12)) * 3
    return centres[truth] + rng.normal(size=(90, 12)) * np.linspace(0.1, 1, 12), truth


def mahalanobis(features, truth, photos):
    """The definition in float64, with the covariance written out and inverted."""
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    others = photos / np.linalg.norm(photos, axis=1, keepdims=True)
    means = np.stack([unit[truth == k].mean(axis=0) for k in range(truth.max() + 1)])
    residuals = unit - means[truth]
    covariance = residuals.T @ residuals / len(unit)
    alike = np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    inverse = np.linalg.inv((1 - SHRINKAGE) * covariance + SHRINKAGE * alike)
    own = np.einsum("ij,jk,ik->i", residuals, inverse, residuals).mean()
    return [min((p - m) @ inverse @ (p - m) for m in means) / own for p in others]


def ood_score(ood_model, photos):
    return ood_model(torch.from_numpy(photos.astype(np.float32))).numpy()


def test_ood_score_is_the_mahalanobis_distance_written_out(cloud):
    features, truth = cloud
    photos = np.random.default_rng(4).normal(size=(20, 12)) * 3
    found = ood_score(ood_model_from_features(features, truth, species=3), photos)
    assert found == pytest.approx(mahalanobis(features, truth, photos), rel=1e-3)


def test_training_features_score_about_one_and_others_more(cloud):
    features, truth = cloud
    ood_model = ood_model_from_features(features, truth, species=3)
    assert ood_score(ood_model, features).mean() == pytest.approx(1, abs=0.1)
    assert ood_score(ood_model, -features).min() > ood_score(ood_model, features).max()


def test_length_of_features_does_not_matter(cloud):
    features, truth = cloud
    ood_model = ood_model_from_features(features, truth, species=3)
    assert ood_score(ood_model, 7 * features) == pytest.approx(
        ood_score(ood_model, features), abs=1e-4
    )


def test_fewer_photos_than_features_and_one_photo_a_species():
    features = np.random.default_rng(5).normal(size=(6, 40))
    few = ood_model_from_features(features, np.array([0, 0, 0, 1, 1, 1]), species=2)
    assert ood_score(few, features).mean() == pytest.approx(1, abs=0.05)
    single = ood_model_from_features(features, np.arange(6), species=6)
    assert ood_score(single, features) == pytest.approx(np.zeros(6), abs=1e-4)
    assert (ood_score(single, -features) > 1).all()


def test_species_without_photos_is_never_the_nearest(cloud):
    features, truth = cloud
    with_empty = ood_model_from_features(features, truth, species=5)
    assert ood_score(with_empty, features) == pytest.approx(
        ood_score(ood_model_from_features(features, truth, species=3), features), rel=1e-3
    )


def test_written_model_gives_equal_scores(cloud, tmp_path):
    features, truth = cloud
    ood_model = ood_model_from_features(features, truth, species=3)
    ood_model.write(tmp_path / "f.npz")
    assert np.array_equal(
        ood_score(OodModel.read(tmp_path / "f.npz"), features), ood_score(ood_model, features)
    )
