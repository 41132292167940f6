#!/usr/bin/env python3
"""Writes the dashboards of deploy/grafana/ from the lists of panels below: tools/dashboards/make.py [--check]

A panel is a title, what it means, its unit and its queries, each with a legend. In queries, HERE stands for the chosen jobs
and instances. The JSON files are for import, and are committed; --check says whether they are what this file makes.
"""

import json
import pathlib
import sys

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "deploy" / "grafana"
HERE = 'job=~"$job",instance=~"$instance"'
MODEL = HERE + ',model=~"$model"'
TASK = HERE + ',task=~"$task"'
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
# Calls that last as long as their caller likes: no measure of how fast answers are.
SHORT = 'method!~"PredictStream|Watch"'
# As in deploy/prometheus/tandem.rules.yaml.
FAULTS = "INTERNAL|INFERENCE_FAILED|MODEL_FAILED|MODEL_LOADING|QUEUE_FULL|BODIES_FULL|DEADLINE_EXCEEDED"


def rate(metric, labels=HERE):
    return f"rate({metric}{{{labels}}}[$__rate_interval])"


def quantile(share, metric, by="", labels=HERE):
    return f"histogram_quantile({share}, sum by ({by + ', ' if by else ''}le) ({rate(metric + '_bucket', labels)}))"


def mean(metric, by, labels=HERE):
    return f"sum by ({by}) ({rate(metric + '_sum', labels)}) / sum by ({by}) ({rate(metric + '_count', labels)})"


# --- Kinds of panels ---------------------------------------------------------------------------------------------------


def panel(kind, title, description, unit, queries, width, height, **more):
    targets = [
        {"refId": chr(ord("A") + index), "datasource": SOURCE, "expr": expr, "legendFormat": legend, "range": True}
        for index, (expr, legend) in enumerate(queries.items())
    ]
    defaults = {"unit": unit, **more.pop("defaults", {})}
    return {
        "type": kind,
        "title": title,
        "description": description,
        "datasource": SOURCE,
        "targets": targets,
        "gridPos": {"w": width, "h": height},
        "fieldConfig": {"defaults": defaults, "overrides": more.pop("overrides", [])},
        **more,
    }


def lines(title, description, unit, queries, stack=None, top=None):
    """Lines over time. `stack` puts them on each other: "normal", or "percent". `top` is the end of the scale."""
    style = {"fillOpacity": 25 if stack else 5, "lineWidth": 1, "showPoints": "never", "stacking": {"mode": stack or "none"}}
    defaults = {"custom": style, "min": 0} | ({"max": top} if top else {})
    legend = {"displayMode": "table", "placement": "bottom", "showLegend": True, "calcs": ["lastNotNull", "max"]}
    options = {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}
    return panel("timeseries", title, description, unit, queries, 8, 8, defaults=defaults, options=options)


def number(title, description, unit, query, bad=None, names=None):
    """One number. From `bad` on it is red; `names` are words for values."""
    steps = [{"color": "green", "value": None}]
    if bad is not None:
        steps.append({"color": "red", "value": bad})
    defaults = {"thresholds": {"mode": "absolute", "steps": steps}, "noValue": "no data"}
    if names:
        defaults["mappings"] = [{"type": "value", "options": {value: {"text": text} for value, text in names.items()}}]
    options = {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "value", "graphMode": "area"}
    return panel("stat", title, description, unit, query, 4, 4, defaults=defaults, options=options)


def heat(title, description, unit, query):
    """How a histogram's values lie over time."""
    made = panel("heatmap", title, description, "short", {query: "{{le}}"}, 8, 8)
    made["targets"][0]["format"] = "heatmap"
    made["options"] = {
        "calculate": False,
        "yAxis": {"unit": unit},
        "color": {"mode": "scheme", "scheme": "Blues", "steps": 64},
    }
    return made


def table(title, description, query, columns):
    """What holds now, a row a series, with these labels as columns."""
    made = panel("table", title, description, "short", {query: ""}, 24, 8)
    made["targets"][0] |= {"format": "table", "instant": True, "range": False}
    order = {name: index for index, name in enumerate(columns)}
    organize = {"excludeByName": {"Time": True, "Value": True, "__name__": True}, "indexByName": order}
    made["transformations"] = [{"id": "organize", "options": organize}]
    return made


def variable(name, query, label):
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": query, "refId": name},
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]},
    }


# --- The panels --------------------------------------------------------------------------------------------------------

OVERVIEW = {
    "Now": [
        number("Servers up", "Servers that Prometheus can scrape.", "none", {f"sum(up{{{HERE}}})": "up"}),
        number("Models that don't serve", "Models of which no version serves, on any server. Should be 0.", "none",
               {f'count(max by (job, instance, model) (tandem_model_state{{{HERE},state="serving"}}) == 0) or vector(0)': "models"}, bad=1),
        number("Requests", "Requests answered in a second, refused ones too. Health checks are not among them.", "reqps",
               {f"sum({rate('tandem_requests_total')})": "requests"}),
        number("Failed by the server", "Share of requests that failed by the server's fault or for lack of room or time. The "
               "alerts on the error budget count the same.", "percentunit",
               {f'''sum({rate("tandem_refusals_total", f'{HERE},reason=~"{FAULTS}"')}) / sum({rate("tandem_requests_total")})''': "failed"}, bad=0.001),
        number("p99 of answers", "99 of 100 requests are answered within this time, from when they were read and checked.", "s",
               {quantile(0.99, "tandem_answer_duration_seconds"): "p99"}),
        number("Alerts that fire", "Tandem's alerts that fire now, by Prometheus itself. docs/runbook.md says what to do.", "none",
               {'count(ALERTS{alertname=~"Tandem.*",alertstate="firing"}) or vector(0)': "alerts"}, bad=1),
    ],
    "Requests": [
        lines("Requests by method", "Requests answered in a second.", "reqps",
              {f"sum by (door, method) ({rate('tandem_requests_total')})": "{{door}} {{method}}"}, stack="normal"),
        lines("Refused and failed, by reason", "Empty while nothing is. docs/errors.md says what each reason means.", "reqps",
              {f"sum by (reason) ({rate('tandem_refusals_total')}) > 0": "{{reason}}"}, stack="normal"),
        lines("In flight", "Requests that are worked on now.", "none",
              {f"sum by (door) (tandem_inflight_requests{{{HERE}}})": "{{door}}"}),
        lines("Answers, median and p99", "From a request that was read and checked to its answer, by route.", "s",
              {quantile(0.5, "tandem_answer_duration_seconds", "route"): "{{route}} median",
               quantile(0.99, "tandem_answer_duration_seconds", "route"): "{{route}} p99"}),
        heat("Answers", "How many answers took how long.", "s",
             f"sum by (le) (increase(tandem_answer_duration_seconds_bucket{{{HERE}}}[$__rate_interval]))"),
        lines("Calls, p99 by method", "From arrival to answer, reading the body and refusals included. Without streams, which "
              "last as long as their caller likes.", "s",
              {quantile(0.99, "tandem_request_duration_seconds", "door, method", f"{HERE},{SHORT}"): "{{door}} {{method}}"}),
        lines("Refused, by key", "By the name of the caller's key. Empty while nothing is, and where there are no keys.", "reqps",
              {f"sum by (key, reason) ({rate('tandem_key_refusals_total')}) > 0": "{{key}} {{reason}}"}),
        lines("Health checks", "Probes and balancers, by what they were told.", "reqps",
              {f"sum by (door, status) ({rate('tandem_health_checks_total')})": "{{door}} {{status}}"}),
        lines("Panics and lost log lines", "Should be 0.", "none",
              {f"sum by (instance) (increase(tandem_panics_total{{{HERE}}}[$__rate_interval]))": "{{instance}} panics",
               f"sum by (instance) (increase(tandem_log_lines_lost_total{{{HERE}}}[$__rate_interval]))": "{{instance}} lines"}),
    ],
    "Work": [
        lines("Texts", "Texts answered in a second.", "ops", {f"sum by (model) ({rate('tandem_texts_total')})": "{{model}}"}, stack="normal"),
        lines("How busy the instances are", "The share of the time in which a model's instances run. Near 1 texts wait.", "percentunit",
              {f"sum by (model) ({rate('tandem_inference_duration_seconds_sum')}) / sum by (model) (tandem_instances{{{HERE}}})": "{{model}}"}),
        lines("Wait for a batch, median and p99", "A text's wait for a place in a batch.", "s",
              {quantile(0.5, "tandem_queue_duration_seconds", "model"): "{{model}} median",
               quantile(0.99, "tandem_queue_duration_seconds", "model"): "{{model}} p99"}),
        lines("Texts that wait", "Texts that wait for a place in a batch, and how many a model takes in all before it says QUEUE_FULL.", "none",
              {f"sum by (model) (tandem_queued_texts{{{HERE}}})": "{{model}}",
               f"sum by (model) (tandem_queue_limit_texts{{{HERE}}})": "{{model}} limit"}),
        lines("Runs, median and p99", "One run of a model, for a batch.", "s",
              {quantile(0.5, "tandem_inference_duration_seconds", "model"): "{{model}} median",
               quantile(0.99, "tandem_inference_duration_seconds", "model"): "{{model}} p99"}),
        lines("Preprocessing, p99", "Turning a request's texts into model inputs, without the wait for a turn.", "s",
              {quantile(0.99, "tandem_preprocess_duration_seconds", "model"): "{{model}}"}),
        lines("Texts in a batch", "The mean. It grows with the load.", "none", {mean("tandem_batch_texts", "model"): "{{model}}"}),
        lines("Dropped from the queue", "Texts whose deadline passed while they waited.", "ops",
              {f"sum by (model) ({rate('tandem_expired_texts_total')})": "{{model}}"}),
        lines("Answers out of the cache", "Share of texts that the cache knew. Empty while the cache is off.", "percentunit",
              {f"sum by (model) ({rate('tandem_cache_hits_total')}) / (sum by (model) ({rate('tandem_cache_hits_total')}) + sum by (model) ({rate('tandem_cache_misses_total')}))": "{{model}}"}, top=1),
    ],
    "Room": [
        lines("Processor", "Cores in use, and cores that the servers may use.", "none",
              {f"sum by (instance) ({rate('process_cpu_seconds_total')})": "{{instance}}",
               f"sum by (instance) (tandem_cores{{{HERE}}})": "{{instance}} may"}),
        lines("Memory", "Resident memory, and what the loaded models are expected to take.", "bytes",
              {f"sum by (instance) (process_resident_memory_bytes{{{HERE}}})": "{{instance}}",
               f"sum by (instance) (tandem_model_memory_bytes{{{HERE}}})": "{{instance}} models"}),
        lines("Open files", "Share of those that the process may have open.", "percentunit",
              {f"process_open_fds{{{HERE}}} / process_max_fds{{{HERE}}}": "{{instance}}"}, top=1),
        lines("Connections", "Share of a door's places that are taken.", "percentunit",
              {f"tandem_connections{{{HERE}}} / tandem_connections_limit{{{HERE}}}": "{{instance}} {{door}}"}, top=1),
        lines("New connections", "Many with few requests: clients that don't keep their connections.", "ops",
              {f"sum by (door) ({rate('tandem_connections_accepted_total')})": "{{door}}"}),
        lines("Bodies in flight", "Share of the room for bodies of requests and for unread answers.", "percentunit",
              {f"tandem_inflight_body_bytes{{{HERE}}} / tandem_inflight_body_limit_bytes{{{HERE}}}": "{{instance}}"}, top=1),
        lines("TLS handshakes", "By how they ended. Empty without TLS.", "ops",
              {f"sum by (door, outcome) ({rate('tandem_tls_handshakes_total')})": "{{door}} {{outcome}}"}),
        lines("Certificate is valid for", "The time until the certificate expires. Empty without TLS.", "s",
              {f"tandem_certificate_expiry_timestamp_seconds{{{HERE}}} - time()": "{{instance}}"}),
        lines("New certificates and keys", "Looks at their files that found something new, and those that failed.", "none",
              {f"sum by (instance, outcome) (increase(tandem_security_reloads_total{{{HERE}}}[$__rate_interval]))": "{{instance}} {{outcome}}"}),
    ],
}

CASCADE = {
    "Now": [
        number("Escalated, last hour", "Share of texts of which the fast model was not sure.", "percentunit",
               {f"max(tandem_cascade_escalated_share{{{TASK}}})": "share"}),
        number("In the calibrated range", "Whether that share is what the calibration expects, on every server.", "none",
               {f"max(tandem_cascade_out_of_range{{{TASK}}})": "range"}, bad=1, names={"0": "yes", "1": "no"}),
        number("Certificate", "Whether the audit has found that the certified agreement no longer holds, on any server.", "none",
               {f"max(tandem_cascade_audit_alarm{{{TASK}}})": "alarm"}, bad=1, names={"0": "holds", "1": "broken"}),
        number("Distance from the calibration", "How far the fast model's confidences are from those of the calibration. From 0.1 on "
               "the texts are of another kind.", "none", {f"max(tandem_cascade_confidence_distance{{{TASK}}})": "distance"}, bad=0.1),
        number("Withheld", "Share of texts whose answer was not sure enough to be given.", "percentunit",
               {f"sum({rate('tandem_withheld_texts_total')}) / sum({rate('tandem_texts_total')})": "withheld"}),
        number("Both models agree", "Of the texts that both models answered: the hard ones.", "percentunit",
               {f'''sum({rate("tandem_cascade_agreement_total", TASK + ',agree="yes"')}) / sum({rate("tandem_cascade_agreement_total", TASK)})''': "agree"}),
    ],
    "Who answers": [
        lines("Decisions", "Share of texts by what was decided. fallback…: the deep model had no room or no time, and the fast one's "
              "answer stands.", "percentunit",
              {f"sum by (decision) ({rate('tandem_cascade_texts_total', TASK)}) / on () group_left () sum({rate('tandem_cascade_texts_total', TASK)})": "{{decision}}"},
              stack="normal", top=1),
        lines("Escalated share and its range", "Of the last hour, and the range that the calibration expects. Outside: other texts, or "
              "another model.", "percentunit",
              {f"max by (task) (tandem_cascade_escalated_share{{{TASK}}})": "{{task}}",
               f"max by (task, bound) (tandem_cascade_expected_share{{{TASK}}})": "{{task}} {{bound}}"}),
        lines("Falls back", "Share of texts that the fast model answered because the deep one could not.", "percentunit",
              {f'''sum by (task) ({rate("tandem_cascade_texts_total", TASK + ',decision=~"fallback.*"')}) / sum by (task) ({rate("tandem_cascade_texts_total", TASK)}) or sum by (task) ({rate("tandem_cascade_texts_total", TASK)}) * 0''': "{{task}}"}),
        lines("Threshold", "The confidence from which on a fast answer stands, where the load may lower it (cascade.gears).", "none",
              {f"min by (task) (tandem_cascade_min_confidence{{{TASK}}})": "{{task}}"}),
        lines("Threshold changes", "How often the load changed it.", "none",
              {f"sum by (task) (increase(tandem_cascade_gear_shifts_total{{{TASK}}}[$__rate_interval]))": "{{task}}"}),
        lines("Texts of the cascade", "In a second, by route.", "ops",
              {f"sum by (task, route) ({rate('tandem_cascade_texts_total', TASK)})": "{{task}} {{route}}"}),
    ],
    "How sure": [
        heat("Confidence of the fast model", "Of every fast answer.", "none",
             f'sum by (le) (increase(tandem_cascade_confidence_bucket{{{TASK},tier="fast"}}[$__rate_interval]))'),
        heat("Confidence where the deep model took part", "Of every answer in which it did.", "none",
             f'sum by (le) (increase(tandem_cascade_confidence_bucket{{{TASK},tier="deep"}}[$__rate_interval]))'),
        lines("Mean confidence", "A slow fall means that texts change.", "none",
              {mean("tandem_cascade_confidence", "task, tier", TASK): "{{task}} {{tier}}"}, top=1),
        lines("Both models agree", "Of the texts that both answered.", "percentunit",
              {f'''sum by (task) ({rate("tandem_cascade_agreement_total", TASK + ',agree="yes"')}) / sum by (task) ({rate("tandem_cascade_agreement_total", TASK)})''': "{{task}}"}, top=1),
        lines("Distance from the calibration", "How far the fast model's confidences of the last hour are from those of the calibration; "
              "with 500 texts chance alone makes it 0.06.", "none",
              {f"max by (task) (tandem_cascade_confidence_distance{{{TASK}}})": "{{task}}"}),
        lines("Withheld", "Share of texts whose answer was not sure enough to be given, by the model that answered.", "percentunit",
              {f"sum by (model) ({rate('tandem_withheld_texts_total')}) / sum by (model) ({rate('tandem_texts_total')})": "{{model}}"}),
    ],
    "Audit": [
        lines("Audited texts", "In a second, by whether the answer was the deep model's. Empty without audit_share.", "ops",
              {f"sum by (task, agree) ({rate('tandem_cascade_audited_texts_total', TASK)})": "{{task}} agree: {{agree}}"}),
        lines("Evidence against the certificate", "At 1 / (1 - confidence), 20 for 95%, the alarm is raised. It lies near 1 or below while "
              "the certificate holds.", "none", {f"max by (task) (tandem_cascade_audit_evidence{{{TASK}}})": "{{task}}"}),
        lines("Audit had no room", "Texts that were drawn and dropped. They count as agreeing.", "ops",
              {f"sum by (task) ({rate('tandem_cascade_audit_dropped_texts_total', TASK)})": "{{task}}"}),
    ],
    "Texts": [
        lines("Size of texts, median and p95", "Of one request in 16.", "bytes",
              {quantile(0.5, "tandem_sampled_text_size_bytes", "model"): "{{model}} median",
               quantile(0.95, "tandem_sampled_text_size_bytes", "model"): "{{model}} p95"}),
        lines("Unknown tokens", "Share of what models read that they do not know.", "percentunit",
              {f"sum by (model) ({rate('tandem_sampled_unknown_tokens_total')}) / sum by (model) ({rate('tandem_sampled_tokens_total')})": "{{model}}"}),
        lines("Kept to be labelled", "Texts in a second, by reason, and those that were dropped, by cause. Empty without keep_texts.", "ops",
              {f"sum by (task, reason) ({rate('tandem_kept_texts_total', TASK)})": "{{task}} {{reason}}",
               f"sum by (cause) ({rate('tandem_kept_dropped_texts_total')})": "dropped: {{cause}}"}),
    ],
}

MODELS = {
    "Versions": [
        table("What is loaded", "Each version, and the state that it is in.",
              f"tandem_model_state{{{MODEL}}} == 1", ["model", "version", "state", "instance", "job", "fingerprint"]),
        lines("Servers on which a version serves", "A roll-out moves them from one version to the next.", "none",
              {f'sum by (model, version) (tandem_model_state{{{MODEL},state="serving"}})': "{{model}}@{{version}}"}, stack="normal"),
        lines("Newest version refused", "1 while the newest version in the repository was refused and another one serves.", "none",
              {f"max by (instance, model) (tandem_model_version_refused{{{MODEL}}})": "{{instance}} {{model}}"}),
        lines("New versions", "Versions that were exchanged, or refused at a step, over an hour.", "none",
              {f"sum by (model, outcome) (increase(tandem_model_reloads_total{{{MODEL}}}[1h]))": "{{model}} {{outcome}}"}),
        lines("Compared with golden examples", "1 for a version that gives the answers of the training framework, 0 for one that nobody "
              "compared.", "none", {f"min by (model, version) (tandem_model_verified{{{MODEL}}})": "{{model}}@{{version}}"}),
        lines("Memory", "What a version is expected to take.", "bytes",
              {f"max by (model, version) (tandem_model_memory_bytes{{{MODEL}}})": "{{model}}@{{version}}"}),
        lines("Examinations", "Runs of the server's own texts by a model that failed on callers' texts, over an hour. broken: it fails "
              "on them too, and health says NOT_SERVING.", "none",
              {f"sum by (model, outcome) (increase(tandem_model_examinations_total{{{MODEL}}}[1h]))": "{{model}} {{outcome}}"}),
    ],
    "Canary": [
        lines("Requests", "In a second, by the version that they got. Empty without a canary.", "reqps",
              {f"sum by (model, role, outcome) ({rate('tandem_canary_requests_total', MODEL)})": "{{model}} {{role}} {{outcome}}"}),
        lines("The canary's share", "Of requests.", "percentunit",
              {f'''sum by (model) ({rate("tandem_canary_requests_total", MODEL + ',role="canary"')}) / sum by (model) ({rate("tandem_canary_requests_total", MODEL)})''': "{{model}}"}, top=1),
        lines("Rolled back", "Canaries that the server rolled back, by what was wrong, since it started.", "none",
              {f"sum by (model, fault) (tandem_canary_rollbacks_total{{{MODEL}}})": "{{model}} {{fault}}"}),
    ],
    "Each model": [
        lines("Texts", "Texts answered in a second.", "ops", {f"sum by (model) ({rate('tandem_texts_total', MODEL)})": "{{model}}"}),
        lines("Runs, p99", "One run of a model. A new version may be slower.", "s",
              {quantile(0.99, "tandem_inference_duration_seconds", "model", MODEL): "{{model}}"}),
        lines("How busy the instances are", "The share of the time in which a model's instances run, on each server.", "percentunit",
              {f"{rate('tandem_inference_duration_seconds_sum', MODEL)} / tandem_instances{{{MODEL}}}": "{{instance}} {{model}}"}),
        lines("Instances", "Sessions of a model.", "none", {f"sum by (model) (tandem_instances{{{MODEL}}})": "{{model}}"}),
        lines("Windows of a text", "The mean, of texts that were read in windows. Empty where none was.", "none",
              {mean("tandem_text_windows", "model", MODEL): "{{model}}"}),
        lines("Starts of servers", "How often each server started, over an hour.", "none",
              {f"changes(process_start_time_seconds{{{HERE}}}[1h])": "{{instance}}"}),
    ],
}

DASHBOARDS = {
    "overview": ("Tandem: overview", "Requests, work and room of Tandem servers.", OVERVIEW, []),
    "cascade": ("Tandem: cascade", "Whether the cascade still does what it was calibrated and certified for.", CASCADE,
                [variable("task", "label_values(tandem_cascade_texts_total{" + HERE + "}, task)", "Task")]),
    "models": ("Tandem: models and roll-out", "Versions of models, new ones and canaries.", MODELS,
               [variable("model", "label_values(tandem_texts_total{" + HERE + "}, model)", "Model")]),
}


# --- The files ---------------------------------------------------------------------------------------------------------


def laid_out(rows):
    """The panels with their places: rows of 24 columns, filled from the left."""
    made, y = [], 0
    for title, panels in rows.items():
        made.append({"type": "row", "title": title, "collapsed": False, "panels": [], "gridPos": {"x": 0, "y": y, "w": 24, "h": 1}})
        x, y, height = 0, y + 1, 0
        for panel_ in panels:
            place = panel_["gridPos"]
            if x + place["w"] > 24:
                x, y, height = 0, y + height, 0
            made.append({**panel_, "gridPos": {"x": x, "y": y, **place}})
            x, height = x + place["w"], max(height, place["h"])
        y += height
    return [{"id": index + 1, **panel_} for index, panel_ in enumerate(made)]


def dashboard(name):
    title, description, rows, variables = DASHBOARDS[name]
    source = {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"}
    jobs = variable("job", "label_values(tandem_build_info, job)", "Job")
    instances = variable("instance", 'label_values(tandem_build_info{job=~"$job"}, instance)', "Server")
    starts = {
        "name": "Starts",
        "datasource": SOURCE,
        "enable": True,
        "iconColor": "blue",
        "expr": f"changes(process_start_time_seconds{{{HERE}}}[$__rate_interval]) > 0",
        "titleFormat": "{{instance}} started",
    }
    return {
        "uid": f"tandem-{name}",
        "title": title,
        "description": description,
        "tags": ["tandem"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "timezone": "browser",
        "links": [{"type": "dashboards", "title": "Tandem", "tags": ["tandem"], "asDropdown": False, "includeVars": True, "keepTime": True}],
        "templating": {"list": [source, jobs, instances, *variables]},
        "annotations": {"list": [starts]},
        "panels": laid_out(rows),
    }


def main():
    check = sys.argv[1:] == ["--check"]
    stale = []
    for name in DASHBOARDS:
        file = FOLDER / f"tandem-{name}.json"
        text = json.dumps(dashboard(name), indent=1, ensure_ascii=False) + "\n"
        if not check:
            file.write_text(text)
        elif not file.exists() or file.read_text() != text:
            stale.append(file.name)
    if stale:
        sys.exit(f"deploy/grafana: {', '.join(stale)}: not what tools/dashboards/make.py makes; run it")


if __name__ == "__main__":
    main()
