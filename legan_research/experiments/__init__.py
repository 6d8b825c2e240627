"""Experiments on rendered faces: the effect of filtering and augmentation."""
