"""Samples in: readers, rendered faces, manifests, one sample schema, tf.data."""
