"""Runs the other scripts on request, each in a process forked from this one, where Python and the client library are loaded
already: to start both anew takes longer than most answers.

Prints the port it listens on. A request is a line of JSON, the script's name and its arguments. The answer is a line of JSON,
the exit code and the lengths of what the script wrote to standard output and to standard error, and behind it both.
"""

import argparse  # noqa: F401, loaded for the scripts, as the next ones
import gc
import hashlib  # noqa: F401
import json
import os
import runpy
import signal
import socket
import sys
import tempfile
import traceback

import confluent_kafka.admin  # noqa: F401

HERE = os.path.dirname(os.path.abspath(__file__))


def main():
    # Whoever ends is forgotten; nobody asks how.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    while True:
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            answer(connection)
            os._exit(0)
        connection.close()


def answer(connection):
    script, *arguments = json.loads(connection.makefile("rb").readline())
    written = [tempfile.TemporaryFile(), tempfile.TemporaryFile()]
    for stream, file in enumerate(written, start=1):
        os.dup2(file.fileno(), stream)
    code = run(os.path.join(HERE, f"{script}.py"), arguments)
    # Clients that nobody closed leave their groups when they go.
    gc.collect()
    sys.stdout.flush()
    sys.stderr.flush()
    for file in written:
        file.seek(0)
    out, err = (file.read() for file in written)
    head = json.dumps([code, len(out), len(err)]).encode()
    connection.sendall(head + b"\n" + out + err)


def run(path, arguments):
    """Runs a script as Python does, and returns its exit code."""
    sys.argv = [path, *arguments]
    try:
        runpy.run_path(path, run_name="__main__")
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        print(end.code, file=sys.stderr)
        return 1
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


main()
