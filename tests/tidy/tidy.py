"""tidy.py ROOT CHECK: runs one check of checks.py, prints its findings, fails where one is."""

import pathlib
import sys

import checks


def main():
    root = pathlib.Path(sys.argv[1]).resolve()
    findings = 0
    for path, line, words in checks.ALL[sys.argv[2]](root):
        print(f"{path.relative_to(root)}:{line}: {words}")
        findings += 1
    print(f"{sys.argv[2]}: {findings} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
