"""Starts the program that was built with the settings of each container in deploy/, and does to it what a cluster would do: asks
what the probes ask, calls it with and without certificates, renews its certificates as Kubernetes renews a secret. Volumes become
folders, and each port becomes a free one on loopback. Says so if nothing is built. `TANDEM=path` names another program."""

import os
import pathlib
import re
import shlex
import shutil
import subprocess
import tempfile

import objects
import wiring
from server import Server

# As the log names the doors, by the variable of each. A shared address takes the place of the first two.
DOORS = {"TANDEM_GRPC_ADDR": "grpc", "TANDEM_HTTP_ADDR": "http", "TANDEM_METRICS_ADDR": "metrics", "TANDEM_ADMIN_ADDR": "admin",
         "TANDEM_SHARED_ADDR": "grpc"}
TEXT = '{"texts": ["정말 재미있게 봤어요"]}'
TENSOR = '{"inputs": [{"name": "text", "datatype": "BYTES", "shape": [1], "data": ["정말 재미있게 봤어요"]}]}'
# Exit codes: of any command; of grpcurl that can't connect; of curl that gets an error in HTTP, that does not believe the
# certificate, and that gets no answer in HTTP (no HTTP at all, the handshake failed, nothing came, the connection broke).
WELL, REFUSED, UNREADY, UNTRUSTED, NO_ANSWER = {0}, {1}, {22}, {60}, {1, 35, 52, 55, 56}
PREDICT = "tandem.v1.PredictionService/Predict"


def program():
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", "target"))
    named = os.environ.get("TANDEM")
    paths = [pathlib.Path(named)] if named else [target / "release/tandem", target / "debug/tandem"]
    built = [path.resolve() for path in paths if path.is_file()]
    return max(built, key=lambda path: path.stat().st_mtime, default=None)


def of_image():
    """The variables that the image sets."""
    text = pathlib.Path("Dockerfile").read_text().replace("\\\n", " ")
    words = [word for line in re.findall(r"^ENV (.*)$", text, re.M) for word in shlex.split(line)]
    return {key: value for key, _, value in (word.partition("=") for word in words) if key != "PATH"}


def as_user(binary, spec):
    """The pod's user, as subprocess takes it, where this program may become another user and that one can reach the server."""
    wanted = spec.get("securityContext", {})
    if os.geteuid() != 0 or "runAsUser" not in wanted:
        return {}
    user = {"user": wanted["runAsUser"], "group": wanted["runAsGroup"], "extra_groups": []}
    try:
        reached = subprocess.run([binary, "--version"], capture_output=True, **user).returncode == 0
    except PermissionError:
        reached = False
    return user if reached else {}


class Secret:
    """A folder of certificates as Kubernetes lays out a secret: links to a folder that is exchanged in one step."""

    def __init__(self, folder, mode, group):
        self.folder, self.made, self.count = folder, folder.parent / "made", 0
        self.mode, self.group = mode, group
        folder.mkdir()
        self.renew()
        for name in "tls.crt", "tls.key", "ca.crt":
            (folder / name).symlink_to(f"..data/{name}")

    def renew(self):
        objects.output("deploy/tls/make-certs.sh", self.made, "tandem", "localhost", "127.0.0.1")
        self.count += 1
        version = self.folder / f"..{self.count}"
        version.mkdir()
        for source, name in ("server.pem", "tls.crt"), ("server-key.pem", "tls.key"), ("ca.pem", "ca.crt"):
            shutil.copy(self.made / source, version / name)
            (version / name).chmod(self.mode)
            os.chown(version / name, -1, self.group)
        link = self.folder / "..data_new"
        link.symlink_to(version.name)
        link.rename(self.folder / "..data")

    def file(self, name):
        return str(self.made / f"{name}.pem")


class Trial:
    """One container of the manifests, as it runs here."""

    def __init__(self, binary, grpcurl, name, spec, work):
        [self.container] = spec["containers"]
        self.binary, self.grpcurl, self.name, self.secret = binary, grpcurl, name, None
        # Where it can be: the pod's own user, and its group for what is mounted.
        self.user = as_user(binary, spec)
        group = spec["securityContext"].get("fsGroup", -1) if self.user else -1
        work.chmod(0o755)
        self.variables = {**of_image(), **wiring.environment(self.container)}
        # What KServe lays under /mnt/models may be a link, as for models from OCI images.
        folders = {"/opt/tandem/models": pathlib.Path("models").resolve(), "/mnt/models": work / "link"}
        folders["/mnt/models"].symlink_to(pathlib.Path("models").resolve())
        kinds = {volume["name"]: volume for volume in spec.get("volumes", [])}
        for mount in self.container.get("volumeMounts", []):
            volume, folder = kinds[mount["name"]], work / mount["name"]
            if "secret" in volume:
                self.secret = Secret(folder, volume["secret"]["defaultMode"], group)
            elif "persistentVolumeClaim" in volume:
                shutil.copytree("models", folder)
            else:
                folder.mkdir()
                os.chown(folder, -1, group)
                folder.chmod(0o2770)
            folders[mount["mountPath"]] = folder
        self.folders = folders
        self.here = {key: self.moved(value) for key, value in self.variables.items()}
        # As with the manifests' own times, only sooner, and later.
        self.here.update(TANDEM_RELOAD_INTERVAL="1s", TANDEM_DRAIN_PAUSE="60s")

    def moved(self, value):
        for path, folder in self.folders.items():
            if value == path or value.startswith(path + "/"):
                return str(folder) + value[len(path):]
        return re.sub(r"^[0-9.]+:\d+$", "127.0.0.1:0", value)

    def accepted(self):
        """`--print-config` takes all variables as they stand in the manifest, and each of them holds."""
        printed = self.must("--print-config", WELL, self.binary, *self.container["args"], "--print-config", env=self.variables)
        holds = dict(line.split(" = ", 1) for line in printed.splitlines() if " = " in line)
        for variable, value in self.variables.items():
            key = variable.removeprefix("TANDEM_").lower()
            if variable.startswith("TANDEM_") and holds.get(key, "").strip('"') != value:
                raise SystemExit(f"{self.name}: {variable} is {value}, and the server has {key} = {holds.get(key)}")

    def shape(self):
        """What decides how it runs here."""
        variables = sorted(item for item in self.variables.items() if item[0] in DOORS or item[1].startswith("/"))
        ports = sorted(port["containerPort"] for port in self.container["ports"])
        mounts = sorted(mount["mountPath"] for mount in self.container.get("volumeMounts", []))
        return str((self.container["args"], variables, ports, mounts, wiring.probes(self.container)))

    def tls(self):
        return "TANDEM_TLS_CERT" in self.variables

    def mutual(self):
        return "TANDEM_TLS_CLIENT_CA" in self.variables

    def must(self, what, codes, *command, **more):
        """Runs a command, which must end with one of these exit codes."""
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, **more)
        if done.returncode not in codes:
            raise SystemExit(f"{self.name}: {what}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def curl(self, what, codes, url, *arguments):
        return self.must(what, codes, "curl", "--silent", "--show-error", "--fail", "--max-time", "20", *arguments, url)

    def ask(self, what, codes, address, method, *arguments, data="{}"):
        return self.must(what, codes, self.grpcurl, "-max-time", "20", *arguments, "-d", data, address, method)

    def run(self):
        with Server(self.binary, [self.moved(word) for word in self.container["args"]], self.here, self.user) as server:
            ports = {}
            for variable, door in DOORS.items():
                if variable in self.variables and door in server.doors:
                    ports[int(self.variables[variable].rpartition(":")[2])] = server.doors[door]
            self.probe(ports)
            if self.tls():
                self.over_tls(server)
            elif "TANDEM_SHARED_ADDR" in self.variables:
                self.over_kserve(server.doors["grpc"])
            else:
                answer = self.ask("a call", WELL, server.doors["grpc"], PREDICT, "-plaintext", data=TEXT)
                assert "positive" in answer, answer
            if "TANDEM_LABELS_FILE" in self.here:
                self.by_hand(server)
            if not self.tls():
                self.metrics(server.doors["http"])
                self.drain(server)
        return server.took

    def probe(self, ports):
        named = {port["name"]: port["containerPort"] for port in self.container["ports"]}
        for name, content in wiring.probes(self.container).items():
            if "grpc" in content:
                answer = self.ask(name, WELL, ports[content["grpc"]["port"]], "grpc.health.v1.Health/Check", "-plaintext")
                assert "SERVING" in answer and "NOT_SERVING" not in answer, answer
            else:
                get = content["httpGet"]
                address = ports[named.get(get["port"], get["port"])]
                # As Kubernetes does it: it takes any certificate and has none of its own.
                self.curl(name, WELL, f"{get.get('scheme', 'HTTP').lower()}://{address}{get['path']}", "--insecure")

    def drain(self, server):
        """What Kubernetes does to a pod that is to go: readiness ends at once, and calls are still taken."""
        server.drain()
        grpc = server.doors["grpc"]
        answer = self.ask("health in the drain", WELL, grpc, "grpc.health.v1.Health/Check", "-plaintext")
        assert "NOT_SERVING" in answer, answer
        self.curl("readiness in the drain", UNREADY, f"http://{server.doors['http']}/readyz")
        self.curl("liveness in the drain", WELL, f"http://{server.doors['http']}/healthz")
        self.ask("a call in the drain", WELL, grpc, PREDICT, "-plaintext", data=TEXT)

    def over_tls(self, server):
        grpc, http, metrics = (server.doors[door] for door in ("grpc", "http", "metrics"))
        trust = ["--cacert", self.secret.file("ca")]
        mine = ["--cert", self.secret.file("client"), "--key", self.secret.file("client-key")] if self.mutual() else []
        body = ["--header", "content-type: application/json", "--data", TEXT]
        answer = self.curl("a call over HTTPS", WELL, f"https://{http}/v1/predict", *trust, *mine, *body)
        assert "positive" in answer, answer
        self.curl("without the authority", UNTRUSTED, f"https://{http}/v1/predict", *mine, *body)
        self.curl("by another name", UNTRUSTED, "https://other.example/v1/predict", *trust, *mine, *body, "--connect-to", f"::{http}")
        self.curl("in plaintext", NO_ANSWER, f"http://{http}/v1/predict", *body)
        self.metrics(metrics, "--cacert", self.secret.file("ca"), "--connect-to", f"tandem:443:{metrics}", url="https://tandem")
        self.over_grpcs(server, grpc)

    def over_grpcs(self, server, grpc):
        trust = ["-cacert", self.secret.file("ca"), "-servername", "tandem"]
        mine = ["-cert", self.secret.file("client"), "-key", self.secret.file("client-key")] if self.mutual() else []
        answer = self.ask("a call over gRPC", WELL, grpc, PREDICT, *trust, *mine, data=TEXT)
        assert "positive" in answer, answer
        self.ask("without the authority", REFUSED, grpc, PREDICT, *mine, data=TEXT)
        self.ask("in plaintext", REFUSED, grpc, PREDICT, "-plaintext", data=TEXT)
        if self.mutual():
            self.ask("without a certificate", REFUSED, grpc, PREDICT, *trust, data=TEXT)
            http = server.doors["http"]
            self.curl("without a certificate", NO_ANSWER, f"https://{http}/v1/models", "--cacert", self.secret.file("ca"))
        self.must("healthcheck", WELL, self.binary, "healthcheck", "--addr", grpc, env=self.here)
        before = server.certificate(grpc)
        self.secret.renew()
        server.wait("new certificates are in use")
        assert server.certificate(grpc) != before, "the old certificate is still shown"
        self.ask("a call after the renewal", WELL, grpc, PREDICT, *trust, *mine, data=TEXT)

    def over_kserve(self, address):
        infer = ["--header", "content-type: application/json", "--data", TENSOR]
        for version in "--http1.1", "--http2-prior-knowledge":
            answer = self.curl("KServe's REST", WELL, f"http://{address}/v2/models/sentiment-deep/infer", version, *infer)
            assert "positive" in answer, answer
        answer = self.ask("KServe's gRPC", WELL, address, "inference.GRPCInferenceService/ModelReady", "-plaintext",
                          data='{"name": "sentiment-deep"}')
        assert "true" in answer, answer

    def by_hand(self, server):
        """What operators decide is kept on the writable volume, and nothing is written beside the models."""
        admin = {**self.here, "TANDEM_ADMIN_ADDR": server.doors["admin"]}
        before = sorted(pathlib.Path(self.here["TANDEM_MODELS"]).rglob("*"))
        self.must("models promote", WELL, self.binary, "models", "promote", "sentiment-deep@1", env=admin)
        assert "sentiment-deep" in pathlib.Path(self.here["TANDEM_LABELS_FILE"]).read_text()
        assert sorted(pathlib.Path(self.here["TANDEM_MODELS"]).rglob("*")) == before

    def metrics(self, address, *arguments, url=None):
        """Every metric that the rules and autoscalers ask for is there, where the server has begun to count it."""
        found = self.curl("metrics", WELL, f"{url or 'http://' + address}/metrics", *arguments)
        for name in "tandem_queue_duration_seconds_bucket", "tandem_queued_texts", "tandem_model_state", "tandem_requests_total":
            assert f"\n{name}{{" in found, f"{self.name}: no {name}"


def all_of(renderings):
    """Tries (name, objects) of each rendering. Containers whose ports, folders and probes are the same run once; the variables of
    each are tried in any case."""
    binary = program()
    if binary is None:
        print("no program is built (cargo build --release): the settings in deploy/ were not tried")
        return
    grpcurl = objects.output("tools/test-tools.sh", "grpcurl").strip()
    tried = set()
    for rendering, items in renderings:
        for name, spec in objects.pods(items):
            if not shutil.which("openssl") and any("secret" in volume for volume in spec.get("volumes", [])):
                print(f"{rendering}/{name}: openssl is not here, so it was not tried")
                continue
            with tempfile.TemporaryDirectory() as work:
                trial = Trial(binary, grpcurl, f"{rendering}/{name}", spec, pathlib.Path(work))
                trial.accepted()
                if trial.shape() not in tried:
                    tried.add(trial.shape())
                    took = trial.run()
                    user = f"as user {trial.user['user']}" if trial.user else "as this user"
                    print(f"{trial.name}: ready after {took:.1f} s {user}, probes and calls as they should be", flush=True)
