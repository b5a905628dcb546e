"""Files of a report: written whole or not at all."""

import os
from pathlib import Path


def write_whole(path: Path, data: bytes | str) -> None:
    """Write ``data`` to ``path`` at once; text as UTF-8."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(data.encode() if isinstance(data, str) else data)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
