"""The HTTP servers on Twisted Web: the private site and the public site."""
