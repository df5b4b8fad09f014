"""selftest.py COMPILER AR: plants one violation a check exists for and sees the check find it, and
sees the check stay silent on what is allowed.
"""

import contextlib
import pathlib
import subprocess
import sys
import tempfile
import unittest

import checks
import headers
import nm
import readme

COMPILER, AR = sys.argv[1:3]


@contextlib.contextmanager
def planted(files):
    """A repository of `files` (path to text)."""
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for name, text in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        yield root


def found(check, files):
    with planted(files) as root:
        return [words for _, _, words in checks.ALL[check](root)]


def function_of(lines, head="int f()"):
    return f"{head} {{\n" + "  g();\n" * (lines - 2) + "}\n"


class Layering(unittest.TestCase):
    def test_a_later_room_is_refused_by_either_kind_of_include(self):
        for place, text in (
            ("include/sheaf/page/a.hpp", "#include <sheaf/engine/b.hpp>\n"),
            ("src/page/a.cpp", '#include "graph/b.hpp"\n'),
            ("src/page/a.cpp", "#include <sheaf/sheaf.hpp>\n"),
            ("src/stray/a.cpp", "\n"),
            ("cuda/page/a.cu", '#include "cuda/propagate/b.hpp"\n'),
            ("cuda/page/a.cuh", '#include "propagate/b.hpp"\n'),
        ):
            self.assertEqual(len(found("layering", {place: text})), 1, text)

    def test_an_earlier_room_and_the_same_room_are_allowed(self):
        text = '#include <sheaf/base/b.hpp>\n#include "page/c.hpp"\n#include "d.hpp"\n'
        self.assertEqual(found("layering", {"src/page/a.cpp": text}), [])
        text = '#include "cuda/device.hpp"\n#include "cuda/memory/c.hpp"\n'
        self.assertEqual(found("layering", {"cuda/page/a.cu": text}), [])
        self.assertEqual(
            found("layering", {"include/sheaf/sheaf.hpp": "#include <sheaf/engine/b.hpp>\n"}), []
        )


class ThirdParties(unittest.TestCase):
    def test_a_public_header_with_a_library_is_refused(self):
        for name in ("<tbb/parallel_for.h>", '"local.hpp"', "<immintrin.h>"):
            text = f"#include {name}\n"
            self.assertEqual(len(found("third_parties", {"include/sheaf/page/a.hpp": text})), 1)
        text = "#include <vector>\n#include <sheaf/base/b.hpp>\n"
        self.assertEqual(found("third_parties", {"include/sheaf/page/a.hpp": text}), [])


class Sizes(unittest.TestCase):
    def test_functions_are_measured_whatever_their_form(self):
        for head in (
            "int f()", "template <class T>\nauto f(T a) -> int", "thing::thing() : a_{1}, b_(2)",
            "TEST(Suite, Name)", "[[nodiscard]] int f() const noexcept",
            "enum kind f(enum kind k)", "thing::thing() : a_{1}",
        ):
            lines = head.count("\n")
            fits = {"src/page/a.cpp": function_of(70 - lines, head)}
            self.assertEqual(found("sizes", fits), [], head)
            long = {"src/page/a.cpp": function_of(71 - lines, head)}
            self.assertEqual(len(found("sizes", long)), 1, head)

    def test_classes_namespaces_and_tables_may_be_long(self):
        for head in ("namespace a {", "class a : b<decltype(c())> {", "int t[] = {", "enum a {"):
            text = head + "\n" + "\n" * 80 + "};\n"
            self.assertEqual(found("sizes", {"src/page/a.cpp": text}), [], head)

    def test_braces_in_comments_literals_and_macros_do_not_count(self):
        text = '// {\n/* { */ const char* a = "{";\nchar b = \'{\';\n#define X { \\\n  {\n'
        text += function_of(70) + "namespace c {\n" + "\n" * 80 + "}\n"
        self.assertEqual(found("sizes", {"src/page/a.cpp": text}), [])

    def test_long_lines_and_files_are_refused(self):
        self.assertEqual(found("sizes", {"bench/a.cpp": "x" * 100 + "\n" * 600}), [])
        self.assertEqual(len(found("sizes", {"bench/a.cpp": "x" * 101 + "\n"})), 1)
        self.assertEqual(len(found("sizes", {"tests/a.cpp": "\n" * 601})), 1)
        self.assertEqual(len(found("sizes", {"cuda/page/a.cuh": function_of(71)})), 1)
        for name in ("CMakeLists.txt", "src/page/CMakeLists.txt", "cmake/a.cmake", "cmake/a.sh"):
            self.assertEqual(found("sizes", {name: "x" * 100 + "\n"}), [], name)
            self.assertEqual(len(found("sizes", {name: "x" * 101 + "\n"})), 1, name)


class Words(unittest.TestCase):
    def test_unfinished_marks_rulers_and_dead_code_are_refused(self):
        mark = "// TO" + "DO later\n"
        for text in (
            mark, "// " + "-" * 30 + "\n", "//" + "=" * 40 + "\n", "// run(a, b);\n",
            "  // return 3;\n", "// a.b = c + 1;\n", "// std::sort(a);\n",
        ):
            self.assertEqual(len(found("words", {"src/page/a.cpp": text})), 1, text)

    def test_prose_is_allowed(self):
        text = "// Locks first; a reader may wait;\n// for each line (of a page): one bit\n"
        text += "/// | a | b |\n/// |---|---|\nint a = 1;  // the count of pages; see above\n"
        self.assertEqual(found("words", {"src/page/a.cpp": text}), [])


class Links(unittest.TestCase):
    def test_a_link_that_leads_nowhere_is_refused(self):
        files = {"src/page/a.cpp": "\n\n\n"}
        for text, count in (
            ("[a](../src/page/a.cpp#L3) [b](https://example.org) [c](#here)", 0),
            ("[a](../src/page/a.cpp#L4)", 1), ("[a](../src/page/b.cpp)", 1),
            ("`src/page/b.cpp`", 1), ("`src/page/a.cpp`", 0),
            ("```\n[a](../src/page/b.cpp)\n```", 0),
        ):
            files["docs/hot_paths.md"] = text + "\n"
            self.assertEqual(len(found("links", files)), count, text)


class Quotes(unittest.TestCase):
    def test_a_name_after_a_link_stands_in_the_linked_file(self):
        files = {"src/page/a.cpp": "int run_all();\nint walk();\n"}
        for text, count in (
            ("| [a.cpp](../src/page/a.cpp) `run_all`, `walk` |", 0),
            ("| [a.cpp](../src/page/a.cpp) `run_all`, `stop` |", 1),
            ("| [a.cpp](../src/page/a.cpp) `run` |", 1),
        ):
            files["docs/hot_paths.md"] = text + "\n"
            self.assertEqual(len(found("quotes", files)), count, text)

    def test_a_block_with_a_file_is_that_file(self):
        files = {"tests/a.hpp": "int a;\n"}
        for text, count in (
            ("```cpp file=tests/a.hpp\nint a;\n```\n", 0),
            ("```cpp file=tests/a.hpp\nint b;\n```\n", 1),
            ("```cpp file=tests/b.hpp\nint a;\n```\n", 1),
        ):
            files["docs/operators.md"] = text
            self.assertEqual(len(found("quotes", files)), count, text)


class Codes(unittest.TestCase):
    HEADER = "enum class status_code : int {\n  ok,\n  closed,  ///< gone, over\n};\n"
    BOOK = "# E\n\n## The codes\n\n| code |\n|---|\n| `ok` |\n| `closed` |\n\n## More\n| `x` |\n"

    def test_each_code_has_one_row_in_order(self):
        for old, new, count in (
            ("", "", 0), ("| `closed` |\n", "", 1), ("`closed`", "`open`", 1),
            ("| `ok` |\n", "| `ok` |\n| `ok` |\n", 1),
        ):
            files = {"include/sheaf/base/status.hpp": self.HEADER,
                     "docs/errors.md": self.BOOK.replace(old, new) if old else self.BOOK}
            self.assertEqual(len(found("codes", files)), count, new)
        files = {"include/sheaf/base/status.hpp": self.HEADER}
        self.assertEqual(len(found("codes", files)), 1)


class Promises(unittest.TestCase):
    def test_a_promise_called_kept_needs_a_test_that_cites_it(self):
        files = {"docs/architecture.md": "| P1 glue | kept |\n| P3 kept | not yet |\n"}
        self.assertEqual(len(found("promises", files)), 1)
        files["tests/engine/a_test.cpp"] = "/// Promise P1: the same bits.\n"
        self.assertEqual(found("promises", files), [])

    def test_an_assertion_needs_a_hyphenated_name(self):
        good = 'SHEAF_ASSERT(a < f(b), "index-in-page");\n'
        self.assertEqual(found("promises", {"src/page/a.cpp": good}), [])
        for bad in ('SHEAF_ASSERT(a, "oops");\n', "SHEAF_DASSERT(a, name);\n"):
            self.assertEqual(len(found("promises", {"src/page/a.cpp": bad})), 1, bad)


class Headers(unittest.TestCase):
    def test_a_header_that_leans_on_another_is_refused(self):
        text = "#pragma once\n#include <cstdint>\ninline std::uint8_t a() { return 1; }\n"
        with planted({"include/sheaf/page/a.hpp": text}) as root:
            path = root / "include/sheaf/page/a.hpp"
            self.assertEqual(headers.compile_alone(root, COMPILER, path), "")
            path.write_text(text.replace("#include <cstdint>", ""))
            self.assertIn("uint8_t", headers.compile_alone(root, COMPILER, path))
            path.write_text(text.replace("#pragma once", ""))
            self.assertIn("redefinition", headers.compile_alone(root, COMPILER, path))


class Readme(unittest.TestCase):
    BOOK = '# A\n```cpp\n#include <cstdio>\nstd::puts("a");\n```\nprints\n```text\na\n```\n'

    def complaints(self, text):
        with planted({}) as root:
            return [
                readme.complaint(root / "work", [COMPILER], code, expected)
                for _, code, expected in readme.programs(text)
            ]

    def test_a_block_is_compiled_run_and_compared(self):
        self.assertEqual(self.complaints(self.BOOK), [""])
        self.assertIn("and not", self.complaints(self.BOOK.replace("text\na", "text\nb"))[0])
        self.assertIn("does not compile", self.complaints(self.BOOK.replace("puts", "put"))[0])
        fails = self.BOOK.replace('std::puts("a");', "return 3;")
        self.assertIn("exits with 3", self.complaints(fails)[0])


    def test_a_block_of_a_file_is_passed_over_and_hides_no_other(self):
        text = "```cpp file=a.hpp\nint a;\n```\n" + self.BOOK
        self.assertEqual(len(list(readme.programs(text))), 1)
        self.assertEqual(self.complaints(text), [""])


class Nm(unittest.TestCase):
    def archive(self, root, name, text):
        (root / "a.cpp").write_text(text)
        subprocess.run(
            [COMPILER, "-std=c++20", "-O2", "-c", "a.cpp", "-o", name], cwd=root, check=True
        )
        subprocess.run([AR, "rcs", "lib.a", name], cwd=root, check=True)
        return nm.findings(str(root / "lib.a"))

    SHARED = "[[gnu::noinline]] inline int helper(int a) { return a + 1; }\n"
    USER = "namespace sheaf { inline namespace %s { int run(int a) { return helper(a); } } }\n"

    def test_a_shared_inline_helper_is_found_in_the_larger_sets_only(self):
        for arch, count in (("avx512", 1), ("avx2", 1), ("scalar", 0)):
            with planted({}) as root:
                text = self.SHARED + self.USER % arch
                seen, found_symbols = self.archive(root, f"k.{arch}.cpp.o", text)
                self.assertEqual(seen[arch], 1)
                self.assertEqual(len(found_symbols), count, found_symbols)

    def test_a_helper_in_the_namespace_of_the_set_is_allowed(self):
        with planted({}) as root:
            text = "namespace sheaf { inline namespace avx512 {" + self.SHARED + "} }\n"
            text += self.USER % "avx512"
            seen, found_symbols = self.archive(root, "k.avx512.cpp.o", text)
            self.assertEqual((seen["avx512"], found_symbols), (1, []))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
