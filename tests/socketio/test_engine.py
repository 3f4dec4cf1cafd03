"""The heartbeat, and the queue for polls."""

from tuleaprt.socketio.engine import Beat, Heartbeat, PollQueue, body_of, last_of


def test_a_client_that_answers_is_pinged_again_an_interval_later() -> None:
    heart = Heartbeat(25, 20, 1000)
    assert (heart.next_at, heart.beat(1024)) == (1025, Beat.NOTHING)
    assert (heart.beat(1025), heart.next_at) == (Beat.PING, 1045)
    heart.pong(1026)
    assert (heart.next_at, heart.beat(1050)) == (1051, Beat.NOTHING)
    assert heart.beat(1051) is Beat.PING


def test_a_client_that_does_not_answer_is_taken_for_lost() -> None:
    heart = Heartbeat(25, 20, 1000)
    heart.beat(1025)
    assert (heart.beat(1044), heart.beat(1045)) == (Beat.NOTHING, Beat.DEAD)


def test_attack_by_pongs_that_no_ping_has_asked_for_does_not_put_off_the_ping() -> None:
    heart = Heartbeat(25, 20, 1000)
    heart.pong(1020)
    assert heart.beat(1025) is Beat.PING


def test_a_poll_takes_all_packets_in_order() -> None:
    queue = PollQueue()
    queue.put(b"40")
    queue.put(b"42[]", 7)
    queue.put(b"2")
    assert queue.size == len(b"40\x1e42[]\x1e2\x1e")
    taken = queue.take()
    assert (body_of(taken), last_of(taken)) == (b"40\x1e42[]\x1e2", 7)
    assert (queue.size, queue.take(), last_of([])) == (0, [], 0)


def test_after_a_new_subscription_older_events_in_the_queue_do_not_count() -> None:
    queue = PollQueue()
    queue.put(b"42[]", 7)
    queue.unmark()
    assert queue.take() == [(b"42[]", 0)]
