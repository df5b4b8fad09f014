"""plugin.py READELF PLUGIN: the plugin needs no library of NVIDIA's, so that it loads where no
driver is; it exports its one function and nothing else; it is below 40 MB.
"""

import pathlib
import re
import subprocess
import sys

BYTES_MAX = 40_000_000
EXPORTED = "sheaf_device_ops"
FOREIGN = re.compile(r"^lib(cuda|cudart|nvidia|nccl|nvrtc|nvJitLink|cublas|cupti|nvToolsExt)", re.I)


def findings(dynamic, symbols, size):
    """What is wrong with a library of which readelf prints `dynamic` (-d) and `symbols`."""
    for name in re.findall(r"\(NEEDED\).*\[(.*)\]", dynamic):
        if FOREIGN.match(name):
            yield f"it needs {name}"
    if re.search(r"\((RPATH|RUNPATH)\)", dynamic):
        yield "it has a path of the building machine"
    exported = []
    for line in symbols.splitlines():
        cells = line.split()
        if len(cells) >= 8 and cells[4] in ("GLOBAL", "WEAK") and cells[6] != "UND":
            exported.append(cells[7].split("@")[0])
    if exported != [EXPORTED]:
        yield f"it exports {', '.join(exported) or 'nothing'}, not {EXPORTED} alone"
    if size >= BYTES_MAX:
        yield f"it has {size} bytes, {BYTES_MAX} allowed"


def selftest():
    """Each fault, planted in what readelf would print, is found."""
    needed = " 0x01 (NEEDED)  Shared library: [{}]\n"
    symbol = " 7: 0000a030 60 FUNC {} DEFAULT {} {}\n"
    good = symbol.format("GLOBAL", 12, EXPORTED) + symbol.format("GLOBAL", "UND", "malloc@GLIBC")
    assert list(findings(needed.format("libstdc++.so.6"), good, 1)) == []
    for name in ("libcuda.so.1", "libcudart.so.13", "libnvidia-ml.so.1", "libnccl.so.2"):
        assert len(list(findings(needed.format(name), good, 1))) == 1, name
    assert len(list(findings(" 0x1d (RUNPATH) Library runpath: [/x]\n", good, 1))) == 1
    assert len(list(findings("", good + symbol.format("WEAK", 12, "cudaMalloc"), 1))) == 1
    assert len(list(findings("", "", 1))) == 1
    assert len(list(findings("", good, BYTES_MAX))) == 1


def main():
    selftest()
    readelf, plugin = sys.argv[1:3]

    def read(option):
        run = subprocess.run([readelf, "-W", option, plugin], stdout=subprocess.PIPE, text=True,
                             check=True)
        return run.stdout

    found = list(findings(read("-d"), read("--dyn-syms"), pathlib.Path(plugin).stat().st_size))
    for words in found:
        print(f"{plugin}: {words}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
