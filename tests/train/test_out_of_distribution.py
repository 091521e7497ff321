import numpy as np
import pytest
import torch
from torch import nn

from ophis.train.export.onnx_export import check_parity, write_onnx
from ophis.train.out_of_distribution import (
    SHRINKAGE,
    OodModel,
    WithOodScore,
    ood_model_from_features,
)


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


@pytest.fixture
def collapsed():
    """Features of a network trained to the end on few photos: of each species almost one."""
    rng = np.random.default_rng(6)
    truth = np.arange(15) % 3
    spread = rng.normal(size=(6, 1280))  # of new photos, in few directions

    def photos(truth, scatter):
        centres = np.random.default_rng(7).normal(size=(3, 1280))
        return centres[truth] + scatter * rng.normal(size=(len(truth), 6)) @ spread

    return photos(truth, 1e-3), truth, photos(np.arange(60) % 3, 5e-3), photos(truth, 0.2)


def test_features_without_scatter_have_scores_that_rounding_does_not_change(collapsed):
    features, truth, near, far = collapsed
    ood_model = ood_model_from_features(features, truth, species=3)
    precise = ood_model_from_features(features, truth, species=3).double()
    for photos in (features, near, far):
        found = ood_score(ood_model, photos)
        assert (found >= 0).all()
        unit = torch.from_numpy(photos / np.linalg.norm(photos, axis=1, keepdims=True))
        expected = precise._distances((unit[:, None] - precise.means).flatten(0, 1))
        expected = expected.reshape(len(photos), 3).amin(1).numpy()
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
        # Torch and ONNX Runtime differ by about a millionth in the features.
        noise = np.random.default_rng(8).normal(size=photos.shape)
        np.testing.assert_allclose(
            ood_score(ood_model, photos * (1 + 1e-6 * noise)), found, rtol=1e-4, atol=1e-4
        )
    near, far = ood_score(ood_model, near), ood_score(ood_model, far)
    assert np.mean(near[:, None] < far) > 0.99


def test_nearest_of_almost_equal_species_is_that_of_float64():
    """A network after one step gives all photos almost one feature."""
    rng = np.random.default_rng(9)
    truth = np.arange(9) % 3
    features = rng.normal(size=1280) + 1e-4 * rng.normal(size=(9, 1280))
    ood_model = ood_model_from_features(features, truth, species=4)
    photos = torch.from_numpy(features + 3e-5 * rng.normal(size=features.shape))
    unit = torch.nn.functional.normalize(photos, dim=1)
    precise = ood_model_from_features(features, truth, species=4).double()
    expected = precise._distances((unit[:, None] - precise.means).flatten(0, 1)).reshape(9, 4)
    np.testing.assert_allclose(ood_score(ood_model, photos.numpy()), expected.amin(1), rtol=1e-2)


class Features(nn.Module):
    """Network whose features are the means over the columns of the pixels, times constants."""

    kinds: torch.Tensor

    def __init__(self, features):
        super().__init__()
        self.head = nn.Linear(features.shape[1], 3)
        self.register_buffer("kinds", torch.from_numpy(features.astype(np.float32)))

    def forward_features(self, pixels):
        return pixels.mean(dim=(1, 2)) @ self.kinds * 1e-3 + self.kinds[0]

    def forward_head(self, features, *, pre_logits=False):
        return features if pre_logits else self.head(features)


def test_scores_of_a_collapsed_network_are_equal_in_onnx(collapsed, tmp_path):
    features, truth, *_ = collapsed
    ood_model = ood_model_from_features(features, truth, species=3)
    model = WithOodScore(Features(features), ood_model).eval()
    outputs = ("logits", "ood_score")
    write_onnx(model, tmp_path / "m.onnx", side=len(features), outputs=outputs)
    check_parity(model, tmp_path / "m.onnx", side=len(features))
