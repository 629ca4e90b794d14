"""Threads of numerical libraries."""

from pathlib import Path

NUMPYS = ("numpy.libs", "scipy.libs")  # where their wheels keep their linear algebra


def keep_numpy_to_one_thread() -> None:
    """An answer needs numpy for a few small products. The further threads of its linear algebra
    would wait for the next one by spinning, on the cores where torch computes meanwhile."""
    from threadpoolctl import ThreadpoolController

    for library in ThreadpoolController().lib_controllers:
        # what comes with numpy and scipy; torch's own is left alone
        if library.user_api == "blas" and Path(library.filepath).parent.name in NUMPYS:
            library.set_num_threads(1)
