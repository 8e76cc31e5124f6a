import errno
import os
import stat
from pathlib import Path

import pytest

from wann.files import TEMPORARY_SUFFIX, read_bounded, sweep_temporary, write_atomically


def names(folder):
    return sorted(each.name for each in folder.iterdir())


@pytest.mark.parametrize(
    ("data", "content"), [(b"a\r\n\xff", b"a\r\n\xff"), ("θ\n", b"\xce\xb8\n")]
)
def test_what_is_written_is_read_back_byte_for_byte(tmp_path, data, content):
    write_atomically(tmp_path / "x.json", b"old and longer")
    write_atomically(tmp_path / "x.json", data)
    assert read_bounded(tmp_path / "x.json", 100) == content
    assert names(tmp_path) == ["x.json"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_full_disk_leaves_the_old_file_and_no_other(tmp_path, monkeypatch, step):
    def fail(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    write_atomically(tmp_path / "x.json", "old")
    owner = "os.fsync" if step == "fsync" else "pathlib.Path.replace"
    monkeypatch.setattr(owner, fail)
    with pytest.raises(OSError, match=r"No space left on device: '.*x\.json'$"):
        write_atomically(tmp_path / "x.json", "new")
    assert (tmp_path / "x.json").read_text() == "old"
    assert names(tmp_path) == ["x.json"]


def test_the_content_and_then_the_name_are_brought_to_the_disk(tmp_path, monkeypatch):
    synced = []
    path = tmp_path / "x.json"
    path.write_text("old")

    def record(descriptor):
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        synced.append(("folder" if is_folder else "file", path.read_text()))

    monkeypatch.setattr("os.fsync", record)
    write_atomically(path, "new")
    assert synced == [("file", "old"), ("folder", "new")]


def test_a_folder_that_cannot_be_synced_is_no_error(tmp_path, monkeypatch):
    real = os.open

    def refuse(path, flags, *rest, **options):
        if Path(path) == tmp_path:
            raise PermissionError(errno.EACCES, "folders cannot be opened")
        return real(path, flags, *rest, **options)

    monkeypatch.setattr("os.open", refuse)
    write_atomically(tmp_path / "x.json", "new")
    assert names(tmp_path) == ["x.json"]


def test_an_interrupted_writer_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    def interrupt(_):
        raise KeyboardInterrupt

    write_atomically(tmp_path / "x.json", "old")
    monkeypatch.setattr("os.fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "x.json", "new")
    assert (tmp_path / "x.json").read_text() == "old"
    assert names(tmp_path) == ["x.json"]


def test_a_folder_that_is_a_file_is_an_os_error_naming_the_target(tmp_path):
    (tmp_path / "folder").write_text("a file")
    with pytest.raises(NotADirectoryError, match=r"'.*folder.x\.json'$"):
        write_atomically(tmp_path / "folder" / "x.json", "new")


def test_a_missing_folder_is_an_os_error_naming_the_target(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"'.*nowhere.x\.json'$"):
        write_atomically(tmp_path / "nowhere" / "x.json", "new")


def test_sweeping_removes_the_leftovers_of_killed_writers_and_nothing_else(tmp_path):
    for name in ("run-a.json", ".hidden", f".run-a.json.7-0{TEMPORARY_SUFFIX}"):
        (tmp_path / name).write_text("")
    (tmp_path / f".run-b.json.7-0{TEMPORARY_SUFFIX}").write_text("")
    sweep_temporary(tmp_path, "run-a")
    assert names(tmp_path) == [".hidden", f".run-b.json.7-0{TEMPORARY_SUFFIX}", "run-a.json"]
    sweep_temporary(tmp_path)
    assert names(tmp_path) == [".hidden", "run-a.json"]


def test_a_killed_writers_leftover_is_what_sweeping_looks_for(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr("os.fsync", lambda _: seen.extend(names(tmp_path)))
    write_atomically(tmp_path / "x.json", "new")
    leftover, written = seen  # when the content, and then the name, goes to the disk
    assert leftover.startswith(".x.json.")
    assert leftover.endswith(TEMPORARY_SUFFIX)
    assert written == "x.json"


def test_a_file_over_the_bound_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "huge"
    with path.open("wb") as file:
        file.truncate(1 << 40)  # sparse: takes no room
    with pytest.raises(ValueError, match=r"huge: at most 100 bytes can be read, but it has 1,099,"):
        read_bounded(path, 100)


@pytest.mark.parametrize("path", ["/dev/zero", "."])
def test_a_device_or_folder_is_refused(path):
    with pytest.raises(ValueError, match="a file was wanted, but this is a folder or a device"):
        read_bounded(path, 100)
