"""What runs where vLLM is installed: a job folder in, scores out.

Needs vLLM, pyarrow and the standard library, nothing of polo, so that it can be started as ``python FOLDER/__main__.py
JOB`` by the interpreter of another environment or on another machine. Its modules import each other relatively for that
reason. Token ids come in and go out; no text is ever seen here.
"""
