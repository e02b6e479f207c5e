# The front door. CMake is the source of truth: each target calls it, or a script that says more in its first lines.
#
#   make                 build the library (build/)
#   make install         install it where PG_CONFIG says (as root where that needs root)
#   make installcheck    pg_regress against the running server that PGHOST, PGPORT and PGUSER name
#   make check           set up what is missing, build, run all tests on private servers
#   make check-long      the same with more random statements, keys and teams, then on a server with assertions
#   make demo            the main job on real input
#   make bench           side by side with peers; SUBJECTS="route copy" some of it
#   make format lint     formatting; clang-tidy
#   make clean           remove the build directories and stop the private servers in them

PG_CONFIG ?= pg_config
BUILD ?= build
KINDS ?=
SUBJECTS ?=

export PG_CONFIG

.PHONY: all install installcheck check check-long demo bench format lint clean

all:
	@scripts/build $(BUILD)

install: all
	cmake --install $(BUILD)

installcheck:
	@test/sql/run --installed

check:
	@scripts/setup check $(BUILD)
	@scripts/check $(BUILD) $(KINDS)

check-long:
	@scripts/setup check $(BUILD)
	@TEAMSCALE_STATEMENTS=2000 TEAMSCALE_KEYS=10000 TEAMSCALE_TEAMS=100000 scripts/check $(BUILD) $(KINDS)
	@scripts/setup assertions $(BUILD)
	@scripts/check-assertions $(BUILD) $(KINDS)

demo:
	@scripts/setup demo $(BUILD)
	@scripts/build $(BUILD)
	@demo/run $(BUILD)

bench:
	@scripts/setup bench $(BUILD)
	@scripts/build $(BUILD)
	@bench/run $(BUILD) $(SUBJECTS)

format:
	@scripts/setup lint $(BUILD)
	@scripts/format

lint:
	@scripts/setup lint $(BUILD)
	@scripts/lint $(BUILD)

clean:
	@for directory in $(BUILD) $(BUILD)-test $(BUILD)-sanitize $(BUILD)-threads $(BUILD)-assert; do \
	  if [ -d $$directory ]; then scripts/private-server remove-all $$directory && rm -rf $$directory; fi; \
	done
