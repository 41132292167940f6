"""Checks the files of deploy/ for Kubernetes: renders every overlay and the chart, compares them, checks them against schemas, and,
where a program is built, starts it with the settings of each container and asks it what Kubernetes' probes would ask.
tools/deploy-check.sh calls it. `check.py update` writes deploy/kubernetes.yaml and the copies of Prometheus's rules; `check.py render FOLDER` writes all to look at."""

import pathlib
import re
import subprocess
import sys

import yaml

import objects
import run
import schemas
import wiring

RULES = pathlib.Path("deploy/prometheus/tandem.rules.yaml")


def tool(*arguments):
    return subprocess.run(["tools/test-tools.sh", *arguments], check=True, capture_output=True, text=True).stdout.strip()


def rendered(kubectl):
    """The base and each overlay, by name."""
    return {folder.name: objects.kustomize(kubectl, folder) for folder in [objects.BASE, *objects.OVERLAYS]}


def of_chart(helm, name):
    values = objects.CHART / "ci" / f"{name}.yaml"
    return objects.chart(helm, *([] if name == "base" else ["--values", values]))


def alerts():
    """The files with Prometheus's rules, as they are written from deploy/prometheus: path -> text."""
    rules = yaml.safe_load(RULES.read_text())
    text = yaml.safe_dump(rules, sort_keys=False, allow_unicode=True, width=120)
    head = f"# Written from {RULES} by tools/deploy-check.sh update.\n"
    item = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "tandem", "labels": {"app.kubernetes.io/name": "tandem"}},
        "spec": rules,
    }
    item = yaml.safe_dump(item, sort_keys=False, allow_unicode=True, width=120)
    return {
        pathlib.Path("deploy/kubernetes/components/monitoring/prometheus-rule.yaml"): head + item,
        objects.CHART / "rules.yaml": head + text,
    }


def compared(all_of_it, helm):
    """The chart gives what the overlays give, and the plain file what the base gives."""
    for name, items in all_of_it.items():
        expected = objects.canonical(items)
        for found in objects.differences(expected, objects.canonical(of_chart(helm, name))):
            yield f"the overlay {name} against the chart: {found}"
    if objects.PLAIN.read_text() != objects.plain():
        yield f"{objects.PLAIN} is not the base: run tools/deploy-check.sh update"
    for path, text in alerts().items():
        if path.read_text() != text:
            yield f"{path} is not {RULES}: run tools/deploy-check.sh update"
    base = objects.canonical(all_of_it["base"])
    for found in objects.differences(base, objects.canonical(objects.parse(objects.PLAIN.read_text()))):
        yield f"the base against {objects.PLAIN}: {found}"


def options(helm):
    """The chart's values that no overlay has; those that make no sense are refused."""
    items = objects.chart(helm, "--values", objects.CHART / "ci/options.yaml", name="other", namespace="shop")
    for error in wiring.errors(items):
        yield f"options: {error}"
    [(_, pod)] = objects.pods(items)
    variables = wiring.environment(pod["containers"][0])
    if variables["TANDEM_DRAIN_PAUSE"] != "9s" or variables["TANDEM_MAX_TEXTS"] != "64":
        yield f"options: `env` does not hold: {variables}"
    for item in items:
        if not item["metadata"]["name"].startswith("other") or "tandem" in str(item["metadata"].get("labels")):
            yield f"options: {item['kind']} {item['metadata']['name']} would meet another release's"
    for setting in "tls.mutual=true", "replica=3", "autoscaling.kind=vpa", "image.digest=0.1.0", "env.TANDEM_MAX_TEXTS=64":
        if not objects.refused(helm, setting):
            yield f"the chart takes {setting}"
    foreign = [item for item in items if item["apiVersion"].split("/")[0] in schemas.OTHERS]
    yield from schemas.kubernetes([item for item in items if item not in foreign])


def versions(items):
    """Images, the chart and the program have one version."""
    wanted = re.search(r'^version = "(.*)"$', pathlib.Path("Cargo.toml").read_text(), re.M)[1]
    about = yaml.safe_load((objects.CHART / "Chart.yaml").read_text())
    found = {"the chart's version": about["version"], "the chart's appVersion": about["appVersion"]}
    for name, spec in objects.pods(items):
        found[f"the image of {name}"] = spec["containers"][0]["image"].rpartition(":")[2]
    return [f"{what} is {version}, not {wanted}" for what, version in found.items() if version != wanted]


def main():
    tools = tool("kubernetes")
    kubectl, helm = f"{tools}/bin/kubectl", f"{tools}/bin/helm"
    if sys.argv[1:] == ["update"]:
        for path, text in alerts().items():
            path.write_text(text)
        objects.PLAIN.write_text(objects.plain())
        return
    everything = rendered(kubectl)
    kserve = [item for path in objects.KSERVE for item in objects.parse(path.read_text())]
    if sys.argv[1:2] == ["render"]:
        folder = pathlib.Path(sys.argv[2])
        folder.mkdir(parents=True, exist_ok=True)
        for name, items in {**everything, "kserve": kserve}.items():
            (folder / f"{name}.yaml").write_text(yaml.safe_dump_all(items))
        return

    objects.output(helm, "lint", "--strict", "--quiet", objects.CHART)
    found = list(compared(everything, helm))
    unique = list({str(item): item for items in everything.values() for item in items}.values())
    foreign = [item for item in unique if item["apiVersion"].split("/")[0] in schemas.OTHERS]
    found += schemas.kubernetes([item for item in unique if item not in foreign])
    found += schemas.others(foreign, f"{tool('node')}/node", tool("npm", "tools/deploy"))
    found += schemas.KServe(tools).errors(kserve)
    found += schemas.promql(unique)
    found += options(helm)
    found += versions(unique + kserve)
    for name, items in everything.items():
        found += [f"{name}: {error}" for error in wiring.errors(items)]
    for name, spec in objects.pods(kserve):
        found += wiring.of_pod(name, spec)
    for line in found:
        print(line, file=sys.stderr)
    if found:
        sys.exit(1)
    print(f"{len(everything)} renderings by kustomize, equal to the chart's", flush=True)
    print(f"{len(unique)} objects fit their schemas, {len(kserve)} of KServe", flush=True)
    run.all_of([*everything.items(), ("kserve", kserve)])


if __name__ == "__main__":
    main()
