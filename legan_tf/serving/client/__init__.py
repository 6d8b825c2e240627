"""Clients of a server that serves exported networks: edit, rate and map pictures; no TensorFlow."""

from legan_tf.serving.client.async_client import AsyncClient, Masks, Scores
from legan_tf.serving.client.blocking_client import Client
from legan_tf.serving.client.connection import Tls
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
from legan_tf.serving.client.served_models import VersionStatus

__all__ = [
    "AccessDenied",
    "AsyncClient",
    "Client",
    "ClientError",
    "DeadlineExceeded",
    "InvalidRequest",
    "Masks",
    "MessageTooLarge",
    "ModelNotFound",
    "Overloaded",
    "Scores",
    "ServerError",
    "ServerUnavailable",
    "SignatureNotFound",
    "Tls",
    "VersionStatus",
]
