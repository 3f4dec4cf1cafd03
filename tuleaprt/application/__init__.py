"""What twistd runs. The only package that knows all others."""
