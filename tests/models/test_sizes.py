"""The published sizes, and those that follow from the published tables, to the parameter."""

from __future__ import annotations

import gc

import pytest

from legan_tf.data import attributes
from legan_tf.data.action_units import NAMES
from legan_tf.data.conditions import RangeCondition, of_classes
from legan_tf.models import (
    CycleganGenerator,
    Discriminator,
    FidInception,
    GanimationGenerator,
    LeganGenerator,
    LightCNN29,
    PatchDiscriminator,
    QualityEstimator,
    StarganGenerator,
    VggFace,
    Vggface2ResNet50,
    ganimation_discriminator,
)

SIX = attributes.MULTIPIE_EXPRESSIONS
EIGHT = attributes.AFFECTNET_EXPRESSIONS
TWENTY = attributes.lightings(merge_flashless=False)


@pytest.fixture(autouse=True)
def freed():
    """The networks are large; each is gone before the next one is made."""
    yield
    gc.collect()


def test_stargan_generator_of_eight_attributes():
    network = StarganGenerator(of_classes(expression=EIGHT))
    network.build()
    assert network.count_params() == 8_439_936


def test_stargan_generator_of_legans_26_attributes():
    network = StarganGenerator(of_classes(expression=SIX, lighting=TWENTY))
    network.build()
    assert network.count_params() == 8_496_384


@pytest.mark.parametrize(
    ("expressions", "lightings", "size", "count"),
    [(8, 0, 128, 44_786_624), (6, 20, 128, 44_934_080), (8, 0, 256, 44_983_232)],
)
def test_discriminator(expressions, lightings, size, count):
    conditions = of_classes(expression=EIGHT[:expressions], lighting=TWENTY[:lightings])
    network = Discriminator(conditions, size)
    network.build()
    assert network.count_params() == count


@pytest.mark.parametrize(("units", "count"), [(17, 8_471_296), (12, 8_455_616)])
@pytest.mark.parametrize("size", [128, 256])
def test_ganimation_generator(units, count, size):
    network = GanimationGenerator((RangeCondition("action_units", NAMES[:units]),), size)
    network.build()
    assert network.count_params() == count


@pytest.mark.parametrize(
    ("units", "size", "count"),
    [
        (17, 128, 44_860_352),
        (12, 128, 44_819_392),
        (17, 256, 45_278_144),
        (12, 256, 45_114_304),
    ],
)
def test_ganimation_discriminator(units, size, count):
    network = ganimation_discriminator((RangeCondition("action_units", NAMES[:units]),), size)
    network.build()
    assert network.count_params() == count


@pytest.mark.parametrize(("blocks", "count"), [(9, 11_378_179), (6, 7_837_699)])
@pytest.mark.parametrize("size", [128, 256])
def test_cyclegan_generator(blocks, count, size):
    network = CycleganGenerator(size, blocks=blocks)
    network.build()
    assert network.count_params() == count


@pytest.mark.parametrize(("size", "patches"), [(128, 14), (256, 30)])
def test_patch_discriminator(size, patches):
    network = PatchDiscriminator(size)
    network.build()
    assert network.count_params() == 2_764_737
    assert network.body.compute_output_shape((1, size, size, 3)) == (1, patches, patches, 1)


def test_quality_estimator():
    network = QualityEstimator()
    network.build()
    assert network.count_params() == 46_800_321
    assert network.trunk.count_params() == 44_702_656
    kernels = [tuple(w.shape) for w in network.trunk.weights if len(w.shape) == 4]
    channels = [3, 64, 128, 256, 512, 1024, 2048]
    assert kernels == [(4, 4, i, o) for i, o in zip(channels, channels[1:])]
    assert tuple(network.fc0.kernel.shape) == (2 * 2 * 2048, 256)


def test_lightcnn():
    network = LightCNN29()
    network.build()
    assert network.trunk.count_params() == 8_378_464
    assert network.count_params() == 10_475_872
    # With the softmax over the 80,013 people of the reference weights.
    assert network.count_params() + 256 * 80_013 == 30_959_200


def test_lightcnn_of_version_1():
    network = LightCNN29(version=1)
    network.build()
    assert network.trunk.count_params() == 8_378_464
    assert network.count_params() == 12_573_280


def test_vgg_face():
    network = VggFace()
    network.build()
    # VGG-16 of ImageNet less its last layer, which is 4096 x 1000 and as many biases.
    assert network.count_params() == 138_357_544 - 4097 * 1000


def test_vggface2_resnet50():
    network = Vggface2ResNet50()
    network.build()
    # ResNet-50 of ImageNet less its last layer; a bias, not two weights, for 26,560 channels.
    assert network.count_params() == 25_557_032 - 2049 * 1000 - 26_560


def test_fid_inception():
    network = FidInception()
    network.build()
    # Keras' InceptionV3 without top has three normalising weights for each of 17,216 channels.
    assert network.count_params() == 21_802_784 - 2 * 17_216


def test_legan_generator():
    network = LeganGenerator(of_classes(expression=SIX, lighting=TWENTY))
    network.build()
    # By hand, convolutions and scales: in, 4x4, 4x4, six blocks, two doublings, out.
    shared = 128 + (131_072 + 256) + (524_288 + 512) + 6 * 1_180_672
    shared += (1_179_648 + 256) + (294_912 + 128)
    masks = 7 * 7 * 64 * 64
    assert network.expression_hourglass.count_params() == 7 * 7 * 9 * 64 + shared + masks
    assert network.lighting_hourglass.count_params() == 7 * 7 * 23 * 64 + shared + masks
    assert network.synthesis_hourglass.count_params() == 7 * 7 * 128 * 64 + shared + 7 * 7 * 64 * 3
    assert network.count_params() == 28_558_272
