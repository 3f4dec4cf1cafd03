"""Twisted Web: the private site that Tuleap posts to, and the public one."""
