"""gpu_check_test.py SCRIPT: runs cmake/gpu_check.sh over programs that pass, fail, crash, hang,
skip and print figures, in place of those of a GPU machine.
"""

import os
import pathlib
import subprocess
import sys
import tempfile
import time
import unittest

SCRIPT = sys.argv[1]

SANITIZER = """#!/bin/sh
while [ "${1#--}" != "$1" ]; do shift 2; done
"$@"
code=$?
if [ "$code" -eq 40 ]; then echo "========= ERROR SUMMARY: 3 errors"; exit 99; fi
exit "$code"
"""


class Folder:
    """A bundle of shell scripts: rows of `(name, kind, script, timeout, tools)`."""

    def __init__(self, rows, floors=()):
        self.place = tempfile.TemporaryDirectory()
        self.root = pathlib.Path(self.place.name)
        for name in ("bin", "lib", "floor", "tools"):
            (self.root / name).mkdir()
        self.script(self.root / "tools" / "compute-sanitizer", SANITIZER)
        self.script(self.root / "tools" / "nvidia-smi", "#!/bin/sh\necho Fake GPU, 580.1\n")
        (self.root / "commit.txt").write_text("0123abc\n")
        lines = []
        for name, kind, script, timeout, tools in rows:
            self.script(self.root / "bin" / name, "#!/bin/sh\n" + script + "\n")
            lines.append(f"{name}|{kind}|bin/{name}|{timeout}|{tools}|one two|-\n")
        (self.root / "gpu_programs.txt").write_text("".join(lines))
        for name, script in floors:
            self.script(self.root / "floor" / name, "#!/bin/sh\n" + script + "\n")

    @staticmethod
    def script(path, text):
        path.write_text(text)
        path.chmod(0o755)

    def check(self, seconds=30, **variables):
        environment = {**os.environ, **variables}
        environment["PATH"] = f"{self.root / 'tools'}:{environment['PATH']}"
        run = subprocess.run(["sh", SCRIPT, str(self.root), str(self.root / "out"), str(seconds)],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=100,
                             env=environment)
        self.table = (self.root / "out" / "table.md").read_text()
        self.outputs = (self.root / "out" / "outputs.txt").read_text()
        self.results = {}
        for line in self.table.splitlines():
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            if len(cells) == 3:
                self.results[cells[0]] = cells[1]
        return run


class GpuCheck(unittest.TestCase):
    def folder(self, *arguments, **named):
        made = Folder(*arguments, **named)
        self.addCleanup(made.place.cleanup)
        return made

    def test_each_way_a_program_ends_is_told_apart(self):
        folder = self.folder([
            ("good", "test", "echo fine", 5, "-"),
            ("bad", "test", "echo a wrong bit; exit 3", 5, "-"),
            ("crash", "test", "kill -SEGV $$", 5, "-"),
            ("deviceless", "test", "echo no device here; exit 77", 5, "-"),
            ("gtest", "test", 'echo "[  SKIPPED ] A.B (0 ms)"', 5, "-"),
            ("partly", "test", 'echo "[       OK ] A.A (0 ms)"; echo "[  SKIPPED ] A.B (0 ms)"', 5,
             "-"),
        ])
        run = folder.check()
        self.assertEqual(folder.results["good"], "passed")
        self.assertEqual(folder.results["bad"], "FAILED: exit code 3")
        self.assertEqual(folder.results["crash"], "FAILED: signal 11")
        self.assertEqual(folder.results["deviceless"], "skipped: no device here")
        self.assertEqual(folder.results["gtest"], "skipped")
        self.assertEqual(folder.results["partly"], "passed, 1 skipped")
        self.assertEqual(run.returncode, 1)
        self.assertIn("2 failed", run.stdout)
        self.assertIn("a wrong bit", run.stdout)
        self.assertIn("== good: passed\nfine\n", folder.outputs)
        self.assertIn("Fake GPU", folder.table)
        self.assertIn("commit 0123abc", folder.table)

    def test_a_program_that_hangs_and_will_not_end_is_left_behind(self):
        folder = self.folder([
            ("hangs", "test", "trap '' TERM HUP; echo begun; while :; do sleep 1; done", 3, "-"),
            ("after", "test", "exit 0", 5, "-"),
        ])
        begin = time.monotonic()
        self.assertEqual(folder.check().returncode, 1)
        self.assertLess(time.monotonic() - begin, 40)
        self.assertEqual(folder.results["hangs"], "FAILED: killed after its time")
        self.assertEqual(folder.results["after"], "passed")
        self.assertIn("begun", folder.outputs)

    def test_the_whole_ends_within_its_time_and_names_what_was_not_run(self):
        rows = [(f"t{i}", "test", "sleep 2", 60, "-") for i in range(20)]
        folder = self.folder(rows + [("b", "bench", "sleep 60", 60, "-")])
        begin = time.monotonic()
        folder.check(seconds=8)
        self.assertLess(time.monotonic() - begin, 40)
        self.assertEqual(folder.results["t0"], "passed")
        self.assertEqual(folder.results["t19"], "not run: the time was up")
        self.assertIn("b", folder.results)

    def test_sanitized_runs_pass_without_errors_and_planted_ones_with(self):
        folder = self.folder([
            ("clean", "test", "exit 0", 5, "memcheck racecheck"),
            ("dirty", "test", '[ "$1" = one ] || exit 40', 5, "memcheck"),
            ("found", "planted", "exit 40", 5, "memcheck"),
            ("missed", "planted", "exit 0", 5, "memcheck"),
        ])
        self.assertEqual(folder.check().returncode, 1)
        self.assertEqual(folder.results["clean memcheck"], "passed")
        self.assertEqual(folder.results["clean racecheck"], "passed")
        self.assertEqual(folder.results["dirty"], "passed")
        self.assertEqual(folder.results["dirty memcheck"], "FAILED: 3 error(s)")
        self.assertEqual(folder.results["found memcheck"], "passed: the planted fault was found")
        self.assertTrue(folder.results["missed memcheck"].startswith("FAILED"))
        self.assertNotIn("found", folder.results)

    def test_figures_stand_in_the_table_with_their_ratio_to_the_floor(self):
        folder = self.folder([
            ("rate", "bench", 'echo "figure: wide_all 3.30 ms floor 3.00"; echo "figure: n 5 k"', 5,
             "-"),
        ], floors=[("gpu_floor", "echo copy 3.0 TB/s")])
        self.assertEqual(folder.check().returncode, 0)
        self.assertIn("| rate | wide_all | 3.30 | ms | 3.00 | 1.100 |", folder.table)
        self.assertIn("| rate | n | 5 | k |  |  |", folder.table)
        self.assertEqual(folder.results["gpu_floor"], "passed")
        self.assertIn("copy 3.0 TB/s", folder.outputs)

    def test_programs_see_the_carried_libraries_and_the_plugin(self):
        script = 'echo "$SHEAF_CUDA_PLUGIN $LD_LIBRARY_PATH $*"'
        folder = self.folder([("env", "test", script, 5, "-")])
        folder.check()
        lib = folder.root / "lib"
        self.assertIn(f"{lib}/libsheaf_cuda.so {lib}", folder.outputs)
        self.assertIn(" one two\n", folder.outputs)

    def test_programs_and_kinds_can_be_picked(self):
        rows = [("alpha", "test", "exit 0", 5, "memcheck"), ("beta", "bench", "exit 0", 5, "-")]
        folder = self.folder(rows)
        folder.check(SHEAF_GPU_ONLY="^bet")
        self.assertEqual(set(folder.results) & {"alpha", "beta"}, {"beta"})
        folder = self.folder(rows)
        folder.check(SHEAF_GPU_KINDS="sanitize")
        self.assertEqual(set(folder.results) & {"alpha", "alpha memcheck", "beta"},
                         {"alpha memcheck"})


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
