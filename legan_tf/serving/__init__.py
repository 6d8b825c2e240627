"""Using a trained network: load it, edit pictures, export it."""
