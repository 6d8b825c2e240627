"""Experiments and benchmarks built on legan_tf; nothing in legan_tf imports them."""
