"""Depth and normal maps of faces from fitted meshes, as Bodur et al. made their data."""
