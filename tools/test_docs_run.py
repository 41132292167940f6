#!/usr/bin/env python3
"""Tests of tools/docs_run.py: what it takes for commands, what for their output, and that nothing is passed over."""

import pathlib
import tempfile
import unittest

import docs_run


def page(text, recipe):
    """Runs a page of this text, and gives the number of its commands or what it ends with."""
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "page.md"
        file.write_text(text, encoding="utf-8")
        environment = {"PATH": "/usr/bin:/bin"}
        try:
            one = docs_run.Page(str(file), recipe, pathlib.Path("/bin/true"), environment, pathlib.Path(folder), short=True)
            one.run_all()
        except SystemExit as ended:
            return str(ended)
        return one.count


class Commands(unittest.TestCase):
    def taken(self, language, block):
        return [command for command, _ in docs_run.commands(language, block)]

    def test_a_line_is_a_command_without_its_comment(self):
        block = "# a heading\nfirst --text 'a  # b'   # it isn't\n\nsecond \\\n  more\n"
        self.assertEqual(self.taken("sh", block), ["first --text 'a  # b'", "second   more"])

    def test_functions_and_quotations_go_over_lines(self):
        self.assertEqual(self.taken("sh", "f() {   # two\n    a\n}\nb '\n c'\n"), ["f() {\n    a\n}", "b '\n c'"])

    def test_a_console_has_commands_and_their_output(self):
        found = list(docs_run.commands("console", "$ one \\\n    two   # three\nfour\n$ five\n"))
        self.assertEqual(found, [("one     two", ["four"]), ("five", [])])

    def test_servers_are_known_but_not_checks_and_settings(self):
        for command, serves in {
            "tandem serve": True,
            "target/release/tandem serve --fast a": True,
            "A=b tandem serve": True,
            "tandem serve --check --models m": False,
            "tandem serve --models m --print-config": False,
            "tandem predict serve": False,
        }.items():
            self.assertEqual(bool(docs_run.SERVES.search(command)), serves, command)


class Output(unittest.TestCase):
    def test_lines_are_compared(self):
        for wanted, found, same in [
            (["a"], ["a"], True),
            (["a"], ["b"], False),
            (["a"], ["a", "b"], False),
            (["a", "…"], ["a", "b", "c"], True),
            (["…", "c"], ["a", "b", "c"], True),
            (["…", "d"], ["a", "b", "c"], False),
            (["a …, c"], ["a bb, c"], True),
            (["0.500"], ["0.503"], True),
            (["0.500"], ["0.520"], False),
            (["5"], ["6"], False),
            ([], ["whatever"], True),
        ]:
            self.assertEqual(docs_run.difference(wanted, found) is None, same, (wanted, found))


class Pages(unittest.TestCase):
    def test_a_page_goes_on_where_the_command_before_ended(self):
        text = "```sh\nmkdir deep && cd deep\nname=value\n```\n\n```console\n$ basename $PWD; echo $name\ndeep\nvalue\n```\n"
        self.assertEqual(page(text, {}), 3)

    def test_what_differs_is_told_with_its_command(self):
        self.assertIn("$ echo a\na\n", page("```console\n$ echo a\nb\n```\n", {}))
        self.assertIn("exit code 1", page("```sh\nfalse\n```\n", {}))
        self.assertEqual(page("```sh\nfalse\n```\n", {"exit": {"false": 1}}), 1)

    def test_nothing_is_passed_over(self):
        script = "```python\nimport this\n```\n"
        self.assertIn("does not say who runs this", page(script, {}))
        self.assertEqual(page(script, {"not_run": {"import this": "why"}}), 0)
        self.assertIn("there is no tools/none", page(script, {"elsewhere": {"import this": "tools/none"}}))
        self.assertEqual(page(script, {"elsewhere": {"import this": "tools/docs_run.py"}}), 0)

    def test_recipes_that_fit_nothing_are_faults(self):
        for key in "not_run", "elsewhere", "exit", "replace":
            self.assertIn("has no such command", page("```sh\ntrue\n```\n", {key: {"gone": 1 if key == "exit" else "x"}}), key)
        for key in "long", "settings":
            self.assertIn("has no such command", page("```sh\ntrue\n```\n", {key: ["gone"]}), key)
        self.assertIn("no such key", page("", {"nothing": 1}))

    def test_a_rule_for_whatever_comes_is_a_fault(self):
        for words in "", "tandem", "curl ":
            self.assertIn("say more", page("```sh\ntandem x\n```\n", {"not_run": {words: "why"}}), words)

    def test_words_for_the_short_form_are_taken_there(self):
        self.assertEqual(page("```console\n$ echo long\nshort\n```\n", {"short": {"echo long": "echo short"}}), 1)

    def test_long_commands_are_left_out_of_the_short_form(self):
        self.assertEqual(page("```sh\nfalse\ntrue\n```\n", {"long": ["false"]}), 1)

    def test_toml_must_be_toml(self):
        self.assertIn("a = b", page("```toml\na = b\n```\n", {}))


if __name__ == "__main__":
    unittest.main()
