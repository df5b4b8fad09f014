"""readme.py ROOT WORK COMPILER [FLAG...]: every ```cpp block of BOOKS compiles, runs, exits 0 and
prints exactly what the ```text block after it says. A block without `main` becomes its body. One
that says `file=PATH` is built elsewhere.
"""

import pathlib
import re
import subprocess
import sys

BOOKS = ("README.md", "docs/errors.md", "docs/fixpoint.md", "docs/forks.md", "docs/operators.md",
         "docs/transactions.md")
BLOCK = re.compile(r"^```(\w*)([^\n]*)\n(.*?)^```\s*$", re.MULTILINE | re.DOTALL)


def programs(text):
    """Yields `(line, code, expected)`; expected is None where no ```text block follows."""
    blocks = [
        ("" if "file=" in m.group(2) else m.group(1), m.group(3),
         text.count("\n", 0, m.start()) + 1)
        for m in BLOCK.finditer(text)
    ]
    for index, (language, code, line) in enumerate(blocks):
        if language == "cpp":
            follower = blocks[index + 1] if index + 1 < len(blocks) else ("", "", 0)
            yield line, code, follower[1] if follower[0] == "text" else None


def whole(code):
    """`code` as a program."""
    if re.search(r"\bint main\(", code):
        return code
    lines = code.splitlines()
    heads = [line for line in lines if line.startswith("#include")]
    body = [line for line in lines if not line.startswith("#include")]
    return "\n".join(heads + ["int main() {"] + body + ["}"]) + "\n"


def complaint(work, command, code, expected):
    """What is wrong with one program, or an empty string."""
    work.mkdir(parents=True, exist_ok=True)
    source = work / "block.cpp"
    program = work / "block"
    source.write_text(whole(code))
    build = subprocess.run(
        command[:1] + ["-std=c++20", str(source), "-o", str(program)] + command[1:],
        capture_output=True, text=True,
    )
    if build.returncode:
        return "does not compile\n" + build.stderr
    run = subprocess.run([str(program)], capture_output=True, text=True, timeout=60, cwd=work)
    if run.returncode:
        return f"exits with {run.returncode}\n{run.stdout}{run.stderr}"
    if expected is not None and run.stdout != expected:
        return f"prints\n{run.stdout}and not\n{expected}"
    return ""


def main():
    root = pathlib.Path(sys.argv[1])
    command = [word for word in sys.argv[3:] if word]
    count = bad = 0
    for name in BOOKS:
        if not (root / name).exists():
            print(f"readme: there is no {name} yet")
            continue
        for line, code, expected in programs((root / name).read_text()):
            count += 1
            words = complaint(pathlib.Path(sys.argv[2]), command, code, expected)
            if words:
                bad += 1
                print(f"{name}:{line}: the block {words}")
    print(f"readme: {count} blocks run, {bad} findings")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
