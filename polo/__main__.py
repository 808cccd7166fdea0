"""``python -m polo``: what torchrun starts."""

from polo.cli import main

if __name__ == "__main__":
    main()
