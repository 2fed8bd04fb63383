"""Options of a run from a TOML file, from --set and from the command line, the later before the earlier."""

from __future__ import annotations

import argparse
import tomllib
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from .. import _core
from .._arguments import _parse
from .._search import advice
from .errors import UserError
from .options import LOSSES, OPTIMIZERS, Kind, parsers, shown

CALLBACKS = {  # tables with their arguments, in the order of the list
    "ema": "EMA",
    "swa": "SWA",
    "early_stopping": "EarlyStopping",
    "tensorboard": "TensorBoard",
}
TABLES = ("loss", "optimizer", *CALLBACKS)
_SHORT = {"lr": "optimizer", "weight_decay": "optimizer", "patience": "early_stopping"}  # and their tables
_OF_TRAIN = ("sampler", "tensorboard")
_OF_THE_COMMAND = ("metrics", "seed")  # arguments of Trainer that are options as well


def trainer_arguments() -> list[str]:
    """What Trainer takes by name, and a file under the same name."""
    parameters = _parse((_core.Trainer.__init__.__doc__ or "").partition("\n")[0])[0]
    return [p.name for p in parameters if p.keyword_only and p.name not in _OF_THE_COMMAND]


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The options of a command line, with those of its file and the defaults where it gives none."""
    parser, commands = parsers()
    actions = {name: _actions(command) for name, command in commands.items()}
    defaults = {
        name: {key: action.default for key, action in taken.items()} for name, taken in actions.items()
    }
    for taken in actions.values():
        for action in taken.values():
            action.default = argparse.SUPPRESS  # what is there afterwards has been given
    given = vars(parser.parse_args(argv))
    command = given.get("command")
    if command is None:
        return argparse.Namespace(**given)
    options: dict[str, Any] = dict(defaults[command])
    if command not in ("train", "cv"):
        return argparse.Namespace(**{**options, **given})
    options |= {"file": None, "trainer": {}, "class_weights": None, "shuffle": True}
    options |= {"loss_table": {}, "optimizer_table": {}}
    options |= {f"{table}_table": None for table in CALLBACKS}  # an empty one asks for a callback, too
    known = {key: action for taken in (actions["cv"], actions["train"]) for key, action in taken.items()}
    options["notes"] = []
    for source in _sources(given):
        _merge(options, source, known, set(actions[command]), command)
    if "optimizer" in given:
        options["optimizer_table"] = {}  # another optimizer's arguments are not its own
    for option, argument in (("lr", "lr"), ("weight_decay", "weight_decay")):
        if option in given:
            options["optimizer_table"].pop(argument, None)
    if "loss" in given:
        options["loss_table"] = {}
    if "class_weight" in given:
        options["class_weights"] = None
    options |= given
    if "checkpoint_every" in given and options["checkpoints"] is None:
        raise UserError("--checkpoint-every is for --checkpoints FOLDER; name a folder, too")
    return argparse.Namespace(**options)


def _actions(command: argparse.ArgumentParser) -> dict[str, argparse.Action]:
    return {action.dest: action for action in command._actions if action.dest != "help"}


class _Source:
    """Keys and values of one place: a file, or the arguments of --set."""

    def __init__(self, name: str, values: dict[str, Any], folder: Path | None) -> None:
        self.name, self.values, self.folder = name, values, folder


def _sources(given: dict[str, Any]) -> list[_Source]:
    files = [name for name in given.get("files", []) if name.lower().endswith(".toml")]
    if len(files) > 1:
        raise UserError(f"{files[1]}: one file of options is read, {files[0]} is another")
    sources = []
    if files:
        given["files"].remove(files[0])
        if not given["files"]:
            del given["files"]
        sources.append(_Source(files[0], _read(Path(files[0])), Path(files[0]).parent))
    for text in given.get("set", []):
        sources.append(_Source("--set", _line(text), None))
    return sources


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not a TOML file: {error}") from None


def _line(text: str) -> dict[str, Any]:
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise UserError(f"--set: expected KEY=VALUE, such as optimizer.momentum=0.9, got {text!r}")
    try:
        return tomllib.loads(f"{key} = {value}")
    except tomllib.TOMLDecodeError:
        pass
    try:  # a word needs no quotes here
        quoted = value.strip().replace("\\", "\\\\").replace('"', '\\"')
        return tomllib.loads(f'{key} = "{quoted}"')
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"--set: {text!r} is not a line of a TOML file: {error}") from None


def _merge(
    options: dict[str, Any],
    source: _Source,
    known: dict[str, argparse.Action],
    own: Collection[str],
    command: str,
) -> None:
    """Put what a source holds into the options; keys of the other command are checked, too."""
    trainer = trainer_arguments()
    keys = {_key(name): name for name in known if name not in ("set", "force")}
    if source.folder is not None:
        options["file"] = source.name
    for key, value in source.values.items():
        where = f"{source.name}: {key}"
        left = command == "cv" and source.folder is not None and key in _OF_TRAIN
        if left:
            options["notes"].append(f"{where} is for chainrule train, and left alone")
        if key in CALLBACKS:
            if left:
                _merge_callback({f"{key}_table": None}, key, value, where)  # is checked all the same
                continue
            _merge_callback(options, key, value, where)
            if source.folder is not None and isinstance(value.get("folder"), str):
                options[f"{key}_table"]["folder"] = _beside(source.folder, value["folder"])
        elif key in TABLES:
            _merge_table(options, key, value, where)
        elif key == "class_weight":
            before = options["class_weights"]
            options["class_weight"], weights = _class_weight(value, where)
            options["class_weights"] = weights if weights is None else {**(before or {}), **weights}
        elif key == "shuffle":
            options[key] = _boolean(value, where)
        elif key in keys:
            name = keys[key]
            read = _value(known[name], key, value, where)
            if source.folder is not None and name in ("files", "test", "out", "checkpoints"):
                read = _beside(source.folder, read)
            if name in own and not left:
                options[name] = read
        elif key in trainer:
            options["trainer"][key] = value
        else:
            everything = [*keys, *trainer, *TABLES, "shuffle"]
            raise UserError(f"{source.name}: there is no option {key}; {advice(key, everything)}")
    for key, table in _SHORT.items():
        values = source.values.get(table)
        inside = isinstance(values, dict) and key in values
        if key in source.values and inside:
            raise UserError(f"{source.name}: {key} is given twice, in [{table}] as well; leave one away")
        if inside:  # the later one counts
            options[key] = None
        elif key in source.values:
            (options[f"{table}_table"] or {}).pop(key, None)


def _merge_table(options: dict[str, Any], key: str, value: Any, where: str) -> None:
    table = options[f"{key}_table"]
    if isinstance(value, str):
        value = {"name": value}
    if not isinstance(value, dict):
        raise UserError(f"{where}: must be a name or a table with one, got {shown(value)}")
    if "name" in value:
        name = value["name"]
        if not isinstance(name, str):
            raise UserError(f"{where}.name: must be a name, got {shown(name)}")
        choices = LOSSES if key == "loss" else OPTIMIZERS
        known = {choice.lower(): choice for choice in choices}
        if name.lower() not in known:
            names = [made.__name__ for made in choices.values()]
            raise UserError(f"{where}: there is no {shown(name)}; {advice(name, names)}")
        table.clear()
        options[key] = known[name.lower()]
    _deeply(table, {argument: given for argument, given in value.items() if argument != "name"})


def _merge_callback(options: dict[str, Any], key: str, value: Any, where: str) -> None:
    if not isinstance(value, dict):
        raise UserError(f"{where}: must be a table, got {shown(value)}")
    options[f"{key}_table"] = _deeply(options[f"{key}_table"] or {}, value)


def _deeply(table: dict[str, Any], value: dict[str, Any]) -> dict[str, Any]:
    """Put a later source's values into a table and those in it; another schedule is a table anew."""
    for key, given in value.items():
        before = table.get(key)
        if isinstance(before, dict) and isinstance(given, dict) and "schedule" not in given:
            _deeply(before, given)
        else:
            table[key] = given
    return table


def _class_weight(value: Any, where: str) -> tuple[str | None, dict[str, float] | None]:
    if value == "balanced":
        return value, None
    if not isinstance(value, dict):
        raise UserError(f'{where}: must be "balanced" or a table of classes, got {shown(value)}')
    for name, weight in value.items():
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight < float("inf"):
            raise UserError(f"{where}.{name}: must be a number of at least 0, got {shown(weight)}")
    return None, {name: float(weight) for name, weight in value.items()}


def _key(name: str) -> str:
    """What an option is called in a file: a no_... is asked the other way round."""
    return "data" if name == "files" else name.removeprefix("no_")


def _value(action: argparse.Action, key: str, value: Any, where: str) -> Any:
    if action.nargs == 0:
        given = _boolean(value, where)
        return not given if action.dest != key else given
    if action.choices is not None:
        choices = [str(choice) for choice in action.choices]
        if value not in choices:
            near = advice(value, choices) if isinstance(value, str) else f"write one of {', '.join(choices)}"
            raise UserError(f"{where}: there is no {shown(value)}; {near}")
        return value
    kind = action.type
    if not isinstance(kind, Kind):
        many = action.nargs is not None
        kind = Kind("a list of names" if many else "a name", str, str, many=many)
    try:
        return kind.of(value)
    except argparse.ArgumentTypeError as error:
        raise UserError(f"{where}: {error}") from None


def _boolean(value: Any, where: str) -> bool:
    if not isinstance(value, bool):
        raise UserError(f"{where}: must be true or false, got {shown(value)}")
    return value


def _beside(folder: Path, value: Any) -> Any:
    """Paths in a file go from the folder it is in."""
    return [str(folder / name) for name in value] if isinstance(value, list) else str(folder / value)
