"""program.py PROGRAM EXPECTED: the program exits 0 and prints exactly what the file holds."""

import pathlib
import subprocess
import sys


def main():
    run = subprocess.run(sys.argv[1:2], capture_output=True, text=True, timeout=60)
    if run.returncode != 0 or run.stdout != pathlib.Path(sys.argv[2]).read_text():
        print(f"exits with {run.returncode}\n{run.stdout}{run.stderr}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
