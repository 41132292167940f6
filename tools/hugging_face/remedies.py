"""Carries out what `tandem check` prints for folders of transformers, with the real libraries, and asks that it helps.

    venv/bin/python tools/hugging_face/remedies.py TANDEM [CASE …]

Each case makes a folder that is in need, has `tandem check` look at it, does what the remedy says (the printed command itself, in a
shell, where there is one), and looks again: the note must be gone. What serves then is asked for texts, alone and together, and
compared with the model as PyTorch runs it. Models are small, with random weights. Nothing is loaded from elsewhere.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
import transformers
from tokenizers import processors
from transformers import AutoConfig, AutoModelForSequenceClassification

import families
from compare import Server
from make_fixtures import reviews

TOLERANCE = 1e-5
TEXTS = ["good", "", "a long text of many words, which goes on. " * 4, "재미있게 봤어요", "I LOVED it!!", "bad film", "naïve café", "what a story"]
CORPUS = reviews(300) + ["The film was good, the story was not.", "A fine day to watch a bad film!"] * 20
SHAPE = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64, max_position_embeddings=66)
# Of an encoder with a decoder.
BOTH = dict(d_model=32, encoder_layers=1, decoder_layers=2, encoder_attention_heads=2, decoder_attention_heads=2)
BOTH |= dict(encoder_ffn_dim=64, decoder_ffn_dim=64, max_position_embeddings=66)


@dataclass(frozen=True)
class Model:
    """A family: its tokenizer and the shape of its model."""

    tokenizer: Callable
    family: str
    shape: dict = field(default_factory=lambda: SHAPE)


def gpt2(texts: list[str], size: int) -> transformers.PreTrainedTokenizerFast:
    tokenizer = families.roberta(texts, size).backend_tokenizer
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    return transformers.GPT2TokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>", bos_token="</s>", eos_token="</s>", pad_token="<pad>")


def llama(texts: list[str], size: int) -> transformers.PreTrainedTokenizerFast:
    return transformers.PreTrainedTokenizerFast(tokenizer_object=gpt2(texts, size).backend_tokenizer, eos_token="</s>", pad_token="<pad>")


def mpnet(texts: list[str], size: int) -> transformers.PreTrainedTokenizerFast:
    special = dict(bos_token="[CLS]", cls_token="[CLS]", eos_token="[SEP]", sep_token="[SEP]", unk_token="[UNK]", pad_token="[PAD]", mask_token="[MASK]")
    return transformers.MPNetTokenizerFast(tokenizer_object=families.bert(texts, size).backend_tokenizer, **special)


def as_class(made: Callable, name: str) -> Callable:
    return lambda texts, size: getattr(transformers, name)(tokenizer_object=made(texts, size).backend_tokenizer)


DECODER = dict(n_embd=32, n_layer=2, n_head=2, n_positions=64)
HEADS = SHAPE | dict(num_key_value_heads=2)
MODELS = {
    "bert": Model(families.bert, "bert"),
    "roberta": Model(families.roberta, "roberta", SHAPE | dict(type_vocab_size=1)),
    "camembert": Model(as_class(families.xlm_roberta, "CamembertTokenizerFast"), "camembert", SHAPE | dict(type_vocab_size=1)),
    "xlm-roberta": Model(families.xlm_roberta, "xlm-roberta", SHAPE | dict(type_vocab_size=1)),
    "distilbert": Model(families.distilbert, "distilbert", dict(dim=32, n_layers=2, n_heads=2, hidden_dim=64, max_position_embeddings=64)),
    "electra": Model(families.electra, "electra", SHAPE | dict(embedding_size=32)),
    "deberta-v2": Model(families.deberta, "deberta-v2", SHAPE | dict(relative_attention=True, pos_att_type=["p2c", "c2p"], position_buckets=16, share_att_key=True, norm_rel_ebd="layer_norm", position_biased_input=False, type_vocab_size=0)),
    "albert": Model(as_class(families.deberta, "AlbertTokenizerFast"), "albert", SHAPE | dict(embedding_size=16)),
    "mpnet": Model(mpnet, "mpnet"),
    "bart": Model(as_class(families.roberta, "BartTokenizerFast"), "bart", BOTH),
    "mbart": Model(as_class(families.xlm_roberta, "MBartTokenizerFast"), "mbart", BOTH),
    "gpt2": Model(gpt2, "gpt2", DECODER),
    "llama": Model(llama, "llama", HEADS),
    "qwen2": Model(llama, "qwen2", HEADS),
    "modernbert": Model(families.bert, "modernbert", SHAPE | dict(local_attention=16, max_position_embeddings=8192)),
}


def build(name: str, labels: tuple[str, ...] = ("bad", "fair", "good"), **settings):
    """A tokenizer and a model with random weights, whose answers are spread."""
    torch.manual_seed(7)
    made = MODELS[name]
    tokenizer = made.tokenizer(CORPUS, 320)
    tokenizer.model_max_length = 64
    ids = {f"{key}_token_id": getattr(tokenizer, f"{key}_token_id") for key in ("pad", "bos", "eos", "cls", "sep")}
    ids = {key: value for key, value in ids.items() if value is not None}
    named = dict(id2label=dict(enumerate(labels)), label2id={label: at for at, label in enumerate(labels)})
    shape = made.shape | ids | named | dict(vocab_size=len(tokenizer), problem_type=families.SINGLE) | settings
    config = AutoConfig.for_model(made.family, **{"initializer_range": 0.3, "init_std": 0.3} | shape)
    return tokenizer, AutoModelForSequenceClassification.from_config(config).eval()


def answers(tokenizer, model) -> list[list[float]]:
    """What transformers says of each text, alone."""
    found = []
    for text in TEXTS:
        inputs = tokenizer(text, truncation=True, max_length=64, return_tensors="pt")
        if not inputs["input_ids"].numel():
            found.append(None)  # transformers has no answer for no tokens
            continue
        with torch.inference_mode():
            found.append(torch.softmax(model(**inputs).logits[0], dim=-1).tolist())
    return found


class Desk:
    """A folder to work in, and the program that is asked."""

    def __init__(self, tandem: Path, folder: Path) -> None:
        self.tandem, self.folder = tandem, folder

    def check(self, folder: Path) -> dict:
        done = subprocess.run([self.tandem, "check", "--json", folder], capture_output=True, text=True, check=False)
        assert done.stdout, done.stderr
        return json.loads(done.stdout) | {"code": done.returncode}

    def told(self, folder: Path, words: str) -> str:
        """The remedy of the note with these words."""
        report = self.check(folder)
        notes = [note for note in report.get("notes", []) if words in note["text"]]
        assert notes, f"{words!r} is not in {report}"
        return notes[0]["remedy"]

    def gone(self, folder: Path, words: str) -> dict:
        """Serves, and the note with these words is gone."""
        report = self.check(folder)
        assert report["code"] == 0, report
        assert not any(words in note["text"] for note in report["notes"]), report
        return report

    def run(self, command: str) -> None:
        """A printed command, in a shell, with the programs that are beside this interpreter."""
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        quiet = {"PATH": path, "HOME": str(self.folder), "HF_HUB_OFFLINE": "1", "ORT_DISABLE_TELEMETRY": "1", "CUDA_VISIBLE_DEVICES": ""}
        done = subprocess.run(["sh", "-c", command], env=os.environ | quiet, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}: {[*done.stdout.splitlines(), *done.stderr.splitlines()][-1]}"

    def compare(self, folder: Path, tokenizer, model) -> str:
        """Asks for the texts, together and alone."""
        expected = answers(tokenizer, model)
        with Server(self.tandem, folder) as server:
            together = server.predict(TEXTS, [])
            alone = [server.predict([text], [])[0] for text in TEXTS]
        labels = [model.config.id2label[at] for at in range(model.config.num_labels)]
        away = moved = 0.0
        for one, other, right in zip(together, alone, expected, strict=True):
            scores, single = ({score["label"]: score.get("score", 0.0) for score in row["scores"]} for row in (one, other))
            moved = max(moved, *(abs(scores[label] - single[label]) for label in labels))
            if right:
                away = max(away, *(abs(scores[label] - value) for label, value in zip(labels, right, strict=True)))
        assert away < TOLERANCE and moved < TOLERANCE, f"{away:.1e} from PyTorch's, {moved:.1e} among neighbours"
        return f"{away:.1e} from PyTorch's, {moved:.1e} among neighbours"

    def saved(self, name: str, **settings):
        """The folder of a trained model, as transformers saves it."""
        tokenizer, model = build(name, **settings)
        folder = self.folder / "trained" / name
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        return folder, tokenizer, model

    def exported(self, folder: Path) -> Path:
        """Carries out the command that is printed where there are weights alone."""
        self.run(self.told(folder, "there is no ONNX file, but").removeprefix("export it: "))
        return folder.with_name(f"{folder.name}-onnx")


CASES: dict[str, Callable[[Desk], str]] = {}


def case(make: Callable[[Desk], str]) -> Callable[[Desk], str]:
    CASES[make.__name__.replace("_", "-")] = make
    return make


def exporting(name: str) -> Callable[[Desk], str]:
    def one(desk: Desk) -> str:
        folder, tokenizer, model = desk.saved(name)
        exported = desk.exported(folder)
        report = desk.gone(exported, "there is no ONNX file")
        return f"{desk.compare(exported, tokenizer, model)}; batches: {report['neighbours']}"

    return one


CASES |= {f"export-{name}": exporting(name) for name in MODELS}


@case
def export_gpt2_without_padding(desk: Desk) -> str:
    """transformers itself refuses batches of such a model; each text alone has an answer."""
    tokenizer, model = build("gpt2")
    model.config.pad_token_id = None
    folder = desk.folder / "trained/gpt2"
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text("utf-8"))
    config.pop("pad_token_id", None)
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    exported = desk.exported(folder)
    report = desk.check(exported)
    assert report["code"] == 0, report
    return f"{desk.compare(exported, tokenizer, model)}; batches: {report['neighbours']}"


@case
def older_tokenizer(desk: Desk) -> str:
    folder, tokenizer, model = desk.saved("bert")
    exported = desk.exported(folder)
    (exported / "tokenizer.json").unlink()
    (exported / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": 64}), "utf-8")
    by_id = sorted(tokenizer.get_vocab().items(), key=lambda entry: entry[1])
    (exported / "vocab.txt").write_text("".join(f"{token}\n" for token, _ in by_id), "utf-8")
    desk.run(desk.told(exported, "there is no tokenizer.json, but vocab.txt").removeprefix("make it: "))
    desk.gone(exported, "there is no tokenizer.json")
    return desk.compare(exported, tokenizer, model)


@case
def tokens_beyond_the_table(desk: Desk) -> str:
    """The separator that every text gets was added to the tokenizer, and not to the model."""
    folder, tokenizer, model = desk.saved("bert")
    tokenizer.add_special_tokens({"sep_token": "<end>"})
    number = tokenizer.convert_tokens_to_ids("<end>")
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A <end>", pair="[CLS] $A <end> $B:1 <end>:1", special_tokens=[("[CLS]", tokenizer.cls_token_id), ("<end>", number)])
    tokenizer.save_pretrained(folder)
    exported = desk.exported(folder)
    refused = desk.check(exported)
    words = "export the model after model.resize_token_embeddings(len(tokenizer))"
    assert refused["code"] == 1 and words in refused["problem"], refused
    model.resize_token_embeddings(len(tokenizer))
    model.save_pretrained(folder)
    shutil.rmtree(exported)
    exported = desk.exported(folder)
    desk.gone(exported, "rows")
    return desk.compare(exported, tokenizer, model)


@case
def token_that_the_graph_does_not_know(desk: Desk) -> str:
    folder, tokenizer, model = desk.saved("roberta")
    tokenizer.add_tokens(["loved"])
    tokenizer.save_pretrained(folder)
    exported = desk.exported(folder)
    told = desk.told(exported, "rows")
    assert "resize_token_embeddings(len(tokenizer))" in told, told
    model.resize_token_embeddings(len(tokenizer))
    model.save_pretrained(folder)
    shutil.rmtree(exported)
    exported = desk.exported(folder)
    desk.gone(exported, "rows")
    return desk.compare(exported, tokenizer, model)


def traced(model, folder: Path, **how) -> None:
    names = ["input_ids", "attention_mask"]
    inputs = (torch.ones(1, 16, dtype=torch.long), torch.ones(1, 16, dtype=torch.long))
    with torch.inference_mode():
        torch.onnx.export(model, inputs, folder / "model.onnx", input_names=names, output_names=["logits"], dynamo=False, **how)


@case
def open_sizes(desk: Desk) -> str:
    folder, tokenizer, model = desk.saved("distilbert")
    (folder / "model.safetensors").unlink()
    traced(model, folder)
    for words in ("one text at a time", "exactly 16 tokens"):
        told = desk.told(folder, words)
        assert "torch.onnx.export needs dynamic_axes for both" in told, told
    both = {0: "texts", 1: "tokens"}
    traced(model, folder, dynamic_axes={"input_ids": both, "attention_mask": both, "logits": {0: "texts"}})
    desk.gone(folder, "one text at a time")
    desk.gone(folder, "exactly 16 tokens")
    by_torch = desk.compare(folder, tokenizer, model)
    model.save_pretrained(folder)
    exported = folder.with_name("by-optimum")
    desk.run(f"optimum-cli export onnx --model {folder} --task text-classification {exported}")
    desk.gone(exported, "exactly 16 tokens")
    return f"{by_torch}; by optimum-cli {desk.compare(exported, tokenizer, model)}"


@case
def weights_beside_the_graph(desk: Desk) -> str:
    import onnx

    folder, tokenizer, model = desk.saved("bert")
    exported = desk.exported(folder)
    graph = onnx.load(exported / "model.onnx")
    onnx.save(graph, exported / "model.onnx", save_as_external_data=True, location="w", size_threshold=256)
    moved = onnx.load(exported / "model.onnx", load_external_data=False)
    for tensor in moved.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = "../w"
    (exported / "model.onnx").write_bytes(moved.SerializeToString())
    told = desk.told(exported, "relative path without `..`")
    assert told.startswith("export it again into an empty folder"), told
    shutil.rmtree(exported)
    exported = desk.exported(folder)
    return desk.compare(exported, tokenizer, model)


@case
def newer_onnx(desk: Desk) -> str:
    """A format and operators that the library does not know yet."""
    import onnx

    folder, tokenizer, model = desk.saved("bert")
    exported = desk.exported(folder)
    file = exported / "model.onnx"
    graph = onnx.load(file)
    graph.ir_version = 99
    onnx.save(graph, file)
    problem = desk.check(exported)["problem"]
    _, found, steps = problem.partition("write it anew in Python: ")
    assert found, problem
    exec(steps, {"onnx": onnx, "FILE": str(file)})
    desk.gone(exported, "IR version")
    graph = onnx.load(file)
    graph.opset_import[0].version = 99
    onnx.save(graph, file)
    problem = desk.check(exported)["problem"]
    assert "export it in a lower one (optimum-cli: --opset;" in problem, problem
    shutil.rmtree(exported)
    desk.run(f"optimum-cli export onnx --model {folder} --task text-classification --opset 17 {exported}")
    desk.gone(exported, "opset")
    return desk.compare(exported, tokenizer, model)


# What is exported for other tasks is told as what it is.
OTHER_TASKS = [
    ("feature-extraction", "AutoModel", "an embedding model"),
    ("token-classification", "AutoModelForTokenClassification", "a token classifier"),
    ("question-answering", "AutoModelForQuestionAnswering", "question answering"),
    ("fill-mask", "AutoModelForMaskedLM", "a language model"),
    ("multiple-choice", "AutoModelForMultipleChoice", "multiple choice"),
]


@case
def other_tasks(desk: Desk) -> str:
    """Weights of other kinds are never told to be exported as classifiers, and their exports are refused as what they are."""
    for task, maker, kind in OTHER_TASKS:
        tokenizer, classifier = build("bert", labels=("no", "yes"))
        model = getattr(transformers, maker).from_config(classifier.config)
        folder = desk.folder / task
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        weights = desk.told(folder, f"of {kind}")
        exported = desk.folder / f"{task}-onnx"
        desk.run(f"optimum-cli export onnx --model {folder} --task {task} {exported}")
        report = desk.check(exported)
        wrong = [note for note in report["notes"] if note["kind"] == "wrong"]
        assert report["code"] == 2 and any(kind in note["text"] for note in wrong), f"{task}: {report}"
        assert "serve another model" in weights, weights
    return f"{len(OTHER_TASKS)} kinds are named"


@case
def pointers_of_git_lfs(desk: Desk) -> str:
    """A clone without its large files, from a repository on this machine. Wants git-lfs."""
    folder, tokenizer, model = desk.saved("bert")
    exported = desk.exported(folder)
    author = "-c user.name=a -c user.email=a@example.com"
    bare, clone = desk.folder / "served.git", desk.folder / "clone"
    desk.run(f"cd {exported} && git init -q && git lfs install --local && git lfs track '*.onnx' && git add -A && git {author} commit -q -m export")
    desk.run(f"git clone -q --bare {exported} {bare} && cd {exported} && git remote add origin file://{bare} && git lfs push --all origin")
    desk.run(f"GIT_LFS_SKIP_SMUDGE=1 git clone -q file://{bare} {clone}")
    told = desk.told(clone, "is a pointer of Git LFS")
    assert "git lfs install && git lfs pull in the clone, or hf download ORGANISATION/MODEL --local-dir FOLDER" in told, told
    desk.run(f"cd {clone} && git lfs install && git lfs pull")
    desk.gone(clone, "Git LFS")
    # Nothing is fetched here: that the command has such an option.
    desk.run("hf download --help | grep -q -- --local-dir")
    return desk.compare(clone, tokenizer, model)


def main() -> None:
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    tandem, asked = Path(sys.argv[1]).resolve(), sys.argv[2:]
    failed = 0
    for name, carry_out in CASES.items():
        if asked and not any(word in name for word in asked):
            continue
        with tempfile.TemporaryDirectory() as scratch:
            try:
                print(f"{name}: {carry_out(Desk(tandem, Path(scratch)))}", flush=True)
            except Exception as error:  # each case is told of
                failed += 1
                print(f"{name}: FAILED: {type(error).__name__}: {error}", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
