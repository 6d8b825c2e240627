"""What filtering and augmentation are worth, measured on rendered faces."""
