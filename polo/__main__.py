"""``python -m polo``: what each process of a run is started with."""

from polo.cli import main

if __name__ == "__main__":
    main()
