"""The form of a TFRecord with a picture: its frame and the names of its features."""

from __future__ import annotations

import tensorflow as tf

FRAME_BYTES = 16
"""Bytes that TFRecord adds to each record: its length and two checksums."""

PICTURE, HEIGHT, WIDTH = "image/encoded", "image/height", "image/width"
"""Names of the features with the encoded picture and its size, as in TensorFlow Datasets."""


def serialized_record(shard: tf.Tensor | str, offset: tf.Tensor | int) -> tf.Tensor:
    """Reads the serialized record that begins at an offset, in a TensorFlow graph or out of it.

    TensorFlow compares the checksums of its length and content, and raises errors of its own.
    """
    record = {"output_types": [tf.string], "output_shapes": [[]]}
    with tf.device("/CPU:0"):
        # The public class reads a file from its beginning only. Without a buffer, no more is read
        # than the record itself.
        following = tf.raw_ops.TFRecordDatasetV2(
            filenames=shard,
            compression_type="",
            buffer_size=0,
            byte_offsets=tf.cast(offset, tf.int64),
        )
        one = tf.raw_ops.TakeDataset(input_dataset=following, count=1, **record)
        return tf.raw_ops.DatasetToSingleElement(dataset=one, **record)[0]
