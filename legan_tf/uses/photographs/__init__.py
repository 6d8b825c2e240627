"""Editing photographs of people by a morphable head, at their own size, with nothing to train.

``photograph_file`` reads and writes picture files with their colours and ``metadata``;
``photograph_editor`` finds the faces and edits them; ``edit_files`` does so for files and folders;
``demo`` is a page in the browser.
"""
