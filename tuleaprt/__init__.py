"""tuleaprt: the real-time server of Tuleap, a WAMP router on Twisted and Autobahn."""
