"""A page of the documentation, the examples in it, and the databases in which they are executed."""

import re
import shlex
import subprocess

FENCE = re.compile(r"^(?P<indent> *)```(?P<words>.*)$")
CONNINFO = re.compile(r"host=(?P<host>db\d+)(?: port=\d+)? dbname=\w+")
SQL_WITHOUT_LANGUAGE = re.compile(r"^\s*(SELECT|INSERT|UPDATE|DELETE|MERGE|CREATE|ALTER|DROP|CALL|COPY|SET|BEGIN)\b")
SHOWN_ERROR = re.compile(r"-- ERROR: +(?P<message>.*)")


class Example:
    """A fence: its language, the words after it, its text, and the line of the page where it begins."""

    def __init__(self, page, line, words, text):
        self.name = f"{page}:{line}"
        self.line = line
        self.language = words[0] if words else ""
        self.words = words[1:]
        self.text = text

    @property
    def executed(self):
        return self.language in ("sql", "sh") and "skip-test" not in self.words

    @property
    def fresh(self):
        return "fresh" in self.words

    @property
    def host(self):
        """The node that it is typed at: db1, or the one named in the fence."""
        return next((word for word in self.words if re.fullmatch(r"db\d+", word)), "db1")

    @property
    def shown_error(self):
        """What the page says that its last statement answers, when that is an error."""
        found = SHOWN_ERROR.search(self.text)
        return found["message"].strip() if found else None


class Page:
    def __init__(self, source, name):
        self.name = name
        self.stem = name.removeprefix("docs/").removesuffix(".md")
        lines = (source / name).read_text().splitlines()
        self.examples = list(_examples(name, lines))
        self.hosts = sorted({"db1", "db2", "db3", *(found["host"] for found in CONNINFO.finditer("\n".join(lines)))})


def _examples(page, lines):
    opened = None
    for number, line in enumerate(lines, 1):
        fence = FENCE.match(line)
        if opened is None and fence:
            opened = number, len(fence["indent"]), fence["words"].split()
            text = []
        elif opened is not None and fence and not fence["words"]:
            first, _, words = opened
            yield Example(page, first, words, "\n".join(text) + "\n")
            opened = None
        elif opened is not None:
            text.append(line[opened[1] :])
    if opened is not None:
        raise SystemExit(f"{page}:{opened[0]}: a fence that is not closed")


class Setting:
    """Databases for one page, and a psql that runs its examples in order, in one session for as long as it can."""

    def __init__(self, page, out, environment, setup):
        self.page = page
        self.out = out / page.stem
        self.setup = setup
        self.environment = environment
        self.databases = []
        self.round = 0

    def run(self):
        """(passed, failed): examples."""
        failed = 0
        for example in self.page.examples:
            if example.language == "" and SQL_WITHOUT_LANGUAGE.match(example.text):
                print(f"not ok {example.name}: SQL in a fence without a language; say ```sql, or ```sql skip-test")
                failed += 1
        examples = [example for example in self.page.examples if example.executed]
        skipped = [example for example in self.page.examples if "skip-test" in example.words]
        for example in skipped:
            print(f"skipped {example.name}")
        if not examples:
            return 0, failed
        self.out.mkdir(parents=True)
        (self.out / "scratch").mkdir()
        output = self._psql(self._script(examples))
        passed = 0
        for example in examples:
            if self._passed(example, output):
                print(f"ok {example.name}")
                passed += 1
            else:
                print(f"not ok {example.name}")
        if passed < len(examples):
            print(output)
        self._clean_up()
        return passed, failed + len(examples) - passed

    def _passed(self, example, output):
        if example.shown_error is None:
            return f"done {example.name}\n" in output
        # The message may be cut short on the page.
        return f"done {example.name} error true {example.shown_error.rstrip('.')}" in output

    def _script(self, examples):
        """What psql runs: the setup, then each example from a file in which its lines have the page's numbers."""
        script = ["\\set ON_ERROR_STOP on", "\\pset pager off"]
        if not examples[0].fresh:
            script += self._new_databases(prepared=True)
        at = "db1"
        for number, example in enumerate(examples, 1):
            if example.fresh:
                script += self._new_databases(prepared=False)
                at = "db1"
            if example.host != at:
                at = example.host
                script.append(f"\\connect {self._database(at)}")
            file = self.out / str(number) / self.page.name
            file.parent.mkdir(parents=True)
            file.write_text("\n" * example.line + self._mapped(example.text))
            if example.language == "sh":
                quoted = shlex.quote(str(file))
                script.append(
                    f"\\! cd {shlex.quote(str(self.out / 'scratch'))} && PGDATABASE={self._database(at)}"
                    f" bash -euo pipefail {quoted} && echo done {example.name}"
                )
            elif example.shown_error is not None:
                script += [
                    "\\set ON_ERROR_STOP off",
                    f"\\i {file}",
                    f"\\echo done {example.name} error :ERROR :LAST_ERROR_MESSAGE",
                    "\\set ON_ERROR_STOP on",
                ]
            else:
                script += [f"\\i {file}", f"\\echo done {example.name}"]
        return "\n".join(script) + "\n"

    def _new_databases(self, prepared):
        """Empties for every host that the page names; prepared: made a cluster by setup/default.sql, and setup/PAGE.sql."""
        self.round += 1
        script = ["\\connect postgres"]
        for host in self.page.hosts:
            script.append(f"CREATE DATABASE {self._database(host)};")
            self.databases.append(self._database(host))
        script.append(f"\\connect {self._database('db1')}")
        if prepared:
            for name in ("default", self.page.stem):
                file = self.setup / f"{name}.sql"
                if file.exists():
                    copy = self.out / f"setup-{name}.sql"
                    copy.write_text(self._mapped(file.read_text()))
                    script.append(f"\\i {copy}")
        return script

    def _database(self, host):
        return f"{re.sub('[^a-z0-9]+', '_', self.page.stem.lower())}_{self.round}_{host}"

    def _mapped(self, text):
        """host=db2 port=5432 dbname=app becomes the database that stands for db2."""
        port = self.environment["PGPORT"]
        return CONNINFO.sub(lambda found: f"host=127.0.0.1 port={port} dbname={self._database(found['host'])}", text)

    def _psql(self, script):
        """All that psql and the shell said."""
        try:
            return subprocess.run(
                ["psql", "-X", "-q", "-d", "postgres", "-f", "-"],
                input=script,
                cwd=self.out,
                env=self.environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=300,
            ).stdout.replace(f"psql:{self.out}/", "")
        except subprocess.TimeoutExpired as expired:
            return (expired.stdout or b"").decode() + "\nno answer in 300 s\n"

    def _clean_up(self):
        """Databases and roles do not reach the next page."""
        script = "".join(f"DROP DATABASE IF EXISTS {name} WITH (FORCE);\n" for name in self.databases)
        script += "SELECT format('DROP ROLE %I', rolname) FROM pg_roles WHERE rolname NOT IN ('postgres')"
        script += " AND rolname !~ '^pg_' \\gexec\n"
        subprocess.run(
            ["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", "postgres", "-f", "-"],
            input=script,
            env=self.environment,
            check=True,
            text=True,
        )
