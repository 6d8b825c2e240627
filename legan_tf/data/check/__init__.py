"""The doctor of data sets: what is wrong or strange in a manifest, in words and pictures."""
