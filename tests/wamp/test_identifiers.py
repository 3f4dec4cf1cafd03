"""URIs and ids."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuleaprt.wamp.identifiers import MAX_ID, is_uri, publication_id

EPOCH = b"e" * 32


@pytest.mark.parametrize("uri", ["a", "org.tuleap.kanban.3", "com.example.ünï", "a.b-c_d", "org.TULEAP"])
def test_uris(uri: str) -> None:
    assert is_uri(uri)


@pytest.mark.parametrize(
    "text", ["", ".", "a.", ".a", "a..b", "a b", "a.b\n", "\na.b", "a#b", "a.\tb", "a.b\r\n"]
)
def test_texts_that_are_no_uris(text: str) -> None:
    assert not is_uri(text)


@given(st.binary(min_size=1, max_size=64), st.integers(1, 2**63), st.integers(0, 1000))
def test_publication_ids_are_wamp_ids(epoch: bytes, position: int, index: int) -> None:
    assert 1 <= publication_id(epoch, position, index) < MAX_ID


def test_every_node_gives_a_publication_the_same_id() -> None:
    assert publication_id(EPOCH, 7, 0) == publication_id(EPOCH, 7, 0)


def test_ids_tell_publications_apart() -> None:
    ids = {publication_id(EPOCH, position, index) for position in range(1, 200) for index in range(50)}
    assert len(ids) == 199 * 50


def test_a_new_epoch_gives_other_ids() -> None:
    assert publication_id(EPOCH, 1, 0) != publication_id(b"f" * 32, 1, 0)
