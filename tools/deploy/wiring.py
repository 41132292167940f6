"""What schemas don't see: whether the objects of one rendering fit together."""

import re


def seconds(text):
    number, unit = re.fullmatch(r"(\d+)(ms|s|m|h)", text).groups()
    return int(number) * {"ms": 0.001, "s": 1, "m": 60, "h": 3600}[unit]


def environment(container):
    return {item["name"]: item["value"] for item in container.get("env", [])}


def probes(container):
    return {name: container[name] for name in ("startupProbe", "readinessProbe", "livenessProbe") if name in container}


def of_pod(name, spec):
    [container] = spec["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    variables = environment(container)
    if len(variables) != len(container.get("env", [])):
        yield f"{name}: a variable is there twice"
    for probe, content in probes(container).items():
        kinds = [kind for kind in ("grpc", "httpGet", "exec", "tcpSocket") if kind in content]
        if len(kinds) != 1:
            yield f"{name}: {probe} asks in {len(kinds)} ways"
        port = content.get("httpGet", content.get("grpc", {})).get("port")
        if port not in ports and port not in ports.values():
            yield f"{name}: {probe} asks port {port}, which the container has not"
        if "grpc" in content and "TANDEM_TLS_CERT" in variables:
            yield f"{name}: {probe} is a gRPC probe, which speaks no TLS"
    mounts = {mount["name"] for mount in container.get("volumeMounts", [])}
    volumes = {volume["name"] for volume in spec.get("volumes", [])}
    if mounts != volumes:
        yield f"{name}: volumes {sorted(volumes)}, mounted {sorted(mounts)}"
    if any("subPath" in mount for mount in container.get("volumeMounts", [])):
        yield f"{name}: a subPath is never renewed"
    for volume in spec.get("volumes", []):
        if "secret" in volume and "fsGroup" not in spec["securityContext"]:
            yield f"{name}: without fsGroup the server can't read the secret {volume['name']}"
    if "TANDEM_DRAIN_PAUSE" in variables:
        needed = seconds(variables["TANDEM_DRAIN_PAUSE"]) + seconds(variables["TANDEM_DRAIN_GRACE"])
        if spec["terminationGracePeriodSeconds"] <= needed:
            yield f"{name}: the pod is killed before the drain of {needed} s is over"


def errors(objects):
    deployments = {item["metadata"]["name"]: item for item in objects if item["kind"] == "Deployment"}
    names = {(item["kind"], item["metadata"]["name"]) for item in objects}
    if len(names) != len(objects):
        yield "two objects have one name"
    [(name, deployment)] = deployments.items()
    template = deployment["spec"]["template"]
    [container] = template["spec"]["containers"]
    ports = {port["name"] for port in container["ports"]}
    yield from of_pod(name, template["spec"])

    def selects(item, selector):
        if not selector.items() <= template["metadata"]["labels"].items():
            yield f"{item['kind']} {item['metadata']['name']} selects other pods"

    if ("ServiceAccount", template["spec"]["serviceAccountName"]) not in names:
        yield f"{name}: no such account"
    yield from selects(deployment, deployment["spec"]["selector"]["matchLabels"])
    scaled = [item for item in objects if item["kind"] in ("HorizontalPodAutoscaler", "ScaledObject")]
    if len(scaled) > 1 or bool(scaled) == ("replicas" in deployment["spec"]):
        yield f"{name}: the number of servers must be set in one place"
    services = {item["metadata"]["name"]: item for item in objects if item["kind"] == "Service"}
    for item in objects:
        spec = item.get("spec", {})
        if item["kind"] == "Service":
            yield from selects(item, spec["selector"])
            for port in spec["ports"]:
                if port["targetPort"] not in ports:
                    yield f"Service: the container has no port {port['targetPort']}"
        elif item["kind"] in ("PodDisruptionBudget", "NetworkPolicy"):
            yield from selects(item, spec.get("selector", spec.get("podSelector"))["matchLabels"])
            for rule in spec.get("ingress", []):
                for port in rule["ports"]:
                    if port["port"] not in ports:
                        yield f"NetworkPolicy: the container has no port {port['port']}"
        elif item["kind"] in ("HorizontalPodAutoscaler", "ScaledObject"):
            if spec["scaleTargetRef"]["name"] != name:
                yield f"{item['kind']}: no such Deployment"
        elif item["kind"] == "ServiceMonitor":
            found = [service for service in services.values()
                     if spec["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()]
            if len(found) != 1:
                yield f"ServiceMonitor: it finds {len(found)} services, so that pods are scraped as often"
            for endpoint in spec["endpoints"]:
                if endpoint["port"] not in {port["name"] for service in found for port in service["spec"]["ports"]}:
                    yield f"ServiceMonitor: no service has a port {endpoint['port']}"
                if (endpoint.get("scheme") == "https") != ("TANDEM_TLS_CERT" in environment(container)):
                    yield "ServiceMonitor: its scheme is not the server's"
        elif item["kind"] == "GRPCRoute":
            for rule in spec["rules"]:
                for backend in rule["backendRefs"]:
                    service = services.get(backend["name"], {"spec": {"ports": []}})
                    if backend["port"] not in {port["port"] for port in service["spec"]["ports"]}:
                        yield f"GRPCRoute: there is no {backend['name']}:{backend['port']}"
        elif item["kind"] == "Certificate":
            secrets = {volume["secret"]["secretName"] for volume in template["spec"]["volumes"] if "secret" in volume}
            if spec["secretName"] not in secrets:
                yield "Certificate: nobody mounts its secret"
    claims = {volume["persistentVolumeClaim"]["claimName"] for volume in template["spec"].get("volumes", [])
              if "persistentVolumeClaim" in volume}
    for claim in claims:
        if ("PersistentVolumeClaim", claim) not in names:
            yield f"{name}: no claim {claim}"
