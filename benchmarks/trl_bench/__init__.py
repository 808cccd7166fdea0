"""TRL's trainers and polo's step on the same rows, base and adapters: whether they agree, and what each costs."""
