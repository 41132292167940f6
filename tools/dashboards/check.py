#!/usr/bin/env python3
"""Checks deploy/prometheus/ and deploy/grafana/ as far as that goes without a Prometheus: tools/dashboards/check.sh runs it.

Each expression must parse. Each metric, label and reason in it must be one that the server has, by the tables of
docs/metrics.md and docs/errors.md. Each alert must have a section of docs/runbook.md and a test. live.py asks a real
Prometheus the rest.
"""

import json
import pathlib
import re
import sys

import promql_parser
from grafana_foundation_sdk.cog import encoder, plugins
from grafana_foundation_sdk.models.dashboard import Dashboard
from ruamel.yaml import YAML

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROMETHEUS = ROOT / "deploy" / "prometheus"
DASHBOARDS = sorted((ROOT / "deploy" / "grafana").glob("*.json"))
RULES = PROMETHEUS / "tandem.rules.yaml"

# What Prometheus has by itself.
BY_PROMETHEUS = {"up": set(), "ALERTS": {"alertname", "alertstate", "severity"}}
OF_A_SCRAPE = {"job", "instance"}


class Expression:
    """One query of a rule or a dashboard."""

    def __init__(self, where, kind, text, templates=""):
        # `templates`: the texts that labels are filled in, such as legends.
        self.where, self.kind, self.text, self.templates = where, kind, text, templates

    def filled(self, rate_interval):
        """As Grafana sends it with everything chosen."""
        text = self.text.replace("$__rate_interval", rate_interval)
        return re.sub(r"\$[a-z]+", ".*", text)

    def selectors(self):
        """The vector selectors in it, and the labels that it groups or matches by."""
        found, labels = [], set()

        def visit(node):
            if isinstance(node, promql_parser.VectorSelector):
                found.append(node)
            modifier = getattr(node, "modifier", None)
            for part in (modifier, getattr(modifier, "matching", None)):
                labels.update(getattr(part, "labels", None) or [])
            labels.update(getattr(getattr(modifier, "group_labels", None), "labels", None) or [])

        promql_parser.walk(promql_parser.parse(self.filled("5m")), visit)
        return found, labels

    def names(self):
        """The series that it asks for."""
        return {selector.name for selector in self.selectors()[0]}


def rules():
    return [rule for group in YAML(typ="safe").load(RULES)["groups"] for rule in group["rules"]]


def panels(dashboard):
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def expressions():
    """Every expression of the rules and the dashboards."""
    found = []
    for rule in rules():
        kind = "alert" if "alert" in rule else "record"
        found.append(Expression(f"{RULES.name}: {rule[kind]}", kind, rule["expr"], str(rule.get("annotations", ""))))
    for file in DASHBOARDS:
        dashboard = json.loads(file.read_text())
        for panel in panels(dashboard):
            where = f"{file.name}: {panel['title']}"
            found += [Expression(where, "panel", target["expr"], target["legendFormat"]) for target in panel["targets"]]
        for annotation in dashboard["annotations"]["list"]:
            where = f"{file.name}: annotation {annotation['name']}"
            found.append(Expression(where, "annotation", annotation["expr"], annotation["titleFormat"]))
    return found


def variables():
    """The variables of dashboards that are asked of Prometheus: where, selector, label."""
    for file in DASHBOARDS:
        for variable in json.loads(file.read_text())["templating"]["list"]:
            if variable["type"] == "query":
                selector, label = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]["query"]).groups()
                yield Expression(f"{file.name}: variable {variable['name']}", "variable", selector), label


def series_of(name, kind, labels):
    """The names of the series of a metric, with their labels."""
    if kind != "histogram":
        return {name: set(labels)}
    return {name + "_bucket": {*labels, "le"}, name + "_sum": set(labels), name + "_count": set(labels)}


def documented():
    """The metrics of docs/metrics.md: name -> kind, labels."""
    text = (ROOT / "docs" / "metrics.md").read_text()
    found = {}
    for row in re.findall(r"^\| `(?:tandem|process)_.*$", text, re.MULTILINE):
        names, kind, labels = row.split(" | ")[:3]
        for name in re.findall(r"`(\w+)`", names):
            found[name] = kind.strip(), set(re.findall(r"`(\w+)`", labels))
    return found


def known_series():
    known = dict(BY_PROMETHEUS)
    for name, (kind, labels) in documented().items():
        known |= series_of(name, kind, labels)
    return known


def check_expression(expression, known, recorded, reasons):
    """What is wrong with one expression."""
    try:
        selectors, grouped = expression.selectors()
    except ValueError as error:
        yield f"does not parse: {error}: {expression.text}"
        return
    labels = set(OF_A_SCRAPE)
    for selector in selectors:
        if selector.name not in known and selector.name not in recorded:
            yield f"no such metric: {selector.name}"
            continue
        own = known.get(selector.name, set()) | OF_A_SCRAPE
        # A recorded series has labels that its own rule names.
        labels |= own | {label for words in selector.name.split(":")[:1] for label in words.split("_") if ":" in selector.name}
        for matcher in selector.matchers.matchers:
            if matcher.name not in own:
                yield f"{selector.name} has no label {matcher.name}"
            if matcher.name == "reason":
                yield from (f"no such reason: {reason}" for reason in re.findall(r"[A-Z_]+", matcher.value) if reason not in reasons)
    named = set(re.findall(r"{{ *(\w+) *}}|\$labels\.(\w+)", expression.templates))
    named = {name for pair in named for name in pair if name}
    yield from (f"no metric in it has a label {label}" for label in sorted((grouped | named) - labels))


def lost(ours, theirs, path=""):
    """Where a value of ours is not in theirs."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key, value in ours.items():
            yield from lost(value, theirs.get(key), f"{path}.{key}")
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for at, value in enumerate(ours):
            yield from lost(value, theirs[at], f"{path}[{at}]")
    elif ours != theirs:
        yield path


def check_dashboard(file):
    """What is wrong with the frame of a dashboard."""
    dashboard = json.loads(file.read_text())
    # Read and written by Grafana's own types, which drop what they do not know.
    read = json.loads(encoder.JSONEncoder().encode(Dashboard.from_json(dashboard)))
    # It is Prometheus' own, and the types know only what all sources have.
    yield from (f"Grafana does not know {path}" for path in lost(dashboard, read) if not path.endswith(".titleFormat"))
    if dashboard["uid"] != file.stem:
        yield f"its uid is {dashboard['uid']}"
    taken = {}
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                if x >= 24 or taken.setdefault((x, y), panel["id"]) != panel["id"]:
                    yield f"{panel['title']} lies on another panel, or outside"
                    return
    for panel in panels(dashboard):
        if not panel["description"] or not panel["fieldConfig"]["defaults"]["unit"] or not panel["targets"]:
            yield f"{panel['title']} lacks a description, a unit or a query"


def check_alerts(known):
    """What is wrong between the alerts, their tests and the runbook."""
    runbook = (ROOT / "docs" / "runbook.md").read_text()
    tests = (PROMETHEUS / "tandem.rules.test.yaml").read_text()
    alerts = [rule for rule in rules() if "alert" in rule]
    sections = set(re.findall(r"^#+ (Tandem\w+)$", runbook, re.MULTILINE))
    for rule in alerts:
        name = rule["alert"]
        if rule["annotations"].get("runbook") != f"docs/runbook.md#{name.lower()}":
            yield f"{name}: its annotation `runbook` is not its own section of docs/runbook.md"
        if not rule["annotations"].get("summary") or rule["labels"]["severity"] not in ("page", "ticket"):
            yield f"{name}: lacks a summary or a severity"
        if f'{{labels: \'{{alertname="{name}"' not in tests:
            yield f"{name}: tandem.rules.test.yaml has no test that it fires"
    names = {rule["alert"] for rule in alerts}
    yield from (f"{name}: docs/runbook.md has no section of it" for name in sorted(names - sections))
    yield from (f"docs/runbook.md has a section of {name}, which is no alert" for name in sorted(sections - names))
    metrics = set(known) | set(documented())
    for name in sorted(set(re.findall(r"`((?:tandem|process)_\w+)", runbook))):
        if name not in metrics:
            yield f"docs/runbook.md: no such metric: {name}"


def main():
    plugins.register_default_plugins()
    known, found = known_series(), expressions()
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    reasons = set(re.findall(r"^\| `([A-Z_0-9]+)` \|", (ROOT / "docs" / "errors.md").read_text(), re.MULTILINE))
    problems = []
    for expression in found + [expression for expression, _ in variables()]:
        problems += [f"{expression.where}: {problem}" for problem in check_expression(expression, known, recorded, reasons)]
    for file in DASHBOARDS:
        problems += [f"{file.name}: {problem}" for problem in check_dashboard(file)]
    problems += check_alerts(known)
    if problems:
        sys.exit("\n".join(problems))
    print(f"{len(found)} expressions in {len(DASHBOARDS)} dashboards and {len(rules())} rules: each parses, and names what the server has")


if __name__ == "__main__":
    main()
