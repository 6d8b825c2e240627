"""Published weights of others: their files, the conversion of PyTorch's, and the import."""
