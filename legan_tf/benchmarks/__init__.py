"""How fast the package is beside what it replaces."""
