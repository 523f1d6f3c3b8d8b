"""Programs run as they do in the images: their bytecode is there, without docstrings, assertions and column numbers."""

import os
import tempfile
from pathlib import Path

_BYTECODE = Path(tempfile.gettempdir()) / "device-plugins-bench-bytecode"


def environment() -> dict[str, str]:
    """Ours and the images', but that the bytecode is written at a program's first start and kept."""
    others = ("PYTHONDONTWRITEBYTECODE", "KUBECONFIG")
    kept = {name: value for name, value in os.environ.items() if name not in others}
    return kept | {
        "PYTHONPYCACHEPREFIX": str(_BYTECODE),
        "PYTHONOPTIMIZE": "2",
        "PYTHONNODEBUGRANGES": "1",
        "GRPC_VERBOSITY": "ERROR",
    }
