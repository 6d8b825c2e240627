"""Studies in which people rate or choose images by how natural they look.

``build`` draws the questions and writes the page; ``server`` serves the page and stores answers;
``collect`` analyses the answers of the server, of downloaded files and of Mechanical Turk.
"""
