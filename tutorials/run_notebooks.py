"""Execute every notebook of this folder and fail loudly on any error.

    python tutorials/run_notebooks.py            # all of them, in a temporary copy
    python tutorials/run_notebooks.py --write    # the same, and keep the outputs in the notebooks

The kernel is this interpreter's own (``sys.executable -m ipykernel_launcher``): installed kernels, Jupyter's settings
and IPython's start-up files of the user have no part in it. Needs ``pip install "mxlite[tutorials]"``.
"""
import argparse
import asyncio
import os
import pathlib
import shutil
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent


def own_kernel():
    """A manager for one kernel that runs on the interpreter that runs this script."""
    from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
    from jupyter_client.manager import AsyncKernelManager

    class ThisInterpreter(KernelSpecManager):
        def get_kernel_spec(self, kernel_name):
            return KernelSpec(argv=[sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}",
                                    "--log-level=ERROR"], display_name="Python 3", language="python")

    return AsyncKernelManager(kernel_name="python3", kernel_spec_manager=ThisInterpreter())


async def execute(notebook, folder, seconds):
    """Run all cells of `notebook` with `folder` as working directory, in at most `seconds`. Raises on an error."""
    from nbclient import NotebookClient
    manager = own_kernel()
    client = NotebookClient(notebook, km=manager, timeout=None, startup_timeout=60, record_timing=False,
                            coalesce_streams=True, resources={"metadata": {"path": str(folder)}})
    try:
        await asyncio.wait_for(client.async_execute(), seconds)
    finally:
        if await manager.is_alive():
            await manager.shutdown_kernel(now=True)


def tidy(notebook):
    """Drop what differs from machine to machine, so that a notebook changes only where its code or outputs do."""
    notebook.metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
                         "language_info": {"name": "python"}}
    for cell in notebook.cells:
        cell.metadata = {k: v for k, v in cell.metadata.items() if k == "tags"}


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("notebooks", nargs="*", type=pathlib.Path, help="default: all in this folder")
    parser.add_argument("--write", action="store_true", help="keep the outputs in the notebooks")
    parser.add_argument("--timeout", type=float, default=300, help="seconds a notebook (default %(default)s)")
    options = parser.parse_args(argv)
    paths = [p.resolve() for p in options.notebooks] or sorted(HERE.glob("*.ipynb"))
    if not paths:
        raise SystemExit(f"there is no notebook in {HERE}")
    failed = []
    with tempfile.TemporaryDirectory(prefix="notebooks-") as scratch:
        scratch = pathlib.Path(scratch)
        settings = {k: str(scratch / "settings" / k) for k in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR",
                                                              "JUPYTER_RUNTIME_DIR", "MPLCONFIGDIR")}
        for folder in settings.values():
            os.makedirs(folder)
        # `python -m` would put the working folder before the installed packages.
        os.environ.update(settings, JUPYTER_PLATFORM_DIRS="1", MPLBACKEND="agg", PYTHONSAFEPATH="1")
        import nbformat
        for path in paths:
            folder = scratch / path.stem
            folder.mkdir()
            copy = pathlib.Path(shutil.copy(path, folder))
            notebook = nbformat.read(copy, as_version=4)
            began = time.time()
            try:
                nbformat.validate(notebook)
                asyncio.run(execute(notebook, folder, options.timeout))
            except Exception as e:
                failed.append(path.name)
                took = time.time() - began
                reason = f"{type(e).__name__}: {e}" if took < options.timeout else \
                    f"stopped: it may take {options.timeout:g} s (--timeout)"
                print(f"{path.name}: FAILED after {took:.1f} s\n{reason}", file=sys.stderr, flush=True)
                continue
            print(f"{path.name}: {len(notebook.cells)} cells in {time.time() - began:.1f} s", flush=True)
            if options.write:
                tidy(notebook)
                nbformat.write(notebook, path)
    if failed:
        raise SystemExit(f"{len(failed)} of {len(paths)} notebooks failed: {', '.join(failed)}")
    print(f"{len(paths)} notebooks executed")


if __name__ == "__main__":
    main()
