"""The browsing commands, called as a shell calls them: output, exit codes, and what they do not load."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from polo.cli import Commands, main
from polo.plugin.component import KINDS
from polo.recipe.reader import parse
from polo.run.opening import has_gpu
from tests.toys import RECIPE, TOY, write


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")


def test_help_names_every_command(polo):
    code, out, _ = polo("--help")
    assert code == 0
    for name in ("validate", "show", "ls", "cp", "describe", "plugins", "schema"):
        assert f" {name} " in out


def test_version(polo):
    from polo import __version__

    assert polo("--version") == (0, f"polo {__version__}\n", "")


@pytest.mark.parametrize(
    "words",
    [
        ["--help"], ["ls"], ["ls", "losses", "--json"], ["plugins"], ["schema"],
        ["describe", "sampler/toy_wrapper", "--plugin", str(TOY)], ["validate", "RECIPE", "--plugin", str(TOY)],
    ],
    ids=lambda words: words[0],
)  # fmt: skip
def test_browsing_loads_no_torch(tmp_path, words):
    words = [str(write(tmp_path)) if word == "RECIPE" else word for word in words]
    code = (
        "import sys\nfrom polo.cli import main\ntry: main(sys.argv[1:])\n"
        "except SystemExit as end: code = end.code\n"
        "print([n for n in ('torch', 'transformers', 'scipy') if n in sys.modules], code, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == "[] 0"


def test_a_good_recipe(polo, tmp_path, no_gpu):
    code, out, err = polo("validate", write(tmp_path), "--plugin", TOY)
    assert (code, out) == (0, "ok: toy (stages: sft, prefer, profile cpu)\n")
    assert err.startswith("no GPU found: profile 'cpu' is used (it sets policy.base)")


def test_a_bad_recipe_in_three_formats(polo, tmp_path):
    path = write(tmp_path, RECIPE.replace("lr: 1e-4", 'lr: "1e-4"').replace("toy_uniform", "toy_unifrom"))
    words = ("validate", path, "--profile", "none", "--plugin", TOY)
    code, out, err = polo(*words)
    assert (code, out) == (2, "")
    assert f"error: {path}:7:40: stages.sft.lr: found text '1e-4', expected a number > 0\n  -> write 1e-4" in err
    assert err.endswith("2 errors\n")

    code, out, _ = polo(*words, "--format", "json")
    found = json.loads(out)
    assert (code, found["ok"]) == (2, False)
    assert found["problems"][1] == {
        "where": f"{path}:9:45",
        "what": "stages.prefer.sampler.from: unknown sampler 'toy_unifrom'",
        "fix": "did you mean 'toy_uniform'?",
        "file": str(path),
        "line": 9,
        "column": 45,
    }

    code, out, _ = polo(*words, "--format", "github")
    assert code == 2
    assert out.splitlines()[0].startswith(f"::error file={path},line=7,col=40::stages.sft.lr: found")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such recipe file"),
        (b"", ":1:1: the recipe is empty"),
        (b"[1, 2]", ":1:1: a recipe is a mapping"),
        (b"a: [", ":1:5: not YAML"),
        (b"\xff\xfe", ":1:1: not UTF-8"),
        (b"[" * 10_000, "nested deeper"),
        (b"a: 1\na: 1", ":2:1: key 'a' is written twice"),
    ],
)
def test_what_is_no_recipe_gives_exit_2_and_one_message(polo, tmp_path, content, message):
    path = tmp_path / "r.yaml"
    if content is not None:
        path.write_bytes(content)
    code, out, err = polo("validate", path)
    assert (code, out) == (2, "")
    assert message in err
    assert "Traceback" not in err


def test_a_folder_is_no_recipe(polo, tmp_path):
    code, _, err = polo("validate", tmp_path)
    assert code == 2
    assert "is a folder" in err


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(st.text(max_size=300))
def test_law_any_recipe_name_ends_with_exit_2_and_a_message(polo, name):
    code, _, err = polo("validate", "--", f"no/such/{name}")
    assert code == 2
    assert err.startswith("error: ")


def test_show_prints_yaml_that_reads_back_with_origins(polo, tmp_path):
    path = write(tmp_path)
    code, out, _ = polo("show", path, "seed=3", "--profile", "none", "--plugin", TOY)
    assert code == 0
    assert parse(out, "out").plain()["stages"]["prefer"]["sampler"]["from"] == {"use": "toy_uniform", "k": 19}
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert "seed: 3 # override 'seed=3'" in lines
    assert f"tau: 2.0 # {path}:10:32" in lines
    assert "batch: 128 # default" in lines

    code, out, _ = polo("show", path, "--profile", "none", "--plugin", TOY, "--json")
    shown = json.loads(out)
    assert shown["recipe"]["evaluate"]["evaluators"][0]["k"] == [1, 5]
    assert shown["origins"]["stages.prefer.lr"] == f"{path}:12:9"


@pytest.mark.parametrize(
    "thing",
    ["samplers", "betas", "losses", "evaluators", "baselines", "policies", "data", "bases", "scorers", "encoders",
     "optimisers", "averages", "audits", "trackers", "recipes", "plugins", "runs"],
)  # fmt: skip
def test_ls_gives_objects_with_names(polo, tmp_path, monkeypatch, thing):
    monkeypatch.chdir(tmp_path)
    code, out, _ = polo("ls", thing, "--json", "--plugin", TOY)
    assert code == 0
    assert all(isinstance(item["name"], str) for item in json.loads(out))
    assert polo("ls", thing)[0] == 0


def test_ls_shows_what_a_plugin_brings(polo):
    _, out, _ = polo("ls", "samplers", "--plugin", TOY)
    line = next(line for line in out.splitlines() if line.startswith("toy_wrapper"))
    assert line.split("  ")[-1].strip() == "toy_plugin.py"
    assert "toy_wrapper" in polo("ls", "--plugin", TOY)[1]


def test_ls_covers_every_kind():
    from polo.cli.ls import PLURALS

    assert set(PLURALS.values()) == set(KINDS)


def test_ls_of_nothing_known(polo):
    code, _, err = polo("ls", "loses")
    assert code == 2
    assert "did you mean 'losses'?" in err


def test_ls_runs_reads_results_and_survives_bad_ones(polo, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    good = {"rows": 7, "systems": {"model": {"hit_ratio@1": {"value": 0.25, "low": 0.2, "high": 0.3}}}}
    for name, text in (
        ("good", json.dumps(good)),
        ("bad", "{"),
        ("odd", '{"rows": 1, "systems": {"model": {"a": 1}}}'),
    ):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "results.json").write_text(text)
    (tmp_path / "runs" / "unfinished").mkdir()
    rows = {row["name"]: row for row in json.loads(polo("ls", "runs", "--json")[1])}
    assert set(rows) == {"good", "bad", "odd"}
    assert rows["good"]["results"] == {"hit_ratio@1": 0.25}
    assert "hit_ratio@1 0.250" in polo("ls", "runs")[1]
    assert "cannot be read" in rows["bad"]["headline"]


@pytest.fixture
def recipe_plugin(tmp_path):
    """A plugin file that brings a folder of recipes."""
    folder = tmp_path / "shipped"
    folder.mkdir()
    write(folder, "# A toy\n" + RECIPE, "toy_recipe.yaml")
    code = "from pathlib import Path\nfrom polo import hookimpl\n@hookimpl\ndef polo_recipes():\n"
    return write(tmp_path, f"{code}    return [Path({str(folder)!r})]\n", "brings.py")


def test_shipped_recipes_are_found_by_name(polo, recipe_plugin):
    rows = json.loads(polo("ls", "recipes", "--json", "--plugin", recipe_plugin)[1])
    assert {"name": "toy_recipe", "summary": "A toy"}.items() <= next(
        r for r in rows if r["name"] == "toy_recipe"
    ).items()
    assert polo("validate", "toy_recipe", "--plugin", recipe_plugin, "--plugin", TOY)[0] == 0
    code, _, err = polo("validate", "toy_recip", "--plugin", recipe_plugin)
    assert code == 2
    assert "did you mean 'toy_recipe'?" in err


def test_cp_copies_bytes_and_does_not_overwrite(polo, recipe_plugin, tmp_path):
    words = ("cp", "toy_recipe", tmp_path / "mine.yaml", "--plugin", recipe_plugin)
    source = tmp_path / "shipped" / "toy_recipe.yaml"
    assert polo(*words)[0] == 0
    assert (tmp_path / "mine.yaml").read_bytes() == source.read_bytes()
    (tmp_path / "mine.yaml").write_text("precious")
    code, _, err = polo(*words)
    assert (code, (tmp_path / "mine.yaml").read_text()) == (2, "precious")
    assert "exists already" in err
    assert polo(*words, "--force")[0] == 0
    assert (tmp_path / "mine.yaml").read_bytes() == source.read_bytes()
    assert polo("cp", "toy_recipe", tmp_path, "--plugin", recipe_plugin)[0] == 0
    assert (tmp_path / "toy_recipe.yaml").is_file()
    code, _, err = polo("cp", "toy_recipe", source, "--force", "--plugin", recipe_plugin)
    assert code == 2
    assert "same file" in err
    assert polo("cp", "toy_recipe", tmp_path / "no" / "such" / "x.yaml", "--plugin", recipe_plugin)[0] == 2


def test_plugins_are_listed_with_what_is_wrong(polo, tmp_path):
    bad = write(tmp_path, "import no_such_module_at_all", "bad.py")
    code, out, err = polo("plugins", "--plugin", bad, "--plugin", TOY)
    assert code == 0
    assert "1 data, 1 policy, 1 base, 2 sampler, 3 loss, 1 evaluator" in out
    assert f"{bad} is broken: ModuleNotFoundError" in err
    assert polo("plugins", "--plugin", bad, "--check")[0] == 1
    rows = json.loads(polo("plugins", "--plugin", bad, "--json")[1])
    assert rows[-1]["status"] == "broken"
    assert polo("validate", write(tmp_path), "--plugin", bad, "--plugin", TOY)[0] == 2


def test_describe(polo):
    code, out, _ = polo("describe", "data/toy_data", "--plugin", TOY)
    assert code == 0
    assert "nowhere, eq. 1" in out
    assert f"{TOY}:" in out
    line = next(line for line in out.splitlines() if line.startswith("history"))
    assert [cell.strip() for cell in line.split("  ") if cell.strip()] == [
        "history", "a whole number >= 1", "5", "shown items, the newest last",
    ]  # fmt: skip
    example = out[out.index("\ndata:") :]
    assert parse(example, "out").plain() == {"data": {"use": "toy_data", "history": 5, "path": None, "header": False}}


def test_describe_shows_required_options_and_finds_bare_and_plural_names(polo):
    for name in ("sampler/toy_wrapper", "samplers/toy_wrapper", "toy_wrapper", "sampler/toy_plugin.py/toy_wrapper"):
        code, out, _ = polo("describe", name, "--plugin", TOY)
        assert code == 0
        assert "from    a sampler  required  the sampler that draws" in out
    found = json.loads(polo("describe", "loss/toy_loss", "--json", "--plugin", TOY)[1])
    assert found["options"][0] == {
        "name": "tau", "type": "a number > 0", "required": False, "default": 1.0, "meaning": "",
    }  # fmt: skip
    code, _, err = polo("describe", "loss/toy_los", "--plugin", TOY)
    assert code == 2
    assert "did you mean 'toy_loss'?" in err


def test_describe_shows_what_a_mapping_inside_an_option_holds(polo):
    _, out, _ = polo("describe", "loss/sum")
    rows = [" ".join(line.split()) for line in out.splitlines()]
    assert "of[].loss a loss required the head of this term" in rows
    assert "of[].weight a number > 0 1.0 factor of this term" in rows
    assert not any(row.startswith("of[].loss.") for row in rows), "a component's options are its own"
    (term,) = parse(out[out.index("\nloss:") :], "out").plain()["loss"]["of"]
    assert term["loss"]["use"] in [item["name"] for item in json.loads(polo("ls", "losses", "--json")[1])]
    (option,) = json.loads(polo("describe", "loss/sum", "--json")[1])["options"]
    assert [item["name"] for item in option["options"]] == ["loss", "weight"]
    assert "lora.r a whole number >= 1 8 rank of each adapter" in [
        " ".join(line.split()) for line in polo("describe", "policy/causal_lm")[1].splitlines()
    ]


def test_the_schema_covers_components_and_says_what_the_loader_says(polo, tmp_path):
    code, out, _ = polo("schema", "--plugin", TOY)
    assert code == 0
    schema = json.loads(out)
    assert schema["$schema"] == "http://json-schema.org/draft-07/schema#"
    losses = schema["definitions"]["loss"]["anyOf"]
    tau = next(
        item["properties"] for item in losses if item.get("properties", {}).get("use", {}).get("const") == "toy_loss"
    )
    assert tau["tau"] == {"type": "number", "exclusiveMinimum": 0, "default": 1.0}
    assert "toy_bare" in losses[0]["enum"]
    assert "toy_sum" not in losses[0]["enum"]  # it has a required option
    names = set()

    def refs(part):
        if isinstance(part, dict):
            names.update([part["$ref"]] if isinstance(part.get("$ref"), str) else [])
            for item in part.values():
                refs(item)
        elif isinstance(part, list):
            for item in part:
                refs(item)

    refs(schema)
    assert {name.removeprefix("#/definitions/") for name in names} <= set(schema["definitions"])
    assert polo("schema", "-o", tmp_path / "schema.json")[0] == 0
    assert json.loads((tmp_path / "schema.json").read_text())["title"] == "polo recipe"
    assert polo("schema", "-o", tmp_path / "no" / "x")[0] == 2


def test_every_first_party_component_can_be_described(polo):
    from polo.plugin.load import load_plugins

    catalogue = load_plugins().catalogue
    for kind in KINDS:
        for entry in catalogue.entries(kind):
            code, _, err = polo("describe", f"{kind}/{entry.name}")
            assert (code, err) == (0, ""), f"{kind}/{entry.name}"


@pytest.mark.parametrize("file", sorted(Path("recipes").glob("*.yaml")), ids=lambda file: file.stem)
def test_every_shipped_recipe_is_valid_in_every_profile(polo, file):
    for profile in ("auto", "none"):
        code, _, err = polo("validate", file, "--profile", profile)
        assert code == 0, err


def test_a_plugins_command_is_imported_when_it_is_used(tmp_path, monkeypatch):
    site = tmp_path / "site"
    (site / "polo_plugin_hi-1.dist-info").mkdir(parents=True)
    (site / "polo_plugin_hi-1.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: polo-plugin-hi\nVersion: 1\n"
    )
    (site / "polo_plugin_hi-1.dist-info" / "entry_points.txt").write_text("[polo]\nhi = hi_plugin\n")
    (site / "hi_plugin.py").write_text(
        "from polo import hookimpl\n@hookimpl\ndef polo_cli_commands(): return {'greet': 'hi_command:greet'}\n"
    )
    (site / "hi_command.py").write_text(
        "def greet(name: str) -> None:\n    '''Say hello.'''\n    print('hello', name)\n"
    )
    environment = {"PYTHONPATH": str(site), "PATH": "", "HOME": str(tmp_path)}

    def run(*words: str) -> str:
        code = "from polo.cli import main; import sys; main(sys.argv[1:])"
        done = subprocess.run(
            [sys.executable, "-c", code, *words], capture_output=True, text=True, check=True, env=environment
        )
        return done.stdout

    assert run("greet", "you") == "hello you\n"
    assert "Say hello." in run("--help")


def test_ctrl_c_gives_130_and_other_errors_keep_their_traceback(polo, monkeypatch):
    import polo.cli.ls as module

    def stopped(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "open_plugins", stopped)
    code, _, err = polo("ls")
    assert code == 130
    assert "interrupted" in err

    def wrong(*args):
        raise ZeroDivisionError

    monkeypatch.setattr(module, "open_plugins", wrong)
    with pytest.raises(ZeroDivisionError):
        main(["ls"])


def test_unknown_commands_and_missing_words_give_exit_2(polo):
    assert polo("no_such_command")[0] == 2
    assert polo("validate")[0] == 2


def test_hidden_gpus_do_not_count(no_gpu):
    assert has_gpu() is False


def test_commands_that_are_not_there_are_not_listed(monkeypatch):
    import polo.cli as module

    monkeypatch.setattr(module, "COMMANDS", {"ls": "polo.cli.ls:ls", "gone": "polo.cli.gone:gone"})
    group = Commands(name="polo")
    assert group.list_commands(None) == ["ls"]
    assert group.get_command(None, "gone") is None


def test_advice_on_going_on_has_one_word(polo):
    """Messages name ``--resume``; ``--continue`` is said where that option itself is declared, nowhere else."""
    said = [path.name for path in Path("polo").rglob("*.py") if "--continue" in path.read_text("utf-8")]
    assert said == ["run.py"]
    assert "--resume with the newest" in " ".join(polo("run", "--help")[1].split())
