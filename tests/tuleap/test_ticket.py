"""Tuleap's tokens, and attacks with them."""

import base64
import hmac
import json
import time
from typing import Any
from unittest.mock import ANY

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes import FIXTURES, KEY, MEMBER, cases, ticket
from tuleaprt.errors import ConfigError, TicketError, TicketExpired, TicketRefused
from tuleaprt.tuleap.ticket import MAX_CLOCK_SKEW, TULEAPS_HEADER, TicketVerifier
from tuleaprt.wamp.auth import Identity, Role

MAX_LIFETIME = 1800
RECORDED_AT = json.loads((FIXTURES / "jwt_cases.json").read_text())["now"]

verifier = TicketVerifier(KEY, algorithms=["HS512"], max_lifetime=MAX_LIFETIME)


def authenticate(token: str) -> Identity:
    return verifier.authenticate(token, time.time())


def refusal(token: str) -> str:
    with pytest.raises(TicketRefused) as refused:
        authenticate(token)
    return str(refused.value)


@pytest.mark.parametrize("case", cases("jwt_cases.json"), ids=lambda case: str(case["id"]))
def test_case(case: dict[str, Any]) -> None:
    try:
        verifier.authenticate(case["token"], RECORDED_AT)
        accepted = True
    except TicketError:
        accepted = False
    assert accepted is case["tuleaprt"]["accepted"], case["why"]


CORPUS = [
    ticket(),
    ticket(groups=["é" * 50, "x"]),
    ticket(101, [], key=b"o" * 64),
    ticket(algorithm="HS256"),
    jwt.encode({"data": {}}, KEY, algorithm="HS512"),
    jwt.encode({"data": {}}, KEY, algorithm="HS512", headers={"kid": "1"}),
    *(case["token"] for case in cases("jwt_cases.json") if isinstance(case["token"], str)),
]
SEGMENTS = st.sampled_from([*(part for token in CORPUS for part in token.split(".")), "", "e30", "e31", "e3"])
MUTATIONS = st.one_of(
    st.sampled_from(CORPUS),
    st.lists(SEGMENTS, max_size=4).map(".".join),
    st.tuples(st.sampled_from(CORPUS), st.integers(0, 400), st.text("AZaz09-_=.+/ \n\x00é", max_size=2)).map(
        lambda it: it[0][: it[1]] + it[2] + it[0][it[1] + 1 :]
    ),
    st.sampled_from(CORPUS).map(lambda it: it + "="),
)


@given(MUTATIONS)
def test_the_short_way_admits_nothing_that_pyjwt_refuses(token: str) -> None:
    payload = verifier._payload_of_tuleaps(token)
    if payload is not None:
        assert jwt.PyJWS().decode(token, KEY, ["HS512"]) == payload


def test_a_payload_whose_length_is_no_base64_is_left_to_pyjwt() -> None:
    signed = f"{TULEAPS_HEADER}.e30aa"
    signature = base64.urlsafe_b64encode(hmac.digest(KEY, signed.encode(), "sha512")).decode().rstrip("=")
    assert verifier._payload_of_tuleaps(f"{signed}.{signature}") is None
    assert refusal(f"{signed}.{signature}") == "DecodeError"


def test_tuleaps_tokens_take_the_short_way_and_all_others_take_pyjwts() -> None:
    assert [verifier._payload_of_tuleaps(it) is not None for it in CORPUS[:6]] == [True, True, *[False] * 4]
    other = TicketVerifier(KEY, algorithms=["HS256"], max_lifetime=MAX_LIFETIME)
    assert other._payload_of_tuleaps(CORPUS[0]) is None


def test_the_identity_is_what_the_token_says() -> None:
    exp = time.time() + 600.25
    assert authenticate(ticket(101, ["@site_active", "@ug_159"], exp=exp)) == Identity(
        user_id=101,
        role=Role.USER,
        groups=frozenset({"@site_active", "@ug_159"}),
        topics=None,
        exp=exp,
        expires_at=ANY,
    )


def test_groups_may_be_none_at_all() -> None:
    assert authenticate(ticket(groups=[])).groups == frozenset()


def test_rooms_absent_and_rooms_empty_are_not_the_same() -> None:
    assert authenticate(ticket()).topics is None
    assert authenticate(ticket(rooms=[])).topics == frozenset()
    assert authenticate(ticket(rooms=["org.tuleap.kanban.3"])).topics == {"org.tuleap.kanban.3"}


def test_an_operator_is_made_by_the_token() -> None:
    assert authenticate(ticket(role="operator")).role is Role.OPERATOR


def test_a_token_that_is_good_for_a_hundred_years_is_good_for_the_longest_lifetime() -> None:
    now = time.time()
    distant = ticket(exp=now + 3_000_000_000)
    assert now + 0.98 * MAX_LIFETIME < verifier.authenticate(distant, now).expires_at <= now + MAX_LIFETIME


def test_attack_a_former_ticket_is_shown_again_and_the_clock_of_tuleap_is_ahead() -> None:
    now = time.time()
    former, newest = (ticket(exp=now + made + MAX_CLOCK_SKEW + MAX_LIFETIME) for made in (0, 10))
    newest_ends = verifier.authenticate(newest, now + 10).exp
    for shown in (0, 10, 30, 300):
        assert verifier.authenticate(former, now + shown).exp < newest_ends


def test_sessions_of_tickets_that_end_together_end_each_a_little_earlier() -> None:
    now = time.time()
    ends = {verifier.authenticate(ticket(user, exp=now + 600), now).expires_at for user in range(1, 101)}
    assert len(ends) == 100
    assert now + 590 <= min(ends) < now + 592 < now + 598 < max(ends) <= now + 600


def test_the_same_ticket_always_ends_at_the_same_time() -> None:
    now = time.time()
    token = ticket(exp=now + 600)
    assert verifier.authenticate(token, now) == verifier.authenticate(token, now)


def test_ticket_of_a_user_who_was_revoked_is_refused_and_those_made_afterwards_are_not() -> None:
    strict = TicketVerifier(KEY, algorithms=["HS512"], max_lifetime=MAX_LIFETIME)
    now = time.time()
    later = now + MAX_CLOCK_SKEW + 1
    before, after = ticket(101, exp=now + MAX_LIFETIME), ticket(101, exp=later + MAX_LIFETIME)
    strict.revocations.revoke(101, now)
    for ahead in (0, 5, MAX_CLOCK_SKEW):
        with pytest.raises(TicketRefused, match="revoked"):
            strict.authenticate(ticket(101, exp=now + ahead + MAX_LIFETIME), now)
    with pytest.raises(TicketRefused, match="revoked"):
        strict.authenticate(before, later)
    assert strict.authenticate(after, later).user_id == 101
    assert strict.authenticate(ticket(102, exp=now + 60), now).user_id == 102
    with pytest.raises(TicketRefused, match="revoked"):
        strict.authenticate(ticket(101, role="operator", exp=now + 60), now)


@pytest.mark.parametrize("lifetime", [30, MAX_LIFETIME, 3_000_000])
def test_after_a_revocation_iat_decides_whatever_the_lifetime_is(lifetime: float) -> None:
    strict = TicketVerifier(KEY, algorithms=["HS512"], max_lifetime=MAX_LIFETIME)
    now = time.time()
    strict.revocations.revoke(101, now)
    claims: dict[str, Any] = {"data": {"user_id": 101, "user_rights": []}}
    later = now + MAX_CLOCK_SKEW + 2
    for iat, is_good in ((now - 1, False), (now + MAX_CLOCK_SKEW, False), (later - 1, True)):
        token = signed(json.dumps(claims | {"iat": iat, "exp": later + lifetime}).encode())
        if is_good:
            assert strict.authenticate(token, later).user_id == 101
        else:
            with pytest.raises(TicketRefused, match="revoked"):
                strict.authenticate(token, later)


def test_expired_ticket_is_told_from_a_refused_one() -> None:
    with pytest.raises(TicketExpired):
        authenticate(ticket(exp=time.time() - 1))


def test_ticket_that_expires_between_two_clocks_has_expired() -> None:
    with pytest.raises(TicketExpired):
        verifier.authenticate(ticket(exp=time.time() + 60), time.time() + 61)


def test_expired_ticket_with_a_wrong_signature_is_refused_not_expired() -> None:
    assert "signature" in refusal(ticket(exp=time.time() - 1, key=b"k" * 64))


def test_ticket_signed_none_is_refused() -> None:
    claims = {"data": {"user_id": 102, "user_rights": MEMBER}, "exp": time.time() + 600}
    refusal(jwt.encode(claims, None, algorithm="none"))
    for alg in ("None", "NONE", "nOnE"):
        refusal(forged({"typ": "JWT", "alg": alg}, claims))


@pytest.mark.parametrize("algorithm", ["HS256", "HS384"])
def test_ticket_signed_with_another_algorithm_is_refused(algorithm: str) -> None:
    refusal(ticket(algorithm=algorithm))


def test_other_algorithms_can_be_pinned() -> None:
    other = TicketVerifier(KEY, algorithms=["HS256"], max_lifetime=MAX_LIFETIME)
    assert other.authenticate(ticket(algorithm="HS256"), time.time()).user_id == 102


def test_ticket_signed_with_another_key_is_refused() -> None:
    assert refusal(ticket(key=b"k" * 64)) == "the signature is wrong"


def test_ticket_signed_with_the_decoded_key_is_refused() -> None:
    refusal(ticket(key=base64.b64decode(KEY)))


def test_ticket_signed_with_the_key_and_a_newline_is_refused_and_the_cause_is_said() -> None:
    assert "newline" in refusal(ticket(key=KEY + b"\n"))


def test_ticket_with_an_unknown_critical_header_is_refused() -> None:
    claims = {"data": {"user_id": 102, "user_rights": []}, "exp": time.time() + 600}
    refusal(jwt.encode(claims, KEY, algorithm="HS512", headers={"crit": ["x"], "x": 1}))


NO_TIMES = ["0", "", None, -1, -0.001, True, False, [], {}, 2**53, 1e300, 10**400, float("nan"), float("inf")]


@pytest.mark.parametrize("claim", ["iat", "nbf"])
def test_ticket_of_the_future_is_refused(claim: str) -> None:
    claims = {"data": {"user_id": 102, "user_rights": []}, "exp": time.time() + 1200}
    assert claim in refusal(signed(json.dumps(claims | {claim: time.time() + 600}).encode()))


@pytest.mark.parametrize("claim", ["iat", "nbf"])
@pytest.mark.parametrize("begins", NO_TIMES)
def test_ticket_of_no_time_is_refused(claim: str, begins: object) -> None:
    claims = {"data": {"user_id": 102, "user_rights": []}, "exp": time.time() + 1200}
    authenticate(signed(json.dumps(claims | {claim: time.time() - 1}).encode()))
    reason = refusal(signed(json.dumps(claims | {claim: begins}).encode()))
    assert claim in reason or reason == "DecodeError"


@pytest.mark.parametrize("claim", ["iat", "nbf"])
def test_ticket_that_a_clock_a_little_ahead_has_made_is_good(claim: str) -> None:
    now = time.time()
    claims = {"data": {"user_id": 102, "user_rights": []}, "exp": now + 1200}
    for ahead, is_good in ((0, True), (3, True), (MAX_CLOCK_SKEW - 2, True), (MAX_CLOCK_SKEW + 1, False)):
        token = signed(json.dumps(claims | {claim: now + ahead}).encode())
        if is_good:
            assert verifier.authenticate(token, now).user_id == 102
        else:
            with pytest.raises(TicketRefused, match=claim):
                verifier.authenticate(token, now)


def test_ticket_for_another_service_is_refused() -> None:
    claims = {"data": {"user_id": 102, "user_rights": []}, "exp": time.time() + 600, "aud": "mercure"}
    assert "aud" in refusal(signed(json.dumps(claims).encode()))


@pytest.mark.parametrize(
    "key", [b'{"kty": "oct", "k": "' + KEY + b'"}', b"ssh-rsa " + KEY], ids=["JWK", "SSH"]
)
def test_key_of_another_kind_is_refused_at_the_start(key: bytes) -> None:
    with pytest.raises(ConfigError, match="another kind than Tuleap's"):
        TicketVerifier(key, algorithms=["HS512"], max_lifetime=MAX_LIFETIME)


@pytest.mark.parametrize("user_id", ["102", True, False, 0, -1, 1.0, None, [], 2**53])
def test_user_id_that_is_no_users_is_refused(user_id: object) -> None:
    assert "user_id" in refusal(ticket(user_id))


@pytest.mark.parametrize("groups", [None, "@site_active", {"0": "@site_active"}, [1], [None], True])
def test_groups_that_are_no_list_of_texts_are_refused(groups: object) -> None:
    assert "user_rights" in refusal(ticket(groups=groups))


@pytest.mark.parametrize(
    "exp", ["9999999999", True, [], {}, float("inf"), float("nan"), 10**400, -(10**400), 1e300]
)
def test_exp_that_is_no_number_is_refused(exp: object) -> None:
    claims = {"data": {"user_id": 102, "user_rights": []}, "exp": exp}
    with pytest.raises(TicketError):
        authenticate(signed(json.dumps(claims).encode()))


@pytest.mark.parametrize("missing", ["exp", "data"])
def test_missing_claim_is_refused(missing: str) -> None:
    claims = {"data": {"user_id": 102, "user_rights": []}, "exp": time.time() + 600}
    del claims[missing]
    refusal(jwt.encode(claims, KEY, algorithm="HS512"))


@pytest.mark.parametrize("role", ["admin", None, 1, ["operator"], "Operator", {}])
def test_unknown_role_is_refused(role: object) -> None:
    assert "role" in refusal(ticket(role=role))


@pytest.mark.parametrize("rooms", [None, "org.tuleap.kanban.3", [3], {}])
def test_rooms_that_are_no_list_of_texts_are_refused(rooms: object) -> None:
    assert "rooms" in refusal(ticket(rooms=rooms))


@pytest.mark.parametrize("claims", [b"[]", b"null", b'"x"', b"{", b"\xff", b"[" * 100_000])
def test_claims_that_are_no_object_are_refused(claims: bytes) -> None:
    refusal(signed(claims))


@pytest.mark.parametrize(
    "junk", ["", ".", "..", "a.b.c", "é.é.é", "\ud800", "x" * 200_000, "eyJ0.eyJ0.eyJ0\0"]
)
def test_junk_is_refused(junk: str) -> None:
    refusal(junk)


def test_no_refusal_quotes_the_ticket() -> None:
    header, claims, signature = ticket().split(".")
    for token in (
        f"{header}.{claims}.{signature[::-1]}",
        f"{claims}.{claims}.{signature}",
        f"{header}x.{claims}.",
    ):
        reason = refusal(token)
        assert not any(part in reason for part in token.split(".") if part)


def segment(content: bytes) -> bytes:
    return base64.urlsafe_b64encode(content).rstrip(b"=")


def forged(header: dict[str, Any], claims: dict[str, Any]) -> str:
    return b".".join(
        (segment(json.dumps(header).encode()), segment(json.dumps(claims).encode()), b"")
    ).decode()


def signed(claims: bytes) -> str:
    """A token with a good signature over claims that no library would write."""
    algorithm = jwt.get_algorithm_by_name("HS512")
    content = segment(b'{"alg":"HS512"}') + b"." + segment(claims)
    return (content + b"." + segment(algorithm.sign(content, KEY))).decode()


OTHER_KEY = b"o" * 88


def test_tickets_of_the_former_key_are_good_for_a_while_and_those_of_the_new_one_at_once() -> None:
    now = time.time()
    turning = TicketVerifier(KEY, algorithms=["HS512"], max_lifetime=MAX_LIFETIME)
    before, after = ticket(exp=now + 900), ticket(exp=now + 900, key=OTHER_KEY)
    with pytest.raises(TicketRefused):
        turning.authenticate(after, now)
    assert turning.change_key(OTHER_KEY, now, 30)
    for token in (before, after):
        assert turning.authenticate(token, now + 29).exp == now + 900
    assert turning.authenticate(after, now + 30).user_id == 102
    with pytest.raises(TicketRefused, match="the signature is wrong"):
        turning.authenticate(before, now + 30)


def test_ticket_of_neither_key_is_refused() -> None:
    now = time.time()
    turning = TicketVerifier(KEY, algorithms=["HS512"], max_lifetime=MAX_LIFETIME)
    turning.change_key(OTHER_KEY, now, 30)
    with pytest.raises(TicketRefused, match="the signature is wrong"):
        turning.authenticate(ticket(exp=now + 900, key=b"x" * 88), now)


def test_the_same_key_again_is_no_change() -> None:
    turning = TicketVerifier(KEY, algorithms=["HS512"], max_lifetime=MAX_LIFETIME)
    assert not turning.change_key(KEY, 0, 30)


def test_a_key_of_another_kind_leaves_the_present_one() -> None:
    turning = TicketVerifier(KEY, algorithms=["HS512"], max_lifetime=MAX_LIFETIME)
    with pytest.raises(ConfigError, match="another kind than Tuleap's"):
        turning.change_key(b"ssh-rsa " + b"x" * 64, 0, 30)
    assert turning.authenticate(ticket(), time.time()).user_id == 102


def test_no_key_is_in_the_repr_of_what_holds_it() -> None:
    assert KEY.decode() not in repr(verifier) + repr(vars(verifier))
