import unittest

from harness import share

OUTPUT = """
    7f5f1c2a3b40 _PyEval_EvalFrameDefault (/opt/lib/libpython3.11.so.1.0)
    7f5f1c2a3b41 PyDict_New (/opt/lib/libpython3.11.so.1.0)
          4a1b20 gowsgi/worker.(*thread).Write (/srv/gowsgi)
    7f5f1d000000 wsgi_call (/opt/_bjoern.cpython-311-x86_64-linux-gnu.so)
ffffffff81000000 do_syscall_64 ([kernel.kallsyms])
    7ffd1000 [unknown] (/usr/lib/libc.so.6)
"""


class Count(unittest.TestCase):
    def test_objects(self):
        self.assertEqual(share.count(OUTPUT), {
            "libpython3.11": 2, "gowsgi": 1, "_bjoern": 1, "[kernel.kallsyms]": 1, "libc": 1})

    def test_shares(self):
        got = share.shares(share.count(OUTPUT))
        self.assertEqual((got["all"], got["gowsgi"]), (3.0, 0.5))

    def test_program_with_cpython_inside(self):
        self.assertEqual(share.cpython({"python3.11": 3, "libpython3.8": 1, "python-lib": 7}), 4)

    def test_no_cpython(self):
        with self.assertRaises(ValueError):
            share.shares({"gowsgi": 1})
