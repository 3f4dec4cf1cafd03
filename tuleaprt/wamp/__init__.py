"""A WAMP router without a network and without Tuleap. Pure and synchronous."""
