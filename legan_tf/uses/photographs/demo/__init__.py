"""A page in the browser of this computer, where one edits a photograph and sees it beside it."""
