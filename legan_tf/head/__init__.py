"""A morphable head: fit, surface, light, expression, and the edit of a photograph."""
