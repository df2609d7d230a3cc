"""``python -m qtaml_hw.cli``: the command line without its installed script."""

from __future__ import annotations

from qtaml_hw.cli.app import main

if __name__ == "__main__":
    main()
