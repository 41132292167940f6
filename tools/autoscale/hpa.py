"""The horizontal pod autoscaler, as Kubernetes documents it: the ratio, the tolerance, the windows, the policies.

https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/ has the rules; test_autoscale.py holds its examples.
"""

import math
from dataclasses import dataclass, field

SYNC_S = 15
TOLERANCE = 0.1


@dataclass(frozen=True)
class Policy:
    """At most `value` pods, or per cent of the pods, in `period_s` seconds."""

    kind: str
    value: int
    period_s: int = 15


@dataclass(frozen=True)
class Direction:
    """What one direction of `behavior` says."""

    window_s: int
    policies: tuple
    # Max: the policy that allows the most change. Min: the least. Disabled: none.
    select: str = "Max"


# What holds where `behavior` says nothing.
UP = Direction(0, (Policy("Percent", 100), Policy("Pods", 4)))
DOWN = Direction(300, (Policy("Percent", 100),))


@dataclass
class Autoscaler:
    """Its state: what it recommended and what it changed. `ready` pods answer and have a metric; others count as told below."""

    least: int
    most: int
    up: Direction = UP
    down: Direction = DOWN
    recommendations: list = field(default_factory=list)
    changes: list = field(default_factory=list)

    def desired(self, pods, ready, ratios):
        """Pods by the metrics, each as its ratio to the target over the ready pods; none of a metric that is not there.

        The most that a metric asks for holds. With a metric missing, nothing is taken away."""
        found = [ratio for ratio in ratios if ratio is not None]
        if not found:
            return pods
        proposed = max(proposal(pods, ready, ratio) for ratio in found)
        return max(proposed, pods) if len(found) < len(ratios) else proposed

    def step(self, now, pods, ready, ratios):
        """One synchronisation: how many pods there shall be."""
        desired = self.desired(pods, ready, ratios)
        if not self.recommendations:
            # What there is when it begins counts as recommended a moment ago.
            self.recommendations.append((now - 1, pods))
        self.recommendations.append((now, desired))
        longest = max(self.up.window_s, self.down.window_s)
        self.recommendations = [one for one in self.recommendations if one[0] > now - longest or one[0] == now]
        settled = self.stabilized(now, pods)
        if settled > pods:
            settled = min(settled, self.limit_up(now, pods))
        elif settled < pods:
            settled = max(settled, self.limit_down(now, pods))
        settled = min(max(settled, self.least), self.most)
        if settled != pods:
            self.changes.append((now, settled - pods))
        return settled

    def within(self, now, seconds):
        return [pods for at, pods in self.recommendations if at > now - seconds or at == now]

    def stabilized(self, now, pods):
        """Up to the least, down to the most that was recommended within the windows; in between, as it is."""
        lowest, highest = min(self.within(now, self.up.window_s)), max(self.within(now, self.down.window_s))
        return max(lowest, min(pods, highest))

    def at_begin(self, now, pods, period_s):
        """How many pods there were when the period of a policy began."""
        return pods - sum(change for at, change in self.changes if at > now - period_s)

    def limit_up(self, now, pods):
        if self.up.select == "Disabled":
            return pods
        limits = []
        for policy in self.up.policies:
            begin = self.at_begin(now, pods, policy.period_s)
            limits.append(begin + policy.value if policy.kind == "Pods" else -(-begin * (100 + policy.value) // 100))
        return max(pods, max(limits) if self.up.select == "Max" else min(limits))

    def limit_down(self, now, pods):
        if self.down.select == "Disabled":
            return pods
        limits = []
        for policy in self.down.policies:
            begin = self.at_begin(now, pods, policy.period_s)
            # Rounded so that a policy may take one pod more: 10 % of 72 are 8.
            limits.append(begin - policy.value if policy.kind == "Pods" else begin * (100 - policy.value) // 100)
        return min(pods, min(limits) if self.down.select == "Max" else max(limits))


def proposal(pods, ready, ratio):
    """Pods by one metric. A pod that is not ready counts as one with nothing to do, if the others have too much."""
    if abs(ratio - 1) <= TOLERANCE:
        return pods
    if ratio < 1 or ready == pods:
        # The ratio is of ready pods: so many of them are needed.
        return math.ceil(round(ratio * ready, 9))
    damped = ratio * ready / pods
    if damped < 1 or abs(damped - 1) <= TOLERANCE:
        return pods
    return math.ceil(round(damped * pods, 9))
