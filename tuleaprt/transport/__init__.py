"""Autobahn on one side, Session on the other."""
