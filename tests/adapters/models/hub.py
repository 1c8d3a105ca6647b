"""A model hub on this machine: as much of the hub's HTTP interface as a download needs, with files of a folder."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "c" * 40


@contextmanager
def hub(models: dict[str, Path], hold: threading.Event | None = None) -> Iterator[str]:
    """Serve these models; gives the address. With `hold`, weights stop half-way until it is set."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self._answer(body=False)

        def do_GET(self) -> None:
            self._answer(body=True)

        def _answer(self, body: bool) -> None:
            path = self.path.split("?")[0].strip("/")
            for name, folder in models.items():
                if path.startswith(f"api/models/{name}"):
                    return self._tree(name, folder) if "/tree/" in path else self._info(name, folder)
                if path.startswith(f"{name}/resolve/"):
                    return self._file(folder / path.split("/", 4)[4], body)
            return self._send(404, b'{"error": "Repository not found"}', {"X-Error-Code": "RepoNotFound"})

        def _info(self, name: str, folder: Path) -> None:
            files = [{"rfilename": path.name, "size": path.stat().st_size} for path in sorted(folder.iterdir())]
            self._send(
                200,
                json.dumps(
                    {"id": name, "sha": COMMIT, "siblings": files, "private": False, "tags": [], "downloads": 0}
                ).encode(),
            )

        def _tree(self, name: str, folder: Path) -> None:
            files = [
                {"type": "file", "path": path.name, "size": path.stat().st_size, "oid": _digest(path)}
                for path in sorted(folder.iterdir())
            ]
            self._send(200, json.dumps(files).encode())

        def _file(self, path: Path, body: bool) -> None:
            if not path.exists():
                return self._send(404, b"", {"X-Error-Code": "EntryNotFound"})
            content = path.read_bytes()
            headers = {"ETag": f'"{_digest(path)}"', "X-Repo-Commit": COMMIT, "X-Linked-Size": str(len(content))}
            if not body:
                return self._send(200, b"", headers, length=len(content))
            if hold is None or path.suffix != ".safetensors":
                return self._send(200, content, headers)
            self._send(200, content[: len(content) // 2], headers, length=len(content))
            hold.wait(30)
            self.wfile.write(content[len(content) // 2 :])
            return None

        def _send(
            self, status: int, content: bytes, headers: dict[str, str] | None = None, length: int | None = None
        ) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(content) if length is None else length))
            for key, value in (headers or {}).items():
                self.send_header(key, value)
            self.end_headers()
            self.wfile.write(content)
            self.wfile.flush()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        if hold is not None:
            hold.set()
        server.shutdown()
        server.server_close()


def _digest(path: Path) -> str:
    return hashlib.sha1(path.read_bytes(), usedforsecurity=False).hexdigest()
