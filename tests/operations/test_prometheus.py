"""The alerts and the dashboard that are shipped."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.end_to_end.processes import ROOT

RULES = ROOT / "etc" / "prometheus" / "tuleaprt.rules.yml"
SCRAPE = ROOT / "etc" / "prometheus" / "tuleaprt.scrape.yml"
DASHBOARD = ROOT / "etc" / "grafana" / "tuleaprt.json"
RULES_TEST = ROOT / "tests" / "fixtures" / "prometheus_rules_test.yml"


def named(path: Path) -> set[str]:
    """The metrics that a file names."""
    return set(re.findall(r"\b(?:tuleaprt|process)_[a-z_]+\b", path.read_text()))


def promtool(*arguments: str | Path) -> None:
    command = ["promtool", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_understands_the_files() -> None:
    promtool("check", "rules", RULES)
    promtool("check", "config", SCRAPE)


def test_each_alert_fires_at_its_fault_and_none_at_a_healthy_server(tmp_path: Path) -> None:
    test = tmp_path / "test.yml"
    test.write_text(RULES_TEST.read_text().replace("RULES", str(RULES)))
    promtool("test", "rules", test)
    alerts = set(re.findall(r"alert: (\w+)", RULES.read_text()))
    assert alerts == set(re.findall(r'alertname="(\w+)"', RULES_TEST.read_text()))


def test_each_alert_has_a_cure() -> None:
    for rule in RULES.read_text().split("- alert: ")[1:]:
        assert "summary: " in rule, rule
        assert "cure: " in rule, rule


def test_each_panel_of_the_dashboard_has_a_title_and_a_place_of_its_own() -> None:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    assert all(it["title"] for it in panels)
    cells = [
        (x, y)
        for it in panels
        for place in [it["gridPos"]]
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))


@pytest.mark.parametrize("path", [RULES, DASHBOARD], ids=lambda it: str(it.name))
def test_each_metric_is_in_the_documentation(path: Path) -> None:
    text = (ROOT / "docs" / "metrics.rst").read_text()
    ours = {it.removeprefix("tuleaprt_") for it in named(path) if it.startswith("tuleaprt_")}
    assert {it for it in ours if it.removesuffix("_bucket") not in text} == set()
