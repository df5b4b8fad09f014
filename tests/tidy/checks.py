"""The checks that read text only. Each yields findings as `(path, line, words)`."""

import re

import tree

LINES_PER_FILE_MAX = 600
LINES_PER_FUNCTION_MAX = 70
COLUMNS_MAX = 100

ROOMS = (
    "base memory page algebra graph propagate engine cluster tune reason planning observe capi cli"
).split()

STANDARD_HEADERS = set(
    """algorithm any array atomic barrier bit bitset cassert cctype cerrno cfenv cfloat charconv
    chrono cinttypes climits clocale cmath compare complex concepts condition_variable coroutine
    csetjmp csignal cstdarg cstddef cstdint cstdio cstdlib cstring ctime cuchar cwchar cwctype deque
    exception execution filesystem format forward_list fstream functional future initializer_list
    iomanip ios iosfwd iostream istream iterator latch limits list locale map memory memory_resource
    mutex new numbers numeric optional ostream queue random ranges ratio regex scoped_allocator
    semaphore set shared_mutex source_location span sstream stack stdexcept stop_token streambuf
    string string_view syncstream system_error thread tuple type_traits typeindex typeinfo
    unordered_map unordered_set utility valarray variant vector version""".split()
)

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(?:<([^>\n]+)>|"([^"\n]+)")', re.MULTILINE)


def includes(path):
    """Yields `(line, name, quoted)` for each include of `path`."""
    text = path.read_text()
    for match in INCLUDE.finditer(text):
        name = match.group(1) or match.group(2)
        yield tree.line_of(text, match.start()), name, match.group(2) is not None


def room_of(path, root):
    """The room a file of include/sheaf, src or cuda belongs to; None for the umbrella header."""
    parts = path.relative_to(root).parts
    room = parts[2] if parts[0] == "include" else parts[1]
    return room if len(parts) > (3 if parts[0] == "include" else 2) else None


def layering(root):
    """A room includes rooms before it in the table, or itself, and never one after it."""
    for path in tree.files(root, ("include/sheaf", "src", "cuda"), tree.CPP_SUFFIXES):
        room = room_of(path, root)
        if room is None:
            continue
        if room not in ROOMS:
            yield path, 1, f"'{room}' is no room of the table"
            continue
        for line, name, _ in includes(path):
            parts = name.removeprefix("sheaf/").removeprefix("cuda/").split("/")
            if name.startswith("sheaf/") and len(parts) == 1:
                yield path, line, f"a room includes the umbrella header {name}"
            other = parts[0] if len(parts) > 1 else room
            if other in ROOMS and ROOMS.index(other) > ROOMS.index(room):
                yield path, line, f"room '{room}' includes {name} of the later room '{other}'"


def third_parties(root):
    """Public headers include the standard library and each other, nothing else."""
    for path in tree.files(root, ("include",), (".hpp", ".h")):
        for line, name, quoted in includes(path):
            if quoted or not (name.startswith("sheaf/") or name in STANDARD_HEADERS):
                yield path, line, f"a public header includes {name}"


NOISE = re.compile(
    r"\[\[.*?\]\]|\b(?:alignas|requires|decltype|SHEAF_[A-Z_]+)\s*\((?:[^()]|\([^()]*\))*\)"
)


DIRECTIVE = re.compile(r"^[ \t]*#(?:[^\\\n]|\\.|\\\n)*", re.MULTILINE)


def is_function(head):
    """Whether the brace after `head` (the text since the last `;`, `{` or `}`) opens a function."""
    head = NOISE.sub(" ", head).strip()
    while head.startswith("template"):
        depth = 0
        for index, sign in enumerate(head):
            depth += (sign == "<") - (sign == ">" and head[index - 1] != "-")
            if sign == ">" and depth == 0:
                break
        head = head[index + 1 :].strip()
    before = head.split("(")[0]
    # `enum kind f(` is a function whose result is spelled with its keyword.
    if re.search(r"\b(?:class|struct|union|enum)\s+\w+[\s&*]+[\w:]+$", before):
        return True
    if re.search(r"\b(namespace|class|struct|union|enum|extern)\b", before):
        return False
    return "(" in head and not head.endswith("=")


def long_functions(text):
    """Yields `(line, count)` for each function of more than LINES_PER_FUNCTION_MAX lines."""
    code = DIRECTIVE.sub(lambda match: "\n" * match.group(0).count("\n"), tree.bare(text))
    stack = []
    start = 0
    for match in re.finditer(r"[;{}]", code):
        sign = match.group(0)
        if sign == "{":
            head = code[start : match.start()]
            first = start + len(head) - len(head.lstrip())
            after_brace = not head.strip() and start > 0 and code[start - 1] == "}"
            stack.append((first, is_function(head) or after_brace))
        elif sign == "}" and stack:
            first, function = stack.pop()
            line = tree.line_of(code, first)
            count = tree.line_of(code, match.start()) - line + 1
            if function and count > LINES_PER_FUNCTION_MAX:
                yield line, count
        start = match.end()


def sizes(root):
    """Functions, files and lines within their limits."""
    for path in tree.code_files(root) + tree.build_files(root):
        text = path.read_text()
        lines = text.splitlines()
        if len(lines) > LINES_PER_FILE_MAX:
            yield path, 1, f"file of {len(lines)} lines, {LINES_PER_FILE_MAX} allowed"
        for number, line in enumerate(lines, 1):
            if len(line) > COLUMNS_MAX:
                yield path, number, f"line of {len(line)} columns, {COLUMNS_MAX} allowed"
        if path.suffix in tree.CPP_SUFFIXES:
            for line, count in long_functions(text):
                yield path, line, f"function of {count} lines, {LINES_PER_FUNCTION_MAX} allowed"


# Put together here, so that this file passes its own check.
UNFINISHED = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X")) + r")\b")
RULER = re.compile(r"^\s*(?://+|#|\*)\s*([-=*#/_~])\1{9,}\s*$")
COMMENTED_CODE = re.compile(
    r"^\s*//\s*(?:(?:return|if|for|while|auto|const|int|delete|using)\b.*[;{]"
    r"|[\w:]+(?:\.|->|::)\w+\(.*\);|[\w.\[\]>-]+ [-+*|&^]?= [^ ].*;|\w+\(.*\);)\s*$"
)


def words(root):
    """No unfinished-work marks, rulers or commented-out code."""
    for path in tree.text_files(root):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if match := UNFINISHED.search(line):
                yield path, number, f"the word {match.group(1)}"
            if RULER.match(line):
                yield path, number, "a ruler made of comment signs"
            if path.suffix in tree.CPP_SUFFIXES and COMMENTED_CODE.match(line):
                yield path, number, "commented-out code"


LINK = re.compile(r"\[[^\]\n]*\]\(([^)\s]+)\)")
QUOTED_PATH = re.compile(r"`((?:include|src|tests|bench|cmake|examples|cuda|docs)/[\w./+-]+)`")


def links(root):
    """Relative links of the documents, and the paths docs/hot_paths.md quotes, lead to files."""
    for path in tree.documents(root):
        fenced = False
        for number, line in enumerate(path.read_text().splitlines(), 1):
            fenced ^= line.startswith("```")
            if fenced:
                continue
            for target in LINK.findall(line):
                if re.match(r"[a-z]+:", target) or target.startswith("#"):
                    continue
                name, _, anchor = target.partition("#")
                place = path.parent / name
                if not place.exists():
                    yield path, number, f"the link {target} leads nowhere"
                elif match := re.fullmatch(r"L(\d+)(?:-L(\d+))?", anchor):
                    last = int(match.group(2) or match.group(1))
                    if last > len(place.read_text().splitlines()):
                        yield path, number, f"the link {target} points past the end of the file"
            if path.name == "hot_paths.md":
                for name in QUOTED_PATH.findall(line):
                    if not (root / name).exists():
                        yield path, number, f"the path {name} leads nowhere"


NAMED_LINK = re.compile(r"\[[^\]\n]*\]\(([^)\s#]+)\)((?:,? `\w+`)+)")
QUOTED_FILE = re.compile(r"^```\w+ file=(\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def quotes(root):
    """A name that docs/hot_paths.md puts after a link stands in that file; a block that says
    `file=PATH` is that file, byte for byte.
    """
    for path in tree.documents(root):
        text = path.read_text()
        for match in QUOTED_FILE.finditer(text):
            place = root / match.group(1)
            if not place.exists() or place.read_text() != match.group(2):
                line = tree.line_of(text, match.start())
                yield path, line, f"the block is not what {match.group(1)} holds"
        for match in NAMED_LINK.finditer(text) if path.name == "hot_paths.md" else ():
            place = path.parent / match.group(1)
            known = place.read_text() if place.exists() else ""
            for name in re.findall(r"\w+", match.group(2)):
                if not re.search(rf"\b{name}\b", known):
                    line = tree.line_of(text, match.start())
                    yield path, line, f"{match.group(1)} has no {name}"


STATUS_CODES = re.compile(r"enum class status_code[^{]*\{(.*?)\};", re.DOTALL)


def codes(root):
    """docs/errors.md has exactly one row for each status_code, in the order of the header."""
    header = root / "include/sheaf/base/status.hpp"
    book = root / "docs" / "errors.md"
    if not header.exists():
        return
    found = STATUS_CODES.search(header.read_text())
    names = re.findall(r"^\s*(\w+),", tree.bare(found.group(1)), re.MULTILINE)
    text = book.read_text() if book.exists() else ""
    section = text.partition("\n## The codes\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
    if rows != names:
        missing = ", ".join(name for name in names if name not in rows) or "none"
        extra = ", ".join(name for name in rows if name not in names) or "none"
        yield book, 1, f"rows and status codes differ; missing: {missing}; too many: {extra}"


PROMISE_ROW = re.compile(r"^\|\s*\**(P[1-7])\b[^|]*\|(.*)$")
ASSERTION = re.compile(r"\bSHEAF_(?:D?ASSERT|PARANOID)\((?P<rest>.*?)\);", re.DOTALL)


def promises(root):
    """A promise docs/architecture.md calls kept is cited by a test; invariants have names."""
    tests = [p for p in tree.files(root, ("tests",), (".cpp", ".hpp")) if "tidy" not in p.parts]
    cited = set()
    for path in tests:
        cited |= set(re.findall(r"\bP[1-7]\b", path.read_text()))
    book = root / "docs" / "architecture.md"
    if book.exists():
        for number, line in enumerate(book.read_text().splitlines(), 1):
            match = PROMISE_ROW.match(line)
            if match and re.search(r"\bkept\b", match.group(2)):
                if not re.search(r"\bnot (yet )?kept\b", match.group(2)):
                    if match.group(1) not in cited:
                        yield book, number, f"{match.group(1)} is called kept and no test cites it"
    for path in tree.files(root, ("include", "src"), (".hpp", ".cpp")):
        if path.name == "assert.hpp":
            continue
        text = path.read_text()
        for match in ASSERTION.finditer(text):
            name = re.search(r'"([^"]*)"\s*$', match.group("rest"))
            if not name or not re.fullmatch(r"[a-zA-Z0-9]+(-[a-zA-Z0-9]+)+", name.group(1)):
                line = tree.line_of(text, match.start())
                yield path, line, "an assertion without a hyphenated invariant name"


ALL = {
    check.__name__: check
    for check in (layering, third_parties, sizes, words, links, quotes, codes, promises)
}
