"""Plotting: charts and sheets of pictures, drawn with Pillow."""
