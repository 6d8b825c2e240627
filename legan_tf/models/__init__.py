"""Networks, and the files that hold them; no losses."""

from legan_tf.models.classifier import AttributeClassifier
from legan_tf.models.cyclegan import CycleganGenerator, PatchDiscriminator
from legan_tf.models.depth import MAP_DOMAIN, RGB_DOMAIN, DepthNetwork
from legan_tf.models.discriminator import Discriminator
from legan_tf.models.ganimation import GanimationGenerator, ganimation_discriminator
from legan_tf.models.generator import AttributeGenerator
from legan_tf.models.inception import FidInception
from legan_tf.models.legan import LeganGenerator
from legan_tf.models.lightcnn import LightCNN29
from legan_tf.models.network import FaceNetwork, Network, copy_of
from legan_tf.models.pretrained.vgg19 import vgg19_taps
from legan_tf.models.quality import QualityEstimator
from legan_tf.models.resnet import Vggface2ResNet50
from legan_tf.models.stargan import StarganGenerator
from legan_tf.models.vgg_face import VggFace

__all__ = [
    "MAP_DOMAIN",
    "RGB_DOMAIN",
    "AttributeClassifier",
    "AttributeGenerator",
    "CycleganGenerator",
    "DepthNetwork",
    "Discriminator",
    "FaceNetwork",
    "FidInception",
    "GanimationGenerator",
    "LeganGenerator",
    "LightCNN29",
    "Network",
    "PatchDiscriminator",
    "QualityEstimator",
    "StarganGenerator",
    "VggFace",
    "Vggface2ResNet50",
    "copy_of",
    "ganimation_discriminator",
    "vgg19_taps",
]
