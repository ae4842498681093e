"""Build of mxlite: every ``mxlite/_core/**/*.pyx`` is one extension module, found by glob, so a new file needs no edit.

A kernel module ``kernels/x.pyx`` may have inner loops in C: ``x_base.c``, ``x_avx2.c`` and ``x_avx512.c`` beside it are
compiled with that level's flags and linked in; which one runs is chosen at import. Nothing is built for the machine
that builds (no ``-march=native``), nothing is linked with ``-ffast-math``.

Objects are kept in ``build/objects/<hash of the command>`` with the compiler's own list of what each was made from
(``-MD``): a warm rebuild compiles what changed and nothing else, and a change of a flag or directive is a change.
Reading the package's metadata and making an sdist compile nothing.
"""
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from glob import glob

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

HERE = os.path.dirname(os.path.abspath(__file__))
os.chdir(HERE)                                             # all paths below are relative to the repository
X86 = platform.machine().lower() in ("x86_64", "amd64")
DEBUG = bool(os.environ.get("MXLITE_DEBUG_BUILD"))         # bounds checks everywhere, no optimisation, asserts
SANITIZE = bool(os.environ.get("MXLITE_SANITIZE_BUILD"))   # address and undefined-behaviour sanitizers
ONLY = os.environ.get("MXLITE_ONLY")                       # while working on one module: MXLITE_ONLY=kernels/pool

# A level's first list is what its code needs, the second only tunes: left out where the compiler does not know it.
LEVELS = {
    "base": ([], []),
    "avx2": (["-mavx2", "-mfma", "-mf16c"], ["-mtune=haswell"]),
    "avx512": (["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mavx2", "-mfma", "-mf16c"],
               ["-mprefer-vector-width=512", "-mtune=skylake-avx512"]),
}
# Kernels: no errno, no traps, contraction allowed; never reassociation, which ruins range reduction.
KERNEL_FLAGS = ["-O3", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast"]
CORE_FLAGS = ["-O2"]
WARNINGS = ["-Wall", "-Wextra", "-Wno-unused-function"]
# What Cython's own generated code trips over; our C files are compiled without these exceptions.
CYTHON_QUIET = ["-Wno-unused-parameter", "-Wno-missing-field-initializers", "-Wno-sign-compare",
                "-Wno-cast-function-type", "-Wno-unused-but-set-variable"]
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize=alignment,vptr"]
DIRECTIVES = {"language_level": 3, "cdivision": True, "initializedcheck": False, "embedsignature": True}
if DEBUG or SANITIZE:
    DIRECTIVES.update(boundscheck=True, wraparound=True, initializedcheck=True, nonecheck=True)


def extensions():
    """One extension a .pyx, the C files of its levels as `level_sources`."""
    found = []
    for path in sorted(glob("mxlite/_core/**/*.pyx", recursive=True)):
        stem = os.path.splitext(path)[0]
        if ONLY and not stem.endswith(ONLY):
            continue
        ext = Extension(stem.replace(os.sep, "."), [path], include_dirs=["mxlite/_core", "mxlite/_core/kernels"])
        ext.level_sources = [(level, f"{stem}_{level}.c") for level in LEVELS if os.path.exists(f"{stem}_{level}.c")]
        found.append(ext)
    return found


def digest(*parts):
    return hashlib.sha1(repr(parts).encode()).hexdigest()[:10]


class BuildExt(build_ext):
    """Cython in processes, then every C file of every module in one queue, then the links."""

    def build_extensions(self):
        if self.compiler.compiler_type != "unix":
            raise SystemExit("mxlite builds with GCC or Clang, whose vector extensions it uses; MSVC is not supported. "
                             "On Windows build inside WSL.")
        began = time.time()
        self.jobs = self.parallel if isinstance(self.parallel, int) and self.parallel > 1 else len_cpus()
        self.look_at_compiler()
        c_file = self.cythonize()
        tasks = [task for ext in self.extensions for task in self.tasks_of(ext, c_file[ext.name])]
        # Longest first: a level file of a kernel outweighs any generated file.
        tasks.sort(key=lambda t: (t.level not in ("avx512", "avx2"), t.level is None, -os.path.getsize(t.source)))
        with ThreadPoolExecutor(self.jobs) as pool:
            for t, seconds in pool.map(lambda t: (t, t.run()), tasks):
                if seconds is not None:
                    say(f"{seconds:6.1f} s  {t.source}")
            shutil.rmtree(scratch(), ignore_errors=True)
            linked = sum(pool.map(lambda ext: self.link(ext, [t for t in tasks if t.ext is ext]), self.extensions))
        say(f"{sum(t.compiled for t in tasks)} of {len(tasks)} C files compiled, {linked} of {len(self.extensions)} "
            f"modules linked in {time.time() - began:.0f} s with {self.jobs} jobs")

    def look_at_compiler(self):
        """Which flags this compiler takes, once a build."""
        self.openmp = self.accepts(["-fopenmp"], "#include <omp.h>\nint main(void){return omp_get_max_threads()<1;}")
        self.x86_levels = X86 and self.accepts(LEVELS["avx512"][0])
        levels = "baseline, AVX2, AVX-512" if self.x86_levels else "baseline only"
        say(f"OpenMP {'found' if self.openmp else 'NOT found: kernels will run serially'}; "
            f"instruction-set levels: {levels}")
        known = {}

        def only_known(flags):
            return [f for f in flags if known.setdefault(f, self.accepts([f]))]
        self.level_flags = {k: must + only_known(may) for k, (must, may) in LEVELS.items()
                            if k == "base" or self.x86_levels}
        self.kernel_flags, self.core_flags = only_known(KERNEL_FLAGS), list(CORE_FLAGS)
        self.warnings, self.cython_quiet = only_known(WARNINGS), only_known(CYTHON_QUIET)
        self.common = ["-g0"]
        self.link_flags = []
        if self.openmp:
            self.common.append("-fopenmp")
            self.link_flags.append("-fopenmp")
        if SANITIZE:
            self.common += ["-g", "-fno-omit-frame-pointer", "-O1", *SANITIZERS]
            self.link_flags += SANITIZERS
        if DEBUG:
            self.common += ["-g", "-O0", "-UNDEBUG"]
        self.macros = [("MXL_HAVE_X86_LEVELS", "1")] if self.x86_levels else []

    def accepts(self, flags, source="int main(void){return 0;}"):
        """Whether a program compiles and links with `flags`, without a warning about them."""
        folder = tempfile.mkdtemp()
        try:
            path = os.path.join(folder, "probe.c")
            with open(path, "w") as f:
                f.write(source)
            command = [*self.compiler.compiler_so, "-Werror", *flags, path, "-o", os.path.join(folder, "probe")]
            return subprocess.run(command, capture_output=True).returncode == 0
        except OSError as e:
            raise SystemExit(f"mxlite: no C compiler ({e}): install GCC or Clang, or name one in CC") from None
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def cythonize(self):
        """Module name -> its C file. The folder is named after what else the C text depends on.

        A text that comes out as it was keeps its old date: Cython translates anew when one of its own .pxd files is
        newer, as it is in every fresh build environment, and that is no reason to compile.
        """
        import Cython
        from Cython.Build import cythonize
        folder = f"build/cython/{digest(Cython.__version__, DIRECTIVES)}"
        before = {path: (read(path), os.stat(path)) for path in glob(f"{folder}/**/*.c", recursive=True)}
        done = cythonize(self.extensions, build_dir=folder, nthreads=self.jobs, quiet=True,
                         compiler_directives=DIRECTIVES)
        for path, (text, old) in before.items():
            if os.stat(path).st_mtime_ns != old.st_mtime_ns and read(path) == text:
                os.utime(path, ns=(old.st_atime_ns, old.st_mtime_ns))
        return {e.name: e.sources[0] for e in done}

    def tasks_of(self, ext, c_file):
        kernel = ".kernels." in ext.name
        yield Task(self, ext, c_file, None, [*self.warnings, *self.cython_quiet,
                                             *(self.kernel_flags if kernel else self.core_flags), *self.common])
        for level, path in ext.level_sources:
            if level in self.level_flags:
                yield Task(self, ext, path, level, ["-std=gnu11", *self.warnings, *self.kernel_flags, *self.common,
                                                    *self.level_flags[level]])

    def link(self, ext, tasks):
        """Link a module whose objects, or the way it is linked, changed; 1 where it did, 0 where not."""
        path = self.get_ext_fullpath(ext.name)
        objects = [t.object for t in tasks]
        stamp = os.path.join("build", "objects", "linked-" + digest(os.path.abspath(path)))
        text = repr((objects, self.link_flags, self.compiler.linker_so))
        if os.path.exists(path) and read(stamp) == text and all(
                os.path.getmtime(o) <= os.path.getmtime(path) for o in objects):
            return 0
        self.compiler.link_shared_object(objects, path, libraries=self.get_libraries(ext),
                                         library_dirs=ext.library_dirs, export_symbols=self.get_export_symbols(ext),
                                         extra_postargs=self.link_flags, build_temp="build")
        write(stamp, text)
        return 1


class Task:
    """One C file to compile, its object, and whether that is up to date."""

    def __init__(self, build, ext, source, level, flags):
        self.build, self.ext, self.source, self.level, self.compiled = build, ext, source, level, False
        self.include_dirs = [*ext.include_dirs, *build.compiler.include_dirs]
        self.macros, self.flags = build.macros, flags
        key = digest(build.compiler.compiler_so, self.macros, self.include_dirs, flags)
        self.object = os.path.join("build", "objects", key, os.path.splitext(source)[0] + ".o")
        self.depends = self.object[:-2] + ".d"

    def stale(self):
        if not (os.path.exists(self.object) and os.path.exists(self.depends)):
            return True
        made = os.path.getmtime(self.object)
        # A make rule: "x.o: a.c \<newline> b.h c\ d.h"
        names = re.split(r"(?<!\\)\s+", read(self.depends).partition(": ")[2].replace("\\\n", " ").strip())
        return any(not os.path.exists(n) or os.path.getmtime(n) > made
                   for n in (n.replace("\\ ", " ") for n in names))

    def run(self):
        """Compile where stale; the seconds that took, or None. The object appears whole or not at all."""
        if not self.stale():
            return None
        began = time.time()
        folder = os.path.join(scratch(), digest(self.object))
        depends = os.path.join(folder, "made-of.d")
        os.makedirs(folder, exist_ok=True)
        made, = self.build.compiler.compile(    # our flags come after the interpreter's own: the last -O counts
            [self.source], output_dir=folder, macros=self.macros, include_dirs=self.ext.include_dirs,
            extra_postargs=[*self.flags, "-MD", "-MF", depends])
        os.makedirs(os.path.dirname(self.object), exist_ok=True)
        os.replace(depends, self.depends)
        os.replace(made, self.object)
        self.compiled = True
        return time.time() - began


def say(text):
    sys.stdout.write(f"mxlite: {text}\n")      # in one piece: compilers write beside us
    sys.stdout.flush()


def scratch():
    return os.path.join("build", "objects", f"tmp-{os.getpid()}")


def len_cpus():
    """Processors this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


def read(path):
    try:
        with open(path, encoding="utf-8") as f:
            return f.read()
    except FileNotFoundError:
        return None


def write(path, text):
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


if __name__ == "__main__":
    setup(ext_modules=extensions(), cmdclass={"build_ext": BuildExt})
