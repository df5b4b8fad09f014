"""What the tidy checks share: which files there are, and C++ text without its comments."""

import pathlib
import re

CODE_FOLDERS = ("include", "src", "cuda", "bench", "tests", "examples")
CPP_SUFFIXES = (".hpp", ".h", ".cpp", ".cu", ".cuh")
CODE_SUFFIXES = CPP_SUFFIXES + (".py",)
TEXT_SUFFIXES = CODE_SUFFIXES + (".md", ".cmake", ".in", ".sh", ".json", ".txt", ".yml")


def files(root, folders, suffixes):
    """The files below `folders` of `root` that end in one of `suffixes`, in a fixed order."""
    found = []
    for folder in folders:
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in suffixes and path.is_file() and "__pycache__" not in path.parts:
                found.append(path)
    return found


def code_files(root):
    return files(root, CODE_FOLDERS, CODE_SUFFIXES)


def build_files(root):
    """What builds it: CMake's lists and modules, and shell scripts."""
    return [
        path
        for path in text_files(root)
        if path.suffix in (".cmake", ".sh") or path.name == "CMakeLists.txt"
    ]


def documents(root):
    top = [path for path in sorted(root.glob("*.md")) if path.is_file()]
    return top + files(root, ("docs",), (".md",))


def text_files(root):
    """Every text file of the repository, build folders left out."""
    top = [path for path in sorted(root.iterdir()) if path.is_file()]
    top = [path for path in top if path.suffix in TEXT_SUFFIXES]
    return top + files(root, CODE_FOLDERS + ("cmake", "docs", ".ci"), TEXT_SUFFIXES)


TOKEN = re.compile(
    r"""//[^\n]*|/\*.*?\*/|R"(?P<raw>[^(\s]*)\(.*?\)(?P=raw)"|"(?:\\.|[^"\\\n])*"|"""
    r"""(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+'""",
    re.DOTALL,
)


def bare(text):
    """`text` with comments and the insides of literals blanked; every line keeps its number."""

    def blank(match):
        word = match.group(0)
        lines = "\n" * word.count("\n")
        return lines if word.startswith("/") else '""' + lines

    return TOKEN.sub(blank, text)


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1
