import unittest

from harness import wrk

FIGURES = ('BENCH {"requests":1500,"duration_us":3000000,"bytes":99,"connect":0,"read":0,'
           '"write":0,"status":0,"timeout":0,"p50_us":250,"p90_us":400,"p99_us":1200,'
           '"max_us":9000}')
OUTPUT = f"""Running 3s test @ http://127.0.0.1:4000/
  1 threads and 32 connections
Requests/sec:    500.00
{FIGURES}
"""


def with_errors(**counts):
    text = OUTPUT
    for kind, n in counts.items():
        text = text.replace(f'"{kind}":0', f'"{kind}":{n}')
    return text


class ParseTest(unittest.TestCase):
    def test_figures(self):
        r = wrk.parse(OUTPUT, cpu=2.5)
        self.assertEqual(r.requests, 1500)
        self.assertEqual(r.rate, 500)
        self.assertEqual((r.p50, r.p90, r.p99, r.max), (0.25, 0.4, 1.2, 9.0))
        self.assertEqual((r.cpu, r.fault), (2.5, ""))

    def test_every_kind_of_error_is_a_fault(self):
        for kind in wrk.ERRORS:
            with self.subTest(kind):
                r = wrk.parse(with_errors(**{kind: 7}))
                self.assertEqual(r.errors, {kind: 7})
                self.assertEqual(r.fault, f"7 {kind} errors")

    def test_no_request_is_a_fault(self):
        r = wrk.parse(OUTPUT.replace('"requests":1500', '"requests":0'))
        self.assertEqual(r.fault, "no request completed")

    def test_zero_duration_has_no_rate(self):
        r = wrk.parse(OUTPUT.replace("3000000", "0"))
        self.assertEqual(r.rate, 0)

    def test_unreadable(self):
        for name, text, part in [
            ("wrk said why", "unable to connect to 127.0.0.1:1 Connection refused\n", "refused"),
            ("empty", "", "no figures"),
            ("cut", FIGURES[:40], "not readable"),
            ("a field is missing", 'BENCH {"requests":1}', "not readable"),
        ]:
            with self.subTest(name), self.assertRaisesRegex(wrk.WrkError, part):
                wrk.parse(text)


class CommandTest(unittest.TestCase):
    def test_arguments_reach_the_script(self):
        args = wrk.command("http://h/", 32, 3, "POST", 1024, (("A", "b=c d"),))
        self.assertEqual(args[1:4], ["-t1", "-c32", "-d3s"])
        self.assertEqual(args[args.index("--"):], ["--", "POST", "1024", "A=b=c d"])
