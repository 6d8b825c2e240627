"""Checks in the graph of a signature. Each fails with ``tf.errors.InvalidArgumentError``.

The message is a sentence that names the rows of the batch.
"""

from __future__ import annotations

import tensorflow as tf

MAX_ROWS = 64
"""Requests with more rows are refused: a row may take few bytes on the wire, and always takes the
memory that the network needs for a picture."""
NAMED_ROWS = 5


def require(holds: tf.Tensor, problems: tf.Tensor) -> tf.Operation:
    """Returns an operation that fails where a condition does not hold.

    Args:
        holds: bool [B].
        problems: string [B], the message for each row; the first ``NAMED_ROWS`` are shown.
    """
    shown = tf.boolean_mask(problems, tf.logical_not(holds))[:NAMED_ROWS]
    return tf.debugging.Assert(tf.reduce_all(holds), [tf.strings.reduce_join(shown, separator=" ")])


def at_most_max_rows(rows: tf.Tensor) -> tf.Operation:
    """Returns an operation that fails if a request has more than ``MAX_ROWS`` rows."""
    message = tf.strings.join(
        [f"A request may have {MAX_ROWS} rows and this has ", tf.strings.as_string(rows)]
        + [": send several."]
    )
    return tf.debugging.Assert(rows <= MAX_ROWS, [message])


def row_names(rows: tf.Tensor) -> tf.Tensor:
    """Returns how messages begin: string [B] of ``Row N: `` for a tensor of B rows."""
    return tf.strings.join(["Row ", tf.strings.as_string(tf.range(tf.shape(rows)[0])), ": "])
