#!/usr/bin/env python3
"""Holds the autoscaler to the examples of Kubernetes' documentation, and the simulation to what must be so. A few seconds."""

import json
import os
import re
import unittest

import day
import simulate
from hpa import DOWN, UP, Autoscaler, Direction, Policy, proposal
from replica import DEEP_SHARE, FAST_SHARE, Costs, curve, under

HERE = os.path.dirname(os.path.abspath(__file__))
COSTS = Costs([(1.0, 0.002), (12.0, 0.013)], call=0.0001, fast=0.00002, batch=12)


class Formula(unittest.TestCase):
    def test_twice_the_target_doubles_and_half_of_it_halves(self):
        # "If the current metric value is 200m, and the desired value is 100m, the number of replicas will be doubled."
        self.assertEqual(proposal(3, 3, 200 / 100), 6)
        self.assertEqual(proposal(6, 6, 50 / 100), 3)

    def test_it_rounds_up(self):
        self.assertEqual(proposal(3, 3, 1.2), 4)
        self.assertEqual(proposal(5, 5, 0.5), 3)

    def test_near_the_target_nothing_changes(self):
        # "sufficiently close to 1.0 (within a configurable tolerance, 0.1 by default)"
        self.assertEqual([proposal(10, 10, ratio) for ratio in (0.91, 0.95, 1.0, 1.09)], [10] * 4)
        self.assertEqual(proposal(10, 10, 1.11), 12)

    def test_pods_that_start_count_as_idle_when_it_would_scale_up(self):
        # Two of four answer, at 1.8 of the target: 0.9 of it over all.
        self.assertEqual(proposal(4, 2, 1.8), 4)
        self.assertEqual(proposal(4, 2, 3.0), 6)

    def test_a_scale_up_is_not_turned_into_a_scale_down_by_them(self):
        self.assertEqual(proposal(8, 2, 1.5), 8)


class Behaviour(unittest.TestCase):
    def test_up_by_default_four_pods_or_double_in_15_s(self):
        autoscaler = Autoscaler(1, 100)
        self.assertEqual(autoscaler.step(0, 1, 1, [50]), 5)
        self.assertEqual(autoscaler.step(15, 5, 5, [10]), 10)
        self.assertEqual(autoscaler.step(30, 10, 10, [5]), 20)

    def test_down_by_default_after_five_minutes_and_then_at_once(self):
        autoscaler, told = Autoscaler(1, 100), []
        self.assertEqual(autoscaler.step(0, 20, 20, [1]), 20)
        for now in range(15, 330, 15):
            told.append(autoscaler.step(now, 20, 20, [0.1]))
        self.assertEqual(told, [20] * 19 + [2] * 2)

    def test_the_documented_example_of_two_policies(self):
        # 80 pods, policies of 4 pods and of 10 % a minute: 8 go, then 8 of 72, since 7.2 is rounded up; below 40, four a minute.
        down = Direction(0, (Policy("Pods", 4, 60), Policy("Percent", 10, 60)))
        autoscaler, pods, told = Autoscaler(10, 100, UP, down), 80, []
        for now in range(0, 1500, 60):
            after = autoscaler.step(now, pods, pods, [0.01])
            told.append(pods - after)
            pods = after
        self.assertEqual(told[:3], [8, 8, 7])
        self.assertEqual(told[6:13], [4] * 7)
        self.assertEqual(pods, 10)

    def test_within_a_period_a_policy_gives_no_more(self):
        autoscaler = Autoscaler(1, 100, UP, Direction(0, (Policy("Percent", 10, 60),)))
        self.assertEqual([autoscaler.step(now, pods, pods, [0.1]) for now, pods in ((0, 80), (15, 72), (45, 72), (60, 72))], [72, 72, 72, 64])

    def test_min_takes_the_smaller_change_and_disabled_none(self):
        two = (Policy("Pods", 4, 60), Policy("Percent", 10, 60))
        self.assertEqual(Autoscaler(1, 100, UP, Direction(0, two, "Min")).step(0, 80, 80, [0.1]), 76)
        self.assertEqual(Autoscaler(1, 100, UP, Direction(0, two, "Disabled")).step(0, 80, 80, [0.1]), 80)

    def test_the_window_takes_the_highest_recommendation(self):
        autoscaler = Autoscaler(1, 100, UP, DOWN)
        self.assertEqual([autoscaler.step(now, 10, 10, [ratio]) for now, ratio in ((0, 0.8), (15, 0.5), (30, 0.7))], [10] * 3)
        late = [autoscaler.step(now, 10, 10, [0.5]) for now in range(45, 400, 15)]
        self.assertEqual((late[0], late[-1]), (10, 5))

    def test_the_most_of_several_metrics_holds_and_a_missing_one_takes_nothing_away(self):
        autoscaler = Autoscaler(1, 100, UP, Direction(0, DOWN.policies))
        self.assertEqual(autoscaler.desired(10, 10, [0.5, 1.5]), 15)
        self.assertEqual(autoscaler.desired(10, 10, [0.5, None]), 10)
        self.assertEqual(autoscaler.desired(10, 10, [1.5, None]), 15)
        self.assertEqual(autoscaler.desired(10, 10, [None]), 10)

    def test_bounds_hold(self):
        autoscaler = Autoscaler(2, 12, UP, Direction(0, DOWN.policies))
        self.assertEqual(autoscaler.step(0, 10, 10, [9]), 12)
        self.assertEqual(autoscaler.step(60, 12, 12, [0.01]), 2)


class Replica(unittest.TestCase):
    def test_at_low_load_a_text_runs_alone_and_hardly_waits(self):
        calls = 0.05 * COSTS.full()
        load = under(COSTS, calls, 4000, 1)
        self.assertLess(load.mean_wait, COSTS.runs[1] / 2)
        self.assertAlmostEqual(load.busy, calls * DEEP_SHARE * COSTS.runs[1], delta=0.1 * load.busy)

    def test_near_its_limit_it_works_all_the_time_in_full_batches(self):
        load = under(COSTS, 0.98 * COSTS.full(), 20_000, 1)
        self.assertGreater(load.cpu, 0.97)
        self.assertLess(load.busy / (load.calls * DEEP_SHARE), 0.75 * COSTS.runs[1])

    def test_waits_and_shares_grow_with_the_load(self):
        loads = curve(COSTS, texts=4000, steps=5)
        for value in (lambda load: load.mean_wait, lambda load: load.busy, lambda load: load.cpu):
            self.assertEqual(sorted(loads, key=value), loads)

    def test_four_cores_behind_one_queue_wait_less_than_four_replicas(self):
        alone, together = under(COSTS, 0.8 * COSTS.full(), 20_000, 1), under(COSTS, 4 * 0.8 * COSTS.full(), 20_000, 1, cores=4)
        self.assertLess(together.mean_wait, alone.mean_wait)
        self.assertLess(together.batch, alone.batch)

    def test_what_it_can_do_follows_from_its_costs(self):
        work = DEEP_SHARE * (0.013 / 12 + COSTS.call) + FAST_SHARE * COSTS.fast
        self.assertAlmostEqual(COSTS.full() * work, 1.0)

    def test_runs_between_measured_ones_lie_on_the_line_between(self):
        self.assertAlmostEqual(COSTS.runs[1], 0.002)
        self.assertAlmostEqual(COSTS.runs[5], 0.006)
        self.assertAlmostEqual(COSTS.between(24), 0.026)


class Day(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with open(f"{HERE}/measured.json") as file:
            cls.measured = json.load(file)
        cls.costs = Costs.of(cls.measured)
        cls.loads = curve(cls.costs, texts=4000)
        cls.begin = int(day.BURST_AT) - 3600
        cls.calls = day.traffic(4 * cls.costs.full(), 1, int(day.BURST_AT) + 1800)[cls.begin :]
        cls.start_s = cls.measured["start_s"] + 10

    def outcome(self, name):
        way = next(way for way in simulate.WAYS if way.name == name)
        return day.simulate(self.loads, self.costs, self.calls, way, self.start_s, self.begin)

    def test_a_burst_is_three_times_what_was(self):
        calm = sum(self.calls[3000:3600]) / 600
        self.assertAlmostEqual(sum(self.calls[3600:4200]) / 600 / calm, day.BURST, delta=0.3)

    def test_every_text_is_answered_refused_or_waits(self):
        outcome = self.outcome(simulate.WAYS[1].name)
        self.assertAlmostEqual(outcome.asked, outcome.refused + sum(outcome.histogram), delta=7 * day.QUEUE_TEXTS)
        self.assertGreater(outcome.refused_in_burst, 0)

    def test_enough_replicas_refuse_nothing(self):
        outcome = self.outcome(simulate.WAYS[0].name)
        self.assertEqual((outcome.refused, outcome.changes), (0, []))

    def test_the_same_seed_gives_the_same_day(self):
        self.assertEqual(self.outcome(simulate.RECOMMENDED), self.outcome(simulate.RECOMMENDED))

    def test_the_page_recommends_what_is_simulated(self):
        way = next(way for way in simulate.WAYS if way.name == simulate.RECOMMENDED)
        with open(f"{HERE}/../../docs/autoscaling.md", encoding="utf-8") as page:
            behaviour = page.read().split("kind: HorizontalPodAutoscaler")[1].split("```")[0]
        number = lambda key: int(re.search(rf"\b{key}: (\d+)", behaviour)[1])
        ((metric, target),) = way.targets
        self.assertEqual((metric, number("averageUtilization")), ("CPU", round(100 * target)))
        self.assertEqual(number("stabilizationWindowSeconds"), way.down.window_s)
        self.assertEqual((Policy("Percent", number("value"), number("periodSeconds")),), way.down.policies)

    def test_what_is_recommended_flaps_and_refuses_less_than_queue_time_alone(self):
        recommended, queue = self.outcome(simulate.RECOMMENDED), self.outcome("p99 queue time 100 ms")
        self.assertLess(recommended.refused, queue.refused)
        self.assertLess(recommended.replica_seconds, queue.replica_seconds)
        self.assertLessEqual(recommended.flaps(), 3)
        self.assertGreater(queue.flaps(), 10)


if __name__ == "__main__":
    unittest.main()
