"""What is measured: one job, and those who do it, each in their way."""

import dataclasses
import re
import subprocess
import tempfile
import time
import typing


@dataclasses.dataclass
class Pgbench:
    """A contender that repeats a pgbench script with one client; the figure is the time of one transaction."""

    name: str
    database: typing.Any
    script: str
    protocol: str = "prepared"
    unit: typing.ClassVar[str] = "us"

    def figure(self, seconds):
        with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
            script.write(self.script)
            script.flush()
            server = self.database.server
            said = subprocess.run(
                ["pgbench", "--no-vacuum", f"--protocol={self.protocol}", f"--time={seconds}", f"--file={script.name}"]
                + ["--host=127.0.0.1", f"--port={server.port}", "--username=postgres", self.database.name],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        rate = re.search(r"^tps = ([0-9.]+) \(without", said.stdout, re.MULTILINE)
        failed = re.search(r"^number of failed transactions: (\d+)", said.stdout, re.MULTILINE)
        if said.returncode != 0 or not rate or (failed and failed[1] != "0"):
            raise RuntimeError(f"{self.name}: pgbench failed\n{said.stdout}")
        return 1e6 / float(rate[1])


@dataclasses.dataclass
class Timed:
    """A contender that does the job once; the figure is the time that run() takes. before() and after(), which
    checks the outcome, are not timed."""

    name: str
    run: typing.Callable
    before: typing.Callable = lambda: None
    after: typing.Callable = lambda: None
    unit: typing.ClassVar[str] = "ms"

    def figure(self, seconds):
        self.before()
        begun = time.perf_counter()
        self.run()
        taken = time.perf_counter() - begun
        self.after()
        return taken * 1e3


@dataclasses.dataclass
class Work:
    """A job; its first contender is what the others are compared with."""

    title: str
    contenders: list
    settings: dict = dataclasses.field(default_factory=dict)  # of all servers, while this is measured
    most_rounds: int = 1000  # fewer than asked for, where a run takes long
