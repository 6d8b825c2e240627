"""Timings of legan_tf next to the software that it replaces."""
