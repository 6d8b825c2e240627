"""Rating the pictures of a folder by how natural people would find them, and keeping the best."""
