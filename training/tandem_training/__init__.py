"""Prepares the data, trains and exports the deep model, and checks both models that Tandem ships.

The fast model is trained by `tandem train`. Read in this order: data, text, prepare (what goes in);
deep_tokenizer to deep_export (the deep model); calibration, metrics, manifest, golden_texts, model (what
both share); features, fast_weights, parity (what proves the fast model); golden_examples (models of others); heads
(several tasks on one encoder).
"""

SEED = 20261122
