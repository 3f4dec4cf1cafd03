"""URIs, patterns and ids."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuleaprt.wamp.identifiers import MAX_ID, Match, anchor_id, is_pattern, is_uri, publication_id

EPOCH = b"e" * 32
URIS = ["a", "org.tuleap.kanban.3", "com.example.ünï", "a.b-c_d", "org.TULEAP"]
NEVER = ["a b", "a.b\n", "\na.b", "a#b", "a.\tb", "a.b\r\n", "a.\u2028b", "\n", " ", "#"]
"""Neither URIs nor patterns."""


@pytest.mark.parametrize("match", Match)
@pytest.mark.parametrize("uri", URIS)
def test_uris_may_be_matched_in_every_way(uri: str, match: Match) -> None:
    assert is_uri(uri)
    assert is_pattern(uri, match)


@pytest.mark.parametrize("match", Match)
@pytest.mark.parametrize("text", NEVER)
def test_whitespace_and_hashes_are_in_no_uri_and_no_pattern(text: str, match: Match) -> None:
    assert not is_uri(text)
    assert not is_pattern(text, match)


@pytest.mark.parametrize(
    ("text", "ways"),
    [
        ("", {Match.PREFIX, Match.WILDCARD}),
        ("a.", {Match.PREFIX, Match.WILDCARD}),
        ("org.tuleap.", {Match.PREFIX, Match.WILDCARD}),
        (".", {Match.WILDCARD}),
        (".a", {Match.WILDCARD}),
        ("a..b", {Match.WILDCARD}),
        ("a..", {Match.WILDCARD}),
        ("..", {Match.WILDCARD}),
    ],
)
def test_empty_components_are_for_patterns(text: str, ways: set[Match]) -> None:
    assert {match for match in Match if is_pattern(text, match)} == ways
    assert not is_uri(text)


@given(st.text("ab.# \n\u3000ü", max_size=8))
def test_patterns_are_what_their_components_are(text: str) -> None:
    components = text.split(".")
    is_clean = not any(it.isspace() or it == "#" for it in text)
    assert is_uri(text) is (is_clean and all(components))
    assert is_pattern(text, Match.EXACT) is (is_clean and all(components))
    assert is_pattern(text, Match.PREFIX) is (is_clean and all(components[:-1]))
    assert is_pattern(text, Match.WILDCARD) is is_clean


@given(st.binary(min_size=1, max_size=64), st.integers(0, 2**63), st.integers(0, 1000), st.text())
def test_all_ids_are_wamp_ids(epoch: bytes, position: int, index: int, pattern: str) -> None:
    assert 1 <= publication_id(epoch, position, index) < MAX_ID
    assert 1 <= anchor_id(epoch, pattern, position) < MAX_ID


def test_every_node_gives_the_same_ids() -> None:
    assert publication_id(EPOCH, 7, 0) == publication_id(EPOCH, 7, 0)
    assert anchor_id(EPOCH, "org.", 7) == anchor_id(EPOCH, "org.", 7)


def test_ids_tell_publications_apart() -> None:
    ids = {publication_id(EPOCH, position, index) for position in range(1, 200) for index in range(50)}
    assert len(ids) == 199 * 50


def test_anchors_are_those_of_one_pattern_and_one_place() -> None:
    patterns = ["", "0", "1", "a", "a.0"]
    ids = {anchor_id(EPOCH, pattern, position) for pattern in patterns for position in range(200)}
    ids |= {publication_id(EPOCH, position, index) for position in range(200) for index in range(20)}
    assert len(ids) == len(patterns) * 200 + 200 * 20


def test_a_new_epoch_gives_other_ids() -> None:
    assert publication_id(EPOCH, 1, 0) != publication_id(b"f" * 32, 1, 0)
    assert anchor_id(EPOCH, "a", 1) != anchor_id(b"f" * 32, "a", 1)


def test_a_pattern_that_is_no_utf_8_has_an_anchor_too() -> None:
    assert anchor_id(EPOCH, "a.\ud800", 1) != anchor_id(EPOCH, "a.\ud801", 1)


@pytest.mark.parametrize("match", list(Match))
def test_a_uri_that_is_longer_than_any_is_none(match: Match) -> None:
    assert is_pattern("a" * 1000, match)
    assert not is_pattern("a" * 1001, match)
