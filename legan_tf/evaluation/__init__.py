"""Judging edits, ratings and embeddings."""
