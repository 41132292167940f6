#!/usr/bin/env python3
"""Checks what a reader of the texts trips over: `make docs-check`, a step of .ci/run. Python's standard library and git.

In every Markdown file of the repository: each relative link leads to a file that git has, each anchor to a heading, and
each row of a table belongs to a table. Each page of docs/ has fewer than 200 lines and is a chapter of docs/SUMMARY.md, once. In these, in .github/ and in .ci/run: each `make NAME` is a recipe of the Makefile,
and each path into one of FOLDERS is there. CHANGELOG.md may name what is gone. Links to other sites are not followed.

With paths, only these files are checked. tools/test_docs_check.py tests it.
"""

import pathlib
import re
import subprocess
import sys
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parent.parent
# Folders at the root whose paths are looked up where they stand in code. ARCHITECTURE.md leaves `src/` out of its own.
FOLDERS = "src", "proto", "tools", "benches", "deploy", "docs", "tests", "examples", "clients", "training", ".ci", ".github", ".config", "fuzz", "build"
# Pages of docs/ have fewer lines than this, but those that a generated table may make longer.
LONG = 200
GENERATED = "docs/configuration.md", "docs/metrics.md"
SUMMARY = "docs/SUMMARY.md"
# What commands in the texts make, so that git has none of it.
MADE = ("training/work/", "fuzz/artifacts/", "fuzz/target/")

FENCE = re.compile(r"^ {0,3}(?:> ?)*[ ]*(`{3,}|~{3,})")
HEADING = re.compile(r"^ {0,3}(#{1,6})[ \t]+(.*?)[ \t]*#*$")
CODE = re.compile(r"(`+)(?!`)(.+?)(?<!`)\1(?!`)")
LINK = re.compile(r"\]\(\s*<?([^\s()<>]*(?:\([^\s()]*\)[^\s()<>]*)*)>?(?:\s+[\"'(][^\n]*?)?\s*\)")
DEFINITION = re.compile(r"^ {0,3}\[[^\]]+\]:\s+<?([^\s>]+)>?")
ATTRIBUTE = re.compile(r"<(?:a|img|source)\b[^>]*?\b(?:href|src)=\"([^\"]*)\"", re.I)
ANCHOR = re.compile(r"<a\b[^>]*?\b(?:id|name)=\"([^\"]+)\"", re.I)
DASHES = re.compile(r"^\|(?:\s*:?-+:?\s*\|)+\s*$")
# Where a command begins: a line, a prompt, a key of YAML, after another command or a variable.
RECIPE = re.compile(r"(?:^|[;&|$(:]|[A-Z_]=\S+)\s*make ([a-z][a-z-]*)(?![\w-]|\.[a-z])")
PATH = re.compile(r"(?<![\w./*{}<>$-])((?:%s)/[\w./*-]*)(?![\w{}<>$…])" % "|".join(re.escape(name) for name in FOLDERS))


def parts(text):
    """The lines outside fences, with their numbers and without code, and the pieces of code."""
    prose, code, fence, joined = [], [], None, []
    for number, line in enumerate(text.split("\n"), 1):
        found = FENCE.match(line)
        if fence:
            if found and found[1][0] == fence[0] and len(found[1]) >= len(fence) and not line[found.end() :].strip():
                fence = None
            else:
                code.append((number, line))
            prose.append((number, ""))
        elif found and "`" not in line[found.end() :]:
            fence = found[1]
            prose.append((number, ""))
        else:
            prose.append((number, line))
    # A piece of code may go over a line's end, but not over an empty line.
    lines = [line for _, line in prose]
    for paragraph in re.finditer(r"(?:[^\n]*\S[^\n]*\n?)+", "\n".join(lines)):
        start = "\n".join(lines)[: paragraph.start()].count("\n")
        for piece in re.finditer(CODE.pattern, paragraph[0], re.S):
            code.append((start + 1 + paragraph[0][: piece.start()].count("\n"), piece[2].replace("\n", " ")))
        joined.append((start, re.sub(CODE.pattern, blank, paragraph[0], flags=re.S)))
    for start, paragraph in joined:
        for offset, line in enumerate(paragraph.rstrip("\n").split("\n")):
            prose[start + offset] = (start + offset + 1, line)
    return prose, code


def blank(piece):
    """Code in the place of which nothing is read, of the same length in lines."""
    return re.sub(r"[^\n]", "·", piece[0])


def anchors(text):
    """What `#…` may name in a Markdown text, as GitHub makes it of headings."""
    names, seen, fenced = set(ANCHOR.findall(text)), {}, set()
    prose, _ = parts(text)
    for (number, line), raw in zip(prose, text.split("\n")):
        heading = HEADING.match(line)
        if heading is None or number in fenced:
            continue
        title = HEADING.match(raw)[2]
        title = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", title)
        slug = re.sub(r"[^\w\- ]", "", re.sub(r"[`*]", "", title).lower()).replace(" ", "-")
        count = seen.get(slug, 0)
        seen[slug] = count + 1
        names.add(f"{slug}-{count}" if count else slug)
    return names


def cells(row):
    """How many cells a row has: bars count but for those after a backslash, those in code too, as GitHub reads them."""
    return len(re.findall(r"(?<!\\)\|", row.strip())) - 1


def tables(raw, prose):
    """Rows that belong to no table, that have other cells than its head, and lines that slip into one."""
    lines = [(number, raw[number - 1].strip() if line.strip() else "") for number, line in prose]
    at = 0
    while at < len(lines):
        if not lines[at][1].startswith("|"):
            at += 1
            continue
        end = at
        while end < len(lines) and lines[end][1].startswith("|"):
            end += 1
        rows = lines[at:end]
        if len(rows) < 2 or not DASHES.match(rows[1][1]):
            yield rows[0][0], "a row of no table: there is no head with dashes above it"
        else:
            wanted = cells(rows[1][1])
            for number, row in rows:
                if not row.endswith("|") or cells(row) != wanted:
                    yield number, f"a row with {cells(row)} cells in a table of {wanted}"
            if end < len(lines) and re.match(r"[\w\[*`(]", lines[end][1]):
                yield lines[end][0], "a line right below a table becomes a row of it"
        at = end


def of_git(root):
    """The files that git has or would take, and the folders of these."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=root, check=True, capture_output=True, text=True
    )
    files = {name for name in listed.stdout.split("\0") if name and (root / name).exists()}
    folders = {str(parent) for name in files for parent in pathlib.PurePosixPath(name).parents}
    return files, folders


def inside(base, target):
    """A path relative to the root, or nothing if it leads out."""
    path = []
    for part in (pathlib.PurePosixPath(base) / target).parts:
        if part == "..":
            if not path:
                return None
            path.pop()
        else:
            path.append(part)
    return "/".join(path) or "."


class Check:
    """One look at a repository."""

    def __init__(self, root):
        self.root = root
        self.files, self.folders = of_git(root)
        makefile = root / "Makefile"
        self.recipes = set(re.findall(r"^([a-z-]+):", makefile.read_text(), re.M)) if makefile.exists() else set()
        self.named = {}
        summary = (root / SUMMARY).read_text(encoding="utf-8") if SUMMARY in self.files else ""
        self.chapters = [target for _, line in parts(summary)[0] for target in LINK.findall(line)]

    def there(self, path):
        return path in self.files or path in self.folders

    def link(self, name, target):
        """What is wrong with a link, or nothing."""
        if re.match(r"[a-z][a-z0-9+.-]*:", target, re.I) or target.startswith("//"):
            return None
        path, _, anchor = urllib.parse.unquote(target).partition("#")
        path = path.partition("?")[0]
        if path.startswith("/"):
            return f"{target}: begins at no root that a reader has"
        to = inside(pathlib.PurePosixPath(name).parent, path) if path else name
        if to is None or not self.there(to.rstrip("/")):
            return f"{target}: no such file in the repository"
        if anchor and to.endswith(".md"):
            if to not in self.named:
                self.named[to] = anchors((self.root / to).read_text(encoding="utf-8"))
            if anchor not in self.named[to]:
                return f"{target}: no heading of {to} makes this anchor"
        return None

    def commands(self, name, code):
        """Recipes and paths in pieces of code that are not there."""
        for number, piece in code:
            for recipe in RECIPE.findall(piece):
                if recipe not in self.recipes:
                    yield number, f"make {recipe}: the Makefile has no such recipe"
            for path in PATH.findall(piece):
                if path.startswith(MADE):
                    continue
                path = path.rstrip("./")
                beside = inside(pathlib.PurePosixPath(name).parent, path)
                candidates = [path, beside] if beside else [path]
                if "*" in path:
                    found = any(any(pathlib.PurePosixPath(file).match(one) for file in self.files) for one in candidates)
                else:
                    found = any(self.there(one) for one in candidates)
                if not found:
                    yield number, f"{path}: no such path in the repository"

    def page(self, name):
        """What is wrong with a page of docs/ as a whole, with the line after which it is too long."""
        length = len((self.root / name).read_text(encoding="utf-8").splitlines())
        if length >= LONG and name not in GENERATED:
            yield LONG, f"the page has {length} lines, it must have fewer than {LONG}: cut it by what a reader wants"
        count = self.chapters.count(pathlib.PurePosixPath(name).name)
        if count != 1:
            yield 1, f"the page is {count} times in {SUMMARY}, it must be there once"

    def markdown(self, name):
        text = (self.root / name).read_text(encoding="utf-8")
        raw = text.split("\n")
        prose, code = parts(text)
        for number, line in prose:
            targets = LINK.findall(line) + DEFINITION.findall(line) + ATTRIBUTE.findall(raw[number - 1] if line else "")
            for target in targets:
                fault = self.link(name, target)
                if fault:
                    yield number, fault
        yield from tables(raw, prose)
        if pathlib.PurePosixPath(name).name != "CHANGELOG.md":
            yield from self.commands(name, code)

    def script(self, name):
        lines = (self.root / name).read_text(encoding="utf-8").split("\n")
        yield from self.commands(name, [(number, line) for number, line in enumerate(lines, 1)])

    def faults(self, name):
        found = list(self.markdown(name) if name.endswith(".md") else self.script(name))
        if re.fullmatch(r"docs/[^/]+\.md", name) and name != SUMMARY:
            found += self.page(name)
        return [f"{name}:{number}: {fault}" for number, fault in sorted(set(found))]


def main(arguments):
    check = Check(ROOT)
    names = arguments or sorted(
        name for name in check.files if name.endswith(".md") or name.startswith(".github/") or name == ".ci/run"
    )
    faults = [fault for name in names for fault in check.faults(name)]
    if faults:
        sys.exit("\n".join(faults))
    print(f"ok -- {len(names)} files: links, anchors, tables, lengths, recipes and paths")


if __name__ == "__main__":
    main(sys.argv[1:])
