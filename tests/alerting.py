"""Evaluates the rules of `course/desk/alerts.yml` on two scrapes, as far as these rules go.

`increase(metric{labels}[…])` is by how much a series grew from the first scrape to the second. One that the first does not
have has not grown: so it is in Prometheus, too.
"""

import re
from collections import defaultdict
from pathlib import Path

import yaml
from prometheus_client.parser import text_string_to_metric_families

import course.desk

RULES = Path(course.desk.__file__).with_name("alerts.yml")
Scrape = dict[tuple[str, frozenset[tuple[str, str]]], float]

SELECTOR = r"(\w+)(?:\{(.*?)\})?"
GROWTH = rf"sum(?: by \((\w+)\) )?\(increase\({SELECTOR}\[\w+\]\)\)"


def rules() -> dict[str, str]:
    """Each alert and its condition."""
    [group] = yaml.safe_load(RULES.read_text())["groups"]
    return {rule["alert"]: rule["expr"].strip() for rule in group["rules"]}


def read(text: str) -> Scrape:
    families = text_string_to_metric_families(text)
    return {
        (one.name, frozenset(one.labels.items())): one.value for family in families for one in family.samples
    }


def fires(condition: str, before: Scrape, after: Scrape) -> bool:
    """Whether the condition of a rule holds for anything. Raises AssertionError for one that this cannot read."""
    return bool(_holds_for(condition, before, after))


def _holds_for(condition: str, before: Scrape, after: Scrape) -> set[str]:
    if " unless " in (condition := " ".join(condition.split())):
        these, those = condition.split(" unless ")
        return _holds_for(these, before, after) - _holds_for(those, before, after)
    if absent := re.fullmatch(rf"absent\({SELECTOR} > 0\)", condition):
        there = any(after[one] > 0 for one in _selected(absent[1], absent[2], after))
        return set() if there else {"all"}
    compared = re.fullmatch(rf"{GROWTH}(?: - {GROWTH})? (>=?) (\d+)", condition)
    assert compared, f"This cannot be read here: {condition}"
    by, name, labels, _, less, less_labels, sign, limit = compared.groups()
    growth = _growth(by, name, labels, before, after)
    if less:
        growth = {"all": growth.get("all", 0) - _growth(None, less, less_labels, before, after).get("all", 0)}
    limit = float(limit)
    return {label for label, value in growth.items() if value > limit or (sign == ">=" and value == limit)}


def _growth(by: str | None, name: str, labels: str | None, before: Scrape, after: Scrape) -> dict[str, float]:
    sums: dict[str, float] = defaultdict(float)
    for series in _selected(name, labels, after):
        group = dict(series[1]).get(by, "") if by else "all"
        sums[group] += after[series] - before.get(series, after[series])
    return sums


def _selected(name: str, labels: str | None, scrape: Scrape) -> list[tuple[str, frozenset[tuple[str, str]]]]:
    wanted = re.findall(r'(\w+)(=~?)"(.*?)"', labels or "")

    def fits(has: dict[str, str]) -> bool:
        return all(
            re.fullmatch(value if sign == "=~" else re.escape(value), has.get(label, ""))
            for label, sign, value in wanted
        )

    return [series for series in scrape if series[0] == name and fits(dict(series[1]))]
