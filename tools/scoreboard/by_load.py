"""Two servers, one of which is slow: its share of the calls where they take turns, and where servers are weighed by their load reports.

The slow one is stopped for nine tenths of the time, by signals: STOPPED_S of every PERIOD_S."""

import contextlib
import json
import signal
import threading
import time

from balancers import DEADLINE_S, Balancer, free_port, program_of
from h2raw import PREDICT
from inputs import grpcio, request
from lifecycle import metric
from marks import judged
from server import Server

CALLERS = 4
# PredictRequest of one text, by the deep model: it takes some milliseconds.
BODY = request(b"a good film", 2)
PERIOD_S, STOPPED_S = 0.4, 0.36
# The slow server has well fewer calls with less than this part of what it gets in turns.
WELL_FEWER = 0.7
MODELS = ("sentiment-fast", "sentiment-deep")
ANSWERED = 'tandem_requests_total{door="grpc",method="Predict",code="OK"'


def by_config(policy, **settings):
    """The service config of a gRPC client with a policy."""
    return json.dumps({"loadBalancingConfig": [{policy: settings}]})


TURNS = by_config("round_robin")
# The weights count from the first report, and are looked at ten times a second.
WEIGHTS = {"blackoutPeriod": "0s", "weightUpdatePeriod": "0.1s"}
PER_CALL = by_config("weighted_round_robin", **WEIGHTS)
OUT_OF_BAND = by_config("weighted_round_robin", enableOobLoadReport=True, oobReportingPeriod="0.5s", **WEIGHTS)


class Halting:
    """Stops a process again and again."""

    def __init__(self, process):
        self.process, self.ended = process, threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.ended.wait(PERIOD_S - STOPPED_S):
            self.process.send_signal(signal.SIGSTOP)
            self.ended.wait(STOPPED_S)
            self.process.send_signal(signal.SIGCONT)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()
        self.process.send_signal(signal.SIGCONT)


class Shares:
    """What two servers got of the calls of a few callers."""

    def __init__(self, options, servers):
        self.servers, self.grpc = servers, grpcio()
        # A window of load reports is 5 s, and the weights follow it. On a busy machine that takes longer: the short form goes on
        # until it is so, or that often.
        self.settle_s, self.measured_s, self.most_rounds = (6, 5, 10) if options.short else (12, 20, 1)

    def answered(self):
        return [int(count) if (count := metric(server, ANSWERED)) != "?" else 0 for server in self.servers]

    def of(self, target, config, enough=1.0):
        """The share of the slow one, the calls answered a second, and the calls that failed. Less than `enough` is what is waited for."""
        # The servers forget how loaded they were, and clients start anew.
        time.sleep(6)
        ended, failed = threading.Event(), []
        options = [("grpc.service_config", config), ("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0)]

        def ask(predict):
            while not ended.is_set():
                try:
                    predict(BODY, timeout=DEADLINE_S)
                except self.grpc.RpcError as error:
                    failed.append(error.code().name)
                # As callers have pauses: the fast server is not at its most.
                time.sleep(0.01)

        with self.grpc.insecure_channel(target, options=options) as channel:
            predict = channel.unary_unary(PREDICT.decode())
            callers = [threading.Thread(target=ask, args=[predict]) for _ in range(CALLERS)]
            for caller in callers:
                caller.start()
            time.sleep(self.settle_s)
            for _ in range(self.most_rounds):
                share, rate = self.measured()
                if share < enough:
                    break
            ended.set()
            for caller in callers:
                caller.join()
        return share, rate, len(failed)

    def measured(self):
        before = self.answered()
        time.sleep(self.measured_s)
        fast, slow = (now - then for now, then in zip(self.answered(), before))
        return slow / max(fast + slow, 1), (fast + slow) / self.measured_s


@contextlib.contextmanager
def pair(options, reports):
    """A server, and one that is slow."""
    ports = [(free_port(), free_port()) for _ in range(2)]
    flags = ["--load-reports", reports, "--load-report-interval", "500ms", "--deep-instances", "1"]
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(Server(options.program, *flags, models=MODELS, ports=at)) for at in ports]
        stack.enter_context(Halting(servers[1].process))
        yield ports, servers


def compared(options, found, usual):
    """Judges the shares of the slow server by their names: each is well below the one where servers take turns."""
    told = [f"{name} {share:.0%} at {rate:.0f} calls/s" for name, (share, rate, _) in found.items()]
    lost = sum(failed for *_, failed in found.values())
    counts = [(f"{name}: fewer calls", share < WELL_FEWER * found[usual][0]) for name, (share, *_) in found.items() if name != usual]
    return judged(options, f"the slow server's share: {', '.join(told)}; {lost} calls failed", [*counts, ("none failed", lost == 0)])


def grpc_by_load(options):
    """A server that is stopped nine tenths of the time gets fewer calls of gRPC's `weighted_round_robin`, by reports in trailers or in a stream, than of `round_robin`."""
    with pair(options, "always") as (ports, servers):
        target = "ipv4:" + ",".join(f"127.0.0.1:{port}" for port, _ in ports)
        shares = Shares(options, servers)
        found = {"turns": shares.of(target, TURNS)}
        for name, config in (("per call", PER_CALL), ("out of band", OUT_OF_BAND)):
            found[name] = shares.of(target, config, WELL_FEWER * found["turns"][0])
    return compared(options, found, "turns")


def envoy_by_load(options):
    """The same behind Envoy by deploy/envoy-by-load.yaml, beside deploy/envoy.yaml with ROUND_ROBIN."""
    in_turn = [("lb_policy: LEAST_REQUEST", "lb_policy: ROUND_ROBIN")]
    with pair(options, "asked") as (ports, servers):
        shares, found, enough = Shares(options, servers), {}, 1.0
        for name, file, changes in (("turns", "envoy.yaml", in_turn), ("by load", "envoy-by-load.yaml", ())):
            with Balancer(file, program_of(file), ports, [*changes, *PATIENT]) as balancer:
                found[name] = shares.of(f"ipv4:127.0.0.1:{balancer.port}", by_config("pick_first"), enough)
                enough = WELL_FEWER * found["turns"][0]
    return compared(options, found, "turns")


# A server that is stopped for a moment is slow, not gone.
PATIENT = [("- timeout: 1s\n", "- timeout: 5s\n"), ("unhealthy_threshold: 1", "unhealthy_threshold: 3")]

ROWS = [grpc_by_load, envoy_by_load]
