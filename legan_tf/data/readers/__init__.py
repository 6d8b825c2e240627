"""Readers of published data sets: the folder as its authors give it in, one manifest out."""
