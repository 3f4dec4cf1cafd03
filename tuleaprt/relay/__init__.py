"""The way of inputs through the journal into the realm."""
