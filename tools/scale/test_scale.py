#!/usr/bin/env python3
"""Holds the simulation of several replicas to what queueing theory, the settings and the rules of balancing say. A few seconds."""

import os
import random
import re
import unittest

import cluster
import discovery
import subsets
import tables
from model import Model

HERE = os.path.dirname(os.path.abspath(__file__))
MODEL = Model.read(1, 1.0, 0.05)
DEEP, TAKEN = MODEL.costs, MODEL.taken


def steady(rate, seconds):
    return cluster.arrivals(random.Random(1), rate, seconds, bursts=False)


class Queue(unittest.TestCase):
    def test_one_core_without_batches_waits_as_pollaczek_and_khinchine_say(self):
        # Runs of one length: the mean wait is load * run / (2 * (1 - load)).
        for load in (0.3, 0.6, 0.8):
            done = cluster.serve_fast(0.001, steady(1000 * load, 200))
            wait = sum(done.latencies) / len(done.latencies) - 0.001
            self.assertAlmostEqual(wait, 0.001 * load / (2 * (1 - load)), delta=0.05 * 0.001 * load / (1 - load))

    def test_bursts_keep_the_mean_rate(self):
        came = sum(1 for _ in cluster.arrivals(random.Random(1), 1000, 100))
        self.assertAlmostEqual(came, 100_000, delta=2_000)

    def test_every_call_is_answered_or_refused(self):
        for share in (0.5, 3.0):
            done = cluster.serve(DEEP, TAKEN, [cluster.Replica(1)], steady(share * MODEL.full("deep", 1), 10), 1)
            self.assertEqual(len(done.latencies) + done.refused, done.asked)
        self.assertAlmostEqual(done.refused_share(), 2 / 3, delta=0.05)

    def test_under_overload_nothing_is_answered_after_its_deadline(self):
        done = cluster.serve(DEEP, TAKEN, [cluster.Replica(1)], steady(3 * MODEL.full("deep", 1), 10), 1, deadline_s=0.5)
        self.assertLessEqual(done.at(1), 500)
        self.assertGreater(len(done.latencies), 0.9 * 10 * MODEL.full("deep", 1))

    def test_the_same_seed_gives_the_same_run(self):
        runs = [cluster.serve(DEEP, TAKEN, [cluster.Replica(1)] * 2, steady(800, 5), 7, cluster.FewestOpen, 5).latencies for _ in range(2)]
        self.assertEqual(*runs)

    def test_callers_that_ask_again_fill_batches(self):
        self.assertEqual(cluster.closed(DEEP, TAKEN, 1, 1, 100)[0], 1)
        self.assertEqual(cluster.closed(DEEP, TAKEN, 1, 64, 6_400)[0], DEEP.batch)


class Choice(unittest.TestCase):
    def fleet(self, way, speeds):
        return tables.run_fleet(MODEL, speeds, 0.5 * MODEL.full("deep", 1) * sum(speeds), way, 20, 20, 10)

    def test_turns_give_each_the_same_and_weights_by_speed(self):
        turns, weighed = (self.fleet(way, [1.0, 1.0, 0.5, 0.5]).busy for way in (cluster.Turns, cluster.Weighted))
        self.assertGreater(turns[2] - turns[0], 0.3)
        self.assertLess(abs(weighed[2] - weighed[0]), 0.15)

    def test_among_equals_weights_do_no_harm(self):
        busy = self.fleet(cluster.Weighted, [1.0] * 4).busy
        self.assertLess(max(busy) - min(busy), 0.15)


class Subsets(unittest.TestCase):
    def test_by_number_each_replica_has_as_many_callers(self):
        least, most = subsets.loads(subsets.by_number(100, 20, 5, 1), 20)
        self.assertAlmostEqual(least, most)

    def test_by_chance_some_have_far_more(self):
        least, most = subsets.loads(subsets.by_chance(300, 300, 90, 1), 300)
        self.assertTrue(0.55 < least < 0.85 and 1.1 < most < 1.4)

    def test_subsets_are_of_different_replicas(self):
        for way in (subsets.by_chance, subsets.by_number):
            self.assertTrue(all(len(set(chosen)) == 5 for chosen in way(30, 20, 5, 1)))


class Discovery(unittest.TestCase):
    def test_names_are_not_looked_up_more_often_than_every_30_s(self):
        times = list(discovery.lookups(random.Random(1), discovery.Way("", age=60), 50, 1_000))
        self.assertGreater(len(times), 20)
        self.assertTrue(all(later - earlier >= 29.99 for earlier, later in zip(times, times[1:])))

    def test_without_other_connections_tcp_alone_ends_it(self):
        self.assertEqual(discovery.gone(random.Random(1), discovery.Way("", age=1800), 1), discovery.TCP_GIVES_UP_S)


class Settings(unittest.TestCase):
    def test_the_bounds_are_the_settings_defaults(self):
        with open(f"{HERE}/../../tandem.example.toml", encoding="utf-8") as file:
            settings = file.read()
        number = lambda name: int(re.search(rf"^#? ?{name} = (\d+)", settings, re.M)[1])
        for name, value in (
            ("max_queue_texts", cluster.QUEUE_TEXTS), ("max_connections", tables.CONNECTIONS), ("max_streams_per_connection", tables.STREAMS),
            ("max_texts", tables.TEXTS), ("max_text_bytes", tables.TEXT_BYTES),
        ):
            self.assertEqual(number(name), value, name)


if __name__ == "__main__":
    unittest.main()
