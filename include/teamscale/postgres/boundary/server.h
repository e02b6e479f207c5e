// PostgreSQL's headers, made fit for C++. Every adapter includes this file before anything else.
//
// - PGDLLEXPORT must mean default visibility: the library is compiled with -fvisibility=hidden and
//   PostgreSQL 15 leaves the macro empty.
// - postgres.h replaces the printf family by macros, which breaks std::snprintf and friends: they
//   are taken back, and the standard headers that use those names come first.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#define PGDLLEXPORT __attribute__((visibility("default")))

extern "C" {
#include "postgres.h"

#include "fmgr.h"
}

#undef snprintf
#undef vsnprintf
#undef sprintf
#undef vsprintf
#undef printf
#undef vprintf
#undef fprintf
#undef vfprintf
#undef strerror
#undef strerror_r
#undef gettext
#undef dgettext
#undef ngettext
#undef dngettext
