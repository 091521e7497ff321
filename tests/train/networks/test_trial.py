"""Backbones of timm's families: trained, exported and used, or refused before the first file."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

import ophis
from ophis import InputError
from ophis.train import fit
from ophis.train.export import export
from ophis.train.networks.model import classifiers_of, create_model
from ophis.train.networks.trial import require_trainable

# Name, crop_pixels, test_pixels.
QUICK = [
    ("deit_tiny_distilled_patch16_224", 64, 80),
    ("levit_128s", 64, 64),
]
SMALL = [
    ("resnet18", 64, 80),
    ("resnet18d", 64, 80),
    ("resnetv2_50x1_bit", 64, 80),
    ("efficientnet_b0", 64, 80),
    ("mobilenetv3_small_050", 64, 80),
    ("mobilenetv4_conv_small", 64, 80),
    ("convnext_atto", 64, 80),
    ("convnextv2_atto", 64, 80),
    ("vit_tiny_patch16_224", 224, 256),
    ("vit_small_patch14_dinov2", 56, 70),
    ("levit_128s", 224, 224),
    ("swin_tiny_patch4_window7_224", 64, 80),
    ("swinv2_tiny_window8_256", 64, 80),
    ("caformer_s18", 64, 80),
    ("eva02_tiny_patch14_224", 56, 84),
    ("inception_v3", 96, 128),
    ("legacy_xception", 64, 80),
    ("densenet121", 64, 80),
    ("regnetx_002", 64, 80),
    ("coatnet_nano_rw_224", 64, 64),
    ("tiny_vit_5m_224", 64, 80),
    ("mobilevit_xxs", 64, 80),
    ("edgenext_xx_small", 64, 80),
    ("hrnet_w18_small", 64, 64),
    ("dm_nfnet_f0", 64, 80),
    ("ghostnet_100", 64, 80),
    ("repvgg_a0", 64, 80),
]


@pytest.mark.parametrize(
    ("backbone", "crop", "test"),
    [*QUICK, *(pytest.param(*each, marks=pytest.mark.full) for each in SMALL)],
)
def test_backbone_is_trained_exported_and_identifies(
    backbone, crop, test, coloured, small, tmp_path
):
    recipe = small(
        backbone=backbone, resize_pixels=crop, crop_pixels=crop, test_pixels=test, steps=1,
        batch_photos=2, micro_batch_photos=2, warmup_steps=0, decay_steps=(),
    )  # fmt: skip
    train, validation = coloured.take(np.arange(9)), coloured.take(np.arange(30, 36))
    run = fit(recipe, train=train, validation=validation, out=tmp_path / "run", workers=1)
    bundle = export(run, tmp_path / "bundle")
    scores = ophis.read_scores(run / "scores.npz")
    found = ophis.load(bundle).score(validation)
    np.testing.assert_allclose(found.probabilities(), scores.probabilities(), atol=1e-4)
    assert found.ood_score == pytest.approx(scores.ood_score, rel=1e-3, abs=1e-3)


@pytest.mark.parametrize(
    ("backbone", "crop", "test"), [*QUICK, ("caformer_s18", 64, 64), ("repvit_m0_9", 64, 64)]
)
def test_zero_head_learns_from_the_first_step(backbone, crop, test):
    """A norm or a hidden layer of zeros before the logits would keep their weights at zero."""
    model = create_model(backbone, species=3, weights="none", sides=(crop, test))
    assert not any(p.any() for head in classifiers_of(model) for p in head.parameters())
    pixels = torch.rand(2, 3, crop, crop, generator=torch.Generator().manual_seed(0))
    functional.cross_entropy(model(pixels), torch.tensor([0, 1])).backward()
    gradients = [head.weight.grad for head in classifiers_of(model)]
    assert any(gradient is not None and gradient.any() for gradient in gradients)


REFUSED = [
    (
        {"backbone": "vit_tiny_patch16_224", "resize_pixels": 60, "crop_pixels": 60},
        r"crop_pixels = 60: .*divisible by patch size.*32 and 64 and 224 fit",
    ),
    (
        {"backbone": "levit_128s", "test_pixels": 64},
        r"crop_pixels = 32: levit_128s does not take it .*224 fit",
    ),
    (
        {"backbone": "inception_v3", "test_pixels": 64, "crop_pixels": 96, "resize_pixels": 96},
        r"test_pixels = 64: inception_v3 does not take it .*96 and 299 fit",
    ),
    (
        {"backbone": "resnet10t", "batch_photos": 2, "micro_batch_photos": 1},
        r"micro_batch_photos = 1: resnet10t .*use 2 or more",
    ),
    ({"backbone": "resnet999"}, r"timm has no backbone called 'resnet999'"),
    ({"weights": "none.pt"}, r"no such weights file"),
]


@pytest.mark.parametrize(("changes", "words"), REFUSED)
def test_unfit_recipe_is_refused_before_the_first_file(changes, words, coloured, small, tmp_path):
    train, validation = coloured.take(np.arange(9)), coloured.take(np.arange(30, 36))
    with pytest.raises(InputError, match=words) as error:
        fit(small(**changes), train=train, validation=validation, out=tmp_path / "run")
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


def test_trial_changes_no_weight_of_a_run(coloured, small, tmp_path, monkeypatch):
    """Statistics of batch norm, gradients and random numbers are those of a run without it."""
    recipe = small(backbone="resnet10t", dropout=0.5)
    train, validation = coloured.take(np.arange(9)), coloured.take(np.arange(30, 36))

    def weights(out: Path) -> dict[str, torch.Tensor]:
        from ophis.train.checkpoint import load_checkpoint

        checkpoint = load_checkpoint(fit(recipe, train=train, validation=validation, out=out))
        assert checkpoint
        return checkpoint.model

    tried = weights(tmp_path / "tried")
    monkeypatch.setattr("ophis.train.training_state.require_trainable", lambda *_, **__: None)
    plain = weights(tmp_path / "plain")
    assert all(torch.equal(tensor, plain[name]) for name, tensor in tried.items())


def test_frozen_stages_stay_in_eval_mode(small):
    model = create_model("resnet10t", species=2, weights="none").train()
    model.get_submodule("bn1").eval()
    require_trainable(model, crop_pixels=64, test_pixels=64, micro_batch_photos=4)
    assert not model.get_submodule("bn1").training
    assert model.training
