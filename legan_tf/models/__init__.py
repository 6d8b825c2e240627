"""Networks only: no losses, no files."""

from legan_tf.models.classifier import AttributeClassifier
from legan_tf.models.discriminator import Discriminator
from legan_tf.models.generator import AttributeGenerator
from legan_tf.models.legan import LeganGenerator
from legan_tf.models.lightcnn import LightCNN29
from legan_tf.models.network import Network, copy_of
from legan_tf.models.quality import QualityEstimator
from legan_tf.models.stargan import StarganGenerator

__all__ = [
    "AttributeClassifier",
    "AttributeGenerator",
    "Discriminator",
    "LeganGenerator",
    "LightCNN29",
    "Network",
    "QualityEstimator",
    "StarganGenerator",
    "copy_of",
]
