"""The journal: the order of all inputs."""
