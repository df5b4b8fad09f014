"""headers.py ROOT COMPILER: every public header compiles alone, and twice in one file."""

import concurrent.futures
import os
import pathlib
import subprocess
import sys

import tree


def compile_alone(root, compiler, path):
    """The compiler's complaint about `path` on its own, or an empty string."""
    name = path.relative_to(root / "include")
    run = subprocess.run(
        [compiler, "-std=c++20", "-fsyntax-only", "-Wall", "-Wextra", "-Werror"]
        + [f"-I{root / 'include'}", "-x", "c++", "-"],
        input=f"#include <{name}>\n#include <{name}>\n",
        capture_output=True,
        text=True,
    )
    return run.stderr if run.returncode else ""


def main():
    root = pathlib.Path(sys.argv[1]).resolve()
    headers = tree.files(root, ("include",), (".hpp", ".h"))
    bad = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        complaints = pool.map(lambda path: compile_alone(root, sys.argv[2], path), headers)
        for path, words in zip(headers, complaints):
            if words:
                bad += 1
                print(f"{path.relative_to(root)}: does not compile alone\n{words}")
    print(f"headers: {len(headers)} compiled alone, {bad} refused")
    return 1 if bad or not headers else 0


if __name__ == "__main__":
    sys.exit(main())
