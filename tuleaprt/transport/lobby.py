"""Those who have connected and not shown yet who they are: they cost as much as others, and all can come."""


class Lobby:
    """Counts them, at one door. Twice as many as may be here may come: half of them to be told to go."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.inside = 0

    @property
    def is_crowded(self) -> bool:
        """Whether the last who came is one too many."""
        return self.inside > self.most

    @property
    def is_overrun(self) -> bool:
        """Whether there is not even room to tell him so."""
        return self.inside > 2 * self.most

    def enter(self) -> None:
        self.inside += 1

    def leave(self) -> None:
        self.inside -= 1
