import numpy as np
import pytest
import timm
import torch

from ophis.images.decode import read_photo
from ophis.images.preprocessing import preprocess
from ophis.inference.evidence import OUTPUTS
from ophis.train.export.evidence import averages_maps
from ophis.train.export.imagenet17 import imagenet17_model
from ophis.train.networks.model import classifier_of, create_model


def test_the_evidence_sums_up_to_the_logit_in_the_file_that_answers(imagenet17, synthetic_photo):
    """Mean of the map plus the bias of the head, against torch's own logits."""
    network = imagenet17.networks[0]
    pixels = preprocess(read_photo(synthetic_photo), network.member.preprocessing)[None]
    found = network._engine.run(pixels)
    maps, columns = (found[name] for name in OUTPUTS)
    model = imagenet17_model().eval()
    with torch.inference_mode():
        (logits,) = model(torch.from_numpy(pixels)).numpy()
    assert columns[0].tolist() == np.argsort(-logits)[:5].tolist()
    bias = classifier_of(model).get_parameter("bias").detach().numpy()
    sums = maps[0].mean(axis=(1, 2)) + bias[columns[0]]
    np.testing.assert_allclose(sums, logits[columns[0]], atol=1e-3)

    (told,) = imagenet17.identify(synthetic_photo, evidence=True).evidence
    assert told.species == imagenet17.bundle.species[int(columns[0, 0])]
    expected = np.maximum(maps[0, 0], 0) / maps[0, 0].max()
    np.testing.assert_allclose(np.reshape(told.values, expected.shape), expected, atol=1e-4)


def test_maps_are_worked_out_only_when_somebody_asks(imagenet17, synthetic_photo, monkeypatch):
    (network,) = imagenet17.networks
    run, asked = network._engine.run, []

    def noted(pixels, wanted=None):
        found = run(pixels, wanted)
        asked.append(set(found) & set(OUTPUTS))
        return found

    monkeypatch.setattr(network._engine, "run", noted)
    assert imagenet17.identify(synthetic_photo).evidence == ()
    network.outputs(np.zeros((1, 3, 224, 224), np.float32))
    (told,) = imagenet17.identify(synthetic_photo, evidence=True).evidence
    assert told is not None
    assert asked == [set(), set(), set(OUTPUTS)]


@pytest.mark.parametrize(
    ("backbone", "side", "expected"),
    [
        ("resnetv2_50x1_bit", 64, True),
        ("resnet18", 64, True),
        ("vit_tiny_patch16_224", 224, False),  # tokens, and one of them speaks for all
        ("mobilenetv3_small_050", 64, False),  # another layer between the mean and the head
    ],
)
def test_only_heads_whose_logits_are_means_have_evidence(backbone, side, expected):
    torch.manual_seed(0)
    if backbone == "resnetv2_50x1_bit":
        model = create_model(backbone, species=7, weights="none", head="random")
    else:
        model = timm.create_model(backbone, num_classes=7)
    assert averages_maps(model.eval(), side=side) is expected
