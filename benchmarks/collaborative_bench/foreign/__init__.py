"""Programs for environments of other libraries: each trains an epoch and says what it took. None imports polo."""
