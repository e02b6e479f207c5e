# Turns Debian's package index (apt-cache dumpavail) into two CSV files: a maintainer is a team, a package a server
# that the team runs, the package's section the server's role.
#
#   apt-cache dumpavail | awk -v teams=teams.csv -v assignments=assignments.csv -f packages.awk

function csv(text) { gsub(/"/, "\"\"", text); return "\"" text "\"" }

function finish() {
  if (package == "") return
  if (!(maintainer in team)) {
    team[maintainer] = ++team_count
    print team_count "," csv(maintainer) > teams
  }
  print team[maintainer] "," ++server_count "," csv(package) "," csv(section) "," size + 0 "," csv(version) > assignments
  package = ""
}

/^Package: / { package = substr($0, 10); section = ""; size = 0; version = ""; maintainer = "" }
/^Maintainer: / { maintainer = substr($0, 13) }
/^Section: / { section = substr($0, 10) }
/^Installed-Size: / { size = $2 }
/^Version: / { version = $2 }
/^$/ { finish() }
END { finish() }
