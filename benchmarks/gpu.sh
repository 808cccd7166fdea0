#!/bin/sh
# Everything that wants a GPU: see gpu.py beside this file, or --help.
here=$(cd "$(dirname "$0")" && pwd)
PYTHONPATH="$here/..:$here/../plugins:$here${PYTHONPATH:+:$PYTHONPATH}" exec "${PYTHON:-python3}" "$here/gpu.py" "$@"
