"""sheaf_test.py SHEAF VERSION FAKES: runs the command as a user does and looks at what it prints,
where it prints it and how it exits. FAKES is a folder of plugins without a device.
"""

import json
import os
import re
import shlex
import subprocess
import sys
import unittest

SHEAF, VERSION, FAKES = sys.argv[1:4]
SMALL = ["--arrays", "20", "--length", "100", "--commits", "30"]


def sheaf(*arguments, backend=None, plugin=None, stdout=subprocess.PIPE):
    forced = ("SHEAF_FORCE_BACKEND", "SHEAF_CUDA_PLUGIN")
    environment = {k: v for k, v in os.environ.items() if k not in forced}
    if backend is not None:
        environment["SHEAF_FORCE_BACKEND"] = backend
    if plugin is not None:
        environment["SHEAF_CUDA_PLUGIN"] = plugin
    return subprocess.run([SHEAF, *arguments], stdout=stdout, stderr=subprocess.PIPE, text=True,
                          env=environment, timeout=120)


def printed(*arguments, backend=None, plugin=None):
    """Standard output of a call that must succeed in silence."""
    run = sheaf(*arguments, backend=backend, plugin=plugin)
    assert run.returncode == 0 and run.stderr == "", (arguments, run)
    return run.stdout


def stat(*arguments, backend=None):
    return json.loads(printed("stat", *arguments, "--json", backend=backend))


class Version(unittest.TestCase):
    def test_it_names_the_library_and_what_it_was_built_with(self):
        text = printed("version")
        self.assertEqual(text.splitlines()[0], f"sheaf {VERSION}")
        self.assertRegex(text, r"\ncompiler +(gcc|clang) \d+\.")
        self.assertEqual(text.count("(selected)"), 1)
        self.assertEqual(printed("--version"), f"sheaf {VERSION}\n")

    def test_a_forced_instruction_set_is_the_selected_one(self):
        for name in json.loads(printed("version", "--json"))["kernels_available"]:
            found = json.loads(printed("version", "--json", backend=name))
            self.assertEqual(found["kernels_selected"], name)
            self.assertIn(f"{name} (selected)", printed("version", backend=name))

    def test_it_says_which_devices_the_plugin_finds_or_why_none(self):
        for fake, devices, reason in (
            ("libsheaf_fake_two_devices.so", ["fake 0", "fake 1"], ""),
            ("libsheaf_fake_no_devices.so", [], "the bus is empty"),
        ):
            path = os.path.join(FAKES, fake)
            cuda = json.loads(printed("version", "--json", plugin=path))["cuda"]
            self.assertEqual((cuda["plugin"], cuda["devices"]), (path, devices))
            self.assertIn(reason, cuda["reason"])
            self.assertEqual(cuda["reason"] == "", reason == "")
            text = printed("version", plugin=path)
            self.assertIn(f"cuda        {len(devices)} devices, plugin {path}\n", text)
            for words in [*devices, reason]:
                self.assertIn(words, text)

    def test_a_plugin_that_is_not_there_is_named_and_is_no_error(self):
        cuda = json.loads(printed("version", "--json", plugin="/nowhere/a.so"))["cuda"]
        self.assertEqual((cuda["plugin"], cuda["devices"]), ("", []))
        self.assertIn("/nowhere/a.so", cuda["reason"])
        self.assertIn("/nowhere/a.so", printed("version", plugin="/nowhere/a.so"))

    def test_a_forced_set_that_is_none_is_an_error(self):
        for command in ("version", "demo", "stat"):
            run = sheaf(command, backend="mmx")
            self.assertEqual((run.returncode, run.stdout), (1, ""))
            self.assertIn("mmx", run.stderr)


class Demo(unittest.TestCase):
    def expected(self, price_of_42):
        """Total and alarms, computed here from the desk as its text describes it."""
        price = [20 + 1.25 * i for i in range(64)]
        price[42] = price_of_42 if price_of_42 else price[42]
        exposure = [0.0] * 8
        for i in range(4096):
            exposure[i // 64 // 8] += price[i // 64] * ((i * 7) % 23 - 5)
        return sum(exposure), sum(e > 150000 for e in exposure)

    def test_its_figures_are_those_of_a_desk_computed_here(self):
        story = json.loads(printed("demo", "--json"))
        first, change, again, refused = story["steps"]
        for step, price in ((first, None), (change, 101.25), (again, 101.25)):
            self.assertEqual((step["total"], step["alarms"]), self.expected(price))
        self.assertEqual(story["snapshot"]["total"], first["total"])
        self.assertEqual(story["snapshot"]["epoch"], first["epoch"])
        self.assertNotEqual(change["total"], first["total"])
        self.assertIn("'quantity'", refused["refused"])
        self.assertEqual(refused["epoch"], again["epoch"])

    def test_its_work_is_proportional_to_the_change(self):
        story = json.loads(printed("demo", "--json"))
        first, change, again, _ = story["steps"]
        self.assertEqual(first["work"]["lines_recomputed"], story["derived_lines"])
        self.assertEqual(change["work"]["source_lines_changed"], 1)
        self.assertLess(change["work"]["lines_recomputed"] * 10, story["derived_lines"])
        self.assertGreater(change["work"]["lines_cut_off"], 0)
        self.assertEqual(again["work"]["lines_recomputed"], 0)
        self.assertEqual(story["audit"]["lines_different"], 0)
        self.assertGreater(story["audit"]["pages_compared"], 0)

    def test_text_and_json_are_the_same_bytes_on_every_instruction_set(self):
        for name in json.loads(printed("version", "--json"))["kernels_available"]:
            self.assertEqual(printed("demo", backend=name), printed("demo"))
            self.assertEqual(printed("demo", "--json", backend=name), printed("demo", "--json"))

    def test_it_fits_a_screen_and_tells_what_the_json_tells(self):
        text = printed("demo")
        self.assertLessEqual(len(text.splitlines()), 32)
        self.assertLessEqual(max(map(len, text.splitlines())), 100)
        story = json.loads(printed("demo", "--json"))
        for step in story["steps"][:3]:
            self.assertIn(f"epoch {step['epoch']}, total {step['total']:.2f}", text)
            self.assertIn(f"recomputed: {step['work']['lines_recomputed']} of", text)


class Stat(unittest.TestCase):
    def test_a_chain_is_counted_as_by_hand(self):
        engine = stat("--arrays", "1", "--length", "16", "--fan-in", "1", "--levels", "3",
                      "--commits", "5")["engine"]
        self.assertEqual(engine["arrays"], 4)
        self.assertEqual(engine["nodes"], 3)
        self.assertEqual(engine["commits"], 5)
        self.assertEqual(engine["epoch"], 7)  # opening, filling, five commits
        self.assertEqual(engine["work"]["source_lines_changed"], 5)
        self.assertEqual(engine["work"]["lines_recomputed"], 15)
        self.assertEqual(engine["work"]["lines_cut_off"], 0)
        self.assertEqual(engine["work"]["frames_copied"], 0)

    def test_the_work_is_the_same_on_every_run_thread_count_and_instruction_set(self):
        first = stat(*SMALL)["engine"]["work"]
        self.assertGreater(first["lines_recomputed"], 0)
        self.assertEqual(stat(*SMALL)["engine"]["work"], first)
        self.assertEqual(stat(*SMALL, "--threads", "4")["engine"]["work"], first)
        self.assertEqual(stat(*SMALL, backend="scalar")["engine"]["work"], first)
        self.assertNotEqual(stat(*SMALL, "--seed", "2")["engine"]["work"], first)

    def test_each_option_reaches_the_engine(self):
        found = stat("--arrays", "7", "--length", "9", "--fan-in", "2", "--levels", "5",
                     "--commits", "3", "--writes", "4", "--threads", "2", "--seed", "8",
                     "--semiring", "max_min", "--mode", "wait_free", "--audit")
        self.assertEqual(found["model"], {"arrays": 7, "length": 9, "fan_in": 2, "levels": 5,
                                          "semiring": "max_min", "seed": 8})
        self.assertEqual((found["writes_per_commit"], found["mode"]), (4, "wait_free"))
        self.assertTrue(found["in_memory"])
        engine = found["engine"]
        self.assertEqual((engine["arrays"], engine["nodes"], engine["levels"]), (42, 35, 6))
        self.assertEqual((engine["commits"], engine["threads"]), (3, 2))
        self.assertEqual(found["audit"], {"pages_compared": 35, "lines_different": 0})
        self.assertGreater(engine["work"]["frames_copied"] + engine["work"]["frames_reused"], 0)

    def test_minima_are_cut_off_where_sums_are_not(self):
        self.assertEqual(stat(*SMALL)["engine"]["work"]["lines_cut_off"], 0)
        found = stat(*SMALL, "--semiring", "min_plus")["engine"]["work"]
        self.assertGreater(found["lines_cut_off"], 0)

    def test_the_text_has_every_figure_of_the_json_with_its_value(self):
        text = printed("stat", *SMALL)
        engine = stat(*SMALL)["engine"]
        figures = {**engine.pop("work"), **engine}
        rows = dict(re.findall(r"^(\w+) +(\w+)(?: |$)", text.split("\n\n")[1], re.MULTILINE))
        rows.pop("The")
        self.assertEqual(rows, {name: str(value) for name, value in figures.items()})
        self.assertIn("in memory", text)


class Usage(unittest.TestCase):
    def test_arguments_that_make_no_sense_exit_2_and_name_the_thing(self):
        for arguments, words in (
            ([], "a command is missing"),
            (["paint"], "no command 'paint'"),
            ([""], "no command ''"),
            (["--"], "no command '--'"),
            (["--nope"], "--nope"),
            (["demo", "extra"], "extra"),
            (["demo", "--seed", "1"], "--seed"),
            (["stat", "--arrays", "0"], "'0' is no whole number from 1 to 1000000"),
            (["stat", "--arrays", "2.5"], "2.5"),
            (["stat", "--threads", "-1"], "-1"),
            (["stat", "--levels"], "--levels"),
            (["stat", "--mode", "fast"], "'fast' is none of brief_wait|wait_free"),
            (["stat", "--semiring", "or_and"], "or_and"),
            (["stat", "--seed", "18446744073709551616"], "18446744073709551616"),
            (["stat", "--arrays", "1000000", "--levels", "20"], "--levels"),
        ):
            run = sheaf(*arguments)
            self.assertEqual((run.returncode, run.stdout), (2, ""), arguments)
            self.assertTrue(run.stderr.startswith("sheaf: "), run.stderr)
            self.assertIn(words, run.stderr, arguments)
            self.assertIn("--help", run.stderr)

    def test_what_the_engine_refuses_exits_1_with_its_words(self):
        run = sheaf("stat", "--length", "1000000", "--memory", "1")
        self.assertEqual((run.returncode, run.stdout), (1, ""))
        self.assertIn("(out_of_memory)", run.stderr)

    def test_help_goes_to_standard_output_and_says_what_there_is(self):
        for arguments, words in (
            (["--help"], ["version", "demo", "stat", "Exit codes"]),
            (["-h"], ["Examples"]),
            (["stat", "--help"], ["--fan-in", "--mode", "brief_wait|wait_free", "--json", "1024"]),
            (["demo", "--help"], ["--json"]),
        ):
            text = printed(*arguments)
            for word in words:
                self.assertIn(word, text)
            self.assertLessEqual(max(map(len, text.splitlines())), 100, arguments)

    def test_the_examples_of_the_help_run(self):
        available = json.loads(printed("version", "--json"))["kernels_available"]
        count = 0
        for arguments in (["--help"], ["stat", "--help"]):
            examples = printed(*arguments).split("Examples:\n")[1].split("\n\n")[0]
            for line in examples.splitlines():
                command = shlex.split(re.split(r"  +|\|", line.strip())[0])
                backend = None
                if "=" in command[0]:
                    backend = command.pop(0).partition("=")[2]
                if backend in (None, *available):
                    self.assertEqual(command.pop(0), "sheaf")
                    self.assertNotEqual(printed(*command, backend=backend), "")
                count += 1
        self.assertEqual(count, 8)


class Pipes(unittest.TestCase):
    def test_a_reader_that_went_away_is_no_error(self):
        for arguments in (["demo"], ["version"], ["--help"], ["stat", *SMALL]):
            reader, writer = os.pipe()
            os.close(reader)
            run = sheaf(*arguments, stdout=writer)
            os.close(writer)
            self.assertEqual((run.returncode, run.stderr), (0, ""), arguments)

    def test_output_that_cannot_be_written_exits_1(self):
        with open("/dev/full", "w") as full:
            run = sheaf("demo", stdout=full)
        self.assertEqual(run.returncode, 1)
        self.assertIn("standard output", run.stderr)

    def test_there_is_no_colour_and_no_progress_in_a_pipe(self):
        for arguments in (["demo"], ["version"], ["--help"], ["stat", *SMALL]):
            text = printed(*arguments)
            self.assertFalse(re.search(r"[\x00-\x09\x0b-\x1f]", text), arguments)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
