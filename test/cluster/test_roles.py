"""Roles of one test are gone when the next one begins, so that tests may run in any order."""

from roles import make_roles, names_of_roles, roles_as_before


def test_roles_go_with_all_that_they_own_and_may(cluster, shared_server):
    a = cluster["a"]
    before = names_of_roles(shared_server)
    with roles_as_before([shared_server]):
        make_roles(cluster, "clerk", 'Gäste "x"')
        make_roles(cluster, "clerk")
        a.execute("CREATE TABLE t (team_id bigint PRIMARY KEY)")
        a.execute("SELECT teamscale.distribute_table('t', 'team_id')")
        a.execute("SELECT teamscale.run_on_all_nodes('GRANT SELECT ON t TO clerk')")
        a.execute("CREATE TABLE own (a integer)")
        a.execute("ALTER TABLE own OWNER TO clerk")
        a.execute("ALTER ROLE clerk SET work_mem = '8MB'")
        a.execute("ALTER DEFAULT PRIVILEGES FOR ROLE clerk GRANT SELECT ON TABLES TO PUBLIC")
        assert names_of_roles(shared_server) > before
    assert names_of_roles(shared_server) == before
    assert a.value("SELECT to_regclass('own')") is None and a.value("SELECT to_regclass('t')") is not None
