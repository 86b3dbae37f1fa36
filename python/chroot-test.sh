#!/bin/sh
# Tries what users do on a system that has nothing, a fresh Debian with python3 and
# python3-venv only: pip install of the wheel in dist/, four workers, four pids that
# answer. With --build also what the README says first, once Go, gcc and make are
# added: make run and make test.
#
#   python/chroot-test.sh [--build] [DIR]
#
# It needs root and debootstrap. DIR (default build/chroot) is where the system goes;
# one that is there is used again. pip, apt and go fetch what they need before
# anything is started; what is then started has a loopback interface of its own, and
# mounts and process ids too, so that nothing of it is left when this ends.
set -eu
cd "$(dirname "$0")/.."
build=
[ "${1-}" != --build ] || { build=yes; shift; }
root=$(realpath -m "${1:-build/chroot}")
suite=${SUITE:-bookworm}

say() { echo "== $*"; }

# inside COMMAND: runs a shell command in the system, alone there.
inside() {
	unshare --mount --pid --net --fork --kill-child sh -euc '
		ip link set lo up
		mount -t proc proc "$1/proc"
		mount -t tmpfs tmpfs "$1/dev/shm" 2>/dev/null || true
		exec chroot "$1" env -i HOME=/root LANG=C.UTF-8 \
			PATH=/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin sh -euc "$2"
	' sh "$root" "$1"
}

# fetch COMMAND: runs a shell command in the system, with the network.
fetch() {
	unshare --mount --pid --fork --kill-child sh -euc '
		mount -t proc proc "$1/proc"
		exec chroot "$1" env -i HOME=/root LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive SSL_CERT_FILE="${SSL_CERT_FILE-}" \
			PIP_CERT="${PIP_CERT-}" GOFLAGS="${GOFLAGS-}" \
			PATH=/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin sh -euc "$2"
	' sh "$root" "$1"
}

# four COMMAND [CODE]: starts a server, waits until four processes have answered, and
# stops it: it must exit with that code (0).
four() {
	inside "$1"' & server=$!
		python3 /srv/four.py || { kill $server; exit 1; }
		kill $server
		code=0; wait $server || code=$?
		[ $code = '"${2:-0}"' ] || { echo "exit code $code"; exit 1; }'
}

if [ ! -e "$root/srv/.made" ]; then
	say "making $suite in $root"
	mkdir -p "$root"
	debootstrap --variant=minbase --include=python3,python3-venv "$suite" "$root" >"$root.log"
	mkdir -p "$root/srv"
	touch "$root/srv/.made"
fi
# Packages' certificates are not in it, and this machine may trust some of its own.
mkdir -p "$root/etc/ssl/certs"
cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
cp /etc/resolv.conf "$root/etc/"
# What the installer of a system writes, and debootstrap does not.
[ -e "$root/etc/hosts" ] || printf '127.0.0.1 localhost\n::1 localhost\n' >"$root/etc/hosts"
rm -rf "$root/srv/wheels" "$root/srv/venv" "$root/srv/examples"
mkdir -p "$root/srv/wheels" "$root/srv/examples"
cp dist/gowsgi-*.whl "$root/srv/wheels/"
cp examples/*.py "$root/srv/examples/"
cat >"$root/srv/four.py" <<'PYTHON'
import json, sys, threading, time, urllib.request
pids, deadline = set(), time.monotonic() + 60

def ask():
    try:
        with urllib.request.urlopen("http://127.0.0.1:8000/", timeout=10) as r:
            pids.add(json.load(r)["pid"])
    except OSError:
        time.sleep(0.1)  # it does not listen yet

while len(pids) < 4 and time.monotonic() < deadline:
    threads = [threading.Thread(target=ask) for _ in range(8)]
    [t.start() for t in threads]
    [t.join() for t in threads]
print("answered by", sorted(pids))
sys.exit(len(pids) != 4)
PYTHON

say "pip install of $(cd "$root/srv/wheels" && ls | tr '\n' ' ')and Flask"
[ -n "$build" ] || inside 'for f in /usr/bin/*gcc* /usr/lib/*/libpython3*; do [ ! -e "$f" ] || { echo "there is $f"; exit 1; }; done'
inside 'python3 -m venv /srv/venv'
fetch '/srv/venv/bin/pip install --quiet --disable-pip-version-check Flask'
inside '/srv/venv/bin/pip install --no-index --find-links /srv/wheels gowsgi'
inside '/srv/venv/bin/gowsgi --version'
say "gowsgi -w 4 flask_app:flask_app"
four 'cd /srv/examples; /srv/venv/bin/gowsgi -w 4 flask_app:flask_app'

[ -n "$build" ] || { say "done"; exit 0; }
say "adding Go, gcc and make"
fetch 'apt-get -q update; apt-get -q -y install --no-install-recommends gcc libc6-dev make' >"$root.log"
rm -rf "$root/usr/local/go" "$root/srv/gowsgi"
cp -r "$(go env GOROOT)" "$root/usr/local/go"
git clone -q . "$root/srv/gowsgi"
fetch 'cd /srv/gowsgi; go mod download; make build venv'
say "make run"
four 'cd /srv/gowsgi; make run' 143 # make's, when it is terminated
say "make test"
inside 'cd /srv/gowsgi; make test'
say "done"
