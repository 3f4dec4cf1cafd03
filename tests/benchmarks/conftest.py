"""The benchmark is not a package: its modules find each other in their folder, as here."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from load import build


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The load generator."""
    return build(tmp_path_factory.mktemp("load"))
