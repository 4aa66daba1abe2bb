import hashlib
import os
import threading
from pathlib import Path

import pytest

from seqcli.data import catalogue
from seqcli.data.catalogue import DataFile, DataSet, cached_path
from seqcli.data.fetch import download
from seqcli.data.fetch.download import ChecksumFailed, FetchFailed, Web, without_credentials
from seqcli.data.fetch.obtain import obtain
from seqcli.errors import UserError

BODY = bytes(range(256)) * 2000  # 512,000 bytes
SHA = hashlib.sha256(BODY).hexdigest()


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(download.time, "sleep", lambda seconds: None)


def an_entry(*urls):
    return DataSet(
        "toy",
        "d",
        "tagging",
        "l",
        "c",
        "s",
        "conll",
        {"train": ("x.bin",)},
        tuple({"kind": "https", "url": url} for url in urls),
        files={"x.bin": DataFile("x.bin", SHA, len(BODY))},
    )


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock")


def test_a_download_is_whole_checked_and_reported(server, tmp_path):
    steps = []
    target = tmp_path / "deep" / "x.bin"
    url = server.put("/x", BODY)
    download.download(url, target, sha256=SHA, size=len(BODY), progress=lambda *step: steps.append(step))
    assert target.read_bytes() == BODY
    assert steps[0] == ("x.bin", 0, len(BODY))
    assert steps[-1] == ("x.bin", len(BODY), len(BODY))
    assert leftovers(target.parent) == ["x.bin"]


def test_a_cut_transfer_goes_on_where_it_broke(server, tmp_path):
    url = server.put("/x", BODY)
    server.cut["/x"] = [200_000, 100_000]
    download.download(url, tmp_path / "x.bin", sha256=SHA, size=len(BODY))
    assert (tmp_path / "x.bin").read_bytes() == BODY
    assert [wanted for _, wanted, _ in server.seen] == [None, "bytes=200000-", "bytes=300000-"]


def test_what_arrived_is_kept_for_the_next_run(server, tmp_path):
    url = server.put("/x", BODY)
    server.cut["/x"] = [100_000, 1000, 1000]
    with pytest.raises(FetchFailed, match="cut off after 102,000 of 512,000 bytes; what arrived is kept"):
        download.download(url, tmp_path / "x.bin", sha256=SHA, size=len(BODY))
    assert leftovers(tmp_path) == [".x.bin.part"]
    download.download(url, tmp_path / "x.bin", sha256=SHA, size=len(BODY))
    assert server.seen[-1][1] == "bytes=102000-"
    assert leftovers(tmp_path) == ["x.bin"]


def test_a_server_that_cannot_resume_sends_all_again(server, tmp_path):
    url = server.put("/x", BODY)
    server.cut["/x"] = [200_000]
    server.ranges = False
    download.download(url, tmp_path / "x.bin", sha256=SHA, size=len(BODY))
    assert (tmp_path / "x.bin").read_bytes() == BODY


def test_a_wrong_checksum_removes_the_file(server, tmp_path):
    found = hashlib.sha256(b"x").hexdigest()
    with pytest.raises(ChecksumFailed, match=f"wrong checksum: sha256 {found}, expected {SHA}"):
        download.download(server.put("/x", b"x"), tmp_path / "x.bin", sha256=SHA, size=len(BODY))
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("rest", [b"\0" * 1000, b"\0" * len(BODY), b"\0" * (len(BODY) + 5)])
def test_the_rest_of_another_file_is_thrown_away(server, tmp_path, rest):
    (tmp_path / ".x.bin.part").write_bytes(rest)
    download.download(server.put("/x", BODY), tmp_path / "x.bin", sha256=SHA, size=len(BODY))
    assert (tmp_path / "x.bin").read_bytes() == BODY


def test_a_body_without_end_is_not_followed(server, tmp_path):
    with pytest.raises(ChecksumFailed):
        download.download(server.put("/x", BODY * 2), tmp_path / "x.bin", sha256=SHA, size=1000)
    assert leftovers(tmp_path) == []


def test_two_at_once_fetch_it_once(server, tmp_path):
    url = server.put("/x", BODY)
    threads = [
        threading.Thread(target=download.download, args=(url, tmp_path / "x.bin"), kwargs={"sha256": SHA})
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tmp_path / "x.bin").read_bytes() == BODY
    assert len(server.seen) == 1


def test_credentials_are_sent_but_never_shown(server, tmp_path):
    url = server.put("/x", b"x").replace("http://", "http://me:s%40cret@")
    with pytest.raises(FetchFailed) as caught:
        download.download(url, tmp_path / "x.bin", sha256=SHA)
    assert server.seen[0][2] == "Basic bWU6c0BjcmV0"
    assert "cret" not in str(caught.value)
    assert without_credentials("https://a:b@host:1/x?y") == "https://host:1/x?y"


def test_only_web_and_files_are_opened(tmp_path):
    with pytest.raises(FetchFailed, match="'ftp' is no scheme"):
        Web().page("ftp://127.0.0.1/x", "text/html")


def test_sources_are_tried_in_order_and_all_are_named(server):
    good = server.put("/good/x.bin", BODY).removesuffix("x.bin")
    bad = server.put("/bad/x.bin", b"other").removesuffix("x.bin")
    path = obtain(an_entry(f"{server.url}/none/", bad, good), "x.bin")
    assert path.read_bytes() == BODY
    assert [seen[0] for seen in server.seen] == ["/none/x.bin", "/bad/x.bin", "/good/x.bin"]
    path.unlink()
    with pytest.raises(UserError) as caught:
        obtain(an_entry(f"{server.url}/none/", "http://127.0.0.1:9/"), "x.bin")
    assert caught.value.code == 74
    assert str(caught.value) == (
        f"cannot fetch toy/x.bin. Tried {server.url}/none/x.bin (HTTP 404 Not Found); http://127.0.0.1:9/x.bin "
        "(Connection refused). Without a network, put the file in a folder as toy/x.bin and set SEQCLI_MIRROR to it."
    )


def test_the_cache_is_used_and_a_damaged_file_in_it_is_fetched_again(server):
    entry = an_entry(server.put("/x.bin", BODY).removesuffix("x.bin"))
    path = obtain(entry, "x.bin")
    assert path == cached_path(entry, "x.bin")
    obtain(entry, "x.bin")
    assert len(server.seen) == 1
    path.write_bytes(b"bit rot")
    assert obtain(entry, "x.bin").read_bytes() == BODY
    assert len(server.seen) == 2


def test_a_mirror_folder_comes_first_and_is_read_in_place(tmp_path, monkeypatch, server):
    monkeypatch.setenv("SEQCLI_MIRROR", str(tmp_path / "mirror"))
    entry = an_entry(server.put("/x.bin", BODY).removesuffix("x.bin"))
    file = tmp_path / "mirror" / "toy" / "x.bin"
    file.parent.mkdir(parents=True)
    file.write_bytes(BODY)
    assert obtain(entry, "x.bin") == file
    assert server.seen == []
    file.write_bytes(b"wrong")
    with pytest.raises(UserError) as caught:
        obtain(entry, "x.bin")
    assert (caught.value.file, caught.value.code) == (str(file), 74)
    assert "wrong checksum in the mirror" in caught.value.message
    file.unlink()
    assert obtain(entry, "x.bin").read_bytes() == BODY  # what the mirror lacks comes from the source


def test_a_mirror_address(server, monkeypatch):
    monkeypatch.setenv("SEQCLI_MIRROR", server.url + "/mirror/")
    server.put("/mirror/toy/x.bin", BODY)
    assert obtain(an_entry("http://127.0.0.1:9/"), "x.bin").read_bytes() == BODY
    cached_path(an_entry(), "x.bin").unlink()
    server.put("/mirror/toy/x.bin", b"wrong")
    with pytest.raises(UserError, match=r"^SEQCLI_MIRROR: .*wrong checksum"):
        obtain(an_entry("http://127.0.0.1:9/"), "x.bin")


@pytest.mark.skipif(os.geteuid() == 0 and not Path("/proc").is_dir(), reason="needs a place nobody can write to")
def test_a_cache_that_cannot_be_written_is_74(server, monkeypatch):
    monkeypatch.setenv("SEQCLI_CACHE", "/proc/none")
    with pytest.raises(UserError) as caught:
        obtain(an_entry(server.put("/x.bin", BODY).removesuffix("x.bin")), "x.bin")
    assert caught.value.code == 74


def test_embedded_files_are_where_they_are_said_to_be():
    for entry in catalogue.data_sets().values():
        if entry.embedded:
            assert all(obtain(entry, name).is_file() for name in entry.file_names())
