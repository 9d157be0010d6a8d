"""What the tests of bench/gpu/check share: its modules on the path, and a folder and session for each."""
import os
import stat
import sys
import tempfile
import unittest

CHECK = os.path.join(os.path.dirname(os.path.realpath(__file__)), "../../bench/gpu")
sys.dont_write_bytecode = True
sys.path.insert(0, CHECK)

from running import Part, Session, run_parts  # noqa: E402


class Folder(unittest.TestCase):
    """A test with its own folder and a session in it, which is also its pack."""
    device = "cpu"

    def setUp(self):
        self.holder = tempfile.TemporaryDirectory()
        self.addCleanup(self.holder.cleanup)
        self.folder = self.holder.name
        self.session = Session(self.folder, self.folder, self.device,
                               dict(os.environ, PATH=f"{self.folder}/bin:{os.environ['PATH']}"))

    def write(self, name, text, executable=False):
        path = os.path.join(self.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(text)
        if executable:
            os.chmod(path, stat.S_IRWXU)
        return path

    def write_program(self, name, text):
        """A program of the pack, in Python."""
        return self.write(f"bin/{name}", f"#!{sys.executable}\n{text}", executable=True)

    def outcome(self, run, seconds=60):
        """Of a part with this function."""
        [outcome] = run_parts(self.session, [Part("part", seconds, run)], 600, lambda _: None)
        return outcome

    def assert_says(self, outcome, status, *words):
        self.assertEqual(outcome.status, status, outcome.text)
        for each in words:
            self.assertIn(each, outcome.text)
