"""The embedded servers as building blocks: started, stopped, killed, frozen, started again on the same port."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
import redis

from mailroom.apps.installed import Apps
from mailroom.ops.embedded.data_directory import DataDirectory
from mailroom.ops.embedded.ownership_check import refuse_foreign
from mailroom.ops.embedded.postgres import Postgres, running_postgres
from mailroom.ops.embedded.valkey import Valkey, running_valkey
from mailroom.ops.processes.errors import ForeignDatabase, HomeInUse, NotReady
from mailroom.ops.processes.program import started_at, wait_gone


def test_postgres_survives_a_kill_and_keeps_what_was_committed(tmp_path: Path) -> None:
    with running_postgres(tmp_path) as server:
        with psycopg.connect(server.url) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
        server.process.kill()
        server.process.wait()
        server.start().wait_ready()
        with psycopg.connect(server.url) as connection:
            assert connection.execute("SELECT number FROM kept").fetchall() == [(7,)]


def test_postgres_starts_although_its_lock_names_a_process_of_somebody_else(tmp_path: Path) -> None:
    with running_postgres(tmp_path) as server:
        server.process.kill()
        server.process.wait()
        lock = server.data / "postmaster.pid"
        lock.write_text(lock.read_text().replace(str(server.process.pid), str(os.getpid()), 1))
        server.start().wait_ready()


def test_postgres_speaks_utf8_syncs_and_lets_in_one_role_by_password_only(tmp_path: Path) -> None:
    with running_postgres(tmp_path) as server:
        with psycopg.connect(server.url) as connection:
            found = connection.execute(
                "SELECT current_setting('server_version_num')::int / 10000, current_setting('server_encoding'),"
                " current_setting('fsync'), current_setting('listen_addresses'), rolsuper, upper('é')"
                " FROM pg_roles WHERE rolname = current_user"
            ).fetchone()
            assert found == (18, "UTF8", "on", "127.0.0.1", False, "É")
        for address in (
            server.url.replace(server.password, "guess"),
            server.url.replace("mailroom:", "postgres:"),
        ):
            with pytest.raises(psycopg.OperationalError):
                psycopg.connect(address, connect_timeout=2)
        assert list(tmp_path.rglob(".s.PGSQL*")) == []


def test_a_database_dropped_by_hand_is_made_again_at_the_next_start(tmp_path: Path) -> None:
    with running_postgres(tmp_path) as server:
        with psycopg.connect(server.url.removesuffix("mailroom") + "postgres", autocommit=True) as connection:
            connection.execute("DROP DATABASE mailroom")
        server.stop()
        server.start().wait_ready()
        psycopg.connect(server.url).close()


def test_a_cluster_that_was_left_half_made_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "data.new").mkdir()
    (tmp_path / "data.new" / "PG_VERSION").write_text("18\n")
    with running_postgres(tmp_path) as server:
        assert not (tmp_path / "data.new").exists()
        assert server.data.exists()


def test_valkey_keeps_its_data_over_a_kill_on_the_same_port(tmp_path: Path) -> None:
    with running_valkey(tmp_path) as server:
        with redis.Redis.from_url(server.url) as client:
            client.set("kept", "7")
            assert client.config_get("appendonly", "maxmemory-policy") == {
                "appendonly": "yes",
                "maxmemory-policy": "noeviction",
            }
            assert int(client.info()["valkey_version"].split(".")[0]) >= 9
        port = server.port
        server.process.kill()
        server.process.wait()
        server.start().wait_ready()
        assert server.port == port
        with redis.Redis.from_url(server.url) as client:
            assert client.get("kept") == b"7"


def test_valkey_lets_nobody_in_without_the_password(tmp_path: Path) -> None:
    with (
        running_valkey(tmp_path / "a folder") as server,
        redis.Redis(port=server.port, retry=None) as stranger,
        pytest.raises(redis.AuthenticationError),
    ):
        stranger.ping()


def test_a_frozen_valkey_can_be_thawed_and_stopped(tmp_path: Path) -> None:
    with running_valkey(tmp_path) as server:
        server.process.send_signal(signal.SIGSTOP)
        assert not server.is_ready()
        server.process.send_signal(signal.SIGCONT)
        server.wait_ready(5)


def test_a_second_postgres_on_a_folder_in_use_ends_and_harms_nothing(tmp_path: Path) -> None:
    with running_postgres(tmp_path) as first:
        second = Postgres(tmp_path, first.port)
        second.start()
        assert second.process.wait(5) != 0
        assert first.is_ready()
        assert "lock file" in second.log.read_text()


def test_servers_die_with_whoever_started_them(tmp_path: Path) -> None:
    code = (
        "import sys, time, pathlib; from mailroom.ops.embedded.valkey import Valkey;"
        "from mailroom.ops.embedded.postgres import Postgres; folder = pathlib.Path(sys.argv[1]);"
        "servers = [kind(folder / kind.name).start().wait_ready() for kind in (Valkey, Postgres)];"
        "print(*[server.process.pid for server in servers], flush=True); time.sleep(600)"
    )
    starter = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert starter.stdout
    with starter.stdout:
        pids = [int(pid) for pid in starter.stdout.readline().split()]
        assert all(started_at(pid) for pid in pids)
        starter.kill()
        starter.wait()
    assert wait_gone(pids, 2.0)


def test_a_home_is_held_by_one_and_its_secrets_stay(tmp_path: Path) -> None:
    home = DataDirectory.open(tmp_path / "home")
    first = home.secret("key")
    with pytest.raises(HomeInUse, match=f"process {os.getpid()}"):
        DataDirectory.open(tmp_path / "home")
    home.close()
    again = DataDirectory.open(tmp_path / "home")
    assert again.secret("key") == first
    assert (tmp_path / "home").stat().st_mode & 0o777 == 0o700
    again.close()


def test_a_server_whose_port_is_taken_says_so(tmp_path: Path) -> None:
    with running_valkey(tmp_path / "a") as first, pytest.raises(NotReady, match="in use"):
        Valkey(tmp_path / "b", first.port).start().wait_ready(5)


def test_a_database_that_is_given_from_outside_is_looked_at_before_it_is_used(database_url: str) -> None:
    refuse_foreign(database_url, Apps())
    with psycopg.connect(database_url) as connection:
        connection.execute("create table theirs ()")
        connection.commit()
        try:
            with pytest.raises(ForeignDatabase, match="not Mailroom's: theirs"):
                refuse_foreign(database_url, Apps())
        finally:
            connection.execute("drop table theirs")
