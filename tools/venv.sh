#!/bin/sh
# Make a virtual environment with arex in it, as development needs it: venv.sh PYTHON DIRECTORY
set -eu

python=$1
venv=$2

if ! command -v "$python" >/dev/null; then
    echo "There is no $python here. On Debian: apt-get install python3 python3-venv" >&2
    exit 1
fi
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "$python is $("$python" -V 2>&1), arex needs 3.11 or newer: say PYTHON=/path/to/python3.11" >&2
    exit 1
fi
if ! [ -x "$venv/bin/python" ]; then
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        echo "$python can't make virtual environments. On Debian: apt-get install python3-venv" >&2
        exit 1
    fi
    echo "Making the virtual environment $venv"
    "$python" -m venv "$venv"
fi
echo "Installing arex and what its development needs into $venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --editable '.[test,check,docs]'
