"""From pictures with faces anywhere in them to faces that all stand alike."""
