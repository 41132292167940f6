"""Trains, calibrates, exports and checks the models that Tandem serves.

Read in this order: data, text, features (what goes in); fast_train, fast_graph,
fast_export (the fast model); calibration, manifest, golden_texts, model (what every
model shares); evaluate, parity, card (what proves it); golden_examples (models of others).
"""

SEED = 20261122
