"""Errors of calls to a server, each with a sentence that says what to do."""

from __future__ import annotations

import re
from collections.abc import Callable

from legan_tf.errors import UserError, first_line
from legan_tf.serving.wire import sentence_of


class ClientError(UserError):
    """A call to a server failed.

    Attributes:
        sentence: The message without address, model and signature.
        address: Address of the server.
        model: Name of the model that was asked for, or nothing.
        signature: Name of its signature, or nothing.
    """

    def __init__(self, sentence: str, address: str, model: str = "", signature: str = "") -> None:
        """Composes the message."""
        names = (model and f", model {model}") + (signature and f", signature {signature}")
        super().__init__(f"{address}{names}: {sentence}")
        self.sentence = sentence
        self.address = address
        self.model = model
        self.signature = signature

    def __reduce__(self) -> tuple[type[ClientError], tuple[str, ...]]:
        """Makes it picklable, to pass between processes."""
        return type(self), (self.sentence, self.address, self.model, self.signature)


class ServerUnavailable(ClientError):
    """No server answers at the address, or not yet."""


class DeadlineExceeded(ClientError):
    """The server did not answer within the timeout; not retried."""


class InvalidRequest(ClientError):
    """The server refused what was sent; the message names the pictures by their places."""


class ModelNotFound(ClientError):
    """The server does not serve the model, or not the version."""


class SignatureNotFound(ClientError):
    """The model does not offer what was asked for."""


class Overloaded(ClientError):
    """The server's queue is full."""


class MessageTooLarge(ClientError):
    """The server, or a proxy before it, takes no message of this size."""


class AccessDenied(ClientError):
    """The server requires other metadata or another client certificate."""


class ServerError(ClientError):
    """The server failed, or its answer cannot be understood."""


_FULL = re.compile(r"\bqueue\b.*\bfull\b", re.DOTALL)
_ROW = re.compile(r"\bRow (\d+)\b")

_CLASSES = {
    "DEADLINE_EXCEEDED": DeadlineExceeded,
    "FAILED_PRECONDITION": SignatureNotFound,
    "INVALID_ARGUMENT": InvalidRequest,
    "NOT_FOUND": ModelNotFound,
    "PERMISSION_DENIED": AccessDenied,
    "RESOURCE_EXHAUSTED": Overloaded,
    "UNAUTHENTICATED": AccessDenied,
    "UNAVAILABLE": ServerUnavailable,
}
_SENTENCES = {
    AccessDenied: "access was denied ({reason}); check metadata and the client's certificate.",
    DeadlineExceeded: "no answer within the timeout ({reason}); give a longer one or smaller jobs.",
    InvalidRequest: "{reason}.",
    MessageTooLarge: "the message is too large ({reason}); lower max_batch.",
    ModelNotFound: "is not served ({reason}); check the name, and the server's models.config.",
    Overloaded: "the server is overloaded ({reason}); send less at once, or try again later.",
    ServerError: "the server failed ({reason}); its log may say more.",
    ServerUnavailable: "no server answers ({reason}); check the address and TLS, and if it runs.",
    SignatureNotFound: "is not offered ({reason}); export the model again with this version.",
}


def from_status(
    code: str, details: str, address: str, model: str = "", signature: str = ""
) -> ClientError:
    """Returns the error for the name of gRPC's status code and its details."""
    kind = _CLASSES.get(code, ServerError)
    if kind is Overloaded and "message larger than max" in details:
        kind = MessageTooLarge
    if kind is ServerUnavailable and _FULL.search(details):  # As TensorFlow Serving tells it.
        kind = Overloaded
    reason = reason_of(details)
    if kind is ServerError:
        reason = f"{code}: {reason}"
    return kind(_SENTENCES[kind].format(reason=reason), address, model, signature)


def reason_of(details: str) -> str:
    """Returns the reason that the details of gRPC's status tell."""
    return sentence_of(details.rpartition("; last error: ")[2]).rstrip(".")


def unintelligible(
    reason: Exception | str, address: str, model: str = "", signature: str = ""
) -> ServerError:
    """Returns the error for an answer that cannot be understood, with what is wrong with it."""
    reason = first_line(reason) if isinstance(reason, Exception) else reason
    return ServerError(
        f"the answer cannot be understood ({reason}); is this a server of this package's models?",
        address,
        model,
        signature,
    )


def with_rows_named(error: ClientError, rows: int, name: Callable[[int], str]) -> ClientError:
    """Returns the error with the rows of a request renamed.

    Args:
        error: Its message may hold ``Row N``, counted within the request.
        rows: Number of rows of the request. Higher rows keep their names: a server that merges
            requests counts in the merged batch.
        name: Returns the new name of a row.
    """

    def named(found: re.Match[str]) -> str:
        return name(int(found[1])) if int(found[1]) < rows else found[0]

    sentence = _ROW.sub(named, error.sentence)
    return type(error)(sentence, error.address, error.model, error.signature)
