"""nm.py ARCHIVE: no object compiled for one instruction set defines a weak symbol outside the
namespace of that set. The linker keeps one copy of a weak symbol and may give it to a file compiled
for a smaller set, which then dies of an illegal instruction on a machine without the larger one.
"""

import re
import subprocess
import sys

MEMBER = re.compile(r"^(?:.*\()?([^()\s:]+\.(scalar|avx2|avx512)\.cpp\.o)\)?:$")
SYMBOL = re.compile(r"^[0-9a-fA-F]*\s+([WwVvu])\s+(.*)$")
# A pointer to the handler of exceptions: data, equal in every object.
HARMLESS = re.compile(r"^DW\.ref\.__gxx_personality_v0$")


def findings(archive):
    """`(objects per instruction set, list of (object, symbol))` of `archive`."""
    listing = subprocess.run(
        ["nm", "-C", "--defined-only", archive], capture_output=True, text=True, check=True
    ).stdout
    seen = {"scalar": 0, "avx2": 0, "avx512": 0}
    found = []
    member = arch = None
    for line in listing.splitlines():
        if line.endswith(":"):
            match = MEMBER.match(line)
            member, arch = match.groups() if match else (None, None)
            if arch:
                seen[arch] += 1
        elif arch in ("avx2", "avx512") and (match := SYMBOL.match(line)):
            symbol = match.group(2)
            if f"::{arch}::" not in symbol and not HARMLESS.match(symbol):
                found.append((member, symbol))
    return seen, found


def main():
    seen, found = findings(sys.argv[1])
    for member, symbol in found:
        print(f"{member}: weak symbol outside its namespace: {symbol}")
    counts = ", ".join(f"{count} {arch}" for arch, count in seen.items())
    print(f"nm: objects: {counts}; {len(found)} findings")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
