"""Metrics: pure functions on arrays, registered beside their definition (see ``registry``)."""
