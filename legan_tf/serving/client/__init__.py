"""Client of a server that serves exported networks: edit, rate and map pictures; no TensorFlow."""

from legan_tf.serving.client.client import Client, Scores, VersionStatus
from legan_tf.serving.client.errors import (
    AccessDenied,
    ClientError,
    DeadlineExceeded,
    InvalidRequest,
    MessageTooLarge,
    ModelNotFound,
    Overloaded,
    ServerError,
    ServerUnavailable,
    SignatureNotFound,
)

__all__ = [
    "AccessDenied",
    "Client",
    "ClientError",
    "DeadlineExceeded",
    "InvalidRequest",
    "MessageTooLarge",
    "ModelNotFound",
    "Overloaded",
    "Scores",
    "ServerError",
    "ServerUnavailable",
    "SignatureNotFound",
    "VersionStatus",
]
