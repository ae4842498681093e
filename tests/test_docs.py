"""The documentation is true: examples print what the pages say, pages name every public member, figures are kept."""
import builtins
import doctest
import fnmatch
import importlib
import importlib.util
import json
import pathlib
import re
import subprocess

import pytest

import mxlite as mx

from .oracle.client import interpreter
from .seeds import blocks_003, blocks_004

REPOSITORY = pathlib.Path(__file__).parents[1]
PAGES = sorted([REPOSITORY / "README.md", *(REPOSITORY / "docs").rglob("*.md")])
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def examples(path):
    """The page with everything but its ``>>>`` blocks blanked out, so that line numbers stay the page's."""
    text = path.read_text()
    keep = [m.span(1) for m in BLOCK.finditer(text) if ">>>" in m[1]]
    return "".join(c if c == "\n" or any(a <= i < b for a, b in keep) else " " for i, c in enumerate(text))


def run(text, name):
    """Run the examples of a page in one session; returns how many there were, and what went wrong."""
    test = doctest.DocTestParser().get_doctest(text, {}, name, name, 0)
    said = []
    result = doctest.DocTestRunner(verbose=False).run(test, out=said.append)
    return len(test.examples), "".join(said) if result.failed else ""


WITH_EXAMPLES = [p for p in PAGES if ">>> " in p.read_text()]
ALL = [*PAGES, REPOSITORY / "CONTRIBUTING.md", REPOSITORY / "CHANGELOG.md"]
WITH_LINKS = [p for p in ALL if re.search(r"\]\((?!\w+://)", p.read_text())]
DIFFERENCES = ["differences", *(f"differences/{n}" for n in ("arrays", "operators", "autograd", "graph", "module"))]


@pytest.mark.parametrize("path", WITH_EXAMPLES, ids=[str(p.relative_to(REPOSITORY)) for p in WITH_EXAMPLES])
def test_examples(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)         # examples save files
    isa, threads = mx.runtime.get_isa(), mx.runtime.get_threads()
    options = {name: mx.runtime.get_option(name) for name in mx.runtime.options()}
    try:
        count, wrong = run(examples(path), path.name)
    finally:
        mx.runtime.set_isa(isa)
        mx.runtime.set_threads(threads)
        for name, value in options.items():
            mx.runtime.set_option(name, value)
    assert count >= 5
    assert not wrong, wrong


def test_options_on_the_page_are_the_options():
    text = (REPOSITORY / "docs/api/runtime.md").read_text()
    assert re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE) == list(mx.runtime.options())
    table = (REPOSITORY / "docs/environment.md").read_text()
    row = next(line for line in table.splitlines() if line.startswith("| `MXLITE_OFF`"))
    assert re.findall(r"`(\w+)`", row.split(" | ")[2]) == list(mx.runtime.options())


def test_the_runner_sees_a_wrong_output():
    page = "text\n\n```python\n>>> 1 + 1\n3\n\n```\n"
    count, wrong = run(page.replace("```python", "").replace("```", ""), "page")
    assert count == 1 and "Expected:\n    3\nGot:\n    2" in wrong


def test_which_pages_have_examples():
    names = {p.relative_to(REPOSITORY).as_posix() for p in WITH_EXAMPLES}
    pages = [*(f"api/{n}" for n in (*API, "autograd", "rnn", "runtime")), "numbers", *DIFFERENCES]
    assert {f"docs/{n}.md" for n in pages} <= names


# -- completeness -------------------------------------------------------------------------------------------------
# Members of the classes that are the package's own plumbing, and nobody's interface.
PLUMBING = {"copy_from", "fill_zero", "host_view", "numpy_view", "overlaps", "part", "set_from_host", "storage",
            "touched"}
API = {"symbol": mx.sym.Symbol, "ndarray": mx.nd.NDArray, "executor": mx.Executor, "context": mx.Context}


@pytest.mark.parametrize("page", API)
def test_every_public_member_is_on_its_page(page):
    text = (REPOSITORY / f"docs/api/{page}.md").read_text()
    named = set(re.findall(r"\w+", " ".join(re.findall(r"`([^`\n]+)`", text))))
    missing = [n for n in dir(API[page]) if not n.startswith("_") and n not in named | PLUMBING]
    assert not missing, f"docs/api/{page}.md does not name {missing}"


@pytest.mark.parametrize("page, module", [("context", "context"), ("autograd", "autograd"), ("ndarray", "nd"),
                                          ("symbol", "sym"), ("ndarray", "random"), ("rnn", "rnn"),
                                          ("runtime", "runtime")])
def test_every_function_is_on_its_page(page, module):
    text = (REPOSITORY / f"docs/api/{page}.md").read_text()
    named = set(re.findall(r"\w+", " ".join(re.findall(r"`([^`\n]+)`", text))))
    module = getattr(mx, module)
    ours = [n for n in module.__dict__.get("__all__", dir(module)) if not n.startswith("_")
            and n not in dir(mx.nd.op) and callable(getattr(module, n)) and n not in ("NDArray", "Symbol")]
    missing = [n for n in ours if n not in named]
    assert len(ours) >= 5 and not missing, f"docs/api/{page}.md does not name {missing}"


@pytest.mark.parametrize("page", [*API, "autograd", "rnn", "runtime"])
def test_what_the_tables_name_exists(page):
    """Every name in the first column of a page's tables is a member of its class, or a function of mxlite."""
    places = [API.get(page, mx.nd.NDArray), mx.nd, mx.sym, mx.context, mx.autograd, mx.nd.random, mx.Executor, mx,
              *{"rnn": [mx.rnn, mx.rnn.FusedRNNCell], "runtime": [mx.runtime]}.get(page, ())]
    bound = mx.sym.Variable("x").simple_bind(mx.cpu(), x=(1,))              # some members are made with the object
    importlib.import_module("mxlite.svg_plan")
    names = []
    for line in (REPOSITORY / f"docs/api/{page}.md").read_text().splitlines():
        if line.startswith("| `"):
            for text in re.findall(r"`([^`]+)`", line.split(" | ")[0]):
                names += re.findall(r"^([a-zA-Z_][\w.]*)(?=\(|$)", text)
    assert len(names) >= 8
    for name in names:
        name = re.sub(r"^(mx|mxlite|net|x|y)\.", "", name)
        at = [bound, mx.cpu(), *places]
        for part in name.split("."):
            at = [getattr(a, part) for a in at if hasattr(a, part)]
        known = at or hasattr(builtins, name) or name in mx.runtime.options()
        assert known, f"docs/api/{page}.md names {name}, which does not exist"


LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


def links(path):
    """(file, anchor) of every link of a page into this repository."""
    text = re.sub(r"^```.*?^```", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)
    for target in LINK.findall(text):
        if "://" not in target:
            file, _, anchor = target.partition("#")
            yield (path.parent / file).resolve() if file else path, anchor


def anchors(path):
    """The anchors that GitHub gives the headings of a page."""
    return {re.sub(r"[^\w\- ]", "", h).lower().replace(" ", "-") for h in HEADING.findall(path.read_text())}


def reachable(start):
    seen, todo = set(), [start]
    while todo:
        page = todo.pop()
        if page not in seen:
            seen.add(page)
            todo += [file for file, _ in links(page) if file.suffix == ".md"]
    return seen


def test_every_page_is_reachable_from_the_readme():
    missing = set(PAGES) - reachable(REPOSITORY / "README.md")
    assert not missing, f"no way leads from the README to {sorted(map(str, missing))}"


def test_lines_fit():
    """At most 120 characters, but in tables, whose rows Markdown wants on one line."""
    wide = [f"{p.relative_to(REPOSITORY)}:{i}" for p in ALL for i, line in enumerate(p.read_text().splitlines(), 1)
            if len(line) > 120 and not line.startswith("| ")]
    assert not wide, f"lines over 120 characters: {wide}"


@pytest.mark.parametrize("path", WITH_LINKS, ids=[str(p.relative_to(REPOSITORY)) for p in WITH_LINKS])
def test_links_lead_somewhere(path):
    found = list(links(path))
    dead = [f"{file}#{anchor}" for file, anchor in found
            if not file.exists() or anchor and anchor not in anchors(file)]
    assert found and not dead, f"{path} links what is not there: {dead}"


def test_every_notebook_is_named_in_the_readme():
    text = (REPOSITORY / "README.md").read_text()
    assert not [p.name for p in (REPOSITORY / "tutorials").glob("*.ipynb") if f"](tutorials/{p.name})" not in text]


def test_the_readmes_test_command_is_the_one_that_ci_runs():
    command = 'pip install ".[test]" && pytest\n'
    assert f"\n{command}" in (REPOSITORY / "README.md").read_text()
    assert f"\n    {command}" in (REPOSITORY / ".ci/run").read_text()


# -- notebooks ----------------------------------------------------------------------------------------------------
NOTEBOOKS = sorted((REPOSITORY / "tutorials").glob("*.ipynb"))


def code_of(path):
    """The code cells of a notebook."""
    return [c for c in json.loads(path.read_text())["cells"] if c["cell_type"] == "code"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=[p.name for p in NOTEBOOKS])
def test_notebooks_are_committed_as_executed(path):
    """All cells in one run, in order, without an error: what ``run_notebooks.py --write`` leaves."""
    cells = code_of(path)
    assert [c["execution_count"] for c in cells] == list(range(1, len(cells) + 1))
    assert not [o for c in cells for o in c["outputs"] if o["output_type"] == "error"]
    assert any(o for c in cells for o in c["outputs"]) and any("assert " in "".join(c["source"]) for c in cells)


def test_symbol_notebook_shows_what_the_guides_show():
    """Everything that MXNet's two Python guides to symbols use (tests/seeds has their blocks) is in our notebook."""
    used = set()
    for blocks in (blocks_003, blocks_004):
        text = "".join(blocks.BLOCKS.values())
        used |= set(re.findall(r"\b(?:mx|sym|symbol|nd|viz|io|mod|name)\.(\w+)\(", text))     # functions
        used |= set(re.findall(r"\w\.(infer_\w+|list_\w+|bind|simple_bind|eval|forward|backward|fit|predict|tojson"
                               r"|save)\(", text))
    shown = "".join("".join(c["source"]) for c in code_of(REPOSITORY / "tutorials/symbol.ipynb"))
    words = set(re.findall(r"\w+", shown))
    assert {"Variable", "simple_bind", "NDArrayIter", "Group"} <= used
    assert not used - words - {"symbol"}, f"symbol.ipynb does not show {sorted(used - words)}"


# -- environment variables ----------------------------------------------------------------------------------------
def test_every_variable_is_in_the_table():
    """What the package, the build, the tests, the benchmarks and the scripts read."""
    table = (REPOSITORY / "docs/environment.md").read_text()
    read = set()
    for folder in ("mxlite", "tests", "benchmarks", "tutorials", ".ci"):
        for path in (REPOSITORY / folder).rglob("*"):
            if path.suffix in (".py", ".pyx", ".h", ".sh") or path.name == "run":
                text = path.read_text()
                read |= set(re.findall(r"\bMXLITE_[A-Z]+(?=\b)", text)) | set(re.findall(r"\$\{([A-Z]+):-", text))
    read -= {n for n in read if re.fullmatch(r"MXLITE_[A-Z]+_H", n)}
    assert {"MXLITE_ISA", "MXLITE_TORCH", "MXLITE_PLANT", "MXLITE_FUZZ", "KEEP", "PYTHON"} <= read
    assert not [n for n in sorted(read) if f"`{n}`" not in table]


# -- what is not there --------------------------------------------------------------------------------------------
# Names in MXNet's module of operators that are no operators.
NO_OPERATORS = {"CachedOp", "NDArrayBase"}


def not_there():
    text = (REPOSITORY / "docs/differences.md").read_text()
    return text[text.index("## Not there"):text.index("## Crashes and garbage")]


def test_what_is_said_to_be_missing_is_missing():
    names = [n for n in re.findall(r"`mx\.([\w.]+)`", not_there()) if n not in ("np", "npx")]
    assert len(names) >= 5
    for name in names:
        at = mx
        try:
            for part in name.split("."):
                at = getattr(at, part)
        except AttributeError:
            continue
        pytest.fail(f"docs/differences.md says that mx.{name} is not there, and it is")
    there = [n for n in dir(mx.nd.op) if any(fnmatch.fnmatch(n, pattern) for pattern in missing_operators())]
    assert not there, f"docs/differences.md says that these operators are not there: {there}"


def missing_operators():
    """The operators of MXNet that the page lists as missing, some as patterns."""
    text = not_there()
    text = text[text.index("missing operators -->"):]
    return re.findall(r"`([\w*]+)`", text[:text.index("\n\n")])


@pytest.mark.oracle
def test_every_missing_operator_is_listed():
    """Every public operator of MXNet is there or on the list."""
    if not interpreter().exists():
        pytest.skip("MXNet 1.9.1 is not installed: sh tests/oracle/make_env.sh makes it in .oracle")
    code = "import numpy; numpy.bool = bool; import mxnet; print(*[n for n in dir(mxnet.nd.op) if n[0] != '_'])"
    done = subprocess.run([interpreter(), "-c", code], text=True, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr
    public = [n for n in done.stdout.split() if n not in NO_OPERATORS]
    assert len(public) > 250
    unsaid = [n for n in public if n not in dir(mx.nd.op)
              and not any(fnmatch.fnmatch(n, pattern) for pattern in missing_operators())]
    assert not unsaid, f"docs/differences.md does not say that these are missing: {unsaid}"


# -- exactness ----------------------------------------------------------------------------------------------------
def exactness():
    spec = importlib.util.spec_from_file_location("exactness", REPOSITORY / "benchmarks/exactness.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("level", ["baseline", "avx2", "avx512"])
def test_exactness_is_as_promised(level):
    isa = mx.runtime.get_isa()
    try:
        mx.runtime.set_isa(level)
    except ValueError:
        pytest.skip(f"no {level} here")
    try:
        rows = exactness().measured()
    finally:
        mx.runtime.set_isa(isa)
    assert len(rows) > 15
    assert not [row for row in rows if not 0 <= row[3] <= row[4]]


def test_numbers_page_has_the_promises():
    """The table of docs/numbers.md is that of benchmarks/exactness.py."""
    text = (REPOSITORY / "docs/numbers.md").read_text()
    table = text[text.index("| family |"):]
    table = table[:table.index("\n\n")]
    said = {}
    for line in table.splitlines()[2:]:
        family, unit, *bounds = (cell.strip() for cell in line.strip("|").split("|"))
        said[family, unit] = {d: float(b) for d, b in zip(("float16", "float32", "float64"), bounds) if b}
    assert said == exactness().PROMISED
