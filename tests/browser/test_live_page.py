"""The live page in Chromium: several windows and users, lost connections and restarts."""

import re

import pytest_twisted

from tests.browser.browser import (
    MEMBER,
    OUTSIDER,
    RESTRICTED,
    TESTER,
    Site,
    Window,
    card,
    execution,
    in_column,
)
from tests.browser.conftest import Open

ensure = pytest_twisted.ensureDeferred

TODO, DOING, REVIEW = 6580, 6816, 15343


async def latencies(window: Window) -> list[str]:
    await window.see('.latency:has-text("ms")')
    return [it for it in await window.texts(".latency") if it.endswith("ms")]


@ensure
async def test_a_card_that_is_dragged_moves_in_the_other_window_which_shows_the_latency(
    open_window: Open,
) -> None:
    alice, bob = await open_window(MEMBER), await open_window(TESTER)
    await bob.see(card(302))
    await alice.do("drag", selector=card(302), to=f"{in_column(REVIEW)} .cards")
    await bob.see(f"{in_column(REVIEW)} {card(302)}")
    assert await bob.cards(REVIEW) == await alice.cards(REVIEW)
    assert all(re.fullmatch(r"\d+\.\d ms", it) for it in await latencies(bob))
    assert await alice.texts("#log li[data-cmd]") == []


@ensure
async def test_a_card_can_be_moved_by_the_keyboard(open_window: Open) -> None:
    alice, bob = await open_window(MEMBER), await open_window(TESTER)
    await alice.press(card(306), "Shift+ArrowRight")
    await bob.see(f"{in_column(REVIEW)} {card(306)}")
    assert await alice.do("evaluate", expression="document.activeElement.dataset.id") == "306"


@ensure
async def test_an_outsider_sees_nothing_and_is_told_nothing(open_window: Open) -> None:
    alice, bob, olga = [await open_window(it) for it in (MEMBER, TESTER, OUTSIDER)]
    await olga.see("text=You may not see this board")
    await alice.press(card(302), "Shift+ArrowRight")
    await bob.see(f"{in_column(DOING)} {card(302)}")
    assert await olga.texts(".card") == []
    assert await olga.texts("#log li[data-cmd]") == []


@ensure
async def test_a_restricted_user_sees_what_he_has_submitted(open_window: Open) -> None:
    alice, jose = await open_window(MEMBER), await open_window(RESTRICTED)
    await jose.see(card(303))
    assert await jose.values(".card", "data-id") == ["303", "307"]
    await alice.press(card(302), "Shift+ArrowRight")
    await alice.press(card(303), "Shift+ArrowRight")
    await jose.see(f"{in_column(DOING)} {card(303)}")
    log = " ".join(await jose.texts("#log li[data-cmd]"))
    assert "303" in log
    assert not re.search(r"\b302\b", log)


@ensure
async def test_a_confidential_card_comes_to_those_who_may_see_it(open_window: Open) -> None:
    alice, bob, jose = [await open_window(it) for it in (MEMBER, TESTER, RESTRICTED)]
    column = in_column(TODO)
    await jose.see(card(303))
    await alice.click(f"{column} .add input[type=checkbox]")
    await alice.fill(f"{column} .add input[name=label]", "Audit")
    await alice.press(f"{column} .add input[name=label]", "Enter")
    await bob.see(f'{column} .card:has-text("Audit")')
    await alice.press(card(303), "Shift+ArrowRight")
    await jose.see(f"{in_column(DOING)} {card(303)}")
    assert "Audit" not in " ".join(await jose.texts(".card"))


@ensure
async def test_ones_own_card_is_there_once(open_window: Open) -> None:
    alice, bob = await open_window(MEMBER), await open_window(TESTER)
    await alice.see(card(302))
    await alice.fill(f"{in_column(TODO)} .add input[name=label]", "Only once")
    await alice.press(f"{in_column(TODO)} .add input[name=label]", "Enter")
    await bob.see('.card:has-text("Only once")')
    await bob.press(card(302), "Shift+ArrowRight")
    await alice.see(f"{in_column(DOING)} {card(302)}")
    assert len([it for it in await alice.texts(".card") if "Only once" in it]) == 1


@ensure
async def test_twenty_quick_moves_arrive_in_their_order(open_window: Open) -> None:
    alice, bob = await open_window(MEMBER), await open_window(TESTER)
    await bob.see(card(301))
    for _ in range(5):
        for key in ("ArrowRight", "ArrowRight", "ArrowLeft", "ArrowLeft"):
            await alice.press(card(301), f"Shift+{key}")
    await alice.press(card(301), "Shift+ArrowRight")
    await bob.do("wait", selector='#log li[data-cmd="kanban_item:move"] >> nth=20')
    moves = (await bob.texts("#log li[data-cmd='kanban_item:move'] .about"))[::-1]
    path = [f"card 301 → {it}" for it in ("To do", "In progress", "To do", "Backlog")]
    assert moves == [*path * 5, "card 301 → To do"]
    assert 301 in await bob.cards(TODO)


@ensure
async def test_columns_come_change_and_go(open_window: Open) -> None:
    alice, bob = await open_window(MEMBER), await open_window(TESTER)
    await alice.click("text=Add a column")
    await alice.fill("dialog input", "Done")
    await alice.click("dialog button.main")
    await bob.see('.column h2:text-is("Done")')
    await alice.click('.column:has(h2:text-is("Done")) .top button')
    await alice.fill('dialog input[name="label"]', "Delivered")
    await alice.fill('dialog input[name="limit"]', "4")
    await alice.click("dialog button.main")
    await bob.see('.column:has(h2:text-is("Delivered")) .count:text-is("0 / 4")')
    await alice.click('.column:has(h2:text-is("Delivered")) .top button')
    await alice.click('dialog button:text-is("Delete")')
    await bob.miss('.column h2:text-is("Delivered")')


@ensure
async def test_presence_appears_follows_a_switch_survives_a_reload_and_goes(open_window: Open) -> None:
    alice, bob = [await open_window(it, "campaign") for it in (MEMBER, TESTER)]
    seen = '.viewers .avatar[aria-label^="Alice"]'
    await alice.click(f"{execution(40)} .row")
    await bob.see(f"{execution(40)} {seen}")
    await alice.click(f"{execution(41)} .row")
    await bob.see(f"{execution(41)} {seen}")
    await bob.miss(f"{execution(40)} {seen}")
    await alice.do("reload")
    await alice.is_live()
    await alice.see(f"{execution(41)}.open")
    await alice.click(f"{execution(42)} .row")
    await bob.see(f"{execution(42)} {seen}")
    assert not [it for it in await bob.values("#log li[data-cmd]", "data-cmd") if it == "user:leave"]
    await alice.do("evaluate", expression="location.assign('about:blank')")
    await bob.miss(f"{execution(42)} {seen}")
    assert (await bob.values("#log li[data-cmd]", "data-cmd"))[0] == "user:leave"


@ensure
async def test_a_restricted_user_is_not_told_who_is_on_a_confidential_test(open_window: Open) -> None:
    alice, bob, jose = [await open_window(it, "campaign") for it in (MEMBER, TESTER, RESTRICTED)]
    await jose.see(execution(40))
    await alice.click(f"{execution(43)} .row")
    await bob.see(f"{execution(43)} .viewers .avatar")
    await alice.click(f"{execution(40)} .row")
    await jose.see(f"{execution(40)} .viewers .avatar")
    assert await jose.values(".test", "data-id") == ["39", "40", "41", "42", "44", "45"]
    assert "43" not in " ".join(await jose.texts("#log li[data-cmd] .about"))


@ensure
async def test_the_podium_follows_results_in_both_windows(open_window: Open) -> None:
    alice, bob = [await open_window(it, "campaign") for it in (MEMBER, TESTER)]
    await bob.see('.steps [data-user="101"][data-score="2"]')
    await alice.click(f"{execution(40)} .row")
    await alice.click(f"{execution(40)} .results .passed")
    for window in (alice, bob):
        await window.see(f'{execution(40)}[data-status="passed"]')
        await window.see('.steps .place-0[data-user="101"][data-score="3"]')


@ensure
async def test_a_restart_of_the_server_needs_no_reload(open_window: Open, site: Site) -> None:
    alice, bob = [await open_window(it, "campaign") for it in (MEMBER, TESTER)]
    await alice.click(f"{execution(40)} .row")
    await bob.see(f"{execution(40)} .viewers .avatar")
    for window in (alice, bob):
        await window.do("evaluate", expression="globalThis.hasNotBeenReloaded = true")
    await site.server.process.stop("KILL")
    for window in (alice, bob):
        await window.see('#state[data-state="reconnecting"]')
    # No window is subscribed meanwhile, so the board has to be loaded again.
    await bob.click('a[data-view="board"]')
    await bob.press(card(302), "Shift+ArrowRight")
    await bob.click('a[data-view="campaign"]')
    await site.start_server()
    for window in (alice, bob):
        await window.is_live()
    await bob.see(f'{execution(40)} .viewers .avatar[aria-label^="Alice"]')
    await alice.click('a[data-view="board"]')
    await alice.see(f"{in_column(DOING)} {card(302)}")
    await bob.click('a[data-view="board"]')
    await alice.press(card(306), "Shift+ArrowRight")
    await bob.see(f"{in_column(REVIEW)} {card(306)}")
    for window in (alice, bob):
        assert await window.do("evaluate", expression="globalThis.hasNotBeenReloaded") is True


@ensure
async def test_what_happens_while_the_line_is_cut_is_caught_up(open_window: Open) -> None:
    alice, bob = await open_window(MEMBER), await open_window(TESTER)
    await bob.see(card(302))
    await bob.click("#line summary")
    await bob.click("#cut")
    await bob.see('#state[data-state="reconnecting"]')
    await alice.press(card(302), "Shift+ArrowRight")
    await bob.see(f"{in_column(DOING)} {card(302)}")
    await bob.is_live()


@ensure
async def test_a_ticket_that_expires_is_followed_by_another(open_window: Open, site: Site) -> None:
    alice, bob = await open_window(MEMBER), await open_window(TESTER)
    await bob.click("#line summary")
    await bob.click("#expire")
    await site.server.process.written("closed: ticket expired")
    await bob.is_live()
    await alice.press(card(302), "Shift+ArrowRight")
    await bob.see(f"{in_column(DOING)} {card(302)}")


@ensure
async def test_a_group_that_is_lost_takes_its_cards_with_it(open_window: Open) -> None:
    alice, bob = await open_window(MEMBER), await open_window(TESTER)
    await bob.see(card(304))
    await bob.click("#line summary")
    await bob.click('#groups input[value="@ug_158"]')
    await bob.miss(card(304))
    await alice.press(card(304), "Shift+ArrowRight")
    await alice.press(card(302), "Shift+ArrowRight")
    await bob.see(f"{in_column(DOING)} {card(302)}")
    assert "304" not in " ".join(await bob.texts("#log li[data-cmd] .about"))
    await bob.click('#groups input[value="@ug_158"]')
    await bob.see(f"{in_column(DOING)} {card(304)}")


@ensure
async def test_the_inspector_shows_sessions_subscriptions_events_and_counts(
    open_window: Open, site: Site
) -> None:
    alice, olga = await open_window(MEMBER), await open_window(OUTSIDER)
    inspector = await open_window(MEMBER)
    await inspector.do("evaluate", expression="location.assign('inspector.html')")
    await inspector.see('#sessions td:text-is("Olga Weber")')
    await inspector.see('#subscriptions tr:has-text("org.tuleap.kanban.3")')
    await alice.press(card(302), "Shift+ArrowRight")
    await inspector.see('#log li[data-cmd="kanban_item:move"]')
    await inspector.miss('[data-count="filtered_total"] dd:text-is("0")')
    await inspector.click('#sessions tr:has-text("Olga Weber") button')
    await olga.see('#state[data-state="offline"]')


async def notices_that_nothing_comes(window: Window) -> None:
    """The browser reports a change of network, and the page pings the server at once."""
    await window.do("evaluate", expression="dispatchEvent(new Event('online'))")
    await window.see('#state[data-state="reconnecting"]')
    await window.is_live()


@ensure
async def test_a_network_that_dies_without_a_word_is_noticed_and_costs_no_event(
    open_window: Open, site: Site
) -> None:
    alice, bob = await open_window(MEMBER), await open_window(TESTER)
    await alice.see(card(302))
    site.line.stall()
    await bob.press(card(302), "Shift+ArrowRight")
    await notices_that_nothing_comes(alice)
    await alice.see('#log li[data-cmd="kanban_item:move"]')
    site.line.release()
    await bob.press(card(302), "Shift+ArrowLeft")
    await alice.click("#more")
    await alice.see('#log li[data-cmd="kanban_item:move"] ~ li[data-cmd="kanban_item:move"]')
    assert len(await alice.texts('#log li[data-cmd="kanban_item:move"]')) == 2


@ensure
async def test_the_inspector_notices_a_network_that_dies_without_a_word(
    open_window: Open, site: Site
) -> None:
    inspector = await open_window(MEMBER)
    await inspector.do("evaluate", expression="location.assign('inspector.html')")
    await inspector.see('#sessions td:text-is("this page")')
    site.line.stall()
    await notices_that_nothing_comes(inspector)
    bob = await open_window(TESTER)
    await inspector.see('#sessions td:text-is("Bob Durand")')
    await bob.press(card(302), "Shift+ArrowRight")
    await inspector.see('#log li[data-cmd="kanban_item:move"]')
    site.line.release()
    await bob.press(card(302), "Shift+ArrowLeft")
    await inspector.see('#log li[data-cmd="kanban_item:move"] ~ li[data-cmd="kanban_item:move"]')
    assert len(await inspector.texts('#log li[data-cmd="kanban_item:move"]')) == 2
