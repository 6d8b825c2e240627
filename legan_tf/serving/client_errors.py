"""What can go wrong between a client and a server, each with a sentence that says what to do."""

from __future__ import annotations

import re
from collections.abc import Callable

from legan_tf.errors import UserError


class ClientError(UserError):
    """A call to a server failed.

    Attributes:
        sentence: What happened, without where.
        address: The server's.
        model: Name of the model that was asked for, or nothing.
        signature: Name of its signature, or nothing.
    """

    def __init__(self, sentence: str, address: str, model: str = "", signature: str = "") -> None:
        """Takes what happened, and where."""
        where = ", ".join(
            [address]
            + [
                f"{what} {name}"
                for what, name in (("model", model), ("signature", signature))
                if name
            ]
        )
        super().__init__(f"{where}: {sentence}")
        self.sentence = sentence
        self.address = address
        self.model = model
        self.signature = signature

    def __reduce__(self) -> tuple[type[ClientError], tuple[str, ...]]:
        """Lets it pass from one process to another."""
        return type(self), (self.sentence, self.address, self.model, self.signature)


class ServerUnavailable(ClientError):
    """No server answers at the address, or none does yet; tried until the timeout."""


class DeadlineExceeded(ClientError):
    """The server did not answer within the timeout; not tried again."""


class InvalidRequest(ClientError):
    """The server refused what was sent; the message names the pictures by their places."""


class ModelNotFound(ClientError):
    """The server does not serve the model, or not the version."""


class SignatureNotFound(ClientError):
    """The model does not offer what was asked for."""


class Overloaded(ClientError):
    """The server has more to do than it takes on."""


class MessageTooLarge(ClientError):
    """The server, or something before it, takes no message of this size."""


class AccessDenied(ClientError):
    """The server wants to know who asks, or does not answer to who does."""


class ServerError(ClientError):
    """The server failed, or answered what cannot be understood."""


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
    AccessDenied: "access was denied ({told}); check metadata and the client's certificate.",
    DeadlineExceeded: "no answer within the timeout ({told}); give a longer one, or smaller jobs.",
    InvalidRequest: "{told}.",
    MessageTooLarge: "the message is too large ({told}); lower max_batch.",
    ModelNotFound: "is not served ({told}); check the name, and the server's models.config.",
    Overloaded: "the server is overloaded ({told}); send less at once, or try again later.",
    ServerError: "the server failed ({told}); its log may say more.",
    ServerUnavailable: "no server answers ({told}); check the address, and whether it runs.",
    SignatureNotFound: "is not offered ({told}); export the model again with this version.",
}


def is_full(details: str) -> bool:
    """Returns whether ``UNAVAILABLE`` came from a server that is there and has too much to do.

    Args:
        details: What came with it; TensorFlow Serving says that "the batch scheduling queue to
            which this task was submitted is full".
    """
    return bool(_FULL.search(details))


def from_status(
    code: str, details: str, address: str, model: str = "", signature: str = ""
) -> ClientError:
    """Returns the error for a status that is not OK.

    Args:
        code: Name of gRPC's status code.
        details: What came with it.
        address: See ``ClientError``, as the next ones.
        model: Name of the model.
        signature: Name of its signature.
    """
    kind = _CLASSES.get(code, ServerError)
    if kind is Overloaded and "message larger than max" in details:
        kind = MessageTooLarge
    if kind is ServerUnavailable and is_full(details):
        kind = Overloaded
    told = sentence_of(details).rstrip(".")
    if kind is ServerError:
        told = f"{code}: {told}"
    return kind(_SENTENCES[kind].format(told=told), address, model, signature)


def sentence_of(details: str) -> str:
    """Returns what a server's error says, without what TensorFlow wraps around it.

    Args:
        details: For instance ``assertion failed: [Row 1: …] [[{{node …}}]]``.
    """
    text = details.rpartition("; last error: ")[2]  # After "failed to connect to all addresses".
    text = re.sub(r"\{\{function_node .*?\}\}", "", text)
    text = re.split(r"\s*\[\[\{\{|\s*\[Op:", text, maxsplit=1)[0]
    _, asserted, sentence = text.rpartition("assertion failed: ")
    if asserted:
        # The values of an assertion come one by one: [sentence] [3] [2].
        sentence = sentence.strip().removeprefix("[").removesuffix("]").replace("] [", " ")
    lines = [line.strip() for line in sentence.splitlines() if line.strip()]
    return " ".join(lines) or "no reason given"


def with_rows_named(error: ClientError, rows: int, name: Callable[[int], str]) -> ClientError:
    """Returns the error with the rows of a chunk called by other names.

    Args:
        error: Its message may hold ``Row N``, counted within the chunk.
        rows: How many rows the chunk has; others are left as they are, since they are not its own:
            servers that merge requests count in what they merged.
        name: Returns what to call a row.
    """

    def named(found: re.Match[str]) -> str:
        return name(int(found[1])) if int(found[1]) < rows else found[0]

    sentence = _ROW.sub(named, error.sentence)
    return type(error)(sentence, error.address, error.model, error.signature)
