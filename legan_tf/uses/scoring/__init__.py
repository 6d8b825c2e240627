"""Naturalness ratings by Q of all images in a folder, and copies of those rated best."""
