"""The order of inputs, and where they are kept."""
