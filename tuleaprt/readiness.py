"""Whether posts and clients may be sent here."""

from collections.abc import Callable


class Readiness:
    """``probe`` says what is wrong with the way from a post to a client; None: nothing.

    The key is loaded, or there is no server.
    """

    def __init__(self, probe: Callable[[], str | None]) -> None:
        self._probe = probe
        self.is_listening = False
        self.is_stopping = False

    def problems(self) -> list[str]:
        """For a person, a line each; none: it is ready."""
        found = [
            "shutting down" if self.is_stopping else None,
            None if self.is_listening or self.is_stopping else "not listening",
            self._probe(),
        ]
        return [it for it in found if it is not None]
