"""From a resolved recipe to a finished run."""

from polo.called import called

called(__name__)
