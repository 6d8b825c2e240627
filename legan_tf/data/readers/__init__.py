"""Readers of published data sets; each is a module that registers itself with ``registry``."""
