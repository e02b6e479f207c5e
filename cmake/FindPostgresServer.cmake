# Finds the PostgreSQL server that PG_CONFIG names: its version, its directories and libpq.
# Gives the imported target PostgresServer::headers (server headers as system headers, libpq).
set(PG_CONFIG "pg_config" CACHE STRING "pg_config of the server to build for")

function(_pg_config option variable)
  execute_process(COMMAND ${PG_CONFIG} --${option} OUTPUT_VARIABLE value
                  OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
  set(${variable} "${value}" PARENT_SCOPE)
endfunction()

_pg_config(version POSTGRES_VERSION)
_pg_config(bindir POSTGRES_BINDIR)
_pg_config(sharedir POSTGRES_SHAREDIR)
_pg_config(pkglibdir POSTGRES_PKGLIBDIR)
_pg_config(libdir POSTGRES_LIBDIR)
_pg_config(includedir POSTGRES_INCLUDEDIR)
_pg_config(includedir-server POSTGRES_INCLUDEDIR_SERVER)

if(NOT POSTGRES_VERSION MATCHES "^PostgreSQL 15\\.")
  message(FATAL_ERROR "teamscale builds for PostgreSQL 15; ${PG_CONFIG} is ${POSTGRES_VERSION}")
endif()
if(NOT EXISTS ${POSTGRES_INCLUDEDIR_SERVER}/postgres.h)
  message(FATAL_ERROR "no server headers in ${POSTGRES_INCLUDEDIR_SERVER}: run scripts/setup")
endif()

find_library(POSTGRES_LIBPQ pq HINTS ${POSTGRES_LIBDIR} REQUIRED)

add_library(PostgresServer::headers INTERFACE IMPORTED)
# Every C++ file sees the server's headers as system headers: its macros would not pass -Wextra.
target_include_directories(PostgresServer::headers SYSTEM INTERFACE
                           ${POSTGRES_INCLUDEDIR_SERVER} ${POSTGRES_INCLUDEDIR})
target_link_libraries(PostgresServer::headers INTERFACE ${POSTGRES_LIBPQ})
