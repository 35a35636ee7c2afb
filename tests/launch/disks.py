"""Small disks that really fill and really become read-only in the middle of a write; only root may mount them."""

import contextlib
import pathlib
import subprocess
import threading
import time


class Full:
    """A file system in memory that can grow."""

    def __init__(self, path, size):
        self.path = path
        _run("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", path)

    def grow(self, size="1g"):
        """There is room again."""
        _run("mount", "-o", f"remount,size={size}", self.path)

    def close(self):
        _unmount(self.path)


class Aborting:
    """An ext4 file system that becomes read-only as after a fault of its disk: files that are open can be written no more either."""

    def __init__(self, path, image):
        self.path, self._image = path, image
        with image.open("wb") as file:
            file.truncate(2**27)
        _run("mkfs.ext4", "-q", image)
        self._mount()

    def abort(self):
        """From now on every write fails."""
        _run("mount", "-o", "remount,abort", self.path)

    @contextlib.contextmanager
    def abort_when(self, *, grown_to):
        """Aborts, within 10 ms, when files below hold so many bytes. Yields: an Event that is set when it happened."""
        over, happened = threading.Event(), threading.Event()

        def watch():
            while not over.wait(0.01):
                if used(self.path) >= grown_to:
                    self.abort()
                    happened.set()
                    return

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield happened
        finally:
            over.set()
            thread.join()

    def mend(self):
        """As after a check and a restart."""
        _unmount(self.path)
        subprocess.run(["e2fsck", "-p", "-f", self._image], check=False, capture_output=True)  # 1: errors were mended
        self._mount()

    def close(self):
        _unmount(self.path)

    def _mount(self):
        _run("mount", "-o", "loop", self._image, self.path)


def used(directory):
    """Bytes of all files below."""
    total = 0
    for path in pathlib.Path(directory).rglob("*"):
        with contextlib.suppress(OSError):
            total += path.stat().st_size if path.is_file() else 0
    return total


def can_mount(directory):
    """Whether this process may mount: root in a container that lets it."""
    try:
        Full(directory, "1m").close()
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


def _run(*command):
    subprocess.run([str(each) for each in command], check=True, capture_output=True, timeout=60)


def _unmount(path):
    for _ in range(50):
        if subprocess.run(["umount", path], check=False, capture_output=True).returncode == 0:
            return
        time.sleep(0.1)
    subprocess.run(["umount", "-l", path], check=True, capture_output=True)
