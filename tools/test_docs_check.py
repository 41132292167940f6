#!/usr/bin/env python3
"""Tests of tools/docs_check.py, on a small repository of their own."""

import pathlib
import subprocess
import tempfile
import unittest

import docs_check

# A text for docs/a.md, and what is found in it: the lines, and a word of each fault.
CASES = {
    "links to a file, a folder, an anchor, another site": (
        "# Top\n[b](b.md) [c](b.md#two-words) [d](../tools) [e](#top) [f](https://example.org/x) ![g](b.md)\n",
        [],
    ),
    "a file that is not there": ("[b](c.md)\n", [(1, "c.md")]),
    "a file that git ignores": ("[b](ignored.md)\n", [(1, "ignored.md")]),
    "a path out of the repository": ("[b](../../x.md)\n", [(1, "x.md")]),
    "a path from a root": ("[b](/docs/b.md)\n", [(1, "no root")]),
    "an anchor that no heading makes": ("text\n\n[b](b.md#three)\n", [(3, "anchor")]),
    "the second heading of a name": ("[b](b.md#two-words-1)\n", []),
    "a heading of code and marks": ("[b](b.md#max_texts-and-more)\n", []),
    "an anchor of HTML": ('<a id="here"></a>\n\n[b](#here)\n', []),
    "a link over two lines": ("[b\nc](d.md)\n", [(2, "d.md")]),
    "a link with a title": ('[b](d.md "a title")\n', [(1, "d.md")]),
    "a link defined apart": ("[b]: d.md\n", [(1, "d.md")]),
    "an image of HTML": ('<img src="d.png" width="1">\n', [(1, "d.png")]),
    "links in code": ("`[b](d.md)`\n\n```\n[b](d.md)\n# c\n```\n", []),
    "a heading in a fence is none": ("```\n# c\n```\n\n[b](#c)\n", [(5, "anchor")]),
    "a table": ("| a | b |\n| --- | ---: |\n| 1 | 2 |\n", []),
    "a table that an empty line cuts": ("| a | b |\n| --- | --- |\n\n| 1 | 2 |\n", [(4, "no table")]),
    "a table that an empty line cuts further down": ("| a |\n| --- |\n| 1 |\n\n| 2 |\n| 3 |\n", [(5, "no table")]),
    "a row of other cells": ("| a | b |\n| --- | --- |\n| 1 |\n", [(3, "cells")]),
    "a bar in a cell": ("| a | b |\n| --- | --- |\n| `1 \\| 2` | 3 |\n", []),
    "a bar in code ends its cell": ("| a | b |\n| --- | --- |\n| `1 | 2` | 3 |\n", [(3, "cells")]),
    "a line right below": ("| a | b |\n| --- | --- |\n| 1 | 2 |\nMore.\n", [(4, "becomes a row")]),
    "a table in a fence": ("```\n| a |\n```\n", []),
    "recipes": ("`make lint`, `make nothing`\n\n```sh\nmake docs-check   # text\nmake none\n```\n", [(1, "nothing"), (5, "none")]),
    "recipes after a prompt, a variable, a command": (
        "```console\n$ make no-a\n$ X=1 make no-b && make no-c\nwould make the tag\n```\n",
        [(2, "no-a"), (3, "no-b"), (3, "no-c")],
    ),
    "the word make in prose": ("We make none.\n", []),
    "paths": ("`tools/x.sh row` and `tools/y.sh` and `tools/*.sh` and `a/tools/z`\n", [(1, "tools/y.sh")]),
    "paths beside the text": ("`docs/b.md`\n", []),
    "paths that a command makes": ("`training/work/a.tsv`\n", []),
    "code over a line's end": ("`make\nnothing`\n", [(1, "nothing")]),
    "the longest page": ("a\n" * 199, []),
    "a page that is too long": ("a\n" * 200, [(200, "200 lines")]),
}


class Cases(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.root = pathlib.Path(self.folder.name)
        subprocess.run(["git", "init", "--quiet", str(self.root)], check=True)
        for name, text in {
            ".gitignore": "ignored.md\n",
            "Makefile": "lint:\n\ttrue\ndocs-check: lint\n",
            "docs/b.md": "# b\n\n## Two words\n\n## Two words\n\n## `max_texts`, and *more*\n",
            "docs/ignored.md": "",
            "docs/SUMMARY.md": "# A book\n\n- [A](a.md)\n  - [B](b.md)\n",
            "tools/x.sh": "",
        }.items():
            path = self.root / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)

    def test_cases(self):
        for case, (text, wanted) in CASES.items():
            with self.subTest(case):
                (self.root / "docs" / "a.md").write_text(text)
                found = docs_check.Check(self.root).faults("docs/a.md")
                self.assertEqual(len(found), len(wanted), found)
                for fault, (line, word) in zip(found, wanted):
                    self.assertTrue(fault.startswith(f"docs/a.md:{line}: ") and word in fault, fault)

    def test_a_generated_page_may_be_long(self):
        (self.root / "docs" / "metrics.md").write_text("a\n" * 200)
        (self.root / "docs" / "SUMMARY.md").write_text("- [M](metrics.md)\n")
        self.assertEqual(docs_check.Check(self.root).faults("docs/metrics.md"), [])

    def test_a_page_is_a_chapter_once(self):
        (self.root / "docs" / "a.md").write_text("a\n")
        for summary, count in ("", 0), ("- [A](a.md)\n- [Again](a.md)\n", 2), ("```\n[A](a.md)\n```\n", 0):
            with self.subTest(summary):
                (self.root / "docs" / "SUMMARY.md").write_text(summary)
                [fault] = docs_check.Check(self.root).faults("docs/a.md")
                self.assertIn(f"docs/a.md:1: the page is {count} times in docs/SUMMARY.md", fault)

    def test_a_changelog_may_name_what_is_gone(self):
        (self.root / "CHANGELOG.md").write_text("`make nothing`, [b](c.md)\n")
        self.assertEqual(len(docs_check.Check(self.root).faults("CHANGELOG.md")), 1)

    def test_a_workflow(self):
        (self.root / ".github").mkdir()
        (self.root / ".github" / "ci.yml").write_text("on: push\nrun: make nothing\nrun: tools/y.sh\n")
        self.assertEqual(len(docs_check.Check(self.root).faults(".github/ci.yml")), 2)


if __name__ == "__main__":
    unittest.main()
