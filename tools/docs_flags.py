#!/usr/bin/env python3
"""Checks that the commands of tandem in the texts exist, with their flags: tools/docs_flags.py target/debug/tandem

Takes every `tandem WORD … --flag` in a fenced block or in a span of code of the texts that git knows, and asks the program's own
help. What a command prints is tools/docs_run.py's.
"""

import functools
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
FENCED = re.compile(r"^```[a-z]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`\n]+)`")
# At the beginning of a command, with a path before it; `tandem-fast` and `tandem.toml` are no commands.
COMMAND = re.compile(r"(?:^|[$|&;(] ?|/|exec |-- )(?:tandem|cargo run --release --) ([a-z][a-z-]*)((?: [^|;&#`]*)?)")
FLAG = re.compile(r"(?<=\s)--[a-z][a-z0-9-]*")
# Of the packages, images and modules that are called tandem too.
OTHER = {"docker", "brew", "pip"}


@functools.cache
def help_of(program, *words):
    """What the program says of a command; nothing if it has no such command."""
    done = subprocess.run([program, *words, "--help"], capture_output=True, text=True)
    return done.stdout if done.returncode == 0 else None


@functools.cache
def is_unknown(program, *words):
    """Whether the program does not know the last word, a flag that its help may leave out."""
    return "unexpected argument" in subprocess.run([program, *words, "--help"], capture_output=True, text=True).stderr


def commands(text):
    """The command lines of a text."""
    blocks = FENCED.findall(text)
    for block in blocks:
        yield from block.replace("\\\n", " ").split("\n")
    yield from SPAN.findall(FENCED.sub("", text).replace("\n", " "))


def problems(program, text):
    """What the program does not have, and how many commands were looked at."""
    count, found = 0, []
    for line in commands(text):
        if line.split(" ")[0] in OTHER:
            continue
        for word, rest in COMMAND.findall(line):
            if help_of(program, word) is None:
                # Prose in a block: only what has flags is meant as a command.
                if FLAG.search(rest):
                    found.append(f"`tandem {word}` is no command: {line.strip()}")
                continue
            count += 1
            words = [word]
            second = rest.split()[:1]
            if second and re.fullmatch(r"[a-z][a-z-]*", second[0]) and f"\n  {second[0]} " in help_of(program, word):
                words.append(second[0])
            said = help_of(program, *words)
            for flag in FLAG.findall(rest):
                if not re.search(rf"{flag}(?![a-z0-9-])", said) and is_unknown(program, *words, flag):
                    found.append(f"`tandem {' '.join(words)}` has no {flag}: {line.strip()}")
    return count, found


def main(program):
    """Checks all texts."""
    program = str(pathlib.Path(program).resolve())
    names = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()
    total, bad = 0, 0
    for name in names:
        # What was once, under the names that it had.
        if name == "CHANGELOG.md":
            continue
        count, found = problems(program, (ROOT / name).read_text(encoding="utf-8"))
        total += count
        for problem in found:
            print(f"{name}: {problem}", file=sys.stderr)
            bad += 1
    if bad:
        sys.exit(1)
    print(f"ok -- {total} commands of tandem in {len(names)} texts exist, with their flags")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
