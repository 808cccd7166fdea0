"""Beta schedules, one idea a file."""
