#!/usr/bin/env python3
"""Builds the book of docs/ into target/book and checks its links: `make book`. Wants mdBook, which tools/test-tools.sh installs.

Links to files outside docs/ work where the pages are browsed in the repository. In the book they lead to the checkout that it was
built from, or with BOOK_FILES=https://forge.example/owner/name/blob/main to there. Everything else must lead to a page, a file
and a heading of the book. A warning of mdBook is a fault.
"""

import html
import os
import pathlib
import re
import subprocess
import sys
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parent.parent
BOOK = ROOT / "target" / "book"
FILES = os.environ.get("BOOK_FILES", "../..").rstrip("/")
LINK = re.compile(r'(?<=[ ])(href|src)="([^"]*)"')
ID = re.compile(r'\bid="([^"]*)"')
# mdBook's own: pages without a place of their own.
NO_PAGES = {"404.html", "toc.html"}


def outside(path):
    """Where a path of the repository is found. mdBook takes each .md for a page of the book."""
    name = path.partition("#")[0]
    if name.endswith(".html") and not (ROOT / name).exists():
        path = path.replace(".html", ".md", 1)
        name = path.partition("#")[0]
    return f"{FILES}/{path}" if (ROOT / urllib.parse.unquote(name)).exists() else None


def build():
    mdbook = subprocess.run([ROOT / "tools/test-tools.sh", "mdbook"], check=True, capture_output=True, text=True).stdout.strip()
    done = subprocess.run([mdbook, "build", ROOT], capture_output=True, text=True)
    said = (done.stdout + done.stderr).strip()
    if done.returncode or re.search(r"\b(WARN|ERROR)\b", said):
        sys.exit(said)


def main():
    build()
    pages = {page.name: page.read_text(encoding="utf-8") for page in BOOK.glob("*.html") if page.name not in NO_PAGES}
    anchors = {name: set(ID.findall(text)) for name, text in pages.items()}
    faults, left = [], 0

    def lead(name, match):
        nonlocal left
        target = html.unescape(match[2])
        if re.match(r"[a-z][a-z+.-]*:|//", target):
            return match[0]
        if target.startswith("../"):
            left += 1
            found = outside(target[3:])
            if found:
                return f'{match[1]}="{html.escape(found)}"'
            faults.append(f"{name}: {target}: no such file in the repository")
            return match[0]
        path, _, anchor = urllib.parse.unquote(target).partition("#")
        path = path or name
        if not (BOOK / path).exists():
            faults.append(f"{name}: {target}: no such file in the book")
        elif anchor and anchor not in anchors.get(path, {anchor}):
            faults.append(f"{name}: {target}: no such heading")
        return match[0]

    for name, text in pages.items():
        (BOOK / name).write_text(LINK.sub(lambda match: lead(name, match), text), encoding="utf-8")
    if faults:
        sys.exit("\n".join(sorted(set(faults))))
    print(f"ok -- target/book: {len(pages)} pages, {left} links lead out of it to {FILES}")


if __name__ == "__main__":
    main()
