"""Manifests: judged as a whole, every fault with its place; maps that ask for music; the schema for editors."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nesasset.build import manifest as manifests
from nesasset.build import project, start
from nesasset.build.cache import Cache
from nesasset.build.engines import BUILT_IN
from nesasset.compose.controls import Controls
from nesasset.errors import ManifestError

ROOT = Path(__file__).parent.parent
HEAD = "schema = 1\n[pack]\nname = 'n'\n"


def faults(text: str) -> list[str]:
    with pytest.raises(ManifestError) as caught:
        manifests.loads(text, "m.toml")
    return str(caught.value).splitlines()


def test_all_faults_are_reported_with_their_lines() -> None:
    """Every fault has its line and its sentence, in the order of the lines."""
    text = (
        "schema = 2\n[pack]\nnam = 'x'\nrate = 22050\n[defaults]\ntempo = 1000\n[track.con]\ntheme = 'castel'\nbar = 3\n"
        "[track.'A/b']\ntheme = 'cave'\nseed = -1\nbars = 2.5\n[track.c]\nkey = 'H'\nmode = 3\n"
    )
    assert faults(text) == [
        "m.toml:1: schema: this nesasset reads schema 1, not 2",
        "m.toml:2: pack.name is missing",
        "m.toml:3: unknown key pack.nam, did you mean name?",
        "m.toml:4: pack.rate must be 44100 or 48000, not 22050",
        "m.toml:6: defaults.tempo: tempo_bpm must be between 30 and 300, not 1000.0",
        "m.toml:7: track.con: 'con' is a reserved name on Windows, choose another track id",
        "m.toml:8: track.con.theme: unknown theme 'castel', did you mean castle or chase or cave?",
        "m.toml:9: unknown key track.con.bar, did you mean bars?",
        (
            "m.toml:10: track.A/b: a track id has 1 to 64 of a-z, 0-9, - and _ and starts with a letter or digit, "
            "not 'A/b': it becomes a file name"
        ),
        "m.toml:12: track.A/b.seed: seed must be between 0 and 9223372036854775807, not -1",
        "m.toml:13: track.A/b.bars must be a whole number, not 2.5",
        "m.toml:14: track.c.theme is missing",
        "m.toml:15: track.c.key: key must be a note name such as C, F# or Bb, not 'H'",
        "m.toml:16: track.c.mode must be a text in quotes, not 3",
    ]


@pytest.mark.parametrize(
    "track_id", ["aux", "NUL", "com1", "lpt9", "a.b", "..", "a/b", "a\\b", "-x", "ü", "a" * 65, "pack", ""]
)
def test_unsafe_track_ids_are_refused(track_id: str) -> None:
    """An id that is no safe file name somewhere is refused everywhere."""
    (line,) = faults(f"schema = 1\n[pack]\nname = 'n'\n[track.{json.dumps(track_id)}]\ntheme = 'cave'\n")
    assert "track id" in line or "choose another" in line


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "m.toml: schema = 1 is missing"),
        ("schema = true\n[pack]\nname='n'\n[track.a]\ntheme='cave'", "m.toml:1: schema must be a whole number, not True"),
        ("schema = 1\n[pack\n", "m.toml: not valid TOML: Expected ']' at the end of a table declaration (at line 2, column 6)"),
        ("schema = 1\npack = 3\n[track.a]\ntheme='cave'", "m.toml:2: pack must be a table, not 3"),
        ("schema = 1\n[pack]\nname='n'", "m.toml: a table [track.ID] for each track is missing"),
        ("schema = 1\n[pack]\nname='n'\n[track]", "m.toml:4: a table [track.ID] for each track is missing"),
        ("schema = 1\n[pack]\nname='n'\n[tracks.a]\ntheme='cave'", "m.toml:4: unknown key tracks, did you mean track or pack?"),
        ("a=" + "[" * 9999, "m.toml: not valid TOML: "),
        ("schema = " + "9" * 9999, "m.toml: not valid TOML: "),
    ],
)
def test_broken_manifests_get_their_sentence(text: str, sentence: str) -> None:
    """A file that is no manifest is refused in words."""
    assert any(line.startswith(sentence) for line in faults(text)), faults(text)


def test_a_manifest_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    """A missing file, a folder and a file that is no text are each refused."""
    (tmp_path / "latin.toml").write_bytes(b"schema = 1 # \xe9")
    for path in (tmp_path / "none.toml", tmp_path, tmp_path / "latin.toml"):
        with pytest.raises(ManifestError):
            manifests.load(path)


def test_the_quickstart_is_a_manifest() -> None:
    """The example in the documents is accepted and has eight tracks."""
    assert len(manifests.load(ROOT / "examples/quickstart/nesasset.toml").track) == 8


def test_own_wishes_go_before_defaults() -> None:
    """A track's wish replaces the default, other defaults stay."""
    text = f"{HEAD}[defaults]\nbars = 4\n[track.town]\ntheme = 'town'\n[track.boss]\ntheme = 'boss'\ntempo = 180\nbars = 8\nkey = 'Eb'\n"
    manifest = manifests.loads(text)
    assert manifest.controls("boss") == Controls(bars=8, tempo_bpm=180, key="D#")
    assert manifest.controls("town") == Controls(bars=4)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[export.gdoot]", "m.toml:6: export.gdoot: unknown engine 'gdoot', did you mean godot?"),
        ("[export.godot]\nformat = 'wav'", "m.toml:7: export.godot.format: Godot 4 takes ogg, not 'wav'"),
        ("[export.godot]\nformat = 'mp3'", "m.toml:7: export.godot.format must be 'ogg', 'wav' or 'flac', not 'mp3'"),
        ("[export.godot]\nformat = 'ogv'", "m.toml:7: export.godot.format must be 'ogg', 'wav' or 'flac', not 'ogv', did you mean ogg?"),
        ("[export.godot]\nquality = 2", "m.toml:7: export.godot.quality must be at most 1, not 2"),
        ("[export.godot]\nrates = [8000]", "m.toml:7: export.godot.rates.0 must be 44100 or 48000, not 8000"),
        ("[export.godot]\nrates = []", "m.toml:7: export.godot.rates must have at least 1 entries, not []"),
        ("[export.godot]\ntracks = ['x*']", "m.toml:7: export.godot.tracks: no track is named x*; there are a"),
        ("[export.godot]\nstem = true", "m.toml:7: unknown key export.godot.stem, did you mean stems or rates?"),
        ("[export.godot]\ndir = '/music'", "m.toml:7: export.godot.dir: a path must be relative to the manifest and have / between folders, not '/music'"),
        ("[export.godot]\ndir = 'C:/music'", "m.toml:7: export.godot.dir: a path must be relative to the manifest and have / between folders, not 'C:/music'"),
        ("[export.godot]\n[export.pygame]", "m.toml:7: export.pygame: the folder 'music' is that of [export.godot] too; give each its own dir"),
        ("[export.phaser]\nstems = true", "m.toml:6: export.phaser: Phaser 3 gets one file with all tracks: stems, outro, fade and several rates are not for it"),
        ("[quality]\nloudness = 3", "m.toml:7: quality.loudness must be at most -8, not 3"),
        ("[quality]\nloudnes = -20", "m.toml:7: unknown key quality.loudnes, did you mean loudness?"),
        ("[sources]\nmaps = ['../x/*.tmx']\nseed = 'name'", "m.toml:8: sources.seed must be 'id' or 'map', not 'name'"),
    ],
)  # fmt: skip
def test_faults_of_exports_and_gates_have_their_place(text: str, sentence: str) -> None:
    """Every table beside the tracks is judged, each fault with line, key and what is allowed."""
    assert faults(f"{HEAD}[track.a]\ntheme = 'cave'\n{text}\n") == [sentence]


def test_two_ids_that_an_engine_cannot_tell_apart_are_refused() -> None:
    """Where names lose their hyphens two tracks must not end up in one file."""
    (line,) = faults(f"{HEAD}[track.a-b]\ntheme = 'cave'\n[track.a_b]\ntheme = 'cave'\n[export.godot]\n")
    assert line == "m.toml:6: track.a_b: Godot 4 would give it the same file as a-b; change one of the ids"


def test_wishes_that_do_not_agree_are_all_told() -> None:
    """A form that does not fit the bars is a fault of each track that asks for both, at its own line."""
    text = f"{HEAD}[track.a]\ntheme = 'cave'\nform = 'ABA'\nbars = 4\n[track.b]\ntheme = 'cave'\nform = 'ABAB'\nbars = 2\n"
    lines = faults(text)
    assert [line.partition(": ")[0] for line in lines] == ["m.toml:4", "m.toml:8"]
    assert "cannot be shared evenly" in lines[0]


def test_a_table_in_pyproject_is_a_manifest(tmp_path: Path) -> None:
    """[tool.nesasset] of a pyproject.toml is found from a folder below, and its faults have that file's lines."""
    text = "[project]\nname = 'x'\n\n[tool.nesasset]\nschema = 1\n[tool.nesasset.pack]\nname = 'n'\n[tool.nesasset.track.a]\ntheme = 'cave'\n"
    path = tmp_path / "pyproject.toml"
    path.write_text(text)
    assert list(project.load(path).orders) == ["a"]
    path.write_text(text.replace("cave", "cav"))
    with pytest.raises(ManifestError, match=r"pyproject.toml:9: track.a.theme: unknown theme 'cav', did you mean cave"):
        project.load(path)
    path.write_text("[project]\nname = 'x'\n")
    with pytest.raises(ManifestError, match=r"pyproject.toml has no table \[tool.nesasset\]"):
        project.load(path)


def test_the_nearest_manifest_is_found(tmp_path: Path, monkeypatch) -> None:
    """Without -m the manifest of this folder or of the nearest above is taken."""
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "nesasset.toml").write_text(f"{HEAD}[track.a]\ntheme = 'cave'\n")
    monkeypatch.chdir(tmp_path / "a/b")
    assert project.find(None).resolve() == tmp_path / "nesasset.toml"
    (tmp_path / "nesasset.toml").unlink()
    with pytest.raises(ManifestError, match=r"no manifest: there is no nesasset.toml here or in a folder above; nesasset init writes one"):
        project.find(None)


def test_a_judged_manifest_is_not_judged_again(tmp_path: Path, cache_folder: Path, run_python) -> None:
    """What a manifest says is kept, so that a check loads neither pydantic nor numpy; a change is judged anew."""
    path = tmp_path / "nesasset.toml"
    path.write_text(f"{HEAD}[track.a]\ntheme = 'cave'\ntempo = 120\n[export.godot]\n")
    first = project.load(path, None, Cache(cache_folder))
    assert project.load(path, None, Cache(cache_folder)) == first
    program = (
        "import sys\nfrom pathlib import Path\nfrom nesasset.build import plan, project\nfrom nesasset.build.cache import Cache, default_folder\n"
        "plan.make(project.load(Path(sys.argv[1]), None, Cache(default_folder())))\nprint(*[name for name in ('numpy', 'pydantic', 'onnxruntime', 'PIL') if name in sys.modules])"
    )
    done = run_python(program, str(path))
    assert (done.stdout, done.stderr) == ("\n", "")
    path.write_text(f"{HEAD}[track.a]\ntheme = 'cav'\n")
    with pytest.raises(ManifestError):
        project.load(path, None, Cache(cache_folder))


# Maps.


def tiled(**properties: object) -> dict:
    kinds = {str: "string", float: "float", int: "int"}
    listed = [{"name": name, "type": kinds[type(value)], "value": value} for name, value in properties.items()]
    return {"type": "map", "width": 2, "height": 1, "layers": [{"type": "tilelayer", "data": [1, 2]}], "properties": listed}


def ldtk(**fields: object) -> dict:
    instances = [{"__identifier": name, "__type": "String", "__value": value} for name, value in fields.items()]
    return {"jsonVersion": "1.5.3", "levels": [{"identifier": "Level_0", "pxWid": 16, "pxHei": 16, "fieldInstances": instances, "layerInstances": []}]}


def tmx(theme: str) -> str:
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<map version="1.10" width="2" height="1"><properties>'
        f'<property name="music_theme" value="{theme}"/><property name="music_intensity" type="float" value="0.25"/></properties>'
        '<layer id="1" width="2" height="1"><data encoding="csv">1,2</data></layer></map>'
    )


@pytest.fixture
def world(tmp_path: Path) -> Path:
    """A project with a map of each kind."""
    (tmp_path / "maps").mkdir()
    (tmp_path / "maps/OldCave.tmj").write_text(json.dumps(tiled(music_theme="cave", music_intensity=0.5)))
    (tmp_path / "maps/town.tmx").write_text(tmx("town"))
    (tmp_path / "maps/silent.tmj").write_text(json.dumps(tiled(other="x")))
    (tmp_path / "world.ldtk").write_text(json.dumps(ldtk(music_theme="boss", music_seed=9)))
    write(tmp_path)
    return tmp_path


def write(folder: Path, seed: str = "id", more: str = "") -> None:
    text = f"{HEAD}[defaults]\nbars = 4\n[sources]\nmaps = ['maps/*.tm?', 'world.ldtk']\nseed = '{seed}'\n{more}"
    (folder / "nesasset.toml").write_text(text)


def test_maps_ask_for_their_music(world: Path) -> None:
    """Tiled's JSON and XML and LDtk's levels become tracks, named after the level, with the defaults."""
    orders = project.load(world / "nesasset.toml").orders
    assert {name: (order.theme, order.controls.intensity, order.controls.bars) for name, order in orders.items()} == {
        "old-cave": ("cave", 0.5, 4),
        "town": ("town", 0.25, 4),
        "level-0": ("boss", None, 4),
    }
    assert orders["level-0"].seed == 9


def test_a_level_keeps_its_seed(world: Path) -> None:
    """The seed follows the level's name, or the tiles of its map, and nothing else."""

    def seed() -> int:
        return project.load(world / "nesasset.toml").orders["old-cave"].seed

    by_name = seed()
    changed = tiled(music_theme="cave", music_intensity=0.1)
    changed["layers"][0]["data"] = [2, 2]
    (world / "maps/OldCave.tmj").write_text(json.dumps(changed))
    assert seed() == by_name
    write(world, "map")
    by_tiles = seed()
    (world / "maps/OldCave.tmj").write_text(json.dumps(tiled(music_theme="cave")))
    assert seed() != by_tiles


def test_the_manifests_own_track_goes_before(world: Path) -> None:
    """A [track.ID] of a level's name says everything about it."""
    write(world, more="[track.town]\ntheme = 'shop'\nseed = 4\n")
    order = project.load(world / "nesasset.toml").orders["town"]
    assert (order.theme, order.seed, order.controls.intensity) == ("shop", 4, None)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("maps/x.tmj", json.dumps(tiled(music_theme="cav")), "maps/x.tmj: unknown theme 'cav', did you mean cave"),
        ("maps/x.tmj", json.dumps(tiled(music_theme="cave", music_intensity=7.0)), "maps/x.tmj: intensity must be between 0 and 1, not 7.0"),
        ("maps/x.tmj", json.dumps(tiled(music_intensity=0.5)), "maps/x.tmj: it has music_intensity but no music_theme; add one, or remove the others"),
        ("maps/x.tmj", json.dumps(tiled(music_theme="cave", music_seed="3")), "maps/x.tmj: music_seed must be a whole number, not '3'"),
        ("maps/x.tmj", json.dumps(tiled(music_theme="cave", music_id="town")), "maps/x.tmj: its track 'town' is that of"),
        ("maps/x.tmj", "{", "maps/x.tmj: the map is no JSON (JSONDecodeError); save it again"),
        ("maps/x.tmj", "[" * 99999, "maps/x.tmj: the map is no JSON (RecursionError); save it again"),
        ("maps/x.tmj", "[]", "maps/x.tmj: a map must be a JSON object, not list; save it again"),
        ("maps/x.tmx", "<map", "maps/x.tmx: the map is no XML"),
        ("maps/x.tmx", "<tileset/>", "maps/x.tmx: a .tmx begins with <map>, not <tileset>; save it with Tiled"),
        ("maps/x.tmx", '<!DOCTYPE a [<!ENTITY b "c">]><map>&b;</map>', "maps/x.tmx: a map must not declare a document type or entities"),
        ("world.ldtk", json.dumps({"levels": [3]}), "world.ldtk: a level must be a JSON object"),
        ("world.ldtk", json.dumps({"levels": [{"identifier": "A", "externalRelPath": "../../etc/passwd"}]}), "world.ldtk: a level's file must lie beside its project"),
        ("world.ldtk", json.dumps({"levels": [{"identifier": "A", "externalRelPath": "none.ldtkl"}]}), "cannot read"),
    ],
)  # fmt: skip
def test_broken_maps_get_their_sentence(world: Path, name: str, content: str, sentence: str) -> None:
    """A map that cannot be read, or asks for what nobody has, is told with its file."""
    (world / name).write_text(content)
    with pytest.raises(ManifestError) as caught:
        project.load(world / "nesasset.toml")
    assert any(sentence in line for line in str(caught.value).splitlines()), str(caught.value)


def test_maps_that_are_not_there_are_told(tmp_path: Path) -> None:
    """A pattern without files, and maps without music, are faults."""
    write(tmp_path)
    with pytest.raises(ManifestError, match=r"sources.maps: no file is named 'maps/\*.tm\?'"):
        project.load(tmp_path / "nesasset.toml")
    (tmp_path / "nesasset.toml").write_text(f"{HEAD}[sources]\nmaps = ['a.tmj']\n")
    (tmp_path / "a.tmj").write_text("{}")
    with pytest.raises(ManifestError, match=r"no map of \[sources\] has a music_theme"):
        project.load(tmp_path / "nesasset.toml")


# The schema.

GOOD = f"{HEAD}rate = 48000\n[track.a]\ntheme = 'cave'\ntempo = 120.5\n[export.godot]\ndir = 'music'\n[quality]\nloudness = -20\n"
BAD = GOOD.replace("theme = 'cave'", "theme = 'cav'").replace("tempo", "tmepo").replace("[export.godot]", "[export.gdoot]")


@pytest.fixture(scope="module")
def schema(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("schema") / "nesasset.schema.json"
    path.write_text(json.dumps(manifests.json_schema()))
    return path


def test_the_schema_agrees_with_another_reader(schema: Path, tmp_path: Path) -> None:
    """check-jsonschema accepts what we accept and finds three planted faults."""
    pytest.importorskip("check_jsonschema", reason="check-jsonschema is not installed")
    for text, code in ((GOOD, 0), (BAD, 1)):
        (tmp_path / "nesasset.toml").write_text(text)
        command = [sys.executable, "-m", "check_jsonschema", "--schemafile", str(schema), str(tmp_path / "nesasset.toml")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stdout
    assert all(word in done.stdout for word in ("cav", "tmepo", "gdoot"))


def test_an_editor_finds_faults_by_the_schema(schema: Path, tmp_path: Path) -> None:
    """taplo, which editors use, accepts a good manifest and names line and column of a fault in a bad one."""
    taplo = shutil.which("taplo", path=f"{Path(sys.executable).parent}") or shutil.which("taplo")
    if taplo is None:
        pytest.skip("taplo is not installed")
    for text, code in ((GOOD, 0), (BAD, 1)):
        path = tmp_path / "nesasset.toml"
        path.write_text(f"#:schema {schema.as_uri()}\n{text}")
        done = subprocess.run([taplo, "lint", str(path)], capture_output=True, text=True, check=False, cwd=tmp_path)
        assert done.returncode == code, done.stderr
    assert "nesasset.toml:" in done.stderr


def test_the_schema_names_every_key_and_engine() -> None:
    """No key and no engine is missing, and every key is explained."""
    found = manifests.json_schema()
    assert set(found["properties"]["export"]["properties"]) >= set(BUILT_IN)
    tables = {"Pack": manifests.Pack, "Track": manifests.Track, "Export": manifests.Export, "Quality": manifests.Quality}
    for name, table in tables.items():
        properties = found["$defs"][name]["properties"]
        assert set(properties) == {field.alias or key for key, field in table.model_fields.items()}
        assert all("description" in entry for entry in properties.values()), name
    assert "null" not in json.dumps(found)


# init


@pytest.mark.parametrize(
    ("name", "content", "engine"),
    [
        ("project.godot", "", "godot"),
        ("game.yyp", "", "gamemaker"),
        ("game.project", "", "defold"),
        ("main.lua", "function love.load() end", "love"),
        ("main.lua", "print(1)", "plain"),
        ("Cargo.toml", "bevy = '0.15'", "bevy"),
        ("package.json", '{"dependencies": {"phaser": "3"}}', "phaser"),
        ("game/script.rpy", "", "renpy"),
        ("main.py", "import pygame", "pygame"),
        ("Game.rpgproject", "", "rpgmaker"),
        ("ProjectSettings/ProjectVersion.txt", "", "unity"),
        ("a.csproj", "MonoGame.Framework", "monogame"),
        ("notes.txt", "godot", "plain"),
    ],
)
def test_the_engine_is_told_from_the_games_files(tmp_path: Path, name: str, content: str, engine: str) -> None:
    """A folder with a game says what it is made with."""
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text(content)
    assert start.guess_engine(tmp_path)[0] == engine


@pytest.mark.parametrize("engine", BUILT_IN)
def test_a_first_manifest_is_one(engine: str) -> None:
    """What init writes is accepted, for every engine, with any name and a theme that comes twice."""
    text = start.manifest_text('A "game" \\ of\tmine', engine, ["cave", "cave", "boss"], None, "Ä")
    made = manifests.loads(text)
    assert (list(made.track), list(made.export), made.pack.name) == (["cave", "cave-2", "boss"], [engine], 'A "game" \\ of\tmine')


def test_init_writes_one_manifest_and_never_over_another(run, tmp_path: Path, monkeypatch) -> None:
    """Without a terminal nothing is asked; what is there stays."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "project.godot").write_text("")
    assert run("init", "--themes", "cave, boss", "--schema") == (0, "nesasset.toml: 2 tracks for godot. Next: nesasset build\n", "")
    assert json.loads((tmp_path / "nesasset.schema.json").read_text())["title"] == "nesasset manifest"
    before = (tmp_path / "nesasset.toml").read_bytes()
    code, _, errors = run("init")
    assert (code, errors) == (1, "nesasset: nesasset.toml is there already and is not overwritten: edit it, or name another file with -o\n")
    assert (tmp_path / "nesasset.toml").read_bytes() == before


@pytest.mark.skipif(os.name == "nt", reason="a terminal is made of a pseudo-terminal here")
def test_init_asks_three_questions_on_a_terminal(tmp_path: Path) -> None:
    """A person presses Enter three times and has a manifest for the engine that the files tell."""
    import pty

    (tmp_path / "main.lua").write_text("love.graphics")
    ours, theirs = pty.openpty()
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    program = subprocess.Popen([sys.executable, "-m", "nesasset", "init"], cwd=tmp_path, stdin=theirs, stdout=subprocess.PIPE, text=True, env=environment)
    os.write(ours, b"\n\n\n")
    output, _ = program.communicate(timeout=60)
    os.close(ours)
    os.close(theirs)
    assert program.returncode == 0
    assert [question in output for question in ("Engine (main.lua tells) [love]", "Name of the game", "Themes, one track each")] == [True] * 3
    assert list(project.load(tmp_path / "nesasset.toml").orders) == list(start.DEFAULT_THEMES)


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["--engine", "gdoot"], 2, "unknown engine 'gdoot', did you mean godot?"),
        (["--themes", "cav"], 2, "unknown theme 'cav', did you mean cave"),
        (["--themes", " , "], 2, "--themes must name at least one theme"),
        (["--name", "x" * 200], 2, "pack.name must have at most 100 letters"),
        (["--dir", "/music"], 2, "a path must be relative to the manifest"),
    ],
)
def test_init_says_what_is_wrong(run, tmp_path: Path, monkeypatch, arguments: list[str], code: int, sentence: str) -> None:
    """A wrong option is one sentence, and no file is written."""
    monkeypatch.chdir(tmp_path)
    found, _, errors = run("init", *arguments)
    assert found == code
    assert sentence in errors
    assert not list(tmp_path.iterdir())
