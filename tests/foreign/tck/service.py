"""Starts programs that serve HTTP on loopback, waits until they answer, and ends them."""

import os
import shlex
import socket
import subprocess
import time
import urllib.error
import urllib.request

READY_SECONDS = 60
ANSWER_SECONDS = 5
STOP_SECONDS = 10
LOG_TAIL_LINES = 30

# Small and quick to start, and behind whatever else the machine is doing.
JAVA = "nice -n 10 java -Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1".split()


class Broken(Exception):
    """A program did not do what it was started for, and what its log says."""


def free_ports(count):
    """Ports of loopback that nobody listens on, all different."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def status(url, headers=None):
    """The HTTP status of a GET, or None when nobody answers."""
    try:
        request = urllib.request.Request(url, headers=headers or {})
        with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return None


class Service:
    """A program that runs while the `with` block does, and is ready when that begins."""

    def __init__(self, name, command, ready_url, log):
        self.name, self.ready_url, self.log = name, ready_url, log
        self.command = shlex.split(command) if isinstance(command, str) else command
        self.process = None

    def __enter__(self):
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )
        try:
            self.wait()
        except BaseException:
            self.stop()
            raise
        return self

    def wait(self):
        end = time.monotonic() + READY_SECONDS
        while status(self.ready_url) != 200:
            if self.process.poll() is not None:
                raise Broken(f"{self.name} ended with {self.process.returncode}\n{self.tail()}")
            if time.monotonic() > end:
                raise Broken(f"{self.name} is not ready at {self.ready_url}\n{self.tail()}")
            time.sleep(0.1)

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def tail(self):
        """The end of the log."""
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return "".join(file.readlines()[-LOG_TAIL_LINES:])

    def memory_mib(self):
        """The memory that the program has in use, in MiB; 0 where the system does not tell."""
        try:
            with open(f"/proc/{self.process.pid}/status", encoding="ascii") as file:
                fields = dict(line.split(":", 1) for line in file)
            return int(fields["VmRSS"].split()[0]) // 1024
        except (OSError, KeyError):
            return 0


def java(jars, *arguments):
    """The command line that runs Java with all jars of a folder."""
    return [*JAVA, "-cp", os.path.join(jars, "*"), *arguments]
