"""socket.io for Tuleap's own pages, without a network: packets, heartbeats, and the events of the pages."""
