"""Face alignment: from pictures with faces anywhere to faces in one position."""
