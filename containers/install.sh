#!/bin/sh
# Installs what is missing: Debian packages by name, .venv for the gateway, build/kernel for the kernel image.
# install.sh gateway | dev     (dev adds what tests, lint and types need)
set -eu
cd "$(dirname "$0")/.."
lock="requirements/$1.txt"

python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "Python 3.11 or later is needed; this is $(python3 --version)" >&2
    exit 1
}
python3 -m kernel_gateway.sandbox.host "$1"

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# Debian's package, its two programs alone: installed, it would start a service.
fetch_prometheus() {
    echo "unpacking Debian's prometheus into build/prometheus"
    command -v dpkg-deb >/dev/null || { echo "dpkg-deb is needed, which Debian has" >&2; exit 1; }
    folder=$(mktemp -d)
    (cd "$folder" && { apt-get download -qq -o APT::Sandbox::User=root prometheus 2>/dev/null ||
        { as_root apt-get update -qq && apt-get download -qq -o APT::Sandbox::User=root prometheus; }; })
    mkdir -p build/prometheus
    dpkg-deb --fsys-tarfile "$folder"/prometheus_*.deb | tar -x -C build/prometheus ./usr/bin
    rm -r "$folder"
}

missing=""
command -v bwrap >/dev/null || missing="$missing bubblewrap"
command -v cc >/dev/null || command -v tcc >/dev/null || missing="$missing tcc" # for one small file of C
python3 -c 'import ensurepip, venv' 2>/dev/null || missing="$missing python3-venv"
if [ "$1" = dev ]; then # the tests run every launcher, and a Redis
    for runtime in runc crun; do
        PATH="$PATH:/usr/sbin:/sbin" command -v "$runtime" >/dev/null || missing="$missing $runtime"
    done
    command -v redis-check-rdb >/dev/null || missing="$missing redis-tools" # the server too, without its service
    [ -x build/prometheus/usr/bin/prometheus ] || fetch_prometheus
fi
if [ -n "$missing" ]; then
    echo "installing Debian packages:$missing"
    as_root apt-get update -qq
    # shellcheck disable=SC2086
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
fi

[ -x .venv/bin/python ] || { echo "making .venv"; python3 -m venv .venv; }
# The development lock holds everything that the gateway's does.
if ! cmp -s requirements/dev.txt .venv/lock.txt && ! cmp -s "$lock" .venv/lock.txt; then
    echo "installing Python packages from $lock"
    # Twice quiet: pip warns at length of being root; errors are still printed.
    .venv/bin/python -m pip install --quiet --quiet --disable-pip-version-check --require-hashes -r "$lock"
    .venv/bin/python -m pip install --quiet --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
    cp "$lock" .venv/lock.txt
fi
.venv/bin/python -m compileall -q catalog kernel_ext kernel_gateway # else every start of the command compiles them
.venv/bin/python containers/build_kernel_image.py build/kernel requirements/kernel.txt
