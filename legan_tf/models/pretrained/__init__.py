"""Published weights of others: their files, layouts and import."""
