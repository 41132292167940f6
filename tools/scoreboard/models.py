"""Broken models: each must be refused in one line, with exit code 1 or 2, before any call is accepted."""

import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.request

from marks import judged
from server import ROOT, Server


class Copy:
    """A repository with a copy of one model, to be broken."""

    def __init__(self, source, name):
        self.repository = tempfile.TemporaryDirectory()
        self.name = name
        self.folder = f"{self.repository.name}/{name}/1"
        shutil.copytree(f"{ROOT}/{source}/{name}/1", self.folder)

    def path(self, file):
        return f"{self.folder}/{file}"

    def read(self, file):
        with open(self.path(file), "rb") as opened:
            return opened.read()

    def write(self, file, content, rehash=True):
        """Replaces a file, and lets the manifest agree with it."""
        before = hashlib.sha256(self.read(file)).hexdigest()
        with open(self.path(file), "wb") as opened:
            opened.write(content)
        if rehash and file != "manifest.toml":
            manifest = self.read("manifest.toml")
            after = hashlib.sha256(content).hexdigest()
            self.write("manifest.toml", manifest.replace(before.encode(), after.encode()))

    def replace(self, file, old, new):
        content = self.read(file)
        found = re.subn(old, new, content, count=1)
        assert found[1] == 1, (file, old)
        self.write(file, found[0])

    def check(self, program, *flags):
        """The exit code of a start that does not open ports, and what it complains of."""
        command = [program, "serve", "--check", "--models", self.repository.name, "--default-route"]
        command += ["deep" if "deep" in self.name else "fast", "--log-filter", "off", *flags]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        return done.returncode, done.stderr.strip().splitlines()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.repository.cleanup()


def manifest(old, new):
    return lambda copy: copy.replace("manifest.toml", old, new)


def content(file, change):
    return lambda copy: copy.write(file, change(copy.read(file)))


def missing(file):
    return lambda copy: os.remove(copy.path(file))


def a_folder_for(file):
    def change(copy):
        os.remove(copy.path(file))
        os.mkdir(copy.path(file))

    return change


def a_dangling_link_for(file):
    def change(copy):
        os.remove(copy.path(file))
        os.symlink("/nowhere/model.onnx", copy.path(file))

    return change


def another_folder(copy):
    shutil.move(f"{copy.repository.name}/{copy.name}", f"{copy.repository.name}/other")


def another_model(copy):
    with open(f"{ROOT}/tests/data/models/tutorial-nb/1/model.onnx", "rb") as other:
        copy.write("model.onnx", other.read())


FAST = {
    "model.onnx empty": content("model.onnx", lambda _: b""),
    "model.onnx cut in half": content("model.onnx", lambda whole: whole[: len(whole) // 2]),
    "model.onnx of random bytes": content("model.onnx", lambda whole: random.Random(1).randbytes(len(whole))),
    "model.onnx missing": missing("model.onnx"),
    "model.onnx a folder": a_folder_for("model.onnx"),
    "model.onnx a dangling link": a_dangling_link_for("model.onnx"),
    "model.onnx another model's": another_model,
    "golden examples missing": missing("golden.jsonl"),
    "golden examples empty": content("golden.jsonl", lambda _: b""),
    "golden examples no JSON": content("golden.jsonl", lambda whole: b"{" + whole),
    "golden examples no UTF-8": content("golden.jsonl", lambda whole: b"\xff" + whole),
    "a golden output changed": lambda copy: copy.replace("golden.jsonl", rb'"logits":\[-?\d', rb'"logits":[7'),
    "a golden id more": lambda copy: copy.replace("golden.jsonl", rb'"ids":\[', rb'"ids":[0,'),
    "manifest missing": missing("manifest.toml"),
    "manifest empty": content("manifest.toml", lambda _: b""),
    "manifest no TOML": content("manifest.toml", lambda whole: b"= = =\n" + whole),
    "manifest no UTF-8": content("manifest.toml", lambda whole: b"# \xff\n" + whole),
    "manifest with an unknown key": manifest(rb"tier = ", rb'teir = "fast"\ntier = '),
    "manifest of another schema": manifest(rb"schema_version = 1", rb"schema_version = 2"),
    "a label too many": manifest(rb'labels = \[', rb'labels = ["neutral", '),
    "a label twice": manifest(rb'"positive"\]', rb'"negative"]'),
    "one label": manifest(rb'"negative", ', rb""),
    "an output that is not there": manifest(rb'output = "logits"', rb'output = "logit"'),
    "a temperature of zero": manifest(rb"temperature = [\d.]+", rb"temperature = 0.0"),
    "a temperature of nan": manifest(rb"temperature = [\d.]+", rb"temperature = nan"),
    "another temperature": manifest(rb"temperature = ", rb"temperature = 1"),
    "a negative tolerance": manifest(rb"logit_tolerance = ", rb"logit_tolerance = -"),
    "another folder than its name": another_folder,
    "another version than its folder": manifest(rb'version = "1"', rb'version = "2"'),
    "a name with a slash": manifest(rb'name = "sentiment-fast"', rb'name = "sentiment/fast"'),
    "a file above the folder": manifest(rb'"model.onnx" = ', rb'"../model.onnx" = '),
    "a file that is not listed": manifest(rb'file = "model.onnx"', rb'file = "other.onnx"'),
    "a checksum too short": manifest(rb'"model.onnx" = "..', rb'"model.onnx" = "'),
    "buckets that are no power of two": manifest(rb"buckets = \d+", rb"buckets = 1000000"),
    "fewer buckets than the model has": manifest(rb"buckets = \d+", rb"buckets = 1024"),
    "longer n-grams than trained": manifest(rb"max_n = 5", rb"max_n = 6"),
    "no code points": manifest(rb"max_code_points = \d+", rb"max_code_points = 0"),
    "a batch of none": manifest(rb"max_batch_size = \d+", rb"max_batch_size = 0"),
    "another kind of preprocessing": manifest(rb'kind = "hashed_ngrams"', rb'kind = "tokenizer"'),
}
DEEP = {
    "a tokenizer that is no JSON": content("tokenizer.json", lambda whole: whole[:-2]),
    "a tokenizer without a vocabulary": content("tokenizer.json", lambda _: b"{}"),
    "a tokenizer that keeps capitals": lambda copy: copy.replace("tokenizer.json", rb'\{"type":"Lowercase"\},', b""),
    "more tokens than the model reads": manifest(rb"max_tokens = \d+", rb"max_tokens = 8192"),
}


def broken(options):
    """20 broken model folders: all refused in one line, exit 1 or 2."""
    cases = [("sentiment-fast", case, change) for case, change in FAST.items()]
    if not options.short:
        cases += [("sentiment-deep", case, change) for case, change in DEEP.items()]
    taken, wordy, codes = [], [], {1: 0, 2: 0}
    for name, case, change in cases:
        with Copy("models", name) as copy:
            change(copy)
            code, complaint = copy.check(options.program)
            if options.verbose:
                print(f"    {case}: {code} {' | '.join(complaint).replace(copy.repository.name, '')}")
            if code not in codes:
                taken.append(f"{case} (exit {code})")
            else:
                codes[code] += 1
                if len(complaint) != 1:
                    wordy.append(case)
    told = f"{codes[1] + codes[2]} of {len(cases)} refused, {codes[2]} with exit 2, {codes[1]} with exit 1"
    told += f", taken: {taken or 'none'}, more than one line: {wordy or 'none'}"
    return judged(options, told, [("none taken", not taken), ("one line each", not wordy)])


def flip(rng, octets):
    at = rng.randrange(len(octets))
    return octets[:at] + bytes([octets[at] ^ 1 << rng.randrange(8)]) + octets[at + 1 :]


def flipped(options):
    """400 bit-flipped files of models with manifests: all refused in one line."""
    rng = random.Random(20261123)
    per_file = 2 if options.short else 58
    sources = {"sentiment-fast": "models", "tutorial-nb": "tests/data/models"}
    if not options.short:
        sources["sentiment-deep"] = "models"
    tried = refused = manifests = harmless = 0
    for name, source in sources.items():
        with Copy(source, name) as copy:
            for file in sorted(os.listdir(copy.folder)):
                whole = copy.read(file)
                for _ in range(per_file):
                    copy.write(file, flip(rng, whole), rehash=False)
                    code, complaint = copy.check(options.program)
                    bad = code in (1, 2) and len(complaint) == 1
                    if file == "manifest.toml":
                        manifests, harmless = manifests + 1, harmless + (not bad)
                    else:
                        tried, refused = tried + 1, refused + bad
                    if options.verbose and not bad:
                        print(f"    {name}/{file}: {code} {complaint}")
                copy.write(file, whole, rehash=False)
    return judged(
        options,
        f"{refused} of {tried} refused; flipped in the manifest itself, which no checksum covers: "
        f"{manifests - harmless} of {manifests} refused",
        [("all refused", refused == tried)],
    )


def graph(name, *listed):
    """The tutorial's model with a graph of tests/data/poisoned, without golden examples, and with more files that are listed."""

    def change(copy):
        with open(f"{ROOT}/tests/data/poisoned/{name}.onnx", "rb") as poison:
            copy.write("model.onnx", poison.read())
        copy.replace("manifest.toml", rb"(?s)\[golden\].*?\[limits\]", b"[limits]")
        for file in listed:
            with open(copy.path(file), "wb") as opened:
                opened.write(bytes(4))
            copy.write("manifest.toml", copy.read("manifest.toml") + f'"{file}" = "{sha256(bytes(4))}"\n'.encode())

    return change


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def pipe(file):
    def change(copy):
        os.remove(copy.path(file))
        os.mkfifo(copy.path(file))

    return change


def labels_pipe(copy):
    os.mkfifo(f"{copy.repository.name}/labels.toml")


def no_manifest(change):
    """A Hugging Face folder in the place of the model."""

    def changed(copy):
        shutil.rmtree(copy.folder)
        shutil.copytree(f"{ROOT}/tests/data/hugging_face/bert", copy.folder)
        for file in change:
            with open(copy.path(file)) as opened:
                content = json.load(opened)
            content.update(change[file])
            with open(copy.path(file), "w") as opened:
                json.dump(content, opened)

    return changed


DOUBLED = {"type": "Replace", "pattern": {"String": "a"}, "content": "aa"}
POISONED = {
    "an endless loop": graph("endless"),
    "an endless loop in a function": graph("endless-folded"),
    "a tensor of 4 TB": graph("huge-constant"),
    "a weight of 4 TB by its own account": graph("huge-declared"),
    "an output of 10^12 columns": lambda copy: (graph("wide")(copy), os.remove(copy.path("manifest.toml"))),
    "model.onnx a pipe": pipe("model.onnx"),
    "golden.jsonl a pipe": pipe("golden.jsonl"),
    "labels.toml a pipe": labels_pipe,
    "10^9 labels": no_manifest({"config.json": {"id2label": None, "label2id": None, "num_labels": 10**9}}),
    "200,000 labels": no_manifest({"config.json": {"id2label": {str(at): f"l{at}" for at in range(200_000)}}}),
    "a normalizer that doubles texts 20 times": no_manifest(
        {"tokenizer.json": {"normalizer": {"type": "Sequence", "normalizers": [DOUBLED] * 20}}}
    ),
    "a normalizer that panics": no_manifest(
        {"tokenizer.json": {"normalizer": {"type": "Precompiled", "precompiled_charsmap": "AAAA"}}}
    ),
    **{
        f"values in another file, named in {place}": graph(f"external-{place}", "hidden.bin")
        for place in ["attribute", "function", "default", "branch", "training"]
    },
}


def poisoned(options):
    """Folders that would hang, swell or deceive: refused in one line each; while an endless one loads, health answers and SIGTERM ends."""
    bound = ["--max-timeout", "5s", "--default-timeout", "5s"]
    passed, slowest = [], 0.0
    for case, change in POISONED.items():
        with Copy("tests/data/models", "tutorial-nb") as copy:
            change(copy)
            started = time.monotonic()
            code, complaint = copy.check(options.program, *bound)
            slowest = max(slowest, time.monotonic() - started)
            if options.verbose:
                print(f"    {case}: {code} {complaint}")
            if code not in (1, 2) or len(complaint) != 1:
                passed.append(case)
    with Copy("tests/data/models", "tutorial-nb") as copy:
        server = Server(options.program, repository=copy.repository.name)
        second = f"{copy.repository.name}/tutorial-nb/2"
        shutil.copytree(copy.folder, second)
        copy.folder = second
        copy.replace("manifest.toml", rb'\nversion = "1"', b'\nversion = "2"')
        graph("endless")(copy)
        server.process.send_signal(signal.SIGHUP)
        health = []
        for _ in range(20):
            started = time.monotonic()
            with urllib.request.urlopen(f"http://{server.http[0]}:{server.http[1]}/healthz", timeout=30) as answer:
                answer.read()
            health.append(time.monotonic() - started)
            time.sleep(0.1)
        started = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        code = server.process.wait(timeout=120)
        ended = time.monotonic() - started
    return judged(
        options,
        f"{len(POISONED) - len(passed)} of {len(POISONED)} refused, passed: {passed or 'none'}, the longest took {slowest:.1f} s; "
        f"while an endless version loads: health {1000 * max(health):.0f} ms at most, exit {code} {ended:.1f} s after SIGTERM",
        [("all refused", not passed), ("exit 0", code == 0)],
    )


ROWS = [broken, flipped, poisoned]
