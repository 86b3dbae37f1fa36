"""The part of the build that hatchling cannot do: it runs Go.

A wheel gets the binary as a script and the workers' library as data, so that an
environment has them as bin/gowsgi and lib/gowsgi/libgowsgi.so. An sdist gets the
sources, and a file with the commit they are from.

GOWSGI_PLATFORM names what to build a wheel for, one of PLATFORMS. The C compiler is
then zig's, which brings the C libraries of old systems and of other processors.
Without it the wheel is for this machine, made by $CC as any go build; its tag says
no more than "Linux", because nobody knows which systems it runs on.
"""

import os
import platform
import shutil
import subprocess
import tempfile

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

# Platform: zig's target, GOARCH, tag. glibc 2.17 is that of manylinux2014 (PEP 599,
# PEP 600).
PLATFORMS = {
    "manylinux2014_x86_64": ("x86_64-linux-gnu.2.17", "amd64", "manylinux_2_17_x86_64.manylinux2014_x86_64"),
    "manylinux2014_aarch64": ("aarch64-linux-gnu.2.17", "arm64", "manylinux_2_17_aarch64.manylinux2014_aarch64"),
}

ZIG = "ziglang>=0.17"

# The file of an sdist that has the commit.
COMMIT = "COMMIT"


class Hook(BuildHookInterface):
    PLUGIN_NAME = "custom"

    def dependencies(self):
        return [ZIG] if self.target_name == "wheel" and target() else []

    def initialize(self, version, build_data):
        commit = find_commit(self.root)
        os.makedirs(os.path.join(self.root, "build"), exist_ok=True)
        # Of its own: two builds may run at a time.
        self.out = tempfile.mkdtemp(prefix=self.target_name + "-", dir=os.path.join(self.root, "build"))
        if self.target_name == "sdist":
            self.add_commit(commit, build_data)
            return
        name = target()
        if name:
            compiler, flags, tag = zig(*PLATFORMS[name])
        else:
            compiler, flags, tag = {}, [], "linux_" + platform.machine()
        build = Build(self.root, self.out, commit, compiler, flags)
        build_data["pure_python"] = False
        build_data["tag"] = "py3-none-" + tag
        build_data["shared_scripts"] = {build.binary(): "gowsgi"}
        build_data["shared_data"] = {build.library(): "lib/gowsgi/libgowsgi.so"}

    def finalize(self, version, build_data, artifact_path):
        shutil.rmtree(self.out)

    def add_commit(self, commit, build_data):
        """Puts the commit into an sdist, which is no repository."""
        if not commit:
            return
        path = os.path.join(self.out, COMMIT)
        with open(path, "w") as f:
            f.write(commit + "\n")
        build_data["force_include"][path] = COMMIT


class Build:
    """One run of the compilers, from the sources in root into the directory out."""

    def __init__(self, root, out, commit, env, flags):
        if not shutil.which("go"):
            raise SystemExit("Building gowsgi from its sources needs Go and a C compiler: https://go.dev/dl/")
        self.root, self.out = root, out
        self.env = dict(os.environ, CGO_ENABLED="1", GOOS="linux", **env)
        link = "-s -w"
        if env:
            link += " -extldflags=-s"
        # go would take any repository that the directory is in for the sources' own.
        repository = bool(commit) and os.path.exists(os.path.join(root, ".git"))
        if commit and not repository:
            link += " -X gowsgi/internal/version.built=" + commit
        self.flags = ["-buildvcs=" + str(repository).lower(), "-ldflags=" + link] + flags

    def binary(self):
        return self.run("gowsgi", "./cmd/gowsgi")

    def library(self):
        return self.run("libgowsgi.so", "./cmd/libgowsgi", "-buildmode=c-shared")

    def run(self, name, package, *flags):
        path = os.path.join(self.out, name)
        subprocess.run(["go", "build", *self.flags, *flags, "-o", path, package], cwd=self.root, env=self.env, check=True)
        return path


def target():
    """Returns the platform that was asked for, or ""."""
    name = os.environ.get("GOWSGI_PLATFORM", "")
    if name and name not in PLATFORMS:
        raise SystemExit("GOWSGI_PLATFORM is %r, not one of %s" % (name, ", ".join(sorted(PLATFORMS))))
    return name


def zig(triple, goarch, tag):
    """Returns the environment, flags and tag of a build with zig."""
    import ziglang

    path = os.path.join(os.path.dirname(ziglang.__file__), "zig")
    compiler = "'%s' cc -target %s" % (path, triple)
    return {"CC": compiler, "GOARCH": goarch}, ["-trimpath"], tag


def find_commit(root):
    """Returns the commit that root is at, as gowsgi --version shows it, or ""."""
    try:
        with open(os.path.join(root, COMMIT)) as f:
            return f.read().strip()
    except OSError:
        pass
    if not os.path.exists(os.path.join(root, ".git")):
        return ""
    try:
        commit = git(root, "rev-parse", "--short=12", "HEAD")
        return commit + ("+dirty" if git(root, "status", "--porcelain") else "")
    except (OSError, subprocess.CalledProcessError):
        return ""


def git(root, *args):
    result = subprocess.run(["git", "-C", root, *args], check=True, stdout=subprocess.PIPE, universal_newlines=True)
    return result.stdout.strip()
