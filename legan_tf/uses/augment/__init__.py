"""Augmentation of a training set by edits of its train images."""
