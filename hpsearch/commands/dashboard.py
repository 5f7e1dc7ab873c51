"""`dashboard`: optuna-dashboard on a study's storage, on this machine alone (127.0.0.1)."""

import argparse
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from urllib.parse import urlsplit
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from hpsearch.commands.options import add_reports
from hpsearch.commands.recorded import url_of
from hpsearch.errors import UserError, masked

HOST = "127.0.0.1"
LOCAL = (HOST, "localhost")


def add(command: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    command.add_argument("study", metavar="STUDY", help="a study's name, its folder, or the URL of its storage")
    command.add_argument("--port", type=int, default=8080, metavar="P", help="default: 8080; 0 for any free one")
    add_reports(command)


def call(options: argparse.Namespace) -> None:
    """Serve until Ctrl-C."""
    from hpsearch.reporting.formatting import printable
    from hpsearch.storage.opening import open_existing

    url = url_of(options.study, Path(options.reports))
    storage = open_existing(url)
    try:
        from optuna_dashboard import wsgi
    except ImportError:
        raise UserError("optuna-dashboard is not installed. Install it: pip install 'hpsearch[dashboard]'.") from None
    with _server(options.port, local_only(wsgi(storage))) as server:
        address = f"http://{HOST}:{server.server_port}/"
        print(printable(f"{masked(url)} in optuna-dashboard: {address} (Ctrl-C ends it)"), flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print("dashboard ended")


def local_only(application: Any) -> Any:
    """Return an application that answers pages of this machine only.

    A web page anywhere can make its visitor's browser call 127.0.0.1, by a name of its own that leads there or by a form: the Host
    must be this machine's, and the Origin, where there is one, too.
    """

    def answer(environ: dict[str, Any], start_response: Any) -> Any:
        names = [urlsplit(f"//{environ.get('HTTP_HOST', '')}").hostname]
        if "HTTP_ORIGIN" in environ:
            names.append(urlsplit(environ["HTTP_ORIGIN"]).hostname)
        if all(name in LOCAL for name in names):
            return application(environ, start_response)
        start_response("403 Forbidden", [("Content-Type", "text/plain")])
        return [b"for pages of this machine only\n"]

    return answer


class _Server(ThreadingMixIn, WSGIServer):
    """A thread for each request: a browser asks for several things at once."""

    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, *arguments: object) -> None:
        """Say nothing of requests."""


def _server(port: int, application: Any) -> WSGIServer:
    if not 0 <= port < 2**16:
        raise UserError(f"--port {port}: a number from 0 to 65535 expected.")
    try:
        return make_server(HOST, port, application, server_class=_Server, handler_class=_Quiet)
    except OSError as error:
        raise UserError(f"--port {port}: {error.strerror}. Give another port, or 0 for any free one.") from None
