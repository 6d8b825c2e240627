"""Builders of the files that come with the morphable head."""
