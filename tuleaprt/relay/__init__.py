"""Tuleap's inputs on their way through the journal into the realm."""
