"""The options, how they are read, and what is read again while the server runs."""
