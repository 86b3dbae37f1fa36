import unittest

from harness import procfs
from harness.procfs import Process


def stat(pid, name, state="S", parent=1, session=1, times=(0, 0, 0, 0), started=0):
    """A line as in proc(5): field 22 is the start time."""
    fields = [state, parent, 0, session, 0, 0, 0, 0, 0, 0, 0, *times, 20, 0, 1, 0, started, 0, 0]
    return f"{pid} ({name}) " + " ".join(map(str, fields)) + "\n"


class ParseStatTest(unittest.TestCase):
    def test_fields(self):
        tick = procfs.TICK
        got = procfs.parse_stat(
            stat(7, "python3", "R", 3, 5, (tick, 2 * tick, 4 * tick, 8 * tick), started=99))
        self.assertEqual(got, Process(7, "R", 3, 5, 99, 15.0))

    def test_names_with_spaces_and_brackets(self):
        for name in ("a b", "a) S 9 9 9", "(sd-pam)", ""):
            with self.subTest(name):
                p = procfs.parse_stat(stat(7, name, parent=3, session=5))
                self.assertEqual((p.pid, p.parent, p.session), (7, 3, 5))


class ParseMemoryTest(unittest.TestCase):
    def test_pss(self):
        text = ("55a0-7ffc ---p 00000000 00:00 0   [rollup]\nRss:   9000 kB\n"
                "Pss:   1234 kB\nPss_Anon:   1000 kB\n")
        self.assertEqual(procfs.parse_memory(text, "Pss"), 1234 * 1024)

    def test_a_dead_process_has_none(self):
        self.assertEqual(procfs.parse_memory("", "Pss"), 0)


class TreeTest(unittest.TestCase):
    def tree(self, *rows):
        return sorted(p.pid for p in procfs.tree(
            10, [Process(pid, state, parent, session, 0, 0.0)
                 for pid, parent, session, state in rows]))

    def test_tree(self):
        for name, rows, want in [
            ("descendants in any order",
             [(12, 11, 10, "S"), (11, 10, 10, "S"), (10, 1, 10, "S")], [10, 11, 12]),
            ("strangers stay out", [(10, 1, 10, "S"), (20, 1, 20, "S")], [10]),
            ("an orphan of the session", [(10, 1, 10, "S"), (13, 1, 10, "S")], [10, 13]),
            ("a child with a session of its own, and its child",
             [(10, 1, 10, "S"), (14, 10, 14, "S"), (15, 14, 14, "S")], [10, 14, 15]),
            ("the root has ended", [(13, 1, 10, "S")], [13]),
            ("zombies use nothing", [(10, 1, 10, "S"), (16, 10, 10, "Z")], [10]),
        ]:
            with self.subTest(name):
                self.assertEqual(self.tree(*rows), want)
