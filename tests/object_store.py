"""An S3 server on this machine, for tests of stores and videos on an object store."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import pytest

__all__ = ["serve_s3"]


@contextmanager
def serve_s3() -> Iterator[str]:
    """Serve S3 in a thread of this process, and say where."""
    server_module = pytest.importorskip("moto.server")
    from moto.s3.responses import S3Response

    put, one_at_a_time = S3Response.put_object, threading.Lock()

    def atomically(*arguments: Any) -> Any:
        # S3 looks whether an object is there and writes it in one step; moto does in two.
        with one_at_a_time:
            return put(*arguments)

    with patch.object(S3Response, "put_object", atomically):
        server = server_module.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        server.start()
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
        server.stop()
