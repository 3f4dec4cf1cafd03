"""Everything between bytes and sessions: WebSocket, RawSocket, serializers, the fan-out."""
