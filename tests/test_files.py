import errno
import os
import stat
from pathlib import Path

import pytest

from wann.files import (
    TEMPORARY_SUFFIX,
    read_bounded,
    staged,
    sweep_temporary,
    write_atomically,
)


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


def write_folder(path, *names):
    path.mkdir()
    for name in names:
        (path / name).write_text(name)


def put(path, content, *, force=False, between=lambda: None, error=None):
    """Stage a text, or a folder of files of these names, then do `between` and raise `error`."""
    with staged(path, force=force) as place:
        if isinstance(content, str):
            place.write_text(content)
        else:
            write_folder(place, *content)
        between()
        if error:
            raise error


def test_what_is_staged_gets_its_name_at_the_end(tmp_path):
    seen = []
    put(tmp_path / "x.json", "new", between=lambda: seen.append((tmp_path / "x.json").exists()))
    assert seen == [False]
    assert (tmp_path / "x.json").read_text() == "new"
    put(tmp_path / "folder", ["a"])
    assert names(tmp_path) == ["folder", "x.json"]
    assert stat.S_IMODE((tmp_path / "folder").stat().st_mode) & 0o500 == 0o500


def test_what_exists_is_replaced_by_force_alone(tmp_path):
    (tmp_path / "x.json").write_text("old")
    with pytest.raises(ValueError, match=r"x\.json' exists already; --force replaces it"):
        put(tmp_path / "x.json", "new")
    put(tmp_path / "x.json", "new", force=True)
    assert (tmp_path / "x.json").read_text() == "new"


def test_what_appears_while_one_writes_is_not_replaced(tmp_path):
    path = tmp_path / "x.json"
    with pytest.raises(ValueError, match="exists already"):
        put(path, "new", between=lambda: path.write_text("theirs"))
    assert path.read_text() == "theirs"
    assert names(tmp_path) == ["x.json"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_error_while_one_writes_leaves_what_was_there(tmp_path, error):
    write_folder(tmp_path / "folder", "a")
    with pytest.raises(error, match="stop"):
        put(tmp_path / "folder", ["a", "b"], force=True, error=error("stop"))
    assert names(tmp_path) == ["folder"]
    assert names(tmp_path / "folder") == ["a"]


def test_a_folder_is_replaced_unless_something_else_lies_in_it(tmp_path):
    write_folder(tmp_path / "folder", "a", "b")
    put(tmp_path / "folder", ["a", "b", "c"], force=True)
    assert names(tmp_path / "folder") == ["a", "b", "c"]
    with pytest.raises(ValueError, match="folder' holds 'c' too; choose another folder"):
        put(tmp_path / "folder", ["a", "b"], force=True)
    assert names(tmp_path / "folder") == ["a", "b", "c"]
    assert names(tmp_path) == ["folder"]


def test_a_file_never_replaces_a_folder_nor_a_folder_a_file(tmp_path):
    write_folder(tmp_path / "folder")
    (tmp_path / "file").write_text("old")
    with pytest.raises(ValueError, match="folder' is a folder, not a file"):
        put(tmp_path / "folder", "new", force=True)
    with pytest.raises(ValueError, match="file' is a file, not a folder"):
        put(tmp_path / "file", ["a"], force=True)
    assert names(tmp_path) == ["file", "folder"]


def test_a_folder_that_cannot_be_given_its_name_stays_as_it_was(tmp_path, monkeypatch):
    write_folder(tmp_path / "folder", "a")

    def fail(*_):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr("pathlib.Path.replace", fail)
    with pytest.raises(OSError, match=r"error: '.*folder'$"):
        put(tmp_path / "folder", ["a", "b"], force=True)
    assert names(tmp_path / "folder") == ["a"]
    assert names(tmp_path) == ["folder"]


def test_a_place_that_cannot_be_written_to_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"no folder '.*nowhere' for 'x\.json'; make it first"):
        put(tmp_path / "nowhere" / "x.json", "new")
    with pytest.raises(ValueError, match="a file's name was wanted"):
        put("/", "new")


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="there is no /proc")
def test_a_folder_that_takes_no_files_is_named():
    with pytest.raises(OSError, match=r"'/proc/x\.json'$"):
        put("/proc/x.json", "new")


def test_a_staging_folder_of_a_killed_writer_is_swept(tmp_path):
    write_folder(tmp_path / f".x.json.abc{TEMPORARY_SUFFIX}", "x.json")
    sweep_temporary(tmp_path)
    assert names(tmp_path) == []
