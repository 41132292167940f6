#!/usr/bin/env python3
"""Runs the commands of the texts and compares what they print: tools/docs_run.py [--short] target/debug/tandem [PAGE …]

Every block of a shell, of Python or of JavaScript in a Markdown file of the repository counts. tools/docs_run.toml says of each page
what its commands want to be there first, and of commands that are not run here who runs them or why nobody does; a command that it
does not speak of is run, and so is nothing overlooked. A line there that fits no command any more is a fault.

In blocks of `console` the lines after `$ ` are commands, and those below are what it prints; without any only the exit code
counts. `…` in a line stands for any text, in a line of its own for any lines; numbers with a point may differ by a hundredth of
themselves. In blocks of `sh` and `bash` each line is a command. One goes on after a backslash. A `tandem serve` is started on free
ports, in place of the one before, which must end with 0 when told to. Blocks of `toml` are read: settings by the program.

A page's commands run in one folder that is removed, which looks like the root of a clone; what they write lands there.
"""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent
RECIPES = pathlib.Path(__file__).with_suffix(".toml")
BLOCK = re.compile(r"^( *)```([a-z]+)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
SHELL = "sh", "bash", "console"
SCRIPT = "python", "js"
# What people type for the program: as it is built, installed, unpacked.
PROGRAM = re.compile(r"(?<![\w/.-])(target/release/tandem|cargo run --release --(?= ))")
# `also` is for recipes: a second server, beside the page's own.
SERVES = re.compile(r"\A(also )?([A-Z_]+=\S+ )*(\S+/)?tandem serve(?! --check| .*--print-config)\b")
NUMBER = re.compile(r"\d+\.\d+")
# The ports of gRPC, HTTP and operators, as the pages have them; and those of a second server.
PORTS, OTHER_PORTS = (50051, 5000, 50052), (50061, 5010, 50062)
# Seconds: a program without optimizations, on a busy machine.
LIMIT = 600
# Programs of which a page has many commands.
COMMON = "", "tandem", "cargo", "cargo run --release --", "target/release/tandem", "curl", "grpcurl", "python3", "make"
KEYS = {"texts", "given", "long", "short", "variables", "replace", "exit", "not_run", "elsewhere", "settings"}


def alike(wanted, found):
    """Whether a line is what the page has."""
    pieces = [NUMBER.sub("\0", piece) for piece in wanted.split("…")]
    pattern = ".*".join(re.escape(piece).replace("\0", r"(\d+\.\d+)") for piece in pieces)
    match = re.fullmatch(pattern, found)
    if not match:
        return False
    numbers = [float(number) for piece in wanted.split("…") for number in NUMBER.findall(piece)]
    # A number right before a `…` may have more digits.
    return all(abs(one - float(other)) <= 0.01 * abs(one) for one, other in zip(numbers, match.groups()))


def difference(wanted, found):
    """The first line of the page that is not there, or nothing. A `…` alone skips lines."""
    if not wanted:
        return None
    at, skip = 0, False
    for line in wanted:
        if line == "…":
            skip = True
            continue
        while skip and at < len(found) and not alike(line, found[at]):
            at += 1
        if at >= len(found) or not alike(line, found[at]):
            return line
        at, skip = at + 1, False
    return None if skip or at == len(found) else f"(nothing more after: {wanted[-1]})"


def uncomment(line):
    """The line without the comment at its end, which two spaces or more come before."""
    for found in re.finditer(r"\s{2,}#\s", line):
        before = line[: found.start()]
        if before.count("'") % 2 == before.count('"') % 2 == 0:
            return before
    return line


def lines(block):
    """The commands of a block of `sh`: a line each, but where one goes on."""
    whole, open_braces = "", 0
    for line in block.rstrip("\n").split("\n"):
        whole += uncomment(line)
        open_braces += len(re.findall(r"[{] *(?:#.*)?$", line)) - len(re.findall(r"^}", line))
        if whole.endswith("\\"):
            whole = whole[:-1]
        elif open_braces or whole.count("'") % 2:
            whole += "\n"
        else:
            yield whole.strip()
            whole = ""


def commands(language, block):
    """The commands of a block, each with what the page says it prints."""
    if language == "console":
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, *printed = part.rstrip("\n").split("\n")
            while command.endswith("\\"):
                command = command[:-1] + printed.pop(0)
            yield uncomment(command), printed
    elif language in SCRIPT:
        yield block.split("\n")[0], []
    else:
        yield from ((line, []) for line in lines(block) if line and not line.startswith("#"))


def labelled(name, count):
    """The first of the tests' labelled reviews, as a file of this name has them."""
    rows = (ROOT / "tests" / "data" / "reviews.tsv").read_text(encoding="utf-8").splitlines()[1 : count + 1]
    pairs = [(("negative", "positive")[int(label)], text) for _, label, text in (row.split("\t") for row in rows)]
    if name.endswith(".jsonl"):
        return "".join(json.dumps({"label": label, "text": text}) + "\n" for label, text in pairs)
    return "label\ttext\n" + "".join(f"{label}\t{text}\n" for label, text in pairs)


class Server:
    """The server that the page has running."""

    def __init__(self, command, folder, environment, ports):
        environment = {**environment, "TANDEM_GRPC_ADDR": "127.0.0.1:0", "TANDEM_HTTP_ADDR": "127.0.0.1:0", "TANDEM_LOG_FORMAT": "json"}
        if environment.get("TANDEM_ADMIN_ADDR"):
            environment["TANDEM_ADMIN_ADDR"] = "127.0.0.1:0"
        self.process = subprocess.Popen(
            ["bash", "-c", f"exec env {command}"], cwd=folder, env=environment, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        self.addresses, said = {}, []
        # One that is never ready is ended.
        limit = threading.Timer(LIMIT, self.process.kill)
        limit.start()
        for line in self.process.stderr:
            said.append(line)
            fields = json.loads(line) if line.startswith("{") else {}
            if fields.get("message") == "listening":
                for door, port in zip(("grpc", "http", "admin"), ports):
                    if fields.get(door, "off") != "off":
                        for host in "localhost", "127.0.0.1":
                            self.addresses[f"{host}:{port}"] = f"{host}:{fields[door].rpartition(':')[2]}"
            if fields.get("message") == "ready":
                limit.cancel()
                break
        else:
            limit.cancel()
            raise Differs(f"it ended with {self.process.wait()} before it was ready", "".join(said))
        # What it says after that has to be read.
        threading.Thread(target=self.process.stderr.read, daemon=True).start()

    def variables(self):
        """Where the program's own commands find it without an address."""
        names = dict(zip(("TANDEM_GRPC_ADDR", "TANDEM_HTTP_ADDR", "TANDEM_ADMIN_ADDR"), (f"127.0.0.1:{port}" for port in PORTS)))
        return {name: self.addresses[address] for name, address in names.items() if address in self.addresses}

    def end(self):
        self.process.send_signal(signal.SIGINT)
        if self.process.wait(LIMIT) != 0:
            raise Differs(f"the server ended with {self.process.returncode}", "")


class Differs(Exception):
    """What a command does is not what its page says: why, and what it printed."""


class Page:
    """One page, its folder, and what its recipe says."""

    def __init__(self, name, recipe, program, environment, folder, short):
        unknown = set(recipe) - KEYS
        # A program alone would pass over whatever comes to the page.
        vague = [words for key in ("not_run", "elsewhere") for words in recipe.get(key, {}) if words.strip() in COMMON]
        if vague:
            sys.exit(f"{RECIPES.name}: {name}: say more of a command than {vague[0]!r}")
        if unknown:
            sys.exit(f"{RECIPES.name}: {name}: no such key: {', '.join(unknown)}")
        self.name, self.recipe, self.program, self.short = name, recipe, program, short
        self.root, self.folder = folder / "clone", folder / "clone"
        self.state = folder / "state"
        self.environment = {**environment, **recipe.get("variables", {})}
        self.server, self.second, self.count = None, None, 0
        self.unused = {(key, words) for key in KEYS - {"texts", "given", "variables", *([] if short else ["short"])} for words in recipe.get(key, {})}

    def clone(self):
        """Makes the folder: as the root of a clone in which the program is built."""
        tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\n")
        self.root.mkdir()
        for top in sorted({name.split("/")[0] for name in tracked if name}):
            if top in ("models", "examples"):
                shutil.copytree(ROOT / top, self.root / top, ignore=lambda at, _: {"target", "node_modules"})
            else:
                (self.root / top).symlink_to(ROOT / top)
        for name, count in self.recipe.get("texts", {}).items():
            (self.root / name).write_text(labelled(name, count), encoding="utf-8")
        (self.root / "target" / "release").mkdir(parents=True)
        (self.root / "target" / "release" / "tandem").symlink_to(self.program)

    def rule(self, key, command):
        """What the recipe has under a key for a command, by how it begins."""
        for prefix, said in self.recipe.get(key, {}).items():
            if command.startswith(prefix):
                self.unused.discard((key, prefix))
                return said
        return None

    def meant(self, command):
        """The command with the addresses and names that are meant here."""
        command = PROGRAM.sub("tandem", command)
        servers = {name: value for server in (self.server, self.second) if server for name, value in server.addresses.items()}
        shorter = self.recipe.get("short", {}) if self.short else {}
        for written, meant in {**self.recipe.get("replace", {}), **shorter, **servers}.items():
            if written in command:
                self.unused -= {("replace", written), ("short", written)}
                command = command.replace(written, meant)
        return command

    def shell(self, command):
        """Runs a command in the shell's state that the one before left, and returns its code and what it printed."""
        kept = f'{{ {command}\n}} </dev/null; code=$?; pwd >"{self.state}.pwd"; env -0 >"{self.state}.env"; exit $code'
        done = subprocess.run(["bash", "-a", "-c", kept], cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=LIMIT)
        left = pathlib.Path(f"{self.state}.env")
        if left.exists():
            # The variables of bash itself begin anew.
            entries = (entry.partition("=") for entry in left.read_text(encoding="utf-8").split("\0") if entry)
            self.environment = {name: value for name, _, value in entries if name not in ("_", "SHLVL", "BASH_EXECUTION_STRING")}
            self.folder = pathlib.Path(pathlib.Path(f"{self.state}.pwd").read_text(encoding="utf-8").rstrip("\n"))
            left.unlink()
        return done.returncode, done.stdout + done.stderr

    def run(self, command, printed):
        """Runs one command of the page."""
        wanted_code = self.rule("exit", command) or 0
        command = self.meant(command)
        if SERVES.search(command):
            self.serve(command)
        else:
            code, found = self.shell(command)
            lost = difference([self.meant(line) for line in printed], found.rstrip("\n").split("\n"))
            if code != wanted_code or lost:
                raise Differs(f"exit code {code}, the page has: {lost or wanted_code}", found)
        self.count += 1

    def serve(self, command):
        """Starts a server in place of the one before, or the second one."""
        if command.startswith("also "):
            self.second = Server(command.removeprefix("also "), self.folder, self.environment, OTHER_PORTS)
            return
        if self.server:
            self.server.end()
        self.server = Server(command, self.folder, self.environment, PORTS)
        self.environment.update(self.server.variables())

    def settings(self, block):
        """Has the program read settings; of other TOML only the form is looked at."""
        tomllib.loads(block)
        if block.split("\n")[0] in self.recipe.get("settings", []):
            self.unused.discard(("settings", block.split("\n")[0]))
            (self.root / "block.toml").write_text(block, encoding="utf-8")
            code, found = self.shell(f"tandem serve --print-config --config '{self.root}/block.toml'")
            if code:
                raise Differs(f"exit code {code}", found)
            self.count += 1

    def run_all(self):
        """Runs the commands in their order."""
        text = (ROOT / self.name).read_text(encoding="utf-8")
        at = ""
        try:
            self.clone()
            for at in filter(None, lines(self.recipe.get("given", ""))):
                self.run(at, [])
                self.count -= 1
            for indent, language, block in BLOCK.findall(text):
                block = re.sub(f"^{indent}", "", block, flags=re.MULTILINE)
                if language == "toml":
                    at = block
                    self.settings(block)
                if language not in SHELL + SCRIPT:
                    continue
                for command, printed in commands(language, block):
                    at = command
                    if self.rule("not_run", command) or self.elsewhere(command):
                        continue
                    if command in self.recipe.get("long", []):
                        self.unused.discard(("long", command))
                        if self.short:
                            continue
                    if language in SCRIPT:
                        raise Differs(f"{RECIPES.name} does not say who runs this", "")
                    missing = [tool for tool in ("jq", "grpcurl") if re.search(rf"(^|\| ){tool} ", command) and not shutil.which(tool, path=self.environment["PATH"])]
                    if missing:
                        # What its recipe has for it is not left over.
                        self.rule("exit", command)
                        self.meant(command)
                        print(f"skipped, {missing[0]} is not here: {self.name}: {command}")
                        continue
                    self.run(command, printed)
            for server in filter(None, (self.server, self.second)):
                server.end()
        except (Differs, tomllib.TOMLDecodeError) as differs:
            sys.exit("\n".join(str(part) for part in (f"{self.name}: $ {at}", *reversed(differs.args))))
        finally:
            for server in filter(None, (self.server, self.second)):
                server.process.kill()
        if self.unused:
            sys.exit(f"{RECIPES.name}: {self.name} has no such command: {sorted(self.unused)}")

    def elsewhere(self, command):
        """The file that runs a command in place of this program, which must be there."""
        file = self.rule("elsewhere", command)
        if file and not (ROOT / file).exists():
            raise Differs(f"{RECIPES.name}: there is no {file}", "")
        return file


def main(words):
    """Runs the pages."""
    short = words[:1] == ["--short"]
    program, *chosen = words[short:]
    recipes = tomllib.loads(RECIPES.read_text(encoding="utf-8"))
    pages = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()
    gone = set(recipes) - set(pages)
    if gone:
        sys.exit(f"{RECIPES.name}: there is no {', '.join(gone)}")
    # The pinned one is for x86-64 alone.
    grpcurl = subprocess.run([ROOT / "tools" / "test-tools.sh", "grpcurl"], capture_output=True, text=True).stdout.strip()
    total = 0
    for name in chosen or pages:
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            bin = pathlib.Path(folder) / "bin"
            bin.mkdir()
            (bin / "tandem").symlink_to(pathlib.Path(program).resolve())
            environment = {key: value for key, value in os.environ.items() if not key.startswith("TANDEM")}
            environment["PATH"] = ":".join(filter(None, (str(bin), os.path.dirname(grpcurl), environment["PATH"])))
            page = Page(name, recipes.get(name, {}), pathlib.Path(program).resolve(), environment, pathlib.Path(folder), short)
            page.run_all()
        if page.count:
            print(f"ok -- {name}: {page.count} commands do what it says; {time.monotonic() - began:.0f} s", flush=True)
        total += page.count
    print(f"ok -- {total} commands")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(sys.argv[1:])
