"""The examples in the docstrings, against a server."""

import doctest
import importlib
import pkgutil
import unittest

from support import patient, run, shared

import tandem_text


class Docstrings(unittest.TestCase):
    def test_every_example_prints_what_it_says(self):
        address = shared().address
        runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS)
        modules = [tandem_text]
        for found in pkgutil.iter_modules(tandem_text.__path__):
            # That of Beam is nothing without Beam: tests/engines has its examples.
            if found.name not in ("_stubs", "beam"):
                modules.append(importlib.import_module(f"tandem_text.{found.name}"))
        for module in modules:
            for test in doctest.DocTestFinder().find(module):
                for example in test.examples:
                    example.source = patient(example.source.replace("localhost:50051", address))
                test.globs["run"] = run
                runner.run(test)
        results = runner.summarize(verbose=False)
        self.assertEqual(results.failed, 0)
        self.assertGreater(results.attempted, 80)

    def test_every_method_of_the_clients_has_an_example(self):
        for kind in (tandem_text.Client, tandem_text.AsyncClient):
            for name, member in vars(kind).items():
                if not name.startswith("_"):
                    self.assertIn(">>> ", member.__doc__ or "", f"{kind.__name__}.{name}")


if __name__ == "__main__":
    unittest.main()
