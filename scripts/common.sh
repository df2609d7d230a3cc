# Shared by the scripts beside it: a virtual environment in .venv with the package and its pinned dependencies.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

python_of_choice() {
  for candidate in python3.11 python3.12 python3.13 python3; do
    if command -v "$candidate" >/dev/null && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
      echo "$candidate"
      return
    fi
  done
  echo "error: Python 3.11 or newer is needed (python3 --version: $(python3 --version 2>&1))" >&2
  exit 1
}

# install EXTRAS: once, and again whenever pyproject or the pins change
install() {
  local stamp=".venv/.installed-${1//,/-}"
  [ -x .venv/bin/python ] || "$(python_of_choice)" -m venv .venv
  if [ ! -f "$stamp" ] || [ pyproject.toml -nt "$stamp" ] || [ constraints.txt -nt "$stamp" ]; then
    echo "installing into .venv (once) ..." >&2
    # of pip's own variables, so that what builds the package is pinned too (two names: pip changed it)
    export PIP_CONSTRAINT="$PWD/constraints.txt" PIP_BUILD_CONSTRAINT="$PWD/constraints.txt"
    # torch first and by its pin: a plain range would pull the CUDA build
    .venv/bin/python -m pip install --quiet --disable-pip-version-check "$(grep '^torch==' constraints.txt)"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check -e ".${1:+[$1]}"
    touch "$stamp"
  fi
}
